import {
  type AcquireOptions,
  type EstimateOptions,
  estimate,
  fit as fitModel,
  GgufFile,
  type Grant,
  type KvType,
  kvTypes,
  MemoryManager,
  type ModelMemoryEstimate,
  TokenBudget,
  type TokenSequence,
} from '../index.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import type {
  ContextOf,
  LlamaContextOptionsLike,
  LlamaLike,
  LlamaModelOptionsLike,
  LlamaSequenceLike,
  ModelOf,
} from './llama-types.js'

/** As many layers as any model has. */
const ALL_LAYERS = 2 ** 31 - 1

/** node-llama-cpp's default: tokens that are computed at once. */
const BATCH_SIZE = 512

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
export function guardLlama<L extends LlamaLike>(llama: L, manager: MemoryManager): GuardedLlama<L> {
  if (!(manager instanceof MemoryManager)) throw invalidArgument('manager', 'a MemoryManager', quoted(manager))
  if (!check.isObject(llama) || typeof llama.loadModel !== 'function') {
    throw invalidArgument('llama', 'what getLlama() of node-llama-cpp gives', quoted(llama))
  }
  return new GuardedLlama(llama, manager)
}

/** A Llama whose models are acquired before they are loaded. {@link guardLlama} makes one. */
export class GuardedLlama<L extends LlamaLike> {
  readonly #manager: MemoryManager
  /** What was guarded. */
  readonly llama: L

  /** @internal */
  constructor(llama: L, manager: MemoryManager) {
    this.llama = llama
    this.#manager = manager
  }

  /**
   * Loads a model once its weights are granted. `options` are node-llama-cpp's, `acquire` those of
   * {@link MemoryManager.acquire}; of one file one load at a time, unless `acquire.key` says else.
   *
   * Rejects as {@link MemoryManager.acquire} does, as {@link GgufFile.open} does of the file, and as node-llama-cpp does: then the grant
   * was released.
   */
  async loadModel(
    options: Parameters<L['loadModel']>[0] & LlamaModelOptionsLike,
    acquire?: AcquireOptions,
  ): Promise<GuardedModel<L>> {
    const file = GgufFile.open(check.filePath('modelPath', options?.modelPath), { headerOnly: true })
    try {
      const run: EstimateOptions = {
        gpuLayers: gpuLayersOf(options.gpuLayers, this.llama),
        ...(options.useMmap === false && { mmap: false }),
      }
      const weights = estimate(file, { ...run, contextLength: 256 })
      const label = `weights of ${file.metadata.getString('general.name') ?? options.modelPath}`
      const grant = await this.#manager.acquire(
        { bytes: weights.totals.loadingBytes, label },
        { key: options.modelPath, ...acquire },
      )
      const model = await held(grant, () => this.llama.loadModel(options) as Promise<ModelOf<L>>)
      model.onDispose.createListener(() => {
        grant.release()
        file.close()
      })
      return new GuardedModel(this.#manager, file, run, model, grant, weights)
    } catch (error) {
      file.close()
      throw error
    }
  }
}

/** A model of node-llama-cpp's with what it was granted. */
export class GuardedModel<L extends LlamaLike> {
  readonly #manager: MemoryManager
  readonly #file: GgufFile
  readonly #run: EstimateOptions
  /** node-llama-cpp's model. Disposing of it releases the grant. */
  readonly model: ModelOf<L>
  /** What its weights were granted. */
  readonly grant: Grant
  /** What it needs, with the shortest context. */
  readonly estimate: ModelMemoryEstimate

  /** @internal */
  constructor(
    manager: MemoryManager,
    file: GgufFile,
    run: EstimateOptions,
    model: ModelOf<L>,
    grant: Grant,
    weights: ModelMemoryEstimate,
  ) {
    this.#manager = manager
    this.#file = file
    this.#run = { ...run, gpuLayers: model.gpuLayers, mmap: model.useMmap }
    this.model = model
    this.grant = grant
    this.estimate = weights
  }

  /**
   * Makes a context once its memory is granted. `options` are node-llama-cpp's; without a `contextSize`, or with `'auto'` or a range, it is
   * the longest that fits what is free now. `acquire` is as of {@link GuardedLlama.loadModel}.
   *
   * Rejects as that does.
   */
  createContext = async (
    options: NonNullable<Parameters<ModelOf<L>['createContext']>[0]> & LlamaContextOptionsLike = {} as never,
    acquire?: AcquireOptions,
  ): Promise<GuardedContext<L>> => {
    const sequences = check.integer('sequences', options.sequences ?? 1, 1, 256)
    const contextLength = this.#contextLength(options, sequences)
    const needs = estimate(this.#file, { ...this.#runOf(options), parallel: sequences, contextLength })
    const bytes = needs.kvCacheBytes + needs.stateBytes + needs.computeBoundBytes + needs.outputBytes
    const grant = await this.#manager.acquire({ bytes, label: `context of ${contextLength} x ${sequences}` }, acquire)
    const made = { ...options, contextSize: contextLength }
    const context = await held(grant, () => this.model.createContext(made) as Promise<ContextOf<L>>)
    const tokens = new TokenBudget({ cost: needs, maxCacheTokens: context.contextSize * sequences })
    context.onDispose.createListener(() => {
      tokens.close()
      grant.release()
    })
    return new GuardedContext(context, grant, needs, tokens)
  }

  #runOf(options: LlamaContextOptionsLike): EstimateOptions {
    const batch = check.integer('batchSize', options.batchSize ?? BATCH_SIZE, 1, 2 ** 31 - 1)
    return {
      ...this.#run,
      ubatch: batch,
      batch,
      kvTypeK: kvTypeOf('experimentalKvCacheKeyType', options.experimentalKvCacheKeyType),
      kvTypeV: kvTypeOf('experimentalKvCacheValueType', options.experimentalKvCacheValueType),
      flashAttention: options.flashAttention !== false,
      swaFull: options.swaFullCache === true,
    }
  }

