import {
  type Admission,
  formatBytes,
  type Headroom,
  type LedgerHolder,
  type LedgerOptions,
  type LineTerm,
  type MemoryBudget,
  type MemoryLevel,
  type MemoryManager,
  type MemoryMonitor,
  type PoolSnapshot,
  type Pressure,
  type ProcessInfo,
  type RefusedRequest,
  type WaitingRequest,
} from '../index.js'
import { isThisProcess } from '../ledger/beside.js'
import { byLabel } from '../metrics/manager.js'
import { type Room, roomOf } from '../metrics/room.js'
import { buffersOf, type DashboardBuffer, labelled, shownLabel, shownPools, shownText } from './bounded.js'

/** The figures of one moment that the chart draws. */
export interface DashboardMoment {
  /** Milliseconds since 1970. */
  timeMs: number
  /** The line, in bytes. */
  lineBytes: number
  /** What is granted under it, in bytes. */
  allocatedBytes: number
  /** What this machine can give, whatever the budget is of; absent where that cannot be measured. */
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

/** A process that holds memory. */
export interface DashboardProcess extends ProcessInfo {
  /** Whether it has this package loaded. */
  isLoaded: boolean
  /** What it holds of GPUs, in bytes; absent where no driver tells. */
  gpuBytes?: number
}

/** All that the pages show: each part is what the API gives. */
export interface DashboardState {
  /** The figures of now. */
  moment: DashboardMoment
  /** The time between two updates, in milliseconds. */
  intervalMs: number
  /** Whether a manager is shown. Without one there are no pools, and no refusals but those of the budget. */
  hasManager: boolean
  /** The level of the monitor; absent where none runs. */
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
  /** What is granted by label, the most first: at most 200, and what all others have together as the last, `(other)`. */
  labels: [label: string, bytes: number][]
  /** How many labels there are in all. */
  labelCount: number
  /** Who has this package loaded, and who else holds 1 % of the memory or some of a GPU: at most 50, the largest first. */
  processes: DashboardProcess[]
  /** The slabs of each pool. A slab of more than 1,000 blocks has none here, nor have those beyond 20,000 blocks in all. */
  pools: PoolSnapshot[]
  /** The largest buffers of all pools, at most 50. */
  buffers: DashboardBuffer[]
  /** How many buffers there are in all. */
  bufferCount: number
  /** Who waits in the queue. */
  waiting: WaitingRequest[]
  /** Who shares the ledger. */
  holders: readonly LedgerHolder[]
  /** Why the ledger cannot be read; absent where it can, and where there is none. */
  ledgerError?: string
  /** The latest first. */
  events: readonly DashboardEvent[]
  /** The latest first. */
  refusals: readonly RefusedRequest[]
}

/** What is shown. */
export interface Sources {
  budget: MemoryBudget
  manager: MemoryManager | undefined
  monitor: MemoryMonitor | undefined
  /** Where it is known who waits for bytes of the budget. */
  queue: Admission
  ledger: false | LedgerOptions | undefined
}

/** The figures of one moment, with what they were made from. */
interface Figures extends Room {
  moment: DashboardMoment
  waiting: WaitingRequest[]
}

/** Labels that a page shows at most. */
const MAX_LABELS = 200

/** @internal The figures of now. */
export function figuresOf({ budget, queue, ledger }: Sources): Figures {
  const room = roomOf(budget, ledger)
  const { lineBytes, allocatedBytes } = budget
  const waiting = labelled(queue.waiting())
  const binding = shownText(bindingOf(budget, { ...room, waiting }))
  const { headroom } = room
  const moment = { timeMs: Date.now(), lineBytes, allocatedBytes, ...(headroom && { headroomBytes: headroom.bytes }) }
  return { ...room, moment: { ...moment, binding }, waiting }
}

/** @internal Everything as it is now, with what is known already. */
export function stateOf(
  sources: Sources,
  known: Pick<DashboardState, 'intervalMs' | 'processes' | 'pressure' | 'events' | 'refusals'>,
) {
  const { budget, manager, monitor } = sources
  const { headroom, hasLedger: _, ...figures } = figuresOf(sources)
  const open = manager?.closed === false ? manager : undefined
  const { labels, labelCount } = byLabel(budget, MAX_LABELS)
  const pools = open ? [...open.pools].map((pool) => pool.snapshot()) : []
  const state: DashboardState = {
    ...figures,
    hasManager: manager !== undefined,
    ...(monitor?.running && { level: monitor.level }),
    peakBytes: budget.peakBytes,
    terms: budget.terms.sort((a, b) => a.bytes - b.bytes),
    ...(headroom && { headroom }),
    labels: labels.map(([label, bytes]) => [shownLabel(label), bytes]),
    labelCount,
    pools: shownPools(pools),
    ...buffersOf(pools),
    ...known,
  }
  return state
}

/** What leaves no more to be granted, in words: the least of the rooms, or who it is kept for. */
function bindingOf(
  budget: MemoryBudget,
  { availableBytes, headroom, waiting, holders, ledgerError }: Omit<Figures, 'moment'>,
): string {
  const { lineAvailableBytes } = budget
  const rooms: [bytes: number, what: string][] = [[lineAvailableBytes, budget.bindingTerm.description]]
  // Where all that the line leaves can be granted, nothing else is asked.
  if (headroom && availableBytes < lineAvailableBytes) rooms.push([headroom.bytes, headroom.bindingTerm.description])
  if (holders.length > 0) {
    const heldBytes = holders.reduce((sum, holder) => sum + holder.heldBytes, 0)
    rooms.push([budget.boardLineBytes - heldBytes, 'what the processes hold that share the ledger'])
  }
  const [leastBytes, what] = rooms.reduce((least, room) => (room[0] < least[0] ? room : least))
  if (availableBytes > 0 || leastBytes <= 0) return what
  if (ledgerError !== undefined) return 'the ledger, which cannot be read'
  return keptFor(leastBytes, waiting, holders) ?? what
}

/** Who what is left is kept for, if somebody waits. */
function keptFor(bytes: number, waiting: readonly WaitingRequest[], holders: readonly LedgerHolder[]) {
  const elsewhere = holders.find((holder) => !isThisProcess(holder) && (holder.waiting?.keptBytes ?? 0) > 0)
  // What another process keeps may be all that there is; a request of this one may wait behind that, and keep nothing.
  const isAllKept = (elsewhere?.waiting?.keptBytes ?? 0) >= bytes
  const first = isAllKept ? undefined : waiting[0]
  const wanted = first ?? elsewhere?.waiting
  if (!wanted) return undefined
  const whose = first ? `for "${first.label}"` : `for a request of ${elsewhere?.name}`
  return `the queue: ${formatBytes(bytes)} are kept ${whose}, which waits for ${formatBytes(wanted.bytes)}`
}
