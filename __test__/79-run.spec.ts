import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { MiB, readBlackBox, surveyLedger } from 'plimsoll'
import { MemoryGroup } from './helpers/cgroup'
import { root } from './helpers/child'

let directory: string
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/plimsoll-run-')
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** `plimsoll run` in the ledger of this test. */
function start(options: string[], command: string[], env: NodeJS.ProcessEnv = {}) {
  const box = options.some((option) => option.endsWith('black-box')) ? [] : ['--no-black-box']
  const argv = ['dist/cli.js', 'run', '--directory', directory, ...box, ...options]
  if (command.length > 0) argv.push('--', ...command)
  const child = spawn(process.execPath, argv, { cwd: root, env: { ...process.env, ...env } })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (data) => {
      texts[name] += data
    })
  }
  const ended = once(child, 'close').then(([code, signal]): Ended => ({ code, signal, ...texts }))
  return { child, ended, texts }
}

const run = (options: string[], ...command: string[]): Promise<Ended> => start(options, command).ended

const holders = () => surveyLedger({ directory, drainMs: 0 })?.holders ?? []

/** Waits until it holds, for as long as jest lets it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const line = (bytes: number) => `${bytes}`

test('a command has its slice, its descriptor and its streams, and its code is passed on', async () => {
  const ended = await run(
    ['--memory', '100MiB'],
    'sh',
    '-c',
    'echo $PLIMSOLL_SLICE_BYTES; readlink /proc/self/fd/3; echo no >&2; exit 7',
  )
  expect(ended).toMatchObject({ code: 7, stderr: 'no\n', stdout: `${100 * MiB}\n${join(directory, 'board.ledger')}\n` })
  expect(holders()).toEqual([])
})

test.each<[string, string[], string[], number, string]>([
  [
    'a command that is none',
    ['--memory', '1MiB'],
    ['no-such-command'],
    127,
    'expected a command, found no "no-such-command"',
  ],
  ['one that may not be run', ['--memory', '1MiB'], ['/etc/passwd'], 126, 'expected to run "/etc/passwd"'],
  ['more than the line', ['--memory', '900TiB'], ['true'], 125, 'never granted'],
  ['no command', ['--memory', '1MiB'], [], 125, 'expected -- and a command'],
  ['no size', [], ['true'], 125, 'expected --memory or --auto, got neither'],
  ['two sizes', ['--memory', '1MiB', '--auto'], ['true'], 125, 'expected --memory or --auto, got both'],
  ['a size that is none', ['--memory', 'much'], ['true'], 125, '--memory'],
  ['a priority that is none', ['--memory', '1MiB', '--priority', '1.5'], ['true'], 125, '--priority'],
  [
    'more for a device than there is',
    ['--memory', '1MiB', '--device-memory', '2MiB'],
    ['true'],
    125,
    '--device-memory',
  ],
  ['a program that the estimator does not know', ['--auto'], ['true'], 125, 'expected'],
])('%s ends with a code of its own, and holds nothing', async (_, options, command, code, message) => {
  const ended = await start(options, command).ended
  expect(ended).toMatchObject({ code, stdout: '' })
  expect(ended.stderr).toContain(message)
  expect(holders()).toEqual([])
})

test('a command that a signal kills ends with 128 and its number, and signals are passed on', async () => {
  expect(await run(['--memory', '1MiB'], 'sh', '-c', 'kill -9 $$')).toMatchObject({ code: 137 })
  const script = "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
  const { child, ended, texts } = start(['--memory', '1MiB'], ['sh', '-c', script])
  await until(() => texts.stdout.includes('ready'))
  child.kill('SIGTERM')
  expect(await ended).toMatchObject({ code: 5, stdout: 'ready\ntold\n' })
})

/** The environment of a runner that does something with each child as that was started. */
function withEach(does: string): Record<string, string> {
  const hook = join(directory, 'hook.cjs')
  writeFileSync(
    hook,
    `const childProcess = require('node:child_process')
     const { spawn } = childProcess
     childProcess.spawn = (...args) => {
       const child = spawn(...args)
       ${does}
       return child
     }`,
  )
  return { NODE_OPTIONS: `--require ${hook}` }
}

test('a signal that comes as the command starts goes on to it, and leaves nobody behind', async () => {
  const env = withEach("process.kill(process.pid, 'SIGTERM')")
  expect(await start(['--memory', '1MiB'], ['sleep', '60'], env).ended).toMatchObject({ code: 143, signal: null })
})

test('a signal that comes when the command has ended takes nothing from its code', async () => {
  const env = withEach("child.once('exit', () => process.nextTick(() => process.kill(process.pid, 'SIGTERM')))")
  expect(await start(['--memory', '1MiB'], ['sh', '-c', 'exit 7'], env).ended).toMatchObject({ code: 7, signal: null })
})

