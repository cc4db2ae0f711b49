import { GgufFile, KiB, MiB, ReleasedError, StagingPool, type TensorChunk } from 'plimsoll'
import { randomTensor, tensorTypes } from './helpers/gguf-writer'
import {
  collectGarbage,
  pause,
  sampleBytes,
  samplePath,
  scratch,
  settled,
  stored,
  tensorOf,
  written,
} from './helpers/models'

const model = GgufFile.open(samplePath)
const bytes = sampleBytes()
afterAll(() => model.close())
const file = scratch()

/** Whether a chunk holds the stored bytes that it says it holds. */
const isRight = ({ tensor, byteStart, byteEnd, data }: TensorChunk): boolean =>
  stored(bytes, tensorOf(model, tensor))
    .subarray(byteStart, byteEnd)
    .equals(data as Uint8Array)

/** The first chunk of a stream and the stream, which goes on from there. */
async function first(options: Parameters<GgufFile['stream']>[0] = {}) {
  const stream = model.stream({ reuse: true, ...options })
  const { value } = await stream.next()
  return { chunk: value as TensorChunk, stream }
}

describe.each([KiB, 64 * KiB, MiB])('a view of a lent chunk of %d bytes', (chunkBytes) => {
  test('holds the right bytes until the next chunk is asked for, and then has length 0', async () => {
    const seen: { view: Uint8Array; part: Uint8Array; buffer: ArrayBufferLike }[] = []
    for await (const chunk of model.stream({ chunkBytes, reuse: true })) {
      for (const { view, part, buffer } of seen.slice(-3)) {
        expect([view.length, part.length, buffer.byteLength]).toEqual([0, 0, 0])
      }
      expect(isRight(chunk)).toBe(true)
      seen.push({ view: chunk.data, part: chunk.data.subarray(1), buffer: chunk.data.buffer })
    }
    expect(seen.every(({ view, part, buffer }) => view.length + part.length + buffer.byteLength === 0)).toBe(true)
  })

  test('does not change while its reader takes time and the next units are read', async () => {
    let count = 0
    for await (const chunk of model.stream({ chunkBytes, reuse: true })) {
      if (count++ % 100 === 0) await pause(10)
      expect(isRight(chunk)).toBe(true)
    }
  })

  test('has length 0 after release(), which may be called again', async () => {
    const { chunk, stream } = await first({ chunkBytes })
    const { data } = chunk
    chunk.release()
    chunk.release()
    chunk[Symbol.dispose]()
    expect([data.length, chunk.data.length]).toEqual([0, 0])
    const next = (await stream.next()).value as TensorChunk
    expect(isRight(next)).toBe(true)
    chunk.release()
    expect(isRight(next)).toBe(true)
    await stream.return()
  })

  test('has length 0 after the loop was left', async () => {
    const views: Uint8Array[] = []
    for await (const { data } of model.stream({ chunkBytes, reuse: true })) if (views.push(data) === 3) break
    const failing = async () => {
      for await (const { data } of model.stream({ chunkBytes, reuse: true })) {
        views.push(data)
        throw new Error('the consumer failed')
      }
    }
    await expect(failing()).rejects.toThrow('the consumer failed')
    expect(views.map(({ length }) => length)).toEqual([0, 0, 0, 0])
  })
})

describe('chunks of one unit', () => {
  test('are independent: one released, one kept, the others right', async () => {
    const kept: TensorChunk[] = []
    let [count, right] = [0, 0]
    for await (const chunk of model.stream({ tensors: ['output.weight'], chunkBytes: 10_000, reuse: true })) {
      if (isRight(chunk)) right++
      if (count % 3 === 0) chunk.release()
      else if (count % 7 === 4) {
        chunk.keep()
        kept.push(chunk)
      }
      count++
    }
    expect([count > 10, right]).toEqual([true, count])
    expect(kept.every(({ data }) => data.length > 0)).toBe(true)
    expect(kept.every(isRight)).toBe(true)
  })
})

