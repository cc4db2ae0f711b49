import { refusedWith } from '../budget/refusals.js'
import type { RefusalNotice, RefusedRequest } from '../index.js'
import * as check from '../support/check.js'

const codes: readonly unknown[] = [
  'ERR_INSUFFICIENT_MEMORY',
  'ERR_NEVER_FITS',
  'ERR_TIMEOUT',
  'ERR_BUSY',
] satisfies RefusalNotice['error']['code'][]

/** @internal An error as it is shown among the refusals; nothing of what is none. It may be another copy's, or look like one. */
export function refusalOf(error: unknown): RefusedRequest | undefined {
  if (!check.isObject(error) || !check.canBeAsked(error)) return undefined
  // What is busy, but no queue, was not asked for memory.
  const { code, requestedBytes } = error as Partial<RefusalNotice['error']>
  if (!codes.includes(code) || requestedBytes === undefined) return undefined
  return { timeMs: Date.now(), ...refusedWith(error as unknown as RefusalNotice['error']) }
}
