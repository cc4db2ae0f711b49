import { runChild } from './helpers/child'

/** Starts a worker on a body that has the package's names and `parentPort`; `ask` posts a word and awaits the answer. */
const workers = `
  const { Worker } = require('node:worker_threads')
  const { once } = require('node:events')
  const start = (body) => new Worker(
    \`const { parentPort } = require('node:worker_threads')
     const { MiB, MemoryBudget, MemoryManager, StagingPool } = require('plimsoll')
     const held = []
     const machine = (options) => MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 100 * MiB, ...options })
     \` + body, { eval: true })
  const ask = async (worker, word) => { worker.postMessage(word); return (await once(worker, 'message'))[0] }
  const machine = (options) => MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 100 * MiB, ...options })`

test('budgets of a process and its workers share one line: what one takes, the others have not', () => {
  const script = `${workers}
    const worker = start(\`
      const budget = machine()
      parentPort.on('message', () => {
        held.push(budget.allocate(30 * MiB, 'in the worker'))
        parentPort.postMessage([budget.allocatedBytes / MiB, budget.availableBytes / MiB, budget.canAllocate(51 * MiB)])
      })\`)
    const budget = machine()
    const own = budget.allocate(20 * MiB, 'in the main thread')
    const seenThere = await ask(worker, 'take')
    const seenHere = [budget.allocatedBytes / MiB, budget.allocations().map(({ label }) => label)]
    let refused
    try { budget.allocate(51 * MiB, 'too much') } catch ({ code, availableBytes }) { refused = [code, availableBytes / MiB] }
    own.release()
    await worker.terminate()
    return { seenThere, seenHere, refused }`
  expect(runChild(script).value).toEqual({
    seenThere: [50, 50, false],
    seenHere: [50, ['in the main thread', 'in the worker']],
    refused: ['ERR_INSUFFICIENT_MEMORY', 50],
  })
})

test('what a worker is refused, all know who share the line: the budget, the metrics and the dashboard', () => {
  const script = `${workers}
    const { readMetrics } = require('plimsoll/metrics')
    const { serveDashboard } = require('plimsoll/dashboard')
    const { MemoryManager } = require('plimsoll')
    const worker = start(\`
      const options = { board: 'rk3588-32gb', maxBytes: 100 * MiB }
      const [manager, apart] = [new MemoryManager(options), new MemoryManager({ ...options, isolated: true })]
      parentPort.on('message', async () => {
        for (const { budget } of [manager, apart]) try { budget.allocate(200 * MiB, 'in the worker') } catch {}
        await manager.acquire({ bytes: 300 * MiB, label: 'much' }).catch(() => {})
        parentPort.postMessage('refused')
      })\`)
    const manager = new MemoryManager({ board: 'rk3588-32gb', maxBytes: 100 * MiB })
    await ask(worker, 'ask')
    await worker.terminate()
    const { counts, latest } = manager.budget.refusedRequests()
    const dashboard = await serveDashboard({ manager })
    const { refusals } = await dashboard.state()
    await dashboard.close()
    const metrics = await readMetrics({ manager })
    return {
      counts: Object.fromEntries(counts.map(({ code, count }) => [code, count])),
      latest: latest.map(({ code, label, requestedBytes }) => [code, label, requestedBytes / MiB]),
      shown: refusals.map(({ label }) => label),
      counted: metrics.find(({ name }) => name === 'plimsoll.refusals').points.map(({ value }) => value),
    }`
  expect(runChild(script).value).toEqual({
    counts: { ERR_INSUFFICIENT_MEMORY: 1, ERR_NEVER_FITS: 1, ERR_TIMEOUT: 0, ERR_BUSY: 0 },
    latest: [
      ['ERR_NEVER_FITS', 'much', 300],
      ['ERR_INSUFFICIENT_MEMORY', 'in the worker', 200],
    ],
    shown: ['much', 'in the worker'],
    counted: [1, 1, 0, 0],
  })
})

