import {
  type DefragmentOptions,
  InvalidArgumentError,
  KiB,
  MemoryBudget,
  type MemoryPool,
  MiB,
  type MovableBuffer,
  type PoolBuffer,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { withFakeCuda } from './helpers/fake-cuda'
import { smallSlabs as make } from './helpers/pools'
import { rejectedBy } from './helpers/rejected-by'
import { intact, scattered } from './helpers/scattered'

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
