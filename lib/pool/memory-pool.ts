import type { DefragmentReport, PoolScope, PoolStats, SlabInfo } from '../../binding.js'
import * as native from '../addon/native.js'
import { nativeBudget } from '../budget/budget.js'
import { type PoolBuffer, poolBuffer } from '../device/buffer.js'
import { Device, nativeDevice } from '../device/device.js'
import { type Abortion, abortion, absorb, onAbort } from '../support/abort.js'
import * as check from '../support/check.js'
import {
  AbortError,
  fromNative,
  InsufficientMemoryError,
  invalidArgument,
  quoted,
  released,
} from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import {
  type AutoDefragmentOptions,
  bufferChecks,
  type DefragmentOptions,
  defragmentChecks,
  type GrowingBufferOptions,
  growingChecks,
  type MemoryPoolOptions,
  type MovableBuffer,
  type PoolBufferOptions,
  poolChecks,
  sizeOf,
} from './options.js'
import type { PoolSnapshot } from './snapshot.js'
import { type PoolSettings, type PoolTrace, traceOf } from './trace.js'

export type { BlockInfo, DefragmentReport, PoolScope, PoolStats, SlabInfo } from '../../binding.js'

/** How long nothing has to happen to a pool before it defragments itself. */
const IDLE_MS = 50

/** How long a pass that did not come to its end is kept for the next call. */
const PASS_KEPT_MS = 5000

/** Makes a pool whose request for memory also asks its owner. */
export let makePool: (options: MemoryPoolOptions, owner?: PoolOwner) => Promise<MemoryPool>

/**
 * Has a pool give back what it merely keeps for what comes next, and waits for what is on its way back already; resolves to
 * the bytes of both.
 */
export let giveBackIdle: (pool: MemoryPool) => Promise<number>

/** Whether it is a pool, and none that only looks like one. */
let isPool: (value: unknown) => value is MemoryPool

/** Who made a pool, and is asked for memory before it refuses. */
export interface PoolOwner {
  /** Has others give back what they can spare, and waits for what they give back already; whether any was. */
  readonly relieve: (pool: MemoryPool, missingBytes: number) => Promise<boolean>
  readonly destroyed: (pool: MemoryPool) => void
}

/** What the net needs to know of a pool. */
interface PoolRemains {
  readonly table: object
  readonly label: string
  readonly end: { readonly destroyed: boolean }
}

/** The net: gives back what a pool held that was collected, as were all its buffers. */
const net = new FinalizationRegistry<PoolRemains>(({ table, label, end }) => {
  if (end.destroyed) return
  const warn = (heldBytes: number) => {
    if (heldBytes === 0) return
    const message =
      `A memory pool labelled "${label}" with ${heldBytes} bytes was collected without being destroyed. ` +
      'Its memory was given back now; call destroy() or use `await using`.'
    process.emitWarning(native.leakWarning(message, label, heldBytes))
  }
  native.abandonPool(table).then(warn, () => {})
})

/** What a pool is made with, beside its native half. */
interface Making {
  readonly device: Device
  readonly label: string
  readonly settings: PoolSettings
  readonly auto: AutoDefragmentOptions | undefined
  readonly owner: PoolOwner | undefined
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
  readonly #settings: PoolSettings
  readonly #auto: Required<AutoDefragmentOptions> | undefined
  /** The label of each live buffer, by its key; those without one are left out. */
  readonly #labels = new Map<number, string>()
  readonly #pressure = new Set<(missingBytes: number) => unknown>()
  readonly #freed: (key: number, retired: boolean) => void
  #idle: NodeJS.Timeout | undefined
  /** Buffers handed out: whether it has been idle. */
  #taken = 0
  /** What is on its way back to the device: the bytes of each call. */
  readonly #returning = new Set<Promise<number>>()
  #collecting: Promise<void> | undefined
  #collectAgain = false
  #defragmenting: Promise<unknown> = Promise.resolve()
  /** The pass that met a bound before it was complete, and what ends it when no call goes on with it. */
  #unfinished: { pass: native.NativePass; veto: DefragmentOptions['veto']; timer: NodeJS.Timeout } | undefined
  #growing: Promise<unknown> = Promise.resolve()
  /** What ends the requests that wait for others to give memory back. */
  readonly #waiting = new Set<() => void>()
  /** Whether it was destroyed; its buffers look there too. */
  readonly #end = { destroyed: false }
  #gone: Promise<void> | undefined
  /** Where its memory comes from. */
  readonly device: Device
  /** What it is called. */
  readonly label: string

