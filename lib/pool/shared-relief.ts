import { giveBackIdle, type MemoryPool, makePool } from './memory-pool.js'
import type { MemoryPoolOptions } from './options.js'

/** Pools on one account: before one of them refuses, the others give back what they have to spare. */
export class SharedRelief {
  readonly #pools = new Set<MemoryPool>()

  /** Makes a pool that is one of them until it is destroyed. */
  async makePool(options: MemoryPoolOptions, destroyed?: (gone: MemoryPool) => void): Promise<MemoryPool> {
    const pool = await makePool(options, {
      relieve: (asking) => this.#relieve(asking),
      destroyed: (gone) => {
        this.#pools.delete(gone)
        destroyed?.(gone)
      },
    })
    this.#pools.add(pool)
    return pool
  }

  /** Whether the others whose memory is of the same sort gave anything back. */
  async #relieve(asking: MemoryPool): Promise<boolean> {
    const { systemMemory } = asking.device.limits
    const others = [...this.#pools].filter(
      (pool) => pool !== asking && pool.device.limits.systemMemory === systemMemory,
    )
    const givenBack = await Promise.all(others.map(giveBackIdle))
    return givenBack.some((bytes) => bytes > 0)
  }
}
