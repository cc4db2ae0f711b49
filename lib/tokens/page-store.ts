import { tmpdir } from 'node:os'
import { GiB } from '../addon/units.js'
import type { PoolBuffer } from '../device/buffer.js'
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
  /** The size of a page at most, in bytes. */
  pageBytes: number
  /** Pages in memory at most. As many as the pool gives by default. */
  maxResidentPages?: number
  /** The folder of the file that cold pages go to, on a disk. The system's folder for temporary files by default. */
  folder?: string
  /** The size of that file at most, in bytes. 1 GiB by default. */
  maxFileBytes?: number
}

/** What a {@link PageStore} holds. */
export interface PageStoreStats {
  /** Pages in memory, and in the file. */
  residentPages: number
  spilledPages: number
  /** Bytes of the buffers of the pages in memory. */
  residentBytes: number
  /** Bytes of the pages in the file. */
  spilledBytes: number
  /** The size of the file, in bytes, and what it may have at most. */
  fileBytes: number
  maxFileBytes: number
  /** Pages that were written to the file, and read back, since the store was made. */
  spills: number
  loads: number
}

/** By what a page is known. */
export type PageKey = string | number

/** A page is in a buffer, or in the file. */
interface Page {
  sizeBytes: number
  place: { readonly buffer: PoolBuffer } | { readonly slot: Slot }
}

interface ResidentPage extends Page {
  place: { readonly buffer: PoolBuffer }
}

const isResident = (page: Page): page is ResidentPage => 'buffer' in page.place

/** Pages that are on their way to the file at once: one is copied while another is written, and the disk is waited for once. */
const AT_ONCE = 16

const bytes = (name: string, value: unknown) => check.bytes(name, value, 1)

