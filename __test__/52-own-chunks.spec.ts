import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  AbortError,
  GgufFile,
  InvalidArgumentError,
  KiB,
  MiB,
  ReleasedError,
  StagingPool,
  type TensorChunk,
} from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { randomTensor, tensorTypes } from './helpers/gguf-writer'
import { pause, sampleBytes, samplePath, scratch, settled, stored, tensorOf, written } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const file = scratch()
const weights = randomTensor('weights', tensorTypes.I8, 24 * MiB)
const model = GgufFile.open(written(file('model.gguf'), { tensors: [weights] }))
afterAll(() => model.close())

const sha = (bytes: Uint8Array | Buffer[]): string =>
  [bytes]
    .flat()
    .reduce((hash, part) => hash.update(part as Uint8Array), createHash('sha256'))
    .digest('hex')
const expected = sha(weights.data)
const sizes = [4 * KiB, 64 * KiB, MiB, 5 * MiB]

/** Takes its time with every part, which it looks at only then. */
const slow = (parts: Buffer[]) =>
  new Writable({
    highWaterMark: 256 * KiB,
    write(part: Buffer, _encoding, done) {
      setImmediate(() => {
        parts.push(Buffer.from(part))
        done()
      })
    },
  })

const bytes = async function* (chunks: AsyncIterable<TensorChunk<'raw'>>) {
  for await (const { data } of chunks) yield data
}

describe.each(sizes)('a stream in chunks of %d bytes sends equal bytes', (chunkBytes) => {
  const stream = () => model.stream({ chunkBytes })

  test('by write() that waits for drain alone', async () => {
    const parts: Buffer[] = []
    const sink = slow(parts)
    for await (const chunk of stream()) {
      const goesOn = sink.write(chunk.data)
      chunk.release()
      if (!goesOn) await once(sink, 'drain')
    }
    sink.end()
    await once(sink, 'finish')
    expect(sha(parts)).toBe(expected)
  })

  test('by pipeline(), through a transform, into a file', async () => {
    const path = file('copy.bin')
    const pass = new Transform({ transform: (part, _encoding, done) => done(null, part) })
    await pipeline(bytes(stream()), pass, createWriteStream(path))
    expect(sha(readFileSync(path))).toBe(expected)
  })

  test('by Readable.from()', async () => {
    const parts: Buffer[] = []
    await pipeline(Readable.from(bytes(stream())), slow(parts))
    expect(sha(parts)).toBe(expected)
  })

  test('by createReadStream(), piped, iterated and read', async () => {
    const open = () => model.createReadStream('weights', { chunkBytes })
    const [piped, iterated, read]: Buffer[][] = [[], [], []]
    await pipeline(open(), slow(piped as Buffer[]))
    for await (const part of open()) iterated?.push(part as Buffer)
    const readable = open()
    readable.on('readable', () => {
      for (let part = readable.read(); part !== null; part = readable.read()) read?.push(part)
    })
    await once(readable as unknown as Readable, 'end')
    expect([piped, iterated, read].map((parts) => sha(parts as Buffer[]))).toEqual([expected, expected, expected])
  })
})

