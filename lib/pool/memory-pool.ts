import type { DefragmentReport, PoolScope, PoolStats, SlabInfo } from '../../binding.js'
import { LeakGuard } from '../addon/leak-guard.js'
import * as native from '../addon/native.js'
import { formatBytes } from '../addon/units.js'
import { nativeBudget, refusedBy } from '../budget/budget.js'
import { type PoolBuffer, poolBuffer } from '../device/buffer.js'
import { Device, nativeDevice } from '../device/device.js'
import * as check from '../support/check.js'
import { fromNative, InsufficientMemoryError, invalidArgument, quoted, released } from '../support/errors.js'
import { letGoOfAll } from '../support/held.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'
import { stackOf } from '../support/stack.js'
import { Defragmenter } from './defragmenter.js'
import { Growth, refusalOf, throwAborted } from './growth.js'
import {
  type AutoDefragmentOptions,
  bufferChecks,
  type DefragmentOptions,
  defragmentChecks,
  type GrowingBufferOptions,
  givenBytes,
  growingChecks,
  type MemoryPoolOptions,
  type PoolBufferOptions,
  placingOf,
  poolChecks,
  sizeOf,
} from './options.js'
import { Returns } from './returns.js'
import type { PoolSnapshot } from './snapshot.js'
import { type PoolSettings, type PoolTrace, traceOf } from './trace.js'

export type { BlockInfo, DefragmentReport, PoolScope, PoolStats, SlabInfo } from '../../binding.js'

/** How long nothing has to happen to a pool before it defragments itself. */
const IDLE_MS = 50

const { USUAL_ALIGN_BYTES } = native

/** Makes a pool whose request for memory also asks its owner. */
export let makePool: (options: MemoryPoolOptions, owner?: PoolOwner) => Promise<MemoryPool>

/**
 * Has a pool release what it merely keeps for what comes next, and waits for what is on its way back already; resolves to
 * the bytes of both.
 */
export let releaseIdle: (pool: MemoryPool) => Promise<number>

/** Whether it is a pool, and none that only looks like one. */
/** Whether a value is a pool of this package. */
export let isPool: (value: unknown) => value is MemoryPool

/** Who made a pool, and is asked for memory before it refuses. */
export interface PoolOwner {
  /** Has others release what they can spare, and waits for what they release already; whether any was. */
  readonly reclaim: (pool: MemoryPool, missingBytes: number) => Promise<boolean>
  readonly closed: (pool: MemoryPool) => void
}

/** What is known of a pool when it was collected. */
interface PoolRemains {
  readonly table: object
  readonly label: string
  readonly stack: string | undefined
  readonly end: { readonly closed: boolean }
}

/** Releases what a pool held that was collected, as were all its buffers. */
const leakGuard = new LeakGuard<PoolRemains>(async ({ table, label, stack, end }) => {
  if (end.closed) return undefined
  const sizeBytes = await native.abandonPool(table)
  if (sizeBytes === 0) return undefined
  const advice = 'Its memory was released now; call close() or use `await using`.'
  return { what: `A memory pool with ${formatBytes(sizeBytes)}`, expected: 'closed', advice, label, sizeBytes, stack }
})

/** What a pool is made with, beside its native half. */
interface Making {
  readonly device: Device
  readonly label: string
  readonly settings: PoolSettings
  readonly auto: AutoDefragmentOptions | undefined
  readonly owner: PoolOwner | undefined
  readonly stack: string | undefined
  readonly refused: (error: unknown) => unknown
}

/**
 * A pool of real device memory: slabs from a device, buffers out of slabs.
 *
 * What is where is kept outside of the memory. Buffers of any size find a place in constant time, an empty slab serves
 * any size up to its own, and slabs without buffers go back to the device.
 *
 * @example
 * await using pool = await MemoryPool.create({ device: 'host', initialBytes: 64 * MiB })
 * using buffer = pool.allocate(4 * MiB, { label: 'activations' })
 * await buffer.withMapping((view) => view.fill(1))
 */
export class MemoryPool implements AsyncDisposable {
  readonly #native: native.NativePool
  /** Its buffers, as the two calls that each of them goes through want them. */
  readonly #table: object
  readonly #owner: PoolOwner | undefined
  readonly #refused: Making['refused']
  readonly #returns: Returns
  readonly #defragmenter: Defragmenter
  readonly #growth: Growth
  readonly #settings: PoolSettings
  readonly #auto: Required<AutoDefragmentOptions> | undefined
  /** The label of each live buffer, by its key; those without one are left out. */
  readonly #labels = new Map<number, string>()
  readonly #freed: (key: number, retired: boolean) => void
  #idle: NodeJS.Timeout | undefined
  /** Buffers handed out: whether it has been idle. */
  #taken = 0
  /** Whether it was closed; its buffers look there too. */
  readonly #end = { closed: false, held: new Set<object>() }
  #gone: Promise<void> | undefined
  /** Where its memory comes from. */
  readonly device: Device
  /** What it is called. */
  readonly label: string

