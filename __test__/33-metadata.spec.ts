import { GgufArray, GgufFile, InvalidArgumentError, InvalidGgufError } from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { array, gguf, scalar, text, type Value } from './helpers/gguf-writer'
import { arrayOf, withMetadata } from './helpers/metadata'

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
