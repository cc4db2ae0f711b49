import { constants } from 'node:buffer'
import type { StagingPoolStats } from '../../binding.js'
import { detach } from '../addon/detach.js'
import { type NativeStagingBuffer, NativeStagingPool } from '../addon/native.js'
import { MiB } from '../addon/units.js'
import { MemoryBudget, nativeBudget, refusedBy } from '../budget/budget.js'
import type { Bytes } from '../support/arrays.js'
import { bufferLength } from '../support/bytes.js'
import * as check from '../support/check.js'
import { fromNative, released } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'

export type { StagingPoolStats } from '../../binding.js'

/** How a {@link StagingPool} behaves. */
export interface StagingPoolOptions {
  /**
   * Bytes kept idle for reuse at most; a returned buffer that would pass the cap goes back to the system. 16 MiB by default.
   */
  maxHeldBytes?: number
  /** Whether a reused buffer is zeroed before it is handed out; a new one always reads zero. `false` by default. */
  zeroed?: boolean
  /** The budget that every buffer, idle or in use, counts against, under the label `staging pool`. None by default. */
  budget?: MemoryBudget
}

/** Checks the options of a pool. */
const stagingPoolChecks = {
  maxHeldBytes: (name: string, value: unknown) => check.bytes(name, value),
  zeroed: check.boolean,
  budget: (name: string, value: unknown) => check.real(name, value, MemoryBudget, nativeBudget),
} as const

/** The native pool behind a public one; `undefined` of anything else. */
export let nativePool: (pool: unknown) => NativeStagingPool | undefined

/**
 * A pool of page-aligned buffers, reused by size class: sizes are rounded up, four classes to every doubling.
 *
 * The loader streams through one. A buffer that is released, or collected, returns to the pool once the memory is no
 * longer seen by any view, on a later turn of the event loop.
 *
 * @example
 * const pool = new StagingPool({ maxHeldBytes: 32 * MiB, budget })
 * using buffer = pool.get(4 * MiB)
 * buffer.data.fill(0)
 */
export class StagingPool implements Disposable {
  readonly #native: NativeStagingPool
  readonly #budget: MemoryBudget | undefined

  static {
    nativePool = (pool) => (check.isObject(pool) && #native in pool ? pool.#native : undefined)
  }

  /** @throws {@link InvalidArgumentError} for an unknown or unfit option. */
  constructor(options?: StagingPoolOptions) {
    const {
      maxHeldBytes = 16 * MiB,
      zeroed = false,
      budget,
    } = check.options<StagingPoolOptions>(options, stagingPoolChecks)
    refuseCloning(this)
    this.#budget = budget
    this.#native = NativeStagingPool.create(maxHeldBytes, zeroed, budget && nativeBudget(budget))
  }

  /**
   * Hands out a buffer. Unless the pool is `zeroed`, it may still hold what its last user left in it.
   *
   * @throws {@link InsufficientMemoryError} when the budget, or the system, refuses; idle buffers are freed before.
   * @throws {@link ReleasedError} after {@link close}.
   * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 1 to `buffer.constants.MAX_LENGTH`.
   */
  get(bytes: number): StagingBuffer {
    check.bytes('bytes', bytes, 1, constants.MAX_LENGTH)
    try {
      return pooled(this.#native.get(bytes))
    } catch (error) {
      throw refusedBy(this.#budget, fromNative(error))
    }
  }

  /** What the pool has done and holds. */
  stats(): StagingPoolStats {
    return this.#native.stats()
  }

  /** Releases idle buffers until at most `keepBytes` (0 by default) are held; returns how many bytes. */
  trim(keepBytes = 0): number {
    return this.#native.trim(check.bytes('keepBytes', keepBytes))
  }

  /** Releases every idle buffer and hands out no more. Buffers in use go back when released. Idempotent. */
  close(): void {
    this.#native.close()
  }

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }
}

/** Makes the buffer over the addon's. */
let pooled: (native: NativeStagingBuffer) => StagingBuffer

/**
 * A buffer out of a {@link StagingPool}.
 *
 * @example
 * using buffer = new StagingPool().get(4 * MiB)
 * buffer.data.fill(0)
 * console.log(buffer.data.length) // 4194304
 */
export class StagingBuffer implements Disposable {
  readonly #native: NativeStagingBuffer
  readonly #buffer: ArrayBuffer
  /** Whether its memory was released, or given away. */
  #settled = false
  #kept = false
  /** The buffer's bytes; length 0 after {@link release}. */
  readonly data: Bytes

  static {
    pooled = (native) => new StagingBuffer(internal, native)
  }

  private constructor(token: typeof internal, native: NativeStagingBuffer) {
    expectInternal(token, 'StagingBuffer', 'pool.get()')
    refuseCloning(this)
    this.#native = native
    this.#buffer = native.arrayBuffers()[0] as ArrayBuffer
    this.data = new Uint8Array(this.#buffer)
  }

  /** Returns the buffer to its pool; every view of it then has length 0. A second call, or one after {@link keep}, does nothing. */
  release(): void {
    if (this.#settled) return
    this.#settled = true
    // Memory that was moved to another array buffer belongs to whoever moved it.
    if (!detach(this.#buffer)) this.#native.keep()
  }

  /** The same as {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }

  /**
   * Takes the buffer out of the pool for good and returns its bytes: they live until they are collected, and count
   * against the pool's budget until then.
   *
   * @throws {@link ReleasedError} after the buffer was released.
   */
  keep(): Bytes {
    if (this.#kept) return this.data
    if (this.#settled) throw released('the buffer')
    this.#settled = true
    this.#native.keep()
    // Memory that was moved to another array buffer belongs to whoever moved it.
    if (bufferLength(this.#buffer) === 0) throw released('the buffer')
    this.#kept = true
    return this.data
  }
}

shows(StagingPool, (pool) => pool.stats())
shows(StagingBuffer, ({ data }) => ({ byteLength: data.byteLength }))
