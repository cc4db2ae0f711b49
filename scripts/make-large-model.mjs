#!/usr/bin/env node
// Writes a large, well-formed GGUF file for tests and benchmarks: the tensors of a Q4_K_M llama, filled with random
// blocks of sane scale. Needs Node alone, a few MiB of memory, and as long as the disk takes.
//
//     node scripts/make-large-model.mjs OUT --size-mib N [--seed S]
//
// The same size and seed give the same bytes. The model has no vocabulary; examples/models holds one that talks.
// Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

import { realpathSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const MIB = 1024 * 1024
const ALIGNMENT = 32
const SMALLEST_BYTES = 4 * MIB
const DEFAULT_SEED = 1876

/**
 * The tensor types of the file. `fixed` lists the bytes of a block, as [position, value], that must not be random for
 * its values to be small and finite: the upper bytes of its f16 or f32 numbers.
 */
const F32 = {
  id: 0,
  blockLength: 1,
  blockBytes: 4,
  fixed: [
    [2, 0x80],
    [3, 0x3f],
  ],
} // 1 to 1.008
const Q4_K = {
  id: 12,
  blockLength: 256,
  blockBytes: 144,
  fixed: [
    [1, 0x0a],
    [3, 0x16],
  ],
} // d ≈ 2e-4, dmin ≈ 7.5 d
const Q6_K = { id: 14, blockLength: 256, blockBytes: 210, fixed: [[209, 0x01]] } // d ≈ 2e-5

/** Proportions of well-known models; the number of layers, then the vocabulary, take up what is left of the size. */
const SHAPES = [
  { fromBytes: 1024 * MIB, embedding: 4096, feedForward: 11008, heads: 32, kvHeads: 8, leastVocabulary: 32000 },
  { fromBytes: 192 * MIB, embedding: 2048, feedForward: 5632, heads: 32, kvHeads: 4, leastVocabulary: 32000 },
  { fromBytes: 32 * MIB, embedding: 1024, feedForward: 2816, heads: 16, kvHeads: 4, leastVocabulary: 8192 },
  { fromBytes: SMALLEST_BYTES, embedding: 512, feedForward: 1536, heads: 8, kvHeads: 4, leastVocabulary: 2048 },
]

/**
 * Writes the model to `path`, replacing what is there; a run that fails leaves nothing behind.
 *
 * @param {string} path
 * @param {object} options
 * @param {number} options.sizeBytes size of the file, at least 4 MiB; it comes out less than 6 KiB below
 * @param {number} [options.seed] an unsigned 32-bit integer, 1876 by default
 * @returns {Promise<{ path: string, sizeBytes: number, tensorCount: number, layers: number }>} what was written
 */
export async function makeLargeModel(path, { sizeBytes, seed = DEFAULT_SEED }) {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < SMALLEST_BYTES) {
    throw new RangeError(`Expected sizeBytes to be an integer of at least ${SMALLEST_BYTES} but received ${sizeBytes}`)
  }
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new RangeError(`Expected seed to be an integer from 0 to ${0xffffffff} but received ${seed}`)
  }
  const model = fitModel(sizeBytes)
  const partial = `${path}.partial`
  try {
    await writeModel(partial, model, seed)
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
  return { path, sizeBytes: fileBytes(model), tensorCount: model.tensors.length, layers: model.layers }
}

/** The model of as many layers as fit, its vocabulary widened until the size is met. */
function fitModel(sizeBytes) {
  const shape = SHAPES.find(({ fromBytes }) => sizeBytes >= fromBytes)
  let layers = 1
  while (fileBytes(describeModel(shape, layers + 1, shape.leastVocabulary)) <= sizeBytes) layers++

  const leftBytes = sizeBytes - fileBytes(describeModel(shape, layers, shape.leastVocabulary))
  const dims = [shape.embedding]
  const tokenBytes = tensorBytes({ type: Q4_K, dims }) + tensorBytes({ type: Q6_K, dims })
  // One alignment is kept back: a tensor's padding may grow with its rows.
  const moreTokens = Math.max(0, Math.floor((leftBytes - ALIGNMENT) / tokenBytes))
  return describeModel(shape, layers, shape.leastVocabulary + moreTokens)
}

function describeModel(shape, layers, vocabulary) {
  const tensors = [...tensorList(shape, layers, vocabulary)]
  return { layers, tensors, header: header(metadata(shape, layers, vocabulary), tensors) }
}

function* tensorList({ embedding, feedForward, heads, kvHeads }, layers, vocabulary) {
  const keyValue = (embedding / heads) * kvHeads
  yield { name: 'token_embd.weight', type: Q4_K, dims: [embedding, vocabulary] }
  for (let layer = 0; layer < layers; layer++) {
    const tensor = (name, type, ...dims) => ({ name: `blk.${layer}.${name}.weight`, type, dims })
    const mixed = isImportant(layer, layers) ? Q6_K : Q4_K
    yield tensor('attn_norm', F32, embedding)
    yield tensor('attn_q', Q4_K, embedding, embedding)
    yield tensor('attn_k', Q4_K, embedding, keyValue)
    yield tensor('attn_v', mixed, embedding, keyValue)
    yield tensor('attn_output', Q4_K, embedding, embedding)
    yield tensor('ffn_norm', F32, embedding)
    yield tensor('ffn_gate', Q4_K, embedding, feedForward)
    yield tensor('ffn_up', Q4_K, embedding, feedForward)
    yield tensor('ffn_down', mixed, feedForward, embedding)
  }
  yield { name: 'output_norm.weight', type: F32, dims: [embedding] }
  yield { name: 'output.weight', type: Q6_K, dims: [embedding, vocabulary] }
}

