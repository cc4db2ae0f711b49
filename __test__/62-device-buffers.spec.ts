import { closeSync, fstatSync, readSync, writeSync } from 'node:fs'
import {
  DeviceBuffer,
  DeviceError,
  InvalidArgumentError,
  KiB,
  MemoryPool,
  type MemoryPoolOptions,
  MiB,
  PoolBuffer,
  ReleasedError,
} from 'plimsoll'
import { type ChildOptions, runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { withFakeCuda } from './helpers/fake-cuda'
import { rejectedBy } from './helpers/rejected-by'

const make = (options: MemoryPoolOptions = {}) =>
  MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, ...options })

const memoryFile = { kind: 'host', memoryFile: true } as const

/** Bytes that tell where they are. */
const pattern = (length: number, seed = 0) => Uint8Array.from({ length }, (_, at) => (at * 31 + seed) % 251)

const misuse = (call: (value: never) => unknown, value: unknown) => call(value as never) as Promise<never>

/** Moves memory out of its array buffer, as a stream of bytes does with what is put into it. */
const steal = `
  const steal = async (view) => {
    const stream = new ReadableStream({ type: 'bytes', start: (controller) => controller.enqueue(view) })
    return (await stream.getReader().read()).value
  }`

const withGarbage: ChildOptions = { flags: ['--expose-gc'] }

