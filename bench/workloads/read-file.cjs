const fs = require('node:fs')
const { open } = require('node:fs/promises')
const { touch } = require('./touch.cjs')

/**
 * The peer of a stream: Node's own reads, one after the other, into one buffer that is used again and again, or into a
 * fresh one each.
 *
 * @param {string} path
 * @param {number} chunkBytes
 * @param {boolean} [fresh]
 * @returns {Promise<number>} bytes read
 */
async function readFile(path, chunkBytes, fresh = false) {
  const file = await open(path)
  let buffer = Buffer.allocUnsafeSlow(chunkBytes)
  let position = 0
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, chunkBytes, position)
      if (bytesRead === 0) return position
      touch(bytesRead === chunkBytes ? buffer : buffer.subarray(0, bytesRead))
      position += bytesRead
      if (fresh) buffer = Buffer.allocUnsafeSlow(chunkBytes)
    }
  } finally {
    await file.close()
  }
}

/**
 * The peer of a stream whose chunks are its consumer's own: Node's stream of a file.
 *
 * @param {string} path
 * @param {number} chunkBytes
 * @returns {Promise<number>} bytes read
 */
async function createReadStream(path, chunkBytes) {
  let bytes = 0
  for await (const chunk of fs.createReadStream(path, { highWaterMark: chunkBytes })) {
    touch(chunk)
    bytes += chunk.length
  }
  return bytes
}

module.exports = { createReadStream, readFile }
