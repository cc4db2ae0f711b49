import type { TensorInfo } from '../../binding.js'
import type { Bytes, Floats, HalfFloats } from '../support/arrays.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'

/** The arrays that hold the forms, and the bytes of one of their elements. 16-bit floats come as their bits. */
const outputs = {
  raw: { array: Uint8Array, elementBytes: 1 },
  f32: { array: Float32Array, elementBytes: 4 },
  f16: { array: Uint16Array, elementBytes: 2 },
  bf16: { array: Uint16Array, elementBytes: 2 },
} as const

/** What tensors come out as: the stored bytes, 32-bit floats, or one of the two kinds of 16-bit floats. */
export type TensorOutput = keyof typeof outputs

/** The array that holds a tensor's data: 16-bit floats come as their bits. */
export type TensorData<As extends TensorOutput = TensorOutput> = {
  /** The bytes as they are stored. */
  raw: Bytes
  /** A number for each element. */
  f32: Floats
  /** The bits of each element, half precision. */
  f16: HalfFloats
  /** The bits of each element, bfloat16. */
  bf16: HalfFloats
}[As]

/** The forms that tensors come out as. */
export const tensorOutputs: readonly TensorOutput[] = Object.freeze(Object.keys(outputs) as TensorOutput[])

/** Bytes of one element of the array that holds data in this form. */
export const elementBytes = (as: TensorOutput): number => outputs[as].elementBytes

/** An array over an array buffer, whole by default. */
export function view<As extends TensorOutput>(
  as: As,
  buffer: ArrayBuffer,
  byteOffset?: number,
  length?: number,
): TensorData<As> {
  return new outputs[as].array(buffer, byteOffset, length) as TensorData<As>
}

/**
 * Bytes that a tensor's data takes in this form: what a program that keeps it has to reserve.
 *
 * @throws {@link InvalidArgumentError} for a form that there is none of, and what is no tensor.
 * @example
 * const bytes = model.tensors.reduce((sum, tensor) => sum + tensorDataBytes(tensor, 'f32'), 0)
 */
export function tensorDataBytes(tensor: Pick<TensorInfo, 'sizeBytes' | 'elementCount'>, as: TensorOutput): number {
  if (!check.isObject(tensor)) throw invalidArgument('tensor', 'a tensor of a model', quoted(tensor))
  check.oneOf('as', as, tensorOutputs)
  // Given by a caller, unlike what a file says.
  const { sizeBytes, elementCount }: Partial<TensorInfo> = check.own(check.canBeAsked(tensor) ? tensor : {})
  if (as === 'raw') return check.bytes('tensor.sizeBytes', sizeBytes)
  return check.integer('tensor.elementCount', elementCount, 0, Number.MAX_SAFE_INTEGER) * elementBytes(as)
}
