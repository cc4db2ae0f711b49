import {
  InsufficientMemoryError,
  InvalidArgumentError,
  type LabelTotals,
  MemoryBudget,
  MemoryManager,
  MemoryProfile,
  MiB,
  type ProfileEvent,
  type ProfileOptions,
} from 'plimsoll'
import { runChild, untimedMs, watchChild } from './helpers/child'
import { emulatorBytes } from './helpers/emulation'
import { thrownBy } from './helpers/errors'
import { tensorTypes } from './helpers/gguf-writer'
import { scratch, settled, writeSparse } from './helpers/models'
import { formats, profiled } from './helpers/profiles'

const file = scratch()

const briefly = ({ kind, label, sizeBytes, allocatedBytes }: ProfileEvent) => [kind, label, sizeBytes, allocatedBytes]

/** What the totals have to be after these events. */
function totalsOf(events: ProfileEvent[]): LabelTotals[] {
  const totals = new Map<string, LabelTotals>()
  const none = {
    liveBytes: 0,
    liveCount: 0,
    peakBytes: 0,
    grantedBytes: 0,
    grantedCount: 0,
    refusedBytes: 0,
    refusedCount: 0,
  }
  for (const { kind, label, sizeBytes } of events) {
    if (!['held', 'grant', 'release', 'refusal'].includes(kind)) continue
    const entry = totals.get(label) ?? { label, ...none }
    totals.set(label, entry)
    if (kind === 'refusal') {
      entry.refusedBytes += sizeBytes
      entry.refusedCount += 1
      continue
    }
    const sign = kind === 'release' ? -1 : 1
    entry.liveBytes += sign * sizeBytes
    entry.liveCount += sign
    entry.peakBytes = Math.max(entry.peakBytes, entry.liveBytes)
    if (sign > 0) {
      entry.grantedBytes += sizeBytes
      entry.grantedCount += 1
    }
  }
  return [...totals.values()]
}

const byLabel = (a: { label: string }, b: { label: string }) => (a.label < b.label ? -1 : 1)

