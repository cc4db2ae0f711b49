import { adviceOf, reportOf } from './advice.js'
import { type PlanReport, wrapReport } from './report.js'
import { type ResolvedPlan, resolvePlan } from './resolved.js'
import type { Plan } from './types.js'

/**
 * Whether everything that a plan has fits together, before anything of it starts: the sum of what is required, and every peak while one
 * of them is loaded, against the safe threshold. That it does not fit is no error: `passes` is false then, with the issues and what
 * would mend them.
 *
 * A path in a plan is seen from the folder of the file that it was read from by {@link readPlan}, else from the working directory.
 *
 * @throws {@link InvalidPlanError} with everything that is wrong where it is no plan, or names a model or a command that is not there.
 * @throws {@link IoError} where the memory of this machine cannot be read, if the plan is for it.
 * @example
 * const report = validatePlan({ mode: 'matrix', totalBytes: '32 GiB', instances: { god: { limitBytes: '12 GiB' } } })
 * if (!report.passes) console.log(`${report}`)
 */
export function validatePlan(plan: Plan): PlanReport {
  return reportOfPlan(resolvePlan(plan))
}

/** The report of a plan that was checked. */
export function reportOfPlan(resolved: ResolvedPlan): PlanReport {
  const found = reportOf(resolved.memory, resolved.instances)
  return wrapReport(found, resolved, adviceOf(found, resolved))
}
