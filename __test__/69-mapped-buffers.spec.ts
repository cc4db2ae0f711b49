import { closeSync, fstatSync, readSync, writeSync } from 'node:fs'
import { DeviceError, InvalidArgumentError, MiB } from 'plimsoll'
import { runChild, withGarbage } from './helpers/child'
import { misuse } from './helpers/misuse'
import { pattern } from './helpers/pattern'
import { oneSlab as make, memoryFile } from './helpers/pools'
import { rejectedBy } from './helpers/rejected-by'
import { steal } from './helpers/steal'

describe('withMapping', () => {
  test('shows the memory itself', async () => {
    await using pool = await make()
    using buffer = pool.allocate(1000)
    await buffer.write(pattern(1000))
    const seen = await buffer.withMapping(
      (view) => {
        expect(view).toEqual(pattern(1000).slice(10, 20))
        view.fill(7)
        return view.length
      },
      { offsetBytes: 10, lengthBytes: 10 },
    )
    expect([seen, ...(await buffer.read({ offsetBytes: 9, lengthBytes: 12 }))]).toEqual([
      10,
      pattern(1000)[9],
      ...new Array(10).fill(7),
      pattern(1000)[20],
    ])
  })

  test('the view is gone as soon as what was returned has settled, and every view of it', async () => {
    await using pool = await make()
    using buffer = pool.allocate(1000)
    const kept: Uint8Array[] = []
    const value = await buffer.withMapping(async (view) => {
      kept.push(view, view.subarray(10), new Uint8Array(view.buffer))
      await new Promise(setImmediate)
      expect(view).toHaveLength(1000)
      return 'done'
    })
    expect([value, ...kept.map(({ length }) => length)]).toEqual(['done', 0, 0, 0])
  })

  test.each([
    ['throws', () => Promise.resolve().then(() => Promise.reject(new RangeError('mine')))],
    [
      'throws at once',
      () => {
        throw new RangeError('mine')
      },
    ],
  ])('when the function %s, so does the call, and the map has ended', async (_, fail) => {
    await using pool = await make()
    using buffer = pool.allocate(1000)
    let kept = new Uint8Array()
    const call = buffer.withMapping((view) => {
      kept = view
      return fail()
    })
    await expect(call).rejects.toThrow(new RangeError('mine'))
    expect(kept).toHaveLength(0)
    expect(
      pool
        .detailedStats()
        .slabs.flatMap(({ blocks }) => blocks)
        .some(({ pinned }) => pinned),
    ).toBe(false)
  })

  test('what the device says to its end is heard, but not above what the function threw', () => {
    const script = `
      const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
      const buffer = pool.allocate(1000)
      const { prototype } = require(plimsoll.loadedAddon().path).NativeMapping
      const { finish } = prototype
      prototype.finish = async function (...parts) {
        await finish.apply(this, parts)
        throw Object.assign(new Error('lost'), { code: 'ERR_DEVICE' })
      }
      const rejected = async (use) => (await buffer.withMapping(use).catch((error) => error)).message
      const seen = [await rejected(() => {}), await rejected(() => { throw new Error('mine') })]
      buffer.release()
      return [...seen, pool.stats().usedBytes]`
    expect(runChild(script).value).toEqual(['lost', 'mine', 0])
  })

  test('maps may nest and overlap', async () => {
    await using pool = await make()
    using buffer = pool.allocate(100)
    await buffer.withMapping(async (outer) => {
      await Promise.all([
        buffer.withMapping((inner) => inner.fill(3), { lengthBytes: 60 }),
        buffer.withMapping((inner) => inner.length, { offsetBytes: 40 }),
      ])
      expect([outer[0], outer[59], outer.length]).toEqual([3, 3, 100])
    })
  })

  test.each([undefined, null, 'read', {}])('%p is no function to be called', async (use) => {
    await using pool = await make()
    using buffer = pool.allocate(100)
    await rejectedBy(
      InvalidArgumentError,
      misuse((it) => buffer.withMapping(it), use),
    )
    const access = { access: 'rw' }
    await rejectedBy(
      InvalidArgumentError,
      misuse((it) => buffer.withMapping(() => {}, it), access),
    )
  })

  describe('a view whose memory was moved away', () => {
    test('belongs to whoever moved it, and its block is not used again', () => {
      const script = `${steal}
        const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
        const buffer = pool.allocate(MiB)
        await buffer.fill(5)
        let length
        const moved = await buffer.withMapping(async (view) => {
          const stolen = await steal(view)
          length = view.length
          return stolen
        })
        buffer.release()
        const { usedBytes } = pool.stats()
        await pool.reserve(MiB)
        await pool.allocate(MiB).fill(6)
        moved[0] = 4
        const seen = [moved[0], moved.subarray(1).every((byte) => byte === 5)]
        await pool.close()
        return [length, usedBytes, ...seen, moved[0], moved[MiB - 1]]`
      expect(runChild(script).value).toEqual([0, MiB, 4, true, 4, 5])
    })

    test('comes back to the pool when it is collected', () => {
      const script = `${steal}
        const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
        let moved
        await (async () => {
          const buffer = pool.allocate(1000)
          moved = await buffer.withMapping(steal)
          buffer.release()
        })()
        await collect(() => false)
        const still = [pool.stats().bufferCount, moved.length]
        moved = undefined
        return [still, await collect(() => pool.stats().usedBytes === 0)]`
      expect(runChild(script, withGarbage).value).toEqual([[1, 1000], true])
    })

    test('can be in another thread, and outlive the buffer and the pool', () => {
      const script = `${steal}
        const { Worker } = require('node:worker_threads')
        const { once } = require('node:events')
        const worker = new Worker(\`
          const { parentPort } = require('node:worker_threads')
          let kept
          parentPort.on('message', (view) => {
            kept ??= view.fill(9)
            parentPort.postMessage(kept.reduce((sum, byte) => sum + byte, 0))
          })\`, { eval: true })
        const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
        const buffer = pool.allocate(1000)
        // Asked for before it may come: an answer that nobody waits for is gone.
        const summed = once(worker, 'message')
        await buffer.withMapping(async (view) => {
          const moved = await steal(view)
          worker.postMessage(moved, [moved.buffer])
        })
        buffer.release()
        const [sum] = await summed
        await pool.close()
        await collect(() => false)
        const summedAgain = once(worker, 'message')
        worker.postMessage('again')
        const [again] = await summedAgain
        await worker.terminate()
        await collect(() => false)
        return [sum, again]`
      expect(runChild(script, withGarbage).value).toEqual([9000, 9000])
    })

    test('by structuredClone() or postMessage() is moved or copied, as Node.js has it, and right either way', () => {
      const script = `
        const { MessageChannel, receiveMessageOnPort } = require('node:worker_threads')
        const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
        const { port1, port2 } = new MessageChannel()
        const taken = []
        for (let round = 0; round < 20; round++) {
          const [one, other] = [pool.allocate(1000), pool.allocate(1000)]
          await Promise.all([one.fill(round), other.fill(round + 100)])
          taken.push(await one.withMapping((view) => structuredClone(view, { transfer: [view.buffer] })))
          await other.withMapping((view) => port1.postMessage(view, [view.buffer]))
          taken.push(receiveMessageOnPort(port2).message)
          one.release()
          other.release()
          gc()
        }
        port1.close()
        await pool.close()
        await collect(() => false)
        return taken.every((view, index) => view.every((byte) => byte === (index >> 1) + (index % 2) * 100))`
      expect(runChild(script, withGarbage).value).toBe(true)
    })
  })
})