test('managers share the line too, unless they are isolated', () => {
  const script = `${workers}
    const worker = start(\`
      const options = { board: 'rk3588-32gb', maxBytes: 100 * MiB }
      const [shared, apart] = [new MemoryManager(options), new MemoryManager({ ...options, isolated: true })]
      held.push(apart.budget.allocate(40 * MiB, 'apart'))
      parentPort.on('message', () => parentPort.postMessage([shared, apart].map(({ budget }) => budget.allocatedBytes / MiB)))\`)
    const manager = new MemoryManager({ board: 'rk3588-32gb', maxBytes: 100 * MiB })
    const guard = manager.budget.allocate(10 * MiB, 'shared')
    const seenThere = await ask(worker, 'look')
    await worker.terminate()
    guard.release()
    return { seenThere, here: manager.budget.allocatedBytes }`
  expect(runChild(script).value).toEqual({ seenThere: [10, 40], here: 0 })
})

test.each([
  ['terminated', 'await worker.terminate()'],
  ['ends by itself', "worker.postMessage('end'); await once(worker, 'exit')"],
  ['calls process.exit()', "worker.postMessage('exit'); await once(worker, 'exit')"],
  ['dies of an error', "worker.postMessage('throw'); await once(worker, 'error')"],
])('a worker that is %s releases its guards and its buffers', (_, end) => {
  const script = `${workers}
    const budget = machine()
    const worker = start(\`
      const budget = machine()
      const pool = new StagingPool({ budget })
      parentPort.on('message', (word) => {
        if (word === 'throw') throw new Error('a worker dies')
        if (word === 'exit') process.exit(0)
        if (word === 'end') return parentPort.close()
        held.push(budget.allocate(30 * MiB, 'guard'), pool.get(8 * MiB), pool.get(4 * MiB).keep())
        pool.get(2 * MiB).release()
        parentPort.postMessage(budget.allocatedBytes / MiB)
      })\`)
    const during = await ask(worker, 'take')
    ${end}
    return { during, freed: await settle(() => budget.allocatedBytes === 0), left: budget.allocations() }`
  expect(runChild(script).value).toEqual({ during: 44, freed: true, left: [] })
})

test('four workers that take and give at full speed never pass the line, and leave nothing', () => {
  const script = `${workers}
    const budget = machine({ maxBytes: 1000 })
    const body = \`
      const budget = machine({ maxBytes: 1000 })
      parentPort.once('message', () => {
        let [granted, refused, over] = [0, 0, 0]
        for (let step = 0; step < 20_000; step++) {
          try { held.push(budget.allocate((step * 7919) % 400, 'worker')); granted++ } catch { refused++ }
          if (budget.allocatedBytes > 1000) over++
          if (held.length > 3 || step % 7 === 0) held.splice(0).forEach((guard) => guard.release())
        }
        held.forEach((guard) => guard.release())
        parentPort.postMessage({ granted, refused, over })
      })\`
    const team = Array.from({ length: 4 }, () => start(body))
    const results = await Promise.all(team.map((worker) => ask(worker, 'go')))
    const over = results.reduce((sum, result) => sum + result.over, 0)
    const everyoneWorked = results.every(({ granted, refused }) => granted > 0 && refused > 0)
    return { over, everyoneWorked, peak: budget.peakBytes <= 1000, left: budget.allocatedBytes, listed: budget.allocations() }`
  expect(runChild(script).value).toEqual({ over: 0, everyoneWorked: true, peak: true, left: 0, listed: [] })
})

test('workers that come and go, each with a guard and a staging buffer, leave nothing behind', () => {
  const script = `${workers}
    const budget = machine()
    const seen = []
    for (let round = 0; round < 20; round++) {
      const worker = start(\`
        const budget = machine()
        held.push(budget.allocate(1024, 'short-lived'), new StagingPool({ budget }).get(4096))
        parentPort.postMessage('done')\`)
      await once(worker, 'message')
      await worker.terminate()
      seen.push(await settle(() => budget.allocatedBytes === 0))
    }
    return seen`
  expect(runChild(script).value).toEqual(new Array(20).fill(true))
})
