import type { MemoryBudget } from '../budget/budget.js'
import type { DeviceBuffer } from '../device/buffer.js'
import type { DeviceOptions, DeviceUsage } from '../device/device.js'
import * as check from '../support/check.js'
import { released } from '../support/errors.js'
import { expectInternal, type internal } from '../support/internal.js'
import { allSettled } from '../support/settle.js'
import { refuseCloning, shows } from '../support/shown.js'
import type { MemoryPool, PoolStats } from './memory-pool.js'
import type { SharedReclaim } from './shared-reclaim.js'

/** How a buffer of a family is taken. */
export interface FamilyAllocateOptions<Kind extends string> {
  /** What it is for. `''` by default. */
  label?: string
  /** The kind of memory: see the family for its own, and for the one by default. */
  kind?: Kind
  /** Gives the request up. None by default. */
  signal?: AbortSignal
}

/** A device that a family has used. */
export interface FamilyDevice {
  /** What the device has given out in this process, to whomever, and what it says of itself. */
  usage: DeviceUsage
  /** What the family holds of it: a slab for each buffer. */
  pool: PoolStats
}

/**
 * What a family has given out, all its kinds together. What the memory is like is told of one device, as kinds of one
 * processor may share memory, so that their figures do not add up: the first of the family's kinds that was used.
 */
export interface FamilyStats {
  /** Bytes that live buffers asked for. */
  usedBytes: number
  /** The most there ever were at once. */
  peakBytes: number
  /** Live buffers. */
  count: number
  /** Buffers ever taken. */
  allocatedCount: number
  /** All the memory of that device, in bytes, where it says so; else 0. */
  totalBytes: number
  /** What it could still give, in bytes, where it is known; else 0. */
  freeBytes: number
  /** The largest buffer it could still give, in bytes, where it is known; else 0. */
  largestFreeBytes: number
  /** Share of its free bytes that one buffer could not have, 0 to 100. */
  fragmentationPercent: number
  /** The devices that were used, by name. */
  devices: Record<string, FamilyDevice>
}

/** Which device each kind of a family is, and what is taken where none is named. */
export interface Family<Kind extends string> {
  readonly name: string
  /** In the order in which statistics ask them. */
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
 * // Of a kind that other processes can map; so are all kinds of `manager.npu`.
 * using input = await manager.system.allocate(640 * 640 * 3, { label: 'input', kind: 'memory-file' })
 * const { fd } = await input.exportFd()
 * manager.system.stats().count // 1
 */
export class DeviceFamily<Kind extends string> {
  readonly #family: Family<Kind>
  readonly #budget: MemoryBudget
  readonly #shared: SharedReclaim
  readonly #pools = new Map<Kind, Promise<MemoryPool>>()
  readonly #open = new Map<Kind, MemoryPool>()
  readonly #peak = { bytes: 0 }
  #closed = false

  /** @internal */
  constructor(token: typeof internal, family: Family<Kind>, budget: MemoryBudget, shared: SharedReclaim) {
    expectInternal(token, 'DeviceFamily', 'new MemoryManager()')
    refuseCloning(this)
    this.#family = family
    this.#budget = budget
    this.#shared = shared
  }

  /**
   * Takes a buffer from the device, with the machine's headroom and the manager's budget asked before. Before it refuses,
   * it waits for what the manager's families and pools have on its way back, and the pools release what they merely keep
   * for what comes next.
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
    const open = this.#pools.get(kind) ?? this.#openPool(kind)
    this.#pools.set(kind, open)
    // What is missing now may be there later.
    open.catch(() => this.#pools.delete(kind))
    return open
  }

  async #openPool(kind: Kind): Promise<MemoryPool> {
    const { name, kinds } = this.#family
    const options = { device: kinds[kind], dedicated: true, budget: this.#budget, label: `${name} memory` }
    const pool = await this.#shared.makePool(check.own(options))
    this.#open.set(kind, pool)
    if (!this.#closed) return pool
    await pool.close()
    throw released('the memory manager')
  }

  #usedBytes(): number {
    return [...this.#open.values()].reduce((sum, pool) => sum + pool.stats().requestedBytes, 0)
  }

  /** What was given out. Never waits for a device. */
  stats(): FamilyStats {
    const kinds = Object.keys(this.#family.kinds) as Kind[]
    const open = kinds.flatMap((kind) => this.#open.get(kind) ?? [])
    const devices = open.map((pool) => [pool.device.name, { usage: pool.device.usage(), pool: pool.stats() }] as const)
    const { totalBytes = 0, freeBytes = 0, largestFreeBytes = freeBytes } = devices[0]?.[1].usage ?? {}
    const sum = (of: (stats: PoolStats) => number) => devices.reduce((all, [, { pool }]) => all + of(pool), 0)
    return {
      usedBytes: sum(({ requestedBytes }) => requestedBytes),
      peakBytes: this.#peak.bytes,
      count: sum(({ bufferCount }) => bufferCount),
      allocatedCount: sum(({ allocatedCount }) => allocatedCount),
      totalBytes,
      freeBytes,
      largestFreeBytes,
      fragmentationPercent: freeBytes === 0 ? 0 : (1 - largestFreeBytes / freeBytes) * 100,
      devices: Object.fromEntries(devices),
    }
  }

  /** @internal Releases every buffer, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true
    await allSettled([...this.#open.values()].map((pool) => pool.close()))
  }
}

shows(DeviceFamily, (family: DeviceFamily<string>) => family.stats())
