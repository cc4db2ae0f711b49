import { MiB } from '../addon/units.js'
import { Admission } from '../admission/admission.js'
import type { Grant } from '../admission/grant.js'
import type { AcquireOptions, AcquireRequest } from '../admission/options.js'
import { BlackBox } from '../blackbox/black-box.js'
import type { Allocation } from '../budget/allocation.js'
import { type MachineBudgetOptions, MemoryBudget, machineBudgetChecks, refusedBy } from '../budget/budget.js'
import { type DeviceBuffer, isBuffer, type PoolBuffer } from '../device/buffer.js'
import { type DeviceChoice, deviceChoice } from '../device/device.js'
import type { LoadContext } from '../loader/fill.js'
import { type GgufFile, openUrlWith, openWith, type WebAddress } from '../loader/gguf-file.js'
import type { OpenOptions } from '../loader/options.js'
import type { OpenUrlOptions } from '../loader/remote-options.js'
import { Loads } from '../loader/stream.js'
import { limitChecks, type MemoryLimits, MemoryMonitor } from '../monitor/monitor.js'
import { Instances } from '../plan/instances.js'
import { checkLoad, type LoadCheck, type LoadCheckOptions } from '../plan/load-check.js'
import type { PlanRun } from '../plan/types.js'
import {
  DeviceFamily,
  type FamilyAllocateOptions,
  type FamilyStats,
  gpuFamily,
  npuFamily,
  systemFamily,
} from '../pool/family.js'
import { type MemoryPool, type PoolStats, realPool } from '../pool/memory-pool.js'
import type { MemoryPoolOptions, PoolBufferOptions } from '../pool/options.js'
import { MemoryPools } from '../pool/pools.js'
import { SharedReclaim } from '../pool/shared-reclaim.js'
import { StagingPool } from '../pool/staging.js'
import { MemoryProfile, type ProfileOptions } from '../profile/profile.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted, released } from '../support/errors.js'
import { internal } from '../support/internal.js'
import { allSettled } from '../support/settle.js'
import { refuseCloning, shows } from '../support/shown.js'
import {
  type BoardPreset,
  boardPresets,
  type DetectedBoard,
  detectBoard,
  type ProcessMemory,
  processMemory,
} from '../system/system.js'

/** Where the levels of a manager's monitor begin, and how much it may ever use. */
export interface ManagerLimits extends MemoryLimits {
  /** An upper bound of your own, in bytes; see {@link MemoryBudget.maxBytes}. None by default. */
  maxBytes?: number
}

/** What a {@link MemoryManager} is made from. */
export interface MemoryManagerOptions extends MachineBudgetOptions {
  /** Bytes the manager's staging pool keeps idle for reuse at most. 8 MiB by default. */
  maxHeldBytes?: number
  /** Where {@link MemoryManager.pools} take their memory unless they name a device. `'auto'` by default. */
  device?: DeviceChoice
}

/** Everything that a manager has in use. */
export interface MemoryUsage {
  /** What is granted under the budget, in bytes. */
  allocatedBytes: number
  /** The line of the budget, in bytes. */
  lineBytes: number
  /** What live buffers of the NPU asked for, in bytes. */
  npuBytes: number
  /** What live buffers of the GPU asked for, in bytes. */
  gpuBytes: number
  /** What live buffers of ordinary RAM asked for, in bytes. */
  systemBytes: number
  /** What the slabs of the pools take, in bytes. */
  poolBytes: number
  /** What the process has resident. Memory of some devices is no part of it. */
  process: ProcessMemory
}

/** The statistics of one of a manager's pools. */
export interface ManagedPoolStats extends PoolStats {
  /** What the pool is called. */
  label: string
  /** The name of its device. */
  device: string
}

