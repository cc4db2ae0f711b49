import { expectRows, type LiveAllocation, type ProfileEvent, type ProfileRows } from '../profile/record.js'
import { jsonPieces } from '../support/json.js'
import base from './base.css?text'
import { filledIn, sourceOf } from './html.js'
import type { PageData, Place } from './profile/data.js'
import own from './profile/page.css?text'
import template from './profile/page.html?text'
import script from './profile/page.js?script'

const style = `${base}\n${own}`

/** Steps of the chart over time at most. */
const MAX_STEPS = 600

/** Places that live allocations came from, shown at most. */
const MAX_PLACES = 500

/** Rows gone over before others get their turn. */
const ROWS_A_TURN = 10_000

/** Stands in the page where its data will. */
const DATA = '\u0000'

/**
 * Writes a profile as one page with a flame graph by label, which needs nothing but a browser: for `export` and `save` of a
 * `MemoryProfile`. Nothing outside of it is loaded, and nothing in it is run but its own script, whatever the labels say: they
 * travel as JSON, and the policy names the script and the style by their hashes.
 *
 * @throws `InvalidArgumentError` when `rows` are not what a `MemoryProfile` gives its writer.
 * @example
 * await manager.profile.save('profile.html', profilePage)
 */
export function profilePage(rows: ProfileRows): Generator<string> {
  expectRows('rows', rows)
  return pieces(rows)
}

function* pieces(rows: ProfileRows): Generator<string> {
  const page = filledIn(template, {
    policy: `default-src 'none'; style-src ${sourceOf(style)}; script-src ${sourceOf(script)}`,
    style,
    script,
    data: DATA,
  })
  const [head = '', tail = ''] = page.split(DATA)
  const data = yield* dataOf(rows)
  yield head
  // Nothing in it ends the element that holds it.
  for (const piece of jsonPieces(data)) yield piece.replaceAll('<', '\\u003c')
  yield tail
}

/** What is drawn. Pieces without a text are given out while it is worked out. */
function* dataOf({ labels, live, events, threads: _, ...figures }: ProfileRows): Generator<string, PageData> {
  const places = yield* placesOf(live)
  const stepMs = Math.max(figures.durationMs / MAX_STEPS, 1e-3)
  return {
    ...figures,
    labels: Array.from(labels, (totals) => [
      totals.label,
      totals.liveBytes,
      totals.peakBytes,
      totals.grantedBytes,
      totals.liveCount,
      totals.grantedCount,
      totals.refusedCount,
    ]),
    stepMs,
    steps: yield* stepsOf(events, stepMs),
    places: places.slice(0, MAX_PLACES),
    hiddenPlaceCount: Math.max(places.length - MAX_PLACES, 0),
  }
}

function* placesOf(live: Iterable<LiveAllocation>): Generator<string, Place[]> {
  const places = new Map<string, Place>()
  let count = 0
  for (const { label, stack = '', sizeBytes, ageMs } of live) {
    const key = JSON.stringify([label, stack])
    const place = places.get(key) ?? { label, stack, count: 0, bytes: 0, oldestMs: 0 }
    place.count += 1
    place.bytes += sizeBytes
    place.oldestMs = Math.max(place.oldestMs, ageMs)
    places.set(key, place)
    if (++count % ROWS_A_TURN === 0) yield ''
  }
  return [...places.values()].sort((a, b) => b.bytes - a.bytes)
}

/** What was allocated over time, in equal steps; those in which nothing happened are left out. */
function* stepsOf(events: Iterable<ProfileEvent>, stepMs: number): Generator<string, [number, number, number][]> {
  const steps = new Map<number, [number, number, number]>()
  let count = 0
  for (const { timeMs, allocatedBytes } of events) {
    const number = Math.floor(timeMs / stepMs)
    const highest = Math.max(steps.get(number)?.[1] ?? 0, allocatedBytes)
    steps.set(number, [number * stepMs, highest, allocatedBytes])
    if (++count % ROWS_A_TURN === 0) yield ''
  }
  return [...steps.values()]
}
