// Loads a model with llama.cpp and tells, at each step, what it logs of its buffers and what this process uses. What it is to do
// comes as JSON in its argument, what it finds goes out as a line of JSON; then it holds the model until its input ends.

import { once } from 'node:events'
import { GgufFile, measureUse } from 'plimsoll'
import { importLlama } from '../llama-cpp.mjs'

const { path, mmap, context: tokens, isEncoder } = JSON.parse(process.argv[2])
const lines = []
const { getLlama } = await importLlama()
const logger = (_level, message) => lines.push(message)
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'debug', logger })
const file = GgufFile.open(path, { headerOnly: true })
const uses = { before: await measureUse({ model: file }) }
const model = await llama.loadModel({ modelPath: path, useMmap: mmap })
uses.loading = await measureUse({ model: file })
let context
if (!isEncoder) {
  // One thread: more of them spend longer waiting for each other than a small model takes to compute.
  context = await model.createContext({ contextSize: tokens, batchSize: 512, threads: 1, flashAttention: true })
  uses.steady = await measureUse({ model: file })
  const [token] = model.tokenize('ship')
  await context.getSequence().evaluateWithoutGeneratingNewTokens(Array(tokens - 1).fill(token))
  uses.full = await measureUse({ model: file })
}
// The log comes from another thread.
await new Promise((resolve) => setTimeout(resolve, 300))
const found = (pattern) => lines.flatMap((line) => [...line.matchAll(pattern)])
const buffers = found(/(\S+) +(model|KV|output|compute) buffer size = +([\d.]+) MiB/g)
console.log(
  JSON.stringify({
    uses,
    buffers: buffers.map(([, place, kind, mebibytes]) => ({ place, kind, mebibytes: Number(mebibytes) })),
    packed: found(/repack: repack tensor (\S+) with/g).map(([, name]) => name),
    tiled: found(/amx repack tensor (\S+) of type/g).map(([, name]) => name),
  }),
)
process.stdin.resume()
await once(process.stdin, 'end')
await context?.dispose()
await llama.dispose()