describe('read and write', () => {
  test('what was written is read, whole and in parts', async () => {
    await using pool = await make()
    using buffer = pool.allocate(10_000)
    const bytes = pattern(10_000)
    await buffer.write(bytes)
    expect(await buffer.read()).toEqual(bytes)
    expect(await buffer.read({ offsetBytes: 777, lengthBytes: 1234 })).toEqual(bytes.slice(777, 2011))
    expect(await buffer.read({ offsetBytes: 9_999 })).toEqual(bytes.slice(9_999))
    expect(await buffer.read({ offsetBytes: 10_000 })).toHaveLength(0)
    await buffer.write(Uint8Array.of(1, 2, 3), { offsetBytes: 9_997 })
    expect([...(await buffer.read({ offsetBytes: 9_996 }))]).toEqual([bytes[9_996], 1, 2, 3])
  })

  test('every kind of view can be written and read into; only its part of its memory counts', async () => {
    await using pool = await make()
    using buffer = pool.allocate(64)
    await buffer.fill(0)
    await buffer.write(new Float32Array([9, 1.5, -2.5, 9]).subarray(1, 3))
    const floats = new Float32Array([7, 7, 7, 7])
    const bytes = await buffer.read({ into: floats.subarray(1, 3) })
    expect([...floats]).toEqual([7, 1.5, -2.5, 7])
    expect([bytes.buffer === floats.buffer, bytes.byteOffset, bytes.length]).toEqual([true, 4, 8])
    await buffer.write(new DataView(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2), { offsetBytes: 62 })
    const seen = Buffer.alloc(2)
    await buffer.read({ into: seen, offsetBytes: 62 })
    expect([...seen]).toEqual([2, 3])
  })

  test('fill sets one value, to the end or to where it is told', async () => {
    await using pool = await make()
    using buffer = pool.allocate(100)
    await buffer.fill(255)
    await buffer.fill(1, { offsetBytes: 10, lengthBytes: 5 })
    await buffer.fill(2, { offsetBytes: 98 })
    const bytes = await buffer.read()
    expect([...bytes.slice(8, 17), ...bytes.slice(97)]).toEqual([255, 255, 1, 1, 1, 1, 1, 255, 255, 255, 2, 2])
    for (const value of [-1, 256, 0.5, '0', undefined]) {
      await rejectedBy(
        InvalidArgumentError,
        misuse((it) => buffer.fill(it), value),
      )
    }
  })

  test('nothing is read, written, filled, copied and mapped where a part is empty', async () => {
    await using pool = await make()
    using buffer = pool.allocate(8)
    await buffer.write(pattern(8, 5))
    await buffer.write(new Uint8Array(0), { offsetBytes: 8 })
    await buffer.fill(9, { lengthBytes: 0 })
    await buffer.copyTo(buffer, { lengthBytes: 0 })
    expect(await buffer.read({ lengthBytes: 0 })).toHaveLength(0)
    expect(await buffer.withMapping((view) => view.length, { offsetBytes: 8 })).toBe(0)
    expect(await buffer.read()).toEqual(pattern(8, 5))
  })

  test.each([
    [{ offsetBytes: 101 }],
    [{ lengthBytes: 101 }],
    [{ offsetBytes: 50, lengthBytes: 51 }],
    [{ offsetBytes: -1 }],
    [{ offsetBytes: 0.5 }],
    [{ lengthBytes: Number.NaN }],
    [{ offsetBytes: 2 ** 53 - 1, lengthBytes: 2 ** 53 - 1 }],
    [{ offset: 1 }],
    [null],
  ])('a part that is not in the buffer, %j, is refused by every call', async (range) => {
    await using pool = await make()
    using buffer = pool.allocate(100)
    using other = pool.allocate(1000)
    const calls: ((it: never) => Promise<unknown>)[] = [
      (it) => buffer.read(it),
      (it) => buffer.fill(0, it),
      (it) => buffer.copyTo(other, it),
      (it) => buffer.withMapping(() => {}, it),
    ]
    for (const call of calls) await rejectedBy(InvalidArgumentError, misuse(call, range))
  })

  test('what lies outside is named: where it begins, or how long it is', async () => {
    await using pool = await make()
    using buffer = pool.allocate(1000)
    const told = async (range: object) => (await rejectedBy(InvalidArgumentError, buffer.read(range))).message
    const within = 'within the 1000 bytes of the buffer'
    expect(await told({ offsetBytes: 1001 })).toBe(`expected offsetBytes to be ${within}, got 1001`)
    expect(await told({ offsetBytes: 999, lengthBytes: 2 })).toBe(
      `expected range to be ${within}, got 2 bytes from 999 on`,
    )
  })

  test('what is too long to be written or to be read is refused, and what is no view', async () => {
    await using pool = await make()
    using buffer = pool.allocate(100)
    await rejectedBy(InvalidArgumentError, buffer.write(new Uint8Array(101)))
    await rejectedBy(InvalidArgumentError, buffer.write(new Uint8Array(1), { offsetBytes: 100 }))
    await rejectedBy(InvalidArgumentError, buffer.read({ into: new Uint8Array(101) }))
    const Resizable = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer
    const growing = new Uint8Array(new Resizable(1, { maxByteLength: 2 }))
    for (const data of [new ArrayBuffer(1), [1], 'text', null, new Uint8Array(new SharedArrayBuffer(1)), growing]) {
      await rejectedBy(
        InvalidArgumentError,
        misuse((it) => buffer.write(it), data),
      )
      await rejectedBy(
        InvalidArgumentError,
        misuse((it) => buffer.read(it), { into: data }),
      )
    }
    await rejectedBy(
      InvalidArgumentError,
      misuse((it) => buffer.read(it), { inot: new Uint8Array(1) }),
    )
  })
})