  static {
    giveBackIdle = async (pool) => {
      const idle = () => pool.#native.trimCached()
      const [returnedBytes, idleBytes] = await Promise.all([pool.#returned(), pool.#giveBack(idle)])
      return returnedBytes + idleBytes
    }
    isPool = (value): value is MemoryPool => typeof value === 'object' && value !== null && #native in value
    makePool = async (options, owner) => {
      if (options.dedicated && options.autoDefragment) {
        throw invalidArgument('autoDefragment', 'left out of a pool that is dedicated, where nothing moves', 'both')
      }
      const device = await Device.open(options.device ?? 'auto')
      const { label = 'memory pool', budget, autoDefragment: auto = false, zeroOnFree = false } = options
      const settings = settingsOf(options)
      try {
        const of = nativeDevice(device) as native.NativeDevice
        const slabs = check.own({ dedicated: false, zeroOnFree, ...settings, label })
        const made = await native.NativePool.create(of, budget && nativeBudget(budget), slabs)
        const defragment = auto === true ? {} : auto || undefined
        return new MemoryPool(internal, made, { device, label, settings, auto: defragment, owner })
      } catch (error) {
        throw fromNative(error)
      }
    }
  }

  private constructor(mark: typeof internal, of: native.NativePool, making: Making) {
    expectInternal(mark, 'MemoryPool', 'MemoryPool.create()')
    const { device, label, settings, auto, owner } = making
    this.#native = of
    this.#table = of.table()
    this.#owner = owner
    this.#settings = settings
    this.#auto = auto && { abovePercent: 50, maxMs: 10, ...auto }
    this.device = device
    this.label = label
    // Its native half outlives it as long as there are buffers.
    net.register(of, { table: this.#table, label, end: this.#end })
    // Freeing must not keep the pool alive for the sake of a buffer that was dropped.
    const self = new WeakRef(this)
    this.#freed = (key, retired) => {
      const pool = self.deref()
      if (pool) pool.#afterFree(key, retired)
      // The pool was dropped, and its last buffers give its slabs back.
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
   * @throws {@link ReleasedError} after {@link destroy}.
   */
  allocate(bytes: number, options?: PoolBufferOptions): PoolBuffer {
    const sizeBytes = sizeOf('bytes', bytes)
    if (options === undefined) return this.#take(sizeBytes, 256, false, '')
    const { alignBytes = 256, placement, label = '' } = check.options<PoolBufferOptions>(options, bufferChecks)
    return this.#take(sizeBytes, alignBytes, placement === 'transient', label)
  }

  #take(sizeBytes: number, alignBytes: number, transient: boolean, label: string): PoolBuffer {
    this.#expectLive()
    let key: number
    try {
      key = native.allocateBuffer(this.#table, sizeBytes, alignBytes, transient, label === '' ? undefined : label)
    } catch (error) {
      throw fromNative(error)
    }
    return this.#bufferOf(key, sizeBytes, label)
  }

  #bufferOf(key: number, sizeBytes: number, label: string): PoolBuffer {
    this.#taken += 1
    if (label !== '') this.#labels.set(key, label)
    return poolBuffer({
      native: this.#native,
      table: this.#table,
      key,
      label,
      sizeBytes,
      device: this.device.name,
      freed: this.#freed,
      pool: this.#end,
      released: false,
    })
  }

  /**
   * Hands out a buffer, and does what it can before it refuses, in this order: a fitting hole, a cached slab, a new slab,
   * cached slabs of other sizes given back, {@link onPressure}, defragmentation.
   *
   * @throws {@link AbortError} when `signal` aborts.
   * @throws as of {@link allocate}, and {@link DeviceError} as the device says.
   */
  async allocateAsync(bytes: number, options?: GrowingBufferOptions): Promise<PoolBuffer> {
    const sizeBytes = sizeOf('bytes', bytes)
    const { signal, ...others } = check.options<GrowingBufferOptions>(options, growingChecks)
    const placing = check.own(others)
    let defragmented = false
    throwAborted(signal)
    for (;;) {
      const before = this.#native.givenBackBytes()
      const grown = await this.#takeOrGrow(sizeBytes, placing)
      const aborted = abortion(signal)
      if (aborted) {
        // The slab that was taken for it goes back with it.
        if (!(grown instanceof InsufficientMemoryError)) grown.release()
        throw new AbortError(aborted.reason)
      }
      if (!(grown instanceof InsufficientMemoryError)) return grown
      if (!(await this.#run(() => this.#native.beginRetry(sizeBytes)))) {
        throw this.#refusal(grown, sizeBytes, placing.label)
      }
      const relieved = async () => (await this.#gaveBack(grown, before)) || (await this.#relieved(sizeBytes, signal))
      if (await this.#unlessEnded(relieved(), signal)) continue
      if (defragmented) throw this.#refusal(grown, sizeBytes, placing.label)
      defragmented = true
      const surelyBytes = sizeBytes + (placing.alignBytes ?? 256) - 256
      const enough = () => abortion(signal) !== undefined || this.stats().largestFreeBytes >= surelyBytes
      await this.#unlessEnded(this.#queue(check.own({}), enough), signal)
    }
  }

  /** What others do for a request, unless that is given up or the pool destroyed before. */
  async #unlessEnded<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    let reject: (error: Error) => void = () => {}
    const ended = new Promise<never>((_, rejected) => {
      reject = rejected
    })
    const destroyed = () => reject(released('the memory pool'))
    this.#waiting.add(destroyed)
    const unlisten = signal && onAbort(signal, (reason) => reject(new AbortError(reason)))
    if (this.#end.destroyed) destroyed()
    try {
      return await Promise.race([work, ended])
    } finally {
      this.#waiting.delete(destroyed)
      unlisten?.()
    }
  }

  /** Whether slabs went back to the device since that many bytes of them had, by now or by whomever. */
  async #gaveBack({ requestedBytes, availableBytes }: InsufficientMemoryError, before: number): Promise<boolean> {
    const missingBytes = Math.max(0, requestedBytes - availableBytes)
    await this.#giveBack(() => this.#native.trimSpare(missingBytes))
    return this.#native.givenBackBytes() > before
  }

  /** Why there is no slab, as the refusal of a buffer: the holes of the pool would have served, too. */
  #refusal(noSlab: InsufficientMemoryError, sizeBytes: number, label = ''): InsufficientMemoryError {
    const { message, availableBytes, bindingConstraint, suggestion } = noSlab
    const holeBytes = this.stats().largestFreeBytes
    const details = {
      label: label === '' ? this.label : label,
      requestedBytes: sizeBytes,
      availableBytes,
      largestFreeBytes: Math.max(holeBytes, noSlab.largestFreeBytes),
      bindingConstraint,
      suggestion,
    }
    const hole = holeBytes > 0 ? `. The largest hole in the pool is ${native.formatBytes(holeBytes)}` : ''
    return new InsufficientMemoryError('ERR_INSUFFICIENT_MEMORY', `${message}${hole}`, details)
  }

  /**
   * A buffer from what is held, or from a new slab; or why there is none. One slab at a time: that which one takes may do
   * for all who wait, but not where each buffer has one of its own.
   */
  async #takeOrGrow(sizeBytes: number, options: PoolBufferOptions): Promise<PoolBuffer | InsufficientMemoryError> {
    const held = refusalOf(() => this.allocate(sizeBytes, options))
    if (!(held instanceof InsufficientMemoryError)) return held
    const { alignBytes = 256, placement, label = '' } = options
    const transient = placement === 'transient'
    const take = () => this.#native.allocateOrGrow(sizeBytes, alignBytes, transient, label === '' ? undefined : label)
    try {
      const key = await this.#run(() => (this.#settings.dedicated ? take() : this.#afterOthers(take)))
      const buffer = this.#bufferOf(key, sizeBytes, label)
      if (!this.#end.destroyed) return buffer
      buffer.release()
      throw released('the memory pool')
    } catch (error) {
      if (error instanceof InsufficientMemoryError) return error
      throw error
    }
  }

  /** Runs what takes a slab once everybody before has taken theirs. */
  #afterOthers<T>(take: () => Promise<T>): Promise<T> {
    const taken = this.#growing.then(take)
    this.#growing = taken.catch(() => {})
    return taken
  }

  /** Whether anybody has given memory back. */
  async #relieved(missingBytes: number, signal: AbortSignal | undefined): Promise<boolean> {
    const isWanted = () => !abortion(signal) && !this.#end.destroyed
    for (const relieve of [...this.#pressure]) {
      if (!isWanted()) return false
      if ((await relieve(missingBytes)) === true) return true
    }
    return isWanted() && ((await this.#owner?.relieve(this, missingBytes)) ?? false)
  }

  /**
   * Registers what may give memory back when {@link allocateAsync} finds none. It is told how many bytes are missing, and
   * returns `true`, or a promise of it, when it has given some back: it is asked again until it has not. Returns what
   * forgets it again.
   */
  onPressure(relieve: (missingBytes: number) => unknown): Disposable {
    const registered = check.callback<(missingBytes: number) => unknown>('relieve', relieve)
    this.#expectLive()
    this.#pressure.add(registered)
    return { [Symbol.dispose]: () => void this.#pressure.delete(registered) }
  }

  /**
   * Makes sure that one buffer of `bytes` could be handed out now, and takes a slab for it where none has room.
   *
   * @throws {@link InsufficientMemoryError} when the pool's maximum, the budget or the machine has not that much.
   * @throws {@link DeviceError} as the device says.
   * @throws {@link ReleasedError} after {@link destroy}.
   */
  async reserve(bytes: number): Promise<void> {
    const sizeBytes = sizeOf('bytes', bytes)
    const take = () => this.#native.reserve(sizeBytes, 256)
    return this.#run(() => (this.#settings.dedicated ? take() : this.#afterOthers(take)))
  }

  /**
   * Gives slabs without buffers back until at most `keepBytes` (0 by default) are held; resolves to the bytes given back.
   * By then what was released before is back, too.
   */
  async trim(keepBytes = 0): Promise<number> {
    const keep = check.bytes('keepBytes', keepBytes)
    const bytes = await this.#giveBack(() => this.#native.trim(keep))
    await this.#collecting
    return bytes
  }

  /**
   * Moves buffers together, one after the other, so that whole slabs become empty and go back. Buffers in use, mapped,
   * pinned or exported stay; content survives.
   *
   * @throws {@link DeviceError} when a copy failed: that buffer stays as it was, and those before it stay moved.
   * @throws {@link ReleasedError} after {@link destroy}.
   */
  async defragment(options?: DefragmentOptions): Promise<DefragmentReport> {
    return this.#queue(check.options<DefragmentOptions>(options, defragmentChecks), () => false)
  }

  /** One pass at a time. It ends before its bounds are met when it has done `enough`. */
  #queue(options: DefragmentOptions, enough: () => boolean): Promise<DefragmentReport> {
    const pass = this.#defragmenting.then(() => this.#pass(options, enough))
    this.#defragmenting = pass.catch(() => {})
    return pass
  }

  async #pass(
    { dryRun = false, veto, onMoved, signal, maxBytes, maxMoves, maxMs }: DefragmentOptions,
    enough: () => boolean,
  ): Promise<DefragmentReport> {
    if (dryRun) return this.#run(() => this.#native.defragmentDry(maxBytes, maxMoves, maxMs))
    const report = {
      movedCount: 0,
      movedBytes: 0,
      vetoedCount: 0,
      emptiedBytes: 0,
      largestFreeBytesBefore: this.stats().largestFreeBytes,
      largestFreeBytesAfter: 0,
      complete: false,
    }
    const began = performance.now()
    const leftMs = () => maxMs && Math.max(0, maxMs - (performance.now() - began))
    const bounded = [maxBytes, maxMoves, maxMs].some((bound) => bound !== undefined)
    const pass = (bounded && this.#resumed(veto)) || this.#native.beginPass()
    this.#dropPass()
    let tried = false
    let failed = true
    let rejected: Abortion | undefined
    const within = () =>
      !rejected &&
      !abortion(signal) &&
      report.movedCount < (maxMoves ?? Number.POSITIVE_INFINITY) &&
      report.movedBytes < (maxBytes ?? Number.POSITIVE_INFINITY) &&
      // A bound of any time lets one move be tried, or a slow machine would never get on.
      (tried ? performance.now() - began < (maxMs ?? Number.POSITIVE_INFINITY) : maxMs !== 0) &&
      !enough()
    try {
      while (within()) {
        const planned = await this.#run(() => pass.nextMove(leftMs()))
        if (!planned) {
          report.complete = pass.complete
          break
        }
        tried = true
        if (!this.#native.holds(planned.key)) {
          // It was released before its turn came.
          this.#native.forgoMove(planned)
          continue
        }
        const movable = this.#movable(planned)
        if (this.#vetoes(veto, movable, planned)) {
          report.vetoedCount += 1
          continue
        }
        const emptiedBytes = await this.#run(() => this.#native.makeMove(planned))
        // The veto may have released or pinned it.
        if (typeof emptiedBytes !== 'number') continue
        report.emptiedBytes += emptiedBytes
        report.movedCount += 1
        report.movedBytes += planned.bytes
        // One that is asynchronous is not waited for, but what it rejects with ends the pass, too.
        absorb(onMoved?.(movable), (reason) => {
          rejected = { reason }
        })
      }
      if (rejected) throw rejected.reason
      failed = false
    } finally {
      if (failed || report.complete || this.#end.destroyed) pass.end()
      else this.#keepPass(pass, veto)
      this.#collect()
    }
    report.largestFreeBytesAfter = this.stats().largestFreeBytes
    return report
  }

  /** The pass to go on with. Another veto is asked about what the last one kept where it was. */
  #resumed(veto: DefragmentOptions['veto']): native.NativePass | undefined {
    const unfinished = this.#unfinished
    if (!unfinished) return undefined
    clearTimeout(unfinished.timer)
    this.#unfinished = undefined
    unfinished.pass.resume(!veto || veto !== unfinished.veto)
    return unfinished.pass
  }

  #keepPass(pass: native.NativePass, veto: DefragmentOptions['veto']): void {
    const timer = setTimeout(() => this.#dropPass(), PASS_KEPT_MS).unref()
    this.#unfinished = { pass, veto, timer }
  }

  #dropPass(): void {
    clearTimeout(this.#unfinished?.timer)
    this.#unfinished?.pass.end()
    this.#unfinished = undefined
  }

  #movable({ key, bytes }: native.NativeMove): MovableBuffer {
    return { label: this.#labels.get(key) ?? '', sizeBytes: bytes, id: key }
  }

  /** Whether the move is not wanted; a veto that throws leaves no place taken. */
  #vetoes(veto: DefragmentOptions['veto'], movable: MovableBuffer, planned: native.NativeMove): boolean {
    let vetoed = true
    try {
      const answer: unknown = veto?.(movable)
      if (typeof (answer as PromiseLike<unknown> | undefined)?.then === 'function') {
        absorb(answer)
        throw invalidArgument(
          'veto',
          'a function that says at once whether the buffer stays',
          'one that returns a promise',
        )
      }
      vetoed = answer === true
    } finally {
      if (vetoed) this.#native.forgoMove(planned)
    }
    return vetoed
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

  /** Whether it was destroyed. */
  get destroyed(): boolean {
    return this.#end.destroyed
  }

  /**
   * Gives every slab back. Buffers that are left are stale: every use of them is a {@link ReleasedError}. What is mapped,
   * or being copied, stays until that ends. Idempotent.
   */
  destroy(): Promise<void> {
    this.#gone ??= this.#destroy()
    return this.#gone
  }

  async #destroy(): Promise<void> {
    this.#end.destroyed = true
    clearTimeout(this.#idle)
    this.#dropPass()
    this.#labels.clear()
    this.#pressure.clear()
    for (const end of this.#waiting) end()
    const { heldBytes } = this.stats()
    try {
      await this.#giveBack(() => this.#native.destroy().then(() => heldBytes))
      // What was on its way back before.
      await this.#collecting
    } finally {
      this.#owner?.destroyed(this)
    }
  }

  /** The same as {@link destroy}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.destroy()
  }

  #afterFree(key: number, retired: boolean): void {
    this.#labels.delete(key)
    if (retired) this.#collect()
    if (this.#auto) this.#whenIdle(this.#auto)
  }

  /** Gives empty slabs back, without anybody waiting for the device. */
  #collect(): void {
    this.#collectAgain = true
    this.#collecting ??= this.#collectAll()
    // Told to whoever waits for it.
    this.#collecting.catch(() => {})
  }

  async #collectAll(): Promise<void> {
    // What becomes empty while a device takes its time is given back in a further round.
    try {
      while (this.#collectAgain) {
        this.#collectAgain = false
        await this.#giveBack(() => this.#native.collect())
      }
    } finally {
      this.#collecting = undefined
    }
  }

  /** Gives slabs back by a call that resolves to their bytes; meanwhile {@link #returned} waits for them. */
  async #giveBack(start: () => Promise<number>): Promise<number> {
    const returning = this.#run(start)
    this.#returning.add(returning)
    try {
      return await returning
    } finally {
      this.#returning.delete(returning)
    }
  }

  /** Waits for what is on its way back by now; resolves to its bytes, whoever began it. */
  async #returned(): Promise<number> {
    return (await Promise.all(this.#returning)).reduce((sum, bytes) => sum + bytes, 0)
  }

  #whenIdle({ abovePercent, maxMs }: Required<AutoDefragmentOptions>): void {
    clearTimeout(this.#idle)
    const taken = this.#taken
    this.#idle = setTimeout(() => {
      if (this.#taken !== taken) return this.#whenIdle({ abovePercent, maxMs })
      if (this.#end.destroyed || this.stats().fragmentationPercent <= abovePercent) return
      const goOn = ({ complete }: DefragmentReport) => {
        if (!complete && maxMs > 0) this.#whenIdle({ abovePercent, maxMs })
      }
      // What a device refuses here it refuses again when somebody asks.
      this.defragment({ maxMs }).then(goOn, () => {})
    }, IDLE_MS).unref()
  }

  #expectLive(): void {
    if (this.#end.destroyed) throw released('the memory pool')
  }

  async #run<T>(start: () => Promise<T>): Promise<T> {
    try {
      return await start()
    } catch (error) {
      throw fromNative(error)
    }
  }
}

const settingNames = ['slabBytes', 'initialBytes', 'maxBytes', 'maxCachedBytes', 'pageBytes', 'dedicated'] as const

/** The settings among the options that were given. */
const settingsOf = (options: MemoryPoolOptions): PoolSettings =>
  check.own(
    Object.fromEntries(settingNames.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])),
  )

function throwAborted(signal: AbortSignal | undefined): void {
  const aborted = abortion(signal)
  if (aborted) throw new AbortError(aborted.reason)
}

/** What a call gave, or the refusal that it threw. */
function refusalOf(allocate: () => PoolBuffer): PoolBuffer | InsufficientMemoryError {
  try {
    return allocate()
  } catch (error) {
    if (error instanceof InsufficientMemoryError) return error
    throw error
  }
}

/** Checks a pool that was passed. */
export function realPool(name: string, value: unknown): MemoryPool {
  if (isPool(value)) return value
  throw invalidArgument(name, 'a MemoryPool', quoted(value))
}
