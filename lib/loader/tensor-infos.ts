import type { TensorInfo } from '../../binding.js'
import * as native from '../addon/native.js'
import { call } from '../support/errors.js'

/** How many tensors cross over at once. Their names are parts of one text, which each of them keeps. */
const BATCH = 512

/** Numbers that describe a tensor before its dimensions; see `describe` in `src/loader/tensors.rs`. */
const NUMBERS = 6

const types = new Map(native.tensorTypes().map((type) => [type.typeId, type]))

/** All tensors of a file, in its order. Columns cross over, and become objects here, which is ten times as fast. */
export function tensorInfos(model: native.NativeModel, count: number): readonly Readonly<TensorInfo>[] {
  const infos: Readonly<TensorInfo>[] = []
  for (let start = 0; start < count; start += BATCH) {
    const { names, numbers } = call(() => model.tensors(start, start + BATCH))
    const list = names.split('\0')
    let at = 0
    for (let i = 0; i < list.length - 1; i++) {
      const info = infoOf(list[i] as string, numbers, at)
      infos.push(info)
      at += NUMBERS + info.dimensions.length
    }
  }
  return infos
}

function infoOf(name: string, numbers: Float64Array, start: number): Readonly<TensorInfo> {
  const number = (column: number): number => numbers[start + column] as number
  // Every type that a file may have is among them.
  const { name: type, convertible, blockElements, blockBytes } = types.get(number(0)) as native.NativeTensorType
  const dimensions: number[] = []
  for (let axis = 0; axis < number(5); axis++) dimensions.push(number(NUMBERS + axis))
  return Object.freeze({
    name,
    type,
    typeId: number(0),
    convertible,
    dimensions,
    elementCount: number(1),
    blockElements,
    blockBytes,
    sizeBytes: number(2),
    offsetBytes: number(4),
    fileIndex: number(3),
  })
}
