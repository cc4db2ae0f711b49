import type { RoleLimit } from '../../binding.js'
import * as native from '../addon/native.js'
import * as check from '../support/check.js'
import { call } from '../support/errors.js'
import type { PlanMode } from './types.js'

export type { RoleLimit } from '../../binding.js'

/** What {@link recommendLimits} takes. */
export interface RecommendLimitsOptions {
  /** Share of the memory that is left alone, in percent, 0 to below 100. 15 by default. */
  safetyMarginPercent?: number
  /** What is left free before each load, in bytes. 2 GiB by default, or an eighth of a memory below 16 GiB. */
  headroomBytes?: number
}

/** The modes that a plan may have. */
export const planModes: readonly PlanMode[] = Object.freeze(native.planModes())

/**
 * Limits for the roles of a mode that pass on a memory of so many bytes: together they are at most what is usable.
 *
 * @throws {@link InvalidArgumentError} for an unfit argument.
 * @example
 * recommendLimits('matrix', 32 * GiB) // 7, 9 and 10.5 GiB for subject, observer and god
 */
export function recommendLimits(mode: PlanMode, totalBytes: number, options?: RecommendLimitsOptions): RoleLimit[] {
  const checked = check.options<RecommendLimitsOptions>(options, {
    safetyMarginPercent: check.percent,
    headroomBytes: (name, value) => check.bytes(name, value),
  })
  const memory = check.own({ ...checked, totalBytes: check.bytes('totalBytes', totalBytes, 1) })
  const known = check.oneOf('mode', mode, planModes)
  return call(() => native.recommendedLimits(known, memory))
}
