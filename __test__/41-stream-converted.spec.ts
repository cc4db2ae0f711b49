import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  GgufFile,
  InvalidArgumentError,
  MiB,
  type TensorChunk,
  type TensorInfo,
  tensorDataBytes,
  UnsupportedTypeError,
} from 'plimsoll'
import { root } from './helpers/child'
import {
  firstDifference,
  halfToNumber,
  numberToHalf,
  toBfloats,
  toF16,
  toF32,
  toHalves,
  widened,
} from './helpers/dequantize'
import { thrownBy } from './helpers/errors'
import { gguf, randomTensor, tensorTypes } from './helpers/gguf-writer'
import { joined, sampleBytes, samplePath, stored } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const { F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q6_K } = tensorTypes
const types = { F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q6_K }

/** Random blocks of every type: scales of any size, zeros, infinities and not-a-numbers among them. */
const tensors = Object.entries(types).map(([name, type], i) =>
  randomTensor(name, type, Math.ceil(30_000 / type.elements), i + 11),
)
const crafted = GgufFile.fromBytes(gguf({ tensors }))
const expected = tensors.map(({ name, data }) => {
  const bytes = Buffer.from(data)
  return { name, f32: toF32(name, bytes), f16: toF16(name, bytes) }
})

const floats = (bytes: Buffer | undefined): Float32Array => new Float32Array(Uint8Array.from(bytes ?? []).buffer)
const halves = (bytes: Buffer | undefined): Uint16Array => new Uint16Array(Uint8Array.from(bytes ?? []).buffer)

describe('random blocks', () => {
  test.each([1024, 5000, 65_536, MiB, 3 * MiB])(
    'come out as f32 bit for bit, in chunks of %d bytes',
    async (chunkBytes) => {
      const found = await joined(crafted.stream({ as: 'f32', chunkBytes }))
      for (const { name, f32 } of expected) {
        expect([name, firstDifference(floats(found.get(name)), f32)]).toEqual([name, -1])
      }
    },
  )

  test.each([512, 5000, 65_536, MiB, 3 * MiB])(
    'come out as f16 bit for bit, in chunks of %d bytes',
    async (chunkBytes) => {
      const found = await joined(crafted.stream({ as: 'f16', chunkBytes }))
      for (const { name, f16 } of expected) {
        expect([name, firstDifference(halves(found.get(name)), f16)]).toEqual([name, -1])
      }
    },
  )

  test.each(Object.keys(types))('of %s load as they stream', async (name) => {
    const want = expected.find((tensor) => tensor.name === name)
    if (!want) throw new Error('expected one of each type')
    expect(firstDifference(await crafted.load(name, { as: 'f32' }), want.f32)).toBe(-1)
    expect(firstDifference(await crafted.load(name, { as: 'f16' }), want.f16)).toBe(-1)
  })

  test('come out the same in reverse order, where no read serves two tensors', async () => {
    const names = tensors.map(({ name }) => name).reverse()
    const found = await joined(crafted.stream({ as: 'f32', tensors: names }))
    expect([...found.keys()]).toEqual(names)
    for (const { name, f32 } of expected) expect(firstDifference(floats(found.get(name)), f32)).toBe(-1)
  })
})

describe('every type that ggml defines', () => {
  const { I8, I16, I32, I64, ...convertible } = tensorTypes
  const vector = (name: string, suffix: string): Buffer =>
    readFileSync(resolve(root, `crates/gguf-dequant/tests/vectors/${name.toLowerCase()}.${suffix}`))
  const every = GgufFile.fromBytes(
    gguf({
      tensors: Object.entries(convertible).map(([name, type]) => {
        const data = vector(name, 'blocks')
        return { name, type, dims: [(data.length / type.bytes) * type.elements], data }
      }),
    }),
  )

  test.each(Object.keys(convertible))('%s comes out as its vectors say', async (name) => {
    const f32 = floats(vector(name, 'f32'))
    expect(every.tensor(name)).toMatchObject({ type: name, convertible: true })
    expect(firstDifference(await every.load(name, { as: 'f32' }), f32)).toBe(-1)
    expect(firstDifference(await every.load(name, { as: 'f16' }), halves(vector(name, 'f16')))).toBe(-1)
    const bf16 = await every.load(name, { as: 'bf16' })
    expect(bf16).toBeInstanceOf(Uint16Array)
    expect(firstDifference(widened(bf16), widened(toBfloats(f32)))).toBe(-1)
  })

  test.each(Object.entries({ I8, I16, I32, I64 }))('%s, of whole numbers, comes raw alone', async (name, type) => {
    const tensor = randomTensor(name, type, 9)
    const model = GgufFile.fromBytes(gguf({ tensors: [tensor] }))
    expect(model.tensor(name)).toMatchObject({ type: name, convertible: false })
    expect(Buffer.from(await model.load(name))).toEqual(tensor.data)
    await rejectedBy(UnsupportedTypeError, model.load(name, { as: 'f32' }))
  })
})

