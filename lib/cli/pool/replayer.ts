import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import {
  AbortError,
  InsufficientMemoryError,
  InvalidArgumentError,
  type MemoryPool,
  type PoolBuffer,
} from '../../index.js'
import { TraceError } from '../failure.js'
import type { Batch, TraceEvent, TraceFile, TraceRequest } from './trace-file.js'

/** Failures that are told one by one; all are counted. */
const MAX_FAILURES = 20

/** Events between two looks at the pool's figures, which take longer than an event. */
const LOOK_EVERY = 64

/** How a trace is run again. */
export interface ReplayOptions {
  signal: AbortSignal
  /** Events run at most. */
  atMost?: number | undefined
  /** Whether the pool is defragmented where no hole fits, before it takes a slab. */
  defragment?: boolean
  /** Whether buffers are called by their numbers in the trace. */
  labelled?: boolean
  /** Where the durations go. */
  timings?: Timings
}

/** How long operations took, in nanoseconds. */
export interface Timings {
  /** Allocations from the slabs held. */
  allocate: RecordableHistogram
  /** Allocations for which the pool had to do more than that. */
  grow: RecordableHistogram
  free: RecordableHistogram
}

export const newTimings = (): Timings => ({
  allocate: createHistogram(),
  grow: createHistogram(),
  free: createHistogram(),
})

/** A request that the pool refused. */
export interface Failure {
  /** Its line in the trace. */
  line: number
  requestedBytes: number
  alignBytes: number
  /** The largest hole as it was asked for. */
  largestFreeBytes: number
  heldBytes: number
  reason: string
}

/** What became of a trace. */
export interface Replayed {
  eventCount: number
  allocateCount: number
  freeCount: number
  /** Refusals and moves of the pool that was traced. */
  ignoredCount: number
  failureCount: number
  failures: Failure[]
  peakRequestedBytes: number
  peakSlabCount: number
  peakMetadataBytes: number
  worstFragmentationPercent: number
  /** Where fragmentation was at its worst. */
  worstFragmentationEvent: number
}

/** Runs the events of a trace on a pool, and releases what they left when it is disposed of. */
export class Replayer implements Disposable {
  readonly #pool: MemoryPool
  readonly #options: ReplayOptions
  /** What lives, by its number in the trace; `null` for what was refused here. */
  readonly #buffers = new Map<string, PoolBuffer | null>()
  #requestedBytes = 0
  readonly replayed: Replayed = {
    eventCount: 0,
    allocateCount: 0,
    freeCount: 0,
    ignoredCount: 0,
    failureCount: 0,
    failures: [],
    peakRequestedBytes: 0,
    peakSlabCount: 0,
    peakMetadataBytes: 0,
    worstFragmentationPercent: 0,
    worstFragmentationEvent: 0,
  }

  constructor(pool: MemoryPool, options: ReplayOptions) {
    this.#pool = pool
    this.#options = options
  }

  /**
   * Runs a trace to its end, or as far as it should go.
   *
   * @throws {@link TraceError} for a line that does not follow from those before it.
   * @throws {@link AbortError} when the signal aborts.
   */
  async run(trace: TraceFile, onBatch: (batch: Batch) => void): Promise<void> {
    for await (const batch of trace.batches()) {
      if (!(await this.#runBatch(batch))) break
      onBatch(batch)
    }
    this.#look()
  }

  /** Whether there is more to run. */
  async #runBatch({ events }: Batch): Promise<boolean> {
    const { signal, atMost = Number.POSITIVE_INFINITY } = this.#options
    if (signal.aborted) throw new AbortError(signal.reason)
    for (const event of events) {
      if (this.replayed.eventCount >= atMost) return false
      this.replayed.eventCount += 1
      // Most events wait for nothing, and must not pay for waiting.
      const pending = this.#runEvent(event)
      if (pending) await pending
      if (pending || this.replayed.eventCount % LOOK_EVERY === 0) this.#look()
    }
    return true
  }

  #runEvent(event: TraceEvent): Promise<void> | undefined {
    if (event.event === 'free') return this.#free(event)
    if (event.event === 'allocate' || event.event === 'present') return this.#allocate(event)
    this.replayed.ignoredCount += 1
    return undefined
  }

