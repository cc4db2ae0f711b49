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
