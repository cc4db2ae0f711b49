import type { GgufFile, KvType } from '../index.js'
import * as check from '../support/check.js'
import type { LlamaModelLike, LlamaModelOptionsLike } from './llama-types.js'

/** What a context has where its own options do not say else. */
export interface ContextDefaults {
  flashAttention: boolean
  readonly flashAttentionSupported: boolean
  readonly swaFull: boolean
  readonly kvTypeK: KvType
  readonly kvTypeV: KvType
}

/** ggml's numbers of the types that a cache may have, by the names that node-llama-cpp knows them by: ggml's in capitals. */
const cacheTypes: ReadonlyMap<string, number> = new Map(
  Object.entries({ F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q5_0: 6, Q5_1: 7, Q8_0: 8, IQ4_NL: 20, BF16: 30 }),
)

const names = [...cacheTypes.keys()]

/**
 * The type of a cache by its name or number. A name that node-llama-cpp does not know it takes for none, without a word: so what it is
 * given must be one.
 */
export function kvTypeOf(name: string, type: unknown, file: GgufFile, otherwise: KvType): KvType {
  if (type === undefined || type === null) return otherwise
  const given = type === 'currentQuant' ? dominantType(file) : type
  if (given === undefined) return otherwise
  const named = typeof given === 'number' ? names.find((known) => cacheTypes.get(known) === given) : given
  return check.oneOf(name, named ?? given, names).toLowerCase() as KvType
}

/** The type that most of a model's weights have: what node-llama-cpp means by `'currentQuant'`. */
function dominantType(file: GgufFile): number | undefined {
  const counts = new Map<number, number>()
  for (const { typeId, elementCount } of file.tensors) counts.set(typeId, (counts.get(typeId) ?? 0) + elementCount)
  const largest = Math.max(...counts.values())
  return [...counts].filter(([, count]) => count === largest).sort(([one], [other]) => one - other)[0]?.[0]
}

/** The defaults that a model will have, by the options that it is loaded with. */
export function defaultsOfOptions(file: GgufFile, options: LlamaModelOptionsLike): ContextDefaults {
  const flashAttentionSupported = supportsFlashAttention(file)
  const typeOf = (name: keyof LlamaModelOptionsLike) => kvTypeOf(name, options[name], file, 'f16')
  return {
    flashAttentionSupported,
    flashAttention: flashAttentionSupported && (options.defaultContextFlashAttention ?? 'auto') !== false,
    swaFull: options.defaultContextSwaFullCache === true,
    kvTypeK: typeOf('experimentalDefaultContextKvCacheKeyType'),
    kvTypeV: typeOf('experimentalDefaultContextKvCacheValueType'),
  }
}

/** The defaults that a loaded model says to have. */
export function defaultsOfModel(file: GgufFile, model: LlamaModelLike, expected: ContextDefaults): ContextDefaults {
  const { flashAttentionSupported = expected.flashAttentionSupported } = model
  const { defaultContextFlashAttention = expected.flashAttention, defaultContextSwaFullCache = expected.swaFull } =
    model
  const typeOf = (name: 'defaultContextKvCacheKeyType' | 'defaultContextKvCacheValueType', otherwise: KvType) =>
    kvTypeOf(name, model[name], file, otherwise)
  return {
    flashAttentionSupported,
    flashAttention: flashAttentionSupported && defaultContextFlashAttention !== false,
    swaFull: defaultContextSwaFullCache,
    kvTypeK: typeOf('defaultContextKvCacheKeyType', expected.kvTypeK),
    kvTypeV: typeOf('defaultContextKvCacheValueType', expected.kvTypeV),
  }
}

/** Whether node-llama-cpp takes a model for one that flash attention can be had with (`GgufInsights.flashAttentionSupported`). */
function supportsFlashAttention({ metadata }: GgufFile): boolean {
  const architecture = metadata.getString('general.architecture') ?? ''
  if (architecture === 'grok' || architecture === 'gemma2') return false
  const number = (key: string) => {
    const value = metadata.get(`${architecture}.${key}`)
    return value === undefined ? undefined : Number(value)
  }
  const heads = number('attention.head_count') ?? 0
  const width = heads === 0 ? 0 : (number('embedding_length') ?? 0) / heads
  // A width that is no number is not equal to itself either, there as here.
  return (number('attention.key_length') ?? width) === (number('attention.value_length') ?? width)
}

/** The window of a model's attention in tokens, where it has one that is shorter than what it was trained with. */
export function windowOf({ metadata }: GgufFile): number | undefined {
  const architecture = metadata.getString('general.architecture') ?? ''
  const window = Number(metadata.get(`${architecture}.attention.sliding_window`) ?? 0)
  return window > 0 && window < trainedLength(metadata, architecture) ? window : undefined
}

/** Tokens that a model was trained with, as far as it says so. */
export const trainedLengthOf = ({ metadata }: GgufFile): number =>
  trainedLength(metadata, metadata.getString('general.architecture') ?? '')

const trainedLength = (metadata: GgufFile['metadata'], architecture: string): number =>
  Number(metadata.get(`${architecture}.context_length`) ?? Number.POSITIVE_INFINITY)