/** llama-quantize gives Q4_K_M models more bits in an eighth of the layers at either end and every third between. */
function isImportant(layer, layers) {
  const eighth = Math.floor(layers / 8)
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2
}

function metadata({ embedding, feedForward, heads, kvHeads }, layers, vocabulary) {
  return [
    text('general.architecture', 'llama'),
    text('general.type', 'model'),
    text('general.name', 'Plimsoll synthetic llama'),
    text('general.description', 'Random blocks in the shape of a llama, for tests and benchmarks of loaders.'),
    uint32('general.file_type', 15), // mostly Q4_K_M
    uint32('general.quantization_version', 2),
    uint32('llama.vocab_size', vocabulary),
    uint32('llama.context_length', 4096),
    uint32('llama.embedding_length', embedding),
    uint32('llama.block_count', layers),
    uint32('llama.feed_forward_length', feedForward),
    uint32('llama.attention.head_count', heads),
    uint32('llama.attention.head_count_kv', kvHeads),
    float32('llama.attention.layer_norm_rms_epsilon', 1e-5),
    uint32('llama.rope.dimension_count', embedding / heads),
    text('tokenizer.ggml.model', 'no_vocab'),
  ]
}

function header(entries, tensors) {
  const parts = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(entries.length), ...entries]
  let offset = 0
  for (const tensor of tensors) {
    parts.push(string(tensor.name), u32(tensor.dims.length), ...tensor.dims.map(u64), u32(tensor.type.id), u64(offset))
    offset += aligned(tensorBytes(tensor))
  }
  const packed = Buffer.concat(parts)
  return Buffer.concat([packed, Buffer.alloc(aligned(packed.length) - packed.length)])
}

const text = (key, value) => Buffer.concat([string(key), u32(8), string(value)])
const uint32 = (key, value) => Buffer.concat([string(key), u32(4), u32(value)])
const float32 = (key, value) => Buffer.concat([string(key), u32(6), f32(value)])

function string(value) {
  const bytes = Buffer.from(value)
  return Buffer.concat([u64(bytes.length), bytes])
}

function u32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function f32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes
}

function aligned(bytes) {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

function tensorBytes({ type, dims }) {
  const elements = dims.reduce((product, dim) => product * dim)
  return (elements / type.blockLength) * type.blockBytes
}

function fileBytes({ header, tensors }) {
  return tensors.reduce((sum, tensor) => sum + aligned(tensorBytes(tensor)), header.length)
}

async function writeModel(path, { header, tensors }, seed) {
  const tiles = new Map([F32, Q4_K, Q6_K].map((type) => [type, makeTile(type, seed)]))
  const file = await open(path, 'w')
  try {
    await writeAll(file, header)
    for (const [index, tensor] of tensors.entries()) await writeTensor(file, tensor, tiles.get(tensor.type), index)
  } finally {
    await file.close()
  }
}

/** Writes the tile again and again, from a place of the tensor's own on, so that no two tensors begin alike. */
async function writeTensor(file, tensor, tile, index) {
  const { blockBytes } = tensor.type
  const bytes = tensorBytes(tensor)
  let position = ((index * 7919) % (tile.length / blockBytes)) * blockBytes
  for (let left = bytes; left > 0; position = 0) {
    const piece = tile.subarray(position, position + left)
    await writeAll(file, piece)
    left -= piece.length
  }
  await writeAll(file, Buffer.alloc(aligned(bytes) - bytes))
}

/**
 * Whole random blocks, a little less than 4 MiB of them. Readers work in units of powers of two; with another period
 * here, a unit read from a wrong place shows.
 */
function makeTile({ id, blockBytes, fixed }, seed) {
  const words = new Uint32Array(MIB)
  const random = xorshift32(seed + id)
  for (let i = 0; i < words.length; i++) words[i] = random()
  const blocks = Math.floor((words.byteLength - 1) / blockBytes)
  const tile = Buffer.from(words.buffer, 0, blocks * blockBytes)
  for (let block = 0; block < tile.length; block += blockBytes) {
    for (const [position, value] of fixed) tile[block + position] = value
  }
  return tile
}

/** Marsaglia's xorshift generator of 32-bit numbers (Journal of Statistical Software 8(14), 2003). */
function xorshift32(seed) {
  // Its state may not be zero, and seeds close to each other should start far apart.
  let state = Math.imul(seed + 1, 0x9e3779b1) || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** A write may take less than it is given. */
async function writeAll(file, bytes) {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written, bytes.length - written)).bytesWritten
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'size-mib': { type: 'string' }, seed: { type: 'string', default: String(DEFAULT_SEED) } },
  })
  if (positionals.length !== 1 || values['size-mib'] === undefined) {
    throw new Error('usage: node scripts/make-large-model.mjs OUT --size-mib N [--seed S]')
  }
  const sizeBytes = Number(values['size-mib']) * MIB
  const made = await makeLargeModel(positionals[0], { sizeBytes, seed: Number(values.seed) })
  console.log(`${made.path}: ${made.sizeBytes} bytes, ${made.tensorCount} tensors, ${made.layers} layers`)
}

function isMain() {
  try {
    // Node resolves symbolic links in a module's own address, but not in its arguments.
    return realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)
  } catch {
    return false
  }
}

if (isMain()) {
  main().catch((error) => {
    console.error(`make-large-model: ${error.message}`)
    process.exitCode = 2
  })
}
