import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import {
  InsufficientMemoryError,
  InvalidArgumentError,
  MemoryBudget,
  MemoryManager,
  MemoryMonitor,
  MiB,
  type MonitorSample,
  type ReclaimRun,
  ReleasedError,
} from 'plimsoll'
import { root, runChild, runNode, threadNames } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { rejectedBy } from './helpers/rejected-by'

const often = { intervalMs: 20 } as const

const wide = () => MemoryBudget.forThisMachine({ isolated: true })

const next = (monitor: MemoryMonitor, event: 'sample' | 'critical' | 'warning' | 'normal') =>
  new Promise<MonitorSample>((resolve) => monitor.once(event, resolve))

test('it is off until it is started, and off again when stopped', async () => {
  using monitor = new MemoryMonitor(wide())
  expect([monitor.running, monitor.level, monitor.sample, monitor.history()]).toEqual([false, 'normal', undefined, []])
  expect(monitor.start(often)).toBe(monitor)
  expect(monitor.running).toBe(true)
  const sample = await next(monitor, 'sample')
  expect(sample).toMatchObject({ level: 'normal', usedPercent: expect.any(Number), constraint: expect.any(String) })
  expect(monitor.sample?.timeMs).toBeGreaterThanOrEqual(sample.timeMs)
  expect(monitor.history().length).toBeGreaterThan(0)
  monitor.stop()
  monitor.stop()
  let late = 0
  monitor.on('sample', () => {
    late += 1
  })
  await sleep(100)
  expect([monitor.running, late]).toEqual([false, 0])
  monitor.start(often)
  await next(monitor, 'sample')
})

test('levels rise and fall with what is used, and not with what is granted', () => {
  // In a process of its own: elsewhere the garbage of other tests, released meanwhile, hides what is taken here.
  const script = `
    const { MemoryBudget, MemoryMonitor, MiB, processMemory } = require(${JSON.stringify(root)})
    const { rssBytes } = processMemory()
    const budget = MemoryBudget.forThisMachine({ maxBytes: rssBytes + 256 * MiB, isolated: true })
    const monitor = new MemoryMonitor(budget, { warnPercent: 80, criticalPercent: 95 })
    const levels = []
    for (const level of ['normal', 'warning', 'critical']) monitor.on(level, (sample) => levels.push([level, sample.constraint]))
    const granted = budget.allocate(budget.availableBytes, 'granted and not used')
    const held = []
    const alive = setInterval(() => {}, 1000)
    const take = setInterval(() => {
      if (monitor.sample === undefined) return
      if (held.length === 0) levels.push(['at first ' + monitor.level])
      if (monitor.level !== 'critical') return held.push(Buffer.alloc(8 * MiB, 1))
      clearInterval(take)
      held.length = 0
      gc()
      monitor.once('normal', () => { clearInterval(alive); monitor.close(); console.log(JSON.stringify(levels)) })
    }, 25)
    monitor.start({ intervalMs: 20 })`
  const { stdout, status, stderr } = runNode(['--expose-gc', '-e', script])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const levels: [string, string][] = JSON.parse(stdout)
  expect(levels[0]).toEqual(['at first normal'])
  expect(levels[1]?.[0]).toBe('warning')
  const critical = levels.find(([level]) => level === 'critical')
  expect(critical?.[1]).toContain('the line')
  expect(levels.at(-1)?.[0]).toBe('normal')
})

test('while it is critical new allocations are refused by the level, and what is held stays', async () => {
  const budget = wide()
  using _held = budget.allocate(MiB, 'held')
  using monitor = new MemoryMonitor(budget, { warnPercent: 0, criticalPercent: 0 })
  monitor.start(often)
  await next(monitor, 'critical')
  const error = thrownBy(InsufficientMemoryError, () => budget.allocate(1, 'new'))
  expect(error.bindingConstraint).toContain('level critical')
  expect([error.availableBytes, budget.allocatedBytes]).toEqual([0, MiB])
  monitor.limits = {}
  await next(monitor, 'normal')
  budget.allocate(1, 'granted again').release()
  monitor.limits = { warnPercent: 0, criticalPercent: 0 }
  await next(monitor, 'critical')
  monitor.stop()
  budget.allocate(1, 'granted again').release()
})

test('it refuses nothing where it was told not to', async () => {
  const budget = wide()
  using monitor = new MemoryMonitor(budget, { warnPercent: 0, criticalPercent: 0 })
  monitor.start({ ...often, refuseAtCritical: false })
  await next(monitor, 'critical')
  budget.allocate(1, 'granted').release()
})

test('reclaim callbacks run in order, each awaited, and one that throws does not stop the next', async () => {
  using monitor = new MemoryMonitor(wide(), { warnPercent: 0, criticalPercent: 0 })
  const ran: string[] = []
  const told: ReclaimRun[] = []
  monitor.on('reclaim', (run) => told.push(run))
  monitor.onReclaim('first', async () => {
    await sleep(10)
    ran.push('first')
  })
  monitor.onReclaim('second', () => {
    ran.push('second')
    throw new Error('nothing to give')
  })
  const gone = monitor.onReclaim('gone', () => ran.push('gone'))
  gone[Symbol.dispose]()
  const last = new Promise<MonitorSample>((resolve) => monitor.onReclaim('third', resolve))
  monitor.start({ ...often, collectGarbage: true })
  expect((await last).level).toBe('critical')
  await sleep(0)
  expect(ran).toEqual(['first', 'second'])
  expect(told.map(({ label }) => label)).toEqual(['garbage collection', 'first', 'second', 'third'])
  expect(told[2]?.error).toEqual(new Error('nothing to give'))
})

