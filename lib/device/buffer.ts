import { constants } from 'node:buffer'
import type { ExportedFd } from '../../binding.js'
import { detach } from '../addon/detach.js'
import { LeakGuard } from '../addon/leak-guard.js'
import { freeBuffer, type NativePool } from '../addon/native.js'
import { formatBytes, MiB } from '../addon/units.js'
import type { Bytes } from '../support/arrays.js'
import { bytesOf } from '../support/bytes.js'
import * as check from '../support/check.js'
import { call, fromNative, invalidArgument, quoted, released } from '../support/errors.js'
import { hold, letGo } from '../support/held.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'

export type { ExportedFd } from '../../binding.js'

/** A part of a buffer. */
export interface BufferRange {
  /** Where it begins, in bytes. 0 by default. */
  offsetBytes?: number
  /** How long it is, in bytes. To the end of the buffer by default. */
  lengthBytes?: number
}

/** How a buffer is mapped. */
export interface MappingOptions extends BufferRange {
  /** What is done with the view. `'readwrite'` by default; less lets the driver do less. */
  access?: 'read' | 'write' | 'readwrite'
}

/** How a buffer is read. */
export interface ReadOptions extends BufferRange {
  /** Where the bytes go; new memory by default. Its length is how many are read: leave `lengthBytes` out, or give the same. */
  into?: ArrayBufferView
}

const count = (name: string, value: unknown) => check.bytes(name, value)

const rangeChecks = { offsetBytes: count, lengthBytes: count } as const

const mappingChecks = {
  ...rangeChecks,
  access: (name: string, value: unknown) => check.oneOf(name, value, ['read', 'write', 'readwrite'] as const),
} as const

const readChecks = { ...rangeChecks, into: bytesView } as const

/** The bytes of a view, not copied. */
function bytesView(name: string, value: unknown): Uint8Array<ArrayBuffer> {
  const bytes = ArrayBuffer.isView(value) ? bytesOf(value) : undefined
  if (bytes) return bytes
  throw invalidArgument(name, 'a view of an ArrayBuffer of fixed length, such as a Uint8Array', quoted(value))
}

/** How much is copied from or to the caller's memory at a time, in bytes: what takes no millisecond. */
const PIECE_BYTES = 4 * MiB

function tooLong(lengthBytes: number): Error {
  const expected = 'what one array can hold here; read larger buffers in parts, with offsetBytes and lengthBytes'
  return invalidArgument('lengthBytes', expected, `${lengthBytes} bytes`)
}

/** Work of this package that is under way on memory which JavaScript sees. */
const users = new WeakMap<ArrayBufferLike, Set<Promise<unknown>>>()

/** Notes work on memory until it ends, so that a map of that memory outlasts it. */
export async function inUse<T>(buffer: ArrayBufferLike, work: Promise<T>): Promise<T> {
  const all = users.get(buffer) ?? new Set()
  users.set(buffer, all.add(work))
  try {
    return await work
  } finally {
    all.delete(work)
  }
}

/** Whether an array buffer could be detached; whatever keeps it from that keeps no map from its end. */
function detachedNow(buffer: ArrayBuffer): boolean {
  try {
    return detach(buffer)
  } catch {
    return false
  }
}

/** What is known of a buffer when it was collected. */
export interface BufferState {
  readonly native: NativePool
  /** The buffers of that pool, as the addon wants them to free one. */
  readonly table: object
  readonly key: number
  readonly label: string
  readonly sizeBytes: number
  readonly device: string
  /** Who asked for it, while a profile with stacks ran. */
  readonly stack: string | undefined
  /** Called when the buffer was freed: whether slabs wait to be released. */
  readonly freed: (key: number, retired: boolean) => void
  /** Its pool, which frees all its buffers as it is closed. */
  readonly pool: { readonly closed: boolean; readonly held: Set<object> }
  released: boolean
}

