import { refusedWith } from '../budget/refusals.js'
import type { RefusalNotice, RefusedRequest } from '../index.js'
import * as check from '../support/check.js'
import { shownLabel, shownText } from './bounded.js'

const codes: readonly unknown[] = [
  'ERR_INSUFFICIENT_MEMORY',
  'ERR_NEVER_FITS',
  'ERR_TIMEOUT',
  'ERR_BUSY',
] satisfies RefusalNotice['error']['code'][]

/** What every refusal tells; what is busy, but no queue, was not asked for memory and has none of it. */
const isRefusal = (error: unknown): error is RefusalNotice['error'] => {
  if (!check.isObject(error)) return false
  const { code, label, requestedBytes, availableBytes } = error as Partial<RefusalNotice['error']>
  return codes.includes(code) && typeof label === 'string' && isSize(requestedBytes) && isSize(availableBytes)
}

const isSize = (value: unknown): boolean => Number.isFinite(value) && (value as number) >= 0

/** @internal An error as it is shown among the refusals; nothing of what is none. It may be another copy's, or look like one. */
export function refusalOf(error: unknown): RefusedRequest | undefined {
  try {
    if (!isRefusal(error)) return undefined
    const { label, bindingConstraint, suggestion, ...refused } = refusedWith(error)
    const texts = { bindingConstraint: shownText(bindingConstraint), suggestion: shownText(suggestion) }
    return { timeMs: Date.now(), ...refused, label: shownLabel(label), ...texts }
  } catch {
    // What throws as it is read is no error of this package's.
    return undefined
  }
}