  static {
    releaseIdle = async (pool) => {
      const idle = () => pool.#native.trimCached()
      const [returnedBytes, idleBytes] = await Promise.all([pool.#returns.returned(), pool.#returns.release(idle)])
      return returnedBytes + idleBytes
    }
    isPool = (value): value is MemoryPool => check.isObject(value) && #native in value
    makePool = async (options, owner) => {
      if (options.dedicated && options.autoDefragment) {
        throw invalidArgument('autoDefragment', 'left out of a pool that is dedicated, where nothing moves', 'both')
      }
      const stack = stackOf(makePool)
      const device = await Device.open(options.device ?? 'auto')
      const { label = 'memory pool', budget, autoDefragment: auto = false, zeroOnFree = false } = options
      const settings = settingsOf(options)
      const given = givenBytes(options)
      const refused = (error: unknown) => refusedBy(budget, error)
      try {
        const of = nativeDevice(device) as native.NativeDevice
        const slabs = check.own({ dedicated: false, zeroOnFree, ...settings, label })
        const charged = given ? given.state.native : budget && nativeBudget(budget)
        const made = await native.NativePool.create(of, charged, slabs, given?.state.guards, given?.state.key)
        given?.settle(true)
        const defragment = auto === true ? {} : auto || undefined
        return new MemoryPool(internal, made, { device, label, settings, auto: defragment, owner, stack, refused })
      } catch (error) {
        given?.settle(false)
        throw refused(fromNative(error))
      }
    }
  }

  private constructor(token: typeof internal, of: native.NativePool, making: Making) {
    expectInternal(token, 'MemoryPool', 'MemoryPool.create()')
    refuseCloning(this)
    const { device, label, settings, auto, owner, stack, refused } = making
    this.#native = of
    this.#table = of.table()
    this.#owner = owner
    this.#refused = refused
    this.#settings = settings
    this.#auto = auto && { abovePercent: 50, maxMs: 10, ...auto }
    this.device = device
    this.label = label
    const end = this.#end
    this.#returns = new Returns(() => of.collect())
    this.#defragmenter = new Defragmenter({ native: of, returns: this.#returns, labels: this.#labels, end })
    this.#growth = new Growth({
      native: of,
      returns: this.#returns,
      defragmenter: this.#defragmenter,
      dedicated: settings.dedicated ?? false,
      end,
      bufferOf: (key, { sizeBytes, label, stack }) => this.#bufferOf(key, sizeBytes, label, stack),
      reclaimFromOthers: async (missingBytes) => (await owner?.reclaim(this, missingBytes)) ?? false,
      refused,
    })
    // Its native half outlives it as long as there are buffers.
    leakGuard.watch(of, { table: this.#table, label, stack, end })
    // Freeing must not keep the pool alive for the sake of a buffer that was dropped.
    const self = new WeakRef(this)
    this.#freed = (key, retired) => {
      const pool = self.deref()
      if (pool) pool.#afterFree(key, retired)
      // The pool was dropped, and its last buffers release its slabs.
      else if (retired) of.collect().catch(() => {})
    }
  }

  /**
   * Makes a pool, and takes its `initialBytes`.
   *
   * @throws {@link DeviceUnavailableError} when the machine has no such device, or this process may not use it.
   * @throws {@link InsufficientMemoryError} when the budget or the machine has not `initialBytes`.
   * @throws {@link InvalidArgumentError} for an unknown or unfit option, or one that does not fit the device.
   */
  static async create(options?: MemoryPoolOptions): Promise<MemoryPool> {
    return makePool(check.options<MemoryPoolOptions>(options, poolChecks))
  }

  /**
   * Hands out a buffer from the slabs that are held; it asks no device and waits for nothing. Its bytes are those of the
   * last user unless the pool is `zeroOnFree`.
   *
   * @throws {@link InsufficientMemoryError} when no hole fits; `largestFreeBytes` is the largest. {@link reserve} first,
   * or use {@link allocateAsync}.
   * @throws {@link InvalidArgumentError} for an unfit size or option.
   * @throws {@link ReleasedError} after {@link close}.
   */
  allocate(bytes: number, options?: PoolBufferOptions): PoolBuffer {
    const sizeBytes = sizeOf('bytes', bytes)
    const stack = stackOf(MemoryPool.prototype.allocate)
    if (options === undefined) return this.#take(sizeBytes, USUAL_ALIGN_BYTES, false, '', stack)
    const checked = check.options<PoolBufferOptions>(options, bufferChecks)
    const { alignBytes, transient, label } = placingOf(sizeBytes, checked)
    return this.#take(sizeBytes, alignBytes, transient, label, stack)
  }

  // Every buffer goes through this, so that an object made for the call would show.
  #take(
    sizeBytes: number,
    alignBytes: number,
    transient: boolean,
    label: string,
    stack: string | undefined,
  ): PoolBuffer {
    this.#expectLive()
    let key: number
    try {
      key = native.allocateBuffer(this.#table, sizeBytes, alignBytes, transient, label === '' ? undefined : label)
    } catch (error) {
      throw this.#refused(fromNative(error))
    }
    return this.#bufferOf(key, sizeBytes, label, stack)
  }

  #bufferOf(key: number, sizeBytes: number, label: string, stack: string | undefined): PoolBuffer {
    this.#taken += 1
    if (label !== '') this.#labels.set(key, label)
    return poolBuffer({
      native: this.#native,
      table: this.#table,
      key,
      label,
      sizeBytes,
      device: this.device.name,
      stack,
      freed: this.#freed,
      pool: this.#end,
      released: false,
    })
  }