describe('what is recorded', () => {
  test('every grant, release, refusal and commit, in order, with label, bytes, sum, time and thread', () => {
    const { budget, profile } = profiled(100)
    const cache = budget.allocate(60, 'cache')
    thrownBy(InsufficientMemoryError, () => budget.allocate(50, 'too much'))
    cache.commit(20)
    cache.release()
    const events = profile.events()
    expect(events.map(briefly)).toEqual([
      ['grant', 'cache', 60, 60],
      ['refusal', 'too much', 50, 60],
      ['commit', 'cache', 20, 60],
      ['release', 'cache', 60, 0],
    ])
    const [grant, refusal, commit, release] = events as [ProfileEvent, ProfileEvent, ProfileEvent, ProfileEvent]
    expect([commit.id, release.id]).toEqual([grant.id, grant.id])
    expect(refusal.id).not.toBe(grant.id)
    expect(events.map(({ timeMs }) => timeMs)).toEqual(events.map(({ timeMs }) => timeMs).sort((a, b) => a - b))
    expect(new Set(events.map(({ threadId }) => threadId)).size).toBe(1)
    expect(events.every(({ stack }) => stack === undefined)).toBe(true)
  })

  test('nothing before the start and after the stop, and what was recorded stays until the next start', () => {
    const { budget, profile } = profiled(100)
    const held = budget.allocate(10, 'held')
    profile.stop()
    profile.stop()
    budget.allocate(20, 'unseen').release()
    held.release()
    expect(profile.running).toBe(false)
    expect(profile.events().map(briefly)).toEqual([['grant', 'held', 10, 10]])
    expect(profile.leaks()).toMatchObject([{ label: 'held', sizeBytes: 10 }])
    profile.start()
    expect([profile.running, profile.events(), profile.labels()]).toEqual([true, [], []])
  })

  test('what is allocated already when it starts', () => {
    const budget = new MemoryBudget({ totalBytes: 100 })
    const held = budget.allocate(30, 'held')
    using profile = new MemoryProfile(budget).start()
    held.release()
    expect(profile.events().map(briefly)).toEqual([
      ['held', 'held', 30, 30],
      ['release', 'held', 30, 0],
    ])
    expect(profile.report()).toMatchObject({ allocatedBytes: 0, peakBytes: 30 })
  })

  test('a profile that was never started has recorded nothing', () => {
    const profile = new MemoryProfile(new MemoryBudget({ totalBytes: 1 }))
    profile.stop()
    expect([profile.events(), profile.labels(), profile.leaks(), profile.report().startTimeMs]).toEqual([[], [], [], 0])
    for (const format of formats) expect(profile.export(format)).not.toBe('')
  })

  test('starting a profile that runs changes nothing', () => {
    const { budget, profile } = profiled(100)
    const held = budget.allocate(1, 'x')
    expect(profile.start({ capacity: 1 })).toBe(profile)
    held.release()
    expect(profile.events()).toHaveLength(2)
  })

  test('profiles of one budget do not see each other', () => {
    const { budget, profile: first } = profiled(100, { stacks: true })
    const second = new MemoryProfile(budget).start()
    budget.allocate(1, 'both').release()
    second.stop()
    const held = budget.allocate(2, 'first alone')
    expect([first.events().length, second.events().length]).toEqual([3, 2])
    expect(first.leaks()[0]?.stack).toContain(__filename)
    held.release()
  })

  test('what the pool does with its buffers, and when loads begin and how they end', async () => {
    const path = writeSparse(file('holes.gguf'), tensorTypes.F32, (32 * MiB) / 4)
    await using manager = new MemoryManager({ isolated: true })
    const profile = manager.profile.start()
    using model = manager.open(path)
    for await (const _ of model.stream({ chunkBytes: MiB }));
    for await (const _ of model.stream({ chunkBytes: MiB })) break
    await settled(manager.staging)
    manager.staging.trim()
    const { threads } = profile.report()
    const events = profile.events()
    const loads = events.filter(({ kind }) => kind.startsWith('load'))
    expect(loads.map(({ kind }) => kind)).toEqual(['load-start', 'load-end', 'load-start', 'load-cancelled'])
    expect(loads.every(({ label }) => label === path)).toBe(true)
    expect(loads.slice(0, 3).map(({ sizeBytes }) => sizeBytes)).toEqual([32 * MiB, 32 * MiB, 32 * MiB])
    expect(loads[3]?.sizeBytes).toBeLessThan(32 * MiB)
    expect(threads.find(({ id }) => id === loads[0]?.threadId)?.name).toBe('plimsoll-loader')
    const pooled = new Set(events.filter(({ label }) => label === 'staging pool').map(({ kind }) => kind))
    expect([...pooled].sort()).toEqual(['commit', 'grant', 'release', 'return', 'reuse'])
    expect(profile.report().allocatedBytes).toBe(0)
  })

  test('a full ring keeps the newest events, and every total', () => {
    const { budget, profile } = profiled(1000, { capacity: 7 })
    for (let round = 0; round < 100; round++) budget.allocate(round, 'round').release()
    const { eventCount, droppedCount } = profile.report()
    expect(profile.events().map(({ sizeBytes }) => sizeBytes)).toEqual([96, 97, 97, 98, 98, 99, 99])
    expect([eventCount, droppedCount]).toEqual([200, 193])
    expect(profile.labels()).toMatchObject([{ grantedCount: 100, grantedBytes: 4950, peakBytes: 99, liveCount: 0 }])
  })

  test('the totals are the sum of the events, whatever is taken and given', () => {
    const { budget, profile } = profiled(1000)
    const labels = ['a', 'a/b', 'b', '', 'ü\u0000']
    const live: { release(): void }[] = []
    let random = 1
    const below = (bound: number) => {
      random = (random * 48_271) % 2_147_483_647
      return random % bound
    }
    for (let step = 0; step < 2000; step++) {
      if (below(2) === 0) live.splice(below(live.length + 1), 1)[0]?.release()
      else {
        try {
          live.push(budget.allocate(below(300), labels[below(labels.length)] as string))
        } catch (error) {
          expect(error).toBeInstanceOf(InsufficientMemoryError)
        }
      }
    }
    const events = profile.events()
    expect(profile.labels().sort(byLabel)).toEqual(totalsOf(events).sort(byLabel))
    expect(profile.labels().some(({ refusedCount }) => refusedCount > 0)).toBe(true)
    expect(profile.leaks()).toHaveLength(live.length)
    expect(profile.report().allocatedBytes).toBe(budget.allocatedBytes)
    for (const guard of live) guard.release()
  })

  test('worker threads over the same budget, each with its own thread and stack', () => {
    const script = `
      const { Worker } = require('node:worker_threads')
      const { once } = require('node:events')
      const options = { board: 'rk3588-32gb', maxBytes: 100 * MiB }
      const budget = MemoryBudget.forThisMachine(options)
      const profile = new plimsoll.MemoryProfile(budget).start({ stacks: true })
      const body = \`
        const { MemoryBudget, MiB } = require('plimsoll')
        const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 100 * MiB })
        function inWorker() { return budget.allocate(MiB, 'worker') }
        for (let i = 0; i < 100; i++) inWorker().release()
        require('node:worker_threads').parentPort.postMessage('done')\`
      const workers = [1, 2, 3].map(() => new Worker(body, { eval: true }))
      const exits = workers.map((worker) => once(worker, 'exit'))
      budget.allocate(MiB, 'main').release()
      await Promise.all(exits)
      const events = profile.events()
      const grants = events.filter(({ kind }) => kind === 'grant')
      return {
        labels: profile.labels().map(({ label, grantedCount, liveCount }) => [label, grantedCount, liveCount]),
        threads: new Set(grants.map(({ threadId }) => threadId)).size,
        stacks: grants.every(({ label, stack }) => stack.startsWith('inWorker') === (label === 'worker')),
        main: profile.report().threads.find(({ name }) => name === 'main').id === process.pid,
      }`
    expect(runChild(script).value).toEqual({
      labels: [
        ['worker', 300, 0],
        ['main', 1, 0],
      ],
      threads: 4,
      stacks: true,
      main: true,
    })
  })

  test('a worker that is terminated takes its own profile with it', () => {
    const script = `
      const { Worker } = require('node:worker_threads')
      const { once } = require('node:events')
      const body = \`
        const { MemoryBudget, MemoryProfile } = require('plimsoll')
        const profile = new MemoryProfile(MemoryBudget.forThisMachine()).start({ stacks: true })
        require('node:worker_threads').parentPort.postMessage('started')
        setInterval(() => {}, 1000)\`
      const worker = new Worker(body, { eval: true })
      await once(worker, 'message')
      await worker.terminate()
      const budget = MemoryBudget.forThisMachine()
      const guard = budget.allocate(1, 'after')
      const { leaks } = { leaks: new plimsoll.MemoryProfile(budget).start().leaks() }
      guard.release()
      return leaks.map(({ label, stack, threadId }) => ({ label, stack, threadId }))`
    // Neither stack nor thread: nobody was recording any more when it was granted.
    expect(runChild(script).value).toEqual([{ label: 'after' }])
  })
})