describe('pin', () => {
  test('keeps a buffer where it is, until it was taken back as often', async () => {
    await using pool = await make()
    const [first, second] = [pool.allocate(1000), pool.allocate(1000)]
    first.release()
    second.pin()
    second.pin()
    expect((await pool.defragment()).movedCount).toBe(0)
    second.unpin()
    expect((await pool.defragment()).movedCount).toBe(0)
    second.unpin()
    expect((await pool.defragment()).movedCount).toBe(1)
    second.unpin()
    second.release()
  })
})

describe('exportFd', () => {
  test('shows the bytes of the buffer at its place, both ways', async () => {
    await using pool = await make({ device: memoryFile })
    pool.allocate(1000)
    using buffer = pool.allocate(5000)
    await buffer.write(pattern(5000))
    const { fd, offsetBytes, sizeBytes } = await buffer.exportFd()
    try {
      expect([offsetBytes, sizeBytes]).toEqual([1024, 5000])
      const seen = new Uint8Array(5000)
      expect(readSync(fd, seen, 0, 5000, offsetBytes)).toBe(5000)
      expect(seen).toEqual(pattern(5000))
      writeSync(fd, Uint8Array.of(1, 2, 3), 0, 3, offsetBytes + 10)
      expect([...(await buffer.read({ offsetBytes: 10, lengthBytes: 3 }))]).toEqual([1, 2, 3])
    } finally {
      closeSync(fd)
    }
  })

  test('each call gives one of its own, which outlives buffer and pool', async () => {
    const pool = await make({ device: memoryFile })
    const buffer = pool.allocate(1000)
    await buffer.fill(6)
    const [one, other] = await Promise.all([buffer.exportFd(), buffer.exportFd()])
    expect(one.fd).not.toBe(other.fd)
    closeSync(one.fd)
    buffer.release()
    await pool.close()
    const seen = new Uint8Array(1000)
    expect(readSync(other.fd, seen, 0, 1000, other.offsetBytes)).toBe(1000)
    expect(seen.every((byte) => byte === 6)).toBe(true)
    expect(fstatSync(other.fd).size).toBe(MiB)
    closeSync(other.fd)
  })

  test('keeps the buffer where it is for good', async () => {
    await using pool = await make({ device: memoryFile })
    const [first, second] = [pool.allocate(1000), pool.allocate(1000)]
    closeSync((await second.exportFd()).fd)
    first.release()
    expect((await pool.defragment()).movedCount).toBe(0)
  })

  test('of memory that one process has alone is refused, with what to take', async () => {
    await using pool = await make()
    using buffer = pool.allocate(1000)
    const error = await rejectedBy(DeviceError, buffer.exportFd())
    expect(error).toMatchObject({ device: 'host', call: 'export', meaning: expect.stringContaining('memfd') })
    await expect(pool.defragment()).resolves.toMatchObject({ movedCount: 0 })
  })
})