describe('read into memory of the caller', () => {
  test('takes a few MiB beside it, and brings every byte to its place', () => {
    const script = `
      const pool = await MemoryPool.create({ device: 'host', slabBytes: 128 * MiB, initialBytes: 128 * MiB })
      const buffer = pool.allocate(128 * MiB - 5)
      const bytes = Buffer.alloc(buffer.sizeBytes).map((_, at) => at >> 10)
      await buffer.write(bytes)
      const into = Buffer.alloc(buffer.sizeBytes - 3, 1)
      const peakBytes = () => 1024 * process.resourceUsage().maxRSS
      const before = peakBytes()
      await buffer.read({ into, offsetBytes: 3 })
      return [into.equals(bytes.subarray(3)), peakBytes() - before]`
    const [right, grownBytes] = runChild<[boolean, number]>(script).value
    expect(right).toBe(true)
    expect(grownBytes).toBeLessThan(32 * MiB)
  })

  test('ends with an error as that memory is moved away, or the buffer released, between two pieces', async () => {
    await using pool = await make({ slabBytes: 64 * MiB, initialBytes: 64 * MiB })
    const buffer = pool.allocate(64 * MiB)
    const begun = async (into: Uint8Array) => {
      while (into[0] !== 5) await new Promise(setImmediate)
    }
    await buffer.fill(5)
    const into = new Uint8Array(64 * MiB)
    const moved = rejectedBy(InvalidArgumentError, buffer.read({ into }))
    await begun(into)
    structuredClone(into.buffer, { transfer: [into.buffer] })
    expect((await moved).message).toContain('memory moved away')
    const other = new Uint8Array(64 * MiB)
    const stale = rejectedBy(ReleasedError, buffer.read({ into: other }))
    await begun(other)
    buffer.release()
    await stale
    expect(pool.stats().usedBytes).toBe(0)
  })

  test('refuses another length beside it', async () => {
    await using pool = await make()
    using buffer = pool.allocate(100)
    const into = new Uint8Array(10)
    for (const lengthBytes of [0, 9, 11]) {
      const error = await rejectedBy(InvalidArgumentError, buffer.read({ into, lengthBytes }))
      expect(error).toMatchObject({ argument: 'lengthBytes', received: String(lengthBytes) })
    }
    expect((await buffer.read({ into, lengthBytes: 10 })).buffer).toBe(into.buffer)
  })

  test('of a released buffer is refused, be it empty', async () => {
    await using pool = await make()
    const buffer = pool.allocate(100)
    buffer.release()
    await rejectedBy(ReleasedError, buffer.read({ into: new Uint8Array(0) }))
  })
})

test('what is more than one array can hold is to be read in parts', () => {
  const script = `
    const sizeBytes = 5 * GiB
    try { new Uint8Array(sizeBytes) } catch {
      const pool = await MemoryPool.create({ device: 'cuda', dedicated: true })
      const buffer = await pool.allocateAsync(sizeBytes)
      const { code, argument, message } = await buffer.read().catch((error) => error)
      const part = await buffer.read({ offsetBytes: sizeBytes - 4 })
      return [code, argument, /in parts/.test(message), part.length]
    }
    // This engine holds it.
    return ['ERR_INVALID_ARGUMENT', 'lengthBytes', true, 4]`
  const { value } = runChild(script, { env: withFakeCuda() })
  expect(value).toEqual(['ERR_INVALID_ARGUMENT', 'lengthBytes', true, 4])
})

describe('copyTo', () => {
  test('copies to another buffer, of another pool too, and within one', async () => {
    await using pool = await make()
    await using second = await make()
    using from = pool.allocate(1000)
    using to = second.allocate(1000)
    await from.write(pattern(1000))
    await to.fill(0)
    await from.copyTo(to, { offsetBytes: 100, lengthBytes: 50, targetOffsetBytes: 900 })
    expect(await to.read({ offsetBytes: 890, lengthBytes: 70 })).toEqual(
      Uint8Array.of(...new Uint8Array(10), ...pattern(1000).slice(100, 150), ...new Uint8Array(10)),
    )
    await from.copyTo(from, { lengthBytes: 500, targetOffsetBytes: 500 })
    expect(await from.read({ offsetBytes: 500 })).toEqual(pattern(1000).slice(0, 500))
  })

  test('refuses what does not fit, what overlaps, what is of another device, and what is no buffer', async () => {
    await using pool = await make()
    await using file = await make({ device: memoryFile })
    using buffer = pool.allocate(100)
    using small = pool.allocate(50)
    using elsewhere = file.allocate(100)
    await rejectedBy(InvalidArgumentError, buffer.copyTo(small))
    await rejectedBy(InvalidArgumentError, buffer.copyTo(small, { lengthBytes: 10, targetOffsetBytes: 41 }))
    const overlap = await rejectedBy(
      InvalidArgumentError,
      buffer.copyTo(buffer, { lengthBytes: 60, targetOffsetBytes: 30 }),
    )
    expect(overlap.message).toBe('expected target to be a range apart from the one copied, got ranges that overlap')
    const other = await rejectedBy(InvalidArgumentError, buffer.copyTo(elsewhere))
    expect(other.message).toContain('host:memfd')
    for (const target of [{}, null, pool, Object.create(DeviceBuffer.prototype), new Uint8Array(100)]) {
      await rejectedBy(
        InvalidArgumentError,
        misuse((it) => buffer.copyTo(it), target),
      )
    }
    small.release()
    await rejectedBy(ReleasedError, buffer.copyTo(small, { lengthBytes: 1 }))
  })
})

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
        await buffer.withMapping(async (view) => {
          const moved = await steal(view)
          worker.postMessage(moved, [moved.buffer])
        })
        buffer.release()
        const [sum] = await once(worker, 'message')
        await pool.close()
        await collect(() => false)
        worker.postMessage('again')
        const [again] = await once(worker, 'message')
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

