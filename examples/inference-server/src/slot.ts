import type { Llama, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp'
import { resolveChatWrapper } from 'node-llama-cpp'
import type { LoadedLlama } from 'plimsoll/node-llama-cpp'
import { type Piece, pieces } from './text.js'

/** A message of a chat. */
export interface Message {
  role: 'system' | 'developer' | 'user' | 'assistant'
  content: string
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
  generate(prompt: Token[], maxTokens: number, temperature: number, signal: AbortSignal): AsyncGenerator<Piece> {
    const detokenize = (tokens: readonly Token[], before: readonly Token[]) =>
      this.#model.detokenize(tokens, false, before)
    return pieces(this.#evaluate(prompt, maxTokens, temperature, signal), detokenize)
  }

  async *#evaluate(
    prompt: Token[],
    maxTokens: number,
    temperature: number,
    signal: AbortSignal,
  ): AsyncGenerator<Token> {
    this.#loaded.reserve(this.#sequence, prompt.length + maxTokens)
    let count = 0
    for await (const token of this.#sequence.evaluate(prompt, { temperature })) {
      if (signal.aborted) return
      yield token
      count += 1
      if (count >= maxTokens) return
    }
  }
}
