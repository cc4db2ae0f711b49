import { closeSync } from 'node:fs'
import {
  type DefragmentOptions,
  InvalidArgumentError,
  KiB,
  MemoryBudget,
  MemoryPool,
  type MemoryPoolOptions,
  MiB,
  type MovableBuffer,
  type PoolBuffer,
  ReleasedError,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { withFakeCuda } from './helpers/fake-cuda'
import { rejectedBy } from './helpers/rejected-by'

const make = (options: MemoryPoolOptions = {}) =>
  MemoryPool.create({ device: 'host', slabBytes: MiB, maxCachedBytes: 0, ...options })

/** A pool of four slabs with one buffer of 200 KiB in each, which one slab would hold. */
async function scattered(options?: MemoryPoolOptions): Promise<{ pool: MemoryPool; buffers: PoolBuffer[] }> {
  const pool = await make({ initialBytes: 4 * MiB, ...options })
  const all = Array.from({ length: 20 }, (_, index) => pool.allocate(200 * KiB, { label: `buffer ${index}` }))
  const buffers = all.filter((_, index) => index % 5 === 2)
  for (const buffer of all) if (!buffers.includes(buffer)) buffer.release()
  await Promise.all(buffers.map((buffer, index) => buffer.fill(index + 1)))
  expect(pool.stats()).toMatchObject({ bufferCount: 4, cachedBytes: 0, slabCount: 4 })
  return { pool, buffers }
}

const intact = async (buffers: PoolBuffer[]) => {
  const all = await Promise.all(buffers.map((buffer) => buffer.read()))
  return all.every((bytes, index) => bytes.every((byte) => byte === index + 1))
}

describe('defragment', () => {
  test('moves buffers together, so that whole slabs become empty; what is in them survives', async () => {
    const { pool, buffers } = await scattered()
    const report = await pool.defragment()
    expect(report).toMatchObject({ vetoedCount: 0, emptiedBytes: 3 * MiB, complete: true })
    expect(report.movedCount).toBeGreaterThanOrEqual(3)
    expect(report.movedBytes).toBe(report.movedCount * 200 * KiB)
    expect(report.largestFreeBytesAfter).toBeGreaterThanOrEqual(report.largestFreeBytesBefore)
    expect(pool.stats()).toMatchObject({ movedCount: report.movedCount, movedBytes: report.movedBytes, bufferCount: 4 })
    expect(await intact(buffers)).toBe(true)
    expect(await pool.defragment()).toMatchObject({ movedCount: 0, emptiedBytes: 0, complete: true })
    await pool.close()
  })

  test('slabs that it empties go back, to the device and to the budget', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MiB })
    await using pool = await make({ budget })
    const all = await Promise.all(Array.from({ length: 20 }, () => pool.allocateAsync(200 * KiB)))
    for (const [index, buffer] of all.entries()) if (index % 5 !== 2) buffer.release()
    const before = pool.stats().heldBytes
    const { emptiedBytes } = await pool.defragment()
    expect(emptiedBytes).toBeGreaterThanOrEqual(2 * MiB)
    expect(pool.stats().heldBytes).toBe(before - emptiedBytes)
    while (budget.allocatedBytes > before - emptiedBytes) await new Promise((resolve) => setTimeout(resolve, 1))
  })

  /** Buffers of many sizes come and go; whatever is left is hashed, moved together, and hashed again. */
  const churn = `
    const pool = await MemoryPool.create({ device, slabBytes: MiB, maxCachedBytes: 0 })
    const live = new Map()
    let state = 12345
    const draw = (below) => { state ^= state << 13; state ^= state >>> 17; state ^= state << 5; return (state >>> 0) % below }
    for (let step = 0; step < 200; step++) {
      const buffer = await pool.allocateAsync(1 + draw(120 * KiB), {
        placement: draw(3) === 0 ? 'transient' : 'long', alignBytes: 256 << draw(5), label: String(step) })
      const bytes = new Uint8Array(buffer.sizeBytes).map((_, at) => (at * 31 + step) % 251)
      await buffer.write(bytes)
      live.set(buffer, sha(bytes))
    }
    for (const victim of [...live.keys()].filter(() => draw(3) > 0)) {
      victim.release()
      live.delete(victim)
    }
    const before = pool.stats()
    const report = await pool.defragment()
    const after = pool.stats()
    let wrong = 0
    for (const [buffer, hash] of live) if (sha(await buffer.read()) !== hash) wrong++
    for (const buffer of live.keys()) buffer.release()
    await pool.trim()
    return { wrong, moved: report.movedCount > 10, emptied: report.emptiedBytes > 0, left: pool.stats().heldBytes,
      less: before.heldBytes - after.heldBytes === report.emptiedBytes, used: before.usedBytes === after.usedBytes }`

  test.each([
    ['host', "'host'"],
    ['host in memory files', "{ kind: 'host', memoryFile: true }"],
    ['CUDA', "{ kind: 'cuda' }"],
    ['CUDA, pinned', "{ kind: 'cuda', memory: 'pinned' }"],
    ['CUDA, managed', "{ kind: 'cuda', memory: 'managed' }"],
  ])('every byte survives it on %s', (_, device) => {
    const { value } = runChild(`const device = ${device}\n${churn}`, { env: withFakeCuda() })
    expect(value).toEqual({ wrong: 0, moved: true, emptied: true, left: 0, less: true, used: true })
  })

  test.each([
    [{ maxMove: 1 }, 'options'],
    [{ maxMoves: -1 }, 'maxMoves'],
    [{ maxBytes: 0.5 }, 'maxBytes'],
    [{ maxMs: Number.NaN }, 'maxMs'],
    [{ dryRun: 1 }, 'dryRun'],
    [{ veto: true }, 'veto'],
    [{ onMoved: 'no' }, 'onMoved'],
    [{ signal: {} }, 'signal'],
  ])('%j is refused by a rejection', async (options, argument) => {
    await using pool = await make()
    const refusal = await rejectedBy(InvalidArgumentError, pool.defragment(options as never))
    expect(refusal.argument).toBe(argument)
  })
})

