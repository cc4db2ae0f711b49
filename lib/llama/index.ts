/**
 * node-llama-cpp that asks before it loads.
 *
 * @module plimsoll/node-llama-cpp
 */

export { GuardedLlama, guardLlama, type LoadedLlama } from './guard-llama.js'
export { GuardedContext } from './guarded-context.js'
export { GuardedModel } from './guarded-model.js'
export type {
  ContextOf,
  ContextOptionsOf,
  LlamaContextLike,
  LlamaLike,
  LlamaModelLike,
  LlamaSequenceLike,
  ModelOf,
  ModelOptionsOf,
} from './llama-types.js'
