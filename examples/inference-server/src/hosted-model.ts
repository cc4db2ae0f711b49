import type { Llama, LlamaContextSequence } from 'node-llama-cpp'
import type { MakeRoomRequest, MemoryManager } from 'plimsoll'
import { guardLlama, type LoadedLlama } from 'plimsoll/node-llama-cpp'
import { Slot } from './slot.js'

/** What a model is served with. */
export interface HostOptions {
  /** Conversations that are worked on at the same time. */
  parallel: number
  /** Tokens of one at most. */
  maxContext: number
  /** Requests that wait for a slot at most; more are refused. */
  maxWaiting: number
  /** How long a load waits for memory, in milliseconds. */
  timeoutMs: number
}

/** A place for one conversation. It has no sequence before its first use, nor after one that could not be cleared. */
interface Place {
  sequence: LlamaContextSequence | undefined
}

interface Loaded extends LoadedLlama<Llama> {
  /** Places that nobody works with. */
  readonly free: Place[]
}

/** A model that is loaded when it is first asked for, and goes when somebody else needs its memory and nobody uses it. */
export class HostedModel {
  readonly id: string
  readonly #path: string
  readonly #llama: Llama
  readonly #manager: MemoryManager
  readonly #options: HostOptions
  /** Those who wait for a place, the first one first. */
  readonly #waiting = new Set<(place: Place) => void>()
  #loading: Promise<Loaded> | undefined
  #loaded: Loaded | undefined
  #unloading: Promise<boolean> | undefined
  #active = 0

  constructor(id: string, path: string, llama: Llama, manager: MemoryManager, options: HostOptions) {
    this.id = id
    this.#path = path
    this.#llama = llama
    this.#manager = manager
    this.#options = options
  }

  /** It and its context, once they are loaded. */
  get loaded(): LoadedLlama<Llama> | undefined {
    return this.#loaded
  }

  /**
   * Takes a slot, waiting for one if few wait already, and gives it back when `use` has ended, however it did.
   *
   * Rejects with a {@link SlotsBusyError} where too many wait, and with the reason of `signal`, which gives the wait up.
   */
  async withSlot<T>(use: (slot: Slot) => Promise<T>, signal: AbortSignal): Promise<T> {
    this.#active += 1
    try {
      const loaded = await this.#load()
      signal.throwIfAborted()
      const place = await this.#place(loaded, signal)
      try {
        place.sequence ??= loaded.context.getSequence()
        loaded.grant.touch()
        return await use(new Slot(loaded, place.sequence))
      } finally {
        await cleared(place)
        this.#giveBack(loaded, place)
      }
    } finally {
      this.#active -= 1
    }
  }

  #place({ free }: Loaded, signal: AbortSignal): Promise<Place> {
    const place = free.pop()
    if (place) return Promise.resolve(place)
    if (this.#waiting.size >= this.#options.maxWaiting) {
      return Promise.reject(new SlotsBusyError(this.id, this.#waiting.size))
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(take)
        reject(signal.reason)
      }
      const take = (taken: Place) => {
        signal.removeEventListener('abort', onAbort)
        resolve(taken)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(take)
    })
  }

  #giveBack({ free }: Loaded, place: Place): void {
    const [next] = this.#waiting
    if (next === undefined) {
      free.push(place)
      return
    }
    this.#waiting.delete(next)
    next(place)
  }

  #load(): Promise<Loaded> {
    this.#loading ??= this.#loadNow().then(
      (loaded) => {
        this.#loaded = loaded
        return loaded
      },
      (error: unknown) => {
        this.#loading = undefined
        throw error
      },
    )
    return this.#loading
  }

  async #loadNow(): Promise<Loaded> {
    await this.#unloading
    const { parallel, maxContext, timeoutMs } = this.#options
    const onEvict = (_request: MakeRoomRequest) => this.unload()
    const loaded = await guardLlama(this.#llama, this.#manager).load(
      { modelPath: this.#path },
      { sequences: parallel, contextSize: { max: maxContext } },
      { timeoutMs, onEvict },
    )
    return { ...loaded, free: Array.from({ length: parallel }, () => ({ sequence: undefined })) }
  }

  /** Unloads it, unless somebody uses it: then it says so. Whoever asks while it goes has the same answer. */
  unload(): Promise<boolean> {
    if (this.#unloading) return this.#unloading
    const loaded = this.#loaded
    if (this.#active > 0 || loaded === undefined) return Promise.resolve(false)
    this.#loaded = undefined
    this.#loading = undefined
    this.#unloading = loaded.model
      .dispose()
      .then(() => true)
      .finally(() => {
        this.#unloading = undefined
      })
    return this.#unloading
  }
}

/** Makes a place fit for the next one: where its sequence cannot be cleared it gets another. */
async function cleared(place: Place): Promise<void> {
  const { sequence } = place
  try {
    await sequence?.clearHistory()
  } catch {
    place.sequence = undefined
    await sequence?.dispose().catch(() => {})
  }
}

/** All slots are in use, and as many wait as may. */
export class SlotsBusyError extends Error {
  readonly waitingCount: number

  constructor(id: string, waitingCount: number) {
    super(`expected ${id} to have a slot free, but all are in use and ${waitingCount} requests wait; try again later`)
    this.waitingCount = waitingCount
  }
}
