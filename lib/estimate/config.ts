import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import type { ModelShape } from './shape.js'

/** A model's `config.json`, of Hugging Face's transformers. Of a model with several parts that of the text. */
export type ModelConfig = Readonly<Record<string, unknown>>

/** Families that transformers calls otherwise than GGUF files do. */
const families: ReadonlyMap<string, string> = new Map(
  Object.entries({
    mistral: 'llama',
    mixtral: 'llama',
    ministral: 'llama',
    gemma3_text: 'gemma3',
    gemma3n_text: 'gemma3n',
    glm4_moe: 'glm4moe',
    llama4_text: 'llama4',
    qwen3_vl_text: 'qwen3vl',
    qwen3_vl_moe_text: 'qwen3vlmoe',
    gpt_oss: 'gpt-oss',
    qwen2_moe: 'qwen2moe',
    qwen3_moe: 'qwen3moe',
    qwen2_5_vl_text: 'qwen2vl',
    stablelm_epoch: 'stablelm',
    gpt_neox: 'gptneox',
    cohere: 'command-r',
  }),
)

/** What says that layers keep something else than keys and values of every head, in shapes of their own. */
const othersThanHeads = [
  'kv_lora_rank',
  'mamba_d_state',
  'ssm_state_size',
  'state_size',
  'ssm_cfg',
  'linear_num_value_heads',
  'conv_L_cache',
]

/** The dimensions that a configuration gives. */
export function shapeOfConfig(config: ModelConfig): ModelShape {
  if (!isPlain(config)) throw invalidArgument('config', 'the object of a config.json', quoted(config))
  const inner = own(config, 'text_config')
  const text = isPlain(inner) ? inner : config
  for (const key of othersThanHeads) {
    if (own(text, key) === undefined || own(text, key) === null) continue
    const expected =
      'one whose layers all keep keys and values of heads; estimate others by the header of their GGUF file'
    throw invalidArgument('config', expected, `one with ${key}`)
  }
  const family = word(text, 'model_type')
  const heads = needed(text, 'num_attention_heads')
  const embedding = needed(text, 'hidden_size')
  const experts = given(text, 'num_local_experts') ?? given(text, 'num_experts') ?? given(text, 'n_routed_experts')
  const used = experts && (given(text, 'num_experts_per_tok') ?? given(text, 'experts_per_token'))
  const width = (experts && given(text, 'moe_intermediate_size')) || needed(text, 'intermediate_size')
  const window = own(text, 'use_sliding_window') === false ? undefined : given(text, 'sliding_window')
  const tied = own(text, 'tie_word_embeddings') ?? own(config, 'tie_word_embeddings')
  const headWidth = given(text, 'head_dim')
  return check.own({
    architecture: families.get(family) ?? family,
    layers: needed(text, 'num_hidden_layers'),
    embedding,
    heads,
    kvHeads: given(text, 'num_key_value_heads') ?? heads,
    ...(headWidth !== undefined && { headWidth }),
    feedForward: width,
    vocabulary: needed(text, 'vocab_size'),
    contextLength: given(text, 'max_position_embeddings') ?? 4096,
    ...(experts !== undefined && { experts, expertsUsed: used ?? experts }),
    ...(window !== undefined && { window }),
    tied: typeof tied === 'boolean' ? tied : family.startsWith('gemma'),
  })
}

/** An object that can be read: a proxy that was revoked fails at every touch. */
const isPlain = (value: unknown): value is ModelConfig =>
  check.isObject(value) && check.canBeAsked(value) && !check.isArray(value)

const own = (config: ModelConfig, key: string): unknown => (Object.hasOwn(config, key) ? config[key] : undefined)

function word(config: ModelConfig, key: string): string {
  const value = own(config, key)
  if (typeof value === 'string' && /^[a-z0-9_.-]{1,64}$/.test(value)) return value
  throw invalidArgument(`config.${key}`, 'the name of a model family', quoted(value))
}

function needed(config: ModelConfig, key: string): number {
  const value = given(config, key)
  if (value !== undefined) return value
  throw invalidArgument(`config.${key}`, 'a whole number', 'nothing')
}

/** A number that may be left out, or `null`. */
function given(config: ModelConfig, key: string): number | undefined {
  const value = own(config, key)
  return value === undefined || value === null ? undefined : check.integer(`config.${key}`, value, 1, 2 ** 32 - 1)
}