  #allocate(request: TraceRequest): Promise<void> | undefined {
    const { line, buffer } = request
    if (this.#buffers.has(buffer)) {
      throw new TraceError(line, 'an allocation under a number that is free', `buffer ${buffer}, which is live`)
    }
    this.replayed.allocateCount += 1
    const began = performance.now()
    const refusal = this.#held(request)
    if (refusal) return this.#grow(request, refusal, began)
    record(this.#options.timings?.allocate, began)
    return undefined
  }

  /** Allocates from the slabs held; the refusal, where they have no room. */
  #held(request: TraceRequest): Refusal | undefined {
    try {
      this.#enter(request, this.#pool.allocate(request.bytes, this.#placing(request)))
      return undefined
    } catch (error) {
      return refusalOf(error)
    }
  }

  async #grow(request: TraceRequest, refusal: Refusal, began: number): Promise<void> {
    // A request that no such pool serves is refused for good.
    const last = refusal instanceof InsufficientMemoryError ? await this.#moreHeld(request) : refusal
    record(this.#options.timings?.grow, began)
    if (last)
      this.#fail(request, refusal, last instanceof InsufficientMemoryError ? last.bindingConstraint : last.message)
  }

  /** Allocates with all that the pool can do; the refusal, where that was not enough. */
  async #moreHeld(request: TraceRequest): Promise<Refusal | undefined> {
    if (this.#options.defragment) {
      await this.#pool.defragment({ signal: this.#options.signal })
      if (!this.#held(request)) return undefined
    }
    const { signal } = this.#options
    try {
      this.#enter(request, await this.#pool.allocateAsync(request.bytes, { ...this.#placing(request), signal }))
      return undefined
    } catch (error) {
      return refusalOf(error)
    }
  }

  #placing({ alignBytes, placement, buffer }: TraceRequest) {
    return this.#options.labelled ? { alignBytes, placement, label: `buffer ${buffer}` } : { alignBytes, placement }
  }

  #enter({ buffer, bytes }: TraceRequest, made: PoolBuffer): void {
    this.#buffers.set(buffer, made)
    this.#requestedBytes += bytes
    this.replayed.peakRequestedBytes = Math.max(this.replayed.peakRequestedBytes, this.#requestedBytes)
  }

  /** Moves, and slabs released on the way, change the largest hole: that of the first refusal counts. */
  #fail({ line, buffer, bytes, alignBytes }: TraceRequest, first: Refusal, reason: string): void {
    this.#buffers.set(buffer, null)
    this.replayed.failureCount += 1
    const { failures } = this.replayed
    if (failures.length >= MAX_FAILURES) return
    const stats = this.#pool.stats()
    const { largestFreeBytes } = first instanceof InsufficientMemoryError ? first : stats
    failures.push({ line, requestedBytes: bytes, alignBytes, largestFreeBytes, heldBytes: stats.heldBytes, reason })
  }

  #free({ line, buffer: number }: { line: number; buffer: string }): undefined {
    const buffer = this.#buffers.get(number)
    if (buffer === undefined) throw new TraceError(line, 'the free of a live buffer', `buffer ${number}, which is none`)
    this.#buffers.delete(number)
    this.replayed.freeCount += 1
    if (buffer === null) return
    const began = performance.now()
    buffer.release()
    record(this.#options.timings?.free, began)
    this.#requestedBytes -= buffer.sizeBytes
  }

  /** Looks at figures whose extremes the pool does not keep. */
  #look(): void {
    const { fragmentationPercent, slabCount, metadataBytes } = this.#pool.stats()
    const { replayed } = this
    replayed.peakSlabCount = Math.max(replayed.peakSlabCount, slabCount)
    replayed.peakMetadataBytes = Math.max(replayed.peakMetadataBytes, metadataBytes)
    if (fragmentationPercent <= replayed.worstFragmentationPercent) return
    replayed.worstFragmentationPercent = fragmentationPercent
    replayed.worstFragmentationEvent = replayed.eventCount
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers.values()) buffer?.release()
  }
}

/** No to one request: for want of room, or since this pool has no such buffers. */
type Refusal = InsufficientMemoryError | InvalidArgumentError

function refusalOf(error: unknown): Refusal {
  if (error instanceof InsufficientMemoryError || error instanceof InvalidArgumentError) return error
  throw error
}

/** A histogram takes whole numbers from 1 up. */
function record(histogram: RecordableHistogram | undefined, began: number): void {
  histogram?.record(Math.max(Math.round((performance.now() - began) * 1e6), 1))
}
