import { tmpdir } from 'node:os'
import { GiB } from '../addon/units.js'
import type { PoolBuffer } from '../device/buffer.js'
import { refusalOf } from '../pool/growth.js'
import { MemoryPool } from '../pool/memory-pool.js'
import type { Bytes } from '../support/arrays.js'
import { anyBytesOf } from '../support/bytes.js'
import * as check from '../support/check.js'
import { InsufficientMemoryError, insufficientMemory, invalidArgument, quoted, released } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'
import { type Slot, SpillFile } from './spill-file.js'

/** What {@link PageStore.create} takes. */
export interface PageStoreOptions {
  /** Where pages live that are in use. */
  pool: MemoryPool
  /** The size of a page at most, in bytes, up to 1 GiB. */
  pageBytes: number
  /** Pages in memory at most. As many as the pool gives by default. */
  maxResidentPages?: number
  /**
   * The folder of the file that cold pages go to, on a disk: one in RAM (tmpfs) is refused. The system's folder for temporary
   * files by default.
   */
  folder?: string | URL
  /** The size of that file at most, in bytes. 1 GiB by default. */
  maxFileBytes?: number
}

/** What a {@link PageStore} holds. */
export interface PageStoreStats {
  /** Pages in memory. */
  residentPages: number
  /** Pages in the file. */
  spilledPages: number
  /** Bytes of the buffers of the pages in memory. */
  residentBytes: number
  /** Bytes of the pages in the file. */
  spilledBytes: number
  /** The size of the file, in bytes. */
  fileBytes: number
  /** What it may have at most, in bytes. */
  maxFileBytes: number
  /** Pages that were written to the file since the store was made. */
  spills: number
  /** Pages that were read back from it. */
  loads: number
}

/** By what a page is known. */
export type PageKey = string | number

/** A page in memory. */
interface Resident {
  readonly buffer: PoolBuffer
  readonly sizeBytes: number
}

/** A page that is to leave the file, with what it is where that was read already. */
interface Leaving {
  readonly key: PageKey
  readonly slot: Slot
  readonly data?: Bytes
}

/** Pages that are on their way to the file at once: one is copied while another is written, and the disk is waited for once. */
const AT_ONCE = 16

/**
 * For so long a pool that had no room is asked for what lies free in it alone: to look everywhere takes it some milliseconds, and each page
 * that is put into a full pool would wait for that.
 */
const REFUSED_MS = 100

const bytes = (name: string, value: unknown) => check.bytes(name, value, 1)

const checks = {
  pool: (name: string, value: unknown) => check.instance(name, value, MemoryPool),
  pageBytes: (name: string, value: unknown) => check.bytes(name, value, 1, 2 ** 30),
  maxResidentPages: (name: string, value: unknown) => check.integer(name, value, 1, 2 ** 31 - 1),
  folder: check.filePath,
  maxFileBytes: bytes,
} as const

/**
 * Pages of a cache of keys and values: those in use in a pool, cold ones in a file of bounded size, from which they come back when
 * they are asked for. What comes back is what was put, or an error.
 *
 * The file has no name: it is gone with the store, and with the process however that ends. The page cache is emptied of it, so what is
 * spilled is really out of RAM. What is done at the same time is done one after the other.
 *
 * @example
 * await using store = await PageStore.create({ pool, pageBytes: MiB, maxFileBytes: 8 * GiB })
 * await store.put('chat 7, page 3', bytes)
 * await store.spill(64 * MiB) // somebody needs the room: the coldest pages go first
 * const same = await store.get('chat 7, page 3')
 */
export class PageStore implements AsyncDisposable {
  readonly #pool: MemoryPool
  readonly #pageBytes: number
  readonly #maxResidentPages: number
  readonly #maxFileBytes: number
  readonly #file: SpillFile
  /** The coldest first: a page that is used goes to the end. */
  readonly #resident = new Map<PageKey, Resident>()
  readonly #spilled = new Map<PageKey, Slot>()
  #spilledBytes = 0
  #spills = 0
  #loads = 0
  #last: Promise<unknown> = Promise.resolve()
  /** Whether the pool is being asked for room: its reclaim callbacks may spill then, out of turn. */
  #asksPool = false
  /** When the pool had no room. */
  #refusedAt = -Infinity
  #closed = false

