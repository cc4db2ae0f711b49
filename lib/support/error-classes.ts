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
 *
 * @example
 * try {
 *   GgufFile.open('no-such.gguf')
 * } catch (error) {
 *   if (!(error instanceof PlimsollError)) throw error
 *   console.log(error.code) // ERR_IO
 * }
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

/**
 * A budget has not got that much left. Nothing was taken.
 *
 * @example
 * const budget = MemoryBudget.forBoard('orin-nano-8gb')
 * try {
 *   budget.allocate(7 * GiB, 'weights')
 * } catch (error) {
 *   if (!(error instanceof InsufficientMemoryError)) throw error
 *   console.log(formatBytes(error.availableBytes)) // 6.00 GiB
 * }
 */
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

/**
 * An argument or an option is not what the call takes. Nothing was changed.
 *
 * @example
 * try {
 *   parseBytes('6 gigs')
 * } catch (error) {
 *   if (!(error instanceof InvalidArgumentError)) throw error
 *   console.log(error.received) // "6 gigs"
 * }
 */
export class InvalidArgumentError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_ARGUMENT'
  /** The argument's name. */
  declare readonly argument: string
  /** What it should have been. */
  declare readonly expected: string
  /** What came. */
  declare readonly received: string
}

/**
 * The bytes are no GGUF file that this package accepts.
 *
 * @example
 * try {
 *   GgufFile.fromBytes(Buffer.from('GGUF'))
 * } catch (error) {
 *   if (!(error instanceof InvalidGgufError)) throw error
 *   console.log(error.rule) // truncated
 * }
 */
export class InvalidGgufError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_GGUF'
  /** The file, `<bytes>` for a file in memory. */
  declare readonly path: string
  /** The stable name of the broken rule, such as `"truncated"` or `"big-endian"`. */
  declare readonly rule: string
  /** Where in the file, in bytes, if the rule belongs to one place. */
  declare readonly offset?: number
}

/**
 * What a model file says of its model cannot be: a hyperparameter is missing, zero, absurd, or contradicts another.
 *
 * @example
 * try {
 *   estimate(model).totals.peakBytes
 * } catch (error) {
 *   if (!(error instanceof InvalidModelError)) throw error
 *   console.error(`no estimate: ${error.key} is ${error.received}`)
 * }
 */
export class InvalidModelError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_MODEL'
  /** The metadata key. */
  declare readonly key: string
  /** What it should have been. */
  declare readonly expected: string
  /** What came. */
  declare readonly received: string
}

/**
 * A tensor is stored in a type that cannot be converted; it can be read as `'raw'`.
 *
 * @example
 * try {
 *   await model.load('output.weight', { as: 'f32' })
 * } catch (error) {
 *   if (!(error instanceof UnsupportedTypeError)) throw error
 *   await model.load(error.tensor) // as it is stored
 * }
 */
export class UnsupportedTypeError extends PlimsollError {
  declare readonly code: 'ERR_UNSUPPORTED_TYPE'
  /** The tensor's name. */
  declare readonly tensor: string
  /** The ggml type id. */
  declare readonly typeId: number
  /** The ggml type name. */
  declare readonly typeName: string
}

/**
 * A tensor has a value that is NaN or infinite, and `checkTensors` was asked for.
 *
 * @example
 * try {
 *   await model.load('output.weight', { as: 'f32', checkTensors: true })
 * } catch (error) {
 *   if (!(error instanceof InvalidTensorError)) throw error
 *   console.error(`${error.tensor}: element ${error.block * error.blockElements} or one behind it is no number`)
 * }
 */
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

/**
 * The operating system or a server refused, or a file is not what it was when it was opened.
 *
 * @example
 * try {
 *   GgufFile.open('no-such.gguf')
 * } catch (error) {
 *   if (!(error instanceof IoError)) throw error
 *   console.log(error.errnoName, error.syscall) // ENOENT open
 * }
 */
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

/**
 * The object was released or closed before this call.
 *
 * @example
 * const weights = budget.allocate(100 * MiB, 'weights')
 * weights.release()
 * try {
 *   weights.commit(MiB)
 * } catch (error) {
 *   if (!(error instanceof ReleasedError)) throw error
 *   console.log(error.what) // the allocation
 * }
 */
export class ReleasedError extends PlimsollError {
  declare readonly code: 'ERR_RELEASED'
  /** What was released. */
  declare readonly what: string
}

/**
 * A device, or its driver, refused a call.
 *
 * @example
 * try {
 *   await manager.gpu.allocate(64 * MiB)
 * } catch (error) {
 *   if (!(error instanceof DeviceError)) throw error
 *   console.error(`${error.device}: ${error.call} failed: ${error.meaning}`)
 * }
 */
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

/**
 * The machine has no such device, or this process may not use it.
 *
 * @example
 * try {
 *   await Device.open({ kind: 'cuda', library: '/no/such/libcuda.so.1' })
 * } catch (error) {
 *   if (!(error instanceof DeviceUnavailableError)) throw error
 *   console.log(error.device) // cuda
 * }
 */