describe('release', () => {
  test('every use is an error from then on; a second release is none', async () => {
    await using pool = await make()
    const buffer = pool.allocate(100, { label: 'gone' })
    buffer.release()
    buffer.release()
    buffer[Symbol.dispose]()
    expect(buffer).toMatchObject({ released: true, sizeBytes: 100, label: 'gone', device: 'host' })
    using other = pool.allocate(100)
    const uses = [
      buffer.read(),
      buffer.write(new Uint8Array(1)),
      buffer.fill(0),
      buffer.copyTo(other),
      other.copyTo(buffer),
      buffer.withMapping(() => {}),
      buffer.exportFd(),
    ]
    for (const use of uses) await rejectedBy(ReleasedError, use)
    thrownBy(ReleasedError, () => buffer.pin())
    buffer.unpin()
    expect(pool.stats()).toMatchObject({ bufferCount: 1, freedCount: 1 })
  })

  test('a stale buffer is not the one that has its place now', async () => {
    await using pool = await make()
    const old = pool.allocate(1000)
    old.release()
    using young = pool.allocate(1000)
    await young.fill(1)
    old.release()
    await rejectedBy(ReleasedError, old.fill(2))
    expect((await young.read()).every((byte) => byte === 1)).toBe(true)
  })

  test('inside withMapping: the view stays, and the memory goes when the map ends', async () => {
    await using pool = await make()
    const buffer = pool.allocate(MiB)
    await buffer.withMapping(async (view) => {
      buffer.release()
      expect(buffer.released).toBe(true)
      view.fill(8)
      expect(() => pool.allocate(1)).toThrow()
      await new Promise(setImmediate)
      expect([view[0], view[MiB - 1]]).toEqual([8, 8])
    })
    expect(pool.stats().usedBytes).toBe(0)
    pool.allocate(MiB)
  })

  test('of the pool inside withMapping: the same', async () => {
    const pool = await make()
    const buffer = pool.allocate(1000)
    await buffer.withMapping(async (view) => {
      view.fill(8)
      await pool.close()
      expect(view.every((byte) => byte === 8)).toBe(true)
    })
    buffer.release()
  })

  test('while it is read, written or copied: that goes on with the bytes that were', async () => {
    await using pool = await make({ slabBytes: 16 * MiB, initialBytes: 48 * MiB })
    const [from, to] = [pool.allocate(16 * MiB), pool.allocate(16 * MiB)]
    await from.fill(3)
    const reads = [from.read(), from.read()]
    const copy = from.copyTo(to)
    const write = to.write(Uint8Array.of(1), { offsetBytes: 16 * MiB - 1 })
    from.release()
    to.release()
    const over = pool.allocate(16 * MiB)
    await over.fill(4)
    for (const bytes of await Promise.all(reads)) expect(bytes.every((byte) => byte === 3)).toBe(true)
    await Promise.all([copy, write])
    expect((await over.read()).every((byte) => byte === 4)).toBe(true)
    expect(pool.stats().bufferCount).toBe(1)
  })

  test('of the pool while it is read: the bytes that were, or an error', async () => {
    const pool = await make({ slabBytes: 16 * MiB, initialBytes: 16 * MiB })
    const buffer = pool.allocate(16 * MiB)
    await buffer.fill(3)
    const reads = Promise.allSettled(Array.from({ length: 8 }, () => buffer.read()))
    await pool.close()
    for (const outcome of await reads) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ReleasedError)
      else expect(outcome.value.every((byte) => byte === 3)).toBe(true)
    }
  })

  test('of what is pinned: the pins go with it', async () => {
    await using pool = await make()
    const buffer = pool.allocate(MiB)
    buffer.pin()
    buffer.pin()
    buffer.release()
    expect(pool.stats()).toMatchObject({ usedBytes: 0, bufferCount: 0 })
    pool.allocate(MiB)
  })
})