test('the grant outlives a killed runner exactly as long as the command does', async () => {
  const { child, ended, texts } = start(['--memory', '64MiB'], ['sh', '-c', 'echo $$; exec sleep 60'])
  await until(() => texts.stdout.includes('\n'))
  const pid = Number(texts.stdout)
  await until(() => holders()[0]?.pid === pid)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(holders()).toMatchObject([{ name: 'sh', pid, heldBytes: 64 * MiB, isDraining: false }])
  process.kill(pid, 'SIGKILL')
  await ended
  await until(() => holders().length === 0)
})

test('a command waits for its turn, in the order in which they came, and one at a time where only one fits', async () => {
  const [log, go] = [join(directory, 'log'), join(directory, 'go')]
  writeFileSync(log, '')
  const size = line(Math.floor(totalmem() * 0.5))
  const job = (name: string) => [
    'sh',
    '-c',
    `echo +${name} >> ${log}; until [ -e ${go} ]; do sleep 0.05; done; echo -${name} >> ${log}`,
  ]
  const first = start(['--memory', size], job('a'))
  await until(() => holders()[0]?.heldBytes === Number(size))
  const others: Promise<Ended>[] = []
  for (const name of ['b', 'c']) {
    others.push(start(['--memory', size], job(name)).ended)
    await until(() => holders().filter(({ waiting }) => waiting).length === others.length)
  }
  writeFileSync(go, '')
  for (const { code } of await Promise.all([first.ended, ...others])) expect(code).toBe(0)
  expect(readFileSync(log, 'utf8')).toBe('+a\n-a\n+b\n-b\n+c\n-c\n')
})

test('a process that the command leaves behind keeps the share until it ends', async () => {
  const ended = await run(['--memory', '64MiB'], 'sh', '-c', 'sleep 60 > /dev/null 2>&1 & echo $!')
  expect(ended.code).toBe(0)
  expect(holders()).toMatchObject([{ heldBytes: 64 * MiB, isDraining: false }])
  process.kill(Number(ended.stdout), 'SIGKILL')
  await until(() => holders().length === 0)
})

test('who waits too long ends with 125, and leaves no trace', async () => {
  const size = line(Math.floor(totalmem() * 0.5))
  const holder = start(['--memory', size], ['sleep', '60'])
  await until(() => holders()[0]?.heldBytes === Number(size))
  const late = await run(['--memory', size, '--timeout', '600ms'], 'true')
  expect(late.code).toBe(125)
  expect(late.stderr).toMatch(/waiting for .*\n.*600 ms/s)
  expect(holders()).toHaveLength(1)
  holder.child.kill('SIGTERM')
  expect((await holder.ended).code).toBe(143)
})

test('the score by which the OOM killer picks rises by the memory of the device, and the runner comes down again', async () => {
  const share = Math.floor(totalmem() / 10)
  const { stdout } = await run(
    ['--memory', line(share), '--device-memory', line(share)],
    'cat',
    '/proc/self/oom_score_adj',
  )
  expect(Number(stdout)).toBeGreaterThanOrEqual(100)
  expect(Number(stdout)).toBeLessThanOrEqual(102)
  expect((await run(['--memory', '1MiB'], 'cat', '/proc/self/oom_score_adj')).stdout).toBe('0\n')
})

const group = MemoryGroup.make('plimsoll-run-test')
afterAll(() => {
  if (typeof group !== 'string') group.remove()
})

;(typeof group === 'string' ? test.skip : test)(
  'with --limit the command is in a memory group of its own, also where a killed run of that id has left one',
  async () => {
    const own = (group as MemoryGroup).path.replace(/\/[^/]*$/, '')
    const place = `/sys/fs/cgroup/memory${own === '/' ? '' : own}`
    const argv = `${process.execPath} dist/cli.js run --directory ${directory} --no-black-box --memory 64MiB --limit --`
    const show = `sh -c 'path=$(sed -n "s/^[0-9]*:memory://p" /proc/self/cgroup); echo $path; cat /sys/fs/cgroup/memory$path/memory.limit_in_bytes'`
    const beside = async (before: string): Promise<[string, string]> => {
      const script = `place=${place}/..; [ ${own || '/'} != / ] || place=${place}; ${before}; echo $$; exec ${argv} ${show}`
      const child = spawn('sh', ['-c', script], { cwd: root })
      let text = ''
      child.stdout.on('data', (data) => {
        text += data
      })
      expect(await once(child, 'close')).toEqual([0, null])
      const [pid, path, limit] = text.trim().split('\n') as [string, string, string]
      expect(limit).toBe(`${64 * MiB}`)
      return [pid, path]
    }
    const [pid, path] = await beside(':')
    expect(path).toMatch(new RegExp(`/plimsoll-${pid}$`))
    const [same, again] = await beside('mkdir $place/plimsoll-$$')
    expect(again).toMatch(new RegExp(`/plimsoll-${same}$`))
    // While somebody is in it, it is not removed.
    const [other, beyond] = await beside(
      'mkdir $place/plimsoll-$$; sleep 3600 > /dev/null 2>&1 & echo $! > $place/plimsoll-$$/cgroup.procs; echo $! > sleeper; [ -s sleeper ]'.replaceAll(
        'sleeper',
        join(directory, 'sleeper'),
      ),
    )
    expect(beyond).toMatch(new RegExp(`/plimsoll-${other}-1$`))
    process.kill(Number(readFileSync(join(directory, 'sleeper'), 'utf8')), 'SIGKILL')
  },
)

