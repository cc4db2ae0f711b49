import { getSystemErrorName } from 'node:util'
import type { errorCodes } from '../../binding.js'
import { otherCopy } from './copy.js'

/** The stable codes of this package's errors. */
export type ErrorCode =
  | 'ERR_INSUFFICIENT_MEMORY'
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_INVALID_GGUF'
  | 'ERR_INVALID_MODEL'
  | 'ERR_UNSUPPORTED_TYPE'
  | 'ERR_INVALID_TENSOR'
  | 'ERR_IO'
  | 'ERR_RELEASED'
  | 'ERR_DEVICE'
  | 'ERR_DEVICE_UNAVAILABLE'
  | 'ERR_LEDGER'
  | 'ERR_BUSY'
  | 'ERR_NEVER_FITS'
  | 'ERR_TIMEOUT'
  | 'ERR_INTERNAL'
  | 'ERR_INVALID_PLAN'
  | 'ERR_ADDON_UNAVAILABLE'
  | 'ABORT_ERR'

/** The numbers and names that belong to an error, copied onto it. */
type Details = Record<string, unknown>

/**
 * What every error of this package is. `code` tells them apart; `message` says what was expected, what came and what
 * to do.
 */
export class PlimsollError extends Error {
  /** The stable code of the error. */
  readonly code: ErrorCode

  /** @internal */
  constructor(code: ErrorCode, message: string, details: Details = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    Object.assign(this, details)
  }
}

/** A budget has not got that much left. Nothing was taken. */
export class InsufficientMemoryError extends PlimsollError {
  declare readonly code: 'ERR_INSUFFICIENT_MEMORY'
  /** The label of the refused allocation. */
  declare readonly label: string
  /** Bytes asked for. */
  declare readonly requestedBytes: number
  /** Bytes the budget had left at that moment. */
  declare readonly availableBytes: number
  /** The largest single allocation that would have been granted, in bytes. */
  declare readonly largestFreeBytes: number
  /** The term that draws the line, in words. */
  declare readonly bindingConstraint: string
  /** What to do about it. */
  declare readonly suggestion: string
}

/** An argument or an option is not what the call takes. Nothing was changed. */
export class InvalidArgumentError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_ARGUMENT'
  /** The argument's name. */
  declare readonly argument: string
  /** What it should have been. */
  declare readonly expected: string
  /** What came. */
  declare readonly received: string
}

/** The bytes are no GGUF file that this package accepts. */
export class InvalidGgufError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_GGUF'
  /** The file, `<bytes>` for a file in memory. */
  declare readonly path: string
  /** The stable name of the broken rule, such as `"truncated"` or `"big-endian"`. */
  declare readonly rule: string
  /** Where in the file, in bytes, if the rule belongs to one place. */
  declare readonly offset?: number
}

/** What a model file says of its model cannot be: a hyperparameter is missing, zero, absurd, or contradicts another. */
export class InvalidModelError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_MODEL'
  /** The metadata key. */
  declare readonly key: string
  /** What it should have been. */
  declare readonly expected: string
  /** What came. */
  declare readonly received: string
}

/** A tensor is stored in a type that cannot be converted; it can be read as `'raw'`. */
export class UnsupportedTypeError extends PlimsollError {
  declare readonly code: 'ERR_UNSUPPORTED_TYPE'
  /** The tensor's name. */
  declare readonly tensor: string
  /** The ggml type id. */
  declare readonly typeId: number
  /** The ggml type name. */
  declare readonly typeName: string
}

/** A tensor has a value that is NaN or infinite, and `checkTensors` was asked for. */
export class InvalidTensorError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_TENSOR'
  /** The file. */
  declare readonly path: string
  /** The tensor's name. */
  declare readonly tensor: string
  /** The block that has the value, counted from 0. */
  declare readonly block: number
  /** Elements in a block: the first of this one is `block * blockElements`. */
  declare readonly blockElements: number
}

