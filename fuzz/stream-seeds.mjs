/** Writes files for the target `stream` to begin with: one of each tensor type, read in one manner each. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(fileURLToPath(import.meta.url)), 'corpus/stream')

/** Id, and the elements and bytes of a block. */
const types = [
  [0, 1, 4],
  [1, 1, 2],
  [2, 32, 18],
  [3, 32, 20],
  [6, 32, 22],
  [7, 32, 24],
  [8, 32, 34],
  [9, 32, 36],
  [10, 256, 84],
  [11, 256, 110],
  [12, 256, 144],
  [13, 256, 176],
  [14, 256, 210],
  [15, 256, 292],
  [16, 256, 66],
  [17, 256, 74],
  [18, 256, 98],
  [19, 256, 50],
  [20, 32, 18],
  [21, 256, 110],
  [22, 256, 82],
  [23, 256, 136],
  [24, 1, 1],
  [28, 1, 8],
  [29, 256, 56],
  [30, 1, 2],
  [34, 256, 54],
  [35, 256, 66],
  [39, 32, 17],
  [40, 64, 36],
  [41, 128, 18],
  [42, 64, 18],
]

const number = (bytes, value) => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntLE(value, 0, Math.min(bytes, 6))
  return buffer
}

function gguf(tensors) {
  let end = 0
  const infos = tensors.map(({ name, type: [id, elements], blocks, data }) => {
    const offset = end
    end = Math.ceil((end + data.length) / 32) * 32
    const fields = [number(4, 1), number(8, elements * blocks), number(4, id), number(8, offset)]
    return Buffer.concat([number(8, name.length), Buffer.from(name), ...fields])
  })
  const counts = [number(4, 3), number(8, tensors.length), number(8, 0)]
  const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)])
  const header = padded(Buffer.concat([Buffer.from('GGUF'), ...counts, ...infos]))
  return Buffer.concat([header, ...tensors.map(({ data }) => padded(data))])
}

const tensor = (name, type, blocks) => ({
  name,
  type,
  blocks,
  data: Buffer.from(Array.from({ length: blocks * type[2] }, (_, i) => (i * 37 + type[0]) % 251)),
})

mkdirSync(folder, { recursive: true })
types.forEach((type, i) => {
  const one = gguf([tensor('t', type, 3)])
  const several = gguf([tensor('a', type, 5), tensor('b', types[(i + 7) % types.length], 2), tensor('c', types[0], 9)])
  // The form, the bytes of a chunk and how far they are shifted, flags, units, and which tensors: see the target.
  writeFileSync(join(folder, `one-${type[0]}`), Buffer.concat([Buffer.from([1, 0, 1, 4, 0, 0, 0]), one]))
  const flags = (i * 8) % 64
  const chosen = Buffer.from([i % 4, 0, 16, 1, flags, 2, 3, 2, 0, 1])
  writeFileSync(join(folder, `several-${type[0]}`), Buffer.concat([chosen, several]))
})
