import { DeviceBuffer, InvalidArgumentError, KiB, MiB, PoolBuffer, ReleasedError } from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { withFakeCuda } from './helpers/fake-cuda'
import { misuse } from './helpers/misuse'
import { pattern } from './helpers/pattern'
import { oneSlab as make, memoryFile } from './helpers/pools'
import { rejectedBy } from './helpers/rejected-by'

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
