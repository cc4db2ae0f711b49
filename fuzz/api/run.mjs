#!/usr/bin/env node
// Calls everything that the package exports, in random order with hostile arguments, in one child process after the other:
//
//     npm run fuzz:api -- --seed 1 --seconds 60 [--only GROUP] [--must-call MEMBER,...] [--runs N] [--steps N]
//     npm run fuzz:api -- --revoked --runs 1 --steps 1
//     npm run fuzz:api -- --storm 1000
//
// README.md in the folder above tells what is looked for. It ends with 1 when something was found.

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { groups } from './groups.mjs'
import { largeModel, smallModel } from './models.mjs'
import { Random } from './random.mjs'
import { waitedMs } from './waited.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const patience = Number(process.env.FUZZ_API_PATIENCE ?? 1)

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string' },
    runs: { type: 'string' },
    steps: { type: 'string', default: '1500' },
    only: { type: 'string' },
    'must-call': { type: 'string' },
    revoked: { type: 'boolean', default: false },
    storm: { type: 'string' },
    workers: { type: 'string', default: 'yes' },
    shrink: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})

function wholeNumber(name, least) {
  const number = Number(values[name])
  if (Number.isInteger(number) && number >= least) return number
  console.error(`fuzz: expected --${name} to be a whole number from ${least} up, got "${values[name]}"`)
  process.exit(2)
}

if (values.only !== undefined && !(values.only in groups)) {
  console.error(`fuzz: expected --only to be one of ${Object.keys(groups).join(', ')}, got "${values.only}"`)
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'fuzz-api-'))

/** A driver for CUDA without a GPU, where one is or can be built. */
function fakeCuda() {
  if (process.env.PLIMSOLL_FAKE_CUDA) return process.env.PLIMSOLL_FAKE_CUDA
  try {
    execFileSync('cargo', ['build', '--quiet', '--package', 'fake-libcuda'], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  } catch {
    return undefined
  }
  const { target_directory } = JSON.parse(
    execFileSync('cargo', ['metadata', '--no-deps', '--format-version=1'], { cwd: root, encoding: 'utf8' }),
  )
  const built = join(target_directory, 'debug/libfake_libcuda.so')
  return existsSync(built) ? built : undefined
}

/** Models that every run reads: the sample, some small tensors, many, and two large ones. */
function makeModels() {
  const made = [smallModel(new Random(1), 12), smallModel(new Random(2), 800), largeModel(new Random(3))]
  const paths = made.map((bytes, index) => {
    const path = join(folder, `model-${index}.gguf`)
    writeFileSync(path, bytes)
    return path
  })
  return [join(root, 'examples/models/plimsoll-sample-llama.gguf'), ...paths]
}

const models = makeModels()
const library = fakeCuda()
if (!library) console.error('fuzz: no driver for CUDA was built, so its memory is not tried')

/** How the driver without a GPU behaves in a run. */
const cudaDevices = ['', 'orin=1', 'total_bytes=67108864', 'largest_alloc_bytes=1048576', 'init_code=100']

/** Runs a program of Node.js to its end, or until it is taken for hung. */
function runChild(script, plan, timeoutMs, cwd = folder) {
  return new Promise((resolve) => {
    const env = {
      ...process.env,
      // The runtime of a sanitizer, for the processes that load the addon alone.
      ...(process.env.FUZZ_API_PRELOAD && { LD_PRELOAD: process.env.FUZZ_API_PRELOAD }),
      ...(library && { PLIMSOLL_CUDA_LIBRARY: library, FAKE_CUDA: cudaDevices[plan.seed % cudaDevices.length] }),
    }
    const reports = ['--report-on-signal', `--report-directory=${folder}`, '--report-filename=hang.json']
    const args = ['--expose-gc', '--no-warnings', ...reports, join(root, 'fuzz/api', script), JSON.stringify(plan)]
    // The trace comes as a descriptor of its own, and is written at once: it tells how far a run came that was killed.
    const trace = openSync(join(folder, 'trace'), 'w')
    const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', trace] })
    closeSync(trace)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output = (output + text).slice(-20_000)
      })
    }
    let hung = false
    const ended = new AbortController()
    isHung(child, timeoutMs * patience, ended.signal).then(
      async () => {
        hung = true
        output += await stacksOf(child)
        child.kill('SIGKILL')
      },
      () => {},
    )
    child.on('close', (code, signal) => {
      ended.abort()
      resolve({ code, signal, hung, output })
    })
  })
}

/** Waits until a process has had that much time, or ten times as much passed while others had the processors. */
async function isHung(child, timeoutMs, signal) {
  const began = performance.now()
  for (let left = timeoutMs; left > 0; ) {
    await setTimeout(Math.max(left, 100), undefined, { signal })
    const tookMs = performance.now() - began
    left = Math.min(timeoutMs - tookMs + waitedMs(child.pid), 10 * timeoutMs - tookMs)
  }
}

/** Where a process is that hangs: in JavaScript as Node.js reports it, and all of its threads by the debugger where there is one. */
async function stacksOf(child) {
  child.kill('SIGUSR2')
  await setTimeout(5000)
  const report = join(folder, 'hang.json')
  const javascript = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).javascriptStack : undefined
  const { stdout } = spawnSync('gdb', ['-p', String(child.pid), '-batch', '-ex', 'thread apply all bt 12'], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return `\n${stdout?.slice(-3000) ?? ''}\n${[javascript?.message, ...(javascript?.stack ?? [])].join('\n')}`
}

const lastSteps = () => readFileSync(join(folder, 'trace'), 'utf8').trimEnd().split('\n').slice(-12)

