import { type InvalidArgumentError, PlimsollError } from '../index.js'
import { Exit, type ExitCode } from './exit.js'
import { flagOf, type Given, withFlags } from './shared/flags.js'

/** What the command line finds out by itself. */
abstract class CommandError extends Error {
  abstract readonly code: string
  abstract readonly exitCode: ExitCode
}

/** The command was written wrongly. */
export class UsageError extends CommandError {
  readonly code = 'ERR_INVALID_ARGUMENT'
  readonly exitCode = Exit.wrongUse
}

/** What should be a folder with a board's files is none. */
export class TreeError extends CommandError {
  readonly code = 'ERR_IO'
  readonly exitCode = Exit.brokenInput
}

/** A file cannot be read, for its own sake or for the system's. */
export class FileError extends CommandError {
  readonly code = 'ERR_IO'
  readonly exitCode: ExitCode

  constructor(message: string, exitCode: ExitCode) {
    super(message)
    this.exitCode = exitCode
  }
}

/** A line of a trace is not what a pool writes, or does not follow from the lines before it. */
export class TraceError extends CommandError {
  readonly code = 'ERR_INVALID_TRACE'
  readonly exitCode = Exit.brokenInput
  readonly line: number
  readonly expected: string
  readonly received: string

  constructor(line: number, expected: string, received: string) {
    super(`expected line ${line} to be ${expected}, got ${received}`)
    this.line = line
    this.expected = expected
    this.received = received
  }
}

/** The file cannot be opened, which says more about the file than about the system. `cause` is the error. */
export class InputError extends Error {
  readonly exitCode = Exit.brokenInput
  declare readonly cause: PlimsollError

  constructor(cause: PlimsollError) {
    super(cause.message, { cause })
  }
}

/** What should be a snapshot of a pool is none. */
export class SnapshotError extends CommandError {
  readonly code = 'ERR_INVALID_SNAPSHOT'
  readonly exitCode = Exit.brokenInput
  readonly expected: string
  readonly received: string

  constructor({ argument, expected, received }: InvalidArgumentError) {
    super(`expected ${argument === 'text' ? 'FILE' : argument} to be ${expected}, got ${received}`)
    this.expected = expected
    this.received = received
  }
}

/** What a command would take is more than it should, on this machine and now. */
export class NoRoomError extends CommandError {
  readonly code = 'ERR_INSUFFICIENT_MEMORY'
  readonly exitCode = Exit.doesNotFit
  readonly availableBytes: number
  readonly requestedBytes: number

  constructor(message: string, availableBytes: number, requestedBytes: number) {
    super(message)
    this.availableBytes = availableBytes
    this.requestedBytes = requestedBytes
  }
}

/** The system does not give what the command needs. */
export class SystemError extends CommandError {
  readonly code = 'ERR_SYSTEM'
  readonly exitCode = Exit.trouble
}

/** An error as the command line tells it. */
export interface Described {
  exitCode: ExitCode
  /** For people. */
  message: string
  /** For `--json`: the code, the message and the error's own numbers. */
  document: object
}

const exitCodes: Record<PlimsollError['code'], ExitCode> = {
  ERR_INSUFFICIENT_MEMORY: Exit.doesNotFit,
  ERR_INVALID_ARGUMENT: Exit.wrongUse,
  ERR_INVALID_GGUF: Exit.brokenInput,
  ERR_INVALID_MODEL: Exit.brokenInput,
  ERR_UNSUPPORTED_TYPE: Exit.brokenInput,
  ERR_INVALID_TENSOR: Exit.brokenInput,
  ERR_IO: Exit.trouble,
  ERR_RELEASED: Exit.trouble,
  ERR_DEVICE: Exit.trouble,
  ERR_DEVICE_UNAVAILABLE: Exit.trouble,
  ERR_LEDGER: Exit.trouble,
  ERR_BUSY: Exit.trouble,
  ERR_NEVER_FITS: Exit.doesNotFit,
  ERR_TIMEOUT: Exit.trouble,
  ERR_INTERNAL: Exit.trouble,
  ERR_INVALID_PLAN: Exit.doesNotFit,
  ERR_ADDON_UNAVAILABLE: Exit.trouble,
  ABORT_ERR: Exit.interrupted,
}

/** What an error means for whoever ran the command; `undefined` for one that nobody foresaw. */
export function describe(error: unknown, given: Given): Described | undefined {
  if (error instanceof CommandError) {
    const { exitCode, ...details } = error
    return { exitCode, message: error.message, document: { error: { ...details, message: error.message } } }
  }
  const cause = error instanceof InputError ? error.cause : error
  if (!isOfPackage(cause)) return undefined
  const exitCode = error instanceof InputError ? error.exitCode : exitCodes[cause.code]
  const message = messageOf(cause, given)
  return { exitCode, message, document: { error: { ...cause, message } } }
}

/** Without its addon the package exports nothing, not even the class of its errors. */
function isOfPackage(error: unknown): error is PlimsollError {
  if ((error as { code?: unknown } | null)?.code === 'ERR_ADDON_UNAVAILABLE') return true
  try {
    return error instanceof PlimsollError
  } catch {
    return false
  }
}

function messageOf(error: PlimsollError, given: Given): string {
  if (error.code === 'ABORT_ERR') return 'interrupted'
  if (error.code !== 'ERR_INVALID_ARGUMENT') return error.message
  const { argument, expected, received } = error as InvalidArgumentError
  return `expected ${flagOf(argument, received, given)} to be ${withFlags(expected, given)}, got ${received}`
}