test('an HTTP response sends equal bytes, written, piped and as a Web stream', async () => {
  const server = createServer(async ({ url }, response) => {
    if (url === '/written') {
      for await (const { data } of model.stream({ chunkBytes: 64 * KiB })) {
        if (!response.write(data)) await once(response, 'drain')
      }
      response.end()
    } else if (url === '/piped') await pipeline(model.createReadStream('weights'), response)
    else await pipeline(Readable.toWeb(model.createReadStream('weights') as unknown as Readable), response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const path of ['/written', '/piped', '/web']) {
    const [response] = (await once(request({ port, path }).end(), 'response')) as [Readable]
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part)
    expect(sha(parts)).toBe(expected)
  }
  server.close()
})

describe('a chunk that is its consumer’s own', () => {
  const sample = GgufFile.open(samplePath)
  const all = sampleBytes()
  afterAll(() => sample.close())
  const isRight = ({ tensor, byteStart, byteEnd }: TensorChunk, data: Uint8Array) =>
    stored(all, tensorOf(sample, tensor)).subarray(byteStart, byteEnd).equals(data)

  test.each([1000, 64 * KiB, MiB])(
    'of %d bytes stays as it is after the stream, its pool and its file',
    async (chunkBytes) => {
      const pool = new StagingPool()
      using opened = GgufFile.open(samplePath)
      const kept: { chunk: TensorChunk; data: Uint8Array }[] = []
      for await (const chunk of opened.stream({ staging: pool, chunkBytes })) kept.push({ chunk, data: chunk.data })
      await settled(pool)
      pool.close()
      expect(
        kept.every(({ chunk, data }) => chunk.data === data && chunk.keep() === data && isRight(chunk, data)),
      ).toBe(true)
      expect(kept.every(({ data }) => data.byteOffset === 0 && data.buffer.byteLength === data.byteLength)).toBe(true)
    },
  )

  test('has nothing after release(), while arrays taken before stay', async () => {
    const stream = sample.stream()
    const chunk = (await stream.next()).value as TensorChunk<'raw'>
    const { data } = chunk
    chunk.release()
    chunk.release()
    chunk[Symbol.dispose]()
    expect([chunk.data.length, isRight(chunk, data)]).toEqual([0, true])
    thrownBy(ReleasedError, () => chunk.keep())
    await stream.return()
  })

  test('keeps the type of its form, and may be moved to a thread', async () => {
    for (const [as, type] of [
      ['f32', Float32Array],
      ['f16', Uint16Array],
      ['raw', Uint8Array],
    ] as const) {
      for await (const chunk of sample.stream({ as, chunkBytes: 4096 })) {
        const { data } = chunk
        const copy = data.slice()
        const moved = structuredClone(data, { transfer: [data.buffer as ArrayBuffer] })
        expect([
          data.length,
          moved.constructor.name === type.name,
          Buffer.compare(Buffer.from(moved.buffer), Buffer.from(copy.buffer)),
        ]).toEqual([0, true, 0])
        chunk.release() // There is nothing left to let go of.
        expect(chunk.data).toHaveLength(0)
        break
      }
    }
  })

  test('holds nothing of the pool: its unit is back before the consumer goes on', async () => {
    const pool = new StagingPool()
    const stream = model.stream({ staging: pool, chunkBytes: 64 * KiB })
    const seen: TensorChunk[] = []
    for (let count = 0; count < 100; count++) seen.push((await stream.next()).value as TensorChunk)
    expect(pool.stats().inUseBytes).toBeLessThanOrEqual(3 * MiB)
    await stream.return()
    await settled(pool)
    expect(sha(seen.map(({ data }) => data as Buffer))).toBe(sha(weights.data.subarray(0, 100 * 64 * KiB)))
  })
})

describe('createReadStream()', () => {
  test('converts: the bytes of its numbers', async () => {
    using sample = GgufFile.open(samplePath)
    const floats = await sample.load('output_norm.weight', { as: 'f32' })
    const parts: Buffer[] = []
    for await (const part of sample.createReadStream('output_norm.weight', { as: 'f32', chunkBytes: 100 }))
      parts.push(part as Buffer)
    expect([parts.length > 5, sha(parts)]).toEqual([true, sha(Buffer.from(floats.buffer))])
  })

  test('is a Readable, which reads no further ahead than it is told', async () => {
    const pool = new StagingPool()
    const stream = model.createReadStream('weights', { staging: pool, chunkBytes: 64 * KiB, highWaterMark: 128 * KiB })
    expect(stream).toBeInstanceOf(Readable)
    expect(stream.readableHighWaterMark).toBe(128 * KiB)
    stream.on('readable', () => {})
    await pause(50)
    expect(stream.readableLength).toBeLessThanOrEqual(192 * KiB)
    stream.destroy()
    await once(stream as unknown as Readable, 'close')
    await settled(pool)
    expect(pool.stats().inUseBytes).toBe(0)
  })

  test('is ended by destroy(), by leaving its loop and by a consumer that fails: its buffers are back by then', async () => {
    for (const leave of ['destroy', 'break', 'sink'] as const) {
      const pool = new StagingPool()
      const stream = model.createReadStream('weights', { staging: pool, chunkBytes: 64 * KiB })
      const mine = new Error('mine')
      const sink = new Writable({ write: (_part, _encoding, done) => done(mine) })
      const closed = new Promise((resolve) => stream.once('close', resolve))
      if (leave === 'sink') await expect(pipeline(stream, sink)).rejects.toBe(mine)
      else if (leave === 'break') for await (const _ of stream) break
      else {
        const failed = once(stream as unknown as Readable, 'error')
        await new Promise((resolve) => stream.once('data', resolve))
        expect((await Promise.all([failed, stream.destroy(mine)]))[0]).toEqual([mine])
      }
      await closed
      expect([stream.destroyed, pool.stats().inUseBytes]).toEqual([true, 0])
    }
  })

  test.each(['before', 'after'])(
    'ends with an AbortError caused by the reason of its signal, aborted %s it began',
    async (when) => {
      const controller = new AbortController()
      const reason = new Error('enough')
      if (when === 'before') controller.abort(reason)
      const stream = model.createReadStream('weights', { signal: controller.signal })
      const failed = once(stream as unknown as Readable, 'error')
      if (when === 'after') stream.once('data', () => controller.abort(reason))
      const [error] = await failed
      expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    },
  )

  test('ends with the errors of its file, and throws at once what is wrong with its options', async () => {
    const pool = new StagingPool()
    const stream = model.createReadStream('weights', { staging: pool })
    pool.close()
    await rejectedBy(ReleasedError, pipeline(stream, slow([])))
    for (const [name, options] of [
      ['weight', {}],
      ['weights', { reuse: true }],
      ['weights', { tensors: [] }],
      ['weights', { highWaterMark: -1 }],
      [1, {}],
    ] as const) {
      thrownBy(InvalidArgumentError, () => model.createReadStream(name as never, options as never))
    }
    expect(AbortError.prototype).toBeInstanceOf(Error)
  })
})
