import { BusyError, InsufficientMemoryError, NeverFitsError, TimeoutError } from '../support/errors.js'

/** What is published on the channel `plimsoll.refusal` of `node:diagnostics_channel`, in the thread that was refused. */
export interface RefusalNotice {
  /** What its caller gets; one who would wait for its turn gets the latter three. */
  error: InsufficientMemoryError | NeverFitsError | TimeoutError | BusyError
  /** Whether that budget refused, or one that shares what is allocated with it. */
  isOf: (budget: unknown) => boolean
}

const refusals: readonly unknown[] = [InsufficientMemoryError, NeverFitsError, TimeoutError]

/** What is busy is a matter of memory where it is a queue. */
const isRefusal = (error: unknown): error is RefusalNotice['error'] =>
  error instanceof Error &&
  (refusals.includes(error.constructor) || (error instanceof BusyError && error.waitingCount !== undefined))

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

/** Publishes an error that is a refusal, and returns it. */
export function published(error: unknown, isOf: (budget: unknown) => boolean): unknown {
  if (gettingBy > 0 || !isRefusal(error)) return error
  // Asked for when it is needed: loading the package does not wait for it.
  const { channel } = require('node:diagnostics_channel') as typeof import('node:diagnostics_channel')
  const notice: RefusalNotice = { error, isOf }
  channel('plimsoll.refusal').publish(notice)
  return error
}
