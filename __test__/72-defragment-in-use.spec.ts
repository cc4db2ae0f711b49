import { closeSync } from 'node:fs'
import { KiB, MiB, type PoolBuffer, ReleasedError } from 'plimsoll'
import { runChild } from './helpers/child'
import { intact, scattered } from './helpers/scattered'

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