describe('stacks', () => {
  test('begin with whoever called allocate and go as deep as asked', () => {
    const { budget, profile } = profiled(100, { stacks: true, stackDepth: 3 })
    const deep = (levels: number): { release(): void } => (levels === 0 ? budget.allocate(1, 'deep') : deep(levels - 1))
    deep(10).release()
    const frames = profile.events()[0]?.stack?.split('\n') ?? []
    expect(frames).toHaveLength(3)
    for (const frame of frames) expect(frame).toMatch(/^deep \(.*24-profile\.spec\.ts:\d+:\d+\)$/)
  })

  test('are told of refusals too', () => {
    const { budget, profile } = profiled(1, { stacks: true })
    function greedy() {
      budget.allocate(2, 'greedy')
    }
    thrownBy(InsufficientMemoryError, greedy)
    expect(profile.events()).toMatchObject([{ kind: 'refusal', stack: expect.stringMatching(/^greedy /) }])
  })

  test('leave Error as they found it, and survive a program that formats its own', () => {
    const { budget, profile } = profiled(100, { stacks: true })
    const { stackTraceLimit, prepareStackTrace } = Error
    try {
      Error.stackTraceLimit = 4
      budget.allocate(1, 'x').release()
      expect(Error.stackTraceLimit).toBe(4)
      Error.prepareStackTrace = () => ({ not: 'a text' })
      budget.allocate(1, 'y').release()
    } finally {
      Object.assign(Error, { stackTraceLimit, prepareStackTrace })
    }
    expect(profile.events().map(({ label, stack }) => [label, stack === ''])).toEqual([
      ['x', false],
      ['x', false],
      ['y', true],
      ['y', true],
    ])
  })

  test('are taken while a profile wants them, and no longer', () => {
    const { budget, profile: wanting } = profiled(100, { stacks: true })
    const first = budget.allocate(1, 'with')
    const profile = new MemoryProfile(budget).start()
    wanting.stop()
    const second = budget.allocate(1, 'without')
    expect(profile.leaks().map(({ label, stack }) => [label, stack !== undefined])).toEqual([
      ['with', true],
      ['without', false],
    ])
    first.release()
    second.release()
  })
})