const checks = {
  pool: (name: string, value: unknown) => {
    if (value instanceof MemoryPool) return value
    throw invalidArgument(name, 'a MemoryPool', quoted(value))
  },
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
  readonly #pages = new Map<PageKey, Page>()
  #residentPages = 0
  #spills = 0
  #loads = 0
  #last: Promise<unknown> = Promise.resolve()
  /** Whether the pool is being asked for room: its reclaim callbacks may spill then, out of turn. */
  #asksPool = false
  /** The place of the file that the last call for room has given to another page. */
  #swappedTo: number | undefined
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
    const file = await SpillFile.create(folder, pageBytes, maxFileBytes)
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
      const before = this.#pages.get(name)
      const ofOwn = before && 'buffer' in before.place ? before.place.buffer : undefined
      const slot = before && 'slot' in before.place ? before.place.slot : undefined
      const buffer = ofOwn ?? (await this.#room(name, before))
      try {
        await buffer.write(copy)
      } catch (error) {
        if (!ofOwn) this.#drop(buffer)
        // Its place in the file is another's already.
        if (slot && this.#hasSlot(slot)) this.#pages.delete(name)
        throw error
      }
      this.#place(name, { sizeBytes: copy.byteLength, place: { buffer } })
      if (slot && !this.#hasSlot(slot)) this.#file.free(slot)
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
      const page = this.#pages.get(name)
      if (page === undefined) return undefined
      const { sizeBytes, place } = page
      if ('buffer' in place) {
        const data = await place.buffer.read({ lengthBytes: sizeBytes })
        this.#place(name, page)
        return data
      }
      const data = await this.#file.read(place.slot)
      this.#loads += 1
      await this.#promote(name, page, data)
      return data
    })
  }

  /** Whether there is a page of that key, in memory or in the file. */
  has(key: PageKey): boolean {
    return this.#pages.has(pageKey(key))
  }

  /** Drops a page. Resolves to whether there was one. Rejects with {@link ReleasedError} after {@link close}. */
  async delete(key: PageKey): Promise<boolean> {
    const name = pageKey(key)
    return this.#inTurn(async () => {
      const page = this.#pages.get(name)
      if (page === undefined) return false
      this.#pages.delete(name)
      if ('buffer' in page.place) this.#drop(page.place.buffer)
      else this.#file.free(page.place.slot)
      return true
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
  async #spillTogether(pages: ResidentPage[]): Promise<number> {
    const places = pages.map(({ place }) => place)
    const outcomes = await Promise.allSettled(pages.map((page) => this.#spillPage(page)))
    const failures: unknown[] = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    await this.#file.settle().catch((error: unknown) => {
      failures.push(error)
      // What the disk has of any of them is not known.
      for (const [at, page] of (pages as Page[]).entries()) {
        if ('slot' in page.place) this.#file.free(page.place.slot)
        page.place = places[at] as Page['place']
      }
    })
    let spilled = 0
    for (const [at, page] of (pages as Page[]).entries()) {
      const { buffer } = places[at] as ResidentPage['place']
      if (page.place === places[at]) continue
      this.#drop(buffer)
      spilled += buffer.sizeBytes
    }
    if (failures.length > 0) throw failures[0]
    return spilled
  }

  /** What it holds. */
  stats(): PageStoreStats {
    const spilled = [...this.#pages.values()].filter(({ place }) => 'slot' in place)
    return {
      residentPages: this.#residentPages,
      spilledPages: spilled.length,
      residentBytes: this.#residentPages * this.#pageBytes,
      spilledBytes: spilled.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
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
      for (const { place } of this.#pages.values()) if ('buffer' in place) place.buffer.release()
      this.#pages.clear()
      this.#residentPages = 0
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

  /** Notes where a page is, as the last that was used. */
  #place(key: PageKey, page: Page): void {
    this.#pages.delete(key)
    this.#pages.set(key, page)
  }

  #drop(buffer: PoolBuffer): void {
    buffer.release()
    this.#residentPages -= 1
  }

  /** A buffer for a page, out of the pool or of the coldest page. */
  async #room(except: PageKey, leaving?: Page, data?: Bytes): Promise<PoolBuffer> {
    let refusal: unknown
    this.#swappedTo = undefined
    if (this.#residentPages < this.#maxResidentPages) {
      try {
        this.#asksPool = true
        const buffer = await this.#pool.allocateAsync(this.#pageBytes, { label: 'page' })
        this.#residentPages += 1
        return buffer
      } catch (error) {
        if (!(error instanceof InsufficientMemoryError)) throw error
        refusal = error
      } finally {
        this.#asksPool = false
      }
    }
    const buffer = (await this.#spillColdest(except)) ?? (leaving && (await this.#swap(except, leaving, data)))
    if (buffer) return buffer
    // There is no page to spill, or no room in the file.
    throw refusal ?? this.#full()
  }

  #full(): InsufficientMemoryError {
    const { spilledPages } = this.stats()
    const bounds = `maxResidentPages is ${this.#maxResidentPages}, and maxFileBytes has room for no more than the ${spilledPages} that are in the file`
    const suggestion = 'Delete pages, or raise one of the two'
    return insufficientMemory('page', this.#pageBytes, 0, bounds, suggestion)
  }

  /** Moves the coldest page to the file; its buffer, which is free then. `undefined` where there is no page, or no room for it. */
  async #spillColdest(except: PageKey | undefined): Promise<PoolBuffer | undefined> {
    const [page] = this.#coldest(1, except)
    return page && this.#spillPage(page)
  }

  /** The coldest pages in memory, no more than the file has room for. */
  #coldest(count: number, except?: PageKey, room = this.#file.room): ResidentPage[] {
    const found: ResidentPage[] = []
    for (const [key, page] of this.#pages) {
      if (found.length >= Math.min(count, room)) break
      if (key !== except && isResident(page)) found.push(page)
    }
    return found
  }

  async #spillPage(page: ResidentPage): Promise<PoolBuffer> {
    const { buffer } = page.place
    const slot = await this.#file.write(await buffer.read({ lengthBytes: page.sizeBytes }))
    ;(page as Page).place = { slot }
    this.#spills += 1
    return buffer
  }

  /** Brings a page back to memory, if there is room. */
  async #promote(key: PageKey, page: Page, data: Bytes): Promise<void> {
    const { place } = page
    if (!('slot' in place)) return
    let buffer: PoolBuffer
    try {
      buffer = await this.#room(key, page, data)
    } catch {
      this.#place(key, page)
      return
    }
    try {
      await buffer.write(data)
    } catch {
      this.#drop(buffer)
      if (this.#hasSlot(place.slot)) this.#pages.delete(key)
      return
    }
    this.#place(key, { ...page, place: { buffer } })
    if (!this.#hasSlot(place.slot)) this.#file.free(place.slot)
  }

  /** Whether another page has that place of the file now. */
  #hasSlot({ index }: Slot): boolean {
    return this.#swappedTo === index
  }

  /** Has the coldest page take the place of one that leaves the file; its buffer then. `undefined` where there is no page. */
  async #swap(key: PageKey, page: Page, data: Bytes | undefined): Promise<PoolBuffer | undefined> {
    const [coldest] = this.#coldest(1, key, 1)
    if (!('slot' in page.place) || coldest === undefined) return undefined
    const { buffer } = coldest.place
    const before = data ?? (await this.#file.read(page.place.slot))
    const slot = await this.#file.replace(
      page.place.slot,
      before,
      await buffer.read({ lengthBytes: coldest.sizeBytes }),
    )
    ;(coldest as Page).place = { slot }
    this.#swappedTo = slot.index
    this.#spills += 1
    return buffer
  }
}

function pageKey(key: unknown): PageKey {
  if (typeof key === 'string' || (typeof key === 'number' && !Number.isNaN(key))) return key
  throw invalidArgument('key', 'a string or a number', key)
}

shows(PageStore, (store) => ({ ...store.stats() }))