test('it asks no more once the level has fallen, by what a reclaim callback did at once', async () => {
  using monitor = new MemoryMonitor(wide(), { warnPercent: 0, criticalPercent: 0 })
  let needless = false
  monitor.onReclaim('enough', () => {
    monitor.limits = {}
  })
  monitor.onReclaim('needless', () => {
    needless = true
  })
  const fallen = next(monitor, 'normal')
  monitor.start(often)
  await fallen
  await sleep(300)
  expect(needless).toBe(false)
})

test('a listener that throws keeps neither the level nor the reclaim callbacks from those who wait for them', () => {
  const script = `
    const { MemoryBudget, MemoryMonitor } = require(${JSON.stringify(root)})
    const told = []
    process.on('uncaughtException', ({ message }) => told.push(message))
    const monitor = new MemoryMonitor(MemoryBudget.forThisMachine({ isolated: true }), { warnPercent: 0, criticalPercent: 0 })
    monitor.on('sample', () => { throw new Error('of sample') })
    monitor.on('reclaim', ({ label }) => { told.push(label); throw new Error('of reclaim') })
    monitor.once('critical', ({ level }) => { told.push(level); throw new Error('of critical') })
    monitor.onReclaim('first', () => {})
    monitor.onReclaim('second', () => setTimeout(() => { monitor.close(); console.log(JSON.stringify([...new Set(told)].sort())); clearInterval(alive) }, 300))
    const alive = setInterval(() => {}, 1000)
    monitor.start({ intervalMs: 20 })`
  const { stdout, status, stderr } = runNode(['-e', script])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual(['critical', 'first', 'of critical', 'of reclaim', 'of sample', 'second'])
})

test('what was on its way as it stopped is not taken for news of the next start', async () => {
  using monitor = new MemoryMonitor(wide(), { warnPercent: 0, criticalPercent: 0 })
  monitor.start({ intervalMs: 10 })
  await next(monitor, 'critical')
  // The event loop stands still while samples gather.
  const until = performance.now() + 150
  while (performance.now() < until);
  monitor.stop()
  monitor.limits = {}
  let stale = false
  monitor.on('critical', () => {
    stale = true
  })
  monitor.start({ intervalMs: 10 })
  expect((await next(monitor, 'sample')).level).toBe('normal')
  expect(stale).toBe(false)
})

test('where it is critical canAllocate says what allocate does, and one monitor does not open what another shuts', async () => {
  const budget = wide()
  using one = new MemoryMonitor(budget, { warnPercent: 0, criticalPercent: 0 })
  using other = new MemoryMonitor(budget, { warnPercent: 0, criticalPercent: 0 })
  one.start(often)
  other.start(often)
  await Promise.all([next(one, 'critical'), next(other, 'critical')])
  other.close()
  expect(budget.canAllocate(1)).toBe(false)
  thrownBy(InsufficientMemoryError, () => budget.allocate(1, 'x'))
  one.close()
  expect(budget.canAllocate(1)).toBe(true)
})

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

