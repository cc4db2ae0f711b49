import { type MachineBudgetOptions, MemoryBudget, machineBudgetChecks } from './budget.js'
import { BufferPool } from './buffer-pool.js'
import * as check from './check.js'
import { released } from './errors.js'
import { type GgufFile, type OpenOptions, openWith } from './gguf-file.js'
import { limitChecks, type MemoryLimits, MemoryMonitor } from './monitor.js'
import { MemoryProfile } from './profile.js'
import { Loads } from './stream.js'
import {
  type BoardPreset,
  boardPresets,
  type DetectedBoard,
  detectBoard,
  type ProcessMemory,
  processMemory,
} from './system.js'
import { MiB } from './units.js'

/** Where the levels of a manager's monitor begin, and how much it may ever use. */
export interface ManagerLimits extends MemoryLimits {
  /** An upper bound of your own, in bytes; see {@link MemoryBudget.maxBytes}. */
  maxBytes?: number
}

/** What a {@link MemoryManager} is made from. */
export interface MemoryManagerOptions extends MachineBudgetOptions {
  /** Bytes the manager's pool keeps idle for reuse at most. 8 MiB by default. */
  maxHeldBytes?: number
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
  readonly #loads = new Loads()
  #closed = false
  /** The preset that was named, or that fits the board that this machine is, if one does. */
  readonly board: Readonly<BoardPreset> | undefined
  /** What this machine is, whatever preset was named. */
  readonly machine: Readonly<DetectedBoard> = Object.freeze(detectBoard())
  /** The budget of this machine. */
  readonly budget: MemoryBudget
  /** The pool that streams of this manager's files read through; it counts against the budget. */
  readonly pool: BufferPool
  /** Watches the memory under the budget; off until its `start()`. At critical it first trims {@link pool}. */
  readonly monitor: MemoryMonitor
  /** Records what happens to the budget; off until its `start()`. */
  readonly profile: MemoryProfile

  /** @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read. */
  constructor(options?: MemoryManagerOptions) {
    const { maxHeldBytes = 8 * MiB, ...line } = check.options<MemoryManagerOptions>(options, {
      ...machineBudgetChecks,
      maxHeldBytes: (name, value) => check.bytes(name, value),
    })
    const { board = 'auto' } = line
    const preset = board === 'auto' ? this.machine.preset : board
    this.board = boardPresets.find(({ id }) => id === preset)
    this.budget = MemoryBudget.forThisMachine(line)
    this.pool = new BufferPool({ maxHeldBytes, budget: this.budget })
    this.monitor = new MemoryMonitor(this.budget)
    this.monitor.relieve('buffer pool', () => this.pool.trim())
    this.profile = new MemoryProfile(this.budget)
  }

  /**
   * Opens a file whose streams read through this manager's pool and end with it. See {@link GgufFile.open}.
   *
   * @throws {@link ReleasedError} after {@link close}.
   */
  open(path: string | URL, options?: OpenOptions): GgufFile {
    if (this.#closed) throw released('the memory manager')
    return openWith({ pool: this.pool, loads: this.#loads }, path, options)
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

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Ends the monitor and loads in flight (they reject with an {@link AbortError}) and gives the pool's memory back. Allocations belong
   * to their holders and stay; what the profile has recorded can still be read. Resolves when every reader has stopped. Idempotent.
   */
  async close(): Promise<void> {
    this.#closed = true
    this.monitor.close()
    this.pool.close()
    await this.#loads.close(released('the memory manager'))
    this.profile.stop()
  }

  /** The same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
