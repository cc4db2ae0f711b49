const { GgufFile } = require('plimsoll')
const { touch } = require('./touch.cjs')

/**
 * Streams every tensor of a model.
 *
 * @param {string} path
 * @param {import('plimsoll').StreamOptions} options
 * @returns {Promise<number>} bytes of the file that were read
 */
async function streamFile(path, options) {
  const model = GgufFile.open(path)
  let bytes = 0
  try {
    for await (const chunk of model.stream(options)) {
      touch(chunk.data)
      bytes += chunk.byteEnd - chunk.byteStart
    }
  } finally {
    model.close()
  }
  return bytes
}

module.exports = { streamFile }