/** The operating system or a server refused, or a file is not what it was when it was opened. */
export class IoError extends PlimsollError {
  declare readonly code: 'ERR_IO'
  /** The file, or its address without user, query and fragment. */
  declare readonly path: string
  /** The tensor being read, if one was. */
  declare readonly tensor?: string
  /** Where in the file, in bytes, if known. */
  declare readonly offset?: number
  /** The system's error number, as in `os.constants.errno`, if it gave one. */
  declare readonly errno?: number
  /** The number's name, which is the `code` of Node.js's own errors: `"ENOENT"`. */
  declare readonly errnoName?: string
  /** The system call that failed, such as `"open"` or `"read"`. */
  declare readonly syscall?: string
  /** The status that a server answered with, if it refused: 404. */
  declare readonly status?: number
}

/** The object was released or closed before this call. */
export class ReleasedError extends PlimsollError {
  declare readonly code: 'ERR_RELEASED'
  /** What was released. */
  declare readonly what: string
}

/** A device, or its driver, refused a call. */
export class DeviceError extends PlimsollError {
  declare readonly code: 'ERR_DEVICE'
  /** The device, such as `"cuda:0"` or `"dma-heap:system"`. */
  declare readonly device: string
  /** The call that was refused. */
  declare readonly call: string
  /** The driver's own code, where it gave one: an errno, or a `CUresult`. */
  declare readonly errno?: number
  /** What that means, and what to do. */
  declare readonly meaning: string
}

/** The machine has no such device, or this process may not use it. */
export class DeviceUnavailableError extends PlimsollError {
  declare readonly code: 'ERR_DEVICE_UNAVAILABLE'
  /** The device, such as `"cuda"`. */
  declare readonly device: string
  /** Why not, and the line that mends it where there is one. */
  declare readonly reason: string
}

/** The ledger that processes share cannot be used. Nothing was granted. */
export class LedgerError extends PlimsollError {
  declare readonly code: 'ERR_LEDGER'
  /** The ledger's file, or its folder. */
  declare readonly path: string
  /** What is wrong with it, and what to do. */
  declare readonly reason: string
}

/** Somebody uses it, so that cannot be done now. */
export class BusyError extends PlimsollError {
  declare readonly code: 'ERR_BUSY'
  /** What is in use. */
  declare readonly what: string
  /** Where it is a queue that takes nobody more: how many wait in it. */
  declare readonly waitingCount?: number
}

/** What was asked for is more than could be granted if nobody held anything. Nothing was taken, and nothing waits. */
export class NeverFitsError extends PlimsollError {
  declare readonly code: 'ERR_NEVER_FITS'
  /** The labels of what was asked for. */
  declare readonly label: string
  /** Bytes asked for, all together. */
  declare readonly requestedBytes: number
  /** The whole line, in bytes. */
  declare readonly lineBytes: number
  /** The term that draws the line, in words. */
  declare readonly bindingConstraint: string
}

/** It did not come within the time that its caller gave it. Nothing was taken, and nothing waits any more. */
export class TimeoutError extends PlimsollError {
  declare readonly code: 'ERR_TIMEOUT'
  /** What was waited for. */
  declare readonly what: string
  /** How long, in milliseconds. */
  declare readonly timeoutMs: number
  /** Bytes asked for, all together. */
  declare readonly requestedBytes: number
  /** Bytes that were free in the end. */
  declare readonly availableBytes: number
  /** What stood in the way, and what to do. */
  declare readonly reason: string
}

/** What is wrong with a plan. */
export interface PlanIssue {
  /**
   * What it is: of the text (`'syntax'`, `'unknown-key'`, `'invalid-value'`, `'duplicate-name'`, `'missing-value'`), of what it
   * names (`'missing-model'`, `'invalid-model'`, `'missing-command'`), or that it does not fit (`'total-too-large'`,
   * `'peak-too-large'`, `'instance-too-large'`).
   */
  kind:
    | 'syntax'
    | 'unknown-key'
    | 'invalid-value'
    | 'duplicate-name'
    | 'missing-value'
    | 'missing-model'
    | 'invalid-model'
    | 'missing-command'
    | 'total-too-large'
    | 'peak-too-large'
    | 'instance-too-large'
  /** What was expected, what came, and what to do. */
  message: string
  /** The instance it is about, if it is about one. */
  instance?: string
  /** Where in the plan: `instances.subject.limitBytes`. */
  key?: string
  /** The line of its file, from 1, if it was read from one. */
  line?: number
  /** What would be needed, in bytes, where it does not fit. */
  neededBytes?: number
  /** What there is, in bytes, where it does not fit. */
  usableBytes?: number
}