  /**
   * Hands out a buffer, and does what it can before it refuses, in this order: a fitting hole, a cached slab, a new slab,
   * cached slabs of other sizes released, {@link onReclaim}, defragmentation.
   *
   * @throws {@link AbortError} when `signal` aborts.
   * @throws as of {@link allocate}, and {@link DeviceError} as the device says.
   */
  async allocateAsync(bytes: number, options?: GrowingBufferOptions): Promise<PoolBuffer> {
    const sizeBytes = sizeOf('bytes', bytes)
    const { signal, ...others } = check.options<GrowingBufferOptions>(options, growingChecks)
    const stack = stackOf(MemoryPool.prototype.allocateAsync)
    const placing = { ...placingOf(sizeBytes, check.own(others)), stack }
    throwAborted(signal)
    const { alignBytes, transient, label } = placing
    const held = refusalOf(() => this.#take(sizeBytes, alignBytes, transient, label, stack))
    return held instanceof InsufficientMemoryError ? this.#growth.allocate(placing, signal) : held
  }

  /**
   * Registers what may release memory when {@link allocateAsync} finds none. It is told how many bytes are missing, and
   * returns `true`, or a promise of it, when it has released some: it is asked again until it has not. Returns what
   * forgets it again.
   */
  onReclaim(reclaim: (missingBytes: number) => unknown): Disposable {
    const registered = check.callback<(missingBytes: number) => unknown>('reclaim', reclaim)
    this.#expectLive()
    return this.#growth.onReclaim(registered)
  }

  /**
   * Makes sure that one buffer of `bytes` could be handed out now, and takes a slab for it where none has room.
   *
   * @throws {@link InsufficientMemoryError} when the pool's maximum, the budget or the machine has not that much.
   * @throws {@link DeviceError} as the device says.
   * @throws {@link ReleasedError} after {@link close}.
   */
  async reserve(bytes: number): Promise<void> {
    const sizeBytes = sizeOf('bytes', bytes)
    return this.#growth.reserve(sizeBytes)
  }

  /**
   * Releases slabs without buffers until at most `keepBytes` (0 by default) are held; resolves to the bytes released.
   * By then what was released before is back, too.
   */
  async trim(keepBytes = 0): Promise<number> {
    const keep = check.bytes('keepBytes', keepBytes)
    const bytes = await this.#returns.release(() => this.#native.trim(keep))
    await this.#returns.collected()
    return bytes
  }

  /**
   * Moves buffers together, one after the other, so that whole slabs become empty and go back. Buffers in use, mapped,
   * pinned or exported stay; content survives.
   *
   * @throws {@link DeviceError} when a copy failed: that buffer stays as it was, and those before it stay moved.
   * @throws {@link ReleasedError} after {@link close}.
   */
  async defragment(options?: DefragmentOptions): Promise<DefragmentReport> {
    return this.#defragmenter.defragment(check.options<DefragmentOptions>(options, defragmentChecks))
  }

  /** What it holds and has done. */
  stats(): PoolStats {
    return this.#native.stats()
  }

  /**
   * The same in depth: every slab with its blocks, and the counts under the names of PyTorch's `memory_stats`.
   *
   * It walks over everything; {@link stats} is kept up to date as it goes.
   */
  detailedStats(): PoolStats & { slabs: SlabInfo[]; counters: Record<string, number> } {
    const counters = Object.fromEntries(this.#native.counters().map(({ name, value }) => [name, value]))
    return { ...this.stats(), slabs: this.#native.slabs(), counters }
  }

  /** What it is at this moment, down to every block, as plain data: `JSON.stringify` it to keep it. */
  snapshot(): PoolSnapshot {
    const { device, label } = this
    const [stats, slabs] = [this.stats(), this.#native.slabs()]
    return { plimsollSnapshot: 1, device: device.name, label, timeMs: Date.now(), stats, slabs }
  }

  /** Begins a scope: what is allocated and freed counts apart until {@link popScope}. Scopes nest. */
  pushScope(): void {
    this.#expectLive()
    this.#native.pushScope()
  }

  /** Ends the innermost scope and says what was allocated and freed within; `undefined` when there is none. */
  popScope(): PoolScope | undefined {
    return this.#native.popScope() ?? undefined
  }

  /**
   * Records what happens from now on, for {@link stopTrace}: at most `capacity` events, a million by default. A trace that
   * runs is begun anew. Of more than about five million events the text has the first ones alone: see
   * {@link PoolTrace.text}.
   */
  startTrace(capacity = 1_000_000): void {
    const most = check.integer('capacity', capacity, 1, 100_000_000)
    this.#expectLive()
    this.#native.startTrace(most)
  }

  /** Ends the recording; `plimsoll replay` runs its text again on any device. Empty when there was none. */
  stopTrace(): PoolTrace {
    return traceOf(this.#native.stopTrace(), this, this.#settings)
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#end.closed
  }

  /**
   * Releases every slab. Buffers that are left are stale: every use of them is a {@link ReleasedError}. What is mapped,
   * or being copied, stays until that ends. Idempotent.
   */
  close(): Promise<void> {
    this.#gone ??= this.#close()
    return this.#gone
  }

  async #close(): Promise<void> {
    this.#end.closed = true
    letGoOfAll(this.#end.held)
    clearTimeout(this.#idle)
    this.#defragmenter.drop()
    this.#labels.clear()
    this.#growth.end()
    const { heldBytes } = this.stats()
    try {
      await this.#returns.release(() => this.#native.close().then(() => heldBytes))
      // What was on its way back before.
      await this.#returns.collected()
    } finally {
      this.#owner?.closed(this)
    }
  }

  /** The same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #afterFree(key: number, retired: boolean): void {
    this.#labels.delete(key)
    if (retired) this.#returns.collect()
    if (this.#auto) this.#whenIdle(this.#auto)
  }

  #whenIdle({ abovePercent, maxMs }: Required<AutoDefragmentOptions>): void {
    clearTimeout(this.#idle)
    const taken = this.#taken
    this.#idle = setTimeout(() => {
      if (this.#taken !== taken) return this.#whenIdle({ abovePercent, maxMs })
      if (this.#end.closed || this.stats().fragmentationPercent <= abovePercent) return
      const goOn = ({ complete }: DefragmentReport) => {
        if (!complete && maxMs > 0) this.#whenIdle({ abovePercent, maxMs })
      }
      // What a device refuses here it refuses again when somebody asks.
      this.defragment({ maxMs }).then(goOn, () => {})
    }, IDLE_MS).unref()
  }

  #expectLive(): void {
    if (this.#end.closed) throw released('the memory pool')
  }
}

const settingNames = ['slabBytes', 'initialBytes', 'maxBytes', 'maxCachedBytes', 'pageBytes', 'dedicated'] as const

/** The settings among the options that were given. */
const settingsOf = (options: MemoryPoolOptions): PoolSettings =>
  check.own(
    Object.fromEntries(settingNames.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])),
  )

/** Checks a pool that was passed. */
export function realPool(name: string, value: unknown): MemoryPool {
  if (isPool(value)) return value
  throw invalidArgument(name, 'a MemoryPool', quoted(value))
}

shows(MemoryPool, (pool) => {
  const { heldBytes, usedBytes, bufferCount } = pool.stats()
  return { label: pool.label, device: pool.device.name, closed: pool.closed, heldBytes, usedBytes, bufferCount }
})