export class DeviceUnavailableError extends PlimsollError {
  declare readonly code: 'ERR_DEVICE_UNAVAILABLE'
  /** The device, such as `"cuda"`. */
  declare readonly device: string
  /** Why not, and the line that mends it where there is one. */
  declare readonly reason: string
}

/**
 * The ledger that processes share cannot be used. Nothing was granted.
 *
 * @example
 * try {
 *   new MemoryManager({ shared: { directory: '/no/such/folder' } })
 * } catch (error) {
 *   if (!(error instanceof LedgerError)) throw error
 *   console.log(error.path) // /no/such/folder
 * }
 */
export class LedgerError extends PlimsollError {
  declare readonly code: 'ERR_LEDGER'
  /** The ledger's file, or its folder. */
  declare readonly path: string
  /** What is wrong with it, and what to do. */
  declare readonly reason: string
}

/**
 * Somebody uses it, so that cannot be done now.
 *
 * @example
 * await using manager = new MemoryManager({ maxBytes: GiB })
 * manager.admission.maxWaiting = 0 // nobody may wait
 * using grant = await manager.acquire({ bytes: 600 * MiB, label: 'first' })
 * try {
 *   await manager.acquire({ bytes: 600 * MiB, label: 'second' })
 * } catch (error) {
 *   if (!(error instanceof BusyError)) throw error
 *   console.log(error.waitingCount) // 0
 * }
 */
export class BusyError extends PlimsollError {
  declare readonly code: 'ERR_BUSY'
  /** What is in use. */
  declare readonly what: string
  /** Where it is a queue in which nobody more may wait: how many do. */
  declare readonly waitingCount?: number
  /** Of a queue: the labels of what was asked for. */
  declare readonly label?: string
  /** Of a queue: bytes asked for, all together. */
  declare readonly requestedBytes?: number
  /** Of a queue: bytes that were free. */
  declare readonly availableBytes?: number
}

/**
 * What was asked for is more than could be granted if nobody held anything. Nothing was taken, and nothing waits.
 *
 * @example
 * try {
 *   await manager.acquire({ bytes: 2 * manager.budget.lineBytes, label: 'weights' })
 * } catch (error) {
 *   if (!(error instanceof NeverFitsError)) throw error
 *   console.log(error.requestedBytes > error.lineBytes) // true
 * }
 */
export class NeverFitsError extends PlimsollError {
  declare readonly code: 'ERR_NEVER_FITS'
  /** The labels of what was asked for. */
  declare readonly label: string
  /** Bytes asked for, all together. */
  declare readonly requestedBytes: number
  /** Bytes that were free. */
  declare readonly availableBytes: number
  /** The whole line, in bytes. */
  declare readonly lineBytes: number
  /** The term that draws the line, in words. */
  declare readonly bindingConstraint: string
}

/**
 * It did not come within the time that its caller gave it. Nothing was taken, and nothing waits any more.
 *
 * @example
 * await using manager = new MemoryManager({ maxBytes: GiB })
 * using grant = await manager.acquire({ bytes: 600 * MiB, label: 'first' })
 * try {
 *   await manager.acquire({ bytes: 600 * MiB, label: 'second' }, { timeoutMs: 10 })
 * } catch (error) {
 *   if (!(error instanceof TimeoutError)) throw error
 *   console.log(error.timeoutMs) // 10
 * }
 */
export class TimeoutError extends PlimsollError {
  declare readonly code: 'ERR_TIMEOUT'
  /** What was waited for. */
  declare readonly what: string
  /** The labels of what was asked for. */
  declare readonly label: string
  /** How long, in milliseconds. */
  declare readonly timeoutMs: number
  /** Bytes asked for, all together. */
  declare readonly requestedBytes: number
  /** Bytes that were free in the end. */
  declare readonly availableBytes: number
  /** What stood in the way, and what to do. */
  declare readonly reason: string
}

/**
 * This package is wrong, and nobody else: neither the arguments, a file, the system nor a device. Please report it.
 *
 * @example
 * try {
 *   estimate(model)
 * } catch (error) {
 *   if (error instanceof InternalError) console.error(`please report this: ${error.what}`)
 *   throw error
 * }
 */
export class InternalError extends PlimsollError {
  declare readonly code: 'ERR_INTERNAL'
  /** What went wrong. */
  declare readonly what: string
}

/**
 * The work was aborted. `cause` is the signal's reason, or says who else ended the work.
 *
 * @example
 * try {
 *   await manager.acquire({ bytes: 100 * MiB, label: 'weights' }, { signal: AbortSignal.abort() })
 * } catch (error) {
 *   if (!(error instanceof AbortError)) throw error
 *   console.log(error.code) // ABORT_ERR
 * }
 */
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
 *
 * @example
 * try {
 *   await import('plimsoll')
 * } catch (error) {
 *   const { code, reason } = error as AddonUnavailableError
 *   if (code !== 'ERR_ADDON_UNAVAILABLE') throw error
 *   console.error(`runs without memory budgets: ${reason}`)
 * }
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
