/** What is asked of node-llama-cpp's objects here, so that its package need not be there. */
interface Disposes {
  readonly onDispose: { createListener(listener: () => void): unknown }
  readonly disposed?: boolean
  dispose(): Promise<void>
}

/** A sequence of node-llama-cpp's. */
export interface LlamaSequenceLike {
  /** Tokens that it has in the cache. */
  readonly nextTokenIndex: number
}

/** A context of node-llama-cpp's. */
export interface LlamaContextLike extends Disposes {
  readonly contextSize: number
}

/** A model of node-llama-cpp's. */
export interface LlamaModelLike extends Disposes {
  readonly gpuLayers: number
  readonly useMmap: boolean
  readonly flashAttentionSupported?: boolean
  readonly defaultContextFlashAttention?: boolean | 'auto'
  readonly defaultContextSwaFullCache?: boolean
  readonly defaultContextKvCacheKeyType?: number
  readonly defaultContextKvCacheValueType?: number
  // What it takes is node-llama-cpp's.
  // biome-ignore lint/suspicious/noExplicitAny: its parameters are those of the real one, whatever its version.
  createContext(options?: any): Promise<LlamaContextLike>
}

/** What `getLlama()` gives. */
export interface LlamaLike {
  readonly gpu: string | false
  readonly supportsMmap?: boolean
  readonly llamaCppRelease?: { readonly repo: string; readonly release: string }
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  loadModel(options: any): Promise<LlamaModelLike>
}

/** The model that a Llama loads. */
export type ModelOf<L extends LlamaLike> = Awaited<ReturnType<L['loadModel']>>
/** The context that a model of a Llama makes. */
export type ContextOf<L extends LlamaLike> = Awaited<ReturnType<ModelOf<L>['createContext']>>

/** The options of a model that bear on memory. */
export interface LlamaModelOptionsLike {
  modelPath: string
  gpuLayers?: unknown
  useMmap?: unknown
  defaultContextFlashAttention?: unknown
  defaultContextSwaFullCache?: unknown
  experimentalDefaultContextKvCacheKeyType?: unknown
  experimentalDefaultContextKvCacheValueType?: unknown
}

/** The options of a context that bear on memory. */
export interface LlamaContextOptionsLike {
  contextSize?: unknown
  sequences?: unknown
  batchSize?: unknown
  flashAttention?: unknown
  swaFullCache?: unknown
  experimentalKvCacheKeyType?: unknown
  experimentalKvCacheValueType?: unknown
}

/** The options that a Llama loads a model with. */
export type ModelOptionsOf<L extends LlamaLike> = Parameters<L['loadModel']>[0] & LlamaModelOptionsLike
/** The options that a model of a Llama makes a context with. */
export type ContextOptionsOf<L extends LlamaLike> = NonNullable<Parameters<ModelOf<L>['createContext']>[0]> &
  LlamaContextOptionsLike
