// Models that llama.cpp loads, in other shapes and types than the sample's, whose vocabulary they have. Their weights are
// zero, so the file is a hole: it takes no room on the disk.

import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { entry, layoutOf } from '../header-model.mjs'

const VOCABULARY = 768
const GGUF_STRING = 8
const GGUF_ARRAY = 9
/** Bytes of the values of a type that is no text and no list, by its number. */
const VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]

/** Tensor types, with the elements and bytes of a block. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
export const types = {
  F32: { id: 0, elements: 1, bytes: 4 },
  F16: { id: 1, elements: 1, bytes: 2 },
  Q4_0: { id: 2, elements: 32, bytes: 18 },
  Q4_1: { id: 3, elements: 32, bytes: 20 },
  Q5_0: { id: 6, elements: 32, bytes: 22 },
  Q5_1: { id: 7, elements: 32, bytes: 24 },
  Q8_0: { id: 8, elements: 32, bytes: 34 },
  Q2_K: { id: 10, elements: 256, bytes: 84 },
  Q3_K: { id: 11, elements: 256, bytes: 110 },
  Q4_K: { id: 12, elements: 256, bytes: 144 },
  Q5_K: { id: 13, elements: 256, bytes: 176 },
  Q6_K: { id: 14, elements: 256, bytes: 210 },
  IQ4_NL: { id: 20, elements: 32, bytes: 18 },
  IQ4_XS: { id: 23, elements: 256, bytes: 136 },
  BF16: { id: 30, elements: 1, bytes: 2 },
  MXFP4: { id: 39, elements: 32, bytes: 17 },
}

/** The keys of a file, each with its bytes as they stand there. */
function keysOf(path) {
  const file = readFileSync(path)
  const number = (at) => Number(file.readBigUInt64LE(at))
  const skip = (type, at) => {
    if (type === GGUF_STRING) return at + 8 + number(at)
    if (type !== GGUF_ARRAY) return at + VALUE_BYTES[type]
    const [element, length] = [file.readUInt32LE(at), number(at + 4)]
    let end = at + 12
    for (let index = 0; index < length; index++) end = skip(element, end)
    return end
  }
  const keys = new Map()
  let at = 24
  for (let index = 0; index < number(16); index++) {
    const name = file.toString('utf8', at + 8, at + 8 + number(at))
    const value = at + 8 + number(at)
    const end = skip(file.readUInt32LE(value), value + 4)
    keys.set(name, file.subarray(at, end))
    at = end
  }
  return keys
}

/**
 * Writes a model of these hyperparameters and tensors to `path`.
 *
 * @param {string} sample the model whose vocabulary it has, of 768 tokens
 * @param {string} architecture
 * @param {Record<string, number>} numbers hyperparameters, without the architecture before them, and those of the tokenizer
 * @param {[string, string, ...number[]][]} tensors a name, a type and the dimensions of each, the row length first
 */
export function writeModel(path, sample, architecture, numbers, tensors) {
  const keys = keysOf(sample)
  for (const name of keys.keys()) if (name.startsWith('llama.')) keys.delete(name)
  keys.set('general.architecture', entry('general.architecture', architecture))
  for (const [key, number] of Object.entries({ vocab_size: VOCABULARY, ...numbers })) {
    const name = key.startsWith('tokenizer.') ? key : `${architecture}.${key}`
    keys.set(name, entry(name, number, key.endsWith('epsilon')))
  }
  const typed = tensors.map(([name, type, ...dims]) => ({ name, type: types[type], dims }))
  const { header, fileBytes } = layoutOf([...keys.values()], typed)
  const file = openSync(path, 'w')
  writeSync(file, header)
  ftruncateSync(file, fileBytes)
  closeSync(file)
}

