import { type MemoryPool, makePool, releaseIdle } from './memory-pool.js'
import type { MemoryPoolOptions } from './options.js'

/** Pools on one account: before one of them refuses, the others release what they have to spare. */
export class SharedReclaim {
  readonly #pools = new Set<MemoryPool>()

  /** Makes a pool that is one of them until it is closed. */
  async makePool(options: MemoryPoolOptions, closed?: (gone: MemoryPool) => void): Promise<MemoryPool> {
    const pool = await makePool(options, {
      reclaim: (asking) => this.#reclaim(asking),
      closed: (gone) => {
        this.#pools.delete(gone)
        closed?.(gone)
      },
    })
    this.#pools.add(pool)
    return pool
  }

  /** Whether the others whose memory is of the same sort released anything. */
  async #reclaim(asking: MemoryPool): Promise<boolean> {
    const { systemMemory } = asking.device.limits
    const others = [...this.#pools].filter(
      (pool) => pool !== asking && pool.device.limits.systemMemory === systemMemory,
    )
    const releasedBytes = await Promise.all(others.map(releaseIdle))
    return releasedBytes.some((bytes) => bytes > 0)
  }
}
