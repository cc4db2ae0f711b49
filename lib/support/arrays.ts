/**
 * The arrays that this package hands out, over memory that is nobody else's: an `ArrayBuffer`, as `Blob`, `Response` and
 * others demand. TypeScript names that as a parameter of the array from 5.7 on and has none before; what the arrays' own
 * constructors return is right for both.
 */

/** Bytes over an `ArrayBuffer`. */
export type Bytes = ReturnType<Uint8ArrayConstructor['of']>

/** 32-bit floats over an `ArrayBuffer`. */
export type Floats = ReturnType<Float32ArrayConstructor['of']>

/** 16-bit floats as their bits, over an `ArrayBuffer`. */
export type HalfFloats = ReturnType<Uint16ArrayConstructor['of']>

type Int8s = ReturnType<Int8ArrayConstructor['of']>
type Int16s = ReturnType<Int16ArrayConstructor['of']>
type Uint32s = ReturnType<Uint32ArrayConstructor['of']>
type Int32s = ReturnType<Int32ArrayConstructor['of']>
type Doubles = ReturnType<Float64ArrayConstructor['of']>
type BigUint64s = ReturnType<BigUint64ArrayConstructor['of']>
type BigInt64s = ReturnType<BigInt64ArrayConstructor['of']>

/** Numbers of one type, over an `ArrayBuffer`. */
export type Numbers = Bytes | Int8s | HalfFloats | Int16s | Uint32s | Int32s | Floats | Doubles | BigUint64s | BigInt64s
