import { constants } from 'node:buffer'
import { GgufFile, InvalidArgumentError, type LoadProgress, MiB, type TensorOutput } from 'plimsoll'
import { runChild } from './helpers/child'
import { toBfloats, toF32, toHalves } from './helpers/dequantize'
import { randomTensor, tensorTypes } from './helpers/gguf-writer'
import {
  joined,
  pause,
  sampleBytes,
  samplePath,
  scratch,
  stored,
  tensorOf,
  writeSparse,
  written,
} from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const file = scratch()
const model = GgufFile.open(samplePath)
const bytes = sampleBytes()
afterAll(() => model.close())

/** A tensor of several units: 9 MiB as stored. */
const large = randomTensor('large', tensorTypes.Q8_0, Math.floor((9 * MiB) / 34), 3)
const largeModel = GgufFile.open(written(file('large.gguf'), { tensors: [large] }))
afterAll(() => largeModel.close())

const norm = tensorOf(model, 'output_norm.weight')
const elementBytes = { raw: 1, f32: 4, f16: 2, bf16: 2 }
const dataBytes = (as: TensorOutput, info = norm): number =>
  as === 'raw' ? info.sizeBytes : info.elementCount * elementBytes[as]

/** What a tensor has to come out as, as bytes. */
function wanted(as: TensorOutput, name = norm.name): Buffer {
  const info = tensorOf(model, name)
  const data = stored(bytes, info)
  const f32 = () => toF32(info.type, data)
  const converted = { raw: () => data, f32, f16: () => toHalves(f32()), bf16: () => toBfloats(f32()) }[as]()
  return Buffer.from(converted.buffer, converted.byteOffset, converted.byteLength)
}

const same = (data: Uint8Array | Float32Array | Uint16Array, expected: Buffer): boolean =>
  expected.equals(Buffer.from(data.buffer, data.byteOffset, data.byteLength))

describe.each(['raw', 'f32', 'f16', 'bf16'] as const)('load as %s', (as) => {
  const type = { raw: Uint8Array, f32: Float32Array, f16: Uint16Array, bf16: Uint16Array }[as]

  test('gives the whole tensor in new memory of exactly its size', async () => {
    for (const name of ['output_norm.weight', 'output.weight', 'token_embd.weight', 'blk.0.attn_q.weight']) {
      const data = await model.load(name, { as })
      expect(data).toBeInstanceOf(type)
      expect(data.byteLength).toBe(data.buffer.byteLength)
      expect([name, same(data, wanted(as, name))]).toEqual([name, true])
    }
  })

  test('fills an ArrayBuffer, and the rest of it stays as it was', async () => {
    const into = new ArrayBuffer(dataBytes(as) + 100)
    new Uint8Array(into).fill(0xaa)
    const data = await model.load(norm.name, { as, into })
    expect(data).toBeInstanceOf(type)
    expect([data.buffer === into, data.byteOffset, data.byteLength]).toEqual([true, 0, dataBytes(as)])
    expect(same(data, wanted(as))).toBe(true)
    expect(new Uint8Array(into, dataBytes(as)).every((byte) => byte === 0xaa)).toBe(true)
  })

  test('fills a view at its place, and what lies around it stays as it was', async () => {
    const around = Buffer.alloc(dataBytes(as) + 64, 0xaa)
    const base = around.buffer
    const start = around.byteOffset + 16
    const length = dataBytes(as) + 8
    const views = [
      new Uint8Array(base, start, length),
      Buffer.from(base, start, length),
      new DataView(base, start, length),
    ]
    for (const into of [
      ...views,
      new Float32Array(base, start, length / 4),
      new BigInt64Array(base, start, length / 8),
    ]) {
      around.fill(0xaa)
      const data = await model.load(norm.name, { as, into })
      expect([data.buffer === base, data.byteOffset, data.byteLength]).toEqual([true, start, dataBytes(as)])
      expect(same(data, wanted(as))).toBe(true)
      expect(around.subarray(0, 16).every((byte) => byte === 0xaa)).toBe(true)
      expect(around.subarray(16 + dataBytes(as)).every((byte) => byte === 0xaa)).toBe(true)
    }
  })

  test('fills memory of exactly the size, and refuses one byte less before a byte is written', async () => {
    const exact = new Uint8Array(dataBytes(as))
    expect(same(await model.load(norm.name, { as, into: exact }), wanted(as))).toBe(true)
    const small = new Uint8Array(dataBytes(as) - 1).fill(0xaa)
    const error = await rejectedBy(InvalidArgumentError, model.load(norm.name, { as, into: small }))
    expect(error).toMatchObject({ argument: 'into', received: expect.stringContaining(String(small.length)) })
    expect(error.expected).toContain(String(dataBytes(as)))
    await pause(20)
    expect(small.every((byte) => byte === 0xaa)).toBe(true)
  })

  test('agrees with the stream over a tensor of several units', async () => {
    const streamed = await joined(largeModel.stream({ as }))
    expect(same(await largeModel.load('large', { as }), streamed.get('large') as Buffer)).toBe(true)
    if (as === 'raw') expect(streamed.get('large')?.equals(large.data)).toBe(true)
  })
})

