import { copyFileSync, readdirSync, rmSync, symlinkSync, truncateSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { GgufArray, GgufFile, InvalidArgumentError, InvalidGgufError, IoError, ReleasedError } from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { array, gguf, randomTensor, scalar, type Tensor, tensorTypes, text, type Value } from './helpers/gguf-writer'
import { bytesRead, joined, sampleBytes, samplePath, scratch, writeSparse, written } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const { F32, I8, Q4_K } = tensorTypes
const file = scratch()

/** A file of these metadata alone. */
const withMetadata = (metadata: Record<string, Value>): GgufFile => GgufFile.fromBytes(gguf({ metadata }))

const arrayOf = (model: GgufFile, key: string): GgufArray => {
  const value = model.metadata.get(key)
  expect(value).toBeInstanceOf(GgufArray)
  return value as GgufArray
}

describe('the header', () => {
  test('tells what the sample model is', () => {
    using model = GgufFile.open(samplePath)
    const { length } = sampleBytes()
    expect(model).toMatchObject({
      path: samplePath,
      sizeBytes: length,
      version: 3,
      architecture: 'llama',
      fileType: { id: 15, name: 'Q4_K_M' },
      alignmentBytes: 32,
      split: undefined,
      headerOnly: false,
    })
    expect(model.dataOffsetBytes % 32).toBe(0)
    expect(model.dataOffsetBytes + model.dataBytes).toBeLessThanOrEqual(length)
  })

  test('leaves open what the file does not say', () => {
    using model = GgufFile.fromBytes(gguf({}))
    expect(model).toMatchObject({
      path: '<bytes>',
      sizeBytes: 24,
      architecture: undefined,
      fileType: undefined,
      split: undefined,
      tensors: [],
      dataBytes: 0,
    })
    expect(model.metadata.size).toBe(0)
  })

  test.each([2, 3])('is read in version %d', (version) => {
    using model = GgufFile.fromBytes(gguf({ version, tensors: [randomTensor('a', Q4_K, 2)] }))
    expect(model.version).toBe(version)
    expect(model.tensors).toHaveLength(1)
  })

  test('gives the id of a file type that has no name', () => {
    using model = withMetadata({ 'general.file_type': scalar('u32', 4_000_000_000) })
    expect(model.fileType).toEqual({ id: 4_000_000_000 })
  })

  test('tells which part of a split model it is', () => {
    using model = withMetadata({
      'split.no': scalar('u16', 2),
      'split.count': scalar('u16', 9),
      'split.tensors.count': scalar('i32', 291),
    })
    expect(model.split).toEqual({ number: 2, count: 9, tensorCount: 291 })
  })

  test.each([1, 8, 64, 4096])('may align tensors to %d bytes', (alignment) => {
    const tensors = [randomTensor('a', I8, 5), randomTensor('b', I8, 7)]
    using model = GgufFile.fromBytes(gguf({ alignment, tensors }))
    expect(model.alignmentBytes).toBe(alignment)
    expect(model.dataOffsetBytes % alignment).toBe(0)
    expect(model.tensors.map(({ offsetBytes }) => (offsetBytes - model.dataOffsetBytes) % alignment)).toEqual([0, 0])
  })
})

describe('tensors', () => {
  test('come in the order of the file, with their geometry', () => {
    using model = GgufFile.open(samplePath)
    expect(model.tensors).toHaveLength(39)
    expect(model.tensors[0]).toMatchObject({
      name: 'token_embd.weight',
      type: 'F16',
      typeId: 1,
      dimensions: [256, 768],
    })
    for (const info of model.tensors) {
      expect(info.dimensions.reduce((product, size) => product * size, 1)).toBe(info.elementCount)
      expect((info.elementCount / info.blockElements) * info.blockBytes).toBe(info.sizeBytes)
      expect(info.offsetBytes).toBeGreaterThanOrEqual(model.dataOffsetBytes)
      expect(info.offsetBytes + info.sizeBytes).toBeLessThanOrEqual(model.sizeBytes)
    }
  })

  test('are found by name, and only by their own', () => {
    using model = GgufFile.open(samplePath)
    for (const info of model.tensors) expect(model.tensor(info.name)).toEqual(info)
    for (const name of ['', 'TOKEN_EMBD.WEIGHT', 'token_embd.weight\0', 'token_embd', '__proto__']) {
      expect(model.tensor(name)).toBeUndefined()
    }
    expect(thrownBy(InvalidArgumentError, () => model.tensor(0 as never)).argument).toBe('name')
  })

  test('cannot be changed by whoever reads them', () => {
    using model = GgufFile.open(samplePath)
    expect(Object.isFrozen(model.tensors) && model.tensors.every((info) => Object.isFrozen(info))).toBe(true)
    expect(model.tensors).toBe(model.tensors)
  })

  test('may have no dimensions, and then one element; or a zero one, and then none', () => {
    const tensors: Tensor[] = [
      { name: 'scalar', type: F32, dims: [], data: new Uint8Array(4) },
      { name: 'none', type: F32, dims: [4, 0, 3], data: new Uint8Array(0) },
    ]
    using model = GgufFile.fromBytes(gguf({ tensors }))
    expect(model.tensor('scalar')).toMatchObject({ dimensions: [], elementCount: 1, sizeBytes: 4 })
    expect(model.tensor('none')).toMatchObject({ dimensions: [4, 0, 3], elementCount: 0, sizeBytes: 0 })
  })

  test('may have names of 64 bytes and no more', () => {
    const named = (name: string) => gguf({ tensors: [randomTensor(name, F32, 1)] })
    const name = 'ä'.repeat(32)
    using model = GgufFile.fromBytes(named(name))
    expect(model.tensor(name)?.name).toBe(name)
    expect(thrownBy(InvalidGgufError, () => GgufFile.fromBytes(named(`${name}x`))).rule).toBe('tensor-name-too-long')
  })
})

describe('metadata', () => {
  const everyType = {
    u8: scalar('u8', 255),
    i8: scalar('i8', -128),
    u16: scalar('u16', 65_535),
    i16: scalar('i16', -32_768),
    u32: scalar('u32', 4_294_967_295),
    i32: scalar('i32', -2_147_483_648),
    f32: scalar('f32', 0.1),
    bool: scalar('bool', 1),
    string: text('grüße 🚢'),
    array: array('u8', [scalar('u8', 1)]),
    u64: scalar('u64', 9_007_199_254_740_991n),
    i64: scalar('i64', -9_007_199_254_740_991n),
    f64: scalar('f64', 0.1),
  }

  test('of each of the 13 types comes as the value it is', () => {
    using model = withMetadata(everyType)
    const { array: list, ...scalars } = Object.fromEntries(model.metadata)
    expect(scalars).toEqual({
      u8: 255,
      i8: -128,
      u16: 65_535,
      i16: -32_768,
      u32: 4_294_967_295,
      i32: -2_147_483_648,
      f32: Math.fround(0.1),
      bool: true,
      string: 'grüße 🚢',
      u64: Number.MAX_SAFE_INTEGER,
      i64: Number.MIN_SAFE_INTEGER,
      f64: 0.1,
    })
    expect(list).toBeInstanceOf(GgufArray)
  })

  test('has the methods of a map, in the order of the file', () => {
    using model = withMetadata(everyType)
    expect(model.metadata.size).toBe(13)
    expect([...model.metadata.keys()]).toEqual(Object.keys(everyType))
    expect([...model.metadata.entries()].map(([key]) => key)).toEqual(Object.keys(everyType))
    for (const key of Object.keys(everyType)) {
      expect(model.metadata.has(key)).toBe(true)
      expect(model.metadata.type(key)).toBe(key)
    }
    expect(model.metadata.get('u9')).toBeUndefined()
    expect(model.metadata.type('u9')).toBeUndefined()
    expect(model.metadata.has('u9')).toBe(false)
  })

  test.each<[string, 'u64' | 'i64', bigint]>([
    ['the least above 2^53 - 1', 'u64', 9_007_199_254_740_992n],
    ['the largest', 'u64', 18_446_744_073_709_551_615n],
    ['the least', 'i64', -9_223_372_036_854_775_808n],
    ['the largest signed', 'i64', 9_223_372_036_854_775_807n],
  ])('integers that are not exact as numbers come as bigints: %s', (_name, type, value) => {
    using model = withMetadata({ value: scalar(type, value) })
    expect(model.metadata.get('value')).toBe(value)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -0])('floats may be %d', (value) => {
    using model = withMetadata({ f32: scalar('f32', value), f64: scalar('f64', value) })
    expect([model.metadata.get('f32'), model.metadata.get('f64')]).toEqual([value, value])
  })

  test('text that is not UTF-8 has its bad bytes replaced, alone and in arrays', () => {
    const bad = text(Buffer.from([0x61, 0xff, 0x62, 0xc3]))
    using model = withMetadata({ one: bad, many: array('string', [bad, text('ok'), text('nul\0')]) })
    expect(model.metadata.get('one')).toBe('a\ufffdb\ufffd')
    expect(arrayOf(model, 'many').toArray()).toEqual(['a\ufffdb\ufffd', 'ok', 'nul\0'])
  })

  test('a bool that is neither 0 nor 1 is refused', () => {
    const bytes = gguf({ metadata: { bool: scalar('bool', 2) } })
    expect(thrownBy(InvalidGgufError, () => GgufFile.fromBytes(bytes)).rule).toBe('invalid-bool')
  })

  test.each([5, undefined, null, {}])('a key that is no string (%p) is refused', (key) => {
    using model = withMetadata({})
    for (const look of ['get', 'has', 'type'] as const) {
      thrownBy(InvalidArgumentError, () => model.metadata[look](key as never))
    }
  })
})

describe('arrays of metadata', () => {
  test('of numbers come as the typed array of their type', () => {
    const numbers = [0, 1, 2]
    const ofType = (type: 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64') =>
      array(
        type,
        numbers.map((value) => scalar(type, value)),
      )
    const bigs = (type: 'u64' | 'i64', values: bigint[]) =>
      array(
        type,
        values.map((value) => scalar(type, value)),
      )
    using model = withMetadata({
      u8: ofType('u8'),
      i8: ofType('i8'),
      u16: ofType('u16'),
      i16: ofType('i16'),
      u32: ofType('u32'),
      i32: ofType('i32'),
      f32: ofType('f32'),
      f64: ofType('f64'),
      u64: bigs('u64', [0n, 2n ** 64n - 1n]),
      i64: bigs('i64', [-(2n ** 63n)]),
      bool: array('bool', [scalar('bool', 1), scalar('bool', 0)]),
    })
    const elements = Object.fromEntries(
      [...model.metadata].map(([key, value]) => [key, (value as GgufArray).toArray()]),
    )
    expect(elements).toEqual({
      u8: Uint8Array.from(numbers),
      i8: Int8Array.from(numbers),
      u16: Uint16Array.from(numbers),
      i16: Int16Array.from(numbers),
      u32: Uint32Array.from(numbers),
      i32: Int32Array.from(numbers),
      f32: Float32Array.from(numbers),
      f64: Float64Array.from(numbers),
      u64: BigUint64Array.of(0n, 2n ** 64n - 1n),
      i64: BigInt64Array.of(-(2n ** 63n)),
      bool: [true, false],
    })
  })

  test('that were decoded belong to the caller', () => {
    using model = withMetadata({ list: array('u8', [scalar('u8', 1)]) })
    const first = arrayOf(model, 'list').toArray() as Uint8Array
    first[0] = 99
    expect(arrayOf(model, 'list').at(0)).toBe(1)
  })

  test('slice, at and iterate as an array does', () => {
    const plain = Array.from({ length: 2500 }, (_, i) => `token ${i}`)
    using model = withMetadata({ list: array('string', plain.map(text)) })
    const list = arrayOf(model, 'list')
    expect(list).toMatchObject({ elementType: 'string', length: plain.length })
    expect([...list]).toEqual(plain)
    expect(list.toArray()).toEqual(plain)
    const bounds = [0, 1, 1023, 1024, 2499, 2500, 9999, -1, -2500, -9999, 1.9, -1.9, Number.POSITIVE_INFINITY]
    for (const start of bounds) {
      expect([start, list.at(start)]).toEqual([start, plain.at(start)])
      for (const end of bounds) expect(list.slice(start, end)).toEqual(plain.slice(start, end))
    }
    expect(list.at(Number.NaN)).toBe(plain[0])
    expect(list.slice()).toEqual(plain)
  })

  test('may be nested', () => {
    const inner = (...values: number[]) =>
      array(
        'u16',
        values.map((value) => scalar('u16', value)),
      )
    using model = withMetadata({
      deep: array('array', [array('array', [inner(1, 2), inner()]), array('array', [inner(3)])]),
    })
    const deep = arrayOf(model, 'deep')
    expect(deep.elementType).toBe('array')
    const rows = [...deep] as GgufArray[]
    expect(rows.map((row) => ([...row] as GgufArray[]).map((cell) => cell.toArray()))).toEqual([
      [Uint16Array.of(1, 2), new Uint16Array(0)],
      [Uint16Array.of(3)],
    ])
    expect(((deep.at(-1) as GgufArray).at(0) as GgufArray).at(0)).toBe(3)
  })

  test('may be empty', () => {
    using model = withMetadata({ none: array('string', []), numbers: array('f64', []) })
    expect(arrayOf(model, 'none').toArray()).toEqual([])
    expect(arrayOf(model, 'none').at(0)).toBeUndefined()
    expect([...arrayOf(model, 'numbers')]).toEqual([])
  })

  test('nested deeper than four are refused, however deep', () => {
    let value = array('u8', [])
    for (let depth = 0; depth < 4; depth++) value = array('array', [value])
    expect(thrownBy(InvalidGgufError, () => withMetadata({ value })).rule).toBe('array-too-deep')
    const level = array('array', [array('u8', [])]).bytes.subarray(0, 12)
    const deep: Value = { type: 'array', bytes: Buffer.concat(Array.from({ length: 500_000 }, () => level)) }
    expect(thrownBy(InvalidGgufError, () => withMetadata({ value: deep })).rule).toBe('array-too-deep')
  })
})

describe('fromBytes', () => {
  test('gives what opening the file gives', async () => {
    using opened = GgufFile.open(samplePath)
    using model = GgufFile.fromBytes(sampleBytes())
    expect(model.tensors).toEqual(opened.tensors)
    expect([...model.metadata.keys()]).toEqual([...opened.metadata.keys()])
    const [fromBytes, fromFile] = [await joined(model.stream()), await joined(opened.stream())]
    expect([...fromBytes.keys()]).toEqual([...fromFile.keys()])
    for (const [name, data] of fromBytes) expect(fromFile.get(name)?.equals(data)).toBe(true)
  })

  test('takes a copy: what happens to the bytes afterwards does not matter', async () => {
    const tensor = randomTensor('a', Q4_K, 3)
    const bytes = gguf({ tensors: [tensor] })
    using model = GgufFile.fromBytes(bytes)
    bytes.fill(0)
    expect(Buffer.from(await model.load('a'))).toEqual(tensor.data)
  })

  test('reads only the part of a buffer that the view shows', () => {
    const bytes = gguf({ tensors: [randomTensor('a', Q4_K, 1)] })
    const wide = Buffer.concat([Buffer.alloc(13, 0xee), bytes, Buffer.alloc(7, 0xee)])
    using model = GgufFile.fromBytes(wide.subarray(13, 13 + bytes.length))
    expect(model.sizeBytes).toBe(bytes.length)
  })

  test.each([undefined, null, 'GGUF', 24, {}, [], new DataView(new ArrayBuffer(24)), new ArrayBuffer(24)])(
    'refuses what is no array of bytes: %p',
    (bytes) => {
      expect(thrownBy(InvalidArgumentError, () => GgufFile.fromBytes(bytes as never)).argument).toBe('bytes')
    },
  )
})

describe('options', () => {
  test('a misspelt one is refused, and the right one named', () => {
    const open = () => GgufFile.open(samplePath, { headeronly: true } as never)
    expect(thrownBy(InvalidArgumentError, open).message).toContain('did you mean "headerOnly"?')
  })

  test.each([
    ['headerOnly', 1],
    ['headerOnly', 'yes'],
    ['strict', null],
  ])('%s must not be %p', (name, value) => {
    const open = () => GgufFile.open(samplePath, { [name]: value })
    expect(thrownBy(InvalidArgumentError, open).argument).toBe(name)
  })

  test('headerOnly opens a file whose data is not there, and such a file cannot be read', async () => {
    const path = file('header.gguf')
    copyFileSync(samplePath, path)
    truncateSync(path, GgufFile.open(samplePath).dataOffsetBytes)
    expect(thrownBy(InvalidGgufError, () => GgufFile.open(path)).path).toBe(path)
    using model = GgufFile.open(path, { headerOnly: true })
    expect(model.headerOnly).toBe(true)
    expect(model.tensors).toHaveLength(39)
    thrownBy(InvalidArgumentError, () => model.stream())
    await rejectedBy(InvalidArgumentError, model.load('output_norm.weight'))
  })

  test('headerOnly still checks every rule that needs no data', () => {
    const bytes = gguf({ tensors: [randomTensor('a', F32, 1), randomTensor('a', F32, 1)] })
    const open = () => GgufFile.fromBytes(bytes, { headerOnly: true })
    expect(thrownBy(InvalidGgufError, open).rule).toBe('duplicate-tensor-name')
  })

  test('strict refuses gaps and other orders, which are accepted otherwise', () => {
    const gap = [randomTensor('a', F32, 8), { ...randomTensor('b', F32, 8), offset: 96 }]
    const order = [
      { ...randomTensor('a', F32, 8), offset: 32 },
      { ...randomTensor('b', F32, 8), offset: 0 },
    ]
    for (const tensors of [gap, order]) {
      const bytes = gguf({ tensors })
      expect(GgufFile.fromBytes(bytes).tensors).toHaveLength(2)
      const open = () => GgufFile.fromBytes(bytes, { strict: true })
      expect(thrownBy(InvalidGgufError, open).rule).toBe('tensors-not-contiguous')
    }
    expect(GgufFile.open(samplePath, { strict: true }).tensors).toHaveLength(39)
  })
})

describe('paths', () => {
  test('may be file: URLs, with spaces and other letters in them', () => {
    const path = file('ein Modell – ünïcode #1.gguf')
    copyFileSync(samplePath, path)
    using model = GgufFile.open(pathToFileURL(path))
    expect(model.path).toBe(path)
  })

  test.each(['http://localhost/a.gguf', 'file://elsewhere/a.gguf', 'file:///a%2Fb.gguf', 'file:///a%00b.gguf'])(
    'must not be the URL %s',
    (url) => {
      expect(thrownBy(InvalidArgumentError, () => GgufFile.open(new URL(url))).argument).toBe('path')
    },
  )

  test.each(['', 'a\0b', '\0', undefined, null, 3, {}, Buffer.from('a'), ['a']])('must not be %p', (path) => {
    expect(thrownBy(InvalidArgumentError, () => GgufFile.open(path as never)).argument).toBe('path')
  })
})

describe('close', () => {
  test('makes every later use an error, whatever was read before', async () => {
    for (const readBefore of [false, true]) {
      const model = GgufFile.open(samplePath)
      const list = arrayOf(model, 'tokenizer.ggml.tokens')
      if (readBefore) expect(model.tensors.length + model.metadata.size).toBeGreaterThan(0)
      model.close()
      thrownBy(ReleasedError, () => model.tensor('output.weight'))
      thrownBy(ReleasedError, () => model.metadata.get('general.name'))
      thrownBy(ReleasedError, () => model.metadata.has('general.name'))
      thrownBy(ReleasedError, () => list.at(0))
      thrownBy(ReleasedError, () => model.stream())
      await rejectedBy(ReleasedError, model.load('output.weight'))
    }
  })

  test('may be called again, and by leaving a block', () => {
    const model = GgufFile.open(samplePath)
    {
      using scoped = model
      expect(scoped.tensors).toHaveLength(39)
    }
    model.close()
    thrownBy(ReleasedError, () => model.stream())
  })

  test('lets the file go: another may take its name, and its descriptor is free', () => {
    const path = file('descriptors.gguf')
    copyFileSync(samplePath, path)
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 100; i++) GgufFile.open(path).close()
    expect(readdirSync('/proc/self/fd')).toHaveLength(before)
    rmSync(path)
    expect(thrownBy(IoError, () => GgufFile.open(path)).code).toBe('ERR_IO')
  })

  test('lets streams and loads that were begun go on', async () => {
    const model = GgufFile.open(samplePath)
    const tensors = ['output_norm.weight', 'output.weight']
    const streamed = joined(model.stream({ tensors }))
    const loaded = model.load('output.weight')
    const unstarted = model.stream({ tensors })
    model.close()
    const results = [await streamed, await joined(unstarted)]
    for (const found of results) {
      expect([...found.keys()]).toEqual(tensors)
      expect(found.get('output.weight')?.equals(await loaded)).toBe(true)
    }
  })
})

describe('opening', () => {
  test('reads no tensor data, however much there is', () => {
    const path = writeSparse(file('8-gib.gguf'), I8, 8 * 2 ** 30)
    const before = bytesRead()
    using model = GgufFile.open(path)
    expect(bytesRead() - before).toBeLessThan(256 * 1024)
    expect(model.tensors[0]?.sizeBytes).toBe(8 * 2 ** 30)
  })

  test('reads no further than the header of a file with a large one', () => {
    const tokens = Array.from({ length: 100_000 }, (_, i) => text(`token ${i}`))
    const tensors = [randomTensor('a', I8, 4 << 20)]
    const path = written(file('large-header.gguf'), { metadata: { tokens: array('string', tokens) }, tensors })
    const before = bytesRead()
    using model = GgufFile.open(path)
    const headerBytes = model.dataOffsetBytes
    expect(headerBytes).toBeGreaterThan(1_000_000)
    expect(bytesRead() - before).toBeLessThan(headerBytes + (1 << 20))
  })

  test('follows a link to the file', () => {
    symlinkSync(written(file('plain.gguf'), {}), file('link.gguf'))
    expect(GgufFile.open(file('link.gguf')).sizeBytes).toBe(24)
  })
})
