import { promisify } from 'node:util'
import type { NativeStream, NativeUnit } from '../addon/native.js'
import { type Abortion, onAbort } from '../support/abort.js'
import { AbortError, fromNative } from '../support/errors.js'
import { allSettled } from '../support/settle.js'
import { type ChunkPlace, chunkOver, type TensorChunk } from './chunk.js'
import type { TensorOutput } from './output.js'
import { type LoadControl, Reporter } from './progress.js'

/**
 * Loads in flight, so that whoever owns them can end them. They are held weakly: an iterator that was forgotten half
 * way is collected, and its reader ends with it.
 */
export class Loads {
  readonly #running = new Set<WeakRef<Load>>()
  #closed: unknown
  /** Tells of what a load is refused, and returns it. */
  readonly refused: (error: unknown) => unknown

  constructor(refused: (error: unknown) => unknown = (error) => error) {
    this.refused = refused
  }

  get size(): number {
    return this.#running.size
  }

  add(load: WeakRef<Load>): void {
    if (this.#closed) throw this.#closed
    this.#running.add(load)
  }

  delete(load: WeakRef<Load>): void {
    this.#running.delete(load)
  }

  /** Ends every load: whoever waits for one gets an AbortError caused by `reason`. Resolves when all have stopped. */
  async end(reason: unknown): Promise<void> {
    await allSettled([...this.#running].map(async (load) => load.deref()?.end(reason)))
  }

  /** Ends every load, and refuses those to come with the same reason. */
  async close(reason: Error): Promise<void> {
    this.#closed ??= reason
    await this.end(reason)
  }
}

/** What the loads of one signal share: however many listen to it, it has a single listener. */
interface Listening {
  readonly loads: Loads
  stop: () => void
  /** That it has aborted, or could not be listened to. */
  ended?: Abortion
}

const listening = new WeakMap<AbortSignal, Listening>()

/** Ends `load` when the signal aborts, at once if it has; the function returned undoes that. */
function listen(signal: AbortSignal, load: WeakRef<Load>): () => void {
  const entry = listening.get(signal) ?? startListening(signal)
  entry.loads.add(load)
  if (entry.ended) load.deref()?.abort(entry.ended.reason)
  return () => {
    entry.loads.delete(load)
    if (entry.loads.size === 0) entry.stop()
  }
}

function startListening(signal: AbortSignal): Listening {
  const entry: Listening = { loads: new Loads(), stop: () => {} }
  const unlisten = onAbort(signal, (reason) => {
    entry.ended ??= { reason }
    entry.loads.end(reason).catch(() => {}) // Each load tells its consumer.
  })
  entry.stop = () => {
    unlisten()
    if (listening.get(signal) === entry) listening.delete(signal)
  }
  if (!entry.ended) listening.set(signal, entry)
  return entry
}

/** A unit's chunks by place. Numbers come five a chunk from the addon, see `describe` in `src/loader/stream.rs`. */
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

/** Forgets a load that was collected before it was closed. */
const forgotten = new FinalizationRegistry<() => void>((forget) => forget())

/** A native stream under its caller's control: ended by its signal, its owner or the consumer's return. */
class Load {
  readonly #native: NativeStream
  readonly #refused: Loads['refused']
  readonly #forget: () => void
  #ended: { reason: unknown } | undefined
  #pending: Promise<NativeUnit | null>

  constructor(native: NativeStream, loads: Loads, signal: AbortSignal | undefined) {
    this.#native = native
    this.#refused = loads.refused
    this.#pending = Promise.resolve(null)
    const self = new WeakRef(this)
    let unlisten = () => {}
    this.#forget = () => {
      loads.delete(self)
      unlisten()
    }
    loads.add(self)
    forgotten.register(this, this.#forget, this)
    // Whatever the signal does meanwhile, closing the owner among it, meets a load that is whole.
    if (signal) unlisten = listen(signal, self)
    if (!this.#ended) this.#pending = this.#request()
  }

  /** The next unit. The one after it is asked for at once, so that reading and consuming overlap. */
  async next(): Promise<NativeUnit | null> {
    this.check()
    let unit: NativeUnit | null
    try {
      unit = await this.#pending
    } catch (error) {
      this.check()
      throw this.#refused(fromNative(error))
    }
    this.check()
    this.#pending = unit === null ? Promise.resolve(null) : this.#request()
    return unit
  }

  /** Throws if the stream was ended. */
  check(): void {
    if (this.#ended) throw new AbortError(this.#ended.reason)
  }

  /** Ends the stream with a reason, for whoever waits for it now or asks next. */
  abort(reason: unknown): void {
    this.#ended ??= { reason }
    this.#native.cancel()
  }

  /** The same, and resolves when the reader has stopped. */
  async end(reason: unknown): Promise<void> {
    this.abort(reason)
    await this.close()
  }

  /** Ends the stream; resolves when the reader has stopped and the buffers released are in their pool again. */
  async close(): Promise<void> {
    this.#native.cancel()
    this.#forget()
    forgotten.unregister(this)
    await this.#pending.then((unit) => unit?.discard()).catch(() => {})
    await this.#native.next().catch(() => {})
    await nextTurn()
  }

  #request(): Promise<NativeUnit | null> {
    const unit = this.#native.next()
    unit.catch(() => {}) // Told when it is awaited; until then a rejection is not unhandled.
    return unit
  }
}

/** The chunks of a native stream, one at a time: their consumer's own, or lent. */
export async function* chunks<As extends TensorOutput>(
  native: NativeStream,
  as: As,
  reuse: boolean,
  names: (index: number) => string,
  totalBytes: number,
  loads: Loads,
  control: LoadControl,
): AsyncGenerator<TensorChunk<As>, void, undefined> {
  const reporter = new Reporter(totalBytes, control)
  const progress = (place: ChunkPlace): void => reporter.report(native, place)
  const load = new Load(native, loads, control.signal)
  try {
    for (let unit = await load.next(); unit !== null; unit = await load.next()) {
      yield* reuse ? lentChunks(unit, as, names, load, progress) : ownChunks(unit, as, names, load, progress)
      reporter.digests(unit, names)
    }
  } finally {
    await load.close()
  }
  reporter.expectSound()
}

/** Copies of the chunks of one unit, whose memory is back before the first of them is there. */
async function* ownChunks<As extends TensorOutput>(
  unit: NativeUnit,
  as: As,
  names: (index: number) => string,
  load: Load,
  progress: (place: ChunkPlace) => void,
): AsyncGenerator<TensorChunk<As>, void, undefined> {
  const list = places(unit, names)
  // Backwards, so that nothing here holds on to what was handed out.
  const buffers = unit.copies().reverse()
  for (const place of list) {
    load.check()
    progress(place)
    yield chunkOver(undefined, buffers.pop() as ArrayBuffer, as, place)
  }
}

/** The chunks of one unit, lent. However the consumer leaves, the unit's memory goes back. */
async function* lentChunks<As extends TensorOutput>(
  unit: NativeUnit,
  as: As,
  names: (index: number) => string,
  load: Load,
  progress: (place: ChunkPlace) => void,
): AsyncGenerator<TensorChunk<As>, void, undefined> {
  const buffers = unit.arrayBuffers()
  const list = places(unit, names).map((place, i) => chunkOver(unit, buffers[i] as ArrayBuffer, as, place))
  try {
    for (const chunk of list) {
      load.check()
      progress(chunk)
      yield chunk
      chunk.release()
    }
  } finally {
    for (const chunk of list) chunk.release()
  }
}

/**
 * Runs a native stream that fills a destination, its own or that of `deliver`, which is given each unit; after it settles
 * nothing more is written there.
 */
export async function drain(
  native: NativeStream,
  names: (index: number) => string,
  reporter: Reporter,
  loads: Loads,
  deliver: (unit: NativeUnit) => void = () => {},
): Promise<void> {
  const load = new Load(native, loads, reporter.control.signal)
  try {
    for (let unit = await load.next(); unit !== null; unit = await load.next()) {
      const filled = places(unit, names)
      try {
        deliver(unit)
      } finally {
        unit.discard()
      }
      for (const place of filled) reporter.report(native, place)
      reporter.digests(unit, names)
    }
  } finally {
    await load.close()
  }
  reporter.expectSound()
}
