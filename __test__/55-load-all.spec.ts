import {
  AbortError,
  GgufFile,
  InsufficientMemoryError,
  InvalidArgumentError,
  type LoadProgress,
  MemoryManager,
  MemoryPool,
  MiB,
  ReleasedError,
  StagingPool,
  tensorDataBytes,
  UnsupportedTypeError,
} from 'plimsoll'
import { randomTensor, tensorTypes } from './helpers/gguf-writer'
import { sampleBytes, samplePath, scratch, stored, tensorOf, writeSparseTensors, written } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const { F32, I8 } = tensorTypes
const file = scratch()
const model = GgufFile.open(samplePath)
const whole = sampleBytes()
afterAll(() => model.close())

const bytesOf = (data: ArrayBufferView): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)

/** As a comparison of millions of elements one by one would not end soon. */
function expectSame(found: ArrayBufferView, expected: ArrayBufferView): void {
  expect(found.byteLength).toBe(expected.byteLength)
  expect(bytesOf(found).equals(bytesOf(expected))).toBe(true)
}

const expectStored = (name: string, data: ArrayBufferView): void =>
  expectSame(data, stored(whole, tensorOf(model, name)))

test('all tensors come by name, in the order of their data, as new arrays', async () => {
  const all = await model.loadAll()
  const places = [...model.tensors].sort((a, b) => a.offsetBytes - b.offsetBytes)
  expect([...all.keys()]).toEqual(places.map(({ name }) => name))
  for (const [name, data] of all) expectStored(name, data)
})

test('a filter chooses, an order orders, and a form converts', async () => {
  const filter = ({ name }: { name: string }) => name.startsWith('blk.1.')
  const order = (a: { name: string }, b: { name: string }) => (a.name < b.name ? 1 : -1)
  const some = await model.loadAll({ as: 'f32', filter, order, threads: 2 })
  const names = model.tensors.map(({ name }) => name).filter((name) => name.startsWith('blk.1.'))
  expect([...some.keys()]).toEqual(names.sort().reverse())
  for (const [name, data] of some) expectSame(data, await model.load(name, { as: 'f32' }))
  expect(await model.loadAll({ filter: () => false })).toEqual(new Map())
})

test('a plan gives each tensor its place: arrays, staging and device memory, and new memory for the rest', async () => {
  const pool = await MemoryPool.create({ device: 'host' })
  const staging = new StagingPool()
  const [mine, staged, buffer] = [new Uint8Array(2 * MiB), staging.get(2 * MiB), await pool.allocateAsync(2 * MiB)]
  const [a, b, c, ...rest] = model.tensors.map(({ name }) => name) as [string, string, string, ...string[]]
  const places = new Map<string, typeof mine | typeof buffer>([
    [a, mine],
    [b, staged.data],
    [c, buffer],
  ])
  for (const into of [places, ({ name }: { name: string }) => places.get(name)]) {
    for (const array of [mine, staged.data]) array.fill(0)
    const all = await model.loadAll({ into })
    expect(all.size).toBe(rest.length + 3)
    expect(all.get(c)).toBe(buffer)
    const read = await buffer.read({ lengthBytes: tensorOf(model, c).sizeBytes })
    expectStored(c, read)
    for (const [name, place] of [
      [a, mine],
      [b, staged.data],
    ] as const) {
      const loaded = all.get(name) as Uint8Array
      expect(loaded.buffer).toBe(place.buffer)
      expectStored(name, loaded)
    }
  }
  staged.release()
  await pool.close()
})

test('a pool gives a buffer for each tensor, and has them all back when the load fails', async () => {
  const pool = await MemoryPool.create({ device: 'host' })
  const buffers = await model.loadAll({ into: pool, as: 'f16', threads: 3, filter: ({ convertible }) => convertible })
  for (const [name, buffer] of buffers) {
    const info = tensorOf(model, name)
    expect(buffer.sizeBytes).toBeGreaterThanOrEqual(tensorDataBytes(info, 'f16'))
    const read = await buffer.read({ lengthBytes: tensorDataBytes(info, 'f16') })
    expectSame(read, await model.load(name, { as: 'f16' }))
    buffer.release()
  }
  const controller = new AbortController()
  const { signal } = controller
  await rejectedBy(AbortError, model.loadAll({ into: pool, signal, onProgress: () => controller.abort() }))
  expect(pool.stats().bufferCount).toBe(0)
  const small = await MemoryPool.create({ device: 'host', maxBytes: 2 * MiB, slabBytes: 2 * MiB })
  await rejectedBy(InsufficientMemoryError, model.loadAll({ into: small, as: 'f32' }))
  expect(small.stats().bufferCount).toBe(0)
  await small.close()
  await pool.close()
})

