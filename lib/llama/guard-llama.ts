import {
  type AcquireOptions,
  GgufFile,
  type Grant,
  MemoryManager,
  type ModelMemoryEstimate,
  type TokenBudget,
} from '../index.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { defaultsOfOptions } from './context-defaults.js'
import { GuardedContext } from './guarded-context.js'
import { GuardedModel } from './guarded-model.js'
import { held } from './held.js'
import type { ContextOf, ContextOptionsOf, LlamaLike, ModelOf, ModelOptionsOf } from './llama-types.js'
import { contextNeeds, type ModelRun, runOf, weightsNeeds } from './needs.js'
import { token } from './token.js'

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
export function guardLlama<L extends LlamaLike>(llama: L, manager: MemoryManager): GuardedLlama<L> {
  return new GuardedLlama(llama, manager)
}

/** A model and a context that were granted their memory together. */
export interface LoadedLlama<L extends LlamaLike> {
  /** node-llama-cpp's model. Disposing of it disposes of the context too, and releases the grant. */
  readonly model: ModelOf<L>
  /** node-llama-cpp's context. Disposing of it alone releases what it has of the grant. */
  readonly context: ContextOf<L>
  /** What both were granted: the weights first, then the context. */
  readonly grant: Grant
  /** What the model needs with this context. */
  readonly estimate: ModelMemoryEstimate
  /** The tokens of all sequences of the context. */
  readonly tokens: TokenBudget
  /** As of {@link GuardedContext}: checks that so many tokens more have room in a sequence. */
  readonly reserve: GuardedContext<L>['reserve']
  /** As of {@link GuardedModel}: makes a further context, once that is granted. */
  readonly createContext: GuardedModel<L>['createContext']
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
export class GuardedLlama<L extends LlamaLike> {
  readonly #manager: MemoryManager
  /** What was guarded. */
  readonly llama: L

  /** @internal */
  constructor(llama: L, manager: MemoryManager) {
    check.closable('manager', manager, MemoryManager)
    if (typeof check.member(llama, 'loadModel') !== 'function') {
      throw invalidArgument('llama', 'what getLlama() of node-llama-cpp gives', quoted(llama))
    }
    this.llama = llama
    this.#manager = manager
  }

  /**
   * Loads a model and makes a context once both are granted, together: who waits holds nothing, so no two of them can wait for each other.
   * The options are node-llama-cpp's; without a `contextSize`, or with `'auto'` or a range, it is the longest that fits what is free now.
   * `acquire` are those of {@link MemoryManager.acquire}; of one file one load at a time, unless `acquire.key` says else.
   *
   * Rejects as {@link MemoryManager.acquire} does, as {@link GgufFile.open} does of the file, and as node-llama-cpp does: then neither model
   * nor context is left, and the grant was released.
   */
  async load(
    options: ModelOptionsOf<L>,
    contextOptions: ContextOptionsOf<L> = {} as never,
    acquire: AcquireOptions = {},
  ): Promise<LoadedLlama<L>> {
    check.object('contextOptions', contextOptions)
    check.object('acquire', acquire)
    return this.#opened(options, async (planned) => {
      const weights = weightsNeeds(planned, options.modelPath)
      const weightsBytes = weights.request.bytes
      const besideWeights = () => Math.max(0, this.#manager.budget.availableBytes - weightsBytes)
      const needs = contextNeeds(planned, contextOptions, weightsBytes, besideWeights)
      const grant = await this.#manager.acquire([weights.request, needs.request], {
        key: options.modelPath,
        ...acquire,
      })
      let context: ContextOf<L> | undefined
      const model = await held(grant, async () => {
        const loaded = (await this.llama.loadModel(options)) as ModelOf<L>
        try {
          const made = { ...contextOptions, contextSize: needs.contextLength }
          context = (await loaded.createContext(made)) as ContextOf<L>
          return loaded
        } catch (error) {
          await loaded.dispose()
          throw error
        }
      })
      const guarded = new GuardedModel<L>(token, this.#manager, planned, model, grant, weights)
      const ofContext = grant.allocations[1]
      const release = () => ofContext?.release()
      const made = new GuardedContext<L>(token, context as ContextOf<L>, grant, needs, release)
      const { tokens, reserve, estimate } = made
      return { model, context: made.context, grant, estimate, tokens, reserve, createContext: guarded.createContext }
    })
  }

  /**
   * Loads a model once its weights alone are granted; {@link GuardedModel.createContext} then acquires each context while the weights are
   * held. Two who do so may each wait for what the other holds, until their `timeoutMs`: {@link load} cannot.
   *
   * Rejects as {@link load} does.
   */
  async loadModel(options: ModelOptionsOf<L>, acquire: AcquireOptions = {}): Promise<GuardedModel<L>> {
    check.object('acquire', acquire)
    return this.#opened(options, async (planned) => {
      const weights = weightsNeeds(planned, options.modelPath)
      const grant = await this.#manager.acquire(weights.request, { key: options.modelPath, ...acquire })
      const model = await held(grant, () => this.llama.loadModel(options) as Promise<ModelOf<L>>)
      return new GuardedModel<L>(token, this.#manager, planned, model, grant, weights)
    })
  }

  /** Opens the file's header for `use`; whoever is made of it keeps it. */
  async #opened<T>(options: ModelOptionsOf<L>, use: (planned: ModelRun) => Promise<T>): Promise<T> {
    const file = GgufFile.open(check.filePath('modelPath', check.member(options, 'modelPath')), { headerOnly: true })
    try {
      return await use({ file, run: runOf(options, this.llama), defaults: defaultsOfOptions(file, options) })
    } catch (error) {
      file.close()
      throw error
    }
  }
}