/**
 * Writes a llama to `path`.
 *
 * @param {string} sample the model whose vocabulary it has
 * @param {object} shape
 * @param {string[]} shape.layers how the matrices of each layer are stored
 * @param {number} [shape.embedding] 256 by default
 * @param {number} [shape.feedForward] 512 by default
 * @param {number} [shape.heads] 4 by default; half as many have keys and values
 * @param {number} [shape.experts] none by default; two of them are used
 * @param {number} [shape.context] tokens of the context, 512 by default
 * @param {string} [shape.embeddingType] how the token embeddings are stored, F16 by default
 * @param {string | null} [shape.outputType] how the output matrix is, as the embeddings by default; null for none
 */
export function writeLlama(path, sample, shape) {
  const { layers, embedding = 256, feedForward = 512, heads = 4, experts = 0, context = 512 } = shape
  const { embeddingType = 'F16', outputType = embeddingType } = shape
  const of = experts > 0 ? [experts] : []
  const suffix = experts > 0 ? '_exps' : ''
  const numbers = {
    block_count: layers.length,
    context_length: context,
    embedding_length: embedding,
    feed_forward_length: feedForward,
    'attention.head_count': heads,
    'attention.head_count_kv': heads / 2,
    'attention.layer_norm_rms_epsilon': 1e-5,
    'rope.dimension_count': embedding / heads,
    ...(experts > 0 && { expert_count: experts, expert_used_count: 2 }),
  }
  const layer = (type, number) =>
    [
      ['attn_norm', 'F32', embedding],
      ['attn_q', type, embedding, embedding],
      ['attn_k', type, embedding, embedding / 2],
      ['attn_v', type, embedding, embedding / 2],
      ['attn_output', type, embedding, embedding],
      ['ffn_norm', 'F32', embedding],
      ...(experts > 0 ? [['ffn_gate_inp', 'F32', embedding, experts]] : []),
      [`ffn_gate${suffix}`, type, embedding, feedForward, ...of],
      [`ffn_up${suffix}`, type, embedding, feedForward, ...of],
      [`ffn_down${suffix}`, type, feedForward, embedding, ...of],
    ].map(([name, ...rest]) => [`blk.${number}.${name}.weight`, ...rest])
  writeModel(path, sample, 'llama', numbers, [
    ['token_embd.weight', embeddingType, embedding, VOCABULARY],
    ...layers.flatMap(layer),
    ['output_norm.weight', 'F32', embedding],
    ...(outputType === null ? [] : [['output.weight', outputType, embedding, VOCABULARY]]),
  ])
}

/** Writes an encoder of two layers, whose token embeddings are looked up and never multiplied by. */
export function writeEncoder(path, sample, type) {
  const [embedding, feedForward, context] = [256, 512, 512]
  const both = (name, length) => [
    [`${name}.weight`, 'F32', length],
    [`${name}.bias`, 'F32', length],
  ]
  const matrix = (name, row, rows) => [
    [`${name}.weight`, type, row, rows],
    [`${name}.bias`, 'F32', rows],
  ]
  const layer = (number) => [
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].flatMap((name) =>
      matrix(`blk.${number}.${name}`, embedding, embedding),
    ),
    ...both(`blk.${number}.attn_output_norm`, embedding),
    ...matrix(`blk.${number}.ffn_up`, embedding, feedForward),
    ...matrix(`blk.${number}.ffn_down`, feedForward, embedding),
    ...both(`blk.${number}.layer_output_norm`, embedding),
  ]
  const numbers = {
    block_count: 2,
    context_length: context,
    embedding_length: embedding,
    feed_forward_length: feedForward,
    'attention.head_count': 4,
    'attention.layer_norm_epsilon': 1e-5,
    'tokenizer.ggml.token_type_count': 2,
  }
  writeModel(path, sample, 'bert', numbers, [
    ['token_embd.weight', type, embedding, VOCABULARY],
    ['position_embd.weight', 'F32', embedding, context],
    ['token_types.weight', 'F32', embedding, 2],
    ...both('token_embd_norm', embedding),
    ...layer(0),
    ...layer(1),
  ])
}