test('progress counts all tensors, with the rate and the time that is left', async () => {
  const told: LoadProgress[] = []
  const { sizeBytes } = tensorOf(model, model.tensors[0]?.name as string)
  // One array is of the caller's, and filled in a pass of its own.
  const into = new Map([[model.tensors[0]?.name as string, new Uint8Array(sizeBytes)]])
  await model.loadAll({ into, onProgress: (progress) => told.push(progress) })
  const totalBytes = model.tensors.reduce((sum, tensor) => sum + tensor.sizeBytes, 0)
  expect(told.map(({ chunks }) => chunks)).toEqual(told.map((_, i) => i + 1))
  expect(told.at(-1)).toMatchObject({ loadedBytes: totalBytes, totalBytes, remainingMs: 0 })
  expect(told.at(-1)?.bytesPerSecond).toBeGreaterThan(0)
})

test('whatever is the matter is told before a byte is taken or written', async () => {
  const path = written(file('mixed.gguf'), { tensors: [randomTensor('a', F32, 8), randomTensor('whole', I8, 8)] })
  const mixed = GgufFile.open(path)
  const pool = await MemoryPool.create({ device: 'host' })
  await rejectedBy(UnsupportedTypeError, mixed.loadAll({ as: 'f32', into: pool }))
  expect(pool.stats().bufferCount).toBe(0)
  const [right, small] = [new Uint8Array(32), new Uint8Array(7)]
  await rejectedBy(
    InvalidArgumentError,
    mixed.loadAll({
      into: new Map([
        ['a', right],
        ['whole', small],
      ]),
    }),
  )
  expect(right).toEqual(new Uint8Array(32))
  const unfit = await rejectedBy(InvalidArgumentError, mixed.loadAll({ into: () => 3 as never }))
  expect(unfit.argument).toBe('into of "a"')
  for (const options of [{ into: 3 }, { filter: 1 }, { order: 'name' }, { nto: new Map() }]) {
    await rejectedBy(InvalidArgumentError, mixed.loadAll(options as never))
  }
  await pool.close()
  mixed.close()
})

test('new memory that the machine has not got is refused, and not taken', async () => {
  const huge = GgufFile.open(writeSparseTensors(file('huge.gguf'), I8, 2 ** 31, 512))
  const { rss } = process.memoryUsage()
  const error = await rejectedBy(InsufficientMemoryError, huge.loadAll())
  expect(error).toMatchObject({ label: 'loaded tensors', requestedBytes: 2 ** 40 })
  expect(process.memoryUsage().rss - rss).toBeLessThan(64 * MiB)
  // Streaming it takes a few megabytes.
  for await (const chunk of huge.stream()) if (chunk.byteEnd > 4 * MiB) break
  huge.close()
})

test('memory that two tensors would share is refused before a byte of it is written', async () => {
  const path = written(file('two.gguf'), { tensors: [randomTensor('a', F32, 4096), randomTensor('b', F32, 4096)] })
  const two = GgufFile.open(path)
  const pool = await MemoryPool.create({ device: 'host' })
  const [plain, staging, buffer] = [new Uint8Array(MiB), new StagingPool(), await pool.allocateAsync(MiB)]
  const staged = staging.get(MiB)
  const places: ((name: string) => Uint8Array | ArrayBuffer | typeof buffer)[] = [
    () => plain,
    (name) => (name === 'a' ? plain.subarray(0, 20_000) : plain.subarray(16_380)),
    (name) => (name === 'a' ? staged.data : new Uint8Array(staged.data.buffer)),
    () => buffer,
  ]
  for (const place of places) {
    for (const threads of [1, 4]) {
      const error = await rejectedBy(InvalidArgumentError, two.loadAll({ into: ({ name }) => place(name), threads }))
      expect(error.argument).toBe('into')
    }
  }
  expect(plain).toEqual(new Uint8Array(MiB))
  // Side by side they are apart.
  const both = await two.loadAll({
    into: ({ name }) => (name === 'a' ? plain.subarray(0, 16_384) : plain.subarray(16_384)),
  })
  for (const [name, data] of both) expectSame(data as Uint8Array, await two.load(name))
  staged.release()
  await pool.close()
  two.close()
})

test('a pool takes nothing for a request that cannot be met, and one that was closed meanwhile gives nothing', async () => {
  const pool = await MemoryPool.create({ device: 'host' })
  const header = GgufFile.open(samplePath, { headerOnly: true })
  await rejectedBy(InvalidArgumentError, header.loadAll({ into: pool }))
  expect(pool.stats()).toMatchObject({ heldBytes: 0, bufferCount: 0 })
  header.close()
  await rejectedBy(ReleasedError, model.loadAll({ into: pool, onProgress: () => void pool.close() }))
})

test('more tensors than a call has arguments load', async () => {
  const tensors = Array.from({ length: 130_000 }, (_, i) => randomTensor(`t${i}`, I8, 0))
  const many = GgufFile.open(written(file('many.gguf'), { tensors }))
  expect((await many.loadAll()).size).toBe(130_000)
  many.close()
})

test('a load of a manager ends with it', async () => {
  const manager = new MemoryManager()
  const opened = manager.open(samplePath)
  const load = opened.loadAll({ onProgress: () => void manager.close() })
  await rejectedBy(AbortError, load)
})
