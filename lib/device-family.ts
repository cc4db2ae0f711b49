import type { MemoryBudget } from './budget.js'
import * as check from './check.js'
import type { DeviceChoice, DeviceOptions, DeviceUsage } from './device.js'
import type { DeviceBuffer } from './device-buffer.js'
import { released } from './errors.js'
import { type MemoryPool, makePool, type PoolStats } from './memory-pool.js'

/** How a buffer of a family is taken. */
export interface FamilyAllocateOptions<Kind extends string> {
  /** What it is for. */
  label?: string
  /** The kind of memory; see the family for its own. */
  kind?: Kind
  /** Gives the request up. */
  signal?: AbortSignal
}

/** What a family has given out, all its kinds together. */
export interface FamilyStats {
  /** Bytes that live buffers asked for. */
  usedBytes: number
  /** The most there ever were at once. */
  peakBytes: number
  /** Live buffers. */
  count: number
  /** Buffers ever taken. */
  allocatedCount: number
  /** All the memory of the largest of the devices that were used, in bytes, where it says so; else 0. */
  totalBytes: number
  /** What the freest of them could still give, in bytes, where it is known; else 0. */
  freeBytes: number
  /** The largest buffer that one of them could still give, in bytes, where it is known; else 0. */
  largestFreeBytes: number
  /** Share of the free bytes that one buffer could not have, 0 to 100. */
  fragmentationPercent: number
  /** The devices that were used, by name. */
  devices: Record<string, DeviceUsage & PoolStats>
}

/** Which device each kind of a family is, and what is taken where none is named. */
export interface Family<Kind extends string> {
  readonly name: string
  readonly kinds: Readonly<Record<Kind, DeviceOptions>>
  /** Tried in this order; the first that can be opened is taken. */
  readonly preferred: readonly Kind[]
}

/** Buffers of the GPU: the device's own memory, pinned RAM, or managed memory. */
export const gpuFamily: Family<'device' | 'pinned' | 'managed'> = {
  name: 'GPU',
  kinds: {
    device: { kind: 'cuda', memory: 'device' },
    pinned: { kind: 'cuda', memory: 'pinned' },
    managed: { kind: 'cuda', memory: 'managed' },
  },
  preferred: ['device'],
}

/** Buffers for the NPU: what its runtime imports; or, by name, its driver's own. */
export const npuFamily: Family<'dma-heap' | 'udmabuf' | 'rknpu'> = {
  name: 'NPU',
  kinds: { 'dma-heap': { kind: 'dma-heap' }, udmabuf: { kind: 'udmabuf' }, rknpu: { kind: 'rknpu' } },
  preferred: ['dma-heap', 'udmabuf'],
}

/** Buffers of ordinary RAM: of this process alone, or memory files that other processes can map. */
export const systemFamily: Family<'anonymous' | 'memory-file'> = {
  name: 'system',
  kinds: { anonymous: { kind: 'host' }, 'memory-file': { kind: 'host', memoryFile: true } },
  preferred: ['anonymous'],
}

/**
 * Buffers of one kind of processor, each taken from the device by itself, on a manager's account.
 *
 * @example
 * using input = await manager.npu.allocate(640 * 640 * 3, { label: 'input' })
 * const { fd } = await input.exportFd()
 */
export class DeviceFamily<Kind extends string> {
  readonly #family: Family<Kind>
  readonly #budget: MemoryBudget
  readonly #pools = new Map<Kind, Promise<MemoryPool>>()
  readonly #open = new Set<MemoryPool>()
  readonly #peak = { bytes: 0 }
  #closed = false

  /** @internal */
  constructor(family: Family<Kind>, budget: MemoryBudget) {
    this.#family = family
    this.#budget = budget
  }

  /**
   * Takes a buffer from the device, with the machine's headroom and the manager's budget asked before.
   *
   * @throws {@link DeviceUnavailableError} when there is no such device, or this process may not use it.
   * @throws {@link InsufficientMemoryError} when the budget or the machine has not that much.
   * @throws {@link DeviceError} as the device says.
   * @throws {@link InvalidArgumentError} for an unfit size or option; {@link ReleasedError} after the manager was closed.
   */
  async allocate(bytes: number, options?: FamilyAllocateOptions<Kind>): Promise<DeviceBuffer> {
    const sizeBytes = check.bytes('bytes', bytes, 1)
    const kinds = Object.keys(this.#family.kinds) as Kind[]
    const { label, kind, signal } = check.options<FamilyAllocateOptions<Kind>>(options, {
      label: check.string,
      kind: (name, value) => check.oneOf(name, value, kinds) as never,
      signal: check.signal,
    })
    const pool = await (kind === undefined ? this.#preferred() : this.#pool(kind))
    const buffer = await pool.allocateAsync(sizeBytes, { label: label ?? '', ...(signal && { signal }) })
    this.#peak.bytes = Math.max(this.#peak.bytes, this.#usedBytes())
    return buffer
  }

  /** The first kind whose device can be opened; the refusal of the first where none can. */
  async #preferred(): Promise<MemoryPool> {
    let refusal: unknown
    for (const kind of this.#family.preferred) {
      try {
        return await this.#pool(kind)
      } catch (error) {
        refusal ??= error
      }
    }
    throw refusal
  }

  #pool(kind: Kind): Promise<MemoryPool> {
    if (this.#closed) throw released('the memory manager')
    const open = this.#pools.get(kind) ?? this.#openPool(this.#family.kinds[kind])
    this.#pools.set(kind, open)
    // What is missing now may be there later.
    open.catch(() => this.#pools.delete(kind))
    return open
  }

  async #openPool(device: DeviceChoice): Promise<MemoryPool> {
    const pool = await makePool({ device, dedicated: true, budget: this.#budget, label: `${this.#family.name} memory` })
    this.#open.add(pool)
    if (!this.#closed) return pool
    await pool.destroy()
    throw released('the memory manager')
  }

  #usedBytes(): number {
    return [...this.#open].reduce((sum, pool) => sum + pool.stats().requestedBytes, 0)
  }

  /** What was given out. Never waits for a device. */
  stats(): FamilyStats {
    const pools = [...this.#open].map((pool) => ({ name: pool.device.name, ...pool.device.usage(), ...pool.stats() }))
    const usages = [...this.#open].map((pool) => pool.device.usage())
    // The kinds of a processor share memory, so that their figures do not add up.
    const most = (of: (usage: DeviceUsage) => number | undefined) =>
      Math.max(0, ...usages.map((usage) => of(usage) ?? 0))
    const freeBytes = most(({ freeBytes }) => freeBytes)
    const largestFreeBytes = most(({ largestFreeBytes, freeBytes }) => largestFreeBytes ?? freeBytes)
    return {
      usedBytes: this.#usedBytes(),
      peakBytes: this.#peak.bytes,
      count: pools.reduce((all, { bufferCount }) => all + bufferCount, 0),
      allocatedCount: pools.reduce((all, { allocatedCount }) => all + allocatedCount, 0),
      totalBytes: most(({ totalBytes }) => totalBytes),
      freeBytes,
      largestFreeBytes,
      fragmentationPercent: freeBytes === 0 ? 0 : (1 - largestFreeBytes / freeBytes) * 100,
      devices: Object.fromEntries(pools.map(({ name, ...stats }) => [name, stats])),
    }
  }

  /** @internal Gives back every buffer, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#open].map((pool) => pool.destroy()))
  }
}
