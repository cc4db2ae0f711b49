import { GgufFile } from 'plimsoll'
import { type BlockType, layout, scalar, type Tensor, tensorTypes, text, type Value } from './gguf-writer'

/** Dimensions of a decoder. */
export interface Dimensions {
  layers: number
  embedding: number
  heads: number
  kvHeads: number
  feedForward: number
  vocabulary: number
  context: number
}

export const llama8b: Dimensions = {
  layers: 32,
  embedding: 4096,
  heads: 32,
  kvHeads: 8,
  feedForward: 14_336,
  vocabulary: 128_256,
  context: 131_072,
}

export const llama1b: Dimensions = { ...llama8b, layers: 16, embedding: 2048, feedForward: 8192 }

/**
 * The bytes of the header of a model of the family of llama. Some keys may be others, or left out by `undefined`; further tensors are
 * named with their dimensions.
 */
export function headerOf(
  dimensions: Dimensions,
  type: BlockType = tensorTypes.Q4_K,
  keys: Record<string, Value | undefined> = {},
  further: Record<string, number[]> = {},
): Buffer {
  const { layers, embedding, heads, kvHeads, feedForward, vocabulary, context } = dimensions
  const u32 = (value: number) => scalar('u32', value)
  const all: Record<string, Value | undefined> = {
    'general.architecture': text('llama'),
    'llama.block_count': u32(layers),
    'llama.context_length': u32(context),
    'llama.embedding_length': u32(embedding),
    'llama.feed_forward_length': u32(feedForward),
    'llama.attention.head_count': u32(heads),
    'llama.attention.head_count_kv': u32(kvHeads),
    'llama.vocab_size': u32(vocabulary),
    ...keys,
  }
  const metadata = Object.fromEntries(Object.entries(all).filter((entry): entry is [string, Value] => !!entry[1]))
  const width = (embedding / heads) * kvHeads
  const tensor = (name: string, dims: number[], of = type): Tensor => {
    const elements = dims.reduce((product, size) => product * size, 1)
    return {
      name: `${name}.weight`,
      type: of,
      dims,
      data: Buffer.alloc(0),
      sizeBytes: (elements / of.elements) * of.bytes,
    }
  }
  const norm = (name: string) => tensor(name, [embedding], tensorTypes.F32)
  const tensors = [
    tensor('token_embd', [embedding, vocabulary]),
    norm('output_norm'),
    tensor('output', [embedding, vocabulary]),
    ...Array.from({ length: layers }, (_, layer) => [
      norm(`blk.${layer}.attn_norm`),
      tensor(`blk.${layer}.attn_q`, [embedding, embedding]),
      tensor(`blk.${layer}.attn_k`, [embedding, width]),
      tensor(`blk.${layer}.attn_v`, [embedding, width]),
      tensor(`blk.${layer}.attn_output`, [embedding, embedding]),
      norm(`blk.${layer}.ffn_norm`),
      tensor(`blk.${layer}.ffn_gate`, [embedding, feedForward]),
      tensor(`blk.${layer}.ffn_up`, [embedding, feedForward]),
      tensor(`blk.${layer}.ffn_down`, [feedForward, embedding]),
    ]).flat(),
    ...Object.entries(further).map(([name, dims]) => tensor(name, dims)),
  ]
  return layout({ metadata, tensors }).header
}

/** The same with a last block that predicts a further token, of a family that llama.cpp drafts with by it. */
export function mtpHeader(): Buffer {
  const { layers, embedding, heads, kvHeads, feedForward, vocabulary, context } = llama1b
  const numbers = {
    block_count: layers,
    context_length: context,
    embedding_length: embedding,
    feed_forward_length: feedForward,
    'attention.head_count': heads,
    'attention.head_count_kv': kvHeads,
    vocab_size: vocabulary,
    leading_dense_block_count: layers,
    nextn_predict_layers: 1,
  }
  const keys = Object.entries(numbers).map(([key, number]) => [`glm4moe.${key}`, scalar('u32', number)] as const)
  const further = { [`blk.${layers - 1}.nextn.eh_proj`]: [2 * embedding, embedding] }
  return headerOf(
    llama1b,
    tensorTypes.Q4_K,
    { 'general.architecture': text('glm4moe'), ...Object.fromEntries(keys) },
    further,
  )
}

/** A model as {@link headerOf} writes it, open. */
export const opened = (...of: Parameters<typeof headerOf>): GgufFile =>
  GgufFile.fromBytes(headerOf(...of), { headerOnly: true })
