import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  InsufficientMemoryError,
  InvalidArgumentError,
  IoError,
  type LabelTotals,
  MemoryBudget,
  MemoryManager,
  MemoryProfile,
  MiB,
  type ProfileEvent,
  type ProfileOptions,
  type ProfileWriter,
} from 'plimsoll'
import { profilePage } from 'plimsoll/report'
import { runChild, untimedMs, watchChild } from './helpers/child'
import { emulatorBytes } from './helpers/emulation'
import { thrownBy } from './helpers/errors'
import { tensorTypes } from './helpers/gguf-writer'
import { samplePath, scratch, settled, writeSparse } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const file = scratch()
const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Every form that a profile has by itself, and a page. */
const formats = ['json', 'trace', profilePage] as const

/** A budget of so many bytes and a profile of it that runs. */
function profiled(totalBytes: number, options?: ProfileOptions) {
  const budget = new MemoryBudget({ totalBytes })
  return { budget, profile: new MemoryProfile(budget).start(options) }
}

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

describe('exports', () => {
  const hostile = [
    '</script><script>globalThis.harm = 1</script>',
    '<!--<script>',
    'say "hi"/it\'s\\',
    '\u0000\u001b[31m\u2028\u202e',
    '{{data}} {{script}} $& $1',
    '__proto__/constructor',
    '///',
    '',
    'x'.repeat(1024),
  ]

  /** A profile of hostile labels, each of its own size, all live. */
  function hostileProfile(labels = hostile) {
    const { budget, profile } = profiled(2 ** 40)
    const guards = labels.map((label, i) => budget.allocate(i + 1, label))
    profile.stop()
    for (const guard of guards) guard.release()
    return profile
  }

  test('json is the report and the events', () => {
    const profile = hostileProfile()
    const parsed = JSON.parse(profile.export('json'))
    expect(parsed).toEqual({ ...profile.report(), events: profile.events() })
    expect(parsed.events.map(({ label }: ProfileEvent) => label)).toEqual(hostile)
  })

  /** The events of a trace, of which each end has its beginning before it, and times do not run backwards. */
  function checkedTrace(profile: MemoryProfile) {
    const { traceEvents } = JSON.parse(profile.export('trace'))
    const open = new Set<string>()
    let last = 0
    for (const { ph, name, ts, pid, tid, cat, id2, args } of traceEvents) {
      expect([typeof name, pid, Number.isInteger(tid), ts >= 0]).toEqual(['string', process.pid, true, true])
      if (ph === 'M') continue
      expect(ts).toBeGreaterThanOrEqual(last)
      last = ts
      const key = `${cat} ${id2?.local}`
      if (ph === 'b') expect(open.has(key)).toBe(false)
      if (ph === 'e' || ph === 'n') expect(open.has(key)).toBe(true)
      if (ph === 'b') open.add(key)
      else if (ph === 'e') open.delete(key)
      else if (ph === 'C') expect(args).toEqual({ bytes: expect.any(Number) })
      else expect(['n', 'i']).toContain(ph)
    }
    return { traceEvents, openCount: open.size }
  }

  test('the trace has a span for each allocation and load, a counter, instants for refusals, and names of threads', async () => {
    await using manager = new MemoryManager({ isolated: true, maxBytes: 64 * MiB })
    const profile = manager.profile.start()
    const held = manager.budget.allocate(MiB, 'held').commit()
    thrownBy(InsufficientMemoryError, () => manager.budget.allocate(65 * MiB, 'too much'))
    await manager.open(samplePath).load('output_norm.weight')
    const { traceEvents, openCount } = checkedTrace(profile)
    const phases = (ph: string, name: string) =>
      traceEvents.filter((e: (typeof traceEvents)[0]) => e.ph === ph && e.name === name)
    expect(openCount).toBe(profile.leaks().length)
    expect(phases('b', 'held')).toMatchObject([{ cat: 'allocation', args: { sizeBytes: MiB } }])
    expect(phases('b', samplePath)).toHaveLength(1)
    expect(phases('e', samplePath)).toMatchObject([{ cat: 'load', args: { kind: 'load-end' } }])
    expect(phases('n', 'commit')).toHaveLength(1)
    expect(phases('i', 'refused: too much')).toMatchObject([{ s: 't', args: { sizeBytes: 65 * MiB } }])
    expect(phases('C', 'allocated')[0].args.bytes).toBe(MiB)
    const names = phases('M', 'thread_name').map(({ args }: { args: { name: string } }) => args.name)
    expect(names.sort()).toEqual(['main', 'plimsoll-loader'])
    held.release()
  })

  test('a trace whose oldest events were dropped is whole all the same', () => {
    const { budget, profile } = profiled(1000, { capacity: 5 })
    const kept = budget.allocate(1, 'kept')
    const ended = budget.allocate(2, 'ended')
    const committed = budget.allocate(3, 'committed')
    for (let round = 0; round < 20; round++) budget.allocate(9, 'round').release()
    committed.commit(1)
    ended.release()
    const { traceEvents, openCount } = checkedTrace(profile)
    expect(openCount).toBe(2)
    const begun = traceEvents.filter(({ ph }: { ph: string }) => ph === 'b').map(({ name }: { name: string }) => name)
    expect(begun.sort()).toEqual(['committed', 'ended', 'kept', 'round', 'round'])
    kept.release()
    committed.release()
  })

  /** What is between the tags of the page's script, style and data. */
  function partsOf(html: string) {
    const between = (start: string, end: string) =>
      html.slice(html.indexOf(start) + start.length).split(end, 1)[0] as string
    return {
      style: between('<style>', '</style>'),
      data: between('type="application/json">', '</script>'),
      script: between('<script type="module">', '</script>'),
      policy: between('Content-Security-Policy" content="', '"'),
    }
  }

  test('the page holds every label as it is, and no label breaks out of its place', () => {
    const html = hostileProfile().export(profilePage)
    const { data } = partsOf(html)
    const { labels } = JSON.parse(data)
    expect(labels.map(([label]: [string]) => label).sort()).toEqual([...hostile].sort())
    expect(html.match(/<script/g)).toHaveLength(2)
    expect(html.match(/<\/script/g)).toHaveLength(2)
    expect(data).not.toContain('<')
  })

  test('the page runs its own script and nothing else, and asks for nothing outside of it', () => {
    const html = hostileProfile(['https://example.org/a.js']).export(profilePage)
    const { style, script, policy, data } = partsOf(html)
    const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
    expect(policy).toBe(`default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}`)
    const own = html.replace(data, '').replaceAll('http://www.w3.org/2000/svg', '')
    expect(own).not.toMatch(/https?:|\bsrc=|\bhref=|@import|url\(|innerHTML|\beval\b|import\(/)
  })

  test('ten thousand labels are all there', () => {
    const labels = Array.from({ length: 10_000 }, (_, i) => `request/${i % 40}/tensor-${i}`)
    const profile = hostileProfile(labels)
    expect(JSON.parse(partsOf(profile.export(profilePage)).data).labels).toHaveLength(10_000)
    expect(profile.labels()).toHaveLength(10_000)
  })

  test('places that live allocations came from are grouped by label and stack', () => {
    const { budget, profile } = profiled(1000, { stacks: true })
    const guards = Array.from({ length: 5 }, () => budget.allocate(10, 'same'))
    guards.push(budget.allocate(70, 'other'))
    const { places } = JSON.parse(partsOf(profile.export(profilePage)).data)
    expect(places).toMatchObject([
      { label: 'other', count: 1, bytes: 70 },
      { label: 'same', count: 5, bytes: 50, stack: expect.stringContaining(__filename) },
    ])
    for (const guard of guards) guard.release()
  })

  test('save writes the format that the name tells, whole, in place of what was there', async () => {
    const profile = hostileProfile()
    const paths = ['p.trace.json', 'p.json'].map((name) => join(folder, name))
    for (const path of [...paths, ...paths]) await profile.save(path)
    const named = ['trace', 'json'] as const
    expect(paths.map((path) => readFileSync(path, 'utf8'))).toEqual(named.map((format) => profile.export(format)))
    for (const format of ['json', profilePage] as const) {
      await profile.save(join(folder, 'p.txt'), format)
      expect(readFileSync(join(folder, 'p.txt'), 'utf8')).toBe(profile.export(format))
    }
    expect(readdirSync(folder).sort()).toEqual(['p.json', 'p.trace.json', 'p.txt'])
  })

  test('a page is not made by its name alone: the way to it is told', async () => {
    const { argument, message } = await rejectedBy(InvalidArgumentError, hostileProfile().save(join(folder, 'p.html')))
    expect([argument, message]).toEqual(['path', expect.stringContaining('profilePage of plimsoll/report')])
  })

  test('what a writer throws, or gives that is no text, is told as it is, and leaves nothing behind', async () => {
    const profile = hostileProfile()
    const before = readdirSync(folder)
    const broken = new Error('broken')
    const fails = () => {
      throw broken
    }
    expect(() => profile.export(fails)).toThrow(broken)
    await expect(profile.save(join(folder, 'w.json'), fails)).rejects.toBe(broken)
    for (const unfit of [() => 7, () => undefined, () => [7], () => ['text', undefined]]) {
      const writer = unfit as unknown as ProfileWriter
      expect(thrownBy(InvalidArgumentError, () => profile.export(writer)).argument).toBe('format')
      expect((await rejectedBy(InvalidArgumentError, profile.save(join(folder, 'w.json'), writer))).argument).toBe(
        'format',
      )
    }
    expect(readdirSync(folder)).toEqual(before)
  })

  test('save lets the event loop go on, and writes the same', async () => {
    const busy = new MemoryBudget({ totalBytes: 2 ** 40 })
    const long = new MemoryProfile(busy).start()
    for (let i = 0; i < 20_000; i++) busy.allocate(i, `label ${i % 100}`).release()
    long.stop()
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
    for (const format of formats) {
      let turns = 0
      let saving = true
      const turn = () => {
        turns += 1
        if (saving) setImmediate(turn)
      }
      turn()
      await long.save(join(folder, 'p'), format)
      saving = false
      // A turn for every ten thousand rows at the least.
      expect(turns).toBeGreaterThan(4)
      expect(readFileSync(join(folder, 'p'), 'utf8') === long.export(format)).toBe(true)
    }
    rmSync(folder, { recursive: true })
  })

  test('what is longer than a string can be is refused, with the way to write it', () => {
    const { value } = runChild<[string, string][]>(
      `const budget = new MemoryBudget({ totalBytes: 2 ** 50 })
      const profile = new plimsoll.MemoryProfile(budget).start({ capacity: 2 ** 19 })
      for (let i = 0; i < 2 ** 18; i++) budget.allocate(i, 'l'.repeat(1024)).release()
      return ['json', 'trace'].map((format) => {
        try { return profile.export(format).length } catch (error) { return [error.code, error.message] }
      })`,
    )
    for (const [code, message] of value) {
      expect(code).toBe('ERR_INVALID_ARGUMENT')
      expect(message).toContain('save() writes a text of any length to a file')
    }
  })

  test('save leaves nothing behind where it cannot write, and says where', async () => {
    const profile = hostileProfile()
    const taken = join(folder, 'folder.json')
    mkdirSync(taken)
    const before = readdirSync(folder)
    const path = join(folder, 'none', 'p.json')
    const error = await rejectedBy(IoError, profile.save(path))
    expect(error).toMatchObject({ code: 'ERR_IO', path, errno: 2 })
    await rejectedBy(IoError, profile.save(taken))
    expect(readdirSync(folder)).toEqual(before)
    expect((await rejectedBy(InvalidArgumentError, profile.save(join(folder, 'p.txt')))).argument).toBe('path')
  })
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