test('a ledger that breaks as the command starts is told of, and the command goes on', async () => {
  const hook = join(directory, 'hook.cjs')
  const index = JSON.stringify(join(root, 'dist/index.js'))
  writeFileSync(
    hook,
    `require(${index}).MemoryBudget.prototype.setLedgerProcess = () => { throw new Error('it was removed') }`,
  )
  const ended = await start(['--memory', '1MiB'], ['sh', '-c', 'echo lives; exit 3'], {
    NODE_OPTIONS: `--require ${hook}`,
  }).ended
  expect(ended).toMatchObject({ code: 3, stdout: 'lives\n' })
  expect(ended.stderr).toMatch(/the ledger does not say that process \d+ holds it: it was removed/)
})

test('the ledger shows the priority of a command', async () => {
  const { child, ended } = start(['--memory', '1MiB', '--priority', '7'], ['sleep', '60'])
  // What it holds is there before it is offered.
  await until(() => holders()[0]?.priority === 7)
  expect(holders()).toMatchObject([{ heldBytes: MiB, revocableBytes: 0 }])
  child.kill('SIGTERM')
  await ended
})

test('a budget inside takes the slice for its line', async () => {
  const script =
    "const { MemoryManager } = require('plimsoll'); const { budget } = new MemoryManager({ shared: true }); console.log(budget.lineBytes)"
  const ended = await run(['--memory', '64MiB'], process.execPath, '-e', script)
  expect(ended.stdout).toBe(`${64 * MiB}\n`)
})

test('--auto asks for what the model of the command line needs', async () => {
  const server = join(directory, 'llama-server')
  writeFileSync(server, '#!/bin/sh\necho $PLIMSOLL_SLICE_BYTES\n', { mode: 0o755 })
  const model = join(root, 'examples/models/plimsoll-sample-llama.gguf')
  const small = await run(['--auto'], server, '-m', model, '-c', '256')
  const large = await run(['--auto'], server, '-m', model, '-c', '65536')
  expect(Number(small.stdout)).toBeGreaterThan(MiB)
  expect(Number(large.stdout)).toBeGreaterThan(Number(small.stdout) + MiB)
})

test('a black box is kept of the last minute, which names the command and its grant', async () => {
  const file = join(directory, 'box')
  const { child, ended, texts } = start(
    ['--black-box', file, '--memory', '64MiB'],
    ['sh', '-c', 'echo $$; exec sleep 60'],
  )
  await until(() => texts.stdout.includes('\n'))
  const pid = Number(texts.stdout)
  const last = () => (existsSync(file) ? readBlackBox(file).runs[0] : undefined)
  const held = () => last()?.moments.at(-1)?.holders ?? []
  await until(() => held().some((holder) => holder.pid === pid))
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(last()).toMatchObject({ endedCleanly: false })
  expect(held()).toContainEqual(expect.objectContaining({ name: 'sh', heldBytes: 64 * MiB }))
  process.kill(pid, 'SIGKILL')
  await ended
})

test('a black box that cannot be kept ends nothing, unless it was asked for', async () => {
  const ended = await run(['--black-box', join(directory, 'none/box'), '--memory', '1MiB'], 'true')
  expect(ended.code).toBe(125)
  expect((await run(['--black-box', 'x', '--no-black-box', '--memory', '1MiB'], 'true')).stderr).toContain('got both')
})

test('--help tells of it', async () => {
  const child: ChildProcess = spawn(process.execPath, ['dist/cli.js', 'run', '--help'], { cwd: root })
  let text = ''
  child.stdout?.on('data', (data) => {
    text += data
  })
  await once(child, 'close')
  for (const option of [
    '--memory SIZE',
    '--auto',
    '--device-memory SIZE',
    '--priority N',
    '--timeout TIME',
    '--limit',
  ]) {
    expect(text).toContain(option)
  }
})
