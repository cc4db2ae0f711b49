import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'

/** Codes with which `run` ends by itself, as `env`, `nohup` and `timeout` have them. */
export const RunExit = {
  /** `run` failed, or its share was not granted. */
  failed: 125,
  /** The command was found and cannot be run. */
  notExecutable: 126,
  /** There is no such command. */
  notFound: 127,
} as const

/** A signal that kills a command makes a code of this and its number, as a shell says it. */
const KILLED_BY = 128

/** What a supervisor or a user sends, and the command is meant to have. */
const passedOn = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const

/** What the keys of a terminal send: to all processes of its foreground, so the command has them already. */
const ofTerminal = ['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH'] as const

/** A command that could not be started. */
export class StartError extends Error {
  readonly exitCode: number

  constructor(program: string, { code, message }: NodeJS.ErrnoException) {
    super(
      code === 'ENOENT'
        ? `expected a command, found no ${JSON.stringify(program)} in PATH or there`
        : `expected to run ${JSON.stringify(program)}, but ${message}`,
    )
    this.exitCode = code === 'ENOENT' ? RunExit.notFound : RunExit.notExecutable
  }
}

/** A command that runs: signals go on to it until it has ended. */
export class Command {
  readonly pid: number
  /** The code that it ended with, or 128 and the number of the signal that killed it. */
  readonly ended: Promise<number>

  private constructor(child: ChildProcess, pid: number, signals: Disposable) {
    this.pid = pid
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        signals[Symbol.dispose]()
        resolve(code ?? KILLED_BY + (signal ? constants.signals[signal] : 0))
      })
    })
  }

  /**
   * Starts a command that has this process's streams, and inherits `descriptor`.
   *
   * @throws {@link StartError} where it cannot be started.
   */
  static start(argv: readonly string[], env: NodeJS.ProcessEnv, descriptor: number | undefined): Promise<Command> {
    const [program = '', ...rest] = argv
    return new Promise((resolve, reject) => {
      const kept = descriptor === undefined ? [] : [descriptor]
      // Before it is there: a signal that comes as it starts must not end this process and leave it behind.
      const signals = passedTo((signal) => {
        child.kill(signal)
      })
      const child = spawn(program, rest, { env, stdio: ['inherit', 'inherit', 'inherit', ...kept] })
      child.on('error', (error) => {
        if (child.pid !== undefined) return // It runs, and may not be sent a signal: one of another user.
        signals[Symbol.dispose]()
        reject(new StartError(program, error))
      })
      child.once('spawn', () => {
        if (child.pid !== undefined) resolve(new Command(child, child.pid, signals))
      })
    })
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
