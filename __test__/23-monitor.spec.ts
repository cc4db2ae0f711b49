import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  InsufficientMemoryError,
  InvalidArgumentError,
  MemoryBudget,
  MemoryManager,
  MemoryMonitor,
  MiB,
  type MonitorSample,
  type ReclaimRun,
} from 'plimsoll'
import { root, runNode } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { kept, next, often, wide } from './helpers/monitors'

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
    let ending
    monitor.onReclaim('second', () => {
      ending ??= setTimeout(() => { monitor.close(); console.log(JSON.stringify([...new Set(told)].sort())); clearInterval(alive) }, 300)
    })
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

describe('over the files of a machine that a test writes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-monitor-'))
  const write = (name: string, text: string) => writeFileSync(join(folder, 'proc', name), text)
  const available = (percent: number) =>
    write('meminfo', `MemTotal: 8000000 kB\nMemAvailable: ${80_000 * percent} kB\n`)
  const watching = () =>
    new MemoryMonitor(kept(MemoryBudget.forThisMachine({ root: folder })), { hysteresisPercent: 0 })

  beforeEach(() => {
    mkdirSync(join(folder, 'proc'), { recursive: true })
    available(90)
    write('vmstat', 'oom_kill 3\n')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('what cannot be read is told, refuses all, and ends with the level told anew', async () => {
    const budget = kept(MemoryBudget.forThisMachine({ root: folder }))
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

test("at critical the manager's pool releases what it holds idle", async () => {
  await using manager = new MemoryManager({ isolated: true, maxHeldBytes: 8 * MiB })
  manager.staging.get(4 * MiB).release()
  while (manager.staging.stats().inUseCount > 0) await sleep(1)
  expect(manager.staging.stats().heldBytes).toBe(4 * MiB)
  kept(manager.budget)
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
