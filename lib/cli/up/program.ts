import { totalmem } from 'node:os'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { type Started, startChild } from '../shared/child.js'
import { raisedScore } from '../shared/oom-score.js'

/** How a program is started. */
export interface ProgramOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** The descriptor that keeps its share. */
  readonly descriptor: number | undefined
  /** How much of it is memory of a device. */
  readonly deviceBytes: number
  /** Is called for every line that it writes. */
  readonly onLine: (line: string) => void
}

/** Characters of a line at most; a longer one is several. */
const MAX_LINE = 4096

/** A program that runs, in a process group of its own: the keys of a terminal do not reach it. */
export class Program {
  readonly pid: number
  /** The code that it ended with, or 128 and the number of the signal that killed it. */
  readonly ended: Promise<number>
  #isOver = false

  private constructor({ child, pid, ended }: Started, onLine: (line: string) => void) {
    this.pid = pid
    for (const stream of [child.stdout, child.stderr]) if (stream) eachLine(stream, onLine)
    this.ended = ended.then((code) => {
      this.#isOver = true
      // What it has left behind in its group ends with it: its memory is given to others now.
      this.#send('SIGKILL')
      for (const stream of [child.stdout, child.stderr]) (stream as unknown as { unref?: () => void })?.unref?.()
      return code
    })
  }

  /** Rejects with a {@link StartError} where it cannot be started. */
  static async start(argv: readonly string[], options: ProgramOptions): Promise<Program> {
    const { cwd, env, descriptor, deviceBytes, onLine } = options
    const starting = () => {
      using _score = raisedScore(deviceBytes, totalmem())
      return startChild(argv, { cwd, env, detached: true }, ['ignore', 'pipe', 'pipe'], descriptor)
    }
    return new Program(await starting(), onLine)
  }

  /** Asks it to end, and kills it and its group where it has not after `timeoutMs`. Resolves when it has ended. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#isOver) return
    this.#send('SIGTERM')
    const timer = setTimeout(() => this.kill(), timeoutMs)
    await this.ended
    clearTimeout(timer)
  }

  kill(): void {
    if (!this.#isOver) this.#send('SIGKILL')
  }

  #send(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal)
    } catch {
      // The group has ended, or is another user's now: one may become that by a command such as sudo.
    }
  }
}

function eachLine(stream: Readable, onLine: (line: string) => void): void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  stream.on('data', (data: Buffer) => {
    const lines = (rest + decoder.write(data)).split(/\r?\n/)
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line.slice(0, MAX_LINE))
    for (; rest.length > MAX_LINE; rest = rest.slice(MAX_LINE)) onLine(rest.slice(0, MAX_LINE))
  })
  stream.on('error', () => {})
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
}