/** A plan is none, names what is not there, or does not fit. Nothing was started or allocated. */
export class InvalidPlanError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_PLAN'
  /** Everything that is wrong with it. */
  declare readonly issues: readonly PlanIssue[]
  /** Its file, if it was read from one. */
  declare readonly path?: string
}

/** This package is wrong, and nobody else: neither the arguments, a file, the system nor a device. Please report it. */
export class InternalError extends PlimsollError {
  declare readonly code: 'ERR_INTERNAL'
  /** What went wrong. */
  declare readonly what: string
}

/** The work was aborted. `cause` is the signal's reason, or says who else ended the work. */
export class AbortError extends PlimsollError {
  declare readonly code: 'ABORT_ERR'

  /** @internal */
  constructor(cause: unknown) {
    super('ABORT_ERR', 'The operation was aborted', {}, { cause })
  }
}

/** Why the addon is not available. `docs/platforms.md` has a row for each. */
export type AddonUnavailableReason =
  | 'unsupported-platform'
  | 'package-missing'
  | 'version-mismatch'
  | 'unreadable'
  | 'size-mismatch'
  | 'checksum-mismatch'
  | 'not-an-addon'
  | 'load-failed'
  | 'invalid-setting'

/**
 * The native addon for this platform is missing, unfit or does not load. It is thrown while the package is loaded, which
 * then exports nothing: compare `code`, and use this class as a type.
 */
export class AddonUnavailableError extends PlimsollError {
  declare readonly code: 'ERR_ADDON_UNAVAILABLE'
  /** What is the matter. */
  declare readonly reason: AddonUnavailableReason
  /** What this process runs on, such as `"linux-x64-musl"` or `"darwin-arm64"`. */
  declare readonly platform: string
  /** The platforms that there are addons for. */
  declare readonly supported: readonly string[]
  /** The file that was refused, if one was found. */
  declare readonly path?: string
}

/** The codes that errors of the addon have. */
type NativeCode = ReturnType<typeof errorCodes>[number]

/** What an error of each code is. A code of the addon's that is missing does not compile, nor does one that it has not got. */
const classes = {
  ERR_INSUFFICIENT_MEMORY: InsufficientMemoryError,
  ERR_INVALID_ARGUMENT: InvalidArgumentError,
  ERR_INVALID_GGUF: InvalidGgufError,
  ERR_INVALID_MODEL: InvalidModelError,
  ERR_UNSUPPORTED_TYPE: UnsupportedTypeError,
  ERR_INVALID_TENSOR: InvalidTensorError,
  ERR_IO: IoError,
  ERR_RELEASED: ReleasedError,
  ERR_DEVICE: DeviceError,
  ERR_DEVICE_UNAVAILABLE: DeviceUnavailableError,
  ERR_LEDGER: LedgerError,
  ERR_BUSY: BusyError,
  ERR_NEVER_FITS: NeverFitsError,
  ERR_TIMEOUT: TimeoutError,
  ERR_INTERNAL: InternalError,
} satisfies Record<Exclude<NativeCode, 'ABORT_ERR'>, typeof PlimsollError>

for (const type of [PlimsollError, AbortError, AddonUnavailableError, InvalidPlanError, ...Object.values(classes)]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true })
}

/** The error that an addon's error stands for, in this realm and of its class; anything else as it is. */
export function fromNative(error: unknown): unknown {
  const code = (error as { code?: unknown } | null)?.code
  if (code === 'ABORT_ERR') return new AbortError(undefined)
  if (typeof code !== 'string' || !Object.hasOwn(classes, code)) return error
  const { message, ...details } = { ...(error as Error), message: (error as Error).message }
  if (code === 'ERR_IO') Object.assign(details, nameOf(details as { errno?: number }))
  const type = classes[code as keyof typeof classes]
  return new type(code as keyof typeof classes, message, details)
}

