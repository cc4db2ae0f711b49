import { bufferLength } from '../support/bytes.js'
import { detach as nativeDetach } from './native.js'

/** The engine's own, whatever a buffer calls by that name. */
const { transfer } = ArrayBuffer.prototype

/** Detaches an array buffer that is not empty. */
const detachFull: (buffer: ArrayBuffer) => void =
  // Node.js 22 and later do it without leaving JavaScript; for Node.js 20 the addon does.
  typeof transfer === 'function' ? (buffer) => void Reflect.apply(transfer, buffer, [0]) : nativeDetach

/**
 * Detaches an array buffer, so that every view of it has length 0. Returns whether it still had its memory: `false` if
 * somebody else has detached it, and moved its memory to another array buffer.
 */
export function detach(buffer: ArrayBuffer): boolean {
  if (bufferLength(buffer) === 0) return false
  detachFull(buffer)
  return true
}
