import { isArrayBuffer, isDataView } from 'node:util/types'

/** The engine's own getter, whatever an object calls by that name. */
function getter<T>(of: object, name: string): (object: object) => T | undefined {
  const get = Object.getOwnPropertyDescriptor(of, name)?.get
  return (object) => (get ? (Reflect.apply(get, object, []) as T) : undefined)
}

const Bytes = Uint8Array
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object
const ofView = (name: string) => {
  const [ofArray, ofDataView] = [getter(typedArray, name), getter(DataView.prototype, name)]
  return (view: ArrayBufferView) => (isDataView(view) ? ofDataView(view) : ofArray(view))
}
const bufferOf = ofView('buffer')
const offsetOf = ofView('byteOffset')
const lengthOf = ofView('byteLength')
const isResizable = getter<boolean>(ArrayBuffer.prototype, 'resizable')
const lengthOfBuffer = getter<number>(ArrayBuffer.prototype, 'byteLength')

/** How long an array buffer is, in bytes, 0 once its memory was moved away. */
export const bufferLength = (buffer: ArrayBuffer): number => lengthOfBuffer(buffer) ?? 0

const { set } = Uint8Array.prototype

/** A copy of an array buffer; `slice()` would ask its constructor, which a script may have set. */
export function copyOf(buffer: ArrayBuffer): ArrayBuffer {
  const copy = new ArrayBuffer(bufferLength(buffer))
  Reflect.apply(set, new Bytes(copy), [new Bytes(buffer)])
  return copy
}

/** A buffer that is no shared and no resizable one. */
const isFixed = (buffer: unknown): buffer is ArrayBuffer => isArrayBuffer(buffer) && isResizable(buffer) !== true

/**
 * The bytes of an `ArrayBuffer` of fixed length or of a view of one, not copied; `undefined` of anything else, and of memory
 * that was moved away before. What a script has made of the properties of these objects is not asked.
 *
 * Neither this nor any other check in JavaScript keeps the memory where it is: the addon asks again, each time.
 */
export function bytesOf(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  try {
    if (isFixed(value)) return new Bytes(value, 0, bufferLength(value))
    if (!ArrayBuffer.isView(value)) return undefined
    const buffer = bufferOf(value)
    return isFixed(buffer) ? new Bytes(buffer, offsetOf(value) as number, lengthOf(value) as number) : undefined
  } catch {
    return undefined // Detached.
  }
}

/** The bytes of an array of any memory, shared or resizable too, as they are now. */
export function anyBytesOf(value: ArrayBufferView): Uint8Array | undefined {
  try {
    return new Bytes(bufferOf(value) as ArrayBuffer, offsetOf(value) as number, lengthOf(value) as number)
  } catch {
    return undefined
  }
}
