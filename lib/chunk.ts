import { detach } from './detach.js'
import type { NativeUnit } from './native.js'

/** What tensors come out as: the stored bytes, 32-bit floats, or 16-bit floats. */
export type TensorOutput = 'raw' | 'f32' | 'f16'

/** The array that holds a tensor's data: 16-bit floats come as their bits. */
export type TensorData<As extends TensorOutput = TensorOutput> = {
  raw: Uint8Array
  f32: Float32Array
  f16: Uint16Array
}[As]

const views = { raw: Uint8Array, f32: Float32Array, f16: Uint16Array }

/** An array over an array buffer, whole by default. */
export function view<As extends TensorOutput>(
  as: As,
  buffer: ArrayBuffer,
  byteOffset?: number,
  length?: number,
): TensorData<As> {
  return new views[as](buffer, byteOffset, length) as TensorData<As>
}

/** Where a chunk belongs. */
export interface ChunkPlace {
  tensor: string
  elementStart: number
  elementEnd: number
  byteStart: number
  byteEnd: number
}

/** Makes the chunk over its array buffer. */
export let chunkOver: <As extends TensorOutput>(
  unit: NativeUnit,
  buffer: ArrayBuffer,
  as: As,
  place: ChunkPlace,
) => TensorChunk<As>

/**
 * A run of whole blocks of one tensor.
 *
 * It is valid until the next one is asked for, or until {@link release}: then its memory goes back to the pool and
 * every view of it, `data` and any made from it, has length 0. An asynchronous operation that was given `data` must be
 * awaited before that, or be given a copy.
 */
export class TensorChunk<As extends TensorOutput = TensorOutput> implements Disposable {
  readonly #unit: NativeUnit
  readonly #buffer: ArrayBuffer
  /** Whether its memory was given back, or away. */
  #settled = false
  #data: TensorData<As>
  /** The name of the tensor. */
  readonly tensor: string
  /** The first element of the tensor that the chunk holds. */
  readonly elementStart: number
  /** The element after the last one that the chunk holds. */
  readonly elementEnd: number
  /** Where the chunk's stored bytes start, relative to the tensor's first byte. */
  readonly byteStart: number
  /** Where the chunk's stored bytes end. */
  readonly byteEnd: number

  static {
    chunkOver = (unit, buffer, as, place) => new TensorChunk(unit, buffer, as, place)
  }

  private constructor(unit: NativeUnit, buffer: ArrayBuffer, as: As, place: ChunkPlace) {
    this.#unit = unit
    this.#buffer = buffer
    this.#data = view(as, buffer)
    this.tensor = place.tensor
    this.elementStart = place.elementStart
    this.elementEnd = place.elementEnd
    this.byteStart = place.byteStart
    this.byteEnd = place.byteEnd
  }

  /** The data: `Uint8Array` of stored bytes, `Float32Array`, or `Uint16Array` of half-float bits. */
  get data(): TensorData<As> {
    return this.#data
  }

  /** Gives the memory back before the next chunk is asked for. A second call, or one after {@link keep}, does nothing. */
  release(): void {
    if (this.#settled) return
    this.#settled = true
    // Memory that was moved to another array buffer belongs to whoever moved it.
    if (!detach(this.#buffer)) this.#unit.keep()
  }

  /** The same as {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }

  /**
   * Takes the data out of the pool for good and returns it; it lives until it is collected. A chunk much smaller than
   * the pooled buffer it lies in is copied instead, so that a small array does not hold on to a large buffer.
   */
  keep(): TensorData<As> {
    if (this.#settled) return this.#data
    this.#settled = true
    if (this.#data.byteLength * 2 < this.#unit.sizeBytes) {
      this.#data = this.#data.slice() as TensorData<As>
      detach(this.#buffer)
    } else {
      this.#unit.keep()
    }
    return this.#data
  }
}
