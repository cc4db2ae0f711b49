import type { RefusedRequest } from '../../binding.js'
import { BusyError, InsufficientMemoryError, NeverFitsError, TimeoutError } from '../support/errors.js'

/** @internal The channel of `node:diagnostics_channel` on which a thread hears what it is refused. */
export const REFUSALS = 'plimsoll.refusal'

/** What is published on the channel `plimsoll.refusal` of `node:diagnostics_channel`, in the thread that was refused. */
export interface RefusalNotice {
  /** What its caller gets; one who would wait for its turn gets the latter three. */
  error: InsufficientMemoryError | NeverFitsError | TimeoutError | BusyError
  /** Whether that budget refused, or one that shares what is allocated with it. */
  isOf: (budget: unknown) => boolean
}

type Refusal = RefusalNotice['error']

/** What an error says of the request that was refused. */
export type Refused = Omit<RefusedRequest, 'timeMs'>

const refusals: readonly unknown[] = [InsufficientMemoryError, NeverFitsError, TimeoutError]

/** What is busy is a matter of memory where it is a queue. */
const isRefusal = (error: unknown): error is Refusal =>
  error instanceof Error &&
  (refusals.includes(error.constructor) || (error instanceof BusyError && Object.hasOwn(error, 'waitingCount')))

/** Calls under way that may get by what is refused within. */
let gettingBy = 0

/** Runs what may get by a refusal: only what it ends with is one. */
export function gettingByRefusals<T>(run: () => T): T {
  gettingBy += 1
  try {
    return run()
  } finally {
    gettingBy -= 1
  }
}

/** Has the budget `note` an error that is a refusal, publishes it, and returns it. */
export function published(error: unknown, note: (refused: Refused) => void, isOf: RefusalNotice['isOf']): unknown {
  if (gettingBy > 0 || !isRefusal(error)) return error
  note(refusedWith(error))
  // Asked for when it is needed: loading the package does not wait for it.
  const { channel } = require('node:diagnostics_channel') as typeof import('node:diagnostics_channel')
  const notice: RefusalNotice = { error, isOf }
  channel(REFUSALS).publish(notice)
  return error
}

/** @internal What an error says, whatever its class calls it. It may be another copy's. */
export function refusedWith(error: Refusal): Refused {
  // Its own fields alone: nothing of it is asked of the prototype of all objects.
  const own = { __proto__: null, ...error, message: error.message } as unknown as Refusal
  const [label, availableBytes, bindingConstraint, suggestion] = factsOf(own)
  return {
    code: own.code,
    label: String(label),
    requestedBytes: Number(own.requestedBytes),
    availableBytes: Number(availableBytes),
    bindingConstraint: String(bindingConstraint),
    suggestion: String(suggestion),
  }
}

function factsOf(
  error: Refusal,
): readonly [label: unknown, availableBytes: unknown, binding: string, suggestion: string] {
  switch (error.code) {
    case 'ERR_INSUFFICIENT_MEMORY':
      return [error.label, error.availableBytes, error.bindingConstraint, error.suggestion]
    case 'ERR_NEVER_FITS':
      return [error.label, error.availableBytes, error.bindingConstraint, error.message]
    case 'ERR_TIMEOUT':
      return [error.label, error.availableBytes, `not within ${error.timeoutMs} ms`, error.reason]
    case 'ERR_BUSY': {
      const waiting = `${error.waitingCount} wait in the queue, as many as may`
      return [error.label ?? '', error.availableBytes ?? 0, waiting, error.message]
    }
  }
}
