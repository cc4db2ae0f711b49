import type { Fit, FitOptions } from '../estimate/fit.js'
import { type InsufficientMemoryError, insufficientMemory } from '../support/errors.js'

/** Tokens of a slot, where there is a limit for those of all. */
export function contextOf(maxCacheTokens: number, { parallel = 1 }: FitOptions): number {
  const slots = typeof parallel === 'number' ? parallel : (parallel[0] ?? 1)
  return Math.max(1, Math.floor(maxCacheTokens / slots))
}

export function refusalOf({ estimate, reasons }: Fit, availableBytes: number): InsufficientMemoryError {
  const { peakBytes } = estimate.totals
  const [reason = 'no configuration fits'] = reasons
  return insufficientMemory(
    'the model',
    peakBytes,
    availableBytes,
    // The message ends the sentence.
    reason.replace(/\.$/, ''),
    'Allow a shorter context, or a smaller type of the cache',
  )
}
