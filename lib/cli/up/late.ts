import { formatBytes, TimeoutError } from '../../index.js'
import type { State } from './events.js'
import type { Settings } from './settings.js'

/** What who waits for an instance is told when it has waited for as long as it may. */
export function lateError(settings: Settings, state: State, availableBytes: number): TimeoutError {
  const { id, waitTimeoutMs, requiredBytes, loadBytes } = settings
  const requestedBytes = requiredBytes + loadBytes
  const reason = state === 'waiting' ? `it waits for ${formatBytes(requestedBytes)} in the ledger` : `it is ${state}`
  const message = `expected ${id} to take connections within ${waitTimeoutMs} ms, but ${reason}. Try again later`
  const details = { what: id, label: id, timeoutMs: waitTimeoutMs, requestedBytes, availableBytes, reason }
  return new TimeoutError('ERR_TIMEOUT', message, details)
}

/** A time for people. */
export const seconds = (ms: number): string =>
  ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`