  private constructor(token: typeof internal, options: Required<PageStoreOptions>, file: SpillFile) {
    expectInternal(token, 'PageStore', 'PageStore.create()')
    refuseCloning(this)
    this.#pool = options.pool
    this.#pageBytes = options.pageBytes
    this.#maxResidentPages = options.maxResidentPages
    this.#maxFileBytes = options.maxFileBytes
    this.#file = file
  }

  /**
   * Makes a store, and its file.
   *
   * Rejects with {@link IoError} when the file cannot be made, {@link InvalidArgumentError} for an unfit option: a folder in RAM, or a file
   * that is smaller than a page.
   */
  static async create(options: PageStoreOptions): Promise<PageStore> {
    const checked = check.options<PageStoreOptions>(options, checks)
    const { pool, pageBytes, maxResidentPages = 2 ** 31 - 1, folder = tmpdir(), maxFileBytes = GiB } = checked
    if (pool === undefined) throw invalidArgument('pool', 'given: where pages live', undefined)
    if (pageBytes === undefined) throw invalidArgument('pageBytes', 'given: the size of a page', undefined)
    if (maxFileBytes < pageBytes) {
      throw invalidArgument('maxFileBytes', `at least a page, which is ${pageBytes} bytes`, maxFileBytes)
    }
    const file = await SpillFile.create(folder as string, pageBytes, maxFileBytes)
    return new PageStore(internal, { pool, pageBytes, maxResidentPages, folder, maxFileBytes }, file)
  }

