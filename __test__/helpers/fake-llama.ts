/**
 * What node-llama-cpp 3.22 does as far as memory is concerned, without a model: its types, its defaults, its events, and the sizes that it
 * makes of what it is asked for.
 */

/** node-llama-cpp's `EventRelay`. */
class EventRelay {
  readonly #listeners = new Set<() => void>()

  createListener(listener: () => void) {
    this.#listeners.add(listener)
    return { dispose: () => void this.#listeners.delete(listener) }
  }

  dispatch(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}

export interface FakeModelOptions {
  fail?: 'load' | 'context' | undefined
  flashAttentionSupported?: boolean
  llamaCppRelease?: { repo: string; release: string }
}

/** A turn of the event loop: all that node-llama-cpp does takes some. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

export class FakeLlama {
  readonly gpu = false
  readonly supportsMmap = true
  readonly llamaCppRelease: { repo: string; release: string }
  readonly flashAttentionSupported: boolean
  fail: 'load' | 'context' | undefined
  /** Is told of a model at the end of its load. */
  onMade: (model: FakeModel) => unknown = () => {}
  loads = 0
  /** Models and contexts that were not disposed of. */
  live = 0

  constructor(options: FakeModelOptions = {}) {
    const release = { repo: 'ggml-org/llama.cpp', release: 'v0.5.0' }
    this.llamaCppRelease = 'llamaCppRelease' in options ? (options.llamaCppRelease as never) : release
    this.flashAttentionSupported = options.flashAttentionSupported ?? true
    this.fail = options.fail
  }

  async loadModel(options: { modelPath: string; [option: string]: unknown }): Promise<FakeModel> {
    await turn()
    if (this.fail === 'load') throw new Error('Failed to load model')
    this.loads += 1
    const model = new FakeModel(this, options)
    await this.onMade(model)
    return model
  }
}

/** What the sample was trained with. */
const trainContextSize = 512

export class FakeModel {
  readonly onDispose = new EventRelay()
  readonly gpuLayers = 0
  readonly useMmap = true
  readonly flashAttentionSupported: boolean
  readonly defaultContextFlashAttention: boolean | 'auto'
  readonly defaultContextSwaFullCache: boolean
  readonly defaultContextKvCacheKeyType: number
  readonly defaultContextKvCacheValueType: number
  readonly #llama: FakeLlama
  disposed = false

  constructor(llama: FakeLlama, options: { [option: string]: unknown }) {
    this.#llama = llama
    this.flashAttentionSupported = llama.flashAttentionSupported
    const { defaultContextFlashAttention = 'auto' } = options
    this.defaultContextFlashAttention =
      this.flashAttentionSupported && (defaultContextFlashAttention as boolean | 'auto')
    this.defaultContextSwaFullCache = options.defaultContextSwaFullCache === true
    this.defaultContextKvCacheKeyType = typeId(options.experimentalDefaultContextKvCacheKeyType)
    this.defaultContextKvCacheValueType = typeId(options.experimentalDefaultContextKvCacheValueType)
    llama.live += 1
  }

  async createContext(options: { contextSize?: unknown; [option: string]: unknown } = {}): Promise<FakeContext> {
    await turn()
    if (this.disposed) throw new Error('Object is disposed')
    if (this.#llama.fail === 'context') throw new Error('Failed to create context')
    // What it finds out by itself is not what was acquired.
    if (typeof options.contextSize !== 'number') throw new Error('expected the context to be sized')
    return new FakeContext(this, this.#llama, options.contextSize)
  }

  async dispose(): Promise<void> {
    if (this.disposed) return
    this.disposed = true
    await turn()
    this.#llama.live -= 1
    this.onDispose.dispatch()
  }
}

export class FakeContext {
  readonly onDispose = new EventRelay()
  readonly contextSize: number
  readonly #llama: FakeLlama
  disposed = false

  constructor(model: FakeModel, llama: FakeLlama, contextSize: number) {
    const padded = Math.ceil(Math.max(2, contextSize) / 256) * 256
    this.contextSize = contextSize <= trainContextSize && padded < trainContextSize ? padded : contextSize
    this.#llama = llama
    llama.live += 1
    model.onDispose.createListener(() => void this.dispose())
  }

  getSequence() {
    return { nextTokenIndex: 0 }
  }

  async dispose(): Promise<void> {
    if (this.disposed) return
    this.disposed = true
    this.#llama.live -= 1
    this.onDispose.dispatch()
  }
}

/** ggml's number of a type, by name or number; F16 of what is none. */
function typeId(type: unknown): number {
  const ids: Record<string, number> = { F32: 0, Q4_0: 2, Q4_1: 3, Q5_0: 6, Q5_1: 7, Q8_0: 8, IQ4_NL: 20, BF16: 30 }
  return typeof type === 'number' ? type : (ids[String(type)] ?? 1)
}
