import { LeakGuard } from '../addon/leak-guard.js'
import { type NativeBudget, releaseGuard } from '../addon/native.js'
import { formatBytes } from '../addon/units.js'
import * as check from '../support/check.js'
import { invalidArgument, released } from '../support/errors.js'
import { hold, letGo } from '../support/held.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'

/** What is known of a guard when it was collected. */
export interface GuardState {
  readonly native: NativeBudget
  /** The guards of that budget, as the addon wants them to release one. */
  readonly guards: object
  readonly key: number
  readonly label: string
  readonly sizeBytes: number
  /** Who asked for it, if a profile wanted to know. */
  readonly stack: string | undefined
  /**
   * Is told that its holder is about to release it, where it is part of something larger, with which it is collected. Must not
   * refer to the guard.
   */
  readonly releasing?: (() => void) | undefined
  attached: boolean
  held: boolean
  released: boolean
}

/** Releases what a collected guard held. */
const leakGuard = new LeakGuard<GuardState>((state) => {
  const { label, sizeBytes } = state
  if (state.released) return undefined
  state.released = true
  releaseGuard(state.guards, state.key)
  if (state.attached) return undefined
  return {
    what: `An allocation of ${formatBytes(sizeBytes)}`,
    expected: 'released',
    advice:
      'Its bytes were released now, though what they stand for may still be there: call release(), use `using`, ' +
      'attach() it to the object it belongs to, or hold() it.',
    label,
    sizeBytes,
    stack: state.stack,
  }
})

/** Guards kept alive by the objects they are attached to. */
const attachments = new WeakMap<object, Set<Allocation>>()

/** A guard whose bytes are being given to somebody else. */
export interface Given {
  readonly state: GuardState
  /** Says whether they were taken; the guard is as it was if they were not. */
  readonly settle: (taken: boolean) => void
}

/** Whether it is a guard. */
export let isAllocation: (value: unknown) => value is Allocation

/** Gives the bytes of a guard away, which counts as released from then on; throws for one that was. */
export let giveAway: (allocation: Allocation) => Given

/** Makes the guard for a key of the addon. */
export let guard: (state: GuardState) => Allocation

/**
 * A guard over part of a budget. It releases its bytes once: on {@link release}, at the end of a `using` block, or
 * with the object it is {@link attach | attached} to.
 *
 * A guard that is dropped without any of these is released when it is collected, on a later turn of the event loop,
 * and a `PlimsollLeakWarning` with its `label` and `sizeBytes` is emitted on `process`.
 *
 * @example
 * {
 *   using cache = budget.allocate(512 * MiB, 'kv cache')
 *   // ...
 * } // released here
 */
export class Allocation implements Disposable {
  readonly #state: GuardState
  /** The sets of {@link attachments} that it is in, to leave them when it is released. */
  #attachedTo: Set<Allocation>[] | undefined

  static {
    guard = (state) => new Allocation(internal, state)
    isAllocation = (value): value is Allocation => check.isObject(value) && #state in value
    giveAway = (allocation) => {
      const state = allocation.#live()
      state.released = true
      leakGuard.unwatch(state)
      const settle = (taken: boolean) => {
        if (taken) return letGo(allocation)
        state.released = false
        leakGuard.watch(allocation, state)
      }
      return { state, settle }
    }
  }

  private constructor(token: typeof internal, state: GuardState) {
    expectInternal(token, 'Allocation', 'budget.allocate()')
    refuseCloning(this)
    this.#state = state
    leakGuard.watch(this, state)
  }

  /** The size of the allocation, in bytes. */
  get sizeBytes(): number {
    return this.#state.sizeBytes
  }

  /** The label it was taken under. */
  get label(): string {
    return this.#state.label
  }

  /** Whether its bytes have been released. */
  get released(): boolean {
    return this.#state.released
  }

  /**
   * The time since it was granted, in milliseconds.
   *
   * @throws {@link ReleasedError} after it was released.
   */
  get ageMs(): number {
    return this.#live().native.ageMs(this.#state.key)
  }

  /**
   * Says that `bytes` of it, in all, have really been taken; the whole of it by default. That much is no longer pending
   * in {@link MemoryBudget.headroom | headroom}. It only rises, and never above the allocation's size. Returns the
   * allocation.
   *
   * Whoever never says so is credited with what the process has grown by since its first grant: right for one load at
   * a time, a guess for several.
   *
   * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 to the allocation's size.
   * @throws {@link ReleasedError} after it was released.
   */
  commit(bytes: number = this.#state.sizeBytes): this {
    const { native, key, sizeBytes } = this.#live()
    native.commit(key, check.bytes('bytes', bytes, 0, sizeBytes))
    return this
  }

  /** Releases the bytes. A second call does nothing. */
  release(): void {
    const state = this.#state
    if (state.released) return
    state.released = true
    leakGuard.unwatch(state)
    if (state.held) letGo(this)
    for (const guards of this.#attachedTo ?? []) guards.delete(this)
    state.releasing?.()
    releaseGuard(state.guards, state.key)
  }

  /** The same as {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }

  /**
   * Lets the allocation live as long as `object`: it is released, without a warning, once the object is collected.
   * It may still be released before. Returns the allocation.
   *
   * @throws {@link InvalidArgumentError} when `object` is no object or function, or the allocation itself.
   * @throws {@link ReleasedError} after it was released.
   */
  attach(object: object): this {
    if ((typeof object !== 'object' && typeof object !== 'function') || object === null || object === this) {
      throw invalidArgument('object', 'the object that the allocation belongs to', object === this ? 'itself' : object)
    }
    this.#live().attached = true
    const guards = attachments.get(object) ?? new Set()
    attachments.set(object, guards.add(this))
    this.#attachedTo = [...(this.#attachedTo ?? []), guards]
    return this
  }

  /**
   * Keeps the allocation until it is {@link release | released}, whether or not anything refers to it: the garbage collector
   * never releases it. Who forgets it has its bytes taken for good; {@link MemoryBudget.allocations} lists it. Returns the
   * allocation.
   *
   * @throws {@link ReleasedError} after it was released.
   */
  hold(): this {
    this.#live().held = true
    hold(this)
    return this
  }

  #live(): GuardState {
    if (this.#state.released) throw released('the allocation')
    return this.#state
  }
}

shows(Allocation, ({ label, sizeBytes, released }) => ({ label, sizeBytes, released }))
