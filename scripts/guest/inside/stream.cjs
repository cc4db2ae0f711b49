// Streams a model and says what that took: `node stream.cjs PACKAGE MODEL OPTIONS`, the options as JSON.

const { readFileSync } = require('node:fs')

const [package, path, options] = process.argv.slice(2)
const { GgufFile } = require(package)

/** The most that was resident of this process, files that it maps included. */
const peakRssBytes = () => 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1])

async function main() {
  const model = GgufFile.open(path)
  const idleBytes = peakRssBytes()
  const start = performance.now()
  let bytes = 0
  for await (const { data } of model.stream({ reuse: true, ...JSON.parse(options) })) bytes += data.byteLength
  const ms = performance.now() - start
  console.log(JSON.stringify({ bytes, ms, idleBytes, peakRssBytes: peakRssBytes() }))
}

main()
