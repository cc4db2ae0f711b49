import type { NativeArrayPlace } from '../../binding.js'
import type { NativeModel } from '../addon/native.js'
import * as native from '../addon/native.js'
import type { Numbers } from '../support/arrays.js'
import * as check from '../support/check.js'
import { call, invalidArgument, quoted, wrongType } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'

/** The type of a metadata value, as GGUF names it. */
export type GgufValueType =
  | 'u8'
  | 'i8'
  | 'u16'
  | 'i16'
  | 'u32'
  | 'i32'
  | 'f32'
  | 'bool'
  | 'string'
  | 'array'
  | 'u64'
  | 'i64'
  | 'f64'

/**
 * A metadata value. Integers are numbers when exact as such, else bigints; text that is not UTF-8 has its bad bytes
 * replaced by U+FFFD.
 */
export type GgufValue = number | bigint | boolean | string | GgufArray

/** The elements of an array: a typed array for numbers, else an array of values. */
export type GgufElements = Numbers | boolean[] | string[] | GgufArray[]

/** Typed views over packed little-endian bytes; every supported machine is little-endian. */
const views: Record<string, new (buffer: ArrayBuffer) => GgufElements> = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f64: Float64Array,
}

/** How many elements an iterator decodes at a time. */
const BATCH = 1024

/** How many entries one goes over at a time: keys may be long. */
const ENTRIES_BATCH = 64

/** How many values that are no numbers are decoded at once at most: each takes tens of bytes as JavaScript has it. */
const MAX_VALUES = 2 ** 22

/** The types by their ids. */
const types = native.valueTypes() as readonly GgufValueType[]

/** Makes the array at a place. */
let arrayAt: (model: NativeModel, place: NativeArrayPlace) => GgufArray

/**
 * An array in the metadata. It is kept as the bytes of the file; elements are decoded when asked for. Where those of
 * strings and arrays stand is found in one walk, the first time that one of a large array is asked for.
 *
 * @example
 * const tokens = model.metadata.get('tokenizer.ggml.tokens')
 * if (tokens instanceof GgufArray) console.log(tokens.elementType, tokens.length) // string 768
 */
export class GgufArray implements Iterable<unknown> {
  readonly #model: NativeModel
  readonly #place: NativeArrayPlace
  /** The type all elements have. */
  readonly elementType: GgufValueType
  /** Number of elements. */
  readonly length: number

  static {
    arrayAt = (model, place) => new GgufArray(internal, model, place)
  }

  private constructor(token: typeof internal, model: NativeModel, place: NativeArrayPlace) {
    expectInternal(token, 'GgufArray', 'model.metadata.get()')
    refuseCloning(this)
    this.#model = model
    this.#place = place
    this.elementType = types[place.elementTypeId] as GgufValueType
    this.length = place.length
  }

