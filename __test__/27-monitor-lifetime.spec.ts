import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { MemoryMonitor, type MonitorSample, ReleasedError } from 'plimsoll'
import { root, runChild, runNode, threadNames } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { often, wide } from './helpers/monitors'
import { rejectedBy } from './helpers/rejected-by'

test('an iteration gives samples in order and ends with the monitor', async () => {
  const monitor = new MemoryMonitor(wide())
  const times: number[] = []
  setTimeout(() => monitor.close(), 300)
  monitor.start(often)
  for await (const { timeMs } of monitor) times.push(timeMs)
  expect(times.length).toBeGreaterThan(1)
  expect(times).toEqual([...times].sort((a, b) => a - b))
})

test('a slow iteration gets the newest samples and no endless queue', async () => {
  using monitor = new MemoryMonitor(wide())
  monitor.start({ intervalMs: 10 })
  const samples = monitor[Symbol.asyncIterator]()
  await samples.next()
  await sleep(600)
  const before = Date.now()
  let waiting = 0
  while (((await samples.next()).value as MonitorSample).timeMs <= before) waiting += 1
  expect(waiting).toBeLessThanOrEqual(16)
  await samples.return()
})

test('it may be closed twice, in a listener too, and is then closed for good', async () => {
  const monitor = new MemoryMonitor(wide())
  const closed = new Promise<void>((resolve) =>
    monitor.on('sample', () => {
      monitor.close()
      resolve()
    }),
  )
  monitor.start(often)
  await closed
  monitor.close()
  thrownBy(ReleasedError, () => monitor.start())
  expect(monitor.history()).toEqual([])
})

test('it does not keep the process alive, and its thread ends with it', () => {
  const script = `
    const { MemoryManager } = require(${JSON.stringify(root)})
    ${threadNames}
    const threads = () => threadNames().filter((name) => name.startsWith('plimsoll')).length
    const [one, other] = [new MemoryManager(), new MemoryManager()]
    one.monitor.start({ intervalMs: 10 })
    other.monitor.start({ intervalMs: 10 })
    one.monitor.on('sample', () => {})
    // A thread gives itself its name a moment after it was started.
    let seen = 0
    for (let i = 0; i < 10_000 && seen === 0; i += 1) seen = threads()
    console.log(seen)`
  expect(runNode(['-e', script])).toMatchObject({ status: 0, stdout: '1\n', stderr: '' })
})

test('it works in a worker thread, and a worker that is terminated leaves nothing shut', async () => {
  const script = `
    const { MemoryBudget, MemoryMonitor } = require(${JSON.stringify(root)})
    const { parentPort } = require('node:worker_threads')
    const monitor = new MemoryMonitor(MemoryBudget.forThisMachine({ isolated: true }))
    monitor.on('sample', ({ level }) => parentPort.postMessage(level))
    monitor.start({ intervalMs: 10 })
    setInterval(() => {}, 1000)`
  for (let i = 0; i < 3; i += 1) {
    const worker = new Worker(script, { eval: true })
    expect(await once(worker, 'message')).toEqual(['normal'])
    await worker.terminate()
  }
})

describe('an iteration that waits for a sample', () => {
  const endings: [string, (monitor: MemoryMonitor, samples: AsyncGenerator) => unknown][] = [
    ['stop()', (monitor) => monitor.stop()],
    ['close()', (monitor) => monitor.close()],
    ['its own return()', (_, samples) => samples.return(undefined)],
  ]

  test.each(endings)('settles with %s', async (_, end) => {
    using monitor = new MemoryMonitor(wide())
    monitor.start({ intervalMs: 100 })
    const samples = monitor[Symbol.asyncIterator]()
    await samples.next()
    const waiting = [samples.next(), samples.next()]
    end(monitor, samples)
    expect(await Promise.all(waiting)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ])
    expect(await samples.next()).toEqual({ done: true, value: undefined })
  })

  test('ends with the stop, and another one goes on after the next start', async () => {
    using monitor = new MemoryMonitor(wide())
    setTimeout(() => monitor.stop(), 100)
    for await (const _ of monitor) expect(monitor.running).toBe(true)
    expect(monitor.running).toBe(false)
    for await (const _ of monitor) break
    expect(monitor.running).toBe(true)
  })

  test('rejects of a monitor that is closed, and is then done', async () => {
    const monitor = new MemoryMonitor(wide())
    monitor.close()
    const samples = monitor[Symbol.asyncIterator]()
    await rejectedBy(ReleasedError, samples.next())
    expect(await samples.next()).toEqual({ done: true, value: undefined })
    await expect(samples.throw(new RangeError('mine'))).rejects.toThrow('mine')
  })
})

describe('a monitor that watches and that nothing refers to', () => {
  const helpers = `
    ${threadNames}
    const threads = () => threadNames().filter((name) => name === 'plimsoll-monito').length
    const often = { intervalMs: 10 }
    const warnings = []
    process.on('warning', ({ code, message }) => warnings.push(code + ' ' + message))
    const goneSoon = async (refs) => {
      for (let round = 0; round < 100 && refs.some((ref) => ref.deref()); round++) {
        // A turn after the last look, which itself keeps what it finds for its own turn.
        await new Promise((resolve) => setTimeout(resolve, 5))
        gc()
      }
      return refs.every((ref) => ref.deref() === undefined)
    }
  `
  const run = <T>(body: string): T => runChild<T>(helpers + body, { flags: ['--expose-gc'] }).value

  test('is collected with its manager, and its thread ends; who listened is told by a warning', () => {
    expect(
      run(`
      const refs = []
      const started = async () => {
        for (let i = 0; i < 3; i++) {
          const manager = new MemoryManager({ isolated: true })
          manager.monitor.start(often)
          if (i === 0) manager.monitor.on('sample', () => manager.closed)
          manager.monitor.onReclaim('mine', () => manager.closed)
          refs.push(new WeakRef(manager), new WeakRef(manager.monitor))
          await turn()
        }
      }
      await started()
      await settle(() => threads() > 0)
      const before = threads()
      const gone = await goneSoon(refs)
      await settle(() => threads() === 0 && warnings.length > 0)
      return [before, gone, threads(), warnings.length, /PLIMSOLL_LEAK A memory monitor with 1 listeners/.test(warnings[0])]
    `),
    ).toEqual([1, true, 0, 1, true])
  })

  test.each([
    ['its manager', 'manager'],
    ['its budget', 'manager.budget'],
  ])('goes on as long as %s is there', (_, kept) => {
    expect(
      run(`
      let heard = 0
      const started = () => {
        const manager = new MemoryManager({ isolated: true })
        manager.monitor.on('sample', () => heard++)
        manager.monitor.start(often)
        return ${kept}
      }
      globalThis.kept = started()
      for (let round = 0; round < 20; round++) { gc(); await new Promise((resolve) => setTimeout(resolve, 5)) }
      const before = heard
      const goesOn = await settle(() => heard > before + 3)
      return [goesOn, threads(), warnings]
    `),
    ).toEqual([true, 1, []])
  })

  test('goes on as long as an iteration waits for it', () => {
    expect(
      run(`
      let seen = 0
      const watch = async () => { for await (const _ of new MemoryManager({ isolated: true }).monitor) if (++seen > 3) break }
      const watched = watch()
      const collecting = setInterval(gc, 3)
      await watched
      clearInterval(collecting)
      return seen
    `),
    ).toBe(4)
  })
})
