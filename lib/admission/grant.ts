import { LeakGuard } from '../addon/leak-guard.js'
import type { NativeAdmission } from '../addon/native.js'
import { formatBytes } from '../addon/units.js'
import type { Allocation } from '../budget/allocation.js'
import { type MemoryBudget, refusedBy } from '../budget/budget.js'
import * as check from '../support/check.js'
import { call, fromNative, invalidArgument, released } from '../support/errors.js'
import { hold, letGo } from '../support/held.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'

/** What a holder is asked to make room by. */
export interface MakeRoomRequest {
  /** The grant that is asked. */
  grant: Grant
  /** How much is wanted, in bytes: all of the grant when it is evicted, else a part of its stretch. */
  bytes: number
  /** How long there is, in milliseconds. After that others are asked. */
  deadlineMs: number
  /** The label of the request that the room is for. */
  wantedBy: string
}

/**
 * Releases the grant, now or later. What returns `false`, or a promise of it, says that it will not: others are asked at once.
 */
export type OnEvict = (candidate: MakeRoomRequest) => unknown

/** Releases memory of the stretch and calls {@link Grant.shrink}, now or later; with `false` it says that it will not. */
export type OnRevoke = (revocation: MakeRoomRequest) => unknown

/** What is known of a grant when it was collected. */
export interface GrantState {
  readonly native: NativeAdmission
  readonly key: number
  readonly label: string
  /** What its parts that were not released have, in bytes. */
  partBytes: number
  partCount: number
  stretchBytes: number
  attached: boolean
  held: boolean
  released: boolean
  /** Has the admission forget it. */
  readonly forget: () => void
}

/** Releases what a collected grant held. Its guards release themselves: they are collected with it. */
const leakGuard = new LeakGuard<GrantState>((state) => {
  if (state.released) return undefined
  const sizeBytes = state.partBytes + state.stretchBytes
  end(state)
  if (state.attached) return undefined
  return {
    what: `A grant of ${formatBytes(sizeBytes)}`,
    expected: 'released',
    advice:
      'Its bytes were released now, though what they stand for may still be there: call release(), use `using`, ' +
      'attach() it to the object it belongs to, or hold() it.',
    label: state.label,
    sizeBytes,
  }
})

function end(state: GrantState): void {
  state.released = true
  state.forget()
  state.native.release(state.key)
}

/** One part is about to be released. With the last of it the grant is over. */
export function partReleased(state: GrantState, sizeBytes: number): void {
  if (state.released) return
  state.partBytes -= sizeBytes
  state.partCount -= 1
  state.native.partReleased(state.key, sizeBytes)
  if (state.partCount === 0 && state.stretchBytes === 0) {
    leakGuard.unwatch(state)
    end(state)
  }
}

/** The grants of guards: who keeps one keeps the other. */
const grants = new WeakMap<Allocation, Grant>()

/** Grants kept alive by the objects they are attached to. */
const attachments = new WeakMap<object, Set<Grant>>()

/** What a grant is made from. */
export interface GrantParts {
  readonly state: GrantState
  /** What passes on to it that room is wanted: it is there as long as the grant is. */
  readonly queue: { readonly budget: MemoryBudget }
  readonly allocations: readonly Allocation[]
  readonly onEvict: OnEvict | undefined
  readonly onRevoke: OnRevoke | undefined
}

/** @internal A grant that this copy of the package made; `undefined` of anything else. */
export let isGrant: (value: object) => true | undefined

/** @internal Whom to ask for room of a grant. */
export let holderOf: (grant: Grant) => Pick<GrantParts, 'onEvict' | 'onRevoke' | 'queue'>

/**
 * Bytes that were granted together, in turn. They are released together: by {@link release}, at the end of a `using` block, or
 * with the object that the grant is {@link attach | attached} to.
 *
 * One acquired with `onRevoke` is elastic: it keeps its floor, what was asked for, and may {@link stretch} above it while
 * nobody needs the room.
 *
 * @example
 * using grant = await manager.acquire({ bytes: 2 * GiB, label: 'llama' }, { key: 'llama', timeoutMs: 30_000 })
 * await loadModel()
 * grant.ready()
 */
export class Grant implements Disposable {
  readonly #state: GrantState
  readonly #parts: GrantParts
  /** The sets of {@link attachments} that it is in, to leave them when it is released. */
  readonly #attachedTo: Set<Grant>[] = []

