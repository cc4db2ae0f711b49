import { constants } from 'node:buffer'
import { setImmediate as turn } from 'node:timers/promises'
import {
  GiB,
  InsufficientMemoryError,
  InvalidArgumentError,
  KiB,
  MemoryBudget,
  MiB,
  ReleasedError,
  StagingPool,
  type StagingPoolOptions,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { emulatorBytes } from './helpers/emulation'
import { thrownBy } from './helpers/errors'

/** Lets turns pass until the pool has taken back what was released: memory returns on a later turn. */
async function settled(pool: StagingPool, inUseCount = 0): Promise<void> {
  for (let round = 0; round < 100 && pool.stats().inUseCount !== inUseCount; round++) await turn()
  expect(pool.stats().inUseCount).toBe(inUseCount)
}

/** A pool in which a buffer of that size, filled with sevens, lies idle. */
async function poolWithIdle(bytes: number, options?: StagingPoolOptions): Promise<StagingPool> {
  const pool = new StagingPool(options)
  const buffer = pool.get(bytes)
  buffer.data.fill(7)
  buffer.release()
  await settled(pool)
  return pool
}

describe('get', () => {
  test.each([1, 100, 4095, 4096, 4097, 100_000, 267_000, MiB + 1])(
    'gives exactly %d bytes, all zero at first, all writable',
    (bytes) => {
      using pool = new StagingPool()
      using buffer = pool.get(bytes)
      expect(buffer.data).toHaveLength(bytes)
      expect(buffer.data.byteOffset).toBe(0)
      expect(buffer.data.every((byte) => byte === 0)).toBe(true)
      buffer.data.fill(255)
      expect(buffer.data.every((byte) => byte === 255)).toBe(true)
    },
  )

  test('serves the next request of the class with the buffer that came back', async () => {
    using pool = await poolWithIdle(100 * KiB)
    expect(pool.stats()).toMatchObject({ hits: 0, misses: 1, heldCount: 1, inUseCount: 0, inUseBytes: 0 })
    using again = pool.get(98 * KiB)
    expect(pool.stats()).toMatchObject({ hits: 1, misses: 1, heldCount: 0, heldBytes: 0, inUseCount: 1 })
    expect(again.data).toHaveLength(98 * KiB)
    expect(again.data.every((byte) => byte === 7)).toBe(true)
  })

  test('does not serve another class with it', async () => {
    using pool = await poolWithIdle(100 * KiB)
    using _other = pool.get(200 * KiB)
    expect(pool.stats()).toMatchObject({ hits: 0, misses: 2, heldCount: 1, inUseCount: 1 })
  })

  test('rounds up to a class, which costs less than a fifth above the smallest sizes', () => {
    using pool = new StagingPool()
    for (let bytes = 32 * KiB; bytes < 64 * MiB; bytes = Math.ceil(bytes * 1.37)) {
      const before = pool.stats().inUseBytes
      using _buffer = pool.get(bytes)
      const taken = pool.stats().inUseBytes - before
      expect(taken % 4096).toBe(0)
      expect(taken).toBeGreaterThanOrEqual(bytes)
      expect((taken - bytes) / taken).toBeLessThan(0.2)
    }
  })

  test('a zeroed pool zeroes what it hands out again', async () => {
    using pool = await poolWithIdle(100 * KiB, { zeroed: true })
    using again = pool.get(99 * KiB)
    expect(pool.stats().hits).toBe(1)
    expect(again.data.every((byte) => byte === 0)).toBe(true)
  })

  test('never hands the same memory to two users', async () => {
    using pool = new StagingPool({ maxHeldBytes: MiB })
    for (let round = 0; round < 20; round++) {
      const buffers = Array.from({ length: 8 }, () => pool.get(64 * KiB))
      for (const [index, { data }] of buffers.entries()) data.fill(index)
      expect(buffers.every(({ data }, index) => data.every((byte) => byte === index))).toBe(true)
      for (const buffer of buffers) buffer.release()
      await settled(pool)
    }
    expect(pool.stats()).toMatchObject({ misses: 8, hits: 152 })
  })

  test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '4096', 4096n, null, undefined])(
    'refuses %p bytes',
    (bytes) => {
      using pool = new StagingPool()
      expect(thrownBy(InvalidArgumentError, () => pool.get(bytes as number)).argument).toBe('bytes')
      expect(pool.stats()).toMatchObject({ misses: 0, inUseCount: 0, peakBytes: 0 })
    },
  )

  test.each([constants.MAX_LENGTH + 1, 64 * 1024 * GiB, Number.MAX_SAFE_INTEGER])(
    'refuses %d bytes, more than one array can hold, and keeps nothing',
    async (bytes) => {
      const budget = new MemoryBudget({ totalBytes: Number.MAX_SAFE_INTEGER })
      using pool = new StagingPool({ budget, maxHeldBytes: Number.MAX_SAFE_INTEGER })
      let error: unknown
      try {
        pool.get(bytes)
      } catch (thrown) {
        error = thrown
      }
      expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_(INSUFFICIENT_MEMORY|INVALID_ARGUMENT)$/) })
      expect(error).toBeInstanceOf(Error)
      await settled(pool)
      pool.trim()
      expect(budget.allocatedBytes).toBe(0)
    },
  )
})