describe('a destination that does not fit', () => {
  test.each([
    ['f32', 1],
    ['f32', 2],
    ['f16', 1],
    ['bf16', 1],
  ] as const)('is refused as %s when it starts %d bytes off an element', async (as, offset) => {
    const into = new Uint8Array(new ArrayBuffer(dataBytes(as) + 8), offset)
    expect(await rejectedBy(InvalidArgumentError, model.load(norm.name, { as, into }))).toMatchObject({
      argument: 'into',
    })
    expect(into.every((byte) => byte === 0)).toBe(true)
  })

  test('may start anywhere when it takes raw bytes', async () => {
    const into = new Uint8Array(new ArrayBuffer(dataBytes('raw') + 8), 3)
    expect(same(await model.load(norm.name, { into }), wanted('raw'))).toBe(true)
  })

  test('is refused when it was detached', async () => {
    for (const into of [new ArrayBuffer(dataBytes('raw')), new Uint8Array(dataBytes('raw'))]) {
      structuredClone(into, { transfer: [ArrayBuffer.isView(into) ? into.buffer : into] })
      expect((await rejectedBy(InvalidArgumentError, model.load(norm.name, { into }))).argument).toBe('into')
    }
  })

  test('is refused when it is shared between threads', async () => {
    const shared = new SharedArrayBuffer(dataBytes('raw'))
    for (const into of [shared, new Uint8Array(shared)]) {
      const loading = model.load(norm.name, { into: into as never })
      expect((await rejectedBy(InvalidArgumentError, loading)).argument).toBe('into')
    }
    expect(new Uint8Array(shared).every((byte) => byte === 0)).toBe(true)
  })

  test('is refused when it can be resized: it could shrink under the reader', async () => {
    const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer
    const buffer = new Resizable(dataBytes('f32'), { maxByteLength: 2 * dataBytes('f32') })
    for (const into of [buffer, new Uint8Array(buffer)]) {
      const loading = model.load(norm.name, { as: 'f32', into })
      expect((await rejectedBy(InvalidArgumentError, loading)).argument).toBe('into')
    }
  })

  test('that shrinks while it is filled does not end the process', () => {
    const { value } = runChild<string>(`
      const model = plimsoll.GgufFile.open(${JSON.stringify(file('large.gguf'))})
      const { elementCount } = model.tensor('large')
      for (let i = 0; i < 10; i++) {
        const into = new ArrayBuffer(elementCount * 4, { maxByteLength: elementCount * 8 })
        const loading = model.load('large', { as: 'f32', into }).catch(() => {})
        setTimeout(() => into.resize(16), 1)
        await loading
      }
      return 'alive'`)
    expect(value).toBe('alive')
  })

  test.each([null, 5, 'memory', {}, [1, 2], new Blob([])])('is refused when it is %p', async (into) => {
    const loading = model.load(norm.name, { into: into as never })
    expect((await rejectedBy(InvalidArgumentError, loading)).argument).toBe('into')
  })
})

describe('a load that cannot be begun', () => {
  test.each([undefined, null, 5, {}])('rejects for the name %p', async (name) => {
    expect((await rejectedBy(InvalidArgumentError, model.load(name as never))).argument).toBe('name')
  })

  test.each(['', 'output', 'output.weight\0'])('rejects for the unknown tensor %p', async (name) => {
    expect((await rejectedBy(InvalidArgumentError, model.load(name))).received).toBe(JSON.stringify(name))
  })

  test('rejects for a misspelt option, and names the right one', async () => {
    const loading = model.load(norm.name, { info: new ArrayBuffer(8) } as never)
    expect((await rejectedBy(InvalidArgumentError, loading)).message).toContain('did you mean "into"?')
  })

  test.each(['chunkBytes', 'tensors', 'pool'])('rejects for %s, which only streams take', async (name) => {
    await rejectedBy(InvalidArgumentError, model.load(norm.name, { [name]: undefined } as never))
  })

  test('rejects for a tensor too large for one array', async () => {
    // Node.js 20 ends at 4 GiB; later ones at more memory than there is.
    const path = writeSparse(file('huge.gguf'), tensorTypes.I8, Math.min(constants.MAX_LENGTH + 1, 2 ** 43))
    using huge = GgufFile.open(path)
    const signal = AbortSignal.timeout(2000)
    expect((await rejectedBy(InvalidArgumentError, huge.load('t', { signal }))).message).toContain('stream it')
  })
})