/** The statistics of everything that a manager has. */
export interface MemoryStats {
  /** Buffers of the NPU. */
  npu: FamilyStats
  /** Buffers of the GPU. */
  gpu: FamilyStats
  /** Buffers of ordinary RAM. */
  system: FamilyStats
  /** The pools, oldest first. */
  pools: ManagedPoolStats[]
}

const managerLimitChecks = {
  ...limitChecks,
  maxBytes: (name: string, value: unknown) => check.bytes(name, value),
} as const

/**
 * The front door: the line of this machine, the budget under it, files opened on its account, and a pool for their
 * streams.
 *
 * @example
 * await using manager = new MemoryManager({ safetyMarginPercent: 15 })
 * const model = manager.open('model.gguf')
 * using weights = manager.budget.allocate(model.dataBytes, 'weights')
 */
export class MemoryManager implements AsyncDisposable {
  readonly #loads = new Loads((error) => refusedBy(this.budget, error))
  #closed = false
  /** The preset that was named, or that fits the board that this machine is, if one does. */
  readonly board: Readonly<BoardPreset> | undefined
  /** What this machine is, whatever preset was named. */
  readonly machine: Readonly<DetectedBoard> = Object.freeze(detectBoard())
  /** The budget of this machine. */
  readonly budget: MemoryBudget
  /** Where {@link acquire} waits; every manager over the same board and cgroup has the same queue. */
  readonly admission: Admission
  /** The pool that streams of this manager's files read through; it counts against the budget. */
  readonly staging: StagingPool
  /** Pools of device memory; they count against the budget. */
  readonly pools: MemoryPools
  /** Buffers for the NPU: dma-bufs that its runtime imports, or by `kind` its driver's own. */
  readonly npu: DeviceFamily<'dma-heap' | 'udmabuf' | 'rknpu'>
  /** Buffers of the GPU, by `kind` its own, pinned or managed. */
  readonly gpu: DeviceFamily<'device' | 'pinned' | 'managed'>
  /** Buffers of ordinary RAM, by `kind` of this process alone or in a memory file. */
  readonly system: DeviceFamily<'anonymous' | 'memory-file'>
  /** What {@link allocateInstance} has taken, by name. */
  readonly instances: Instances
  /** Watches the memory under the budget; off until its `start()`. At critical it first trims {@link staging}. */
  readonly monitor: MemoryMonitor
  /** Records what happens to the budget; off until its `start()`. */
  readonly profile: MemoryProfile
  /** Keeps the last minute in a file that outlives a kill or a power cut; off until its `start()`. */
  readonly blackBox: BlackBox

  /** @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read. */
  constructor(options?: MemoryManagerOptions) {
    refuseCloning(this)
    const {
      maxHeldBytes = 8 * MiB,
      device = 'auto',
      board = 'auto',
      ...line
    } = check.options<MemoryManagerOptions>(options, {
      ...machineBudgetChecks,
      maxHeldBytes: (name, value) => check.bytes(name, value),
      device: deviceChoice,
    })
    const preset = board === 'auto' ? this.machine.preset : board
    this.board = boardPresets.find(({ id }) => id === preset)
    this.budget = MemoryBudget.forThisMachine({ ...line, board })
    this.admission = new Admission(this.budget)
    this.instances = new Instances(internal, this.budget)
    this.staging = new StagingPool({ maxHeldBytes, budget: this.budget })
    this.monitor = new MemoryMonitor(this.budget)
    this.monitor.onReclaim('staging pool', () => this.staging.trim())
    this.profile = new MemoryProfile(this.budget)
    this.blackBox = new BlackBox(this.budget)
    const onReclaim = (label: string, run: () => unknown) => this.monitor.onReclaim(label, run)
    const shared = new SharedReclaim()
    this.pools = new MemoryPools(internal, { budget: this.budget, device, shared, onReclaim })
    this.npu = new DeviceFamily(internal, npuFamily, this.budget, shared)
    this.gpu = new DeviceFamily(internal, gpuFamily, this.budget, shared)
    this.system = new DeviceFamily(internal, systemFamily, this.budget, shared)
  }