describe('the cap', () => {
  test('bounds what is held idle; what would pass it goes back to the system', async () => {
    using pool = new StagingPool({ maxHeldBytes: 256 * KiB })
    const buffers = Array.from({ length: 5 }, () => pool.get(64 * KiB))
    expect(pool.stats()).toMatchObject({ inUseCount: 5, inUseBytes: 320 * KiB })
    for (const buffer of buffers) buffer.release()
    await settled(pool)
    expect(pool.stats()).toMatchObject({ heldCount: 4, heldBytes: 256 * KiB, inUseBytes: 0, peakBytes: 320 * KiB })
  })

  test('of zero keeps nothing', async () => {
    using pool = await poolWithIdle(64 * KiB, { maxHeldBytes: 0 })
    expect(pool.stats()).toMatchObject({ heldCount: 0, heldBytes: 0, peakBytes: 64 * KiB })
  })

  test('is 16 MiB by default', async () => {
    using pool = new StagingPool()
    const buffers = Array.from({ length: 20 }, () => pool.get(MiB))
    for (const buffer of buffers) buffer.release()
    await settled(pool)
    expect(pool.stats().heldBytes).toBe(16 * MiB)
  })
})

describe('trim', () => {
  test('releases idle buffers until at most that many bytes are held, and says how many went', async () => {
    using pool = new StagingPool()
    for (const buffer of [64, 64, 128, 256].map((size) => pool.get(size * KiB))) buffer.release()
    await settled(pool)
    expect(pool.trim(512 * KiB)).toBe(0)
    expect(pool.trim(200 * KiB)).toBeGreaterThanOrEqual(312 * KiB)
    expect(pool.stats().heldBytes).toBeLessThanOrEqual(200 * KiB)
    expect(pool.trim()).toBe(512 * KiB - 384 * KiB)
    expect([pool.trim(), pool.stats().heldCount]).toEqual([0, 0])
  })

  test('leaves buffers in use alone', () => {
    using pool = new StagingPool()
    using buffer = pool.get(64 * KiB)
    expect(pool.trim()).toBe(0)
    expect(buffer.data.fill(1)).toHaveLength(64 * KiB)
  })

  test.each([-1, 0.5, Number.NaN, '0', null])('refuses %p', (keepBytes) => {
    using pool = new StagingPool()
    expect(thrownBy(InvalidArgumentError, () => pool.trim(keepBytes as number)).argument).toBe('keepBytes')
  })
})

