import { closeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import {
  AbortError,
  type DeviceBuffer,
  InsufficientMemoryError,
  InvalidArgumentError,
  KiB,
  MemoryBudget,
  MemoryManager,
  MemoryPool,
  type MemoryPoolOptions,
  MiB,
  type PoolBuffer,
  type PoolStats,
  ReleasedError,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'
import { thrownBy } from './helpers/errors'
import { rejectedBy } from './helpers/rejected-by'

const testPopulated = unlessEmulated(test, 'qemu takes the advice to populate pages and does nothing')

/** A pool of RAM with slabs of 1 MiB, none of them cached unless the options say otherwise. */
const make = (options: MemoryPoolOptions = {}) =>
  MemoryPool.create({ device: 'host', slabBytes: MiB, maxCachedBytes: 0, ...options })

/** Where a buffer of a memory file begins in its slab. It is pinned from then on. */
async function offsetOf(buffer: DeviceBuffer): Promise<number> {
  const { fd, offsetBytes } = await buffer.exportFd()
  closeSync(fd)
  return offsetBytes
}

const memoryFile = { kind: 'host', memoryFile: true } as const

const releaseAll = (buffers: Iterable<DeviceBuffer>) => {
  for (const buffer of buffers) buffer.release()
}

const releasedDuring = (buffer: DeviceBuffer, work: Promise<unknown>) => {
  buffer.release()
  return work
}

/** What is asked for and refused, for certain. */
const misuse = (call: (value: never) => unknown, value: unknown) => call(value as never)

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

describe('allocateAsync', () => {
  test('takes slabs as it needs them, and for a giant one of its own size', async () => {
    await using pool = await make()
    await pool.allocateAsync(1000)
    expect(pool.stats()).toMatchObject({ heldBytes: MiB, slabCount: 1 })
    await pool.allocateAsync(1000)
    expect(pool.stats().slabCount).toBe(1)
    const giant = await pool.allocateAsync(5 * MiB + 1)
    expect(pool.stats().slabCount).toBe(2)
    expect(pool.stats().heldBytes - 6 * MiB).toBeLessThan(65_536 + 1)
    giant.release()
    await pool.trim()
    expect(pool.stats()).toMatchObject({ heldBytes: MiB, slabCount: 1 })
  })

  test('takes a new slab where the hole is large enough, but does not begin where it has to', async () => {
    await using pool = await make({ slabBytes: 8192, initialBytes: 8192 })
    pool.allocate(256)
    expect(pool.stats().largestFreeBytes).toBeGreaterThan(7000)
    await pool.allocateAsync(7000, { alignBytes: 4096 })
    expect(pool.stats().heldBytes).toBe(16_384)
  })

  test('first gives back what it caches itself; nobody is asked', async () => {
    await using manager = new MemoryManager({ maxBytes: 4 * MiB, isolated: true })
    const pool = await manager.pools.create({ device: 'host', slabBytes: MiB, maxCachedBytes: 8 * MiB })
    const other = await manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
    releaseAll(await Promise.all([0, 1, 2].map(() => pool.allocateAsync(MiB))))
    expect(pool.stats().cachedBytes).toBe(3 * MiB)
    const asked = jest.fn()
    pool.onReclaim(asked)
    await pool.allocateAsync(3 * MiB)
    expect(asked).not.toHaveBeenCalled()
    expect([pool.stats().heldBytes, other.stats().heldBytes]).toEqual([3 * MiB, MiB])
    expect(pool.stats()).toMatchObject({ retryCount: 1 })
  })

  test('then asks for pressure to be reclaimed, again as long as somebody releases', async () => {
    const budget = new MemoryBudget({ totalBytes: 4 * MiB })
    const held = Array.from({ length: 3 }, () => budget.allocate(MiB, 'cache'))
    await using pool = await make({ budget })
    const missing: number[] = []
    pool.onReclaim((bytes) => {
      missing.push(bytes)
      const guard = held.pop()
      guard?.release()
      return guard !== undefined
    })
    const later = jest.fn()
    pool.onReclaim(later)
    await pool.allocateAsync(3 * MiB)
    expect([missing, held.length]).toEqual([[3 * MiB, 3 * MiB], 1])
    expect(later).not.toHaveBeenCalled()
  })

  test('then has the other pools of the manager give back what they hold idle', async () => {
    await using manager = new MemoryManager({ maxBytes: 4 * MiB, isolated: true })
    const options = { device: 'host', slabBytes: MiB } as const
    const [pool, idle, busy] = await Promise.all([
      manager.pools.create(options),
      manager.pools.create({ ...options, maxCachedBytes: 2 * MiB }),
      manager.pools.create({ ...options, initialBytes: MiB }),
    ])
    releaseAll([await idle.allocateAsync(2 * MiB)])
    busy.allocate(1)
    const asked = jest.fn(() => false)
    pool.onReclaim(asked)
    await pool.allocateAsync(3 * MiB)
    expect(asked).toHaveBeenCalledTimes(1)
    expect([idle, busy].map((other) => other.stats().heldBytes)).toEqual([0, MiB])
  })

  test('what others have asked for beforehand stays theirs, whoever needs memory', async () => {
    await using manager = new MemoryManager({ maxBytes: 8 * MiB, isolated: true })
    const options = { device: 'host', slabBytes: MiB } as const
    const [pool, other] = await Promise.all([
      manager.pools.create(options),
      manager.pools.create({ ...options, initialBytes: 2 * MiB }),
    ])
    await other.reserve(3 * MiB)
    await rejectedBy(InsufficientMemoryError, pool.allocateAsync(5 * MiB))
    expect(other.stats().heldBytes).toBe(5 * MiB)
    expect(other.allocate(3 * MiB).sizeBytes).toBe(3 * MiB)
  })

  test('what can never be had is refused before anything is released and anybody asked', async () => {
    await using pool = await make({ initialBytes: 2 * MiB, maxBytes: 4 * MiB })
    const asked = jest.fn(() => true)
    pool.onReclaim(asked)
    const refusal = await rejectedBy(InsufficientMemoryError, pool.allocateAsync(5 * MiB))
    expect([refusal.requestedBytes, refusal.availableBytes]).toEqual([5 * MiB, 2 * MiB])
    expect([asked.mock.calls, pool.stats().heldBytes]).toEqual([[], 2 * MiB])
  })

  test('then defragments, until there is a hole that is large enough', async () => {
    await using pool = await make({ initialBytes: 2 * MiB, maxBytes: 2 * MiB })
    const buffers = [600, 300, 600, 300].map((size) => pool.allocate(size * KiB))
    for (const buffer of [buffers[0], buffers[2]]) buffer?.release()
    expect(pool.stats().freeBytes).toBeGreaterThan(900 * KiB)
    expect(pool.stats().largestFreeBytes).toBeLessThan(900 * KiB)
    await pool.allocateAsync(900 * KiB)
    expect(pool.stats()).toMatchObject({ movedCount: 1, heldBytes: 2 * MiB })
  })

  test('and then refuses, with the numbers and the label of what was asked for', async () => {
    const budget = new MemoryBudget({ totalBytes: 3 * MiB })
    await using pool = await make({ budget, label: 'the pool' })
    const used = await pool.allocateAsync(768 * KiB)
    const refusal = await rejectedBy(InsufficientMemoryError, pool.allocateAsync(2 * MiB + 1, { label: 'big' }))
    expect(refusal).toMatchObject({ requestedBytes: 2 * MiB + 1, label: 'big', largestFreeBytes: 2 * MiB })
    expect(refusal.message).toContain('the largest hole in the pool is 256.00 KiB')
    using _rest = budget.allocate(2 * MiB, 'rest')
    const second = await rejectedBy(InsufficientMemoryError, pool.allocateAsync(MiB))
    expect(second).toMatchObject({ requestedBytes: MiB, label: 'the pool', largestFreeBytes: 256 * KiB })
    expect(pool.stats()).toMatchObject({ heldBytes: MiB, bufferCount: 1 })
    expect((await used.read()).byteLength).toBe(768 * KiB)
  })

  test('what a reclaim callback throws, the request rejects with; the pool is as it was', async () => {
    await using pool = await make({ maxBytes: 2 * MiB })
    const held = await pool.allocateAsync(MiB)
    const registered = pool.onReclaim(() => {
      throw new RangeError('no')
    })
    await expect(pool.allocateAsync(2 * MiB)).rejects.toThrow(RangeError)
    registered[Symbol.dispose]()
    await rejectedBy(InsufficientMemoryError, pool.allocateAsync(2 * MiB))
    held.release()
    await pool.allocateAsync(2 * MiB)
    thrownBy(InvalidArgumentError, () => misuse((it) => pool.onReclaim(it), 'reclaim'))
  })

  test('a request that was given up takes nothing', async () => {
    const budget = new MemoryBudget({ totalBytes: 2 * MiB })
    await using pool = await make({ budget })
    const reason = new Error('not needed any more')
    const error = await rejectedBy(AbortError, pool.allocateAsync(MiB, { signal: AbortSignal.abort(reason) }))
    expect([error.cause, pool.stats().heldBytes, budget.allocatedBytes]).toEqual([reason, 0, 0])
    const held = await pool.allocateAsync(MiB)
    const controller = new AbortController()
    pool.onReclaim(() => {
      controller.abort()
      return true
    })
    await rejectedBy(AbortError, pool.allocateAsync(2 * MiB, { signal: controller.signal }))
    held.release()
    expect(pool.stats().bufferCount).toBe(0)
    await rejectedBy(InvalidArgumentError, misuse((it) => pool.allocateAsync(1, it), { signal: {} }) as Promise<never>)
  })

  test('a reclaim callback that never answers keeps nobody who gives up, and no pool that is closed', async () => {
    const pool = await make({ maxBytes: MiB })
    await pool.allocateAsync(MiB)
    pool.onReclaim(() => new Promise(() => {}))
    const controller = new AbortController()
    const given = pool.allocateAsync(MiB, { signal: controller.signal })
    const left = pool.allocateAsync(MiB)
    await setTimeout(20)
    controller.abort()
    await rejectedBy(AbortError, given)
    const closed = pool.close()
    await rejectedBy(ReleasedError, left)
    await closed
  })

  test('many at once pass no bound and share no byte', async () => {
    await using pool = await make({ maxBytes: 20 * MiB })
    const outcomes = await Promise.allSettled(Array.from({ length: 30 }, () => pool.allocateAsync(MiB)))
    const buffers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(pool.stats()).toMatchObject({ heldBytes: 20 * MiB, bufferCount: 20, peakHeldBytes: 20 * MiB })
    expect(buffers).toHaveLength(20)
    await Promise.all(buffers.map((buffer, index) => buffer.fill(index)))
    for (const [index, buffer] of buffers.entries()) expect(new Set(await buffer.read())).toEqual(new Set([index]))
  })

  test('many small ones at once share the slab that the first takes', async () => {
    await using pool = await make()
    await Promise.all(Array.from({ length: 20 }, () => pool.allocateAsync(1000)))
    expect(pool.stats()).toMatchObject({ slabCount: 1, bufferCount: 20 })
    await Promise.all([pool.reserve(MiB), pool.reserve(MiB)])
    expect(pool.stats().slabCount).toBe(2)
  })

  test('a buffer can be had as soon as another was released, though its slab is still on its way back', async () => {
    const budget = new MemoryBudget({ totalBytes: 4 * MiB })
    await using pool = await make({ budget, dedicated: true })
    for (let round = 0; round < 50; round++) {
      const buffers = await Promise.all([pool.allocateAsync(2 * MiB), pool.allocateAsync(2 * MiB)])
      releaseAll(buffers)
    }
    expect(pool.stats().bufferCount).toBe(0)
  })

  test('nor is one refused for what another pool of the manager has on its way back', async () => {
    await using manager = new MemoryManager({ maxBytes: 100 * MiB, isolated: true })
    const options = { device: 'host', maxCachedBytes: 0 } as const
    const [one, other] = [await manager.pools.create(options), await manager.pools.create(options)]
    for (let round = 0; round < 5; round++) {
      for (const pool of [one, other]) {
        const buffer = await pool.allocateAsync(90 * MiB)
        await buffer.fill(1)
        buffer.release()
      }
    }
    expect([one, other].map((pool) => pool.stats().bufferCount)).toEqual([0, 0])
  })

  test('nor for what another pool is releasing as it is trimmed or closed', async () => {
    await using manager = new MemoryManager({ maxBytes: 100 * MiB, isolated: true })
    const pool = await manager.pools.create({ device: 'host', maxCachedBytes: 0 })
    for (const end of ['trim', 'close'] as const) {
      const ending = await manager.pools.create({ device: 'host', initialBytes: 90 * MiB })
      const ended = ending[end]()
      const buffer = await pool.allocateAsync(90 * MiB)
      buffer.release()
      await Promise.all([ended, pool.trim()])
    }
    expect(pool.stats().bufferCount).toBe(0)
  })

  test('several who need at once what one pool keeps each have their part of it', async () => {
    await using manager = new MemoryManager({ maxBytes: 100 * MiB, isolated: true })
    const keeping = await manager.pools.create({ device: 'host', maxCachedBytes: 90 * MiB })
    const options = { device: 'host', slabBytes: MiB, maxCachedBytes: 0 } as const
    const asking = await Promise.all([0, 1, 2].map(() => manager.pools.create(options)))
    for (let round = 0; round < 5; round++) {
      const kept = await keeping.allocateAsync(90 * MiB)
      await kept.fill(1)
      kept.release()
      releaseAll(await Promise.all(asking.map((pool) => pool.allocateAsync(30 * MiB))))
    }
    expect(asking.map((pool) => pool.stats().bufferCount)).toEqual([0, 0, 0])
  })
})

describe('reserve', () => {
  test('takes a slab only where no hole would do', async () => {
    await using pool = await make()
    await pool.reserve(MiB)
    await pool.reserve(MiB)
    expect(pool.stats().slabCount).toBe(1)
    pool.allocate(1)
    await pool.reserve(MiB)
    expect(pool.stats().slabCount).toBe(2)
    pool.allocate(MiB)
  })

  test.each([0, -1, 0.5, 'all'])('refuses %p bytes by a rejection', async (bytes) => {
    await using pool = await make()
    await rejectedBy(InvalidArgumentError, misuse((it) => pool.reserve(it), bytes) as Promise<void>)
  })

  test('refuses what passes the maximum of the pool', async () => {
    await using pool = await make({ maxBytes: 3 * MiB })
    const refusal = await rejectedBy(InsufficientMemoryError, pool.reserve(3 * MiB + 1))
    expect(refusal.bindingConstraint).toContain('maxBytes')
    expect(refusal.largestFreeBytes).toBe(3 * MiB)
    await pool.reserve(3 * MiB)
  })
})

describe('trim', () => {
  test('releases empty slabs, those of the beginning last, and tells how much', async () => {
    await using pool = await make({ initialBytes: MiB, maxCachedBytes: 8 * MiB })
    const buffers = await Promise.all([0, 1, 2].map(() => pool.allocateAsync(MiB)))
    expect(await pool.trim()).toBe(0)
    releaseAll(buffers)
    expect(await pool.trim(2 * MiB)).toBe(MiB)
    expect(await pool.trim(MiB)).toBe(MiB)
    expect(pool.detailedStats().slabs.map(({ initial }) => initial)).toEqual([true])
    expect(await pool.trim()).toBe(MiB)
    expect(await pool.trim()).toBe(0)
    expect(pool.stats()).toMatchObject({ heldBytes: 0, slabCount: 0, peakHeldBytes: 3 * MiB })
  })

  test('an unfit size is a rejection', async () => {
    await using pool = await make()
    await rejectedBy(InvalidArgumentError, pool.trim(-1))
  })
})

describe('what is held', () => {
  test('slabs that become empty go back by themselves, beyond what may be cached', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MiB })
    await using pool = await make({ maxCachedBytes: 2 * MiB, budget })
    const buffers = await Promise.all(Array.from({ length: 8 }, () => pool.allocateAsync(MiB)))
    for (const buffer of buffers) {
      buffer.release()
      if (buffer.sizeBytes % 2 === 0) await null
    }
    expect(pool.stats().heldBytes).toBe(2 * MiB)
    // The budget has it back when the device has.
    while (budget.allocatedBytes > 2 * MiB) await setTimeout(1)
  })

  test.each<[string, (buffer: DeviceBuffer) => Promise<unknown>]>([
    ['mapped', (buffer) => buffer.withMapping(() => buffer.release())],
    ['read', (buffer) => releasedDuring(buffer, buffer.read())],
    ['written', (buffer) => releasedDuring(buffer, buffer.write(new Uint8Array(MiB)))],
    ['filled', (buffer) => releasedDuring(buffer, buffer.fill(7))],
    ['copied', (buffer) => releasedDuring(buffer, buffer.copyTo(buffer, { lengthBytes: 1, targetOffsetBytes: 9 }))],
  ])('a slab whose last buffer is released while it is %s goes back as that ends', async (_, use) => {
    const budget = new MemoryBudget({ totalBytes: 10 * MiB })
    await using pool = await make({ budget })
    await use(await pool.allocateAsync(MiB))
    // The work may have ended before the release.
    for (let turns = 0; turns < 500 && budget.allocatedBytes > 0; turns++) await setTimeout(10)
    expect(budget.allocatedBytes).toBe(0)
  })

  test('every slab counts against the budget, under the label of the pool, and is committed', async () => {
    const budget = new MemoryBudget({ totalBytes: 10 * MiB })
    const pool = await make({ budget, label: 'activations', initialBytes: 2 * MiB })
    pool.allocate(1)
    const slab = { label: 'activations', sizeBytes: MiB }
    expect(budget.allocations()).toMatchObject([slab, slab])
    expect(budget.headroom().pendingBytes).toBe(0)
    await pool.close()
    expect(budget.allocatedBytes).toBe(0)
  })

  test('never passes maxBytes, of which a pool below the usual slab has all', async () => {
    await using pool = await MemoryPool.create({ device: 'host', maxBytes: 3 * MiB })
    await pool.allocateAsync(2 * MiB)
    await pool.allocateAsync(MiB)
    await rejectedBy(InsufficientMemoryError, pool.allocateAsync(1))
    expect(pool.stats().heldBytes).toBe(3 * MiB)
  })

  test('a pool that is dropped releases all it held', () => {
    const script = `
      const budget = new MemoryBudget({ totalBytes: 10 * MiB })
      await (async () => {
        const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: 2 * MiB, budget })
        pool.allocate(1000).release()
      })()
      const during = budget.allocatedBytes
      const warnings = []
      process.on('warning', ({ name, label, sizeBytes }) => warnings.push([name, label, sizeBytes]))
      return [during, await collect(() => budget.allocatedBytes === 0), await collect(() => warnings.length > 0), warnings]`
    const warning = ['PlimsollLeakWarning', 'memory pool', 2 * MiB]
    expect(runChild(script, { flags: ['--expose-gc'] }).value).toEqual([2 * MiB, true, true, [warning]])
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

describe('a slab that was taken for somebody', () => {
  test('goes back if what it was taken for found another place meanwhile', async () => {
    await using pool = await make({ slabBytes: 64 * MiB })
    for (let round = 0; round < 5; round++) {
      const held = await pool.allocateAsync(64 * MiB)
      const asked = pool.allocateAsync(MiB)
      held.release()
      const buffer = await asked
      expect(pool.stats().bufferCount).toBe(1)
      buffer.release()
      for (let turns = 0; turns < 500 && pool.stats().heldBytes > 0; turns++) await setTimeout(10)
      expect(pool.stats().heldBytes).toBe(0)
    }
  })

  test('was cached before: from then on it is kept for that', async () => {
    await using manager = new MemoryManager({ maxBytes: 10 * MiB, isolated: true })
    const options = { device: 'host', slabBytes: MiB, maxCachedBytes: 8 * MiB } as const
    const [pool, other] = await Promise.all([manager.pools.create(options), manager.pools.create(options)])
    releaseAll([await pool.allocateAsync(6 * MiB)])
    await pool.reserve(6 * MiB)
    await rejectedBy(InsufficientMemoryError, other.allocateAsync(9 * MiB))
    expect(pool.allocate(6 * MiB).sizeBytes).toBe(6 * MiB)
  })

  test('is there when the buffer comes, whatever is released before', async () => {
    await using pool = await make({ slabBytes: MiB, initialBytes: 0, maxCachedBytes: 0 })
    const other = await pool.allocateAsync(MiB)
    await pool.reserve(4 * MiB)
    other.release()
    await setTimeout(50)
    pool.allocate(4 * MiB).release()
  })

  test('goes back with a request that was aborted meanwhile', async () => {
    const budget = new MemoryBudget({ totalBytes: 64 * MiB })
    await using pool = await make({ dedicated: true, initialBytes: 0, budget })
    const abort = new AbortController()
    const asked = pool.allocateAsync(8 * MiB, { signal: abort.signal })
    abort.abort()
    await expect(asked).rejects.toThrow('aborted')
    for (let i = 0; i < 200 && budget.allocatedBytes > 0; i += 1) await setTimeout(10)
    expect(budget.allocatedBytes).toBe(0)
  })
})