  /**
   * Opens a file whose streams read through this manager's staging pool and end with it. See {@link GgufFile.open}.
   *
   * @throws {@link ReleasedError} after {@link close}.
   */
  open(url: WebAddress, options?: OpenUrlOptions): Promise<GgufFile>
  open(path: string | URL, options?: OpenOptions): GgufFile
  open(path: string | URL, options?: OpenOptions | OpenUrlOptions): GgufFile | Promise<GgufFile> {
    return openWith(this.#loadContext(), path, options)
  }

  /** Opens a model on a server by its header alone. See {@link GgufFile.openUrl}; rejects as {@link open} throws. */
  async openUrl(url: string | URL, options?: OpenUrlOptions): Promise<GgufFile> {
    return openUrlWith(this.#loadContext(), url, options)
  }

  /** Takes bytes of the budget in turn, all that is asked for together or nothing: `admission.acquire()`. */
  acquire(requests: AcquireRequest | readonly AcquireRequest[], options?: AcquireOptions): Promise<Grant> {
    return this.admission.acquire(requests, options)
  }

  /** Takes what an instance requires off the budget, before it is made: `instances.allocate()`. */
  allocateInstance(id: string, request: PlanRun): Allocation {
    return this.instances.allocate(id, request)
  }

  /** Releases what an instance holds: `instances.deallocate()`. */
  deallocateInstance(id: string): boolean {
    return this.instances.deallocate(id)
  }

  /** Whether a model may be loaded right now. See {@link checkBeforeLoad}; the machine is that of {@link budget}. */
  checkBeforeLoad(file: string | URL, options?: LoadCheckOptions): LoadCheck {
    return checkLoad(this.budget, file, options)
  }

  #loadContext(): LoadContext {
    if (this.#closed) throw released('the memory manager')
    const { unifiedMemory: dropsBehind = false } = this.machine
    return { staging: this.staging, loads: this.#loads, dropsBehind }
  }

  /** What this process holds now. See {@link processMemory}. */
  processMemory(): ProcessMemory {
    return processMemory()
  }

  /**
   * Where the levels of {@link monitor} begin, and how much the budget grants at most. What is left out of what is set
   * takes its default: no maximum beside the line.
   *
   * @throws {@link InvalidArgumentError} for an unknown or unfit limit; nothing is changed then.
   */
  get limits(): Readonly<ManagerLimits> {
    const { maxBytes } = this.budget
    return { ...this.monitor.limits, ...(maxBytes !== undefined && { maxBytes }) }
  }

  set limits(limits: ManagerLimits) {
    const { maxBytes, ...levels } = check.options<ManagerLimits>(limits, managerLimitChecks)
    this.monitor.limits = levels
    this.budget.maxBytes = maxBytes
  }

  /** Takes a buffer for the NPU: `npu.allocate()`. */
  allocateNPUMemory(
    bytes: number,
    options?: FamilyAllocateOptions<'dma-heap' | 'udmabuf' | 'rknpu'>,
  ): Promise<DeviceBuffer> {
    return this.npu.allocate(bytes, options)
  }

  /** Takes a buffer of the GPU: `gpu.allocate()`. */
  allocateGPUMemory(
    bytes: number,
    options?: FamilyAllocateOptions<'device' | 'pinned' | 'managed'>,
  ): Promise<DeviceBuffer> {
    return this.gpu.allocate(bytes, options)
  }

  /** Takes a buffer of ordinary RAM: `system.allocate()`. */
  allocateSystemMemory(
    bytes: number,
    options?: FamilyAllocateOptions<'anonymous' | 'memory-file'>,
  ): Promise<DeviceBuffer> {
    return this.system.allocate(bytes, options)
  }

  /** Frees a buffer, whichever family it is of: `buffer.release()`. */
  deallocateNPUMemory(buffer: DeviceBuffer): void {
    realBuffer(buffer).release()
  }

  /** Frees a buffer, whichever family it is of: `buffer.release()`. */
  deallocateGPUMemory(buffer: DeviceBuffer): void {
    realBuffer(buffer).release()
  }

  /** Frees a buffer, whichever family it is of: `buffer.release()`. */
  deallocateSystemMemory(buffer: DeviceBuffer): void {
    realBuffer(buffer).release()
  }

  /** What was given out for the NPU: `npu.stats()`. */
  getNPUMemoryStats(): FamilyStats {
    return this.npu.stats()
  }

  /** What was given out of the GPU: `gpu.stats()`. */
  getGPUMemoryStats(): FamilyStats {
    return this.gpu.stats()
  }

  /** What was given out of ordinary RAM: `system.stats()`. */
  getSystemMemoryStats(): FamilyStats {
    return this.system.stats()
  }

  /** Makes a pool: `pools.create()`. */
  createMemoryPool(options?: MemoryPoolOptions): Promise<MemoryPool> {
    return this.pools.create(options)
  }

  /** Hands out a buffer from what a pool, this manager's or not, holds: `pool.allocate()`. */
  allocateFromPool(pool: MemoryPool, bytes: number, options?: PoolBufferOptions): PoolBuffer {
    return realPool('pool', pool).allocate(bytes, options)
  }

  /** Releases all of a pool, this manager's or not: `pool.close()`. */
  async destroyMemoryPool(pool: MemoryPool): Promise<void> {
    return realPool('pool', pool).close()
  }

  /** Everything in use, in a few numbers. */
  getMemoryUsage(): MemoryUsage {
    const { allocatedBytes, lineBytes } = this.budget
    return {
      allocatedBytes,
      lineBytes,
      npuBytes: this.npu.stats().usedBytes,
      gpuBytes: this.gpu.stats().usedBytes,
      systemBytes: this.system.stats().usedBytes,
      poolBytes: [...this.pools].reduce((sum, pool) => sum + pool.stats().heldBytes, 0),
      process: processMemory(),
    }
  }

  /** The statistics of everything. */
  getMemoryStats(): MemoryStats {
    const pools = [...this.pools].map((pool) => ({ label: pool.label, device: pool.device.name, ...pool.stats() }))
    return { npu: this.npu.stats(), gpu: this.gpu.stats(), system: this.system.stats(), pools }
  }

  /** Sets {@link MemoryManager.limits | limits}. */
  setMemoryLimits(limits: ManagerLimits): void {
    this.limits = limits
  }

  /** Starts {@link profile}, and returns it. */
  enableMemoryProfiling(options?: ProfileOptions): MemoryProfile {
    this.profile.start(options)
    return this.profile
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Ends the monitor, loads in flight and whoever waits for a turn (they reject with an {@link AbortError}), closes the pools,
   * releases every buffer of a device and deallocates every instance. Other allocations and grants of the budget belong to their holders and stay; what the profile has recorded can still be read. Resolves when every reader has stopped. Idempotent.
   */
  async close(): Promise<void> {
    this.#closed = true
    this.monitor.close()
    this.admission.close()
    this.instances.close()
    this.staging.close()
    // Whatever becomes of one of them, the others end.
    try {
      await this.#loads.close(released('the memory manager'))
    } finally {
      const closed = allSettled([this.pools, this.npu, this.gpu, this.system].map((part) => part.close()))
      await closed.finally(() => {
        this.profile.stop()
        this.blackBox.close()
      })
    }
  }

  /** The same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function realBuffer(buffer: unknown): DeviceBuffer {
  if (isBuffer(buffer)) return buffer
  throw invalidArgument('buffer', 'a DeviceBuffer', quoted(buffer))
}

shows(MemoryManager, ({ machine, board, budget, monitor, pools }) => {
  return { machine: machine.name, board: board?.id, budget, monitor, poolCount: pools.size }
})
