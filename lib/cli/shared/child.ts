import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
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

/** A process that was started. */
export interface Started {
  readonly child: ChildProcess
  readonly pid: number
  /** The code that it ended with, or 128 and the number of the signal that killed it. */
  readonly ended: Promise<number>
}

/**
 * Starts a command that inherits `descriptor`. The process is there when this returns, and `onMade` has been called with it; the promise
 * says whether it runs.
 *
 * Rejects with a {@link StartError} where it cannot be started.
 */
export function startChild(
  argv: readonly string[],
  options: Pick<SpawnOptions, 'cwd' | 'detached' | 'env'>,
  streams: readonly ('inherit' | 'ignore' | 'pipe')[],
  descriptor: number | undefined,
  onMade: (child: ChildProcess) => void = () => {},
): Promise<Started> {
  const [program = '', ...rest] = argv
  return new Promise((resolve, reject) => {
    const kept = descriptor === undefined ? [] : [descriptor]
    const failed = (error: unknown) => reject(new StartError(program, error as NodeJS.ErrnoException))
    try {
      const child = spawn(program, rest, { ...options, stdio: [...streams, ...kept] })
      const ended = new Promise<number>((over) => {
        child.once('exit', (code, signal) => over(code ?? KILLED_BY + (signal ? constants.signals[signal] : 0)))
      })
      onMade(child)
      // One that runs and may not be sent a signal, as it is another user's, has an error, too: the promise has settled then.
      child.on('error', failed)
      child.once('spawn', () => {
        if (child.pid !== undefined) resolve({ child, pid: child.pid, ended })
      })
    } catch (error) {
      failed(error)
    }
  })
}
