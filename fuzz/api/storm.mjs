// Workers that end at any moment: each streams chunks, most often lent ones of 64 bytes, holds guards, maps buffers or loads
// into them on the budget that it shares with its process, and is terminated. When all are gone, nothing of it may be left.

import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Random } from './random.mjs'

const AT_ONCE = 6

const require = createRequire(import.meta.url)
const root = new URL('../../', import.meta.url)
const { MemoryBudget, MemoryManager, StagingPool } = require(new URL('dist/index.js', root).pathname)
const path = new URL('examples/models/plimsoll-sample-llama.gguf', root).pathname
const MiB = 2 ** 20

const managerOf = () => new MemoryManager({ board: 'rk3588-32gb', device: 'host' })

async function stream(chunkBytes, options = {}) {
  const model = managerOf().open(path)
  const tensors = model.tensors.filter(({ blockBytes }) => blockBytes <= chunkBytes).map(({ name }) => name)
  for (;;) {
    let before
    for await (const { data } of model.stream({ chunkBytes, tensors, ...options })) {
      if (data.byteLength === 0) throw new Error('expected a chunk to have bytes')
      // Memory that was not lent would leave the storm without anything to find.
      if (options.reuse && before?.byteLength) throw new Error('expected a lent chunk to end with the next one')
      before = data
    }
  }
}

/** Chunks whose memory is the pool's: only these are array buffers that the addon has to take back as a worker ends. */
const lent = { reuse: true }

/** What a worker does until it is terminated. */
const works = {
  'small lent chunks': () => stream(64, lent),
  'small lent chunks of four streams': () => Promise.all([64, 64, 128, 256].map((bytes) => stream(bytes, lent))),
  'large lent chunks': () => stream(MiB, lent),
  'own chunks': () => stream(64),
  'lent chunks that are kept': async () => {
    const kept = []
    for (;;) {
      // A small chunk is copied out of its buffer, a large one takes it along.
      for (const chunkBytes of [4096, MiB]) {
        for await (const chunk of managerOf()
          .open(path)
          .stream({ chunkBytes, ...lent })) {
          kept.push(chunk.keep())
          if (kept.length > 200) kept.length = 0
        }
      }
    }
  },
  guards: async () => {
    const { budget } = managerOf()
    for (let held = []; ; held = held.slice(-50)) {
      held.push(budget.allocate(4096, 'guard'))
      if (held.length % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  },
  'staging buffers': async () => {
    const pool = new StagingPool({ budget: managerOf().budget })
    for (let turn = 0; ; turn++) {
      const buffers = [64, 4096, MiB].map((bytes) => pool.get(bytes))
      buffers[turn % 3].release()
      await new Promise((resolve) => setImmediate(resolve))
    }
  },
  mappings: async () => {
    const manager = managerOf()
    const pool = await manager.pools.create({ slabBytes: 4 * MiB })
    for (;;) {
      const buffer = await pool.allocateAsync(MiB)
      await Promise.all(
        [1, 2].map(() => buffer.withMapping((view) => new Promise((resolve) => setImmediate(resolve, view.fill(1))))),
      )
      buffer.release()
    }
  },
  'loads into buffers': async () => {
    const manager = managerOf()
    const model = manager.open(path)
    const [largest] = [...model.tensors].sort((a, b) => b.sizeBytes - a.sizeBytes)
    for (;;) {
      const buffer = await manager.system.allocate(largest.sizeBytes)
      await model.load(largest.name, { into: buffer })
      await model.load(largest.name)
      buffer.release()
    }
  },
  monitors: async () => {
    const { budget, monitor } = managerOf()
    for await (const { headroom } of monitor.start({ intervalMs: 10 })) budget.allocate(1, `${headroom.bytes}`)
  },
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** One worker from its start to some moment of its work. */
async function oneWorker(random) {
  // Half of them do what was found to leave something.
  const work = random.chance(0.5)
    ? random.pick(['small lent chunks', 'small lent chunks of four streams'])
    : random.pick(Object.keys(works))
  const worker = new Worker(new URL(import.meta.url), { workerData: { work }, execArgv: ['--no-warnings'] })
  const failed = new Promise((_, reject) => worker.once('error', reject))
  await Promise.race([new Promise((resolve) => worker.once('message', resolve)), failed])
  const working = pause(random.below(40))
  await Promise.race([working, failed])
  failed.catch(() => {})
  await worker.terminate()
  return work
}

async function storm({ seed, workers }) {
  const random = new Random(seed)
  const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb' })
  const counts = new Map()
  let started = 0
  let worst = 0
  const line = async () => {
    while (started < workers) {
      started += 1
      const work = await oneWorker(random)
      counts.set(work, (counts.get(work) ?? 0) + 1)
      worst = Math.max(worst, budget.allocatedBytes)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, line))
  for (let turn = 0; turn < 1000 && budget.allocatedBytes > 0; turn++) {
    globalThis.gc()
    await pause(10)
  }
  const threads = readdirSync('/proc/self/task').length
  for (const [work, count] of counts) console.log(`${count} workers terminated in their work on ${work}`)
  const left = budget.allocations().map(({ label, sizeBytes }) => `${sizeBytes} "${label}"`)
  console.log(`${workers} workers; ${worst} bytes held at most between two; ${threads} threads are left`)
  console.log(
    `left in the budget: ${budget.allocatedBytes} bytes${left.length > 0 ? `: ${left.slice(0, 10).join(', ')}` : ''}`,
  )
  process.exitCode = budget.allocatedBytes === 0 ? 0 : 1
}

if (isMainThread) await storm(JSON.parse(process.argv[2]))
else {
  parentPort.postMessage('begins')
  await works[workerData.work]()
}
