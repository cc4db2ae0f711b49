import {
  InsufficientMemoryError,
  InvalidArgumentError,
  KiB,
  MemoryBudget,
  MemoryPool,
  MiB,
  type PoolBuffer,
  ReleasedError,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'
import { thrownBy } from './helpers/errors'
import { misuse } from './helpers/misuse'
import { smallSlabs as make, memoryFile, offsetOf, releaseAll } from './helpers/pools'
import { rejectedBy } from './helpers/rejected-by'

const testPopulated = unlessEmulated(test, 'qemu takes the advice to populate pages and does nothing')

describe('create', () => {
  test('holds nothing until it is asked, but for initialBytes', async () => {
    await using empty = await MemoryPool.create({ device: 'host' })
    expect(empty).toMatchObject({ label: 'memory pool', closed: false, device: { name: 'host' } })
    expect(empty.stats()).toMatchObject({ heldBytes: 0, slabCount: 0, bufferCount: 0, fragmentationPercent: 0 })
    await using full = await make({ initialBytes: 2 * MiB + 512 * KiB, label: 'inputs' })
    expect(full.label).toBe('inputs')
    expect(full.stats()).toMatchObject({ heldBytes: 2 * MiB + 512 * KiB, slabCount: 3, usedBytes: 0 })
    expect(full.stats().largestFreeBytes).toBe(MiB)
  })

  testPopulated('initialBytes are there, every page of them, before anybody asks for a buffer', () => {
    const script = `
      const before = rssBytes()
      const pool = await MemoryPool.create({ device: 'host', initialBytes: 64 * MiB })
      return (rssBytes() - before) / MiB`
    expect(runChild<number>(script).value).toBeGreaterThan(60)
  })

  test.each<[string, unknown, string]>([
    ['slabBytes', 0, 'slabBytes'],
    ['slabBytes', -1, 'slabBytes'],
    ['slabBytes', 1.5, 'slabBytes'],
    ['slabBytes', '1MiB', 'slabBytes'],
    ['slabBytes', 2 ** 53, 'slabBytes'],
    ['initialBytes', Number.NaN, 'initialBytes'],
    ['maxBytes', 0, 'maxBytes'],
    ['maxCachedBytes', Number.POSITIVE_INFINITY, 'maxCachedBytes'],
    ['pageBytes', 0, 'pageBytes'],
    ['dedicated', 'yes', 'dedicated'],
    ['zeroOnFree', 1, 'zeroOnFree'],
    ['autoDefragment', 'on', 'autoDefragment'],
    ['autoDefragment', { abovePercent: 101 }, 'abovePercent'],
    ['autoDefragment', { maxMs: -1 }, 'maxMs'],
    ['autoDefragment', { above: 1 }, 'autoDefragment'],
    ['budget', {}, 'budget'],
    ['budget', Object.create(MemoryBudget.prototype), 'budget'],
    ['device', 'gpu', 'device'],
    ['label', 7, 'label'],
    ['slabByte', 1, 'options'],
  ])('an unfit %s, here %j, is refused by name', async (option, value, argument) => {
    const error = await rejectedBy(InvalidArgumentError, make({ [option]: value }))
    expect(error.argument).toBe(argument)
  })

  test('options that contradict each other are refused', async () => {
    const error = await rejectedBy(InvalidArgumentError, make({ initialBytes: 2 * MiB, maxBytes: MiB }))
    expect(error.argument).toBe('initialBytes')
    const still = await rejectedBy(InvalidArgumentError, make({ dedicated: true, autoDefragment: true }))
    expect(still.argument).toBe('autoDefragment')
  })

  test('more than the machine or the budget has is refused, and nothing stays taken', async () => {
    await rejectedBy(InsufficientMemoryError, make({ initialBytes: 2 ** 52 }))
    const budget = new MemoryBudget({ totalBytes: 5 * MiB })
    const error = await rejectedBy(InsufficientMemoryError, make({ initialBytes: 6 * MiB, budget, label: 'too large' }))
    expect(error).toMatchObject({ label: 'too large', requestedBytes: 6 * MiB, availableBytes: 5 * MiB })
    expect([budget.allocatedBytes, budget.allocations()]).toEqual([0, []])
  })

  test('is the only way to a pool', () => {
    const Make = MemoryPool as unknown as new () => MemoryPool
    thrownBy(InvalidArgumentError, () => new Make())
  })
})

describe('allocate', () => {
  test('serves from what is held and asks no device', async () => {
    await using pool = await make()
    const refusal = thrownBy(InsufficientMemoryError, () => pool.allocate(1000, { label: 'early' }))
    expect(refusal).toMatchObject({ requestedBytes: 1000, availableBytes: 0, largestFreeBytes: 0, label: 'early' })
    expect(refusal.suggestion).toMatch(/reserve/i)
    await pool.reserve(1000)
    using buffer = pool.allocate(1000, { label: 'later' })
    expect(buffer).toMatchObject({ sizeBytes: 1000, label: 'later', device: 'host', released: false })
    expect(pool.stats()).toMatchObject({ heldBytes: MiB, requestedBytes: 1000, usedBytes: 1024, bufferCount: 1 })
  })

  test('a refusal has the numbers: what was asked for, what is free, the largest hole', async () => {
    await using pool = await make({ initialBytes: 2 * MiB })
    for (const size of [768, 640]) pool.allocate(size * KiB)
    const refusal = thrownBy(InsufficientMemoryError, () => pool.allocate(512 * KiB, { label: 'big' }))
    expect(refusal).toMatchObject({
      requestedBytes: 512 * KiB,
      availableBytes: 640 * KiB,
      largestFreeBytes: 384 * KiB,
      label: 'big',
    })
    expect(refusal.bindingConstraint).toContain('384.00 KiB')
    pool.allocate(384 * KiB)
  })

  test.each([1, 255, 257, 12_345, 100_003, 777_777, MiB - 1, MiB])('an empty slab serves %d bytes', async (bytes) => {
    await using pool = await make({ initialBytes: MiB })
    expect(pool.allocate(bytes).sizeBytes).toBe(bytes)
  })

  test.each([0, -1, 1.5, Number.NaN, '1000', 2 ** 53, undefined, null, 1000n])(
    '%p bytes are refused',
    async (bytes) => {
      await using pool = await make({ initialBytes: MiB })
      expect(thrownBy(InvalidArgumentError, () => misuse((it) => pool.allocate(it), bytes)).argument).toBe('bytes')
    },
  )

  test.each([
    [{ alignBytes: 3 }, 'alignBytes'],
    [{ alignBytes: 0 }, 'alignBytes'],
    [{ alignBytes: 2 ** 30 }, 'alignBytes'],
    [{ placement: 'short' }, 'placement'],
    [{ label: 1 }, 'label'],
    [{ lable: 'x' }, 'options'],
    ['label', 'options'],
  ])('%j is refused by name', async (options, argument) => {
    await using pool = await make({ initialBytes: MiB })
    const call = (it: never) => pool.allocate(1, it)
    expect(thrownBy(InvalidArgumentError, () => misuse(call, options)).argument).toBe(argument)
    expect(pool.stats()).toMatchObject({ allocatedCount: 0, failedCount: 0 })
  })

  test('a buffer begins at a multiple of what was asked for', async () => {
    await using pool = await make({ device: memoryFile, initialBytes: MiB })
    const alignments = [1, 256, 4096, 512, 2048, 256, 4096, 1024]
    for (const alignBytes of alignments) {
      const offset = await offsetOf(pool.allocate(300, { alignBytes }))
      expect(offset % Math.max(alignBytes, 256)).toBe(0)
    }
  })

  test('long-lived buffers fill a slab from its beginning, transient ones from its end', async () => {
    await using pool = await make({ device: memoryFile, initialBytes: MiB })
    const long = [pool.allocate(1000), pool.allocate(1000)]
    const transient = [pool.allocate(1000, { placement: 'transient' }), pool.allocate(1000, { placement: 'transient' })]
    expect(await Promise.all(long.map(offsetOf))).toEqual([0, 1024])
    expect(await Promise.all(transient.map(offsetOf))).toEqual([MiB - 1024, MiB - 2048])
    expect(pool.stats().fragmentationPercent).toBe(0)
  })

  test('no two buffers share a byte, whatever came and went before', async () => {
    await using pool = await make({ initialBytes: 2 * MiB })
    const live = new Map<PoolBuffer, number>()
    for (let step = 0; step < 300; step++) {
      const size = 1 + ((step * 7919) % 20_000)
      const buffer = pool.allocate(size, { placement: step % 3 === 0 ? 'transient' : 'long' })
      await buffer.fill(step % 251)
      live.set(buffer, step % 251)
      if (live.size <= 60) continue
      const [oldest] = [...live.keys()].slice(step % 7)
      live.delete(oldest as PoolBuffer)
      oldest?.release()
    }
    for (const [buffer, byte] of live) expect((await buffer.read()).every((found) => found === byte)).toBe(true)
    releaseAll(live.keys())
    expect(pool.stats()).toMatchObject({ usedBytes: 0, requestedBytes: 0, bufferCount: 0, freeBytes: 2 * MiB })
    expect(pool.stats().largestFreeBytes).toBe(MiB)
  })

  test.each([true, false])('with zeroOnFree: %p, the next user sees what it says', async (zeroOnFree) => {
    await using pool = await make({ initialBytes: MiB, zeroOnFree })
    const first = pool.allocate(MiB)
    await first.fill(7)
    first.release()
    const seen = await pool.allocate(MiB).read()
    expect(seen.every((byte) => byte === (zeroOnFree ? 0 : 7))).toBe(true)
  })
})

describe('pages', () => {
  test('each buffer is one, and a slab has room for as many as fit', async () => {
    await using pool = await make({ pageBytes: 64 * KiB, initialBytes: MiB })
    const pages = Array.from({ length: 16 }, (_, index) => pool.allocate(index % 2 === 0 ? 64 * KiB : 1))
    thrownBy(InsufficientMemoryError, () => pool.allocate(1))
    await Promise.all(pages.map((page, index) => page.fill(index)))
    for (const [index, page] of pages.entries()) expect(new Set(await page.read())).toEqual(new Set([index]))
    expect(pool.stats()).toMatchObject({ usedBytes: MiB, freeBytes: 0, bufferCount: 16 })
    pages[7]?.release()
    expect(pool.stats()).toMatchObject({ largestFreeBytes: 64 * KiB, freeBytes: 64 * KiB })
    pool.allocate(64 * KiB)
  })

  test('a buffer larger than a page is refused', async () => {
    await using pool = await make({ pageBytes: 64 * KiB, initialBytes: MiB })
    const refusal = thrownBy(InvalidArgumentError, () => pool.allocate(64 * KiB + 1))
    expect(refusal.expected).toContain('65536')
    await rejectedBy(InvalidArgumentError, pool.allocateAsync(64 * KiB + 1))
  })

  test('pages are aligned, as far as their size has it; more is refused', async () => {
    await using pool = await make({ device: memoryFile, pageBytes: 1000, initialBytes: MiB })
    const pages = [pool.allocate(1000), pool.allocate(1024), pool.allocate(1, { alignBytes: 1024 })]
    expect(await Promise.all(pages.map(offsetOf))).toEqual([0, 1024, 2048])
    const refusal = thrownBy(InvalidArgumentError, () => pool.allocate(1, { alignBytes: 2048 }))
    expect([refusal.argument, refusal.expected]).toEqual(['alignBytes', 'a power of two up to 1024'])
  })

  test('a page larger than a slab makes the slab larger', async () => {
    await using pool = await make({ pageBytes: 3 * MiB })
    await pool.allocateAsync(1)
    expect(pool.stats()).toMatchObject({ heldBytes: 3 * MiB, freeBytes: 0 })
  })
})

test('a dedicated pool gives each buffer a slab of its own, which goes with it', async () => {
  await using pool = await MemoryPool.create({ device: 'host', dedicated: true })
  const [one, other] = await Promise.all([pool.allocateAsync(1000), pool.allocateAsync(MiB)])
  expect(pool.stats()).toMatchObject({ slabCount: 2, bufferCount: 2, largestFreeBytes: 0 })
  thrownBy(InsufficientMemoryError, () => pool.allocate(1))
  one.release()
  expect(pool.stats()).toMatchObject({ slabCount: 1, heldBytes: MiB, cachedBytes: 0 })
  other.release()
  expect(pool.stats()).toMatchObject({ slabCount: 0, heldBytes: 0 })
})

describe('close', () => {
  test('releases all, and every use of the pool or of its buffers is an error from then on', async () => {
    const budget = new MemoryBudget({ totalBytes: 10 * MiB })
    const pool = await make({ initialBytes: 2 * MiB, budget })
    const buffer = pool.allocate(1000)
    await pool.close()
    expect([pool.closed, budget.allocatedBytes]).toEqual([true, 0])
    expect(pool.stats()).toMatchObject({ heldBytes: 0, usedBytes: 0, bufferCount: 0, peakHeldBytes: 2 * MiB })
    thrownBy(ReleasedError, () => pool.allocate(1))
    thrownBy(ReleasedError, () => buffer.pin())
    const uses = [
      pool.allocateAsync(1),
      pool.reserve(1),
      pool.defragment(),
      pool.defragment({ dryRun: true }),
      buffer.read(),
      buffer.write(new Uint8Array(1)),
      buffer.fill(0),
      buffer.withMapping(() => {}),
      buffer.exportFd(),
    ]
    for (const use of uses) await rejectedBy(ReleasedError, use)
    expect(await pool.trim()).toBe(0)
    buffer.release()
    await pool.close()
    await pool[Symbol.asyncDispose]()
  })

  test('from the call on, nothing is handed out any more', async () => {
    const pool = await make({ initialBytes: MiB })
    const closed = pool.close()
    thrownBy(ReleasedError, () => pool.allocate(1))
    thrownBy(ReleasedError, () => pool.onReclaim(() => true))
    thrownBy(ReleasedError, () => pool.pushScope())
    thrownBy(ReleasedError, () => pool.startTrace())
    await closed
  })

  test('a second call resolves when the first does, not before', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MiB })
    const pool = await make({ initialBytes: 64 * MiB, budget })
    const first = pool.close()
    await pool.close()
    expect(budget.allocatedBytes).toBe(0)
    await first
  })

  test('in the middle of requests: each is served or refused, and nothing stays taken', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MiB })
    const pool = await make({ budget })
    const requests = Array.from({ length: 10 }, () => pool.allocateAsync(MiB))
    const closed = pool.close()
    for (const outcome of await Promise.allSettled(requests)) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ReleasedError)
    }
    await closed
    expect([budget.allocatedBytes, pool.stats().heldBytes]).toEqual([0, 0])
  })

  test('buffers that are left and collected later leak nothing, and warn of nothing', () => {
    const script = `
      const warnings = []
      process.on('warning', ({ message }) => warnings.push(message))
      const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
      let collected = 0
      const seen = new FinalizationRegistry(() => collected++)
      ;(() => { for (let index = 0; index < 5; index++) seen.register(pool.allocate(1000, { label: 'left' }), 0) })()
      await pool.close()
      return [await collect(() => collected === 5), await turn(), warnings]`
    expect(runChild(script, { flags: ['--expose-gc'] }).value).toEqual([true, null, []])
  })

  test('what only tells, ends or releases is no error from then on', async () => {
    const pool = await make({ initialBytes: MiB })
    const buffer = pool.allocate(1000)
    buffer.pin()
    pool.pushScope()
    pool.startTrace()
    await pool.close()
    const told = [pool.stats(), pool.detailedStats(), pool.snapshot().stats]
    expect(told.map(({ heldBytes }) => heldBytes)).toEqual([0, 0, 0])
    expect([pool.popScope()?.currentCount, pool.stopTrace().droppedCount]).toEqual([0, 0])
    expect(await pool.trim()).toBe(0)
    buffer.unpin()
    buffer.release()
  })
})
