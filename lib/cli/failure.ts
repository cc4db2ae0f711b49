import { AbortError, InvalidArgumentError, PlimsollError } from '../index.js'
import { Exit, type ExitCode } from './exit.js'

/** The command was written wrongly. */
export class UsageError extends Error {
  readonly code = 'ERR_INVALID_ARGUMENT'
}

/** An error whose exit code depends on when it happened, not on what it is. `cause` is the error. */
export class Failure extends Error {
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, cause: Error) {
    super(cause.message, { cause })
    this.exitCode = exitCode
  }
}

/** An error as the command line tells it. */
export interface Told {
  exitCode: ExitCode
  /** One line for people. */
  message: string
  /** What `--json` prints. */
  document: object
}

const exitCodes: Record<PlimsollError['code'], ExitCode> = {
  ERR_INSUFFICIENT_MEMORY: Exit.doesNotFit,
  ERR_INVALID_ARGUMENT: Exit.wrongUse,
  ERR_INVALID_GGUF: Exit.brokenInput,
  ERR_UNSUPPORTED_TYPE: Exit.brokenInput,
  ERR_IO: Exit.trouble,
  ERR_RELEASED: Exit.trouble,
  ABORT_ERR: Exit.interrupted,
}

/** The package's options as the command line calls them. */
const flags: Record<string, string> = {
  chunkBytes: '--chunk',
  maxBytes: '--max',
  path: 'FILE',
  safetyMarginPercent: '--margin',
}

/** What an error means for whoever ran the command; `undefined` for one that nobody foresaw. */
export function tell(error: unknown): Told | undefined {
  const cause = error instanceof Failure ? error.cause : error
  if (!(cause instanceof PlimsollError || cause instanceof UsageError)) return undefined
  const message = messageOf(cause)
  const exitCode = error instanceof Failure ? error.exitCode : exitCodes[cause.code]
  return { exitCode, message, document: { error: { ...cause, code: cause.code, message } } }
}

function messageOf(error: PlimsollError | UsageError): string {
  if (error instanceof AbortError) return 'interrupted'
  if (!(error instanceof InvalidArgumentError)) return error.message
  return `expected ${flags[error.argument] ?? error.argument} to be ${error.expected}, got ${error.received}`
}
