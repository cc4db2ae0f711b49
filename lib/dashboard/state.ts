import {
  type Headroom,
  type LedgerHolder,
  type LedgerOptions,
  type LineTerm,
  type MemoryBudget,
  type MemoryLevel,
  type MemoryManager,
  type PoolSnapshot,
  type Pressure,
  type ProcessInfo,
  processes,
  signals,
  type WaitingRequest,
} from '../index.js'
import { holdersOf } from '../metrics/machine.js'
import { byLabel } from '../metrics/manager.js'

/** The figures of one moment that the chart draws. */
export interface DashboardMoment {
  /** Milliseconds since 1970. */
  timeMs: number
  /** The line, in bytes. */
  lineBytes: number
  /** What is granted under it, in bytes. */
  allocatedBytes: number
  /** Absent where the budget is not of this machine, or it cannot be measured. */
  headroomBytes?: number
  /** The bound with the least room, in words. */
  binding: string
}

/** Something that happened. */
export interface DashboardEvent {
  /** Milliseconds since 1970. */
  timeMs: number
  /** What it was: an event of the monitor. */
  kind: 'normal' | 'warning' | 'critical' | 'pressure' | 'kill' | 'unavailable'
  /** The same for people. */
  text: string
}

/** A request that was refused, with what to do about it. */
export interface DashboardRefusal {
  /** Milliseconds since 1970. */
  timeMs: number
  /** What it was for. */
  label: string
  /** What was asked for, in bytes. */
  requestedBytes: number
  /** What there was, in bytes. */
  availableBytes: number
  /** The term that drew the line, in words. */
  bindingConstraint: string
  /** What to do about it. */
  suggestion: string
}

/** All that the pages show: each part is what the API gives. */
export interface DashboardState {
  /** The figures of now. */
  moment: DashboardMoment
  /** The level of the manager's monitor; absent where none runs. */
  level?: MemoryLevel
  /** What could be granted now, in bytes. */
  availableBytes: number
  /** The most that was granted at once, in bytes. */
  peakBytes: number
  /** The bounds of the line, the lowest first. */
  terms: LineTerm[]
  /** What the machine can give now, with its terms; absent where that cannot be measured. */
  headroom?: Headroom
  /** How long tasks stood still for want of memory; absent where the kernel does not tell. */
  pressure?: Pressure
  /** What is granted by label, the most first. */
  labels: [label: string, bytes: number][]
  /** Every process that has this package loaded. */
  processes: ProcessInfo[]
  /** The slabs of each pool. */
  pools: PoolSnapshot[]
  /** Who waits in the queue. */
  waiting: WaitingRequest[]
  /** Who shares the ledger. */
  holders: readonly LedgerHolder[]
  /** The latest first. */
  events: readonly DashboardEvent[]
  /** The latest first. */
  refusals: readonly DashboardRefusal[]
}

/** What is shown. */
export interface Sources {
  budget: MemoryBudget
  manager: MemoryManager | undefined
  ledger: false | LedgerOptions | undefined
  events: readonly DashboardEvent[]
  refusals: readonly DashboardRefusal[]
}

/** Labels that a page shows at most. */
const MAX_LABELS = 200

/** Blocks of a slab that are sent at most; one with more is its sums alone. */
const MAX_BLOCKS = 1000

/** @internal The figures of now. */
export function momentOf(budget: MemoryBudget): DashboardMoment {
  const headroom = headroomOf(budget)
  const { lineBytes, allocatedBytes } = budget
  return {
    timeMs: Date.now(),
    lineBytes,
    allocatedBytes,
    ...(headroom && { headroomBytes: headroom.bytes }),
    binding: headroom?.bindingTerm.description ?? budget.bindingTerm.description,
  }
}

/** @internal Everything as it is now. */
export async function stateOf({ budget, manager, ledger, events, refusals }: Sources): Promise<DashboardState> {
  const moment = momentOf(budget)
  const headroom = headroomOf(budget)
  const { pressure } = signals()
  const open = manager?.closed === false ? manager : undefined
  return {
    moment,
    ...(open?.monitor.running && { level: open.monitor.level }),
    availableBytes: budget.availableBytes,
    peakBytes: budget.peakBytes,
    terms: budget.terms.sort((a, b) => a.bytes - b.bytes),
    ...(headroom && { headroom }),
    ...(pressure && { pressure }),
    labels: byLabel(budget, MAX_LABELS),
    processes: await processes({ loaded: true }),
    pools: open ? [...open.pools].map((pool) => bounded(pool.snapshot())) : [],
    waiting: open ? open.admission.waiting() : [],
    holders: holdersOf(budget, ledger),
    events,
    refusals,
  }
}

const bounded = (pool: PoolSnapshot): PoolSnapshot => ({
  ...pool,
  slabs: pool.slabs.map((slab) => (slab.blocks.length > MAX_BLOCKS ? { ...slab, blocks: [] } : slab)),
})

/** None of a budget of numbers, nor where the system does not tell. */
function headroomOf(budget: MemoryBudget): Headroom | undefined {
  try {
    return budget.headroom()
  } catch {
    return undefined
  }
}
