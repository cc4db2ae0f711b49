import { type Plan, type PlanReport, validatePlan } from '../../index.js'

/** A plan that may be run. */
export interface Runnable {
  /** Of all of it together. */
  report: PlanReport
  /** Whether it fits: all of it, in its order or in the best one, or in turns. */
  passes: boolean
  /** Whether instances that are started at a connection take turns, as not all of them fit together. */
  takesTurns: boolean
}

/**
 * Whether a plan may be run: all of it together, or those that always run and each one beside them that is started at a connection,
 * which then take turns.
 */
export function runnable(plan: Plan): Runnable {
  const report = validatePlan(plan)
  if (fits(report)) return { report, passes: true, takesTurns: false }
  const { instances = {} } = plan
  const all = Object.entries(instances)
  const listeners = all.filter(([, { command, listen }]) => command !== undefined && listen !== undefined)
  if (plan.mode !== undefined || listeners.length < 2) return { report, passes: false, takesTurns: false }
  const always = all.filter((entry) => !listeners.includes(entry))
  try {
    const passes = listeners.every((listener) => {
      // The very object that was read: it is known which file it is of.
      plan.instances = Object.fromEntries([...always, listener])
      return fits(validatePlan(plan))
    })
    return { report, passes, takesTurns: passes }
  } finally {
    plan.instances = instances
  }
}

const fits = ({ bestOrderPeakBytes, usableBytes }: PlanReport): boolean => bestOrderPeakBytes <= usableBytes
