import type { TokenUsage } from '../../binding.js'
import * as native from '../addon/native.js'
import { type Grant, holderOf, type MakeRoomRequest } from '../admission/grant.js'
import type { MemoryBudget } from '../budget/budget.js'
import { refusable } from '../budget/refusable.js'
import { type Fit, type FitOptions, fitChecks, fit as fitModel } from '../estimate/fit.js'
import { bytesOf } from '../estimate/model-memory.js'
import type { GgufFile } from '../loader/gguf-file.js'
import type { MemoryMonitor } from '../monitor/monitor.js'
import * as check from '../support/check.js'
import { call, InsufficientMemoryError, insufficientMemory, invalidArgument, released } from '../support/errors.js'
import { refuseCloning, shows } from '../support/shown.js'
import { contextOf, refusalOf } from './fitted.js'
import { type Follower, type Following, type FollowOptions, follow, followed } from './follow.js'
import { heldBetween, isThenable, Leaving } from './leaving.js'
import { checkedOptions, countChecks, nativeLimits, type PrunePolicy, type TokenBudgetOptions } from './options.js'
import { tokens } from './token-count.js'
import { makeSequence, type TokenSequence } from './token-sequence.js'

export type { TokenUsage } from '../../binding.js'
export type { FollowOptions } from './follow.js'

/** A sequence as its budget sees it. */
export interface SequenceUsage {
  /** What its owner calls it. */
  label: string
  /** Its tokens, those that it shares among them. */
  tokens: number
  /** Tokens that no other sequence has: what its end frees. */
  ownTokens: number
  /** What it is worth. */
  score: number
}

const limitsChecks = { ...fitChecks, ...countChecks } as const

/** What may be moved while sequences run. */
interface Limits {
  maxCacheTokens: number | undefined
  maxParallelTokens: number | undefined
  readonly devices: TokenBudgetOptions['devices']
}

/**
 * How many tokens may be kept and evaluated, checked before they are.
 *
 * It counts what is in the caches of an inference runtime, whose memory it does not touch: {@link TokenSequence.extend} before tokens
 * are evaluated, {@link TokenSequence.fork} where a prefix is shared, {@link TokenSequence.truncate} and {@link TokenSequence.free}
 * when they leave the cache. With an elastic grant the bytes are the board's: the grant is stretched as tokens come, and shrinks when
 * somebody else needs the room.
 *
 * @example
 * const needs = estimate(model, { contextLength: 8192 })
 * const budget = new TokenBudget({ cost: needs, maxCacheTokens: 8192 })
 * using chat = budget.open('chat')
 * chat.extend(promptTokens.length) // or ERR_INSUFFICIENT_MEMORY, before anything is evaluated
 */
export class TokenBudget implements Disposable {
  readonly #native: native.NativeTokens
  readonly #grant: Grant | undefined
  readonly #prune: PrunePolicy | undefined
  readonly #onPrune: TokenBudgetOptions['onPrune']
  readonly #sequences = new Map<number, WeakRef<TokenSequence>>()
  readonly #collected = new FinalizationRegistry<number>((key) => this.#sequences.delete(key))
  readonly #limits: Limits
  /** What one token costs at most, in bytes. */
  readonly #tokenBytes: number
  readonly #leaving = new Leaving(() => this.#left())
  readonly #followed = new Set<Following>()
  #closed = false