describe('a load that is ended', () => {
  test.each(['raw', 'f32'] as const)(
    'writes nothing more to its destination once it has rejected, as %s',
    async (as) => {
      const info = tensorOf(largeModel, 'large')
      const into = new Uint8Array(dataBytes(as, info))
      for (const afterChunks of [0, 1, 2]) {
        const controller = new AbortController()
        const onProgress = ({ chunks }: LoadProgress) => chunks === afterChunks && controller.abort()
        if (afterChunks === 0) setTimeout(() => controller.abort(), 1)
        const loading = largeModel.load('large', {
          as,
          into,
          signal: controller.signal,
          onProgress: onProgress as () => void,
        })
        await loading.catch((error: unknown) => expect(error).toMatchObject({ code: 'ABORT_ERR' }))
        into.fill(0xaa)
        await pause(30)
        expect(Buffer.from(into.buffer).equals(Buffer.alloc(into.length, 0xaa))).toBe(true)
      }
    },
  )

  test('by an onProgress that throws rejects with its error and writes nothing more', async () => {
    const into = new Uint8Array(large.data.length)
    const mine = new Error('mine')
    const onProgress = () => {
      throw mine
    }
    await expect(largeModel.load('large', { into, onProgress })).rejects.toBe(mine)
    into.fill(0xaa)
    await pause(30)
    expect(into.every((byte) => byte === 0xaa)).toBe(true)
  })
})

describe('progress', () => {
  test('rises to the bytes stored, whatever they come out as', async () => {
    for (const as of ['raw', 'f32'] as const) {
      const told: LoadProgress[] = []
      await largeModel.load('large', { as, onProgress: (progress) => told.push({ ...progress }) })
      expect(told.length).toBeGreaterThan(1)
      expect(told.map(({ chunks }) => chunks)).toEqual(told.map((_, i) => i + 1))
      expect(told.every(({ tensor, totalBytes }) => tensor === 'large' && totalBytes === large.data.length)).toBe(true)
      const loaded = told.map(({ loadedBytes }) => loadedBytes)
      expect(loaded).toEqual([...loaded].sort((a, b) => a - b))
      expect(loaded.at(-1)).toBe(large.data.length)
    }
  })
})

describe('many loads at once', () => {
  test('all come right, every tensor in every form', async () => {
    const work = model.tensors.flatMap(({ name }) =>
      (['raw', 'f32', 'f16', 'bf16'] as const).map((as) => ({ name, as })),
    )
    const loaded = await Promise.all(work.map(({ name, as }) => model.load(name, { as })))
    expect(loaded.every((data, i) => same(data, wanted(work[i]?.as as TensorOutput, work[i]?.name)))).toBe(true)
  })

  test('of one tensor, fifty of them, all come right', async () => {
    const loaded = await Promise.all(Array.from({ length: 50 }, () => model.load('output.weight')))
    expect(loaded.every((data) => same(data, wanted('raw', 'output.weight')))).toBe(true)
    expect(new Set(loaded.map(({ buffer }) => buffer)).size).toBe(50)
  })

  test('into parts of one buffer do not disturb each other', async () => {
    const names = model.tensors.filter(({ type }) => type === 'Q4_K').map(({ name }) => name)
    const infos = names.map((name) => tensorOf(model, name))
    const starts = infos.map((_, i) => infos.slice(0, i).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
    const whole = new ArrayBuffer(infos.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
    await Promise.all(
      infos.map(({ name, sizeBytes }, i) => model.load(name, { into: new Uint8Array(whole, starts[i], sizeBytes) })),
    )
    expect(Buffer.from(whole).equals(Buffer.concat(infos.map((info) => stored(bytes, info))))).toBe(true)
  })

  test('of a tensor of 64 MiB fill memory that was there before, without garbage collection', () => {
    const path = writeSparse(file('64-mib.gguf'), tensorTypes.I8, 64 * MiB)
    const { value } = runChild<number>(`
      const model = plimsoll.GgufFile.open(${JSON.stringify(path)})
      const into = new Uint8Array(64 * MiB).fill(1)
      for (let i = 0; i < 10; i++) await model.load('t', { into })
      return into.findIndex((byte) => byte !== 0)`)
    expect(value).toBe(-1)
  })
})
