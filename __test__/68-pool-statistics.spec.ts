import { InsufficientMemoryError, InvalidArgumentError, MiB, type PoolBuffer, type PoolStats } from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { smallSlabs as make } from './helpers/pools'

describe('statistics', () => {
  test('add up, whatever happens', async () => {
    await using pool = await make({ maxBytes: 4 * MiB, maxCachedBytes: MiB })
    const live: PoolBuffer[] = []
    let [peakUsed, requested] = [0, 0]
    const check = (stats: PoolStats) => {
      peakUsed = Math.max(peakUsed, stats.usedBytes)
      requested = live.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      expect(stats.usedBytes + stats.freeBytes).toBe(stats.heldBytes)
      expect(stats).toMatchObject({ requestedBytes: requested, bufferCount: live.length, peakUsedBytes: peakUsed })
      expect(stats.allocatedCount - stats.freedCount).toBe(live.length)
      expect(stats.usedBytes).toBeGreaterThanOrEqual(requested)
      expect(stats.largestFreeBytes).toBeLessThanOrEqual(stats.freeBytes)
      expect(stats.cachedBytes).toBeLessThanOrEqual(stats.freeBytes)
      const scattered = stats.freeBytes === 0 ? 0 : 1 - stats.largestFreeBytes / stats.freeBytes
      expect(stats.fragmentationPercent).toBeCloseTo(scattered * 100)
      expect(stats.peakHeldBytes).toBeGreaterThanOrEqual(stats.heldBytes)
    }
    for (let step = 0; step < 200; step++) {
      const size = 1 + ((step * 104_729) % 300_000)
      if (step % 3 === 2) live.splice((step * 31) % Math.max(1, live.length), 1)[0]?.release()
      else
        live.push(
          ...(await pool.allocateAsync(size).then(
            (buffer) => [buffer],
            () => [],
          )),
        )
      check(pool.stats())
    }
    expect(pool.stats().failedCount).toBeGreaterThan(0)
  })

  const groups = ['allocated_bytes', 'reserved_bytes', 'active_bytes', 'inactive_split_bytes', 'requested_bytes']
  const counts = ['allocation', 'segment', 'active']
  const keys = [...groups, ...counts].flatMap((group) =>
    ['current', 'peak', 'allocated', 'freed'].map((figure) => `${group}.all.${figure}`),
  )

  test('the detailed form has them under the names of PyTorch, too', async () => {
    await using pool = await make({ initialBytes: MiB })
    const [kept, freed] = [pool.allocate(1000), pool.allocate(5000)]
    freed.release()
    const { counters } = pool.detailedStats()
    expect(Object.keys(counters).sort()).toEqual([...keys, 'num_alloc_retries', 'num_ooms'].sort())
    expect(counters).toMatchObject({
      'allocated_bytes.all.current': 1024,
      'allocated_bytes.all.peak': 1024 + 5120,
      'allocated_bytes.all.allocated': 1024 + 5120,
      'allocated_bytes.all.freed': 5120,
      'reserved_bytes.all.current': MiB,
      'inactive_split_bytes.all.current': MiB - 1024,
      'requested_bytes.all.current': kept.sizeBytes,
      'requested_bytes.all.allocated': 6000,
      'allocation.all.current': 1,
      'allocation.all.freed': 1,
      'segment.all.current': 1,
      'active.all.current': 1,
      num_ooms: 0,
    })
    thrownBy(InsufficientMemoryError, () => pool.allocate(2 * MiB))
    expect(pool.detailedStats().counters.num_ooms).toBe(1)
  })

  test('the detailed form has every slab, and every block in the order of its address', async () => {
    await using pool = await make({ initialBytes: 2 * MiB })
    const [first, , third] = ['weights', 'gap', 'pinned'].map((label) => pool.allocate(1000, { label }))
    pool.allocate(500, { label: 'step', placement: 'transient' })
    third?.pin()
    pool.allocate(1).release()
    const { slabs } = pool.detailedStats()
    expect(slabs.map(({ sizeBytes, initial }) => [sizeBytes, initial])).toEqual([
      [MiB, true],
      [MiB, true],
    ])
    for (const { sizeBytes, usedBytes, blocks } of slabs) {
      let end = 0
      for (const block of blocks) {
        expect(block.offsetBytes).toBe(end)
        end += block.sizeBytes
      }
      expect(end).toBe(sizeBytes)
      const used = blocks.filter(({ label }) => label !== undefined)
      expect(used.reduce((sum, block) => sum + block.sizeBytes, 0)).toBe(usedBytes)
    }
    const [busy] = slabs.filter(({ usedBytes }) => usedBytes > 0)
    expect(busy?.blocks.map(({ label, pinned, transient }) => [label, pinned, transient])).toEqual([
      ['weights', false, false],
      ['gap', false, false],
      ['pinned', true, false],
      [undefined, undefined, undefined],
      ['step', false, true],
    ])
    expect(busy?.blocks[0]).toMatchObject({ requestedBytes: first?.sizeBytes, sizeBytes: 1024, offsetBytes: 0 })
  })
})