  /**
   * @throws {@link InvalidArgumentError} for an unfit option: nothing that a token costs, or neither a grant nor `maxCacheTokens`.
   * @throws {@link ReleasedError} for a grant that was released.
   */
  constructor(options: TokenBudgetOptions) {
    refuseCloning(this)
    const { cost, grant, prune, onPrune, maxCacheTokens, maxParallelTokens, devices } = checkedOptions(options)
    this.#limits = { maxCacheTokens, maxParallelTokens, devices }
    this.#native = call(() =>
      native.NativeTokens.create(cost, nativeLimits(maxCacheTokens, devices?.cpuBytes, devices?.gpuBytes)),
    )
    this.#grant = grant
    this.#prune = prune
    this.#onPrune = onPrune
    this.#tokenBytes = cost.reduce((sum, { bytesPerToken }) => sum + bytesPerToken, 0)
    this.#applyRoom()
  }

  /**
   * The limits that a model has under a budget, or a number of bytes: the best configuration that {@link fit} finds, whose cache is
   * `maxCacheTokens` and whose micro-batch `maxParallelTokens`. What is given of these stays as it is, and the other is found for it.
   *
   * @throws {@link InsufficientMemoryError} where no configuration fits.
   * @throws {@link InvalidArgumentError} for an unfit option. What else {@link fit} throws.
   */
  static limitsOf(
    model: GgufFile,
    budget: MemoryBudget | number,
    options?: FitOptions & { maxCacheTokens?: number; maxParallelTokens?: number },
  ): { maxCacheTokens: number; maxParallelTokens: number; fit: Fit } {
    const checked = check.options<NonNullable<typeof options>>(options, limitsChecks)
    const { maxCacheTokens, maxParallelTokens, ...rest } = checked
    const given = {
      ...(maxCacheTokens !== undefined && { maxContext: contextOf(maxCacheTokens, checked) }),
      ...(maxParallelTokens !== undefined && { ubatches: [maxParallelTokens] }),
    }
    const found = fitModel(model, budget, { ...rest, ...given })
    if (!found.fits) throw refusalOf(found, bytesOf('budget', budget))
    const { contextLength, parallel, ubatch } = found.configuration
    return {
      maxCacheTokens: maxCacheTokens ?? contextLength * parallel,
      maxParallelTokens: maxParallelTokens ?? ubatch,
      fit: found,
    }
  }

  /** A sequence without a token. It costs nothing yet. */
  open(label: string): TokenSequence {
    this.#expectOpen()
    const checked = check.string('label', label)
    return this.#sequence(
      call(() => this.#native.open(checked)),
      checked,
    )
  }

  /**
   * Tokens of all sequences at most. It may be moved while sequences run: below what is in use nothing goes, but nothing grows until
   * enough was freed. `undefined` where the grant alone draws the line.
   *
   * @throws {@link InvalidArgumentError} when it is no whole number from 1 up, or `undefined` without a grant.
   */
  get maxCacheTokens(): number | undefined {
    return this.#limits.maxCacheTokens
  }

  set maxCacheTokens(count: number | undefined) {
    if (count === undefined && this.#grant === undefined) {
      throw invalidArgument('maxCacheTokens', 'a number where there is no grant to draw a limit', count)
    }
    this.#limits.maxCacheTokens = count === undefined ? undefined : tokens('maxCacheTokens', count, 1)
    this.#applyRoom()
  }

  /** Tokens that are evaluated together at most. If that was not given, as many as are free; with a grant, which stretches, any number. */
  get maxParallelTokens(): number {
    return this.#mostParallel()
  }

  set maxParallelTokens(count: number) {
    this.#limits.maxParallelTokens = check.integer('maxParallelTokens', count, 1, 2 ** 32 - 1)
  }

  /** What is in use. What was pruned is not, and is no room for others either before the runtime has dropped it: {@link leavingTokens}. */
  usage(): TokenUsage {
    const usage = this.#native.usage()
    return this.#grant?.released === false ? { ...usage, reservedBytes: this.#grant.bytes } : usage
  }

  /** Tokens that were pruned and that the runtime still has: the promise of their `onPrune` is not fulfilled. */
  get leavingTokens(): number {
    return this.#leaving.tokens
  }

  /** Resolves when what was pruned has left the runtime's cache, as far as it is on its way: then growth that was refused may have room. */
  settle(): Promise<void> {
    return this.#leaving.settle()
  }

  /** What the tokens in use cost in each layer, in bytes. */
  layerBytes(): number[] {
    return this.#native.layerBytes()
  }

  /** The sequences that were neither freed nor pruned. */
  sequences(): SequenceUsage[] {
    return this.#native.list().map(({ key: _key, ...sequence }) => sequence)
  }

  /** Tokens that could be added to a sequence now without stretching the grant; `Infinity` where nothing limits them. */
  get freeTokens(): number {
    return this.#native.usage().freeTokens ?? Number.POSITIVE_INFINITY
  }

  /**
   * The candidates with the highest scores, the highest first: all of them, or as many as {@link maxParallelTokens} allows. Of equal
   * scores those stay that come first.
   *
   * @throws {@link InvalidArgumentError} when a score is no number.
   */
  trim<T>(candidates: readonly T[], score: (candidate: T) => number): T[] {
    const worth = check.callback<(candidate: T) => number>('score', score)
    const list = check.array('candidates', 'an array of candidates', candidates, (candidate) => candidate as T)
    const scores = list.map((candidate) => check.number('score', worth(candidate), -Infinity, Infinity))
    const kept = call(() => native.topScores(scores, this.#mostParallel()))
    return kept.map((place) => list[place] as T)
  }

  /**
   * Gives the grant's stretch back as far as no token needs it; at most `bytes`, all of it by default. Returns how much, in bytes; 0
   * without a grant.
   *
   * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
   */
  releaseSpare(bytes: number = Number.MAX_SAFE_INTEGER): number {
    const most = check.bytes('bytes', bytes)
    const grant = this.#grant
    if (grant === undefined || grant.released) return 0
    const spareBytes = Math.max(0, grant.bytes - this.#native.usage().usedBytes - this.#leaving.bytes)
    const given = grant.shrink(Math.min(spareBytes, most))
    this.#applyRoom()
    return given
  }

  /**
   * What to give as `onRevoke` of the grant: gives back what no token needs, then prunes by the policy, as long as more is wanted.
   * Returns `false` where that was not enough, so that others are asked; a promise of the answer where `onPrune` returns promises, and
   * nothing of a sequence is given back before its promise is fulfilled.
   *
   * @example
   * const grant = await manager.acquire({ bytes: 64 * MiB, label: 'kv cache' }, { onRevoke: (request) => tokens.revoke(request) })
   * const tokens = new TokenBudget({ cost: needs, grant, prune: 'idle', onPrune: ({ label }) => runtime.drop(label) })
   */
  revoke(request: Pick<MakeRoomRequest, 'bytes'>): boolean | Promise<boolean> {
    const asked = check.bytes('bytes', check.member(request, 'bytes'))
    const grant = this.#grant
    if (grant === undefined || grant.released) return asked === 0
    // Nobody goes for what the floor has.
    const wanted = Math.min(asked, grant.stretchBytes)
    const isEnough = wanted === asked
    const lacking = this.#giveBack(wanted)
    if (lacking <= 0 || !this.#leaving.isPending) return isEnough && lacking <= 0
    return this.#giveBackLater(lacking).then((isAll) => isEnough && isAll)
  }

  /** Gives back what is spare, and has as many go as the rest needs. Returns what is lacking still, on its way or not. */
  #giveBack(bytes: number): number {
    let lacking = bytes - this.releaseSpare(bytes)
    while (lacking > this.#leaving.pendingBytes && this.#pruneOne(undefined)) lacking -= this.releaseSpare(lacking)
    return lacking
  }

  async #giveBackLater(bytes: number): Promise<boolean> {
    let lacking = bytes
    while (lacking > 0 && this.#leaving.isPending) {
      await this.#leaving.settle()
      // All of it is there again where its owner has released it meanwhile.
      if (this.#grant?.released) return true
      lacking = this.#giveBack(lacking)
    }
    return lacking <= 0
  }

  /**
   * Follows a monitor until the result is disposed of, or the budget closed. At `'warning'` what no token needs goes back to the board;
   * while the level is critical, past 95 % by default, one sequence after the other is pruned by the policy, and nothing grows:
   * {@link TokenSequence.extend} throws an {@link InsufficientMemoryError} with the figures and what to do. When it is normal again the tokens
   * grow as before.
   *
   * @throws {@link InvalidArgumentError} for a monitor that is none, and for an unfit option.
   * @example
   * manager.monitor.start()
   * using _following = tokens.follow(manager.monitor)
   */
  follow(monitor: MemoryMonitor, options?: FollowOptions): Disposable {
    this.#expectOpen()
    const following = follow(monitor, options, TokenBudget.#follower(new WeakRef(this)))
    followed.register(this, following)
    this.#followed.add(following)
    return { [Symbol.dispose]: () => void (this.#followed.delete(following) && following[Symbol.dispose]()) }
  }

  async #pruneForOthers(): Promise<void> {
    if (!this.#leaving.isPending) this.#pruneOne(undefined)
    await this.#leaving.settle()
    this.releaseSpare()
  }

  /** A monitor outlives who is dropped, and must not keep it, nor its grant. */
  static #follower(self: WeakRef<TokenBudget>): Follower {
    return {
      releaseSpare: () => void self.deref()?.releaseSpare(),
      pruneOne: async () => {
        const budget = self.deref()
        if (budget) await budget.#pruneForOthers()
      },
    }
  }

  /** Frees every sequence and gives the stretch back. The grant is its owner's. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const following of this.#followed) following[Symbol.dispose]()
    this.#followed.clear()
    for (const sequence of this.#sequences.values()) sequence.deref()?.[Symbol.dispose]()
    this.releaseSpare()
  }

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #mostParallel(): number {
    const most = this.#grant === undefined ? this.freeTokens : Number.POSITIVE_INFINITY
    return this.#limits.maxParallelTokens ?? Math.min(most, 2 ** 32 - 1)
  }

  #expectOpen(): void {
    if (this.#closed) throw released('the budget of tokens')
  }

  #sequence(key: number, label: string): TokenSequence {
    const grown = (of: number, count: number, grow: () => native.NativeGrowth): number =>
      refusable(this.#grant && holderOf(this.#grant).queue.budget, () => this.#grown(of, count, grow))
    const sequence = makeSequence({
      native: this.#native,
      key,
      label,
      grow: (of, count) => void grown(of, count, () => this.#native.extend(of, count)),
      branch: (of, named) => {
        const branched = grown(of, 0, () => this.#native.fork(of, named))
        return this.#sequence(branched, named)
      },
    })
    this.#sequences.set(key, new WeakRef(sequence))
    this.#collected.register(sequence, key)
    return sequence
  }

  /** Grows until it is done: what is lacking is taken of the grant, or of who is pruned. Nobody is where that would not suffice. */
  #grown(own: number, count: number, grow: () => native.NativeGrowth): number {
    this.#expectOpen()
    const grant = this.#grant
    if (grant?.released) throw released('the grant')
    this.#expectNotCritical(own, count)
    // Its owner may have shrunk it.
    this.#applyRoom()
    for (;;) {
      try {
        const { key, bytes, leastBytes } = call(grow)
        if (key !== undefined) return key
        this.#stretch(bytes, leastBytes)
      } catch (error) {
        if (!(error instanceof InsufficientMemoryError)) throw error
        // What leaves may be enough: nobody else goes before it has.
        const hasPruned = !this.#leaving.isPending && this.#couldExtend(own, count) && this.#pruneOne(own)
        if (this.#leaving.tokens > 0 && !(hasPruned && !this.#leaving.isPending)) throw this.#refusalMeanwhile(error)
        if (!hasPruned) throw error
      }
    }
  }

  #refusalMeanwhile({ requestedBytes, availableBytes }: InsufficientMemoryError): InsufficientMemoryError {
    const tokens = `${this.#leaving.tokens} tokens that were pruned have not left the runtime's cache`
    return insufficientMemory('tokens', requestedBytes, availableBytes, tokens, 'Await settle(), and ask again')
  }

  /** Past the critical share of the memory nothing grows, where a monitor is followed. */
  #expectNotCritical(own: number, count: number): void {
    if (count === 0) return
    for (const { critical } of this.#followed) {
      const sample = critical()
      if (sample === undefined) continue
      const { label } = this.#native.list().find(({ key }) => key === own) ?? { label: 'tokens' }
      const why =
        sample === true
          ? 'how full the memory is cannot be read'
          : `memory is critical: ${sample.usedPercent.toFixed(1)} % are in use of ${sample.constraint}`
      const advice =
        'End or truncate a sequence, evaluate fewer tokens together (maxParallelTokens), load a smaller type of the cache, or raise the limit'
      throw insufficientMemory(label, count * this.#tokenBytes, 0, why, advice)
    }
  }

  /** What was pruned has left: its room is there. */
  #left(): void {
    this.#applyRoom()
    if (this.#closed) this.releaseSpare()
  }

  /** Has the counts know what room there is: the limits and the grant, less what is still leaving. */
  #applyRoom(): void {
    const { maxCacheTokens, devices } = this.#limits
    const { tokens, cpuBytes, gpuBytes, bytes } = this.#leaving
    const less = (limit: number | undefined, held: number) =>
      limit === undefined ? undefined : Math.max(0, limit - held)
    const [ofCpu, ofGpu] = [less(devices?.cpuBytes, cpuBytes), less(devices?.gpuBytes, gpuBytes)]
    this.#native.setLimits(nativeLimits(less(maxCacheTokens, tokens), ofCpu, ofGpu))
    if (this.#grant) this.#native.setReservedBytes(Math.max(0, this.#grant.bytes - bytes))
  }

  #couldExtend(own: number, count: number): boolean {
    const grant = this.#grant
    const bytes = grant === undefined ? 0 : grant.bytes + holderOf(grant).queue.budget.availableBytes
    return this.#native.couldExtend(own, count, bytes)
  }

  #stretch(bytes: number, leastBytes: number): void {
    const grant = this.#grant as Grant
    if (leastBytes > Number.MAX_SAFE_INTEGER) {
      const { availableBytes } = holderOf(grant).queue.budget
      const [why, advice] = ['no memory is that large', 'Ask for fewer tokens']
      throw insufficientMemory(grant.label, leastBytes, availableBytes, why, advice)
    }
    try {
      grant.stretch(Math.min(bytes, Number.MAX_SAFE_INTEGER))
    } catch (error) {
      if (!(error instanceof InsufficientMemoryError)) throw error
      grant.stretch(leastBytes)
    }
    this.#applyRoom()
  }

  /** Prunes who goes first, if anybody. */
  #pruneOne(except: number | undefined): boolean {
    const policy = this.#prune
    const before = this.#native.usage()
    const key = policy === undefined ? undefined : call(() => this.#native.prune(policy, except))
    if (key === undefined || key === null) return false
    const held = heldBetween(before, this.#native.usage())
    const sequence = this.#sequences.get(key)?.deref()
    if (sequence === undefined) return true
    try {
      const done = this.#onPrune?.(sequence)
      if (isThenable(done)) this.#leaving.wait(held, done, rethrow)
    } catch (error) {
      this.#leaving.keep(held)
      rethrow(error)
    }
    this.#applyRoom()
    return true
  }
}

/** What a callback throws is uncaught, as of any event emitter: it is not the fault of who asked for room. */
function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

shows(TokenBudget, (budget) => ({ maxCacheTokens: budget.maxCacheTokens, ...budget.usage() }))
