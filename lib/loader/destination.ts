import { bufferPlace, type DeviceBuffer } from '../device/buffer.js'
import type { Bytes } from '../support/arrays.js'
import { bytesOf } from '../support/bytes.js'
import { invalidArgument, quoted } from '../support/errors.js'

/** Data that no array holds. */
export const tooLarge = (bytes: number): Error =>
  invalidArgument('name', 'a tensor that fits in one array; stream it instead', `${bytes} bytes of data`)

/** A destination that its script took away. */
export const movedAway = (): Error =>
  invalidArgument('into', 'left in place until the work on it has ended', 'memory moved away')

/** A place that a load can fill. */
export function destination(name: string, value: unknown): ArrayBuffer | ArrayBufferView | DeviceBuffer {
  if (bufferPlace(value) || bytesOf(value)) return value as ArrayBuffer | ArrayBufferView | DeviceBuffer
  throw invalidArgument(name, 'an ArrayBuffer of fixed length, a view of one, or a DeviceBuffer', quoted(value))
}

/** The first bytes of a destination, checked for size and alignment. */
export function windowOf(into: ArrayBuffer | ArrayBufferView, bytes: number, alignmentBytes: number): Bytes {
  const all = bytesOf(into)
  if (!all) throw movedAway()
  if (all.byteLength < bytes) throw invalidArgument('into', `at least ${bytes} bytes long`, `${all.byteLength} bytes`)
  if (all.byteOffset % alignmentBytes !== 0) {
    throw invalidArgument('into', `aligned to its elements of ${alignmentBytes} bytes`, `byteOffset ${all.byteOffset}`)
  }
  return new Uint8Array(all.buffer as ArrayBuffer, all.byteOffset, bytes)
}
