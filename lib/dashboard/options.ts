import { type LedgerChoice, type MemoryBudget, type MemoryManager, MemoryMonitor } from '../index.js'
import { metricsChecks } from '../metrics/options.js'
import * as check from '../support/check.js'

/** What a dashboard shows, and where. */
export interface DashboardOptions {
  /** Whose budget, queue, pools and monitor are shown. None by default: the machine alone. */
  manager?: MemoryManager
  /** The budget that is shown. That of `manager` by default, else one of this machine. */
  budget?: MemoryBudget
  /** Whose level and events are shown. That of `manager` by default. */
  monitor?: MemoryMonitor
  /**
   * A ledger to survey, by its name or its options; `true` for the one of the whole board, `false` for none. By default the one
   * that the budget shares, if it shares one.
   */
  ledger?: LedgerChoice
  /** The port of this machine's loopback, 127.0.0.1. 0 by default: any that is free. */
  port?: number
  /** The time between two updates of the pages, in milliseconds, from 100 to 60,000. 1000 by default. */
  intervalMs?: number
  /** How long a link may be opened that was not, in milliseconds, up to a day. 600,000 by default. */
  linkMs?: number
}

const { manager, budget, ledger } = metricsChecks

/** @internal */
export const dashboardChecks = {
  manager,
  budget,
  monitor: (name: string, value: unknown) => check.instance(name, value, MemoryMonitor),
  ledger,
  port: (name: string, value: unknown) => check.integer(name, value, 0, 65_535),
  intervalMs: (name: string, value: unknown) => check.integer(name, value, 100, 60_000),
  linkMs: (name: string, value: unknown) => check.integer(name, value, 1, 86_400_000),
} as const
