import { Grant, ModelMemoryEstimate, TokenBudget, AcquireOptions, MemoryManager } from './index.js';

/** What is asked of node-llama-cpp's objects here, so that its package need not be there. */
interface Disposes {
    readonly onDispose: {
        createListener(listener: () => void): unknown;
    };
    readonly disposed?: boolean;
    dispose(): Promise<void>;
}
/** A sequence of node-llama-cpp's. */
interface LlamaSequenceLike {
    /** Tokens that it has in the cache. */
    readonly nextTokenIndex: number;
}
/** A context of node-llama-cpp's. */
interface LlamaContextLike extends Disposes {
    readonly contextSize: number;
}
/** A model of node-llama-cpp's. */
interface LlamaModelLike extends Disposes {
    readonly gpuLayers: number;
    readonly useMmap: boolean;
    readonly flashAttentionSupported?: boolean;
    readonly defaultContextFlashAttention?: boolean | 'auto';
    readonly defaultContextSwaFullCache?: boolean;
    readonly defaultContextKvCacheKeyType?: number;
    readonly defaultContextKvCacheValueType?: number;
    createContext(options?: any): Promise<LlamaContextLike>;
}
/** What `getLlama()` gives. */
interface LlamaLike {
    readonly gpu: string | false;
    readonly supportsMmap?: boolean;
    readonly llamaCppRelease?: {
        readonly repo: string;
        readonly release: string;
    };
    loadModel(options: any): Promise<LlamaModelLike>;
}
/** The model that a Llama loads. */
type ModelOf<L extends LlamaLike> = Awaited<ReturnType<L['loadModel']>>;
/** The context that a model of a Llama makes. */
type ContextOf<L extends LlamaLike> = Awaited<ReturnType<ModelOf<L>['createContext']>>;
/** The options of a model that bear on memory. */
interface LlamaModelOptionsLike {
    modelPath: string;
    gpuLayers?: unknown;
    useMmap?: unknown;
    defaultContextFlashAttention?: unknown;
    defaultContextSwaFullCache?: unknown;
    experimentalDefaultContextKvCacheKeyType?: unknown;
    experimentalDefaultContextKvCacheValueType?: unknown;
}
/** The options of a context that bear on memory. */
interface LlamaContextOptionsLike {
    contextSize?: unknown;
    sequences?: unknown;
    batchSize?: unknown;
    flashAttention?: unknown;
    swaFullCache?: unknown;
    experimentalKvCacheKeyType?: unknown;
    experimentalKvCacheValueType?: unknown;
}
/** The options that a Llama loads a model with. */
type ModelOptionsOf<L extends LlamaLike> = Parameters<L['loadModel']>[0] & LlamaModelOptionsLike;
/** The options that a model of a Llama makes a context with. */
type ContextOptionsOf<L extends LlamaLike> = NonNullable<Parameters<ModelOf<L>['createContext']>[0]> & LlamaContextOptionsLike;

/**
 * A context of node-llama-cpp's with what it was granted, and a budget of its tokens.
 *
 * @example
 * const { context, reserve } = await guarded.load({ modelPath: 'model.gguf' })
 * const sequence = context.getSequence()
 * reserve(sequence, 64) // throws where 64 tokens more have no room
 */
declare class GuardedContext<L extends LlamaLike> {
    #private;
    /** node-llama-cpp's context. Disposing of it releases what it was granted. */
    readonly context: ContextOf<L>;
    /** What it was granted: with its model's weights, where they were taken together. */
    readonly grant: Grant;
    /** What the model needs with this context. */
    readonly estimate: ModelMemoryEstimate;
    /** The tokens of all its sequences. */
    readonly tokens: TokenBudget;
    /**
     * Checks that so many tokens more have room in a sequence of the context, before they are evaluated; what the sequence has by then
     * counts as it says itself.
     *
     * @throws {@link InvalidArgumentError} when `count` is no whole number from 0 up, or more than a sequence of the context may have:
     * node-llama-cpp would shift it without a word. {@link InsufficientMemoryError} where all of them together have no room.
     */
    reserve: (sequence: LlamaSequenceLike, count: number) => void;
}

/**
 * A model of node-llama-cpp's with what it was granted.
 *
 * @example
 * const guardedModel = await guarded.loadModel({ modelPath: 'model.gguf' })
 * const { context, grant } = await guardedModel.createContext({ contextSize: 256 })
 * console.log(grant.label, context.contextSize)
 */