describe('over the files of a machine that a test writes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-monitor-'))
  const write = (name: string, text: string) => writeFileSync(join(folder, 'proc', name), text)
  const available = (percent: number) =>
    write('meminfo', `MemTotal: 8000000 kB\nMemAvailable: ${80_000 * percent} kB\n`)
  const watching = () => new MemoryMonitor(MemoryBudget.forThisMachine({ root: folder }), { hysteresisPercent: 0 })

  beforeEach(() => {
    mkdirSync(join(folder, 'proc'), { recursive: true })
    available(90)
    write('vmstat', 'oom_kill 3\n')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('what cannot be read is told, refuses all, and ends with the level told anew', async () => {
    const budget = MemoryBudget.forThisMachine({ root: folder })
    using monitor = new MemoryMonitor(budget)
    monitor.start({ ...often, floorBytes: 0 })
    await next(monitor, 'sample')
    const reason = new Promise<string>((resolve) => monitor.once('unavailable', resolve))
    write('meminfo', 'nonsense')
    expect(await reason).toContain('meminfo')
    expect([monitor.level, monitor.sample]).toEqual(['critical', undefined])
    const refusal = thrownBy(InsufficientMemoryError, () => budget.allocate(1, 'blind'))
    expect(refusal.bindingConstraint).toContain('meminfo')
    const normal = next(monitor, 'normal')
    available(90)
    expect((await normal).level).toBe('normal')
    budget.allocate(1, 'seen again').release()
  })

  test('kills are counted from one sample to the next', async () => {
    using monitor = watching()
    monitor.start({ ...often, floorBytes: 0 })
    const killed = new Promise<number>((resolve) => monitor.once('kill', (_sample, count) => resolve(count)))
    await next(monitor, 'sample')
    write('vmstat', 'oom_kill 5\n')
    expect(await killed).toBe(2)
  })

  test('levels are told in order to those who do not listen to every sample', async () => {
    using monitor = watching()
    const told: string[] = []
    for (const level of ['normal', 'warning', 'critical'] as const) monitor.on(level, () => told.push(level))
    monitor.start({ ...often, floorBytes: 0 })
    for (const [percent, level] of [
      [15, 'warning'],
      [2, 'critical'],
      [90, 'normal'],
    ] as const) {
      const heard = next(monitor, level)
      available(percent)
      expect((await heard).level).toBe(level)
    }
    expect(told).toEqual(['warning', 'critical', 'normal'])
    expect(monitor.sample?.level).toBe('normal')
  })
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

test('the manager has one, with its limits, and closes it', async () => {
  const manager = new MemoryManager({ isolated: true })
  manager.limits = { warnPercent: 50 }
  expect([manager.limits, manager.monitor.limits, manager.monitor.running]).toEqual([
    { warnPercent: 50 },
    { warnPercent: 50 },
    false,
  ])
  manager.limits = { warnPercent: 50, maxBytes: MiB }
  expect(manager.limits).toEqual({ warnPercent: 50, maxBytes: MiB })
  const error = thrownBy(InsufficientMemoryError, () => manager.budget.allocate(MiB + 1, 'too much'))
  expect(error.bindingConstraint).toContain('set while running')
  expect(manager.budget.bindingTerm).toMatchObject({ kind: 'maximum', bytes: MiB })
  thrownBy(InvalidArgumentError, () => {
    manager.limits = { maxBytes: -1, warnPercent: 1 }
  })
  expect(manager.limits).toEqual({ warnPercent: 50, maxBytes: MiB })
  manager.limits = { warnPercent: 50 }
  expect(manager.budget.maxBytes).toBeUndefined()
  manager.monitor.start(often)
  await manager.close()
  expect(manager.monitor.running).toBe(false)
})

test("at critical the manager's pool gives back what it holds idle", async () => {
  await using manager = new MemoryManager({ isolated: true, maxHeldBytes: 8 * MiB })
  manager.staging.get(4 * MiB).release()
  while (manager.staging.stats().inUseCount > 0) await sleep(1)
  expect(manager.staging.stats().heldBytes).toBe(4 * MiB)
  const trimmed = new Promise<ReclaimRun>((resolve) => manager.monitor.once('reclaim', resolve))
  manager.limits = { warnPercent: 0, criticalPercent: 0 }
  manager.monitor.start(often)
  expect((await trimmed).label).toBe('staging pool')
  expect(manager.staging.stats().heldBytes).toBe(0)
})

test.each([
  ['warnPercent', 101],
  ['criticalPercent', Number.NaN],
  ['hysteresisPercent', '3'],
  ['floorBytes', -1],
  ['intervalMs', 1],
  ['historyCount', 1.5],
  ['refuseAtCritical', 1],
])('an unfit %s, here %p, is refused by name', (option, value) => {
  using monitor = new MemoryMonitor(wide())
  expect(thrownBy(InvalidArgumentError, () => monitor.start({ [option]: value })).argument).toBe(option)
  expect(monitor.running).toBe(false)
})

test('limits in the wrong order, unknown events and things that are no budget are refused', () => {
  using monitor = new MemoryMonitor(wide())
  const wrong = { warnPercent: 96, criticalPercent: 90 }
  expect(thrownBy(InvalidArgumentError, () => monitor.start(wrong)).argument).toBe('warnPercent')
  expect(
    thrownBy(InvalidArgumentError, () => {
      monitor.limits = wrong
    }).argument,
  ).toBe('warnPercent')
  expect(thrownBy(InvalidArgumentError, () => monitor.on('waring' as 'warning', () => {})).message).toContain('warning')
  thrownBy(InvalidArgumentError, () => new MemoryMonitor({} as MemoryBudget))
})

test('stages tell what each component added', () => {
  const budget = wide()
  const monitor = new MemoryMonitor(budget)
  const start = monitor.mark('start')
  expect(start.added.allocatedBytes).toBe(0)
  const weights = budget.allocate(100 * MiB, 'weights')
  const cache = budget.allocate(30 * MiB, 'kv cache')
  expect(monitor.mark('after model load')).toMatchObject({
    allocatedBytes: 130 * MiB,
    added: { allocatedBytes: 130 * MiB },
    components: [
      { label: 'weights', bytes: 100 * MiB, addedBytes: 100 * MiB },
      { label: 'kv cache', bytes: 30 * MiB, addedBytes: 30 * MiB },
    ],
  })
  weights.release()
  expect(monitor.mark('after unload').components).toEqual([
    { label: 'kv cache', bytes: 30 * MiB, addedBytes: 0 },
    { label: 'weights', bytes: 0, addedBytes: -100 * MiB },
  ])
  cache.release()
  expect(monitor.stages().map(({ label }) => label)).toEqual(['start', 'after model load', 'after unload'])
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