describe('the net under release', () => {
  test('frees a buffer that was dropped, with one warning that has its label', () => {
    const script = `
      const warnings = []
      process.on('warning', ({ name, message, code, label, sizeBytes }) => warnings.push({ name, message, label, sizeBytes }))
      const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
      ;(() => { pool.allocate(1000, { label: 'dropped' }); pool.allocate(2000, { label: 'released' }).release() })()
      const freed = await collect(() => pool.stats().usedBytes === 0)
      await turn()
      pool.allocate(MiB).release()
      return { freed, warnings }`
    const { value } = runChild<{ freed: boolean; warnings: Record<string, unknown>[] }>(script, withGarbage)
    expect(value.freed).toBe(true)
    expect(value.warnings).toHaveLength(1)
    expect(value.warnings[0]).toMatchObject({
      name: 'PlimsollLeakWarning',
      message: expect.stringMatching(/1000 bytes on host labelled "dropped"/),
    })
  })

  test('holds under a buffer that is collected while it is mapped or read: not before that ends', () => {
    const script = `
      const pool = await MemoryPool.create({ device: 'host', slabBytes: 8 * MiB, initialBytes: 8 * MiB })
      const [mapped, read] = (() => {
        const buffer = pool.allocate(4 * MiB), other = pool.allocate(4 * MiB)
        return [
          buffer.withMapping(async (view) => { view.fill(1); for (let i = 0; i < 20; i++) { gc(); await turn() } ; return view[view.length - 1] }),
          other.fill(2).then(() => other.read()),
        ]
      })()
      const seen = [await mapped, (await read)[0]]
      return [seen, await collect(() => pool.stats().usedBytes === 0)]`
    expect(runChild(script, withGarbage).value).toEqual([[1, 2], true])
  })

  test('memory that garbage holds makes the engine collect it', () => {
    const script = `
      process.on('warning', () => {})
      const pool = await MemoryPool.create({ device: 'host', slabBytes: 512 * MiB, maxBytes: 2048 * MiB })
      let most = 0
      for (let index = 0; index < 400; index++) {
        await pool.allocateAsync(16 * MiB)
        most = Math.max(most, pool.stats().usedBytes)
        await turn()
      }
      return most / MiB`
    expect(runChild<number>(script, { flags: ['--no-warnings'] }).value).toBeLessThan(2048)
  })
})

