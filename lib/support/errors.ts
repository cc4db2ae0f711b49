import { getSystemErrorName } from 'node:util'
import type { errorCodes } from '../../binding.js'
import { otherCopy } from './copy.js'
import {
  AbortError,
  AddonUnavailableError,
  BusyError,
  DeviceError,
  DeviceUnavailableError,
  InsufficientMemoryError,
  InternalError,
  InvalidArgumentError,
  InvalidGgufError,
  InvalidModelError,
  InvalidTensorError,
  IoError,
  LedgerError,
  NeverFitsError,
  PlimsollError,
  ReleasedError,
  TimeoutError,
  UnsupportedTypeError,
} from './error-classes.js'
import { InvalidPlanError } from './plan-error.js'

export * from './error-classes.js'
export * from './plan-error.js'

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
  return systemError(path, `expected to write ${path}`, cause, `; ${writingAdvice(cause)}`)
}

/** What the system said against reading a file. */
export function readError(path: string, what: string, cause: unknown): IoError {
  return systemError(path, `expected ${path} to be ${what}`, cause)
}

/** What the system said against something: what was expected, and the advice. */
export function systemError(path: string, expected: string, cause: unknown, advice = ''): IoError {
  const { errno, syscall, message } = cause as NodeJS.ErrnoException
  const system = errno === undefined ? {} : { errno: Math.abs(errno), ...nameOf({ errno }) }
  const details = { path, ...system, ...(syscall !== undefined && { syscall }) }
  return new IoError('ERR_IO', `${expected}, got: ${message}${advice}`, details, { cause })
}

/** What a constructor says that was called from outside, where only `maker` makes one. */
export const leftTo = (type: string, maker: string): InvalidArgumentError =>
  invalidArgument(`new ${type}()`, `left to ${maker}`, 'a call')

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