describe('keep()', () => {
  test.each([KiB, 64 * KiB, MiB])('takes chunks of %d bytes out of the pool for good', async (chunkBytes) => {
    const pool = new StagingPool()
    const kept: { chunk: TensorChunk; data: Uint8Array }[] = []
    for await (const chunk of model.stream({ staging: pool, chunkBytes, reuse: true }))
      kept.push({ chunk, data: chunk.keep() })
    await settled(pool)
    for (let i = 0; i < 3; i++) {
      collectGarbage()
      await pause(1)
    }
    for await (const chunk of model.stream({ staging: pool, chunkBytes, as: 'f32', reuse: true }))
      chunk.data.fill(Number.NaN)
    expect(kept.length).toBeGreaterThanOrEqual(39)
    expect(kept.every(({ chunk, data }) => chunk.data === data && data.length > 0 && isRight(chunk))).toBe(true)
  })

  test('wins over every later release', async () => {
    const { chunk, stream } = await first()
    const data = chunk.keep()
    chunk.release()
    chunk[Symbol.dispose]()
    expect(chunk.keep()).toBe(data)
    await stream.return()
    expect(data.length).toBe(chunk.byteEnd - chunk.byteStart)
    expect(isRight(chunk)).toBe(true)
  })

  test('after release(), or after the next chunk was asked for, is refused', async () => {
    const { chunk, stream } = await first()
    chunk.release()
    expect(() => chunk.keep()).toThrow(ReleasedError)
    const second = (await stream.next()).value as TensorChunk
    await stream.next()
    expect(() => second.keep()).toThrow(ReleasedError)
    await stream.return()
  })

  test.each(['f32', 'f16', 'raw'] as const)('keeps the type of the array: %s', async (as) => {
    for (const chunkBytes of [KiB, MiB]) {
      const { chunk, stream } = await first({ as, chunkBytes })
      const copy = chunk.data.slice()
      const data = chunk.keep()
      await stream.return()
      expect(data).toBeInstanceOf({ raw: Uint8Array, f32: Float32Array, f16: Uint16Array }[as])
      expect(Buffer.from(data.buffer, data.byteOffset, data.byteLength).equals(Buffer.from(copy.buffer))).toBe(true)
    }
  })

  test('of a small chunk does not hold on to a large buffer', async () => {
    const { chunk, stream } = await first({ chunkBytes: KiB })
    const data = chunk.keep()
    await stream.return()
    expect(data.buffer.byteLength).toBe(data.length)
  })

  test('of every chunk does not hold the stream up, however many there are', async () => {
    const tensor = randomTensor('a', tensorTypes.I8, 20 * MiB)
    const path = written(file('20-mib.gguf'), { tensors: [tensor] })
    using large = GgufFile.open(path)
    const kept: Uint8Array[] = []
    for await (const chunk of large.stream({ reuse: true })) kept.push(chunk.keep())
    expect(Buffer.concat(kept).equals(tensor.data)).toBe(true)
  })

  test('of both halves of a unit keeps both', async () => {
    const tensor = randomTensor('a', tensorTypes.I8, MiB)
    using halves = GgufFile.open(written(file('halves.gguf'), { tensors: [tensor] }))
    const kept: Uint8Array[] = []
    for await (const chunk of halves.stream({ chunkBytes: MiB / 2, reuse: true })) kept.push(chunk.keep())
    collectGarbage()
    await pause(5)
    expect(kept.map(({ length }) => length)).toEqual([MiB / 2, MiB / 2])
    expect(Buffer.concat(kept).equals(tensor.data)).toBe(true)
  })
})

describe('a consumer that asks for several chunks at once', () => {
  test('gets each of them once, in order, and only the last is still valid', async () => {
    const stream = model.stream({ chunkBytes: 100_000, reuse: true })
    const results = await Promise.all(Array.from({ length: 5 }, () => stream.next()))
    const chunks = results.map(({ value }) => value as TensorChunk)
    expect(chunks.slice(0, 4).every(({ data }) => data.length === 0)).toBe(true)
    expect(isRight(chunks[4] as TensorChunk)).toBe(true)
    expect(new Set(chunks.map(({ tensor, byteStart }) => `${tensor} ${byteStart}`)).size).toBe(5)
    await stream.return()
  })
})

test('what a consumer writes into its chunk is seen by nobody else', async () => {
  for await (const { data } of model.stream({ chunkBytes: 10_000, reuse: true })) data.fill(0xee)
  for await (const chunk of model.stream({ chunkBytes: 10_000, reuse: true })) expect(isRight(chunk)).toBe(true)
})
