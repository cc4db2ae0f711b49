import { MemoryBudget, type MemoryMonitor, type MonitorSample } from 'plimsoll'

/** As often as the tests want samples. */
export const often = { intervalMs: 20 } as const

/** A budget over this machine that no other test counts in. */
export const wide = (): MemoryBudget => MemoryBudget.forThisMachine({ isolated: true })

/** The sample of the next event of a kind. */
export const next = (
  monitor: MemoryMonitor,
  event: 'sample' | 'critical' | 'warning' | 'normal',
): Promise<MonitorSample> => new Promise<MonitorSample>((resolve) => monitor.once(event, resolve))