  /**
   * Decodes the elements from `start` to `end` (all by default), with the meaning of `Array.prototype.slice`.
   *
   * @throws {@link InvalidArgumentError} when one of them is no number, and for more than 4,194,304 elements at once that
   * are no numbers: go over them, or take them in parts.
   */
  slice(start = 0, end: number = this.length): GgufElements {
    const from = clamp('start', start, this.length)
    const to = Math.max(from, clamp('end', end, this.length))
    const View = views[this.elementType]
    if (!View && to - from > MAX_VALUES) {
      const expected = `at most ${MAX_VALUES} elements behind start; go over the array, or take it in parts`
      throw invalidArgument('end', expected, `${to - from} elements`)
    }
    const { elementTypeId, length, offset, sizeBytes } = this.#place
    const elements = call(() => this.#model.metadataElements(elementTypeId, length, offset, sizeBytes, from, to))
    if (View) return new View((elements as Uint8Array<ArrayBuffer>).slice().buffer)
    if (this.elementType === 'bool') return Array.from(elements as Uint8Array, (byte) => byte !== 0)
    if (this.elementType === 'string') return elements as string[]
    return placesOf(elements as Uint8Array<ArrayBuffer>).map((place) => arrayAt(this.#model, place))
  }

  /**
   * Decodes every element.
   *
   * @throws as of {@link slice}.
   */
  toArray(): GgufElements {
    // By name: called on another array, which says that it is much longer, its own would be.
    return GgufArray.prototype.slice.call(this)
  }

  /**
   * Decodes one element; negative indices count from the end.
   *
   * @throws {@link InvalidArgumentError} when the index is no number.
   */
  at(index: number): number | bigint | boolean | string | GgufArray | undefined {
    const from = clamp('index', index, this.length)
    return index < -this.length ? undefined : this.slice(from, from + 1)[0]
  }

  /** Walks the elements, a batch at a time. */
  *[Symbol.iterator](): Generator<number | bigint | boolean | string | GgufArray> {
    for (let start = 0; start < this.length; start += BATCH) yield* this.slice(start, start + BATCH)
  }
}

/** Reads the numbers of nested arrays, four each; see `elements_to_js` in `src/loader/metadata.rs`. */
function placesOf(bytes: Uint8Array<ArrayBuffer>): NativeArrayPlace[] {
  const numbers = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float64Array.BYTES_PER_ELEMENT)
  const places: NativeArrayPlace[] = []
  for (let i = 0; i < numbers.length; i += 4) {
    const number = (column: number): number => numbers[i + column] as number
    places.push({ elementTypeId: number(0), length: number(1), offset: number(2), sizeBytes: number(3) })
  }
  return places
}

function clamp(name: string, index: unknown, length: number): number {
  if (typeof index !== 'number') throw invalidArgument(name, 'a number', quoted(index))
  const whole = Math.trunc(index) || 0
  return Math.min(Math.max(whole < 0 ? whole + length : whole, 0), length)
}

/** Makes the metadata of a file. */
export let metadataOf: (native: NativeModel) => GgufMetadata

/**
 * The metadata of a GGUF file, in file order, with the methods of a read-only `Map`.
 *
 * @example
 * console.log(model.metadata.get('general.architecture')) // llama
 * for (const [key, value] of model.metadata) console.log(key, typeof value)
 */
export class GgufMetadata implements Iterable<[string, GgufValue]> {
  readonly #native: NativeModel

  static {
    metadataOf = (native) => new GgufMetadata(internal, native)
  }

  private constructor(token: typeof internal, native: NativeModel) {
    expectInternal(token, 'GgufMetadata', 'model.metadata')
    refuseCloning(this)
    this.#native = native
  }

  /** Number of entries. */
  get size(): number {
    return call(() => this.#native.metadataCount())
  }

  /** The value under `key`, `undefined` if there is none. */
  get(key: string): GgufValue | undefined {
    return this.#valueOf(call(() => this.#native.metadataValue(check.string('key', key))))
  }

  #valueOf(value: unknown): GgufValue | undefined {
    const isArray = check.isObject(value)
    return isArray ? arrayAt(this.#native, value as NativeArrayPlace) : (value as GgufValue | undefined)
  }

  /**
   * The text under `key`, `undefined` if there is none.
   *
   * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no string.
   */
  getString(key: string): string | undefined {
    return this.#typed(key, 'a string', (value) => typeof value === 'string')
  }

  /**
   * The number under `key`, `undefined` if there is none.
   *
   * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no number, or an integer beyond
   * 2^53 - 1: {@link getBigInt} then.
   */
  getNumber(key: string): number | undefined {
    return this.#typed(key, 'a number up to 2^53 - 1', (value) => typeof value === 'number')
  }

  /**
   * The integer under `key`, however large, `undefined` if there is none.
   *
   * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no integer.
   */
  getBigInt(key: string): bigint | undefined {
    const isInteger = (value: GgufValue) => typeof value === 'bigint' || Number.isInteger(value)
    const value = this.#typed<number | bigint>(key, 'an integer', isInteger)
    return value === undefined ? undefined : BigInt(value)
  }

  /**
   * The boolean under `key`, `undefined` if there is none.
   *
   * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no boolean.
   */
  getBoolean(key: string): boolean | undefined {
    return this.#typed(key, 'a boolean', (value) => typeof value === 'boolean')
  }

  /**
   * The array under `key`, `undefined` if there is none.
   *
   * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no array.
   */
  getArray(key: string): GgufArray | undefined {
    return this.#typed(key, 'an array', (value) => value instanceof GgufArray)
  }

  #typed<T extends GgufValue>(key: string, expected: string, is: (value: GgufValue) => boolean): T | undefined {
    const value = this.get(key)
    if (value === undefined || is(value)) return value as T | undefined
    throw wrongType(call(() => this.#native.info()).path, key, expected, this.type(key) as GgufValueType)
  }

  /** Whether there is a value under `key`. */
  has(key: string): boolean {
    return this.type(key) !== undefined
  }

  /** The type of the value under `key` as the file declares it, `undefined` if there is none. */
  type(key: string): GgufValueType | undefined {
    return (call(() => this.#native.metadataType(check.string('key', key))) ?? undefined) as GgufValueType | undefined
  }

  /** The keys, in file order. */
  keys(): IterableIterator<string> {
    return call(() => this.#native.metadataKeys()).values()
  }

  /** The values, in file order. */
  *values(): Generator<GgufValue> {
    for (const [, value] of this.entries()) yield value
  }

  /** Calls `callback` for every entry, in file order. */
  forEach(callback: (value: GgufValue, key: string, metadata: GgufMetadata) => void, thisArg?: unknown): void {
    check.callback('callback', callback)
    for (const [key, value] of this.entries()) callback.call(thisArg, value, key, this)
  }

  /** Keys and values, in file order. */
  *entries(): Generator<[string, GgufValue]> {
    for (let start = 0; ; start += ENTRIES_BATCH) {
      const entries = call(() => this.#native.metadataEntries(start, start + ENTRIES_BATCH))
      for (let i = 0; i < entries.length; i += 2)
        yield [entries[i] as string, this.#valueOf(entries[i + 1]) as GgufValue]
      if (entries.length === 0) return
    }
  }

  /** The same as {@link entries}. */
  [Symbol.iterator](): Generator<[string, GgufValue]> {
    return this.entries()
  }
}

/** How many elements of an array are shown. */
const SHOWN = 8

shows(GgufArray, (array) => ({
  elementType: array.elementType,
  length: array.length,
  first: Array.from<unknown, unknown>(array.slice(0, SHOWN), shownValue),
}))
shows(GgufMetadata, (metadata) => Object.fromEntries(shownEntries(metadata)))

/** Integers that JSON has not are text. */
const shownValue = (value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)

function* shownEntries(metadata: GgufMetadata): Generator<[string, unknown]> {
  for (const [key, value] of metadata) yield [key, shownValue(value)]
}
