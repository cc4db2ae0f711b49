import { GgufFile, InsufficientMemoryError, MemoryBudget, MemoryManager, MiB, StagingPool } from 'plimsoll'
import {
  bytesRead,
  joined,
  pause,
  sampleBytes,
  samplePath,
  scratch,
  settled,
  stored,
  writeLargeModel,
} from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const file = scratch()
const path = writeLargeModel(file('64-mib.gguf'), 64)
const model = GgufFile.open(path)
afterAll(() => model.close())

describe('a slow consumer', () => {
  test.each(['raw', 'f32'] as const)('holds the reader back to a few units of %s', async (as) => {
    const pool = new StagingPool()
    const before = bytesRead()
    let most = 0
    let count = 0
    for await (const _ of model.stream({ as, staging: pool })) {
      await pause(count < 4 ? 100 : 0)
      if (count++ === 4) break
      most = Math.max(most, pool.stats().inUseBytes)
    }
    expect(bytesRead() - before).toBeLessThan(16 * MiB)
    expect(most).toBeLessThanOrEqual(6 * MiB)
    await settled(pool)
  })

  test('never makes the pool grow beyond a few units over a whole file', async () => {
    const pool = new StagingPool()
    let count = 0
    for await (const _ of model.stream({ as: 'f32', staging: pool })) if (count++ % 50 === 0) await pause(5)
    await settled(pool)
    expect(pool.stats().peakBytes).toBeLessThanOrEqual(6 * MiB)
    expect(pool.stats().misses).toBeLessThanOrEqual(4)
  })

  test('that holds a stream open for good keeps a bounded number of bytes', async () => {
    const pool = new StagingPool()
    const streams = Array.from({ length: 4 }, () => model.stream({ staging: pool }))
    for (const stream of streams) await stream.next()
    await pause(100)
    expect(pool.stats().inUseBytes).toBeLessThanOrEqual(4 * 5 * MiB)
    for (const stream of streams) await stream.return()
    await settled(pool)
  })
})

describe('the buffers', () => {
  test.each([1024, 65_536, 3 * MiB])('all return when the stream ends, with chunks of %d bytes', async (chunkBytes) => {
    const pool = new StagingPool({ maxHeldBytes: 64 * MiB })
    using sample = GgufFile.open(samplePath)
    for (const as of ['raw', 'f32', 'f16', 'bf16'] as const) {
      for await (const _ of sample.stream({ as, staging: pool, chunkBytes: Math.max(chunkBytes, 1024) }));
      await settled(pool)
    }
  })

  test.each([1024, 65_536, MiB])('all return when the loop is left, with chunks of %d bytes', async (chunkBytes) => {
    const pool = new StagingPool()
    for (const leaveAt of [1, 2, 7]) {
      let count = 0
      for await (const _ of model.stream({ staging: pool, chunkBytes })) if (++count === leaveAt) break
      await settled(pool)
    }
  })

  test('all return when the consumer keeps chunks: what is kept is no longer the pool’s', async () => {
    const pool = new StagingPool()
    const kept: Uint8Array[] = []
    for await (const chunk of model.stream({ staging: pool, reuse: true })) if (kept.length < 5) kept.push(chunk.keep())
    await settled(pool)
    expect(kept.every(({ length }) => length > 0)).toBe(true)
  })

  test('are shared by streams that follow each other', async () => {
    const pool = new StagingPool()
    for (let round = 0; round < 5; round++) for await (const _ of model.stream({ staging: pool }));
    await settled(pool)
    expect(pool.stats().misses).toBeLessThanOrEqual(8)
  })
})

describe('a budget', () => {
  test('counts the buffers of files that its manager opened, and gets every byte back', async () => {
    await using manager = new MemoryManager({ isolated: true })
    using managed = manager.open(path)
    expect(manager.budget.allocatedBytes).toBe(0)
    let most = 0
    for await (const _ of managed.stream({ as: 'f32' })) {
      const { inUseBytes, heldBytes } = manager.staging.stats()
      expect(manager.budget.allocatedBytes).toBeGreaterThan(0)
      most = Math.max(most, inUseBytes + heldBytes)
    }
    expect(most).toBeLessThanOrEqual(8 * MiB)
    await settled(manager.staging)
    expect(manager.budget.allocatedBytes).toBe(manager.staging.stats().heldBytes)
    await manager.close()
    expect(manager.budget.allocatedBytes).toBe(0)
  })

  test('without room ends the stream with a typed error and takes nothing', async () => {
    const budget = new MemoryBudget({ totalBytes: 100_000 })
    const pool = new StagingPool({ budget })
    for (const as of ['raw', 'f32'] as const) {
      const error = await rejectedBy(InsufficientMemoryError, joined(model.stream({ as, staging: pool })))
      expect(error.availableBytes).toBeLessThanOrEqual(100_000)
      expect(error.requestedBytes).toBeGreaterThan(100_000)
    }
    await settled(pool)
    pool.trim()
    expect(budget.allocatedBytes).toBe(0)
  })

  test.each([
    ['raw', 1.25],
    ['raw', 2.5],
    ['f32', 2.5],
    ['f32', 3.75],
  ] as const)('with room for little ends a stream of %s right or with a typed error: %d MiB', async (as, mib) => {
    const budget = new MemoryBudget({ totalBytes: mib * MiB })
    const pool = new StagingPool({ budget })
    using sample = GgufFile.open(samplePath)
    const outcome = await joined(sample.stream({ as, staging: pool })).catch((error: unknown) => error)
    if (outcome instanceof Map) {
      const bytes = sampleBytes()
      if (as === 'raw')
        for (const info of sample.tensors) expect(stored(bytes, info).equals(outcome.get(info.name))).toBe(true)
    } else {
      expect(outcome).toBeInstanceOf(InsufficientMemoryError)
    }
    expect(budget.peakBytes).toBeLessThanOrEqual(mib * MiB)
    await settled(pool)
  })

  test('is never passed by many loads at once', async () => {
    const budget = new MemoryBudget({ totalBytes: 8 * MiB })
    const pool = new StagingPool({ budget })
    const streams = Array.from({ length: 10 }, () =>
      joined(model.stream({ staging: pool })).catch((error: unknown) => error),
    )
    for (const outcome of await Promise.all(streams)) {
      if (!(outcome instanceof Map)) expect(outcome).toBeInstanceOf(InsufficientMemoryError)
    }
    expect(budget.peakBytes).toBeLessThanOrEqual(8 * MiB)
    await settled(pool)
  })
})