/** Frees what a collected buffer held. */
const leakGuard = new LeakGuard<BufferState>((state) => {
  if (state.released || state.pool.closed) return undefined
  free(state)
  const { label, sizeBytes, device, stack } = state
  return {
    what: `A buffer of ${formatBytes(sizeBytes)} on ${device}`,
    expected: 'released',
    advice: 'Its memory was freed now; call release(), use `using`, or hold() it.',
    label,
    sizeBytes,
    stack,
  }
})

function free(state: BufferState): void {
  state.released = true
  state.freed(state.key, freeBuffer(state.table, state.key))
}

/** Whether it is a buffer, and none that only looks like one. */
export let isBuffer: (value: unknown) => value is DeviceBuffer

/** The native pool and key of a buffer that is live; `undefined` of anything else. */
export let bufferPlace: (buffer: unknown) => { readonly native: NativePool; readonly key: number } | undefined

/** Makes the buffer for a key of the addon. */
export let poolBuffer: (state: BufferState) => PoolBuffer

/**
 * Memory of a device. It is freed once: on {@link release}, at the end of a `using` block, or as it is collected, which
 * emits a `PlimsollLeakWarning`.
 *
 * Reading, writing and mapping are promises, for a device may take its time. Meanwhile, and as long as a map lasts, the
 * memory stays, whatever is released.
 *
 * @example
 * using buffer = await manager.gpu.allocate(64 * MiB, { label: 'activations' })
 * await buffer.write(new Float32Array(1024))
 */
export class DeviceBuffer implements Disposable {
  readonly #state: BufferState

