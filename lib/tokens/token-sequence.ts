import { LeakGuard } from '../addon/leak-guard.js'
import type { NativeTokens } from '../addon/native.js'
import * as check from '../support/check.js'
import { call, released } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'
import { tokens } from './token-count.js'

/** What a sequence needs of its budget. */
export interface SequenceParts {
  readonly native: NativeTokens
  readonly key: number
  readonly label: string
  /** Adds tokens, with what that takes. */
  readonly grow: (key: number, tokens: number) => void
  /** Makes one that begins with the same. */
  readonly branch: (key: number, label: string) => TokenSequence
}

/** A sequence that was collected has no tokens any more. That is no leak: it had no memory of its own. */
const collected = new LeakGuard<SequenceParts>(({ native, key }) => {
  native.free(key)
  return undefined
})

/**
 * A sequence of tokens under a {@link TokenBudget}: one conversation, or one branch of it. It is freed by {@link free}, at the end of a
 * `using` block, or when it is collected.
 *
 * @example
 * using chat = tokens.open('chat')
 * chat.extend(100)
 * using branch = chat.fork('branch') // what they share counts once
 * branch.extend(20)
 * console.log(tokens.usage().tokens) // 120
 */
export class TokenSequence implements Disposable {
  readonly #parts: SequenceParts
  #freed = false

  /** @internal */
  constructor(token: typeof internal, parts: SequenceParts) {
    expectInternal(token, 'TokenSequence', 'TokenBudget#open()')
    refuseCloning(this)
    this.#parts = parts
    collected.watch(this, parts)
  }

  /** What its owner calls it. */
  get label(): string {
    return this.#parts.label
  }

  /** Whether it was freed. */
  get freed(): boolean {
    return this.#freed
  }

  /**
   * Its tokens, those that it shares among them.
   *
   * @throws {@link ReleasedError} after it was freed or pruned, as all methods here.
   */
  get tokens(): number {
    const { native, key } = this.#live()
    return call(() => native.tokens(key))
  }

  /**
   * Adds tokens to its end, all of them or none: to be asked before the runtime evaluates them. Where room is lacking the grant is
   * stretched, then others are pruned if the budget has a policy.
   *
   * @throws {@link InsufficientMemoryError} when a limit, or the grant, is in the way.
   * @throws {@link InvalidArgumentError} when `count` is no whole number from 0 up.
   */
  extend(count: number): void {
    const { grow, key } = this.#live()
    grow(key, tokens('count', count))
  }

  /**
   * Another sequence that begins with the same tokens, which go on counting once.
   *
   * @throws {@link InsufficientMemoryError} when a sequence more costs a state or a window that there is no room for.
   */
  fork(label: string = this.label): TokenSequence {
    const { branch, key } = this.#live()
    return branch(key, check.string('label', label))
  }

  /**
   * Keeps the first `count` tokens; the others are freed where no other sequence has them.
   *
   * @throws {@link InvalidArgumentError} when it has not that many.
   */
  truncate(count: number): void {
    const { native, key } = this.#live()
    const kept = tokens('count', count)
    call(() => native.truncate(key, kept))
  }

  /**
   * Notes that it is in use, and, if that is given, what it is worth: by the policy `'score'` one with a lower score is pruned earlier.
   * A fork begins with the score of what it was forked from; 0 at first.
   *
   * @throws {@link InvalidArgumentError} for a score that is no number.
   */
  touch(score?: number): void {
    const { native, key } = this.#live()
    const worth = score === undefined ? undefined : check.number('score', score, -Infinity, Infinity)
    call(() => native.touch(key, worth))
  }

  /**
   * Frees it, and its tokens where no other sequence has them.
   *
   * @throws {@link ReleasedError} when it was freed before. `[Symbol.dispose]()` does nothing then.
   */
  free(): void {
    const { native, key } = this.#live()
    this.#freed = true
    collected.unwatch(this.#parts)
    native.free(key)
  }

  /** Frees it unless it was freed. */
  [Symbol.dispose](): void {
    if (!this.#freed) this.free()
  }

  #live(): SequenceParts {
    if (this.#freed) throw released('the sequence of tokens')
    return this.#parts
  }
}

/** Makes a sequence. */
export const makeSequence = (parts: SequenceParts): TokenSequence => new TokenSequence(internal, parts)

shows(TokenSequence, ({ label, freed }) => ({ label, freed }))
