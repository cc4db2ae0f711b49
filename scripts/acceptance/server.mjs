// One of the servers of scripts/test-acceptance.mjs: node-llama-cpp behind node:http, which loads its model at once. With
// `guarded` it asks plimsoll first, over a ledger that the servers share, and answers what waits with a typed refusal.

import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const { place, model, mmap, guarded, ledger } = JSON.parse(process.argv[2])
const require = createRequire(`${place}/package.json`)
const { getLlama } = await import(pathToFileURL(require.resolve('node-llama-cpp')))
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 1, ramPadding: 0 })
const options = { modelPath: model, useMmap: mmap, ignoreMemorySafetyChecks: true }
const size = { contextSize: 256, batchSize: 64, threads: 1, ignoreMemorySafetyChecks: true }

const state = { refusal: undefined, sequence: undefined }
const loaded = guarded ? loadGuarded() : load()

async function load() {
  const context = await (await llama.loadModel(options)).createContext(size)
  state.sequence = context.getSequence()
}

async function loadGuarded() {
  const { MemoryManager } = require('plimsoll')
  const { guardLlama } = require('plimsoll/node-llama-cpp')
  const { errorAnswer } = require('plimsoll/http')
  const manager = new MemoryManager({ shared: ledger })
  // What waits is refused meanwhile.
  state.refusal = { status: 503, headers: { 'retry-after': '1' }, body: { error: { code: 'ERR_BUSY' } } }
  try {
    const { context } = await guardLlama(llama, manager).load(options, size, { timeoutMs: 600_000 })
    state.sequence = context.getSequence()
  } catch (error) {
    state.refusal = errorAnswer(error, 1)
    if (!state.refusal) throw error
  }
}

/** One after the other: there is one sequence. */
let last = Promise.resolve()
const answer = () => {
  const turn = last.then(async () => {
    let count = 0
    for await (const _ of state.sequence.evaluate([1, 5, 9, 13])) if (++count === 3) break
    await state.sequence.clearHistory()
  })
  last = turn.catch(() => {})
  return turn
}

createServer(async (_request, response) => {
  if (!state.sequence && state.refusal) {
    const { status, headers, body } = state.refusal
    response.writeHead(status, headers).end(JSON.stringify(body))
    return
  }
  await loaded
  await answer()
  response.end('served')
}).listen(0, '127.0.0.1', function () {
  console.log(`port ${this.address().port}`)
})
