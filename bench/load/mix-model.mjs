import { open } from 'node:fs/promises'

/** The two types of the mix, with the upper bytes of a block's scales, which make its values small and finite. */
const Q4_K = { id: 12, blockBytes: 144, fixed: [[1, 0x0a], [3, 0x16]] } // biome-ignore format: a line a type
const Q6_K = { id: 14, blockBytes: 210, fixed: [[209, 0x01]] }

const BLOCK_ELEMENTS = 256
const ROW_ELEMENTS = 4096

/** Of a hundred rows of a `Q4_K_M` model of 8 billion weights, and how many of them are in a layer here. */
const Q4_K_ROWS = 79
const Q6_K_ROWS = 21
const ROWS_FACTOR = 16

/** Bytes of a layer in the file, and as `f32`. */
export const LAYER_BYTES = ROWS_FACTOR * (rowBytes(Q4_K) * Q4_K_ROWS + rowBytes(Q6_K) * Q6_K_ROWS)
export const LAYER_F32_BYTES = ROWS_FACTOR * (Q4_K_ROWS + Q6_K_ROWS) * ROW_ELEMENTS * 4

/**
 * Writes a model of which 79 % of the weights are `Q4_K` and 21 % `Q6_K`, as in bench:dequant, of random blocks.
 *
 * @param {string} path
 * @param {number} layers
 */
export async function makeMixModel(path, layers) {
  const tensors = Array.from({ length: layers }, (_, layer) => [
    { name: `blk.${layer}.ffn_up.weight`, type: Q4_K, rows: Q4_K_ROWS * ROWS_FACTOR },
    { name: `blk.${layer}.ffn_down.weight`, type: Q6_K, rows: Q6_K_ROWS * ROWS_FACTOR },
  ]).flat()
  const tiles = new Map([Q4_K, Q6_K].map((type) => [type, tile(type)]))
  const file = await open(path, 'w')
  try {
    await file.appendFile(header(tensors))
    for (const { type, rows } of tensors) {
      const piece = tiles.get(type)
      for (let left = rows * rowBytes(type); left > 0; left -= piece.length)
        await file.appendFile(piece.subarray(0, left))
    }
  } finally {
    await file.close()
  }
}

function rowBytes({ blockBytes }) {
  return (ROW_ELEMENTS / BLOCK_ELEMENTS) * blockBytes
}

/** About a megabyte of whole blocks: random codes, by a linear congruential generator, with sane scales. */
function tile({ id, blockBytes, fixed }) {
  const bytes = Buffer.alloc(blockBytes * 7001)
  let state = id
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  for (let block = 0; block < bytes.length; block += blockBytes) {
    for (const [position, value] of fixed) bytes[block + position] = value
  }
  return bytes
}

/** Every size here is a multiple of the alignment, so tensors lie one behind the other. */
function header(tensors) {
  const parts = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(1)]
  parts.push(string('general.architecture'), u32(8), string('mix'))
  let offset = 0
  for (const { name, type, rows } of tensors) {
    parts.push(string(name), u32(2), u64(ROW_ELEMENTS), u64(rows), u32(type.id), u64(offset))
    offset += rows * rowBytes(type)
  }
  const packed = Buffer.concat(parts)
  return Buffer.concat([packed, Buffer.alloc(-packed.length & 31)])
}

export function string(value) {
  const bytes = Buffer.from(value)
  return Buffer.concat([u64(bytes.length), bytes])
}

export function u32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export function u64(value) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