describe('a veto', () => {
  test('is asked before each move, by number, label and size, and keeps what it says where it is', async () => {
    const { pool, buffers } = await scattered()
    const asked: MovableBuffer[] = []
    const report = await pool.defragment({ veto: (buffer) => asked.push(buffer) > 0 })
    expect(report).toMatchObject({ movedCount: 0, vetoedCount: asked.length, emptiedBytes: 0, complete: true })
    const movable = buffers.map(({ label, sizeBytes, id }) => ({ label, sizeBytes, id }))
    expect(movable).toEqual(expect.arrayContaining(asked))
    expect(new Set(asked.map(({ id }) => id)).size).toBe(asked.length)
    expect(pool.stats()).toMatchObject({ slabCount: 4, movedCount: 0 })
    expect((await pool.defragment({ veto: () => false })).emptiedBytes).toBe(3 * MiB)
    await pool.close()
  })

  test('that throws ends the pass with its error, and leaves the pool as it was', async () => {
    const { pool, buffers } = await scattered()
    const veto = () => {
      throw new RangeError('mine')
    }
    await expect(pool.defragment({ veto })).rejects.toThrow(new RangeError('mine'))
    expect(await intact(buffers)).toBe(true)
    expect(pool.stats()).toMatchObject({ usedBytes: 4 * 200 * KiB, movedCount: 0 })
    expect((await pool.defragment()).emptiedBytes).toBe(3 * MiB)
    await pool.close()
  })

  test('is never asked about a buffer that took the place of the one meant', async () => {
    for (let round = 0; round < 20; round++) {
      const { pool, buffers } = await scattered()
      const asked: MovableBuffer[] = []
      const pass = pool.defragment({ maxMoves: 1, veto: (buffer) => asked.push(buffer) > 0 })
      for (let turn = 0; turn < round; turn++) await Promise.resolve()
      // By then the first move may be planned, but nobody was asked yet.
      for (const until = performance.now() + 2; performance.now() < until; );
      for (const buffer of buffers) buffer.release()
      const others = buffers.map(() => pool.allocate(100, { label: 'other' }))
      await pass
      const mine = others.map(({ id, label, sizeBytes }) => ({ id, label, sizeBytes }))
      for (const buffer of asked) expect(mine).toContainEqual(buffer)
      expect(others.some(({ id }) => buffers.some((buffer) => buffer.id === id))).toBe(false)
      await pool.close()
    }
  })

  test('may do with the buffer what it likes: pin, release, read or map it', () => {
    const script = `
      const seen = {}
      const uses = {
        pin: (buffer) => buffer.pin(),
        release: (buffer) => buffer.release(),
        read: (buffer) => Promise.all(Array.from({ length: 8 }, () => buffer.read())),
        map: (buffer) => Promise.all(Array.from({ length: 8 }, () => buffer.withMapping((view) => view.length))),
      }
      for (const [name, use] of Object.entries(uses)) {
        const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: 2 * MiB })
        const buffers = Array.from({ length: 4 }, () => pool.allocate(400 * KiB))
        buffers[0].release()
        buffers[2].release()
        const begun = []
        await pool.defragment({ veto: ({ id }) => {
          begun.push(use(buffers.find((buffer) => !buffer.released && buffer.id === id)))
          return false
        } })
        await Promise.all(begun)
        seen[name] = begun.length > 0
        await pool.close()
      }
      return seen`
    expect(runChild(script).value).toEqual({ pin: true, release: true, read: true, map: true })
  })
})