  /**
   * Keeps a page under a key, in place of what it had. Where the pool has no room, the coldest page goes to the file for it.
   *
   * Rejects with {@link InsufficientMemoryError} where there is room in neither, {@link IoError} where the file cannot be written: then
   * every page is what and where it was. {@link ReleasedError} after {@link close}.
   */
  async put(key: PageKey, data: ArrayBufferView): Promise<void> {
    const name = pageKey(key)
    const page = this.#checkedPage(data)
    // What its caller does to it later is not in the page.
    const copy = new Uint8Array(page)
    await this.#inTurn(async () => {
      const own = this.#resident.get(name)?.buffer
      const slot = this.#spilled.get(name)
      const buffer = own ?? (await this.#room(slot && { key: name, slot }))
      try {
        await buffer.write(copy)
      } catch (error) {
        if (!own) buffer.release()
        throw error
      }
      this.#keep(name, { buffer, sizeBytes: copy.byteLength })
    })
  }

  /**
   * A page as it was put, as bytes of the caller's own; `undefined` of one that is not there. One from the file is in memory from then on,
   * where there is room.
   *
   * Rejects with {@link IoError} when the file does not have it as it was written, and {@link ReleasedError} after {@link close}.
   */
  async get(key: PageKey): Promise<Bytes | undefined> {
    const name = pageKey(key)
    return this.#inTurn(async () => {
      const page = this.#resident.get(name)
      if (page) {
        const data = await page.buffer.read({ lengthBytes: page.sizeBytes })
        this.#keep(name, page)
        return data
      }
      const slot = this.#spilled.get(name)
      if (slot === undefined) return undefined
      const data = await this.#file.read(slot)
      this.#loads += 1
      await this.#promote({ key: name, slot, data })
      return data
    })
  }

  /** Whether there is a page of that key, in memory or in the file. */
  has(key: PageKey): boolean {
    const name = pageKey(key)
    return this.#resident.has(name) || this.#spilled.has(name)
  }

  /** Drops a page. Resolves to whether there was one. Rejects with {@link ReleasedError} after {@link close}. */
  async delete(key: PageKey): Promise<boolean> {
    const name = pageKey(key)
    return this.#inTurn(async () => {
      this.#resident.get(name)?.buffer.release()
      return this.#resident.delete(name) || this.#leaveFile(name)
    })
  }

  /**
   * Moves the coldest pages to the file, `bytes` of them at least, all by default, and gives empty slabs back. Resolves to the bytes of the
   * buffers that were released: fewer where the file is full or there are no more.
   *
   * Rejects with {@link IoError} when the file cannot be written: pages that did not go are where they were.
   */
  async spill(bytesAtLeast: number = Number.MAX_SAFE_INTEGER): Promise<number> {
    const wanted = check.bytes('bytesAtLeast', bytesAtLeast)
    return this.#asksPool ? this.#spill(wanted) : this.#inTurn(() => this.#spill(wanted))
  }

  async #spill(wanted: number): Promise<number> {
    let spilled = 0
    try {
      while (spilled < wanted) {
        const pages = this.#coldest(Math.min(AT_ONCE, Math.ceil((wanted - spilled) / this.#pageBytes)))
        if (pages.length === 0) break
        spilled += await this.#spillTogether(pages)
      }
    } finally {
      if (spilled > 0) await this.#pool.trim()
    }
    return spilled
  }

  /** Moves pages to the file, and releases their buffers once the disk has them. Those that it has not stay in memory. */
  async #spillTogether(pages: [PageKey, Resident][]): Promise<number> {
    const outcomes = await Promise.allSettled(pages.map(([, page]) => this.#write(page)))
    const settled = await Promise.allSettled([this.#file.settle()])
    let spilled = 0
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') continue
      // What the disk has of any of them is not known.
      if (settled[0].status === 'rejected') {
        this.#file.free(outcome.value)
        continue
      }
      const buffer = this.#enterFile(pages[at] as [PageKey, Resident], outcome.value)
      buffer.release()
      spilled += buffer.sizeBytes
    }
    const failure = [...outcomes, ...settled].find(({ status }) => status === 'rejected')
    if (failure) throw (failure as PromiseRejectedResult).reason
    return spilled
  }

  /** What it holds. */
  stats(): PageStoreStats {
    return {
      residentPages: this.#resident.size,
      spilledPages: this.#spilled.size,
      residentBytes: this.#resident.size * this.#pageBytes,
      spilledBytes: this.#spilledBytes,
      fileBytes: this.#file.sizeBytes,
      maxFileBytes: this.#maxFileBytes,
      spills: this.#spills,
      loads: this.#loads,
    }
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed
  }

  /** Drops every page, and the file, after what is under way. The pool is its owner's. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) {
      await this.#last
      return
    }
    const end = this.#inTurn(async () => {
      for (const { buffer } of this.#resident.values()) buffer.release()
      this.#resident.clear()
      for (const key of [...this.#spilled.keys()]) this.#leaveFile(key)
      await this.#file.close()
    })
    this.#closed = true
    await end
  }

  /** The same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** One after the other: a page that is on its way is nowhere else. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(released('the page store'))
    const turn = this.#last.then(act)
    this.#last = turn.catch(() => {})
    return turn
  }

  #checkedPage(data: unknown): Uint8Array {
    const expected = `bytes of a page: 1 to ${this.#pageBytes}`
    if (!ArrayBuffer.isView(data)) throw invalidArgument('data', expected, quoted(data))
    const bytes = anyBytesOf(data)
    if (bytes === undefined) throw invalidArgument('data', expected, 'an array whose memory was moved away')
    if (bytes.byteLength < 1 || bytes.byteLength > this.#pageBytes) {
      throw invalidArgument('data', expected, `${bytes.byteLength} bytes`)
    }
    return bytes
  }

  /** Notes that a page is in memory, as the last that was used. */
  #keep(key: PageKey, page: Resident): void {
    this.#resident.delete(key)
    this.#resident.set(key, page)
    this.#leaveFile(key)
  }

  /** Notes that a page is in the file; its buffer, which is free then. */
  #enterFile([key, { buffer }]: [PageKey, Resident], slot: Slot): PoolBuffer {
    this.#resident.delete(key)
    this.#spilled.set(key, slot)
    this.#spilledBytes += slot.sizeBytes
    this.#spills += 1
    return buffer
  }

  /** Gives the place of a page in the file to the next, if it has one. */
  #leaveFile(key: PageKey): boolean {
    const slot = this.#forget(key)
    if (slot) this.#file.free(slot)
    return slot !== undefined
  }

  #forget(key: PageKey): Slot | undefined {
    const slot = this.#spilled.get(key)
    this.#spilled.delete(key)
    this.#spilledBytes -= slot?.sizeBytes ?? 0
    return slot
  }

  /** A buffer for a page: of the pool, of the coldest page, or of one that goes where this one was in the file. */
  async #room(leaving?: Leaving): Promise<PoolBuffer> {
    const bounded = this.#resident.size >= this.#maxResidentPages
    const ofPool = bounded ? undefined : await this.#ofPool()
    if (ofPool && !(ofPool instanceof InsufficientMemoryError)) return ofPool
    const buffer = (await this.#spillColdest()) ?? (leaving && (await this.#swap(leaving)))
    if (buffer) return buffer
    // There is no page to spill, or no room in the file.
    throw ofPool ?? this.#full()
  }

  /** A buffer of the pool, or why it has none. */
  async #ofPool(): Promise<PoolBuffer | InsufficientMemoryError> {
    try {
      const free = refusalOf(() => this.#pool.allocate(this.#pageBytes, { label: 'page' }))
      const refused = performance.now() - this.#refusedAt < REFUSED_MS
      if (!(free instanceof InsufficientMemoryError) || (refused && this.#coldest(1).length > 0)) return free
      this.#asksPool = true
      return await this.#pool.allocateAsync(this.#pageBytes, { label: 'page' })
    } catch (error) {
      if (!(error instanceof InsufficientMemoryError)) throw error
      this.#refusedAt = performance.now()
      return error
    } finally {
      this.#asksPool = false
    }
  }

  #full(): InsufficientMemoryError {
    const bounds = `maxResidentPages is ${this.#maxResidentPages}, and maxFileBytes has room for no more than the ${this.#spilled.size} that are in the file`
    const suggestion = 'Delete pages, or raise one of the two'
    return insufficientMemory('page', this.#pageBytes, 0, bounds, suggestion)
  }

  /** Moves the coldest page to the file; its buffer, which is free then. `undefined` where there is no page, or no room for it. */
  async #spillColdest(): Promise<PoolBuffer | undefined> {
    const [coldest] = this.#coldest(1)
    return coldest && this.#enterFile(coldest, await this.#write(coldest[1]))
  }

  /** The coldest pages in memory, no more than the file has room for. */
  #coldest(count: number, room = this.#file.room): [PageKey, Resident][] {
    const found: [PageKey, Resident][] = []
    for (const page of this.#resident) {
      if (found.length >= Math.min(count, room)) break
      found.push(page)
    }
    return found
  }

  async #write({ buffer, sizeBytes }: Resident): Promise<Slot> {
    return this.#file.write(await buffer.read({ lengthBytes: sizeBytes }))
  }

  /** Brings a page back to memory, if there is room. */
  async #promote(page: Leaving & { readonly data: Bytes }): Promise<void> {
    let buffer: PoolBuffer
    try {
      buffer = await this.#room(page)
    } catch {
      return
    }
    try {
      await buffer.write(page.data)
    } catch {
      buffer.release()
      return
    }
    this.#keep(page.key, { buffer, sizeBytes: page.data.byteLength })
  }

  /**
   * Has the coldest page take the place of one that leaves the file, and is nowhere then; its buffer. `undefined` where there is no
   * page.
   */
  async #swap({ key, slot, data }: Leaving): Promise<PoolBuffer | undefined> {
    const [coldest] = this.#coldest(1, 1)
    if (coldest === undefined) return undefined
    const before = data ?? (await this.#file.read(slot))
    const { buffer, sizeBytes } = coldest[1]
    const taken = await this.#file.replace(slot, before, await buffer.read({ lengthBytes: sizeBytes }))
    this.#forget(key)
    return this.#enterFile(coldest, taken)
  }
}

function pageKey(key: unknown): PageKey {
  if (typeof key === 'string' || (typeof key === 'number' && !Number.isNaN(key))) return key
  throw invalidArgument('key', 'a string or a number', key)
}

shows(PageStore, (store) => ({ ...store.stats() }))
