export { GuardedContext, GuardedLlama, GuardedModel, guardLlama } from './guard-llama.js'
export type {
  ContextOf,
  LlamaContextLike,
  LlamaLike,
  LlamaModelLike,
  LlamaSequenceLike,
  ModelOf,
} from './llama-types.js'