  /** The tokens of a sequence: what is asked for, or the most that fit. */
  #contextLength(options: LlamaContextOptionsLike, parallel: number): number {
    const { contextSize = 'auto' } = options
    if (typeof contextSize === 'number') return check.integer('contextSize', contextSize, 1, 2 ** 31 - 1)
    const range = contextSize === 'auto' ? {} : check.options<{ min?: number; max?: number }>(contextSize, rangeChecks)
    const { kvTypeK = 'f16', kvTypeV: _v, ubatch = BATCH_SIZE, ...run } = this.#runOf(options)
    const budgetBytes = this.grant.bytes + this.#manager.budget.availableBytes
    const { configuration } = fitModel(this.#file, budgetBytes, {
      ...run,
      parallel,
      kvTypes: [kvTypeK],
      ubatches: [ubatch],
      ...(range.min !== undefined && { minContext: range.min }),
      ...(range.max !== undefined && { maxContext: range.max }),
    })
    // Where nothing fits it is the shortest, which waits for its turn.
    return configuration.contextLength
  }
}

const tokens = (name: string, value: unknown) => check.integer(name, value, 1, 2 ** 31 - 1)
const rangeChecks = { min: tokens, max: tokens } as const

/** A context of node-llama-cpp's with what it was granted, and a budget of its tokens. */
export class GuardedContext<L extends LlamaLike> {
  readonly #sequences = new WeakMap<object, TokenSequence>()
  /** node-llama-cpp's context. Disposing of it releases the grant. */
  readonly context: ContextOf<L>
  /** What it was granted. */
  readonly grant: Grant
  /** What the model needs with this context. */
  readonly estimate: ModelMemoryEstimate
  /** The tokens of all its sequences. */
  readonly tokens: TokenBudget

  /** @internal */
  constructor(context: ContextOf<L>, grant: Grant, needs: ModelMemoryEstimate, budget: TokenBudget) {
    this.context = context
    this.grant = grant
    this.estimate = needs
    this.tokens = budget
  }

  /**
   * Checks that so many tokens more have room in a sequence of the context, before they are evaluated; what the sequence has by then
   * counts as it says itself.
   *
   * @throws {@link InvalidArgumentError} when `count` is no whole number from 0 up, or more than a sequence of the context may have:
   * node-llama-cpp would shift it without a word. {@link InsufficientMemoryError} where all of them together have no room.
   */
  reserve = (sequence: LlamaSequenceLike, count: number): void => {
    const checked = check.integer('count', count, 0, 2 ** 31 - 1)
    const counted = this.#counted(sequence)
    const has = sequence.nextTokenIndex
    const { contextSize } = this.context
    if (has + checked > contextSize) {
      const expected = `at most the ${Math.max(0, contextSize - has)} that the sequence has room for`
      throw invalidArgument('count', expected, checked)
    }
    if (counted.tokens > has) counted.truncate(has)
    counted.extend(has - counted.tokens + checked)
  }

  #counted(sequence: LlamaSequenceLike): TokenSequence {
    if (!check.isObject(sequence) || typeof sequence.nextTokenIndex !== 'number') {
      throw invalidArgument('sequence', 'a sequence of the context', quoted(sequence))
    }
    const known = this.#sequences.get(sequence)
    if (known && !known.freed) return known
    const opened = this.tokens.open('sequence')
    this.#sequences.set(sequence, opened)
    return opened
  }
}

/**
 * Makes what a grant is for, and has the grant stay as long as that: node-llama-cpp keeps it. Where it cannot be made, or the grant went
 * meanwhile, neither is left.
 */
async function held<T extends { dispose(): Promise<void> }>(grant: Grant, make: () => Promise<T>): Promise<T> {
  let made: T | undefined
  try {
    made = await make()
    grant.commit()
    grant.ready()
    grant.hold()
    return made
  } catch (error) {
    await made?.dispose()
    grant.release()
    throw error
  }
}

/** Layers on the GPU: all of them where node-llama-cpp decides, which a board with one memory does not mind. */
function gpuLayersOf(gpuLayers: unknown, { gpu }: LlamaLike): number {
  if (gpu === false) return 0
  return typeof gpuLayers === 'number' ? check.integer('gpuLayers', gpuLayers, 0, ALL_LAYERS) : ALL_LAYERS
}

/** A type of the cache by node-llama-cpp's name, which is ggml's in capitals. */
function kvTypeOf(name: string, type: unknown): KvType {
  if (type === undefined) return 'f16'
  return check.oneOf(name, typeof type === 'string' ? type.toLowerCase() : type, kvTypes)
}
