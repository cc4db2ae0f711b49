import type { AcquireOptions, Grant, MemoryManager, ModelMemoryEstimate } from '../index.js'
import * as check from '../support/check.js'
import { released } from '../support/errors.js'
import { defaultsOfModel } from './context-defaults.js'
import { GuardedContext } from './guarded-context.js'
import { held } from './held.js'
import type { ContextOf, ContextOptionsOf, LlamaLike, ModelOf } from './llama-types.js'
import { contextNeeds, type ModelRun, type WeightsNeeds } from './needs.js'
import { expectToken, token } from './token.js'

/**
 * A model of node-llama-cpp's with what it was granted.
 *
 * @example
 * const guardedModel = await guarded.loadModel({ modelPath: 'model.gguf' })
 * const { context, grant } = await guardedModel.createContext({ contextSize: 256 })
 * console.log(grant.label, context.contextSize)
 */
export class GuardedModel<L extends LlamaLike> {
  readonly #manager: MemoryManager
  readonly #planned: ModelRun
  readonly #weightsBytes: number
  /** What ends the waits for contexts of a model that is no more. */
  readonly #gone = new AbortController()
  /** node-llama-cpp's model. Disposing of it releases the grant. */
  readonly model: ModelOf<L>
  /** What its weights were granted: with the first context, where they were taken together. */
  readonly grant: Grant
  /** What it needs, with the shortest context. */
  readonly estimate: ModelMemoryEstimate

  /** @internal */
  constructor(
    given: typeof token,
    manager: MemoryManager,
    planned: ModelRun,
    model: ModelOf<L>,
    grant: Grant,
    weights: WeightsNeeds,
  ) {
    expectToken(given, 'GuardedModel', 'GuardedLlama#loadModel()')
    const { file, run, defaults } = planned
    this.#manager = manager
    this.#planned = {
      file,
      run: { ...run, gpuLayers: model.gpuLayers, mmap: model.useMmap },
      defaults: defaultsOfModel(file, model, defaults),
    }
    this.#weightsBytes = weights.request.bytes
    this.model = model
    this.grant = grant
    this.estimate = weights.estimate
    model.onDispose.createListener(() => {
      this.#gone.abort(released('the model'))
      grant.release()
      file.close()
    })
  }

  /**
   * Makes a context once its memory is granted. `options` are node-llama-cpp's; without a `contextSize`, or with `'auto'` or a range, it is
   * the longest that fits what is free now. `acquire` is as of {@link GuardedLlama.load}. It waits while it holds the weights: where others
   * do the same, each may wait for what the other has. {@link GuardedLlama.load} cannot.
   *
   * Rejects as that does; with {@link AbortError} where the model was disposed of meanwhile.
   */
  createContext = async (
    options: ContextOptionsOf<L> = {} as never,
    acquire: AcquireOptions = {},
  ): Promise<GuardedContext<L>> => {
    check.object('options', options)
    check.object('acquire', acquire)
    const { budget } = this.#manager
    const needs = contextNeeds(this.#planned, options, this.#weightsBytes, () => budget.availableBytes)
    const grant = await this.#manager.acquire(needs.request, { ...acquire, signal: this.#signal(acquire) })
    const made = { ...options, contextSize: needs.contextLength }
    const context = await held(grant, () => this.model.createContext(made) as Promise<ContextOf<L>>)
    return new GuardedContext(token, context, grant, needs, () => grant.release())
  }

  #signal(acquire: AcquireOptions): AbortSignal {
    const { signal } = this.#gone
    return acquire.signal === undefined ? signal : AbortSignal.any([signal, check.signal('signal', acquire.signal)])
  }
}
