import type { ChildProcess } from 'node:child_process'
import { type Started, startChild } from '../shared/child.js'

/** What a supervisor or a user sends, and the command is meant to have. */
const passedOn = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const

/** What the keys of a terminal send: to all processes of its foreground, so the command has them already. */
const ofTerminal = ['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH'] as const

/** A command that runs: signals go on to it. Once it has ended, they are too late for it, and do not end this process before it has passed on the code. */
export class Command {
  readonly pid: number
  /** The code that it ended with, or 128 and the number of the signal that killed it. */
  readonly ended: Promise<number>

  private constructor({ pid, ended }: Started) {
    this.pid = pid
    this.ended = ended
  }

  /**
   * Starts a command that has this process's streams, and inherits `descriptor`.
   *
   * @throws {@link StartError} where it cannot be started.
   */
  static async start(
    argv: readonly string[],
    env: NodeJS.ProcessEnv,
    descriptor: number | undefined,
  ): Promise<Command> {
    let child: ChildProcess | undefined
    // Before it is there: a signal that comes as it starts must not end this process and leave it behind.
    const signals = passedTo((signal) => {
      child?.kill(signal)
    })
    try {
      const started = startChild(argv, { env }, ['inherit', 'inherit', 'inherit'], descriptor, (made) => {
        child = made
      })
      return new Command(await started)
    } catch (error) {
      signals[Symbol.dispose]()
      throw error
    }
  }
}

/** Passes on what this process is sent, until it is disposed of. */
function passedTo(pass: (signal: NodeJS.Signals) => void): Disposable {
  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  // Whoever listens for a signal does not end by it.
  const ignore = () => {}
  const listeners = [
    ...passedOn.map((signal) => [signal, pass] as const),
    ...ofTerminal.map((signal) => [signal, hasTerminal ? ignore : pass] as const),
  ]
  for (const [signal, listener] of listeners) process.on(signal, listener)
  return {
    [Symbol.dispose]: () => {
      for (const [signal, listener] of listeners) process.off(signal, listener)
    },
  }
}
