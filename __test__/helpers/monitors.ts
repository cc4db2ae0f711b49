import { MemoryBudget, type MemoryMonitor, type MonitorSample } from 'plimsoll'

/** As often as the tests want samples. */
export const often = { intervalMs: 20 } as const

const budgets = new Set<MemoryBudget>()

/**
 * Keeps a budget, which keeps its monitor. A test that waits for an event of one has it in a variable, but for the engine
 * nothing refers to that test any more than the listener does: both would be collected.
 */
export function kept(budget: MemoryBudget): MemoryBudget {
  budgets.add(budget)
  return budget
}

/** A budget over this machine that no other test counts in. */
export const wide = (): MemoryBudget => kept(MemoryBudget.forThisMachine({ isolated: true }))

/** The sample of the next event of a kind. */
export const next = (
  monitor: MemoryMonitor,
  event: 'sample' | 'critical' | 'warning' | 'normal',
): Promise<MonitorSample> => new Promise<MonitorSample>((resolve) => monitor.once(event, resolve))