describe('onMoved', () => {
  test('is told of each move that was made', async () => {
    const { pool, buffers } = await scattered()
    const moved: MovableBuffer[] = []
    const report = await pool.defragment({ onMoved: (buffer) => moved.push(buffer) })
    expect(moved).toHaveLength(report.movedCount)
    const ids = buffers.map(({ id }) => id)
    for (const { id, sizeBytes } of moved) expect([ids.includes(id), sizeBytes]).toEqual([true, 200 * KiB])
    await pool.close()
  })

  test('that throws ends the pass; what is empty by then still goes back', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MiB })
    const pool = await make({ budget })
    const all = await Promise.all(Array.from({ length: 10 }, () => pool.allocateAsync(200 * KiB)))
    for (const [index, buffer] of all.entries()) if (index % 5 !== 2) buffer.release()
    expect(budget.allocatedBytes).toBe(2 * MiB)
    const onMoved = () => {
      throw new RangeError('mine')
    }
    await expect(pool.defragment({ onMoved })).rejects.toThrow(new RangeError('mine'))
    expect(pool.stats()).toMatchObject({ movedCount: 1, slabCount: 1 })
    while (budget.allocatedBytes > MiB) await new Promise((resolve) => setTimeout(resolve, 1))
    await pool.close()
  })
})