describe('worker threads', () => {
  const worker = (body: string) => `
    const { Worker } = require('node:worker_threads')
    const { once } = require('node:events')
    const worker = new Worker(\`
      const { parentPort } = require('node:worker_threads')
      const { MiB, MemoryBudget, MemoryPool } = require('plimsoll')
      const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 1000 * MiB })
      ;(async () => {
        const pool = await MemoryPool.create({ device: 'host', slabBytes: 16 * MiB, initialBytes: 64 * MiB, budget })
        const buffers = Array.from({ length: 4 }, () => pool.allocate(16 * MiB))
        ${body}
      })()\`, { eval: true })
    const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 1000 * MiB })
    `

  test.each([
    ['holds buffers', "parentPort.postMessage('ready'); setInterval(() => {}, 1000)"],
    [
      'has a buffer mapped',
      "await buffers[0].withMapping((view) => { view.fill(1); parentPort.postMessage('ready'); return new Promise(() => setInterval(() => {}, 1000)) })",
    ],
    [
      'reads, fills and moves buffers',
      "buffers[1].release(); parentPort.postMessage('ready'); for (;;) await Promise.all([...buffers.filter((buffer) => !buffer.released).flatMap((buffer) => [buffer.read(), buffer.fill(1)]), pool.defragment()])",
    ],
  ])('one that %s is terminated: the process lives, and the budget has all back', (_, body) => {
    const script = `${worker(body)}
      await once(worker, 'message')
      const during = budget.allocatedBytes / MiB
      await worker.terminate()
      return [during, await settle(() => budget.allocatedBytes === 0)]`
    expect(runChild(script).value).toEqual([64, true])
  })

  test.each(["{ kind: 'host' }", "{ kind: 'host', memoryFile: true }", "{ kind: 'host', hugePages: 'transparent' }"])(
    'one that is terminated with a small part of a large slab of %s mapped leaves none of it resident',
    (device) => {
      const script = `
        const { Worker } = require('node:worker_threads')
        const { once } = require('node:events')
        const run = async (toDo) => {
          const worker = new Worker(\`
            const { parentPort } = require('node:worker_threads')
            const { MiB, MemoryPool } = require('plimsoll')
            ;(async () => {
              const pool = await MemoryPool.create({ device: ${device}, slabBytes: 128 * MiB, initialBytes: 128 * MiB })
              const buffer = pool.allocate(1024)
              const wait = () => { parentPort.postMessage('ready'); return new Promise(() => setInterval(() => {}, 1000)) }
              await \${toDo}
            })()\`, { eval: true })
          await once(worker, 'message')
          await worker.terminate()
        }
        await run('wait()')
        const before = rssBytes()
        for (let round = 0; round < 3; round++) await run('buffer.withMapping((view) => { view.fill(1); return wait() })')
        await settle(() => rssBytes() - before < 64 * MiB)
        return (rssBytes() - before) / MiB`
      expect(runChild<number>(script).value).toBeLessThan(64)
    },
  )

  test('a view that one transferred to this thread is copied or moved, as Node.js has it, and safe after its end', () => {
    const script = `${worker(
      'await buffers[0].fill(7); await buffers[0].withMapping((view) => parentPort.postMessage(view, [view.buffer])); setTimeout(() => process.exit(), 20)',
    )}
      const [view] = await once(worker, 'message')
      await once(worker, 'exit')
      await turn()
      return [view.length, view.every((byte) => byte === 7) || view.every((byte) => byte === 0)]`
    expect(runChild(script).value).toEqual([16 * MiB, true])
  })

  test('a view that one moved to this thread is safe to use after its end, and reads zero then', () => {
    const script = `${worker(
      `${steal}
        await buffers[0].fill(7)
        await buffers[0].withMapping(async (view) => {
          const moved = await steal(view)
          parentPort.postMessage(moved, [moved.buffer])
        })
        parentPort.on('message', () => process.exit())`,
    )}
      const [view] = await once(worker, 'message')
      const before = view.every((byte) => byte === 7)
      worker.postMessage('end')
      await once(worker, 'exit')
      await turn()
      const after = view.every((byte) => byte === 0)
      view.fill(1)
      return [view.length, before, after, view.every((byte) => byte === 1), budget.allocatedBytes]`
    expect(runChild(script).value).toEqual([16 * MiB, true, true, true, 0])
  })

  test('many that come and go leave nothing', () => {
    const script = `
      const { Worker } = require('node:worker_threads')
      const { once } = require('node:events')
      const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 1000 * MiB })
      const seen = []
      for (let round = 0; round < 10; round++) {
        const worker = new Worker(\`
          const { parentPort } = require('node:worker_threads')
          const { MiB, MemoryManager } = require('plimsoll')
          ;(async () => {
            const manager = new MemoryManager({ board: 'rk3588-32gb', maxBytes: 1000 * MiB })
            const buffer = await manager.system.allocate(MiB)
            const pool = await manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
            pool.allocate(1000)
            parentPort.postMessage(manager.budget.allocatedBytes / MiB)
          })()\`, { eval: true })
        seen.push((await once(worker, 'message'))[0])
        await worker.terminate()
        seen.push(await settle(() => budget.allocatedBytes === 0))
      }
      return seen`
    const seen = runChild<unknown[]>(script).value
    expect(seen).toEqual(Array.from({ length: 10 }, () => [2, true]).flat())
  })
})