/** One run: what was found, and what was called. */
async function runOnce(seed, steps, mustCall = values['must-call']?.split(',')) {
  const runFolder = join(folder, 'files')
  const report = join(folder, 'report.json')
  for (const path of [runFolder, report]) rmSync(path, { recursive: true, force: true })
  execFileSync('mkdir', [runFolder])
  execFileSync('mkfifo', [join(runFolder, 'fifo')])
  const plan = {
    seed,
    steps,
    only: values.only,
    mustCall,
    revoked: values.revoked,
    folder: runFolder,
    models,
    report,
    library,
    trace: 3,
    workers: values.workers === 'yes',
  }
  const { code, signal, hung, output } = await runChild('child.mjs', plan, 120_000, runFolder)
  const { findings, calls, members, recipes } = existsSync(report)
    ? JSON.parse(readFileSync(report, 'utf8'))
    : { findings: [], calls: [] }
  const ended = hung ? 'hung' : signal ? `ended by ${signal}` : code === 0 ? undefined : `exited with ${code}`
  if (ended) {
    const when = existsSync(report) ? 'after its end' : `after ${lastSteps().join(' | ')}`
    findings.push({ kind: hung ? 'hang' : 'crash', text: `${ended} ${when}\n${output.slice(-6000)}` })
  }
  return { findings, calls, members, recipes }
}

/** The shortest beginning of a run, of some tried, that ends with a finding of that kind. */
async function shrunk(seed, steps, kind, mustCall) {
  let shortest = steps
  for (let tried = Math.floor(steps / 2); tried >= 10; tried = Math.floor(tried / 2)) {
    const { findings } = await runOnce(seed, tried, mustCall)
    if (!findings.some((finding) => finding.kind === kind)) break
    shortest = tried
  }
  return shortest
}

/** How often each was found: runs find the same again and again. */
const seen = new Map()

async function report(seed, steps, findings, mustCall) {
  for (const { kind, text } of findings) {
    const key = `${kind}: ${text.split('\n').slice(0, 3).join(' ').replaceAll(/\d+/g, 'N').slice(0, 300)}`
    seen.set(key, (seen.get(key) ?? 0) + 1)
    if (seen.get(key) > 1) continue
    const least = values.shrink ? await shrunk(seed, steps, kind, mustCall) : steps
    const only = `${values.only ? ` --only ${values.only}` : ''}${values.revoked ? ' --revoked' : ''}`
    const must = mustCall ? ` --must-call '${mustCall}'` : ''
    console.log(
      `\n${kind}: ${text}\n  again: npm run fuzz:api -- --seed ${seed} --runs 1 --steps ${least}${only}${must}`,
    )
  }
}

async function fuzz() {
  const first = wholeNumber('seed', 0)
  const steps = wholeNumber('steps', 1)
  const seconds = values.seconds === undefined ? undefined : wholeNumber('seconds', 1)
  const runs =
    values.runs === undefined ? (seconds === undefined ? 10 : Number.POSITIVE_INFINITY) : wholeNumber('runs', 1)
  const deadline = Date.now() + (seconds ?? Number.POSITIVE_INFINITY) * 1000
  const calls = new Map()
  let members = []
  let recipes = []
  let found = 0
  let run = 0
  // Few runs, or those of one group, do not reach everything.
  const missed = () => (values.only || values.revoked || run < 5 ? [] : members.filter((id) => !calls.has(id)))
  const again = async (mustCall) => {
    const result = await runOnce(first + run, steps, mustCall)
    for (const [id, [called, succeeded]] of result.calls) {
      const [calledBefore, succeededBefore] = calls.get(id) ?? [0, 0]
      calls.set(id, [calledBefore + called, succeededBefore + succeeded])
    }
    found += result.findings.length
    members = result.members ?? members
    recipes = result.recipes ?? recipes
    await report(first + run, steps, result.findings, mustCall)
    run += 1
  }
  while (run < runs && Date.now() < deadline) await again()
  // What needs an object that takes its time may be left by chance: some more runs are for that alone.
  for (let more = 0; more < 3 && missed().length > 0; more++) await again(missed())
  for (const [key, count] of seen) if (count > 1) console.log(`${count} times ${key.slice(0, 160)}`)
  const sum = [...calls.values()].reduce((all, [called]) => all + called, 0)
  console.log(`\n${run} runs of ${steps} steps, ${sum} calls of ${calls.size} members, ${found} findings`)
  if (missed().length > 0) console.log(`never called: ${missed().join(', ')}`)
  // Constructors without a recipe are the package's own.
  const isMeant = (id) => !id.startsWith('new ') || recipes.includes(id)
  const failedAlways = [...calls].filter(([id, [called, succeeded]]) => called > 20 && succeeded === 0 && isMeant(id))
  if (failedAlways.length > 0) console.log(`never successful: ${failedAlways.map(([id]) => id).join(', ')}`)
  return found + missed().length
}

async function storm() {
  const plan = { seed: wholeNumber('seed', 0), workers: wholeNumber('storm', 1), trace: 3 }
  const { code, signal, hung, output } = await runChild('storm.mjs', plan, 60_000 + 2000 * plan.workers)
  console.log(output.trimEnd())
  if (hung || signal) console.log(`the storm ${hung ? 'hung' : `was ended by ${signal}`}`)
  return code === 0 ? 0 : 1
}

const found = await (values.storm === undefined ? fuzz() : storm())
if (values.keep) console.log(`files: ${folder}`)
else rmSync(folder, { recursive: true, force: true })
process.exitCode = found > 0 ? 1 : 0
