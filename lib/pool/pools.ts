import type { MemoryBudget } from '../budget/budget.js'
import type { DeviceChoice } from '../device/device.js'
import * as check from '../support/check.js'
import { released } from '../support/errors.js'
import { expectInternal, type internal } from '../support/internal.js'
import { allSettled } from '../support/settle.js'
import { refuseCloning, shows } from '../support/shown.js'
import type { MemoryPool } from './memory-pool.js'
import { type MemoryPoolOptions, poolChecks } from './options.js'
import type { SharedReclaim } from './shared-reclaim.js'

/** What a manager's pools have in common. */
interface PoolsContext {
  readonly budget: MemoryBudget
  readonly device: DeviceChoice
  /** Makes pools beside those of the families, which release memory for one another. */
  readonly shared: SharedReclaim
  /** Registers what releases memory while memory is critical. */
  readonly onReclaim: (label: string, run: () => unknown) => Disposable
}

/** What pools of one label and device have done. */
export interface PoolCounts {
  readonly label: string
  readonly device: string
  allocatedCount: number
  failedCount: number
  movedBytes: number
}

/** Labels and devices whose closed pools are still counted, the latest: a program may call each of its pools something else. */
const MAX_COUNTS = 256

/**
 * The pools of a manager: they count against its budget, release what they hold idle at critical, and end with it.
 *
 * @example
 * await using pool = await manager.pools.create({ device: 'host', initialBytes: 16 * MiB })
 * using buffer = pool.allocate(4 * MiB)
 * console.log(manager.pools.size) // 1
 */
export class MemoryPools implements Iterable<MemoryPool> {
  readonly #context: PoolsContext
  readonly #pools = new Map<MemoryPool, Disposable>()
  readonly #counts = new Map<string, PoolCounts>()
  #closed = false

  /** @internal */
  constructor(token: typeof internal, context: PoolsContext) {
    expectInternal(token, 'MemoryPools', 'new MemoryManager()')
    refuseCloning(this)
    this.#context = context
  }

  /**
   * Makes a pool on the manager's account; see {@link MemoryPool.create}. Its device is that of the manager unless it
   * names one. Before {@link MemoryPool.allocateAsync} refuses, it waits for what buffers of the families and the manager's
   * other pools have on its way back, and those pools release the slabs that they keep for what comes next, but neither
   * their `initialBytes` nor what was reserved.
   *
   * @throws {@link ReleasedError} after the manager was closed.
   */
  async create(options?: MemoryPoolOptions): Promise<MemoryPool> {
    const checked = check.options<MemoryPoolOptions>(options, poolChecks)
    if (this.#closed) throw released('the memory manager')
    const { budget, device, shared } = this.#context
    const pool = await shared.makePool(check.own({ device, ...(checked.from ? {} : { budget }), ...checked }), (gone) =>
      this.#forget(gone),
    )
    this.#pools.set(
      pool,
      this.#context.onReclaim(`pool "${pool.label}"`, () => pool.trim()),
    )
    if (!this.#closed) return pool
    // It was made while the manager was closed, and goes with it.
    await pool.close()
    throw released('the memory manager')
  }

  #forget(pool: MemoryPool): void {
    this.#pools.get(pool)?.[Symbol.dispose]()
    this.#pools.delete(pool)
    this.#count(pool)
  }

  #count(pool: MemoryPool): void {
    const { allocatedCount, failedCount, movedBytes } = pool.stats()
    const of = { label: pool.label, device: pool.device.name }
    const key = JSON.stringify(of)
    const counts = this.#counts.get(key) ?? { ...of, allocatedCount: 0, failedCount: 0, movedBytes: 0 }
    this.#counts.delete(key)
    counts.allocatedCount += allocatedCount
    counts.failedCount += failedCount
    counts.movedBytes += movedBytes
    this.#counts.set(key, counts)
    const [oldest] = this.#counts.keys()
    if (this.#counts.size > MAX_COUNTS && oldest !== undefined) this.#counts.delete(oldest)
  }

  /** @internal What those that were closed have done: of pools that come and go, a counter must not go backwards. */
  ofClosed(): Iterable<PoolCounts> {
    return this.#counts.values()
  }

  /** Pools that were not closed. */
  get size(): number {
    return this.#pools.size
  }

  /** The pools that were not closed, oldest first. */
  [Symbol.iterator](): Iterator<MemoryPool> {
    return [...this.#pools.keys()][Symbol.iterator]()
  }

  /** @internal Closes every pool, and makes no more. */
  async close(): Promise<void> {
    this.#closed = true
    await allSettled([...this.#pools.keys()].map((pool) => pool.close()))
  }
}

shows(MemoryPools, (pools) => ({ pools: [...pools] }))
