import { promisify } from 'node:util'
import { type ChunkPlace, TensorChunk, type TensorOutput } from './chunk.js'
import { AbortError, fromNative } from './errors.js'
import type { NativeStream, NativeUnit } from './native.js'

/** How far a load has come. */
export interface LoadProgress {
  /** The tensor just read. */
  tensor: string
  /** Chunks delivered so far. */
  chunks: number
  /** Stored bytes read so far. */
  loadedBytes: number
  /** Stored bytes to be read in all. */
  totalBytes: number
}

/** What a load tells and listens to while it runs. */
export interface LoadControl {
  signal: AbortSignal | undefined
  onProgress: ((progress: LoadProgress) => void) | undefined
}

/** Loads in flight, so that whoever owns them can end them. */
export class Loads {
  readonly #sessions = new Set<Session>()

  add(session: Session): void {
    this.#sessions.add(session)
  }

  delete(session: Session): void {
    this.#sessions.delete(session)
  }

  /** Ends every load: whoever waits for one gets an AbortError caused by `reason`. Resolves when all have stopped. */
  async end(reason: unknown): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => session.end(reason)))
  }
}

/** A unit's chunks by place. Numbers come five a chunk from the addon, see `describe` in `src/stream.rs`. */
function places(unit: NativeUnit, names: (index: number) => string): ChunkPlace[] {
  const numbers = unit.describeChunks()
  const list: ChunkPlace[] = []
  for (let i = 0; i < numbers.length; i += 5) {
    const [index, elementStart, elementEnd, byteStart, byteEnd] = numbers.slice(i, i + 5) as [
      number,
      number,
      number,
      number,
      number,
    ]
    list.push({ tensor: names(index), elementStart, elementEnd, byteStart, byteEnd })
  }
  return list
}

/** A turn of the event loop, on which buffers detached before it return to their pool. */
const nextTurn = promisify(setImmediate)

/** A native stream under its caller's control: ended by its signal, its owner or the consumer's return. */
class Session {
  readonly #native: NativeStream
  readonly #loads: Loads
  readonly #signal: AbortSignal | undefined
  #ended: { reason: unknown } | undefined
  #pending: Promise<NativeUnit | null>

  constructor(native: NativeStream, loads: Loads, signal: AbortSignal | undefined) {
    this.#native = native
    this.#loads = loads
    this.#signal = signal
    loads.add(this)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (signal?.aborted) this.#onAbort()
    this.#pending = this.#request()
  }

  /** The next unit. The one after it is asked for at once, so that reading and consuming overlap. */
  async next(): Promise<NativeUnit | null> {
    this.check()
    try {
      const unit = await this.#pending
      this.check()
      if (unit !== null) this.#pending = this.#request()
      return unit
    } catch (error) {
      this.check()
      throw fromNative(error)
    }
  }

  /** Throws if the stream was ended. */
  check(): void {
    if (this.#ended) throw new AbortError(this.#ended.reason)
  }

  /** Ends the stream with a reason of its own, for whoever waits for it now or asks next. */
  async end(reason: unknown): Promise<void> {
    this.#ended ??= { reason }
    await this.close()
  }

  /** Ends the stream; resolves when the reader has stopped and the buffers given back are in their pool again. */
  async close(): Promise<void> {
    this.#native.cancel()
    this.#loads.delete(this)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    await this.#pending.catch(() => {})
    await this.#native.next().catch(() => {})
    await nextTurn()
  }

  #onAbort = (): void => {
    this.#ended ??= { reason: this.#signal?.reason }
    this.#native.cancel()
  }

  #request(): Promise<NativeUnit | null> {
    const unit = this.#native.next()
    unit.catch(() => {}) // Told when it is awaited; until then a rejection is not unhandled.
    return unit
  }
}

/** The chunks of a native stream, one at a time. */
export async function* chunks<As extends TensorOutput>(
  native: NativeStream,
  as: As,
  names: (index: number) => string,
  totalBytes: number,
  loads: Loads,
  control: LoadControl,
): AsyncGenerator<TensorChunk<As>, void, undefined> {
  const progress = reporter(totalBytes, control)
  const session = new Session(native, loads, control.signal)
  try {
    for (let unit = await session.next(); unit !== null; unit = await session.next()) {
      const buffers = unit.arrayBuffers()
      for (const [i, place] of places(unit, names).entries()) {
        session.check()
        const chunk = new TensorChunk(unit, buffers[i] as ArrayBuffer, as, place)
        try {
          progress(place)
          yield chunk
        } finally {
          chunk.release()
        }
      }
    }
  } finally {
    await session.close()
  }
}

/** Runs a native stream that fills a destination; after it settles nothing more is written there. */
export async function drain(
  native: NativeStream,
  names: (index: number) => string,
  totalBytes: number,
  loads: Loads,
  control: LoadControl,
): Promise<void> {
  const progress = reporter(totalBytes, control)
  const session = new Session(native, loads, control.signal)
  try {
    for (let unit = await session.next(); unit !== null; unit = await session.next()) {
      for (const place of places(unit, names)) progress(place)
    }
  } finally {
    await session.close()
  }
}

function reporter(totalBytes: number, { onProgress }: LoadControl): (place: ChunkPlace) => void {
  let chunks = 0
  let loadedBytes = 0
  return (place) => {
    chunks += 1
    loadedBytes += place.byteEnd - place.byteStart
    onProgress?.({ tensor: place.tensor, chunks, loadedBytes, totalBytes })
  }
}