describe('a budget', () => {
  test('counts every buffer, in use or idle, until it is back with the system', async () => {
    const budget = new MemoryBudget({ totalBytes: MiB })
    using pool = new StagingPool({ budget })
    const buffer = pool.get(100 * KiB)
    const { inUseBytes } = pool.stats()
    expect(budget.allocatedBytes).toBe(inUseBytes)
    expect(budget.allocations()).toMatchObject([{ label: 'staging pool', sizeBytes: inUseBytes }])
    buffer.release()
    await settled(pool)
    expect(budget.allocatedBytes).toBe(inUseBytes)
    expect(pool.trim()).toBe(inUseBytes)
    expect(budget.allocatedBytes).toBe(0)
  })

  test('refuses what it has not got, and the pool is as it was', () => {
    const budget = new MemoryBudget({ totalBytes: MiB })
    using pool = new StagingPool({ budget })
    using _held = budget.allocate(900 * KiB, 'model')
    const error = thrownBy(InsufficientMemoryError, () => pool.get(512 * KiB))
    expect(error).toMatchObject({ label: 'staging pool', requestedBytes: 512 * KiB, availableBytes: 124 * KiB })
    expect(error.suggestion).toContain('"model"')
    expect(pool.stats()).toMatchObject({ misses: 0, inUseCount: 0, peakBytes: 0 })
    expect(budget.allocatedBytes).toBe(900 * KiB)
  })

  test('is not refused for the sake of idle buffers: they go first', async () => {
    const budget = new MemoryBudget({ totalBytes: MiB })
    using pool = await poolWithIdle(768 * KiB, { budget })
    using large = pool.get(MiB)
    expect(large.data).toHaveLength(MiB)
    expect(pool.stats()).toMatchObject({ heldCount: 0, inUseBytes: MiB })
    expect(budget.allocatedBytes).toBe(MiB)
  })

  test('gets kept buffers back when they are collected, and a dropped pool releases what it held', () => {
    const script = `
      const budget = new MemoryBudget({ totalBytes: 16 * MiB })
      let pool = new StagingPool({ budget })
      let kept = pool.get(MiB).keep()
      pool.get(2 * MiB).release()
      await collect(() => pool.stats().inUseCount === 0)
      const during = [budget.allocatedBytes / MiB, pool.stats().inUseBytes, pool.stats().heldBytes / MiB]
      kept = undefined
      const keptIsBack = await collect(() => budget.allocatedBytes === 2 * MiB)
      pool = undefined
      return { during, keptIsBack, poolIsBack: await collect(() => budget.allocatedBytes === 0) }`
    const { value } = runChild(script, { flags: ['--expose-gc'] })
    expect(value).toEqual({ during: [3, 0, 2], keptIsBack: true, poolIsBack: true })
  })
})

