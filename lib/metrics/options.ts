import {
  InvalidArgumentError,
  type LedgerChoice,
  type LedgerOptions,
  MemoryBudget,
  MemoryManager,
  surveyLedger,
} from '../index.js'
import * as check from '../support/check.js'

/** What metrics are read from. */
export interface MetricsOptions {
  /** Whose budget, queue, pools, buffers and monitor are read. None by default: the machine alone. */
  manager?: MemoryManager
  /** The budget that is read. That of `manager` by default, else one of this machine. */
  budget?: MemoryBudget
  /**
   * A ledger to survey, by its name or its options; `true` for the one of the whole board, `false` for none. By default the one
   * that the budget shares, if it shares one. Where it cannot be read, nothing can be granted.
   */
  ledger?: LedgerChoice
  /** Whether every process that has this package loaded is read, not this one alone. False by default. */
  processes?: boolean
  /** Whether the driver is asked which processes hold memory of the GPUs. False by default. */
  gpuProcesses?: boolean
  /** How many labels of a budget have values of their own; the others are `(other)` together. 32 by default. */
  maxLabels?: number
}

/** The same, checked. */
export type CheckedMetricsOptions = Omit<MetricsOptions, 'ledger'> & { ledger?: false | LedgerOptions }

/** @internal */
export const managerOf = (name: string, value: unknown): MemoryManager => check.closable(name, value, MemoryManager)

/** @internal */
export const budgetOf = (name: string, value: unknown): MemoryBudget => check.instance(name, value, MemoryBudget)

/** Which ledger, as a survey takes it, which checks what is in it. One that cannot be read now may be later. */
function ledgerOf(name: string, value: unknown): false | LedgerOptions {
  const options = value === true ? {} : typeof value === 'string' ? { name: value } : value
  if (options === false) return false
  const expected = 'true, false, the name of a ledger, or its options'
  const own = check.own(check.object<LedgerOptions>(name, options, expected))
  try {
    surveyLedger(own)
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw error
  }
  return own
}

export const metricsChecks = {
  manager: managerOf,
  budget: budgetOf,
  ledger: ledgerOf,
  processes: check.boolean,
  gpuProcesses: check.boolean,
  maxLabels: (name: string, value: unknown) => check.integer(name, value, 1, 1000),
} as const
