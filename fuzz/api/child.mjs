// One run: so many random calls from a seed, then everything is released and looked at. `run.mjs` starts it; it is also what
// a worker thread of such a run does.

import { readdirSync, readFileSync, readlinkSync, writeFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Engine } from './engine.mjs'
import { Files } from './files.mjs'
import { describe, Judge } from './judge.mjs'
import { Random } from './random.mjs'
import { recipes } from './recipes.mjs'
import { callWithRevoked } from './revoked.mjs'
import { optionNames, surfaceOf } from './surface.mjs'
import { waitedMs } from './waited.mjs'

const patience = Number(process.env.FUZZ_API_PATIENCE ?? 1)
const plan = isMainThread ? JSON.parse(process.argv[2]) : workerData
const require = createRequire(import.meta.url)
const root = new URL('../../', import.meta.url)
const plimsoll = require(new URL('dist/index.js', root).pathname)
const report = require(new URL('dist/report.js', root).pathname)
const metrics = require(new URL('dist/metrics.js', root).pathname)
const http = require(new URL('dist/http.js', root).pathname)
const llama = require(new URL('dist/node-llama-cpp.js', root).pathname)
const dashboard = require(new URL('dist/dashboard.js', root).pathname)

const random = new Random(plan.seed)
const judge = new Judge(plimsoll)
const surface = surfaceOf({ ...plimsoll, ...report, ...metrics, ...http, ...llama, ...dashboard })
const files = new Files({ random, folder: plan.folder, models: plan.models, library: plan.library })

const turn = () => new Promise((resolve) => setImmediate(resolve))
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Starts a worker that does the same, and ends it at some moment. */
function spawn(engine) {
  if (!isMainThread || !plan.workers || engine.workers.size > 1) return
  const data = { ...plan, seed: random.next(), steps: random.between(20, 300), trace: undefined }
  const worker = new Worker(new URL(import.meta.url), { workerData: data, execArgv: ['--no-warnings'] })
  const entry = { worker, gone: new Promise((resolve) => worker.once('exit', resolve)) }
  engine.workers.add(entry)
  worker.on('message', ({ findings }) => {
    for (const { kind, text } of findings) judge.fault(kind, `in a worker: ${text}`)
  })
  worker.on('error', (error) => judge.threw('a worker', error))
  entry.gone.then(() => engine.workers.delete(entry))
  setTimeout(() => void worker.terminate(), random.below(400)).unref()
}

const engine = new Engine({
  plimsoll,
  surface,
  random,
  judge,
  files,
  only: plan.only,
  mustCall: plan.mustCall,
  spawn,
  optionNames: optionNames(readFileSync(new URL('index.d.ts', root), 'utf8')),
})

process.on('unhandledRejection', (reason) => judge.threw('an unhandled rejection', reason))
process.on('uncaughtException', (error) => judge.threw('an uncaught exception', error))

if (plan.trace) {
  let step = 0
  engine.log = (line) => void writeSync(plan.trace, `${step++} ${line}\n`)
}

/** File descriptors that are open, by what they are of. */
const descriptors = () =>
  readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        return ''
      }
    })
    .filter((target) => target.endsWith('.gguf') || target.startsWith('/memfd:') || target.startsWith('/dmabuf'))

async function steps() {
  for (const name of [
    'new MemoryManager',
    'new StagingPool',
    'GgufFile.open',
    'MemoryPool.create',
    'MemoryBudget.forThisMachine',
  ]) {
    engine.call(surface.members.find(({ id }) => id === name))
  }
  if (plan.revoked) return withRevoked()
  // Some runs keep it up across turns, which single calls do not.
  const clean = random.chance(0.15) ? engine.pollute() : () => {}
  for (let step = 0; step < plan.steps; step++) {
    engine.act()
    const wait = random.below(100)
    if (wait < 30) await turn()
    else if (wait < 34) await pause(random.below(4))
  }
  clean()
}