describe('all half-floats', () => {
  const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i)
  const all = { name: 'all', type: F16, dims: [65_536], data: Buffer.from(bits.buffer) }
  const model = GgufFile.fromBytes(gguf({ tensors: [all] }))

  test('widen to the numbers they stand for', async () => {
    expect(firstDifference(await model.load('all', { as: 'f32' }), Float32Array.from(bits, halfToNumber))).toBe(-1)
  })

  test('stay as they are, not-a-numbers apart', async () => {
    expect(firstDifference(await model.load('all', { as: 'f16' }), bits)).toBe(-1)
  })
})

test('f16 rounds to the nearest, ties to even, and becomes infinite beyond 65504', async () => {
  const values = [
    65_504,
    65_519.996,
    65_520,
    -65_520,
    1e30,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    2 ** -24,
    2 ** -25,
    3 * 2 ** -25,
  ]
  const wanted = [65_504, 65_504, Infinity, -Infinity, Infinity, 1, 1 + 2 ** -9, 2 ** -24, 0, 2 ** -23]
  const data = Buffer.from(Float32Array.from(values).buffer)
  const model = GgufFile.fromBytes(gguf({ tensors: [{ name: 'a', type: F32, dims: [values.length], data }] }))
  const bits = await model.load('a', { as: 'f16' })
  expect(Array.from(bits, halfToNumber)).toEqual(wanted)
  expect(Array.from(bits)).toEqual(values.map((value) => numberToHalf(Math.fround(value))))
})

describe('the sample model', () => {
  const model = GgufFile.open(samplePath)
  const bytes = sampleBytes()
  const wanted = model.tensors.map((info) => {
    const f32 = toF32(info.type, stored(bytes, info))
    return { name: info.name, f32, f16: toHalves(f32) }
  })

  test.each([1024, 10_000, MiB])('comes out as f32 and f16 bit for bit, in chunks of %d bytes', async (chunkBytes) => {
    const f32 = await joined(model.stream({ as: 'f32', chunkBytes }))
    const f16 = await joined(model.stream({ as: 'f16', chunkBytes }))
    for (const want of wanted) {
      expect([want.name, firstDifference(floats(f32.get(want.name)), want.f32)]).toEqual([want.name, -1])
      expect([want.name, firstDifference(halves(f16.get(want.name)), want.f16)]).toEqual([want.name, -1])
    }
  })

  test.each(['f32', 'f16', 'bf16'] as const)(
    'comes as %s in chunks that end on whole blocks and hold what they say',
    async (as) => {
      const [type, elementBytes] = as === 'f32' ? [Float32Array, 4] : [Uint16Array, 2]
      const ends = new Map<string, number>()
      const chunks: AsyncIterable<TensorChunk> = model.stream({ as, chunkBytes: 4000 })
      for await (const { data, tensor, elementStart, elementEnd, byteStart, byteEnd } of chunks) {
        expect(data).toBeInstanceOf(type)
        expect(data.byteLength).toBeLessThanOrEqual(4000)
        expect(data.byteLength).toBe(data.length * elementBytes)
        expect(data.length).toBe(elementEnd - elementStart)
        expect(elementStart).toBe(ends.get(tensor) ?? 0)
        const { blockElements, blockBytes } = model.tensor(tensor) ?? { blockElements: 1, blockBytes: 1 }
        expect([elementStart / blockElements, elementEnd / blockElements]).toEqual([
          byteStart / blockBytes,
          byteEnd / blockBytes,
        ])
        ends.set(tensor, elementEnd)
      }
      expect([...ends]).toEqual(model.tensors.map(({ name, elementCount }) => [name, elementCount]))
    },
  )
})

describe('a small tensor', () => {
  test('comes right in chunks of a single element', async () => {
    using model = GgufFile.open(samplePath)
    const whole = await model.load('output_norm.weight', { as: 'f32' })
    const elements: number[] = []
    for await (const { data } of model.stream({ as: 'f32', tensors: ['output_norm.weight'], chunkBytes: 4 })) {
      elements.push(...data)
    }
    expect(elements).toEqual([...whole])
  })

  test.each(['raw', 'f32', 'f16', 'bf16'] as const)('takes the bytes that tensorDataBytes says, as %s', async (as) => {
    using model = GgufFile.open(samplePath)
    const tensor = model.tensor('output_norm.weight') as TensorInfo
    expect((await model.load(tensor.name, { as })).byteLength).toBe(tensorDataBytes(tensor, as))
    expect(() => tensorDataBytes(tensor, 'f64' as never)).toThrow(InvalidArgumentError)
  })

  test.each<[given: unknown, as: string, argument: string]>([
    [undefined, 'f32', 'tensor'],
    [7, 'raw', 'tensor'],
    [{}, 'f32', 'tensor.elementCount'],
    [{ sizeBytes: 0.5 }, 'raw', 'tensor.sizeBytes'],
    [{ sizeBytes: 1, elementCount: 1 }, 'f64', 'as'],
  ])('what is no tensor, or no form, is named: %j as %s', (given, as, argument) => {
    expect(thrownBy(InvalidArgumentError, () => tensorDataBytes(given as never, as as never)).argument).toBe(argument)
  })
})
