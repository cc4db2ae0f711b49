import { type MemoryBudget, refusedBy } from './budget.js'
import { gettingByRefusals } from './refusals.js'

/** Runs what may get by a refusal, and publishes what it is refused with in the end. */
export function refusable<T>(budget: MemoryBudget | undefined, run: () => T): T {
  try {
    return gettingByRefusals(run)
  } catch (error) {
    throw refusedBy(budget, error)
  }
}
