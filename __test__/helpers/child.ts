import { type ChildProcessWithoutNullStreams, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { emulated, hasHungInEmulator, patientMs } from './emulation'

/** The checkout. */
export const root = resolve(__dirname, '../..')

/** What a script in a child process may use beside Node.js itself. */
const prelude = `
const plimsoll = require(${JSON.stringify(resolve(root, 'dist/index.js'))})
const { KiB, MiB, GiB, Device, MemoryBudget, MemoryManager, MemoryPool, StagingPool } = plimsoll
const { createHash } = require('node:crypto')
const sha = (bytes) => createHash('sha256').update(bytes).digest('hex')
const turn = () => new Promise((resolve) => setImmediate(resolve))
/** Collects garbage, a turn at a time, until the condition holds; says whether it came to hold. */
const collect = async (holds) => {
  for (let round = 0; round < 200 && !holds(); round++) { gc(); await turn() }
  return holds()
}
/** Lets turns pass until the condition holds; says whether it came to hold. */
const settle = async (holds) => {
  for (let round = 0; round < 2000 && !holds(); round++) await new Promise((resolve) => setTimeout(resolve, 1))
  return holds()
}
/** Resident memory. From the kernel: under emulation, Node.js says 0. What it grows by in a loop includes emulatorBytes. */
const rssBytes = () => 1024 * Number(/^VmRSS:\\s+(\\d+)/m.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[1])
`

export interface ChildOptions {
  /** Flags for Node.js, such as `--expose-gc`. */
  flags?: string[]
  /** A command that starts Node.js, with its arguments; Node.js and its arguments are appended. */
  through?: string[]
  /** Variables beside those of this process. */
  env?: Record<string, string>
  timeoutMs?: number
}

/** For a child that collects its garbage when it wants to. */
export const withGarbage: ChildOptions = { flags: ['--expose-gc'] }

export interface ChildResult<T> {
  /** What the script returned, by way of JSON. */
  value: T
  stderr: string
}

/** Runs Node.js with these arguments in the checkout. */
export function runNode(args: string[], options: ChildOptions = {}): SpawnSyncReturns<string> {
  const [command, ...rest] = [...(options.through ?? []), process.execPath, ...(options.flags ?? []), ...args]
  return startUntilItEnds(command as string, rest, root, options.timeoutMs ?? 60_000, options.env)
}

/** Runs a program to its end. */
export function startUntilItEnds(
  command: string,
  args: string[],
  cwd: string,
  timeoutMs: number,
  more: Record<string, string> = {},
) {
  const timeout = patientMs(timeoutMs)
  const env = { ...process.env, ...more }
  const run = () => spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout, maxBuffer: 64 << 20 })
  const first = run()
  return hasHungInEmulator(first) ? run() : first
}

/**
 * Runs the body of an async function in a process of its own, which has to end by itself, with code 0. The body has
 * the package as `plimsoll`, its budget, pools, device, manager and units by name, and `turn`, `collect`, `settle`,
 * `rssBytes` and `sha`.
 */
export function runChild<T>(body: string, options: ChildOptions = {}): ChildResult<T> {
  const { status, signal, stdout, stderr } = runNode(['-e', scriptOf(body)], options)
  if (status !== 0) throw new Error(`expected the child to exit with 0, got ${status ?? signal}:\n${stderr}`)
  return { value: answer(stdout), stderr }
}

const scriptOf = (body: string): string => `${prelude}
    ;(async () => { ${body} })().then((value) => require('node:fs').writeSync(1, '\\n' + JSON.stringify(value ?? null)))`

const answer = <T>(stdout: string): T => JSON.parse(stdout.slice(stdout.lastIndexOf('\n') + 1)) as T

/** For a test of `watchChild`: jest's own time-out is not to end it, however slowly it gets on. */
export const untimedMs = 24 * 3_600_000

/**
 * As `runChild`, for long work: the body calls `progress()` at each step. It may take as long as it likes, but no step longer
 * than `timeoutMs`, one minute by default.
 */
export async function watchChild<T>(body: string, { flags = [], timeoutMs = 60_000 }: ChildOptions = {}): Promise<T> {
  const progress = "const progress = () => require('node:fs').writeSync(1, '.')\n"
  const child = spawn(process.execPath, [...flags, '-e', scriptOf(progress + body)], { cwd: root })
  const { status, stdout, stderr } = await outcomeOf(child, timeoutMs)
  if (status === 0) return answer(stdout)
  throw new Error(`expected the child to exit with 0, got ${status} after "${stdout}":\n${stderr}`)
}

/** What a program that ended has said; its exit code, or the name of the signal. */
export interface Outcome {
  status: number | string
  stdout: string
  stderr: string
}

/** Runs a program to its end beside others. Whoever says nothing for so long is killed. */
export function startBesideOthers(args: string[], cwd: string, timeoutMs: number, more: Record<string, string> = {}) {
  const start = () => outcomeOf(spawn(process.execPath, args, { cwd, env: { ...process.env, ...more } }), timeoutMs)
  return emulated ? start().then((first) => (first.status === 'SIGKILL' ? start() : first)) : start()
}

async function outcomeOf(child: ChildProcessWithoutNullStreams, timeoutMs: number): Promise<Outcome> {
  let [stdout, stderr] = ['', '']
  const kill = () => setTimeout(() => child.kill('SIGKILL'), patientMs(timeoutMs))
  let killing = kill()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    clearTimeout(killing)
    killing = kill()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  try {
    const [code, signal] = await once(child, 'close')
    return { status: code ?? signal, stdout, stderr }
  } finally {
    clearTimeout(killing)
  }
}

/** For the script of a child: `threadNames()`, the names of its threads but of those that have ended meanwhile. */
export const threadNames = `
  function threadNames() {
    const { readdirSync, readFileSync } = require('node:fs')
    return readdirSync('/proc/self/task').flatMap((id) => {
      try {
        return [readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trimEnd()]
      } catch {
        return []
      }
    })
  }
`
