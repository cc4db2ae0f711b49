const { setImmediate: turn } = require('node:timers/promises')
const { touch } = require('./touch.cjs')

/**
 * What consuming a stream costs without the stream: the same loop over one buffer, a turn of the event loop for each
 * chunk, no file.
 *
 * @param {number} bytes
 * @param {number} chunkBytes
 */
async function loop(bytes, chunkBytes) {
  for await (const data of chunks(bytes, chunkBytes)) touch(data)
}

async function* chunks(bytes, chunkBytes) {
  const data = new Uint8Array(chunkBytes)
  for (let done = 0; done < bytes; done += chunkBytes) {
    await turn()
    yield data
  }
}

module.exports = { loop }
