import type { NativeRecord } from '../../binding.js'
import * as native from '../addon/native.js'
import { invalidArgument, quoted } from '../support/errors.js'

/** What happened: see the table in docs/profiling.md. */
export type ProfileEventKind =
  | 'held'
  | 'grant'
  | 'release'
  | 'refusal'
  | 'commit'
  | 'reuse'
  | 'return'
  | 'load-start'
  | 'load-end'
  | 'load-failed'
  | 'load-cancelled'

/** One event of a profile. */
export interface ProfileEvent {
  /** When it happened, in milliseconds since the profile was started. Never less than that of the event before. */
  timeMs: number
  /** What happened. */
  kind: ProfileEventKind
  /** The number of the allocation, of the request that was refused, or of the load. */
  id: number
  /** Its label; of a load, the path of its file. At most 1024 bytes of it are kept. */
  label: string
  /** The bytes it is about. */
  sizeBytes: number
  /** Bytes of all live allocations after it. */
  allocatedBytes: number
  /** The system's number of the thread it happened on. */
  threadId: number
  /** Who asked, innermost frame first, a line each; only with the option `stacks`. */
  stack?: string
}

/** What the allocations under one label came to. */
export interface LabelTotals {
  /** The label. */
  label: string
  /** Bytes live at last. */
  liveBytes: number
  /** Allocations live at last. */
  liveCount: number
  /** The most bytes that were live at once. */
  peakBytes: number
  /** Bytes granted in all, those live at the start among them. */
  grantedBytes: number
  /** Allocations granted in all, those live at the start among them. */
  grantedCount: number
  /** Bytes refused. */
  refusedBytes: number
  /** Requests refused. */
  refusedCount: number
}

/** An allocation that is live. */
export interface LiveAllocation {
  /** Its number, the `id` of its events. */
  id: number
  /** The label it was taken under. */
  label: string
  /** Its size, in bytes. */
  sizeBytes: number
  /** How much of it has really been taken, as its holder said, in bytes; absent when it never did. */
  committedBytes?: number
  /** The time since it was granted, in milliseconds. */
  ageMs: number
  /** The system's number of the thread it was granted on; absent for one granted before a profile was started. */
  threadId?: number
  /** Who asked, innermost frame first, a line each; only with the option `stacks`. */
  stack?: string
}

/** A thread that appears in a profile. */
export interface ProfileThread {
  /** The system's number of the thread. */
  id: number
  /** Its name: `main` for the process's first. */
  name: string
}

/** What a profile tells beside its events. */
export interface ProfileReport {
  /** When it was started, in milliseconds since 1970; 0 if it never was. */
  startTimeMs: number
  /** How long it ran, in milliseconds. */
  durationMs: number
  /** Events recorded in all. */
  eventCount: number
  /** Events that made room for newer ones. */
  droppedCount: number
  /** Bytes of what is live. */
  allocatedBytes: number
  /** The most bytes that were live at once since the start. */
  peakBytes: number
  /** The totals by label, most granted first. They cover events that were dropped too. */
  labels: LabelTotals[]
  /** What is live, oldest first. */
  live: LiveAllocation[]
  /** The threads that appear in it. */
  threads: ProfileThread[]
}

/** All of a profile, as it is exported. */
export interface ProfileRecord extends ProfileReport {
  /** The events that are kept, oldest first. */
  events: ProfileEvent[]
}

/** All of a profile, as a {@link ProfileWriter} gets it: what is listed is made as it is gone over, as often as that is. */
export interface ProfileRows extends Omit<ProfileReport, 'labels' | 'live'> {
  /** The totals by label, most granted first. */
  labels: Iterable<LabelTotals>
  /** What is live, oldest first. */
  live: Iterable<LiveAllocation>
  /** The events that are kept, oldest first. */
  events: Iterable<ProfileEvent>
}

/** What was recorded by a profile that never ran. */
export const nothing: ProfileRecord = {
  startTimeMs: 0,
  durationMs: 0,
  eventCount: 0,
  droppedCount: 0,
  allocatedBytes: 0,
  peakBytes: 0,
  labels: [],
  live: [],
  threads: [],
  events: [],
}

/** Every kind, in the order in which the addon's events refer to them. */
const kinds: readonly ProfileEventKind[] = native.eventKinds()

/** What profiles gave. */
const given = new WeakSet<object>([nothing])

/** Expects the rows of a profile, which are whole and hold what their types say. */
export function expectRows(name: string, rows: unknown): asserts rows is ProfileRows {
  if (given.has(rows as object)) return
  throw invalidArgument(name, 'what a MemoryProfile gives its writer', quoted(rows))
}

/** Reads the columns of the addon, whose rows `src/profile/memory_profile.rs` describes. */
export function decode(record: NativeRecord): ProfileRecord {
  const rows = rowsOf(record)
  return { ...rows, labels: [...rows.labels], live: [...rows.live], events: [...rows.events] }
}

/** The same, a row at a time. */
export function rowsOf(record: NativeRecord): ProfileRows {
  const { startedMs, durationMs, eventCount, droppedCount, allocatedBytes, peakBytes } = record
  const text = (place: number): string => record.texts[place] as string
  const decoded: ProfileRows = {
    startTimeMs: startedMs,
    durationMs,
    eventCount,
    droppedCount,
    allocatedBytes,
    peakBytes,
    labels: rows(record.labels, 8, (cell) => labelOf(cell, text)),
    live: rows(record.live, 7, (cell) => liveOf(cell, text)),
    threads: record.threads.map(({ id, name }) => ({ id, name: id === process.pid ? 'main' : name })),
    events: rows(record.events, 8, (cell) => eventOf(cell, text)),
  }
  given.add(decoded)
  return decoded
}

/** The text at a place of the list. */
type Text = (place: number) => string

/** The number in a column of the row that is being read. */
type Cell = (column: number) => number

const rows = <T>(numbers: Float64Array, width: number, read: (cell: Cell) => T): Iterable<T> => ({
  *[Symbol.iterator]() {
    let start = 0
    const cell: Cell = (column) => numbers[start + column] as number
    for (; start < numbers.length; start += width) yield read(cell)
  },
})

function eventOf(cell: Cell, text: Text): ProfileEvent {
  const event: ProfileEvent = {
    timeMs: cell(0),
    kind: kinds[cell(1)] as ProfileEventKind,
    id: cell(2),
    label: text(cell(3)),
    sizeBytes: cell(4),
    allocatedBytes: cell(5),
    threadId: cell(6),
  }
  if (cell(7) >= 0) event.stack = text(cell(7))
  return event
}

function labelOf(cell: Cell, text: Text): LabelTotals {
  return {
    label: text(cell(0)),
    liveBytes: cell(1),
    liveCount: cell(2),
    peakBytes: cell(3),
    grantedBytes: cell(4),
    grantedCount: cell(5),
    refusedBytes: cell(6),
    refusedCount: cell(7),
  }
}

function liveOf(cell: Cell, text: Text): LiveAllocation {
  return {
    id: cell(0),
    label: text(cell(1)),
    sizeBytes: cell(2),
    ...(cell(3) >= 0 && { committedBytes: cell(3) }),
    ageMs: cell(4),
    ...(cell(5) >= 0 && { threadId: cell(5) }),
    ...(cell(6) >= 0 && { stack: text(cell(6)) }),
  }
}