test.each([
  ['in the middle of reads', 'for (let index = 0; index < 20; index++) buffer.read()'],
  ['in the middle of a map', 'await buffer.withMapping(() => process.exit(0))'],
  ['in the middle of a defragmentation', 'pool.allocate(1000).release(); pool.defragment(); buffer.read()'],
  ['while slabs are taken', 'for (let index = 0; index < 20; index++) pool.allocateAsync(16 * MiB)'],
  ['while the pool is closed', 'buffer.fill(1); pool.close()'],
])('process.exit() %s ends the process, and nothing else', (_, body) => {
  const script = `
    const pool = await MemoryPool.create({ device: 'host', slabBytes: 16 * MiB, initialBytes: 32 * MiB })
    const buffer = pool.allocate(15 * MiB)
    process.on('exit', () => require('node:fs').writeSync(1, '\\n"ended"'))
    ${body}
    process.exit(0)`
  expect(runChild(script).value).toBe('ended')
})

test('a process with a pool, a held buffer and a timer of its own ends by itself', () => {
  const script = `
    const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, autoDefragment: true })
    globalThis.kept = [pool, pool.allocate(1000)]
    pool.allocate(10).release()
    return 'ends'`
  expect(runChild(script).value).toBe('ends')
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

test('many readers and writers of many buffers meet no bytes but their own', async () => {
  await using pool = await make({ initialBytes: 4 * MiB })
  const work = Array.from({ length: 60 }, async (_, index) => {
    using buffer = await pool.allocateAsync(1 + index * 1000)
    for (let round = 0; round < 5; round++) {
      await buffer.fill((index + round) % 256)
      const seen = await buffer.read()
      expect(seen.every((byte) => byte === (index + round) % 256)).toBe(true)
      await buffer.withMapping((view) => expect(view.every((byte) => byte === (index + round) % 256)).toBe(true))
    }
  })
  await Promise.all(work)
  expect(pool.stats()).toMatchObject({ bufferCount: 0, usedBytes: 0 })
})

test('buffers are made by pools alone, and each has a number of its own', async () => {
  for (const type of [DeviceBuffer, PoolBuffer]) {
    const Make = type as unknown as new () => DeviceBuffer
    thrownBy(InvalidArgumentError, () => new Make())
  }
  await using pool = await make()
  const buffers = Array.from({ length: 10 }, () => pool.allocate(KiB))
  expect(new Set(buffers.map(({ id }) => id)).size).toBe(10)
  expect(buffers[0]).toBeInstanceOf(DeviceBuffer)
})

describe('what is under way', () => {
  test('keeps the map that it reads, also where what used it failed early', async () => {
    await using pool = await make({ slabBytes: 16 * MiB, initialBytes: 32 * MiB })
    const [source, target] = [pool.allocate(16 * MiB), pool.allocate(16 * MiB)]
    await source.fill(5)
    let written: Promise<void> | undefined
    const failed = source.withMapping((view) => {
      written = target.write(view)
      return Promise.all([written, Promise.reject(new Error('early'))])
    })
    await expect(failed).rejects.toThrow('early')
    await written
    expect((await target.read()).every((byte) => byte === 5)).toBe(true)
  })

  test('has memory of its own while it reads: that of the caller may be moved away', async () => {
    await using pool = await make()
    const buffer = pool.allocate(1000)
    const into = new Uint8Array(1000)
    const reading = buffer.read({ into })
    structuredClone(into.buffer, { transfer: [into.buffer] })
    await expect(reading).rejects.toThrow('memory moved away')
  })

  test('is over as close resolves, what went back before it too', async () => {
    for (let round = 0; round < 10; round += 1) {
      const pool = await make({ slabBytes: 4 * MiB, initialBytes: 0, maxCachedBytes: 0 })
      const before = pool.device.usage().usedBytes
      const buffer = await pool.allocateAsync(4 * MiB)
      buffer.release()
      await pool.close()
      expect(pool.device.usage().usedBytes).toBeLessThanOrEqual(before)
    }
  })

  test('a target that is replaced while the options are read is not written to', async () => {
    await using pool = await make()
    const source = pool.allocate(100)
    await source.fill(9)
    const target = pool.allocate(100)
    const options = {
      get offsetBytes() {
        target.release()
        return 0
      },
    }
    await expect(source.copyTo(target, options)).rejects.toBeInstanceOf(ReleasedError)
  })
})
