import type { RefusalNotice } from '../index.js'
import * as check from '../support/check.js'
import type { DashboardRefusal } from './state.js'

type Refused = RefusalNotice['error']

/** What is shown of each error, beside what all of them have. */
const shown: {
  readonly [C in Refused['code']]: (
    error: Extract<Refused, { code: C }>,
  ) => Omit<DashboardRefusal, 'timeMs' | 'requestedBytes'>
} = {
  ERR_INSUFFICIENT_MEMORY: ({ label, availableBytes, bindingConstraint, suggestion }) => ({
    label,
    availableBytes,
    bindingConstraint,
    suggestion,
  }),
  ERR_NEVER_FITS: ({ label, lineBytes, bindingConstraint, message }) => ({
    label,
    availableBytes: lineBytes,
    bindingConstraint,
    suggestion: message,
  }),
  ERR_TIMEOUT: ({ what, timeoutMs, availableBytes, reason }) => ({
    label: what,
    availableBytes,
    bindingConstraint: `not within ${timeoutMs} ms`,
    suggestion: reason,
  }),
  ERR_BUSY: ({ label = '', availableBytes = 0, waitingCount, message }) => ({
    label,
    availableBytes,
    bindingConstraint: `${waitingCount} wait in the queue, as many as may`,
    suggestion: message,
  }),
}

/** @internal An error as it is shown among the refusals; nothing of what is none. It may be another copy's, or look like one. */
export function refusalOf(error: unknown): DashboardRefusal | undefined {
  if (!check.isObject(error) || !check.canBeAsked(error)) return undefined
  const { code, requestedBytes } = error as Partial<Refused>
  // What is busy, but no queue, was not asked for memory.
  if (typeof code !== 'string' || !Object.hasOwn(shown, code) || requestedBytes === undefined) return undefined
  const show = shown[code] as (error: unknown) => ReturnType<(typeof shown)['ERR_TIMEOUT']>
  const { label, availableBytes, bindingConstraint, suggestion } = show(error)
  return {
    timeMs: Date.now(),
    label: String(label),
    requestedBytes: Number(requestedBytes),
    availableBytes: Number(availableBytes),
    bindingConstraint: String(bindingConstraint),
    suggestion: String(suggestion),
  }
}