describe('scopes', () => {
  test('count apart what happens within, and nest', async () => {
    await using pool = await make({ initialBytes: MiB })
    const before = pool.allocate(100)
    pool.pushScope()
    const kept = pool.allocate(1000)
    pool.pushScope()
    pool.allocate(500).release()
    before.release()
    expect(pool.popScope()).toEqual({
      currentBytes: -100,
      peakBytes: 500,
      totalBytes: 500,
      currentCount: -1,
      peakCount: 1,
      totalCount: 1,
    })
    expect(pool.popScope()).toEqual({
      currentBytes: kept.sizeBytes - 100,
      peakBytes: 1500,
      totalBytes: 1500,
      currentCount: 0,
      peakCount: 2,
      totalCount: 2,
    })
    expect(pool.popScope()).toBeUndefined()
  })
})

describe('a trace', () => {
  const lines = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)

  test('has a header, and a line of JSON for each event', async () => {
    await using pool = await make({ initialBytes: MiB, label: 'traced' })
    const present = pool.allocate(100)
    pool.startTrace()
    const buffer = pool.allocate(1000, { alignBytes: 512, placement: 'transient' })
    thrownBy(InsufficientMemoryError, () => pool.allocate(2 * MiB))
    buffer.release()
    present.release()
    const trace = pool.stopTrace()
    expect([trace.eventCount, trace.droppedCount]).toEqual([5, 0])
    const [header, ...events] = lines(trace.text)
    expect(header).toMatchObject({ plimsollTrace: 1, device: 'host', label: 'traced', droppedCount: 0 })
    const at = { atUs: expect.any(Number) }
    expect(events).toEqual([
      { event: 'present', bytes: 100, buffer: expect.any(String), ...at },
      { event: 'allocate', bytes: 1000, alignBytes: 512, placement: 'transient', buffer: expect.any(String), ...at },
      { event: 'refuse', bytes: 2 * MiB, alignBytes: 256, placement: 'long', ...at },
      { event: 'free', bytes: 1000, buffer: events[1]?.buffer, ...at },
      { event: 'free', bytes: 100, buffer: events[0]?.buffer, ...at },
    ])
    expect(trace.text.endsWith('\n')).toBe(true)
  })

  test('holds no more events than it may, and counts the others', async () => {
    await using pool = await make({ initialBytes: MiB })
    pool.startTrace(3)
    for (let index = 0; index < 5; index++) pool.allocate(1).release()
    const { eventCount, droppedCount, text } = pool.stopTrace()
    expect([eventCount, droppedCount, lines(text).length]).toEqual([3, 7, 4])
    expect(pool.stopTrace()).toMatchObject({ eventCount: 0, droppedCount: 0 })
    for (const capacity of [0, -1, 1.5, 1e9]) thrownBy(InvalidArgumentError, () => pool.startTrace(capacity))
  })
})
