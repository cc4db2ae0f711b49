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
  MiB,
  ReleasedError,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { misuse } from './helpers/misuse'
import { smallSlabs as make, releaseAll } from './helpers/pools'
import { rejectedBy } from './helpers/rejected-by'

const releasedDuring = (buffer: DeviceBuffer, work: Promise<unknown>) => {
  buffer.release()
  return work
}

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

  test('first releases what it caches itself; nobody is asked', async () => {
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

  test('then has the other pools of the manager release what they hold idle', async () => {
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
