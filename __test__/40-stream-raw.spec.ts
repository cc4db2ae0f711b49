import {
  GgufFile,
  GiB,
  InvalidArgumentError,
  type LoadProgress,
  MiB,
  ReleasedError,
  StagingPool,
  type TensorChunk,
  UnsupportedTypeError,
} from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { gguf, randomTensor, type Tensor, tensorTypes } from './helpers/gguf-writer'
import { joined, sampleBytes, samplePath, scratch, stored, tensorOf, written } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const { F32, I8, Q4_0, Q4_K, Q6_K } = tensorTypes
const file = scratch()

const model = GgufFile.open(samplePath)
const bytes = sampleBytes()
afterAll(() => model.close())

/** Where the chunks of a stream lie, without their data. */
async function places(chunks: AsyncIterable<TensorChunk>): Promise<Omit<TensorChunk, 'data'>[]> {
  const list = []
  for await (const { tensor, elementStart, elementEnd, byteStart, byteEnd } of chunks) {
    list.push({ tensor, elementStart, elementEnd, byteStart, byteEnd })
  }
  return list as Omit<TensorChunk, 'data'>[]
}

/** What all tensors of crafted bytes come out as. */
const streamed = (crafted: Buffer, chunkBytes?: number): Promise<Map<string, Buffer>> =>
  joined(GgufFile.fromBytes(crafted).stream(chunkBytes === undefined ? {} : { chunkBytes }))

describe('the stored bytes', () => {
  test.each([1, 13, 64, 1000, 1024].map((kib) => kib * 1024).concat(408, 1 << 30))(
    'come whole and unchanged in chunks of at most %d bytes',
    async (chunkBytes) => {
      const tensors = await joined(model.stream({ chunkBytes }))
      expect([...tensors.keys()]).toEqual(model.tensors.map(({ name }) => name))
      for (const [name, data] of tensors)
        expect([name, data.equals(stored(bytes, tensorOf(model, name)))]).toEqual([name, true])
    },
  )

  test('come one block at a time if so asked', async () => {
    for (const type of ['Q4_K', 'Q6_K', 'Q8_0', 'F16', 'F32']) {
      const info = model.tensors.find((tensor) => tensor.type === type) ?? model.tensors[0]
      if (!info) throw new Error('expected tensors')
      const sizes = new Set<number>()
      const stream = model.stream({ tensors: [info.name], chunkBytes: info.blockBytes })
      for await (const { data } of stream) sizes.add(data.length)
      expect([...sizes]).toEqual([info.blockBytes])
      const again = await joined(model.stream({ tensors: [info.name], chunkBytes: info.blockBytes }))
      expect(again.get(info.name)?.equals(stored(bytes, info))).toBe(true)
    }
  })

  test('come from memory as from a file', async () => {
    const [fromFile, fromMemory] = [await joined(model.stream()), await streamed(bytes)]
    expect([...fromMemory.keys()]).toEqual([...fromFile.keys()])
    for (const [name, data] of fromMemory) expect(fromFile.get(name)?.equals(data)).toBe(true)
  })

  test('come right from two streams at once, each at its own pace', async () => {
    const streams = [1024, 3000, 70_000, MiB].map((chunkBytes) => joined(model.stream({ chunkBytes })))
    const [first, ...rest] = await Promise.all(streams)
    for (const other of rest) for (const [name, data] of other) expect(first?.get(name)?.equals(data)).toBe(true)
  })
})

describe('chunks', () => {
  test.each([408, 1024, 5000, 100_000, MiB])(
    'of at most %d bytes end on whole blocks and follow each other without a gap',
    async (chunkBytes) => {
      const ends = new Map<string, [element: number, byte: number]>()
      for await (const chunk of model.stream({ chunkBytes })) {
        const { blockBytes, blockElements } = tensorOf(model, chunk.tensor)
        expect([chunk.elementStart, chunk.byteStart]).toEqual(ends.get(chunk.tensor) ?? [0, 0])
        const blocks = (chunk.byteEnd - chunk.byteStart) / blockBytes
        expect(Number.isInteger(blocks) && blocks > 0).toBe(true)
        expect(chunk.elementEnd - chunk.elementStart).toBe(blocks * blockElements)
        expect(chunk.data.length).toBe(chunk.byteEnd - chunk.byteStart)
        expect(chunk.data.length).toBeLessThanOrEqual(chunkBytes)
        ends.set(chunk.tensor, [chunk.elementEnd, chunk.byteEnd])
      }
      const whole = model.tensors.map((info) => [info.name, [info.elementCount, info.sizeBytes]])
      expect([...ends]).toEqual(whole)
    },
  )

  test('are as large as the size allows', async () => {
    const info = model.tensors.find(({ type }) => type === 'Q4_K') as { name: string; sizeBytes: number }
    const list = await places(model.stream({ tensors: [info.name], chunkBytes: 1000 }))
    for (const { byteStart, byteEnd } of list.slice(0, -1)) expect(byteEnd - byteStart).toBe(6 * 144)
  })

  test('hold no more than one tensor each, even where the size has room for many', async () => {
    const list = await places(model.stream({ chunkBytes: GiB }))
    expect(list.map(({ tensor }) => tensor)).toEqual(model.tensors.map(({ name }) => name))
  })
})

