import { jsonPieces, pause } from '../support/json.js'
import type { ProfileEvent, ProfileRows } from './record.js'

/**
 * An event of the Trace Event Format, which chrome://tracing and Perfetto read: "Trace Event Format", Google, sections
 * "Async Events", "Counter Events", "Instant Events" and "Metadata Events";
 * docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU. Times are microseconds.
 */
interface ChromeEvent {
  ph: 'b' | 'n' | 'e' | 'C' | 'i' | 'M'
  name: string
  pid: number
  tid: number
  ts: number
  cat?: string
  /** What belongs together, the allocation or the load, by a number of this process. */
  id2?: { local: string }
  /** How far an instant event reaches: its thread. */
  s?: 't'
  args?: Record<string, unknown>
}

const loadKinds = new Set<string>(['load-start', 'load-end', 'load-failed', 'load-cancelled'])

/** What an event is about: its begin, its end and what happens in between carry the same category and id. */
const subjectOf = ({ kind, id }: Pick<ProfileEvent, 'kind' | 'id'>) => ({
  cat: loadKinds.has(kind) ? 'load' : 'allocation',
  id2: { local: `0x${id.toString(16)}` },
})

const beginnings = new Set<string>(['held', 'grant', 'load-start'])
const endings = new Set<string>(['release', 'load-end', 'load-failed', 'load-cancelled'])
const changes = new Set<string>(['held', 'grant', 'release'])

/** Events gone over before others get their turn. */
const EVENTS_A_TURN = 10_000

/** The profile in the Trace Event Format, in pieces. */
export function toTrace(record: ProfileRows): Generator<string> {
  const { startTimeMs, durationMs, eventCount, droppedCount } = record
  const otherData = { startTime: new Date(startTimeMs).toISOString(), durationMs, eventCount, droppedCount }
  return jsonPieces({ displayTimeUnit: 'ms', otherData, traceEvents: traceEvents(record) })
}

function* traceEvents(record: ProfileRows): Generator<ChromeEvent | typeof pause> {
  yield { ph: 'M', name: 'process_name', pid: process.pid, tid: 0, ts: 0, args: { name: process.title } }
  for (const { id, name } of record.threads) {
    yield { ph: 'M', name: 'thread_name', pid: process.pid, tid: id, ts: 0, args: { name } }
  }
  yield* forgottenBeginnings(record)
  for (const event of record.events) yield* traced(event)
}

/** Where the ring has dropped the grant of what is seen to live or to end, it begins with the first event kept. */
function* forgottenBeginnings({ events, live }: ProfileRows): Generator<ChromeEvent | typeof pause> {
  const begun = new Set<number>()
  let first: number | undefined
  let count = 0
  for (const { kind, id, timeMs } of events) {
    first ??= timeMs
    if (beginnings.has(kind)) begun.add(id)
    if (++count % EVENTS_A_TURN === 0) yield pause
  }
  const timeMs = first ?? 0
  const seen = new Map<number, ProfileEvent>()
  const since = { kind: 'grant', timeMs, allocatedBytes: 0 } as const
  for (const { committedBytes, ageMs, ...rest } of live) {
    if (!begun.has(rest.id)) seen.set(rest.id, { threadId: 0, ...rest, ...since })
    if (++count % EVENTS_A_TURN === 0) yield pause
  }
  for (const event of events) {
    if (endings.has(event.kind) && !begun.has(event.id)) seen.set(event.id, { ...event, timeMs })
    if (++count % EVENTS_A_TURN === 0) yield pause
  }
  for (const event of seen.values()) yield spanned('b', event)
}

function traced(event: ProfileEvent): ChromeEvent[] {
  const { kind } = event
  if (kind === 'refusal') return [refused(event)]
  const phase = beginnings.has(kind) ? 'b' : endings.has(kind) ? 'e' : 'n'
  const span = spanned(phase, event)
  return changes.has(kind) ? [span, counted(event)] : [span]
}

const placeOf = ({ timeMs, threadId }: ProfileEvent) => ({ pid: process.pid, tid: threadId, ts: timeMs * 1000 })

function spanned(ph: 'b' | 'n' | 'e', event: ProfileEvent): ChromeEvent {
  const { kind, label, sizeBytes, stack } = event
  const name = ph === 'n' ? kind : label
  return { ph, name, ...placeOf(event), ...subjectOf(event), args: { kind, sizeBytes, ...(stack && { stack }) } }
}

function counted(event: ProfileEvent): ChromeEvent {
  return { ph: 'C', name: 'allocated', ...placeOf(event), args: { bytes: event.allocatedBytes } }
}

function refused(event: ProfileEvent): ChromeEvent {
  const { label, sizeBytes, stack } = event
  const args = { label, sizeBytes, ...(stack && { stack }) }
  return { ph: 'i', s: 't', cat: 'refusal', name: `refused: ${label}`, ...placeOf(event), args }
}
