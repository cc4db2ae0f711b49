import { basename } from 'node:path'
import type { Llama, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp'
import { resolveChatWrapper } from 'node-llama-cpp'
import type { MakeRoomRequest, MemoryManager } from 'plimsoll'
import { guardLlama, type LoadedLlama } from 'plimsoll/node-llama-cpp'

/** What a model is served with. */
export interface HostOptions {
  /** Conversations that are worked on at the same time. */
  parallel: number
  /** Tokens of one at most. */
  maxContext: number
  /** Requests that wait for a slot at most; more are refused. */
  maxWaiting: number
  /** How long a load waits for memory, in milliseconds. */
  timeoutMs: number
}

/** A message of a chat. */
export interface Message {
  role: 'system' | 'developer' | 'user' | 'assistant'
  content: string
}

interface Loaded extends LoadedLlama<Llama> {
  /** Sequences that nobody works with. */
  readonly free: LlamaContextSequence[]
}

/** A model that is loaded when it is first asked for, and goes when somebody else needs its memory and nobody uses it. */
export class HostedModel {
  readonly id: string
  readonly #path: string
  readonly #llama: Llama
  readonly #manager: MemoryManager
  readonly #options: HostOptions
  readonly #waiting: ((sequence: LlamaContextSequence) => void)[] = []
  #loading: Promise<Loaded> | undefined
  #active = 0

  constructor(path: string, llama: Llama, manager: MemoryManager, options: HostOptions) {
    this.id = basename(path, '.gguf')
    this.#path = path
    this.#llama = llama
    this.#manager = manager
    this.#options = options
  }

  /** The context that it has, or would have: tokens of one conversation. */
  get loaded(): Promise<Loaded> | undefined {
    return this.#loading
  }

  /** Takes a slot, waiting for one if few wait already, and gives it back when `use` has ended. */
  async withSlot<T>(use: (slot: Slot) => Promise<T>): Promise<T> {
    this.#active += 1
    try {
      const loaded = await this.#load()
      const sequence = await this.#slot(loaded)
      try {
        loaded.grant.touch()
        return await use(new Slot(loaded, sequence))
      } finally {
        await sequence.clearHistory()
        const next = this.#waiting.shift()
        if (next) next(sequence)
        else loaded.free.push(sequence)
      }
    } finally {
      this.#active -= 1
    }
  }

  async #slot({ free }: Loaded): Promise<LlamaContextSequence> {
    const sequence = free.pop()
    if (sequence) return sequence
    if (this.#waiting.length >= this.#options.maxWaiting) throw new SlotsBusyError(this.id, this.#waiting.length)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #load(): Promise<Loaded> {
    this.#loading ??= this.#loadNow().catch((error: unknown) => {
      this.#loading = undefined
      throw error
    })
    return this.#loading
  }

  async #loadNow(): Promise<Loaded> {
    const { parallel, maxContext, timeoutMs } = this.#options
    const onEvict = (_request: MakeRoomRequest) => this.unload()
    const loaded = await guardLlama(this.#llama, this.#manager).load(
      { modelPath: this.#path },
      { sequences: parallel, contextSize: { max: maxContext } },
      { timeoutMs, onEvict },
    )
    return { ...loaded, free: Array.from({ length: parallel }, () => loaded.context.getSequence()) }
  }

  /** Unloads it, unless somebody uses it: then it says so. */
  async unload(): Promise<boolean> {
    const loading = this.#loading
    if (this.#active > 0 || loading === undefined) return false
    this.#loading = undefined
    const { model } = await loading
    await model.dispose()
    return true
  }
}

/** All slots are in use, and as many wait as may. */
export class SlotsBusyError extends Error {
  readonly waitingCount: number

  constructor(id: string, waitingCount: number) {
    super(`expected ${id} to have a slot free, but all are in use and ${waitingCount} requests wait; try again later`)
    this.waitingCount = waitingCount
  }
}

/** One conversation's place in the context. */
export class Slot {
  readonly #model: LlamaModel
  readonly #loaded: LoadedLlama<Llama>
  readonly #sequence: LlamaContextSequence

  constructor(loaded: LoadedLlama<Llama>, sequence: LlamaContextSequence) {
    this.#model = loaded.model
    this.#loaded = loaded
    this.#sequence = sequence
  }

  /** The tokens of a text, or of a chat by the model's own template. */
  tokens(prompt: string | Message[]): Token[] {
    if (typeof prompt === 'string') {
      const { bos, shouldPrependBosToken } = this.#model.tokens
      const tokens = this.#model.tokenize(prompt)
      return shouldPrependBosToken && bos !== null ? [bos, ...tokens] : tokens
    }
    const chatHistory = prompt.map(({ role, content }) => {
      if (role === 'assistant') return { type: 'model' as const, response: [content] }
      return role === 'user' ? { type: 'user' as const, text: content } : { type: 'system' as const, text: content }
    })
    chatHistory.push({ type: 'model', response: [] })
    const { contextText } = resolveChatWrapper(this.#model).generateContextState({ chatHistory })
    return contextText.tokenize(this.#model.tokenizer)
  }

  /** What fits one conversation, in tokens. */
  get contextSize(): number {
    return this.#loaded.context.contextSize
  }

  /** Generates up to so many tokens as pieces of text. The room for all of them is checked before the first is evaluated. */
  async *generate(
    prompt: Token[],
    maxTokens: number,
    temperature: number,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    this.#loaded.reserve(this.#sequence, prompt.length + maxTokens)
    let count = 0
    for await (const token of this.#sequence.evaluate(prompt, { temperature })) {
      if (signal.aborted) return
      yield this.#model.detokenize([token])
      count += 1
      if (count >= maxTokens) return
    }
  }
}