describe('bounds', () => {
  test('maxMoves and maxBytes end a pass, and the next goes on', async () => {
    const { pool, buffers } = await scattered()
    expect(await pool.defragment({ maxMoves: 0 })).toMatchObject({ movedCount: 0, complete: false })
    expect(await pool.defragment({ maxBytes: 0 })).toMatchObject({ movedCount: 0, complete: false })
    expect(await pool.defragment({ maxMs: 0 })).toMatchObject({ movedCount: 0, complete: false })
    expect(await pool.defragment({ maxMoves: 1 })).toMatchObject({ movedCount: 1, complete: false, emptiedBytes: MiB })
    expect(await pool.defragment({ maxBytes: 1 })).toMatchObject({ movedCount: 1, complete: false, emptiedBytes: MiB })
    expect(await pool.defragment({ maxMs: 3_600_000 })).toMatchObject({ complete: true, emptiedBytes: MiB })
    expect(await intact(buffers)).toBe(true)
    await pool.close()
  })

  /** Forty slabs with buffers of some sizes, of which two of three have gone. */
  async function thinned(): Promise<{ pool: MemoryPool; buffers: PoolBuffer[] }> {
    const pool = await make({ slabBytes: 64 * KiB, initialBytes: 40 * 64 * KiB })
    const all = Array.from({ length: 1200 }, (_, index) =>
      pool.allocate(((index % 3) + 1) * KiB, { label: `${index}` }),
    )
    for (const [index, buffer] of all.entries()) if (index % 4 !== 1 && index % 7 !== 2) buffer.release()
    // Those that nobody holds may be collected in the middle of it.
    return { pool, buffers: all.filter(({ released }) => !released) }
  }

  test.each<DefragmentOptions>([{ maxMoves: 1 }, { maxBytes: 5000 }, { maxMs: 0.001 }, { maxMs: 2 }])(
    'with %j again and again until it is complete, everything lies as after one without bounds',
    async (bounds) => {
      const [{ pool, buffers }, { pool: other, buffers: others }] = await Promise.all([thinned(), thinned()])
      const whole = await other.defragment()
      let [movedCount, emptiedBytes, calls, complete] = [0, 0, 0, false]
      while (!complete && calls < 10_000) {
        const report = await pool.defragment(bounds)
        movedCount += report.movedCount
        emptiedBytes += report.emptiedBytes
        complete = report.complete
        calls += 1
      }
      expect([movedCount, emptiedBytes, complete]).toEqual([whole.movedCount, whole.emptiedBytes, true])
      expect(whole.movedCount).toBeGreaterThan(100)
      expect(pool.detailedStats().slabs).toEqual(other.detailedStats().slabs)
      for (const buffer of [...buffers, ...others]) buffer.release()
      await Promise.all([pool.close(), other.close()])
    },
  )

  test('a call asks again about what another veto kept, and with the same veto goes on', async () => {
    const { pool, buffers } = await scattered()
    const asked: number[] = []
    const kept = ({ id }: MovableBuffer) => asked.push(id) === 1
    expect(await pool.defragment({ maxMoves: 1, veto: kept })).toMatchObject({ movedCount: 1, vetoedCount: 1 })
    expect(await pool.defragment({ maxMoves: 100, veto: kept })).toMatchObject({ complete: true, vetoedCount: 0 })
    expect(new Set(asked).size).toBe(asked.length)

    const again = await scattered()
    let first: number | undefined
    const veto = ({ id }: MovableBuffer) => {
      first ??= id
      return first === id
    }
    expect(await again.pool.defragment({ maxMoves: 1, veto })).toMatchObject({ movedCount: 1, vetoedCount: 1 })
    const moved: number[] = []
    await again.pool.defragment({ maxMoves: 100, onMoved: ({ id }) => moved.push(id) })
    expect(moved).toContain(first)
    expect(await intact(buffers)).toBe(true)
    await Promise.all([pool.close(), again.pool.close()])
  })

  test('a call without bounds begins anew, also where one with bounds has stopped', async () => {
    const { pool } = await scattered()
    await pool.defragment({ maxMoves: 1 })
    expect(await pool.defragment()).toMatchObject({ complete: true, emptiedBytes: 2 * MiB })
    expect(await pool.defragment({ maxMoves: 1 })).toMatchObject({ complete: true, movedCount: 0 })
    await pool.close()
  })

  test('what one with bounds leaves to go on with does not keep the process running', () => {
    const script = `
      const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: 4 * MiB })
      const all = Array.from({ length: 20 }, () => pool.allocate(200 * KiB))
      for (const [index, buffer] of all.entries()) if (index % 5 !== 2) buffer.release()
      const { complete } = await pool.defragment({ maxMoves: 1 })
      return [complete, process.getActiveResourcesInfo().includes('Timeout')]`
    expect(runChild(script).value).toEqual([false, false])
  })

  test('a signal ends it before the next move, and the report tells what was done', async () => {
    const { pool } = await scattered()
    expect(await pool.defragment({ signal: AbortSignal.abort() })).toMatchObject({ movedCount: 0, complete: false })
    const controller = new AbortController()
    const report = await pool.defragment({ signal: controller.signal, onMoved: () => controller.abort() })
    expect(report).toMatchObject({ movedCount: 1, complete: false })
    await pool.close()
  })

  test('a dry run moves nothing, and says what the real one does', async () => {
    const { pool, buffers } = await scattered()
    const before = pool.detailedStats().slabs
    const veto = jest.fn()
    const dry = await pool.defragment({ dryRun: true, veto })
    expect(veto).not.toHaveBeenCalled()
    expect(pool.detailedStats().slabs).toEqual(before)
    expect(pool.stats().movedCount).toBe(0)
    expect(dry.emptiedBytes).toBe(3 * MiB)
    expect(await pool.defragment()).toEqual(dry)
    expect(await intact(buffers)).toBe(true)
    await pool.close()
  })

  test('a dry run has the same bounds', async () => {
    const { pool } = await scattered()
    const dry = await pool.defragment({ dryRun: true, maxMoves: 2 })
    expect(dry).toMatchObject({ movedCount: 2, complete: false })
    expect(await pool.defragment({ maxMoves: 2 })).toEqual(dry)
    await pool.close()
  })
})

test.each<[string, (buffer: PoolBuffer) => Promise<() => unknown>]>([
  [
    'pinned',
    async (buffer) => {
      buffer.pin()
      return () => buffer.unpin()
    },
  ],
  [
    'mapped',
    async (buffer) => {
      let end = () => {}
      let begun = () => {}
      const mapped = new Promise<void>((resolve) => {
        begun = resolve
      })
      const map = buffer.withMapping(() => {
        begun()
        return new Promise<void>((resolve) => {
          end = resolve
        })
      })
      await mapped
      return () => {
        end()
        return map
      }
    },
  ],
])('what is %s stays where it is until that ends', async (_, hold) => {
  const { pool, buffers } = await scattered()
  const ends = await Promise.all(buffers.map(hold))
  expect(await pool.defragment()).toMatchObject({ movedCount: 0, complete: true })
  for (const end of ends) await end()
  expect(await pool.defragment()).toMatchObject({ emptiedBytes: 3 * MiB })
  expect(await intact(buffers)).toBe(true)
  await pool.close()
})

