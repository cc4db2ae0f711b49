import { detach as nativeDetach } from './native.js'

/**
 * Detaches an array buffer, so that every view of it has length 0. A second call does nothing.
 *
 * Node.js 22 and later do it without leaving JavaScript; for Node.js 20 the addon does.
 */
export const detach: (buffer: ArrayBuffer) => void =
  typeof ArrayBuffer.prototype.transfer === 'function'
    ? (buffer) => {
        if (!buffer.detached) buffer.transfer(0)
      }
    : (buffer) => {
        if (buffer.byteLength > 0) nativeDetach(buffer)
      }