  static {
    isBuffer = (value): value is DeviceBuffer => check.isObject(value) && #state in value
    bufferPlace = (buffer) => (isBuffer(buffer) ? buffer.#live() : undefined)
  }

  protected constructor(token: typeof internal, state: BufferState) {
    expectInternal(token, 'DeviceBuffer', 'allocate()')
    refuseCloning(this)
    this.#state = state
    leakGuard.watch(this, state)
  }

  /** Its size, in bytes. */
  get sizeBytes(): number {
    return this.#state.sizeBytes
  }

  /** What it is for. */
  get label(): string {
    return this.#state.label
  }

  /** The name of its device. */
  get device(): string {
    return this.#state.device
  }

  /** Whether it was released. */
  get released(): boolean {
    return this.#state.released
  }

  /** Frees it. What still reads, writes or maps it keeps the memory until that ends. A second call does nothing. */
  release(): void {
    const state = this.#state
    if (state.released) return
    leakGuard.unwatch(state)
    if (state.pool.held.delete(this)) letGo(this)
    free(state)
  }

  /**
   * Keeps the buffer until it is {@link release | released}, whether or not anything refers to it: the garbage collector
   * never frees it. Returns the buffer.
   *
   * @throws {@link ReleasedError} after it was released.
   */
  hold(): this {
    this.#live().pool.held.add(this)
    hold(this)
    return this
  }

  /** The same as {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }

  /**
   * Copies bytes out. Into memory of the caller's they come in pieces of at most 4 MiB, with no more memory than that
   * beside it; so more than that is not read at one moment, and not to its end if the buffer is released meanwhile.
   *
   * @returns the bytes, or those of `into`.
   * @throws {@link InvalidArgumentError} for a range beyond the buffer, more than one array can hold, and memory that was
   * moved away while it was filled.
   * @throws {@link DeviceError} as the device says.
   * @throws {@link ReleasedError} after it was released.
   */
  async read(options?: ReadOptions): Promise<Bytes> {
    const { into, ...range } = check.options<ReadOptions>(options, readChecks)
    if (into) return this.#readInto(into as Bytes, check.own(range))
    const { offsetBytes, lengthBytes } = this.#range(range)
    if (lengthBytes > constants.MAX_LENGTH) throw tooLong(lengthBytes)
    return new Uint8Array(await this.#run(({ native, key }) => native.read(key, offsetBytes, lengthBytes)))
  }

  async #readInto(target: Bytes, range: BufferRange): Promise<Bytes> {
    const { byteLength } = target
    if ((range.lengthBytes ?? byteLength) !== byteLength) {
      throw invalidArgument('lengthBytes', `the ${byteLength} bytes of into, or left out`, range.lengthBytes)
    }
    const { offsetBytes } = this.#range({ ...range, lengthBytes: byteLength })
    let done = 0
    do {
      const piece = Math.min(byteLength - done, PIECE_BYTES)
      await this.#run(({ native, key }) => native.readPiece(key, offsetBytes + done, piece, target, byteLength, done))
      done += piece
    } while (done < byteLength)
    return target
  }

  /**
   * Copies bytes in. They must not change until the promise settles. Those of a chunk or a {@link StagingBuffer} go straight
   * to the device, and stay there for it even if they are released meanwhile; others in pieces of at most 4 MiB.
   *
   * @throws as of {@link read}.
   */
  async write(data: ArrayBufferView, options?: { offsetBytes?: number }): Promise<void> {
    const bytes = bytesView('data', data)
    const { offsetBytes = 0 } = check.options<{ offsetBytes?: number }>(options, { offsetBytes: count })
    this.#range({ offsetBytes, lengthBytes: bytes.byteLength })
    await inUse(bytes.buffer, this.#write(bytes, bytes.byteLength, offsetBytes))
  }

  async #write(bytes: Uint8Array, byteLength: number, offsetBytes: number): Promise<void> {
    // Whatever is released meanwhile, the rest is written too.
    const held = byteLength > PIECE_BYTES ? call(() => this.#state.native.hold(this.#state.key)) : undefined
    try {
      let done = await this.#run(({ native, key }) => native.write(key, offsetBytes, bytes, byteLength, 0))
      while (held && done < byteLength) {
        done += await this.#run(() => held.write(offsetBytes + done, bytes, byteLength, done), true)
      }
    } finally {
      await held?.finish()
    }
  }

  /**
   * Sets bytes to one value, 0 to 255.
   *
   * @throws as of {@link read}.
   */
  async fill(value: number, options?: BufferRange): Promise<void> {
    const byte = check.integer('value', value, 0, 255)
    const { offsetBytes, lengthBytes } = this.#range(check.options<BufferRange>(options, rangeChecks))
    await this.#run(({ native, key }) => native.fill(key, offsetBytes, lengthBytes, byte))
  }

  /**
   * Copies bytes to another buffer of the same device, on the device.
   *
   * @throws as of {@link read}; {@link InvalidArgumentError} for a buffer of another device.
   */
  async copyTo(target: DeviceBuffer, options?: BufferRange & { targetOffsetBytes?: number }): Promise<void> {
    const checks = { ...rangeChecks, targetOffsetBytes: count }
    const checked = check.options<BufferRange & { targetOffsetBytes?: number }>(options, checks)
    const { targetOffsetBytes = 0, ...range } = checked
    const { offsetBytes, lengthBytes } = this.#range(range)
    // Looked at last: reading the options may have run anything.
    const to = bufferPlace(target)
    if (!to) throw invalidArgument('target', 'a DeviceBuffer', quoted(target))
    await this.#run(({ native, key }) =>
      native.copy(key, offsetBytes, lengthBytes, to.native, to.key, targetOffsetBytes),
    )
  }

  /**
   * Lets `use` see the memory itself. The view has length 0 once what `use` returned has settled and this package's own work
   * on the view, such as a load into it, has ended; nothing else that was begun with it may still be under way then. Until the
   * map has ended the buffer stays where it is.
   *
   * @returns what `use` returned.
   * @throws what `use` threw.
   * @throws {@link DeviceError} where the processor cannot see the memory: {@link read} and {@link write} then.
   * @throws as of {@link read}.
   */
  async withMapping<T>(use: (view: Bytes) => T | PromiseLike<T>, options?: MappingOptions): Promise<T> {
    check.callback('use', use)
    const { access = 'readwrite', ...range } = check.options<MappingOptions>(options, mappingChecks)
    const { offsetBytes, lengthBytes } = this.#range(range)
    const mapping = await this.#run(({ native, key }) => native.map(key, offsetBytes, lengthBytes, access))
    let buffer = new ArrayBuffer(0)
    let succeeded = false
    try {
      buffer = mapping.arrayBuffer()[0] ?? buffer
      const value = await use(new Uint8Array(buffer))
      succeeded = true
      return value
    } finally {
      // What this package still reads from the view or writes to it, as after a Promise.all that failed early.
      await Promise.allSettled(users.get(buffer) ?? [])
      // An array buffer whose memory was moved away keeps that memory until it is collected.
      const detached = lengthBytes === 0 || detachedNow(buffer)
      const finished = this.#run(() => mapping.finish(detached), true)
      // What `use` threw is what its caller has to know, whatever the device says to the end.
      await (succeeded ? finished : finished.catch(() => {}))
    }
  }

  /**
   * A new file descriptor of the memory, for another driver or process. It is the caller's to close, and keeps the memory
   * alive. The buffer begins at `offsetBytes` of it, and is never moved again.
   *
   * @throws {@link DeviceError} where the device exports nothing.
   * @throws {@link ReleasedError} after it was released.
   */
  exportFd(): Promise<ExportedFd> {
    return this.#run(({ native, key }) => native.exportFd(key))
  }

  /**
   * Keeps it where it is, until {@link unpin} was called as often. For its address, in use by a device.
   *
   * @throws {@link BusyError} while it is being moved.
   * @throws {@link ReleasedError} after it was released.
   */
  pin(): void {
    const { native, key } = this.#live()
    call(() => native.pin(key))
  }

  /** Takes back one {@link pin}; without one it does nothing. */
  unpin(): void {
    if (!this.#state.released) this.#state.native.unpin(this.#state.key)
  }

  #live(): BufferState {
    if (this.#state.released || this.#state.pool.closed) throw released('the buffer')
    return this.#state
  }

  #range(range: BufferRange): Required<BufferRange> {
    const { offsetBytes = 0, lengthBytes = this.sizeBytes - offsetBytes } = check.own(range)
    const expected = `within the ${this.sizeBytes} bytes of the buffer`
    if (offsetBytes > this.sizeBytes) throw invalidArgument('offsetBytes', expected, offsetBytes)
    if (offsetBytes + lengthBytes > this.sizeBytes) {
      throw invalidArgument('range', expected, `${lengthBytes} bytes from ${offsetBytes} on`)
    }
    return { offsetBytes, lengthBytes }
  }

  async #run<T>(start: (state: BufferState) => Promise<T>, evenReleased = false): Promise<T> {
    const state = evenReleased ? this.#state : this.#live()
    try {
      return await start(state)
    } catch (error) {
      throw fromNative(error)
    }
  }
}

/**
 * A buffer out of a {@link MemoryPool}: part of a slab. It may be moved while nobody uses it.
 *
 * @example
 * using activations = await pool.allocateAsync(4 * MiB, { label: 'activations' })
 * await activations.fill(0)
 * console.log(activations.sizeBytes) // 4194304
 */
export class PoolBuffer extends DeviceBuffer {
  /** Which of its pool's live buffers it is. */
  readonly id: number

  static {
    poolBuffer = (state) => new PoolBuffer(internal, state)
  }

  private constructor(token: typeof internal, state: BufferState) {
    super(token, state)
    this.id = state.key
  }
}

shows(DeviceBuffer, ({ label, device, sizeBytes, released }) => ({ label, device, sizeBytes, released }))
shows(PoolBuffer, ({ id, label, device, sizeBytes, released }) => ({ id, label, device, sizeBytes, released }))
