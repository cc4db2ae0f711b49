import { Grant, ModelMemoryEstimate, TokenBudget, AcquireOptions, MemoryManager } from './index.js';

/** What is asked of node-llama-cpp's objects here, so that its package need not be there. */
interface Disposes {
    readonly onDispose: {
        createListener(listener: () => void): unknown;
    };
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
    createContext(options?: any): Promise<LlamaContextLike>;
}
/** What `getLlama()` gives. */
interface LlamaLike {
    readonly gpu: string | false;
    loadModel(options: any): Promise<LlamaModelLike>;
}
/** The model that a Llama loads, and the context that this makes. */
type ModelOf<L extends LlamaLike> = Awaited<ReturnType<L['loadModel']>>;
type ContextOf<L extends LlamaLike> = Awaited<ReturnType<ModelOf<L>['createContext']>>;
/** The options of a model that bear on memory. */
interface LlamaModelOptionsLike {
    modelPath: string;
    gpuLayers?: unknown;
    useMmap?: unknown;
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

/**
 * Makes node-llama-cpp ask before it takes memory. A model is estimated by its file's header, its weights are acquired of the manager, and
 * only then is it loaded; a context likewise. Both are released when node-llama-cpp disposes of them.
 *
 * @example
 * import { getLlama } from 'node-llama-cpp'
 * import { MemoryManager } from 'plimsoll'
 * import { guardLlama } from 'plimsoll/node-llama-cpp'
 *
 * await using manager = new MemoryManager()
 * const guarded = guardLlama(await getLlama(), manager)
 * const { model, createContext } = await guarded.loadModel({ modelPath: 'model.gguf' }, { timeoutMs: 60_000 })
 * const { context, tokens } = await createContext({ sequences: 4 }) // the longest context that fits
 *
 * @throws {@link InvalidArgumentError} when the manager is none.
 */
declare function guardLlama<L extends LlamaLike>(llama: L, manager: MemoryManager): GuardedLlama<L>;
/** A Llama whose models are acquired before they are loaded. {@link guardLlama} makes one. */
declare class GuardedLlama<L extends LlamaLike> {
    #private;
    /** What was guarded. */
    readonly llama: L;
    /**
     * Loads a model once its weights are granted. `options` are node-llama-cpp's, `acquire` those of
     * {@link MemoryManager.acquire}; of one file one load at a time, unless `acquire.key` says else.
     *
     * Rejects as {@link MemoryManager.acquire} does, as {@link GgufFile.open} does of the file, and as node-llama-cpp does: then the grant
     * was released.
     */
    loadModel(options: Parameters<L['loadModel']>[0] & LlamaModelOptionsLike, acquire?: AcquireOptions): Promise<GuardedModel<L>>;
}
/** A model of node-llama-cpp's with what it was granted. */
declare class GuardedModel<L extends LlamaLike> {
    #private;
    /** node-llama-cpp's model. Disposing of it releases the grant. */
    readonly model: ModelOf<L>;
    /** What its weights were granted. */
    readonly grant: Grant;
    /** What it needs, with the shortest context. */
    readonly estimate: ModelMemoryEstimate;
    /**
     * Makes a context once its memory is granted. `options` are node-llama-cpp's; without a `contextSize`, or with `'auto'` or a range, it is
     * the longest that fits what is free now. `acquire` is as of {@link GuardedLlama.loadModel}.
     *
     * Rejects as that does.
     */
    createContext: (options?: NonNullable<Parameters<ModelOf<L>["createContext"]>[0]> & LlamaContextOptionsLike, acquire?: AcquireOptions) => Promise<GuardedContext<L>>;
}
/** A context of node-llama-cpp's with what it was granted, and a budget of its tokens. */
declare class GuardedContext<L extends LlamaLike> {
    #private;
    /** node-llama-cpp's context. Disposing of it releases the grant. */
    readonly context: ContextOf<L>;
    /** What it was granted. */
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

export { GuardedContext, GuardedLlama, GuardedModel, guardLlama };
export type { ContextOf, LlamaContextLike, LlamaLike, LlamaModelLike, LlamaSequenceLike, ModelOf };