  static {
    isGrant = (value) => (#parts in value ? true : undefined)
    holderOf = (grant) => grant.#parts
  }

  /** @internal */
  constructor(token: typeof internal, parts: GrantParts) {
    expectInternal(token, 'Grant', 'manager.acquire()')
    refuseCloning(this)
    this.#parts = parts
    this.#state = parts.state
    for (const allocation of parts.allocations) grants.set(allocation, this)
    leakGuard.watch(this, parts.state)
  }

  /** The guards of what was asked for, in that order. Each may be released, committed or given to a pool by itself. */
  get allocations(): readonly Allocation[] {
    return this.#parts.allocations
  }

  /** The labels of what was asked for. */
  get label(): string {
    return this.#state.label
  }

  /** What it has, the stretch included, in bytes; 0 after it was released. */
  get bytes(): number {
    const { released, partBytes, stretchBytes } = this.#state
    return released ? 0 : partBytes + stretchBytes
  }

  /** What of it is stretch, in bytes. */
  get stretchBytes(): number {
    return this.#state.released ? 0 : this.#state.stretchBytes
  }

  /** Whether it was released, or all of its parts were. */
  get released(): boolean {
    return this.#state.released
  }

  /**
   * Takes `bytes` more above the floor, or refuses and takes nothing: it never waits. Nothing is to be had while somebody has
   * waited long enough to be passed by nobody, nor while this grant has been asked to make room. Returns what was granted, in
   * bytes: all of it.
   *
   * @throws {@link InsufficientMemoryError} when that many are not to be had.
   * @throws {@link InvalidArgumentError} for a grant without `onRevoke`, or when `bytes` is no whole number from 0 up.
   * @throws {@link ReleasedError} after it was released.
   */
  stretch(bytes: number): number {
    const { native, key } = this.#live()
    const wanted = check.bytes('bytes', bytes)
    try {
      const granted = native.stretch(key, wanted)
      this.#state.stretchBytes += granted
      return granted
    } catch (error) {
      throw refusedBy(this.#parts.queue.budget, fromNative(error))
    }
  }

  /**
   * Gives back `bytes` of the stretch, all of it by default and no more than there are; the memory must be released before.
   * Returns how many.
   *
   * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
   * @throws {@link ReleasedError} after it was released.
   */
  shrink(bytes: number = this.#state.stretchBytes): number {
    const { native, key } = this.#live()
    const given = call(() => native.shrink(key, check.bytes('bytes', bytes)))
    this.#state.stretchBytes -= given
    return given
  }

  /**
   * Notes that it is in use at this moment, so it is not idle: of grants of the same priority only idle ones are evicted, the
   * longest idle first. Returns the grant.
   *
   * @throws {@link ReleasedError} after it was released.
   */
  touch(): this {
    const { native, key } = this.#live()
    call(() => native.touch(key))
    return this
  }

  /**
   * Says that what its `key` names is loaded: the next request of that key may be granted. Returns the grant.
   *
   * @throws {@link ReleasedError} after it was released.
   */
  ready(): this {
    const { native, key } = this.#live()
    call(() => native.ready(key))
    return this
  }

  /**
   * Says that `bytes` of it, in all, have really been taken, of its parts in their order, then of the stretch; all of it by
   * default. See {@link Allocation.commit}. Returns the grant.
   *
   * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 to what it has.
   * @throws {@link ReleasedError} after it was released.
   */
  commit(bytes: number = this.bytes): this {
    const { native, key } = this.#live()
    let left = check.bytes('bytes', bytes, 0, this.bytes)
    for (const allocation of this.allocations) {
      if (allocation.released) continue
      const ofThis = Math.min(left, allocation.sizeBytes)
      allocation.commit(ofThis)
      left -= ofThis
    }
    call(() => native.commitStretch(key, left))
    return this
  }

  /** Releases all of it. A second call does nothing. */
  release(): void {
    const state = this.#state
    if (state.released) return
    leakGuard.unwatch(state)
    if (state.held) letGo(this)
    for (const attached of this.#attachedTo) attached.delete(this)
    // First, so that nobody out of turn takes what is released for somebody who waits.
    end(state)
    for (const allocation of this.allocations) allocation.release()
  }

  /** The same as {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }

  /**
   * Lets the grant live as long as `object`: it is released, without a warning, once the object is collected. It may still be
   * released before. Returns the grant.
   *
   * @throws {@link InvalidArgumentError} when `object` is no object or function, or the grant itself.
   * @throws {@link ReleasedError} after it was released.
   */
  attach(object: object): this {
    if ((typeof object !== 'object' && typeof object !== 'function') || object === null || object === this) {
      throw invalidArgument('object', 'the object that the grant belongs to', object === this ? 'itself' : object)
    }
    this.#live().attached = true
    const attached = attachments.get(object) ?? new Set()
    attachments.set(object, attached.add(this))
    this.#attachedTo.push(attached)
    return this
  }

  /**
   * Keeps the grant until it is {@link release | released}, whether or not anything refers to it. Returns the grant.
   *
   * @throws {@link ReleasedError} after it was released.
   */
  hold(): this {
    this.#live().held = true
    hold(this)
    return this
  }

  #live(): GrantState {
    if (this.#state.released) throw released('the grant')
    return this.#state
  }
}

/** Makes a grant. */
export const makeGrant = (parts: GrantParts): Grant => new Grant(internal, parts)

shows(Grant, ({ label, bytes, stretchBytes, released }) => ({ label, bytes, stretchBytes, released }))
