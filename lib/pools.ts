import type { MemoryBudget } from './budget.js'
import * as check from './check.js'
import type { DeviceChoice } from './device.js'
import { released } from './errors.js'
import { type MemoryPool, makePool, trimCached } from './memory-pool.js'
import { type MemoryPoolOptions, poolChecks } from './pool-options.js'
import { poolsPage } from './pool-page.js'

/** What a manager's pools have in common. */
interface Surroundings {
  readonly budget: MemoryBudget
  readonly device: DeviceChoice
  /** Registers what gives memory back while memory is critical. */
  readonly relieve: (label: string, run: () => unknown) => Disposable
}

/** The pools of a manager: they count against its budget, give back what they hold idle at critical, and end with it. */
export class MemoryPools implements Iterable<MemoryPool> {
  readonly #surroundings: Surroundings
  readonly #pools = new Map<MemoryPool, Disposable>()
  #closed = false

  /** @internal */
  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
  }

  /**
   * Makes a pool on the manager's account; see {@link MemoryPool.create}. Its device is that of the manager unless it
   * names one. Before {@link MemoryPool.allocateAsync} refuses, the manager's other pools give back the slabs that they keep
   * for what comes next, but neither their `initialBytes` nor what was reserved.
   *
   * @throws {@link ReleasedError} after the manager was closed.
   */
  async create(options?: MemoryPoolOptions): Promise<MemoryPool> {
    const checked = check.options<MemoryPoolOptions>(options, poolChecks)
    if (this.#closed) throw released('the memory manager')
    const { budget, device } = this.#surroundings
    const owner = {
      relieve: (asking: MemoryPool) => this.trimFor(asking),
      destroyed: (gone: MemoryPool) => this.#forget(gone),
    }
    const pool = await makePool({ device, budget, ...checked }, owner)
    this.#pools.set(
      pool,
      this.#surroundings.relieve(`pool "${pool.label}"`, () => pool.trim()),
    )
    if (!this.#closed) return pool
    // It was made while the manager was closed, and goes with it.
    await pool.destroy()
    throw released('the memory manager')
  }

  /**
   * @internal Gives back what is kept for what comes next, but of the pool that asks and of those whose memory is of another
   * sort. Whether anything was.
   */
  async trimFor(asking: MemoryPool): Promise<boolean> {
    const { systemMemory } = asking.device.limits
    const others = [...this].filter((pool) => pool !== asking && pool.device.limits.systemMemory === systemMemory)
    let givenBack = 0
    for (const pool of others) givenBack += await trimCached(pool)
    return givenBack > 0
  }

  #forget(pool: MemoryPool): void {
    this.#pools.get(pool)?.[Symbol.dispose]()
    this.#pools.delete(pool)
  }

  /** Pools that were not destroyed. */
  get size(): number {
    return this.#pools.size
  }

  /** The pools that were not destroyed, oldest first. */
  [Symbol.iterator](): Iterator<MemoryPool> {
    return [...this.#pools.keys()][Symbol.iterator]()
  }

  /** A picture of all of them, as a page that needs nothing but a browser. See {@link poolsPage}. */
  toHtml(): string {
    return poolsPage([...this].map((pool) => pool.snapshot()))
  }

  /** @internal Destroys every pool, and makes no more. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#pools.keys()].map((pool) => pool.destroy()))
  }
}
