import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  InsufficientMemoryError,
  InvalidArgumentError,
  IoError,
  MemoryBudget,
  MemoryManager,
  MemoryProfile,
  MiB,
  type ProfileEvent,
  type ProfileWriter,
} from 'plimsoll'
import { profilePage } from 'plimsoll/report'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { samplePath } from './helpers/models'
import { formats, profiled } from './helpers/profiles'
import { rejectedBy } from './helpers/rejected-by'

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
afterAll(() => rmSync(folder, { recursive: true }))

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