describe('a buffer', () => {
  test('has no length after release, nor has any view of it; a second release does nothing', async () => {
    using pool = new StagingPool()
    const buffer = pool.get(64 * KiB)
    const views = [
      buffer.data,
      buffer.data.subarray(10, 20),
      new Float32Array(buffer.data.buffer),
      Buffer.from(buffer.data.buffer),
    ]
    buffer.release()
    buffer.release()
    buffer[Symbol.dispose]()
    expect(views.map((view) => view.length)).toEqual([0, 0, 0, 0])
    await settled(pool)
    expect(pool.stats()).toMatchObject({ heldCount: 1, heldBytes: 64 * KiB })
  })

  test('released twice does not release the one that took its memory', async () => {
    using pool = await poolWithIdle(64 * KiB)
    const old = pool.get(64 * KiB)
    old.release()
    await settled(pool)
    using heir = pool.get(64 * KiB)
    old.release()
    expect(() => old.keep()).toThrow(ReleasedError)
    await turn()
    expect(heir.data).toHaveLength(64 * KiB)
    expect(pool.stats()).toMatchObject({ inUseCount: 1, heldCount: 0 })
  })

  test('of a `using` block goes back when it is left by an error', async () => {
    using pool = new StagingPool()
    expect(() => {
      using _buffer = pool.get(64 * KiB)
      throw new Error('out of the block')
    }).toThrow('out of the block')
    await settled(pool)
    expect(pool.stats().heldCount).toBe(1)
  })

  test('that is kept survives release, its pool and the pool closing, unchanged', async () => {
    using pool = new StagingPool()
    const buffer = pool.get(64 * KiB)
    const kept = buffer.keep()
    expect(buffer.keep()).toBe(kept)
    kept.fill(9)
    buffer.release()
    pool.close()
    await turn()
    expect(kept.every((byte) => byte === 9)).toBe(true)
    expect(pool.stats()).toMatchObject({ inUseCount: 0, inUseBytes: 0, heldCount: 0 })
  })

  test('that was released cannot be kept', () => {
    using pool = new StagingPool()
    const buffer = pool.get(64 * KiB)
    buffer.release()
    expect(() => buffer.keep()).toThrow(ReleasedError)
  })

  test('that is never released comes back when it is collected, and no sooner than its last view', () => {
    const script = `
      const pool = new StagingPool()
      let view = pool.get(64 * KiB).data.subarray(100, 200).fill(3)
      for (let count = 0; count < 9; count++) pool.get(64 * KiB)
      await collect(() => pool.stats().inUseCount === 0)
      const during = [pool.stats().inUseCount, view.every((byte) => byte === 3)]
      view = undefined
      await collect(() => pool.stats().inUseCount === 0)
      return { during, ...pool.stats() }`
    const { value, stderr } = runChild(script, { flags: ['--expose-gc'] })
    expect(value).toMatchObject({ during: [1, true], inUseCount: 0, heldCount: 10, heldBytes: 640 * KiB, misses: 10 })
    expect(stderr).toBe('')
  })

  const { transfer } = ArrayBuffer.prototype as { transfer?: (this: ArrayBuffer) => ArrayBuffer }
  test.each([
    ['structuredClone', (memory: ArrayBuffer) => structuredClone(memory, { transfer: [memory] })],
    ['ArrayBuffer.transfer, where there is one,', (memory: ArrayBuffer) => transfer?.call(memory) ?? memory.slice(0)],
  ])('whose memory is taken away by %s is not handed out again while it is seen there', async (_, take) => {
    using pool = new StagingPool()
    const buffer = pool.get(64 * KiB)
    buffer.data.fill(5)
    let taken = new ArrayBuffer(0)
    try {
      taken = take(buffer.data.buffer as ArrayBuffer)
    } catch (error) {
      // Node.js 22 refuses to clone it, which is as safe.
      expect(error).toMatchObject({ name: 'DataCloneError' })
    }
    buffer.release()
    for (let round = 0; round < 10; round++) await turn()
    using heir = pool.get(64 * KiB)
    heir.data.fill(6)
    expect(new Uint8Array(taken).every((byte) => byte === 5)).toBe(true)
    expect(heir.data.every((byte) => byte === 6)).toBe(true)
  })

  test('releases its memory to the system: ten thousand get-and-release rounds stay within the cap', () => {
    const script = `
      const pool = new StagingPool({ maxHeldBytes: 8 * MiB })
      const rounds = async (count) => {
        for (let round = 0; round < count; round++) {
          const buffer = pool.get((1 + (round % 7)) * 256 * KiB)
          buffer.data[0] = buffer.data[buffer.data.length - 1] = 1
          buffer.release()
          await turn()
        }
        return rssBytes()
      }
      const before = await rounds(1000)
      return { grown: (await rounds(9000)) - before, ...pool.stats() }`
    const { value } = runChild<Record<string, number>>(script)
    expect(value).toMatchObject({ inUseCount: 0 })
    expect(value.misses).toBeLessThanOrEqual(20)
    expect(value.grown).toBeLessThan(16 * MiB + emulatorBytes)
  })
})

describe('close', () => {
  test('releases idle memory and hands out no more; buffers in use live on until released', async () => {
    const budget = new MemoryBudget({ totalBytes: MiB })
    const pool = await poolWithIdle(64 * KiB, { budget })
    const buffer = pool.get(128 * KiB)
    pool.close()
    pool.close()
    pool[Symbol.dispose]()
    expect(pool.stats()).toMatchObject({ heldCount: 0, heldBytes: 0, inUseCount: 1 })
    expect(thrownBy(ReleasedError, () => pool.get(1))).toMatchObject({ code: 'ERR_RELEASED', what: 'the staging pool' })
    expect(buffer.data.fill(1)).toHaveLength(128 * KiB)
    buffer.release()
    await settled(pool)
    expect([pool.stats().heldBytes, budget.allocatedBytes]).toEqual([0, 0])
  })
})

test('a buffer that is new is not touched before its user touches it, zeroed or not', () => {
  const script = `
    const grown = [false, true].map((zeroed) => {
      const before = rssBytes()
      globalThis['kept' + zeroed] = new StagingPool({ zeroed }).get(128 * MiB)
      return rssBytes() - before
    })
    return Math.max(...grown)`
  expect(runChild<number>(script).value).toBeLessThan(32 * MiB)
})
