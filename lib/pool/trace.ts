import type { NativeTrace } from '../../binding.js'
import type { MemoryPoolOptions } from './options.js'

/** What happened to a pool. */
export interface PoolTrace {
  /** Events that were recorded. */
  eventCount: number
  /** Events beyond the trace's capacity, and those beyond what the text can hold; they are not in it. */
  droppedCount: number
  /**
   * JSON lines: a header with the pool's device, label and {@link PoolSettings}, then a line for each event: `event` (`"present"`,
   * `"allocate"`, `"free"`, `"refuse"` or `"move"`), `atUs` since the start, `buffer`, `bytes`, and of an allocation
   * `alignBytes` and `placement`. It holds as many whole lines as the longest string of JavaScript's, half a gibibyte: about
   * five million events.
   */
  text: string
}

/** How the slabs of a pool are taken and divided, as far as the pool was told. */
export type PoolSettings = Pick<
  MemoryPoolOptions,
  'slabBytes' | 'initialBytes' | 'maxBytes' | 'maxCachedBytes' | 'pageBytes' | 'dedicated'
>

/** Of a pool, what its trace is headed by. */
interface Traced {
  readonly device: { readonly name: string }
  readonly label: string
}

/** @internal */
export function traceOf(trace: NativeTrace, pool: Traced, settings: PoolSettings): PoolTrace {
  const { lines, eventCount, droppedCount } = trace
  const header = { plimsollTrace: 1, device: pool.device.name, label: pool.label, settings, droppedCount }
  return { eventCount, droppedCount, text: `${JSON.stringify(header)}\n${lines}` }
}