async function withRevoked() {
  for (let round = 0; round < plan.steps; round++) {
    for (const member of surface.members) {
      callWithRevoked(engine, member)
      await turn()
    }
  }
}

/** Settles what the run itself keeps waiting. */
function settleHeld() {
  for (const settle of engine.held.splice(0)) settle()
  for (const controller of engine.controllers.splice(0)) controller.abort(judge.own(new Error('the end of the run')))
}

/** Ends everything; what has not settled by then never will. */
async function end() {
  engine.ending = true
  settleHeld()
  for (const iterator of engine.iterators.splice(0)) {
    const returned = iterator.return()
    if (returned instanceof Promise) engine.track('iterator.return', returned)
  }
  for (const stream of engine.streams) stream.destroy()
  for (const objects of engine.live.values()) for (const object of objects) engine.end(object)
  for (const monitor of engine.monitors) monitor.deref()?.close()
  for (const server of engine.servers) engine.end(server)
  for (const port of engine.ports.splice(0)) port.close()
  await Promise.all([...engine.workers].map(({ worker }) => worker.terminate()))
  await until(() => engine.pending.size === 0 && engine.streams.size === 0, 20_000)
  if (engine.streams.size > 0) judge.fault('unsettled', 'a stream that was destroyed never closed')
  for (const id of new Set(engine.pending.values())) judge.fault('unsettled', `a promise of ${id} never settled`)
  engine.shadow.check()
}

/** Waits until it holds, with what is held settled as it comes. */
async function until(holds, ms, meanwhile = () => {}) {
  const ownTime = () => performance.now() - waitedMs()
  for (const deadline = ownTime() + ms * patience; !holds() && ownTime() < deadline; ) {
    settleHeld()
    meanwhile()
    await turn()
    await pause(5)
  }
  return holds()
}

/** Releases what was held. By itself: what an `async` function has in a variable lives until that function ends. */
function releaseHeld() {
  for (const object of engine.keptAlive.splice(0)) object.release()
}

/** Drops every reference, and looks whether anything is left behind. */
async function expectNothingLeft() {
  const { budgets, devices } = engine
  for (const list of [engine.live, engine.pending, engine.servers]) list.clear()
  releaseHeld()
  for (const list of [engine.arrays, engine.disposables]) list.length = 0
  engine.shadow = undefined
  engine.receiver = undefined
  judge.forget()
  const held = () =>
    [...budgets].some((budget) => budget.allocatedBytes > 0) ||
    [...devices].some((device) => device.usage().usedBytes > 0)
  await until(
    () => !held() && descriptors().length === 0,
    20_000,
    () => globalThis.gc(),
  )
  for (const budget of budgets) {
    if (budget.allocatedBytes === 0) continue
    const left = budget.allocations().map(({ label, sizeBytes }) => `${sizeBytes} "${label.slice(0, 30)}"`)
    judge.fault(
      'budget',
      `${budget.allocatedBytes} bytes of a budget were never released: ${left.slice(0, 5).join(', ')}`,
    )
  }
  for (const device of devices) {
    const { usedBytes, slabCount } = device.usage()
    if (usedBytes > 0)
      judge.fault('device', `${usedBytes} bytes in ${slabCount} slabs of ${device.name} were never released`)
  }
  for (const target of new Set(descriptors())) judge.fault('descriptor', `${target} was left open`)
}

async function main() {
  await files.learn(plimsoll)
  await steps()
  await end()
  // Within a worker others share the budgets.
  if (isMainThread) await expectNothingLeft()
}

main()
  .catch((error) => judge.fault('fuzzer', `the run itself failed: ${describe(error)}`))
  .then(() => {
    const members = surface.members.map(({ id }) => id)
    const report = { findings: judge.findings, calls: [...engine.calls], members, recipes: Object.keys(recipes) }
    if (isMainThread) writeFileSync(plan.report, JSON.stringify(report))
    else parentPort.postMessage(report)
    // Nothing is ended from here on: the process has to end by itself.
  })