describe('tensors', () => {
  test('come in the order in which they are named', async () => {
    const names = model.tensors.map(({ name }) => name).reverse()
    const list = await places(model.stream({ tensors: names }))
    expect([...new Set(list.map(({ tensor }) => tensor))]).toEqual(names)
  })

  test('may be none: an empty list, or a file without any', async () => {
    expect(await places(model.stream({ tensors: [] }))).toEqual([])
    expect(await streamed(gguf({}))).toEqual(new Map())
  })

  test('without elements have no chunk', async () => {
    const none = (name: string): Tensor => ({ name, type: Q4_K, dims: [0, 5], data: new Uint8Array(0) })
    const full = randomTensor('full', Q4_K, 2)
    const crafted = gguf({ tensors: [none('first'), full, none('last')] })
    expect(await streamed(crafted)).toEqual(new Map([['full', full.data]]))
    const only = GgufFile.fromBytes(gguf({ tensors: [none('a'), none('b')] }))
    expect(await places(only.stream({ as: 'f32' }))).toEqual([])
    expect(await only.load('a', { as: 'f32' })).toHaveLength(0)
    expect(await only.load('a', { into: new ArrayBuffer(0) })).toHaveLength(0)
  })

  test('may lie apart and in any order', async () => {
    const tensors = [
      { ...randomTensor('third', Q6_K, 7, 3), offset: 3 * MiB },
      { ...randomTensor('first', Q4_0, 9, 4), offset: 64 },
      { ...randomTensor('second', I8, 5001, 5), offset: 8192 },
      { ...randomTensor('fourth', F32, 1, 6), offset: 3 * MiB + 4096 },
    ]
    const path = written(file('apart.gguf'), { tensors })
    using apart = GgufFile.open(path)
    for (const chunkBytes of [210, 4096, MiB]) {
      const found = await joined(apart.stream({ chunkBytes }))
      expect([...found.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort())
      for (const { name, data } of tensors) expect(found.get(name)).toEqual(data)
    }
  })

  test('by default come in the order of their data, so that the file is read forwards', async () => {
    const tensors = [
      { ...randomTensor('b', I8, 64), offset: 64 },
      { ...randomTensor('a', I8, 64), offset: 0 },
    ]
    const reversed = GgufFile.fromBytes(gguf({ tensors }))
    expect((await places(reversed.stream())).map(({ tensor }) => tensor)).toEqual(['a', 'b'])
  })

  test('of thousands of tiny ones all come', async () => {
    const tensors = Array.from({ length: 5000 }, (_, i) => randomTensor(`tensor ${i}`, I8, 1 + (i % 40), i + 1))
    const found = await streamed(gguf({ tensors, alignment: 1 }))
    expect(found.size).toBe(tensors.length)
    for (const { name, data } of tensors) expect(found.get(name)?.equals(data)).toBe(true)
  })

  test('larger than a unit come whole, after small ones and before', async () => {
    const tensors = [randomTensor('a', I8, 3), randomTensor('b', Q6_K, 20_000, 7), randomTensor('c', I8, 5)]
    const crafted = gguf({ tensors })
    for (const chunkBytes of [210, 4096, MiB, 5 * MiB]) {
      const found = await streamed(crafted, chunkBytes)
      for (const { name, data } of tensors) expect(found.get(name)?.equals(data)).toBe(true)
    }
  })
})

describe('a request that cannot be met', () => {
  const refusedArgument = (options: object): string =>
    thrownBy(InvalidArgumentError, () => model.stream(options as never)).argument

  test.each([
    0,
    -1,
    -4096,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    1n,
    '1024',
    null,
    {},
    Object.create(null),
  ])('chunkBytes must not be %p', (chunkBytes) => {
    expect(refusedArgument({ chunkBytes })).toBe('chunkBytes')
  })

  test('chunkBytes must hold one block of every tensor asked for', async () => {
    expect(refusedArgument({ chunkBytes: 209 })).toBe('chunkBytes')
    expect(refusedArgument({ chunkBytes: 1023, as: 'f32' })).toBe('chunkBytes')
    const { message } = thrownBy(InvalidArgumentError, () => model.stream({ chunkBytes: 209 }))
    expect(message).toMatch(/210.*Q6_K/)
    const norm = { tensors: ['output_norm.weight'], chunkBytes: 4 }
    expect(await joined(model.stream(norm))).toHaveProperty('size', 1)
  })

  test('chunkBytes must be at most 1 GiB', async () => {
    expect(refusedArgument({ chunkBytes: GiB + 1 })).toBe('chunkBytes')
    expect((await joined(model.stream({ chunkBytes: GiB }))).size).toBe(39)
  })

  test.each(['x', 5, {}, [1], [null], ['output.weight', undefined], new Array(2), null])(
    'tensors must not be %p',
    (tensors) => {
      expect(refusedArgument({ tensors })).toBe('tensors')
    },
  )

  test('an unknown tensor is refused by its name', () => {
    const stream = () => model.stream({ tensors: ['output.weight', 'output.wait'] })
    expect(thrownBy(InvalidArgumentError, stream).received).toContain('output.wait')
  })

  test('a tensor named twice is refused', () => {
    const stream = () => model.stream({ tensors: ['output.weight', 'output_norm.weight', 'output.weight'] })
    expect(thrownBy(InvalidArgumentError, stream)).toMatchObject({
      argument: 'tensors',
      received: expect.stringContaining('output.weight'),
    })
  })

  test.each(['F32', 'raw ', '', 32, null, {}, Object.create(null), ['raw'], 'constructor'])(
    'as must not be %p',
    (as) => {
      expect(refusedArgument({ as })).toBe('as')
    },
  )

  test.each([{}, null, 'abort', new AbortController(), { aborted: false }])('signal must not be %p', (signal) => {
    expect(refusedArgument({ signal })).toBe('signal')
  })

  test.each([{}, null, 'log', 1])('onProgress must not be %p', (onProgress) => {
    expect(refusedArgument({ onProgress })).toBe('onProgress')
  })

  test.each([{}, null, 'pool'])('staging must not be %p', (staging) => {
    expect(refusedArgument({ staging })).toBe('staging')
  })

  test.each([
    ['chunkbytes', 'chunkBytes'],
    ['tensor', 'tensors'],
    ['onprogress', 'onProgress'],
    ['sginal', 'signal'],
  ])('the misspelt option %s is refused and %s named', (wrong, right) => {
    const stream = () => model.stream({ [wrong]: undefined } as never)
    expect(thrownBy(InvalidArgumentError, stream).message).toContain(`did you mean "${right}"?`)
  })

  test.each([null, 5, 'raw', true])('options must not be %p', (options) => {
    expect(thrownBy(InvalidArgumentError, () => model.stream(options as never)).argument).toBe('options')
  })

  test('a pool that was closed gives no buffers', async () => {
    const pool = new StagingPool()
    pool.close()
    await rejectedBy(ReleasedError, joined(model.stream({ staging: pool })))
  })
})

describe('a type that cannot be converted', () => {
  const odd = randomTensor('odd', I8, 352)
  const crafted = GgufFile.fromBytes(gguf({ tensors: [randomTensor('plain', F32, 5), odd] }))

  test.each(['f32', 'f16', 'bf16'] as const)('is refused as %s before anything is read', async (as) => {
    const details = { code: 'ERR_UNSUPPORTED_TYPE', tensor: 'odd', typeId: 24, typeName: 'I8' }
    expect(thrownBy(UnsupportedTypeError, () => crafted.stream({ as }))).toMatchObject(details)
    expect(await rejectedBy(UnsupportedTypeError, crafted.load('odd', { as }))).toMatchObject(details)
  })

  test('does not stand in the way of the others', async () => {
    expect((await joined(crafted.stream({ as: 'f32', tensors: ['plain'] }))).get('plain')).toHaveLength(20)
  })

  test('comes raw', async () => {
    expect((await joined(crafted.stream())).get('odd')).toEqual(odd.data)
    expect(Buffer.from(await crafted.load('odd'))).toEqual(odd.data)
  })
})

describe('progress', () => {
  test('is told with every chunk, and ends with all bytes', async () => {
    const told: LoadProgress[] = []
    const list = await places(
      model.stream({ chunkBytes: 100_000, onProgress: (progress) => told.push({ ...progress }) }),
    )
    const totalBytes = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    let loadedBytes = 0
    const expected = list.map(({ tensor, byteStart, byteEnd }, i) => {
      loadedBytes += byteEnd - byteStart
      const { elapsedMs, bytesPerSecond } = told[i] as LoadProgress
      const remainingMs = bytesPerSecond > 0 ? ((totalBytes - loadedBytes) * 1000) / bytesPerSecond : undefined
      return { tensor, chunks: i + 1, loadedBytes, totalBytes, elapsedMs, bytesPerSecond, remainingMs, io: 'read' }
    })
    expect(told).toEqual(expected)
    expect(told.every(({ elapsedMs }, i) => elapsedMs >= (told[i - 1]?.elapsedMs ?? 0))).toBe(true)
    expect(loadedBytes).toBe(totalBytes)
  })

  test('counts stored bytes, whatever they come out as', async () => {
    const told: number[] = []
    const tensors = ['output.weight']
    for await (const _ of model.stream({
      tensors,
      as: 'f32',
      onProgress: (p) => told.push(p.loadedBytes, p.totalBytes),
    }));
    const { sizeBytes } = tensorOf(model, 'output.weight')
    expect(told.slice(-2)).toEqual([sizeBytes, sizeBytes])
  })
})
