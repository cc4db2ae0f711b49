import * as check from './check.js'
import { call, invalidArgument, quoted } from './errors.js'
import { expectInternal, internal } from './internal.js'
import type { NativeModel } from './native.js'

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
export type GgufElements =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array
  | boolean[]
  | string[]
  | GgufArray[]

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

/**
 * How many elements an iterator decodes at a time. Batches double, because each walks past those before it: strings
 * have no fixed place.
 */
const FIRST_BATCH = 1024
const LARGEST_BATCH = 1 << 20

interface ArrayInfo {
  elementType: GgufValueType
  length: number
}

/** Makes the array under a key, or nested in it at a path. */
let arrayAt: (native: NativeModel, key: string, path: number[], info: ArrayInfo) => GgufArray

/** An array in the metadata. It is kept as the bytes of the file; elements are decoded when asked for. */
export class GgufArray implements Iterable<unknown> {
  readonly #native: NativeModel
  readonly #key: string
  readonly #path: number[]
  /** The type all elements have. */
  readonly elementType: GgufValueType
  /** Number of elements. */
  readonly length: number

  static {
    arrayAt = (native, key, path, info) => new GgufArray(internal, native, key, path, info)
  }

  private constructor(mark: typeof internal, native: NativeModel, key: string, path: number[], info: ArrayInfo) {
    expectInternal(mark, 'GgufArray', 'model.metadata.get()')
    this.#native = native
    this.#key = key
    this.#path = path
    this.elementType = info.elementType
    this.length = info.length
  }

  /**
   * Decodes the elements from `start` to `end` (all by default), with the meaning of `Array.prototype.slice`.
   *
   * @throws {@link InvalidArgumentError} when one of them is no number.
   */
  slice(start = 0, end: number = this.length): GgufElements {
    const from = clamp('start', start, this.length)
    const to = Math.max(from, clamp('end', end, this.length))
    const elements = call(() => this.#native.metadataElements(this.#key, this.#path, from, to))
    const View = views[this.elementType]
    if (View) return new View((elements as Uint8Array<ArrayBuffer>).slice().buffer)
    if (this.elementType === 'bool') return Array.from(elements as Uint8Array, (byte) => byte !== 0)
    if (this.elementType === 'string') return elements as string[]
    const nested = (info: ArrayInfo, index: number) =>
      arrayAt(this.#native, this.#key, [...this.#path, from + index], info)
    return (elements as ArrayInfo[]).map(nested)
  }

  /** Decodes every element. */
  toArray(): GgufElements {
    return this.slice()
  }

  /**
   * Decodes one element; negative indices count from the end. Strings and arrays are walked from the start.
   *
   * @throws {@link InvalidArgumentError} when the index is no number.
   */
  at(index: number): number | bigint | boolean | string | GgufArray | undefined {
    const from = clamp('index', index, this.length)
    return index < -this.length ? undefined : this.slice(from, from + 1)[0]
  }

  /** Walks the elements, a batch at a time. */
  *[Symbol.iterator](): Generator<number | bigint | boolean | string | GgufArray> {
    let batch = FIRST_BATCH
    for (let start = 0; start < this.length; start += batch, batch = Math.min(2 * batch, LARGEST_BATCH)) {
      yield* this.slice(start, start + batch)
    }
  }
}

function clamp(name: string, index: unknown, length: number): number {
  if (typeof index !== 'number') throw invalidArgument(name, 'a number', quoted(index))
  const whole = Math.trunc(index) || 0
  return Math.min(Math.max(whole < 0 ? whole + length : whole, 0), length)
}

/** Makes the metadata of a file. */
export let metadataOf: (native: NativeModel) => GgufMetadata

/** The metadata of a GGUF file, in file order, with the methods of a read-only `Map`. */
export class GgufMetadata implements Iterable<[string, GgufValue]> {
  readonly #native: NativeModel

  static {
    metadataOf = (native) => new GgufMetadata(internal, native)
  }

  private constructor(mark: typeof internal, native: NativeModel) {
    expectInternal(mark, 'GgufMetadata', 'model.metadata')
    this.#native = native
  }

  /** Number of entries. */
  get size(): number {
    return call(() => this.#native.metadataKeys()).length
  }

  /** The value under `key`, `undefined` if there is none. */
  get(key: string): GgufValue | undefined {
    const value = call(() => this.#native.metadataValue(check.string('key', key)))
    const isArray = typeof value === 'object' && value !== null
    return isArray ? arrayAt(this.#native, key, [], value as ArrayInfo) : (value as GgufValue | undefined)
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

  /** Keys and values, in file order. */
  *entries(): Generator<[string, GgufValue]> {
    for (const key of this.keys()) yield [key, this.get(key) as GgufValue]
  }

  /** The same as {@link entries}. */
  [Symbol.iterator](): Generator<[string, GgufValue]> {
    return this.entries()
  }
}
