// In a guest: a hog, which holds much memory of a dma-heap and has next to none of its own, beside an innocent server. The
// memory of the guest runs out, and the kernel picks who dies for it; again and again, with and without `plimsoll run`:
//
//     node hog.mjs ROUNDS
//
// In every second round the hog itself takes ever more; in the others it holds what it was granted, and files in RAM fill up.
// Prints a line of JSON for each round.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as after } from 'node:timers/promises'

const rounds = Number(process.argv[2])
const [socket, leak, full] = ['/tmp/innocent.sock', '/tmp/leak', '/full']
const hogMiB = 608
const innocentMiB = 160

const run = (bytes, ...options) => [
  ...['node', '/app/node_modules/plimsoll/dist/cli.js', 'run', '--memory', bytes],
  ...[...options, '--'],
]
const test = 'killer::the_killer_takes_another_for_the_one_who_holds_a_heap'
const programs = {
  innocent: {
    argv: ['node', '/app/innocent.mjs', `${innocentMiB}`, socket],
    by: run('320MiB'),
    isUp: /^SERVES (\d+)/,
  },
  hog: {
    argv: ['/tests/guest', test, '--exact', '--ignored', '--nocapture'],
    by: run('640MiB', '--device-memory', `${hogMiB}MiB`),
    isUp: /HOLDS (\d+) MiB as (\d+)/,
  },
}

const kernelLog = (...options) => execFileSync('dmesg', options, { encoding: 'utf8', maxBuffer: 16 << 20 })

/** Whom the kernel has killed since its log was cleared, in the order of their deaths. */
const killed = () => [...kernelLog().matchAll(/Killed process (\d+) /g)].map(([, pid]) => Number(pid))

/** What the kernel's OOM killer knows of a process. */
function seen(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const number = (name) => Number(readFileSync(`/proc/${pid}/${name}`, 'latin1'))
  return {
    rssMiB: Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) / 1024),
    score: number('oom_score'),
    adjustment: number('oom_score_adj'),
  }
}

/** Starts one, as a user does whom nobody has spared, and returns it when it says that it is up. */
async function started({ argv, by, isUp }, isUnderRun) {
  const spare = 'echo 0 >/proc/self/oom_score_adj; exec "$@"'
  const child = spawn('sh', ['-c', spare, 'sh', ...(isUnderRun ? by : []), ...argv], {
    env: { ...process.env, PLIMSOLL_CHILD: 'hog', PLIMSOLL_HOG_MIB: `${hogMiB}`, PLIMSOLL_HOG_LEAK: leak },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const up = (async () => {
    for await (const line of createInterface(child.stdout)) {
      const pid = isUp.exec(line)?.at(-1)
      if (pid !== undefined) {
        child.stdout.resume()
        return Number(pid)
      }
    }
    throw new Error(`expected ${argv.join(' ')} to say that it is up, it ended with ${await ended}`)
  })()
  return { child, ended, pid: await up }
}

const answers = () =>
  new Promise((resolve) => {
    get({ socketPath: socket }, (response) => resolve(response.resume().statusCode === 200)).on('error', () =>
      resolve(false),
    )
  })

/** The server of the round before, where it lives. */
let innocent

async function round(isUnderRun, byHog) {
  innocent ??= await started(programs.innocent, isUnderRun)
  // Else it would forget what it said first.
  kernelLog('-c')
  const hog = await started(programs.hog, isUnderRun)
  const known = { innocent: seen(innocent.pid), hog: seen(hog.pid) }
  const filling = byHog ? undefined : spawn('dd', ['if=/dev/zero', `of=${full}/file`, 'bs=1M'], { stdio: 'ignore' })
  if (byHog) writeFileSync(leak, '')
  while (killed().length === 0) await after(20)
  filling?.kill('SIGKILL')
  rmSync(`${full}/file`, { force: true })
  // Whoever holds on is killed next; who was first is what matters, and whether the server lives on after that.
  await Promise.race([hog.ended, innocent.ended])
  await after(500)
  const innocentAnswers = await answers()
  hog.child.kill('SIGTERM')
  const hogEnded = (await hog.ended).find((how) => how !== null)
  rmSync(leak, { force: true })
  const names = { [innocent.pid]: 'innocent', [hog.pid]: 'hog' }
  const victims = killed().map((pid) => names[pid] ?? `process ${pid}`)
  if (!innocentAnswers) await end()
  return { isUnderRun, byHog, victims, innocentAnswers, hogEnded, ...known }
}

async function end() {
  innocent?.child.kill('SIGTERM')
  await innocent?.ended
  rmSync(socket, { force: true })
  innocent = undefined
}

mkdirSync(full)
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100%', 'tmpfs', full])
for (const isUnderRun of [true, false]) {
  for (let at = 0; at < rounds; at += 1) {
    console.log(`ROUND ${JSON.stringify(await round(isUnderRun, at % 2 === 0))}`)
  }
  await end()
}