/** The name of the system's error number, if there is one. */
function nameOf({ errno }: { errno?: number }): { errnoName?: string } {
  if (errno === undefined) return {}
  // Node.js has the system's numbers negative.
  return { errnoName: getSystemErrorName(-Math.abs(errno)) }
}

/** Calls into the addon and lets its errors out as ours. */
export function call<T>(native: () => T): T {
  try {
    return native()
  } catch (error) {
    throw fromNative(error)
  }
}

/** As {@link call}, for what is waited for. */
export async function callAsync<T>(native: () => Promise<T>): Promise<T> {
  try {
    return await native()
  } catch (error) {
    throw fromNative(error)
  }
}

export function invalidArgument(argument: string, expected: string, received: unknown): InvalidArgumentError {
  const text = typeof received === 'string' ? received : describe(received)
  const message = `expected ${argument} to be ${expected}, got ${text}`
  return new InvalidArgumentError('ERR_INVALID_ARGUMENT', message, { argument, expected, received: text })
}

/** What there is no room for, where the addon is not the one to say so. */
export function insufficientMemory(
  label: string,
  requestedBytes: number,
  availableBytes: number,
  bindingConstraint: string,
  suggestion: string,
): InsufficientMemoryError {
  const message =
    `expected at most ${availableBytes} bytes to be asked for "${label}", got ${requestedBytes}: ` +
    `${bindingConstraint}. ${suggestion}`
  const details = { requestedBytes, availableBytes, largestFreeBytes: availableBytes, bindingConstraint, suggestion }
  return new InsufficientMemoryError('ERR_INSUFFICIENT_MEMORY', message, { label, ...details })
}

/** A value of a file's metadata that is of another type than it was asked for as. */
export function wrongType(path: string, key: string, expected: string, found: string): InvalidGgufError {
  const message = `${path}: expected the value of "${key}" to be ${expected}, found one of type ${found}`
  return new InvalidGgufError('ERR_INVALID_GGUF', message, { path, rule: 'wrong-value-type' })
}

/** What the system said against writing a file. */
export function ioError(path: string, cause: unknown): IoError {
  const { errno, syscall, message } = cause as NodeJS.ErrnoException
  const text = `expected to write ${path}, got: ${message}; ${writingAdvice(cause)}`
  const system = errno === undefined ? {} : { errno: Math.abs(errno), ...nameOf({ errno }) }
  return new IoError('ERR_IO', text, { path, ...system, ...(syscall !== undefined && { syscall }) }, { cause })
}

/** What the system said against reading a file. */
export function readError(path: string, what: string, cause: unknown): IoError {
  const { errno, syscall, message } = cause as NodeJS.ErrnoException
  const system = errno === undefined ? {} : { errno: Math.abs(errno), ...nameOf({ errno }) }
  const text = `expected ${path} to be ${what}, got: ${message}`
  return new IoError('ERR_IO', text, { path, ...system, ...(syscall !== undefined && { syscall }) }, { cause })
}

/** What to do when a file could not be written. */
function writingAdvice(cause: unknown): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'make room there, or choose another place'
    case 'EISDIR':
      return 'name a file in it'
    case 'EPIPE':
      return 'its reader went away before the end'
    default:
      return 'check that its folder exists, and that both may be written'
  }
}

export function released(what: string): ReleasedError {
  const message = `expected ${what} to be live, but it was released; take a new one`
  return new ReleasedError('ERR_RELEASED', message, { what })
}

/** A value as a reader of an error message wants it. */
function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object') return String(value)
  const name = className(value)
  const other = otherCopy(value)
  return `${/^[aeio]/i.test(name) ? 'an' : 'a'} ${name}${other ? ` ${other}` : ''}`
}

/** What its class is called, as far as that can be asked without the object's having a say in it. */
function className(value: object): string {
  try {
    const name: unknown = value.constructor?.name
    return typeof name === 'string' && name !== '' ? name : 'object'
  } catch {
    return 'object'
  }
}

/** Quotes a string for {@link invalidArgument}, so that it is not taken for a description. */
export const quoted = (value: unknown): unknown => (typeof value === 'string' ? JSON.stringify(value) : value)
