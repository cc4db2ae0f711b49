import type { NativePool, NativeRequest, NativeStep } from '../addon/native.js'
import { gettingByRefusals } from '../budget/refusals.js'
import type { PoolBuffer } from '../device/buffer.js'
import { abortion, onAbort } from '../support/abort.js'
import * as check from '../support/check.js'
import { AbortError, call, callAsync, InsufficientMemoryError, released } from '../support/errors.js'
import type { Defragmenter } from './defragmenter.js'
import type { Placing } from './options.js'
import type { Returns } from './returns.js'

/** What grows, and what it goes through. */
interface Growing {
  readonly native: NativePool
  readonly returns: Returns
  readonly defragmenter: Defragmenter
  readonly dedicated: boolean
  readonly end: { readonly closed: boolean }
  readonly bufferOf: (key: number, placing: Placing) => PoolBuffer
  /** Has others release what they can spare, and waits for what they release already; whether any was. */
  readonly reclaimFromOthers: (missingBytes: number) => Promise<boolean>
  /** Tells of what is refused in the end. */
  readonly refused: (error: unknown) => unknown
}

/** The steps of a request that something is to be done for. */
type Task = Exclude<NativeStep, { kind: 'granted' }>

/**
 * Takes slabs for a pool. What is done before it refuses, and in which order, is for the core to say, a step at a time; here
 * each step is waited for.
 */
export class Growth {
  readonly #pool: Growing
  readonly #callbacks = new Set<(missingBytes: number) => unknown>()
  /** Those who take a slab, one after the other. */
  #taking: Promise<unknown> = Promise.resolve()
  /** What ends the requests that wait for others to release memory. */
  readonly #waiting = new Set<() => void>()

  constructor(pool: Growing) {
    this.#pool = pool
  }

  /** Registers what may release memory before a request is refused; returns what forgets it again. */
  onReclaim(reclaim: (missingBytes: number) => unknown): Disposable {
    this.#callbacks.add(reclaim)
    return { [Symbol.dispose]: () => void this.#callbacks.delete(reclaim) }
  }

  /** A buffer for which what is held has no place. */
  allocate(placing: Placing, signal: AbortSignal | undefined): Promise<PoolBuffer> {
    return this.#told(this.#allocate(placing, signal))
  }

  /** Makes sure that there is room for one buffer. */
  reserve(sizeBytes: number): Promise<void> {
    return this.#told(this.take(() => this.#pool.native.reserve(sizeBytes)))
  }

  #told<T>(work: Promise<T>): Promise<T> {
    return work.catch((error) => {
      throw this.#pool.refused(error)
    })
  }

  async #allocate(placing: Placing, signal: AbortSignal | undefined): Promise<PoolBuffer> {
    const { sizeBytes, alignBytes, transient, label } = placing
    const named = label === '' ? undefined : label
    const request = call(() => this.#pool.native.request(sizeBytes, alignBytes, transient, named))
    for (;;) {
      const step = nextStep(request, signal)
      if (step.kind === 'granted') return this.#granted(step.key, placing, signal)
      await this.#make(step, request, signal)
    }
  }

  #granted(key: number, placing: Placing, signal: AbortSignal | undefined): PoolBuffer {
    const { bufferOf, end } = this.#pool
    const buffer = bufferOf(key, placing)
    const aborted = abortion(signal)
    if (!aborted && !end.closed) return buffer
    // The slab that was taken for it goes back with it.
    buffer.release()
    throw aborted ? new AbortError(aborted.reason) : released('the memory pool')
  }

  /** Does what a request wants next. What takes memory is waited for even if the request is given up meanwhile. */
  async #make(step: Task, request: NativeRequest, signal: AbortSignal | undefined): Promise<void> {
    const { returns, defragmenter } = this.#pool
    switch (step.kind) {
      case 'take':
        return this.take(() => request.take())
      case 'release': {
        await this.#unlessEnded(
          returns.release(() => request.release()),
          signal,
        )
        return
      }
      case 'reclaim':
        return request.reclaimed(await this.#unlessEnded(this.#reclaimed(step.missingBytes, signal), signal))
      case 'defragment': {
        const options = check.own(signal ? { signal } : {})
        await this.#unlessEnded(defragmenter.defragment(options, step.enoughBytes), signal)
        return request.defragmented()
      }
    }
  }

  /**
   * Runs what takes a slab. One at a time: that which one takes may do for all who wait, but not where each buffer has one
   * of its own.
   */
  take(slab: () => Promise<void>): Promise<void> {
    if (this.#pool.dedicated) return callAsync(slab)
    const taken = this.#taking.then(() => callAsync(slab))
    this.#taking = taken.catch(() => {})
    return taken
  }

  /** What others do for a request, unless that is given up or the pool closed before. */
  async #unlessEnded<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    let reject: (error: Error) => void = () => {}
    const ended = new Promise<never>((_, rejected) => {
      reject = rejected
    })
    const closed = () => reject(released('the memory pool'))
    this.#waiting.add(closed)
    const unlisten = signal && onAbort(signal, (reason) => reject(new AbortError(reason)))
    if (this.#pool.end.closed) closed()
    try {
      return await Promise.race([work, ended])
    } finally {
      this.#waiting.delete(closed)
      unlisten?.()
    }
  }

  /** Whether anybody has released memory. */
  async #reclaimed(missingBytes: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { end, reclaimFromOthers } = this.#pool
    const isWanted = () => !abortion(signal) && !end.closed
    for (const reclaim of [...this.#callbacks]) {
      if (!isWanted()) return false
      if ((await reclaim(missingBytes)) === true) return true
    }
    return isWanted() && reclaimFromOthers(missingBytes)
  }

  /** Ends what waits for others: the pool is closed. */
  end(): void {
    this.#callbacks.clear()
    for (const end of this.#waiting) end()
  }
}

/** What a request wants next. One that was given up ends with that, whatever else it would have ended with. */
function nextStep(request: NativeRequest, signal: AbortSignal | undefined): NativeStep {
  let step: NativeStep | undefined
  let failure: unknown
  try {
    step = call(() => request.step())
  } catch (error) {
    failure = error
  }
  if (step?.kind === 'granted') return step
  throwAborted(signal)
  if (step) return step
  throw failure
}

/** Throws where a request was given up. */
export function throwAborted(signal: AbortSignal | undefined): void {
  const aborted = abortion(signal)
  if (aborted) throw new AbortError(aborted.reason)
}

/** What a call gave, or the refusal that it threw, which nobody else is told of. */
export function refusalOf(allocate: () => PoolBuffer): PoolBuffer | InsufficientMemoryError {
  try {
    return gettingByRefusals(allocate)
  } catch (error) {
    if (error instanceof InsufficientMemoryError) return error
    throw error
  }
}