test('what was exported stays for good', async () => {
  const { pool, buffers } = await scattered({ device: { kind: 'host', memoryFile: true } })
  for (const buffer of buffers) closeSync((await buffer.exportFd()).fd)
  expect(await pool.defragment()).toMatchObject({ movedCount: 0, complete: true })
  await pool.close()
})

describe('while it runs', () => {
  test('buffers can be read, written, mapped, allocated and released; each sees its own bytes', async () => {
    const { pool, buffers } = await scattered({ maxBytes: 6 * MiB })
    let going = true
    const passes = (async () => {
      while (going) {
        await pool.defragment()
        await new Promise(setImmediate)
      }
    })()
    const users = buffers.map(async (buffer, index) => {
      for (let round = 0; round < 30; round++) {
        const byte = (index * 50 + round) % 256
        await buffer.fill(byte)
        expect((await buffer.read()).every((found) => found === byte)).toBe(true)
        await buffer.withMapping((view) => expect(view.every((found) => found === byte)).toBe(true))
        const others = await Promise.all([0, 1].map(() => pool.allocateAsync(100 * KiB)))
        for (const other of others) other.release()
      }
    })
    await Promise.all(users)
    going = false
    await passes
    expect(pool.stats()).toMatchObject({ bufferCount: 4, requestedBytes: 4 * 200 * KiB })
    await pool.close()
  })

  test.each(['1', '4'])('reads that were begun before do not stand in its way, with %s threads', (threads) => {
    const script = `
      const pool = await MemoryPool.create({ device: 'host', slabBytes: 16 * MiB, initialBytes: 32 * MiB })
      const big = pool.allocate(15 * MiB)
      const [gap, small] = [pool.allocate(MiB), pool.allocate(4 * MiB)]
      const other = pool.allocate(8 * MiB)
      gap.release()
      const reads = [...Array.from({ length: 8 }, () => big.read()), ...Array.from({ length: 8 }, () => small.read())]
      const pass = pool.defragment()
      const more = Array.from({ length: 8 }, () => other.read())
      await Promise.all([...reads, ...more, pass])
      return (await pool.defragment()).complete`
    expect(runChild(script, { env: { UV_THREADPOOL_SIZE: threads } }).value).toBe(true)
  })

  test('a buffer that is released in the middle of its move is freed', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const { pool, buffers } = await scattered()
      const pass = pool.defragment()
      for (let turn = 0; turn < turns; turn++) await null
      for (const buffer of buffers) buffer.release()
      await pass
      expect(pool.stats()).toMatchObject({ bufferCount: 0, usedBytes: 0 })
      await pool.trim()
      expect(pool.stats().heldBytes).toBe(0)
      await pool.close()
    }
  })

  test('the pool can be closed: the pass ends with what it did, or with an error', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const { pool } = await scattered()
      const pass = pool.defragment().catch((error: unknown) => error)
      for (let turn = 0; turn < turns; turn++) await null
      await pool.close()
      const outcome = await pass
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(ReleasedError)
      expect(pool.stats()).toMatchObject({ heldBytes: 0, bufferCount: 0 })
    }
  })

  test('a second call waits for the first', async () => {
    const { pool, buffers } = await scattered()
    const [first, second] = await Promise.all([pool.defragment(), pool.defragment()])
    expect([first.emptiedBytes, second.movedCount]).toEqual([3 * MiB, 0])
    expect(await intact(buffers)).toBe(true)
    await pool.close()
  })
})

describe('autoDefragment', () => {
  const settle = async (holds: () => boolean) => {
    for (let round = 0; round < 2000 && !holds(); round++) await new Promise((resolve) => setTimeout(resolve, 5))
    return holds()
  }

  test.each([true, { abovePercent: 20 }, { abovePercent: 20, maxMs: 0.02 }])(
    'with %j, a pool that is idle moves its buffers together by itself, until that is done',
    async (autoDefragment) => {
      const { pool, buffers } = await scattered({ autoDefragment })
      expect(await settle(() => pool.stats().cachedBytes === 3 * MiB)).toBe(true)
      expect(await intact(buffers)).toBe(true)
      await pool.close()
    },
  )

  test('it does nothing below its threshold, nor where it was not asked for', async () => {
    const [one, other] = await Promise.all([scattered({ autoDefragment: { abovePercent: 99 } }), scattered()])
    await new Promise((resolve) => setTimeout(resolve, 200))
    for (const { pool } of [one, other]) {
      expect(pool.stats().movedCount).toBe(0)
      await pool.close()
    }
  })
})
