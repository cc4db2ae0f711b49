// A GGUF file whose data is a hole, or partly: it takes no room on the disk, and reads zero.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'

const ALIGNMENT = 32

/** The types, with the elements and the bytes of a block. */
const types = {
  Q4_0: { id: 2, elements: 32, bytes: 18 },
  Q8_0: { id: 8, elements: 32, bytes: 34 },
  I8: { id: 24, elements: 1, bytes: 1 },
}

const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer)
const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer)
const alignUp = (bytes) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT

/**
 * Writes a model of tensors, `{ name, type, blocks }` each, one behind the other, and returns where the data of each begins
 * and how many bytes it has. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export function writeSparseModel(path, tensors) {
  let end = 0
  const placed = tensors.map(({ name, type, blocks }) => {
    const { bytes, elements } = types[type]
    const tensor = { name, id: types[type].id, elements: blocks * elements, sizeBytes: blocks * bytes, offset: end }
    end = alignUp(end + tensor.sizeBytes)
    return tensor
  })
  const infos = placed.map(({ name, id, elements, offset }) =>
    Buffer.concat([u64(name.length), Buffer.from(name), u32(1), u64(elements), u32(id), u64(offset)]),
  )
  const header = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(0), ...infos])
  const dataStart = alignUp(header.length)
  const file = openSync(path, 'w')
  writeSync(file, header)
  ftruncateSync(file, dataStart + end)
  closeSync(file)
  return placed.map(({ name, offset, sizeBytes }) => ({ name, sizeBytes, offsetBytes: dataStart + offset }))
}
