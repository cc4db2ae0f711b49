import { detach } from '../addon/detach.js'
import type { NativeUnit } from '../addon/native.js'
import { bufferLength, copyOf } from '../support/bytes.js'
import { released } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'
import { type TensorData, type TensorOutput, view } from './output.js'

/** Where a chunk belongs. */
export interface ChunkPlace {
  tensor: string
  elementStart: number
  elementEnd: number
  byteStart: number
  byteEnd: number
}

/** Makes the chunk over its array buffer; one that is not lent belongs to no unit. */
export let chunkOver: <As extends TensorOutput>(
  unit: NativeUnit | undefined,
  buffer: ArrayBuffer,
  as: As,
  place: ChunkPlace,
) => TensorChunk<As>

/**
 * A run of whole blocks of one tensor.
 *
 * It is its consumer's own: `data` may be kept, queued, written to a response or posted to another thread, and nothing
 * changes it. Its memory is ordinary memory of JavaScript's, collected with the last array over it.
 *
 * A chunk of a stream with `reuse: true` is lent: it is valid until the next one is asked for, or until {@link release}. Then
 * its memory goes back to the pool and every view of it, `data` and any made from it, has length 0. An asynchronous
 * operation that was given `data` must be awaited before that, or be given a copy.
 *
 * @example
 * for await (const chunk of model.stream({ as: 'f32', reuse: true })) {
 *   for (const weight of chunk.data) largest = Math.max(largest, Math.abs(weight))
 *   if (chunk.tensor === 'output_norm.weight') kept.push(chunk.keep()) // it is not lent any more
 * }
 */
export class TensorChunk<As extends TensorOutput = TensorOutput> implements Disposable {
  /** What it is lent by. */
  readonly #unit: NativeUnit | undefined
  readonly #as: As
  readonly #buffer: ArrayBuffer
  /** Whether its memory was released, or given away. */
  #settled = false
  #kept = false
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
    chunkOver = (unit, buffer, as, place) => new TensorChunk(internal, unit, buffer, as, place)
  }

  private constructor(
    token: typeof internal,
    unit: NativeUnit | undefined,
    buffer: ArrayBuffer,
    as: As,
    place: ChunkPlace,
  ) {
    expectInternal(token, 'TensorChunk', 'model.stream()')
    refuseCloning(this)
    this.#unit = unit
    this.#as = as
    this.#buffer = buffer
    this.#data = view(as, buffer)
    this.tensor = place.tensor
    this.elementStart = place.elementStart
    this.elementEnd = place.elementEnd
    this.byteStart = place.byteStart
    this.byteEnd = place.byteEnd
  }

  /** The data: `Uint8Array` of stored bytes, `Float32Array`, or `Uint16Array` of the bits of 16-bit floats. */
  get data(): TensorData<As> {
    return this.#data
  }

  /**
   * Lets go of the data: that of the chunk has length 0 from then on. Lent memory goes back to its pool, and every other view
   * of it has length 0 too. Of a chunk that is its consumer's own, arrays that were taken before stay as they are. A second
   * call, or one after {@link keep}, does nothing.
   */
  release(): void {
    if (this.#settled) return
    this.#settled = true
    if (this.#unit) {
      // Memory that was moved to another array buffer belongs to whoever moved it.
      if (!detach(this.#buffer)) this.#unit.keep()
    } else {
      this.#data = view(this.#as, new ArrayBuffer(0))
    }
  }

  /** The same as {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }

  /**
   * Returns the data for good: it lives until it is collected, whatever is released. Lent memory is taken out of the pool for
   * it; a chunk much smaller than the staging buffer it lies in is copied instead, so that a small array does not hold on to a
   * large buffer.
   *
   * @throws {@link ReleasedError} after the chunk was released, and when lent memory was moved to another array buffer.
   */
  keep(): TensorData<As> {
    if (this.#kept) return this.#data
    if (this.#settled) throw released('the chunk')
    const unit = this.#unit
    const lengthBytes = bufferLength(this.#buffer)
    if (unit && lengthBytes === 0) {
      // Its memory was moved to another array buffer, and belongs to whoever moved it.
      this.#settled = true
      unit.keep()
      throw released('the chunk')
    }
    if (unit && lengthBytes * 2 < unit.sizeBytes) {
      // Where there is no room for the copy, the chunk stays as it is.
      this.#data = view(this.#as, copyOf(this.#buffer))
      detach(this.#buffer)
    } else {
      unit?.keep()
    }
    this.#settled = true
    this.#kept = true
    return this.#data
  }
}

shows(TensorChunk, ({ tensor, elementStart, elementEnd, byteStart, byteEnd, data }) => {
  return { tensor, elementStart, elementEnd, byteStart, byteEnd, byteLength: data.byteLength }
})
