import { type Grant, type ModelMemoryEstimate, TokenBudget, type TokenSequence } from '../index.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import type { ContextOf, LlamaLike, LlamaSequenceLike } from './llama-types.js'
import type { ContextNeeds } from './needs.js'
import { expectToken, type token } from './token.js'

/**
 * A context of node-llama-cpp's with what it was granted, and a budget of its tokens.
 *
 * @example
 * const { context, reserve } = await guarded.load({ modelPath: 'model.gguf' })
 * const sequence = context.getSequence()
 * reserve(sequence, 64) // throws where 64 tokens more have no room
 */
export class GuardedContext<L extends LlamaLike> {
  readonly #sequences = new WeakMap<object, TokenSequence>()
  /** node-llama-cpp's context. Disposing of it releases what it was granted. */
  readonly context: ContextOf<L>
  /** What it was granted: with its model's weights, where they were taken together. */
  readonly grant: Grant
  /** What the model needs with this context. */
  readonly estimate: ModelMemoryEstimate
  /** The tokens of all its sequences. */
  readonly tokens: TokenBudget

  /** @internal */
  constructor(given: typeof token, context: ContextOf<L>, grant: Grant, needs: ContextNeeds, release: () => void) {
    expectToken(given, 'GuardedContext', 'GuardedModel#createContext()')
    this.context = context
    this.grant = grant
    this.estimate = needs.estimate
    const tokens = new TokenBudget({ cost: needs.estimate, maxCacheTokens: context.contextSize * needs.sequences })
    this.tokens = tokens
    context.onDispose.createListener(() => {
      tokens.close()
      release()
    })
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
    if (typeof check.member(sequence, 'nextTokenIndex') !== 'number') {
      throw invalidArgument('sequence', 'a sequence of the context', quoted(sequence))
    }
    const known = this.#sequences.get(sequence)
    if (known && !known.freed) return known
    const opened = this.tokens.open('sequence')
    this.#sequences.set(sequence, opened)
    return opened
  }
}
