// One of the servers of scripts/test-acceptance.mjs: node-llama-cpp behind node:http, which loads its model at once. With
// `guarded` it asks plimsoll first, over a ledger that the servers share, and refuses by its middleware while it waits.

import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const { place, model, mmap, guarded, ledger } = JSON.parse(process.argv[2])
const require = createRequire(`${place}/package.json`)
const { getLlama } = await import(pathToFileURL(require.resolve('node-llama-cpp')))
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 1, ramPadding: 0 })
const options = { modelPath: model, useMmap: mmap, ignoreMemorySafetyChecks: true }
const size = { contextSize: 256, batchSize: 64, threads: 1, ignoreMemorySafetyChecks: true }

let sequence
/** Goes on, or has answered. */
let goesOn = () => true
/** Answers an error of plimsoll's. */
let answerError = (error) => {
  throw error
}
const loaded = guarded ? loadGuarded() : load()
// Every request hears of it.
loaded.catch(() => {})

async function load() {
  const context = await (await llama.loadModel(options)).createContext(size)
  sequence = context.getSequence()
}

async function loadGuarded() {
  const { MemoryManager } = require('plimsoll')
  const { guardLlama } = require('plimsoll/node-llama-cpp')
  const { memoryErrors, memoryPressure } = require('plimsoll/http')
  const manager = new MemoryManager({ shared: ledger })
  // While its own load waits for memory.
  goesOn = memoryPressure({ manager, level: 'none', maxWaiting: 1, retryAfter: 1 })
  answerError = memoryErrors({ retryAfter: 1 })
  const { context } = await guardLlama(llama, manager).load(options, size, { timeoutMs: 600_000 })
  sequence = context.getSequence()
}

/** One after the other: there is one sequence. */
let last = Promise.resolve()
const answer = () => {
  const turn = last.then(async () => {
    let count = 0
    for await (const _ of sequence.evaluate([1, 5, 9, 13])) if (++count === 3) break
    await sequence.clearHistory()
  })
  last = turn.catch(() => {})
  return turn
}

createServer(async (request, response) => {
  if (!goesOn(request, response)) return
  try {
    await loaded
    await answer()
    response.end('served')
  } catch (error) {
    answerError(error, request, response, (other) => response.destroy(other))
  }
}).listen(0, '127.0.0.1', function () {
  console.log(`port ${this.address().port}`)
})