test('leaks are what is live, oldest first, and as old as asked for', async () => {
  const { budget, profile } = profiled(100, { stacks: true })
  const old = budget.allocate(10, 'old').commit(4)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const young = budget.allocate(20, 'young')
  budget.allocate(30, 'gone').release()
  expect(profile.leaks()).toEqual([
    expect.objectContaining({
      label: 'old',
      sizeBytes: 10,
      committedBytes: 4,
      stack: expect.stringContaining(__filename),
    }),
    expect.objectContaining({ label: 'young', sizeBytes: 20, threadId: expect.any(Number) }),
  ])
  expect(profile.leaks({ olderThanMs: 950 }).map(({ label }) => label)).toEqual(['old'])
  expect(profile.leaks({ olderThanMs: 1e9 })).toEqual([])
  old.release()
  young.release()
})

test('the manager has a profile of its budget, which ends with it and can be read afterwards', async () => {
  const manager = new MemoryManager({ isolated: true })
  expect(manager.profile.running).toBe(false)
  manager.profile.start()
  const held = manager.budget.allocate(1, 'held')
  manager.staging.get(4096).release()
  await manager.close()
  expect(manager.profile.running).toBe(false)
  expect(manager.profile.leaks().map(({ label }) => label)).toContain('held')
  held.release()
})

test.each([
  ['capacity', 0],
  ['capacity', 2 ** 20 + 1],
  ['capacity', 1.5],
  ['stacks', 'yes'],
  ['stackDepth', 0],
  ['stackDepth', 101],
])('an unfit %s, here %p, is refused by name', (option, value) => {
  const profile = new MemoryProfile(new MemoryBudget({ totalBytes: 1 }))
  expect(thrownBy(InvalidArgumentError, () => profile.start({ [option]: value })).argument).toBe(option)
  expect(profile.running).toBe(false)
})

test('other unfit arguments are refused too', () => {
  const { profile } = profiled(1)
  thrownBy(InvalidArgumentError, () => new MemoryProfile({} as MemoryBudget))
  expect(thrownBy(InvalidArgumentError, () => profile.start({ stack: true } as ProfileOptions)).message).toContain(
    '"stacks"',
  )
  thrownBy(InvalidArgumentError, () => profile.leaks({ olderThanMs: -1 }))
  expect(thrownBy(InvalidArgumentError, () => profile.export('trac' as 'trace')).message).toContain(
    'did you mean "trace"',
  )
})

test(
  'a million events do not make a profile grow',
  async () => {
    const script = `
    const budget = new MemoryBudget({ totalBytes: 1e6 })
    const profile = new plimsoll.MemoryProfile(budget).start({ capacity: 1000, stacks: true })
    const rssAfter = async (batches) => {
      for (let batch = 0; batch < batches; batch++) {
        for (let i = 0; i < 10_000; i++) budget.allocate(1, 'label ' + (i % 50)).release()
        gc()
        await turn()
        progress()
      }
      return rssBytes()
    }
    const early = await rssAfter(10)
    const late = await rssAfter(40)
    return { grown: late - early, events: profile.report().eventCount }`
    const value = await watchChild<Record<string, number>>(script, { flags: ['--expose-gc'] })
    expect(value.events).toBe(1_000_000)
    expect(value.grown).toBeLessThan(16 * MiB + emulatorBytes)
  },
  untimedMs,
)