declare class GuardedModel<L extends LlamaLike> {
    #private;
    /** node-llama-cpp's model. Disposing of it releases the grant. */
    readonly model: ModelOf<L>;
    /** What its weights were granted: with the first context, where they were taken together. */
    readonly grant: Grant;
    /** What it needs, with the shortest context. */
    readonly estimate: ModelMemoryEstimate;
    /**
     * Makes a context once its memory is granted. `options` are node-llama-cpp's; without a `contextSize`, or with `'auto'` or a range, it is
     * the longest that fits what is free now. `acquire` is as of {@link GuardedLlama.load}. It waits while it holds the weights: where others
     * do the same, each may wait for what the other has. {@link GuardedLlama.load} cannot.
     *
     * Rejects as that does; with {@link AbortError} where the model was disposed of meanwhile.
     */
    createContext: (options?: ContextOptionsOf<L>, acquire?: AcquireOptions) => Promise<GuardedContext<L>>;
}

/**
 * Makes node-llama-cpp ask before it takes memory. A model is estimated by its file's header, its weights and a context are acquired of the
 * manager together, and only then are they made. They are released when node-llama-cpp disposes of them.
 *
 * @example
 * import { getLlama } from 'node-llama-cpp'
 * import { MemoryManager } from 'plimsoll'
 * import { guardLlama } from 'plimsoll/node-llama-cpp'
 *
 * await using manager = new MemoryManager()
 * const guarded = guardLlama(await getLlama(), manager)
 * const { model, context, reserve } = await guarded.load(
 *   { modelPath: 'model.gguf' },
 *   { sequences: 4 }, // the longest context that fits
 *   { timeoutMs: 60_000 },
 * )
 *
 * @throws {@link InvalidArgumentError} when the manager is none.
 */
declare function guardLlama<L extends LlamaLike>(llama: L, manager: MemoryManager): GuardedLlama<L>;
/** A model and a context that were granted their memory together. */
interface LoadedLlama<L extends LlamaLike> {
    /** node-llama-cpp's model. Disposing of it disposes of the context too, and releases the grant. */
    readonly model: ModelOf<L>;
    /** node-llama-cpp's context. Disposing of it alone releases what it has of the grant. */
    readonly context: ContextOf<L>;
    /** What both were granted: the weights first, then the context. */
    readonly grant: Grant;
    /** What the model needs with this context. */
    readonly estimate: ModelMemoryEstimate;
    /** The tokens of all sequences of the context. */
    readonly tokens: TokenBudget;
    /** As of {@link GuardedContext}: checks that so many tokens more have room in a sequence. */
    readonly reserve: GuardedContext<L>['reserve'];
    /** As of {@link GuardedModel}: makes a further context, once that is granted. */
    readonly createContext: GuardedModel<L>['createContext'];
}
/**
 * A Llama whose models are acquired before they are loaded. {@link guardLlama} makes one.
 *
 * @example
 * const guarded = guardLlama(await getLlama(), manager)
 * const { model, grant } = await guarded.load({ modelPath: 'model.gguf' }, { contextSize: 256 })
 * await model.dispose()
 * console.log(grant.released) // true
 */
declare class GuardedLlama<L extends LlamaLike> {
    #private;
    /** What was guarded. */
    readonly llama: L;
    /**
     * Loads a model and makes a context once both are granted, together: who waits holds nothing, so no two of them can wait for each other.
     * The options are node-llama-cpp's; without a `contextSize`, or with `'auto'` or a range, it is the longest that fits what is free now.
     * `acquire` are those of {@link MemoryManager.acquire}; of one file one load at a time, unless `acquire.key` says else.
     *
     * Rejects as {@link MemoryManager.acquire} does, as {@link GgufFile.open} does of the file, and as node-llama-cpp does: then neither model
     * nor context is left, and the grant was released.
     */
    load(options: ModelOptionsOf<L>, contextOptions?: ContextOptionsOf<L>, acquire?: AcquireOptions): Promise<LoadedLlama<L>>;
    /**
     * Loads a model once its weights alone are granted; {@link GuardedModel.createContext} then acquires each context while the weights are
     * held. Two who do so may each wait for what the other holds, until their `timeoutMs`: {@link load} cannot.
     *
     * Rejects as {@link load} does.
     */
    loadModel(options: ModelOptionsOf<L>, acquire?: AcquireOptions): Promise<GuardedModel<L>>;
}

export { GuardedContext, GuardedLlama, GuardedModel, guardLlama };
export type { ContextOf, ContextOptionsOf, LlamaContextLike, LlamaLike, LlamaModelLike, LlamaSequenceLike, LoadedLlama, ModelOf, ModelOptionsOf };
