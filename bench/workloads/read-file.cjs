const { open } = require('node:fs/promises')
const { touch } = require('./touch.cjs')

/**
 * The peer of a stream: Node's own reads, one after the other, into one buffer that is used again and again.
 *
 * @param {string} path
 * @param {number} chunkBytes
 * @returns {Promise<number>} bytes read
 */
async function readFile(path, chunkBytes) {
  const file = await open(path)
  const buffer = Buffer.allocUnsafeSlow(chunkBytes)
  let position = 0
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, chunkBytes, position)
      if (bytesRead === 0) return position
      touch(bytesRead === chunkBytes ? buffer : buffer.subarray(0, bytesRead))
      position += bytesRead
    }
  } finally {
    await file.close()
  }
}

module.exports = { readFile }
