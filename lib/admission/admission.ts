import type { WaitingRequest } from '../../binding.js'
import * as native from '../addon/native.js'
import { guard } from '../budget/allocation.js'
import { type MemoryBudget, nativeBudget, refusedBy } from '../budget/budget.js'
import { abortion, absorb, onAbort } from '../support/abort.js'
import * as check from '../support/check.js'
import { AbortError, call, fromNative, invalidArgument, quoted, released } from '../support/errors.js'
import { hold, letGo } from '../support/held.js'
import { refuseCloning, shows } from '../support/shown.js'
import { type Grant, type GrantState, holderOf, makeGrant, type OnEvict, partReleased } from './grant.js'
import { type AcquireOptions, type AcquireRequest, acquireChecks, requestsOf } from './options.js'

export type { WaitingRequest } from '../../binding.js'

/** How many wait at most, unless their user says otherwise. */
const MAX_WAITING = 512

/** What is asked for, checked. */
interface Wanted {
  readonly requests: native.NativeGrantRequest[]
  readonly options: AcquireOptions
  /** When it was asked for, by the clock of the queue. */
  readonly sinceUs: number
}

/** A request that waits. */
interface Pending {
  /** There is an outcome. */
  readonly settle: () => void
  readonly end: (error: unknown) => void
}

/** A turn of the event loop, in which guards that were collected come back. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/**
 * Where callers wait for bytes of a budget, in turn. Every budget of this process that shares the count has the same queue,
 * worker threads included; one of numbers, or an isolated one, has its own.
 *
 * @example
 * const admission = manager.admission
 * admission.onEvict = ({ grant }) => unload(grant)
 * const grant = await admission.acquire([{ bytes: 2 * GiB, label: 'weights' }, { bytes: GiB, label: 'kv cache' }])
 */
export class Admission implements Disposable {
  readonly #budget: MemoryBudget
  readonly #budgetNative: native.NativeBudget
  readonly #guards: object
  #started: native.NativeAdmission | undefined
  #closed = false
  #maxWaiting = MAX_WAITING
  #onEvict: OnEvict | undefined
  readonly #pending = new Map<number, Pending>()
  readonly #grants = new Map<number, WeakRef<Grant>>()
  readonly #listeners = new Set<() => unknown>()
  /** Keeps the process alive while somebody waits. */
  #alive: NodeJS.Timeout | undefined

  /** @throws {@link InvalidArgumentError} when `budget` is none. */
  constructor(budget: MemoryBudget) {
    refuseCloning(this)
    const of = nativeBudget(budget)
    if (of === undefined) throw invalidArgument('budget', 'a MemoryBudget', quoted(budget))
    this.#budget = budget
    this.#budgetNative = of
    this.#guards = of.guards()
  }

  /** The budget that is waited for. */
  get budget(): MemoryBudget {
    return this.#budget
  }

  /** How many may wait at most; a request beyond is refused at once. 512 by default. */
  get maxWaiting(): number {
    return this.#maxWaiting
  }

  set maxWaiting(count: number) {
    this.#maxWaiting = check.integer('maxWaiting', count, 0, 2 ** 31 - 1)
  }

  /** Is asked to release grants that are evictable and have no `onEvict` of their own. */
  get onEvict(): OnEvict | undefined {
    return this.#onEvict
  }

  set onEvict(onEvict: OnEvict | undefined) {
    this.#onEvict = onEvict === undefined ? undefined : check.callback<OnEvict>('onEvict', onEvict)
  }

  /**
   * Takes all that is asked for together, or waits for its turn and for room. It holds nothing while it waits, and keeps the
   * process alive.
   *
   * Higher priorities go first, and within one those who came first. A smaller request may pass those before it while the
   * first has not waited `ageMs`; from then on what becomes free is kept for that one. A turn of the event loop passes before
   * a request waits, so that what was collected is there again.
   *
   * Rejects with {@link NeverFitsError} at once when all of it together is more than the line, {@link BusyError} when
   * {@link maxWaiting} wait already, {@link TimeoutError}, {@link AbortError}, {@link InvalidArgumentError}, and
   * {@link ReleasedError} after {@link close}.
   */
  async acquire(requests: AcquireRequest | readonly AcquireRequest[], options?: AcquireOptions): Promise<Grant> {
    const wanted: Wanted = {
      requests: requestsOf(requests),
      options: this.#checked(options),
      sinceUs: native.queueClockUs(),
    }
    this.#expectOpen(wanted.options.signal)
    const granted = this.#asked(() => this.#native().tryAcquire(wanted.requests, this.#nativeOptions(wanted)))
    if (granted) return this.#grant(granted, wanted)
    await turn()
    this.#expectOpen(wanted.options.signal)
    return this.#wait(wanted)
  }

  /** Who waits, of every budget that shares the count, in the order in which they are to be served. */
  waiting(): WaitingRequest[] {
    return this.#closed ? [] : this.#native().waiting()
  }

  /**
   * Calls `listener` after somebody came to wait or waits no more; several such changes may be one call. Returns what ends
   * that.
   */
  onChange(listener: () => unknown): Disposable {
    const registered = check.callback<() => unknown>('listener', listener)
    const own = () => registered()
    if (this.#closed) throw released('the queue')
    this.#listeners.add(own)
    this.#native().watch(true)
    return { [Symbol.dispose]: () => this.#unlisten(own) }
  }

  #unlisten(listener: () => unknown): void {
    if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#started?.watch(false)
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Ends the wait of everybody who came by this object: they reject with an {@link AbortError}. Grants belong to their
   * holders and stay, and are not asked to make room any more. Idempotent.
   */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const { end } of [...this.#pending.values()]) end(new AbortError(released('the queue')))
    this.#listeners.clear()
    this.#started?.watch(false)
  }

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #checked(options: AcquireOptions | undefined): AcquireOptions {
    const checked = check.options<AcquireOptions>(options, acquireChecks)
    if (checked.evictable === true && checked.onEvict === undefined && this.#onEvict === undefined) {
      throw invalidArgument('evictable', 'left out where there is no onEvict', true)
    }
    return checked
  }

  #expectOpen(signal: AbortSignal | undefined): void {
    if (this.#closed) throw released('the queue')
    const ended = abortion(signal)
    if (ended) throw new AbortError(ended.reason)
  }

  #asked<T>(native: () => T): T {
    try {
      return native()
    } catch (error) {
      throw refusedBy(this.#budget, fromNative(error))
    }
  }

  #nativeOptions({ options, sinceUs }: Wanted): native.NativeAcquireOptions {
    const { signal: _signal, onEvict, onRevoke, evictable = onEvict !== undefined, pinned = false, ...rest } = options
    const elastic = onRevoke !== undefined
    return check.own({ ...rest, evictable, elastic, pinned, maxWaiting: this.#maxWaiting, sinceUs })
  }

  #native(): native.NativeAdmission {
    this.#started ??= call(() =>
      native.NativeAdmission.start(this.#budgetNative, Admission.#observer(new WeakRef(this))),
    )
    return this.#started
  }

  /** What is told natively. The addon holds on to it, so it must not hold on to the admission. */
  static #observer(self: WeakRef<Admission>): (notice: native.NativeAdmissionNotice) => void {
    return (notice) => {
      const admission = self.deref()
      if (admission) admission.#take(notice)
    }
  }

  #take(notice: native.NativeAdmissionNotice): void {
    switch (notice.kind) {
      case 'settled':
        this.#pending.get(notice.key)?.settle()
        break
      case 'changed':
        for (const listener of [...this.#listeners]) notify(listener)
        break
      case 'evict':
      case 'revoke':
        this.#makeRoom(notice.kind, notice)
    }
  }

  /** Has a holder make room, or says that it will not. */
  #makeRoom(kind: 'evict' | 'revoke', { key, bytes, deadlineMs, wantedBy }: native.NativeAdmissionNotice): void {
    const grant = this.#grants.get(key)?.deref()
    if (grant === undefined || grant.released) return
    const { onEvict = this.#onEvict, onRevoke } = holderOf(grant)
    const ask = kind === 'evict' ? onEvict : onRevoke
    const decline = () => this.#started?.decline(key)
    if (ask === undefined || this.#closed) {
      decline()
      return
    }
    const answered = (done: unknown) => {
      if (done === false) decline()
    }
    const failed = (error: unknown) => {
      decline()
      rethrow(error)
    }
    try {
      const answer = ask({ grant, bytes, deadlineMs, wantedBy })
      answered(answer)
      if (check.isObject(answer)) Promise.resolve(answer).then(answered, failed)
    } catch (error) {
      failed(error)
    }
  }

  #wait(wanted: Wanted): Promise<Grant> {
    const { signal } = wanted.options
    const key = this.#asked(() => this.#native().submit(wanted.requests, this.#nativeOptions(wanted)))
    return new Promise<Grant>((resolve, reject) => {
      let unlisten = () => {}
      const leave = () => {
        unlisten()
        this.#pending.delete(key)
        this.#keepAlive()
      }
      const settle = () => {
        try {
          const granted = this.#native().take(key)
          if (!granted) return
          leave()
          resolve(this.#grant(granted, wanted))
        } catch (error) {
          leave()
          reject(refusedBy(this.#budget, fromNative(error)))
        }
      }
      const end = (error: unknown) => {
        if (!this.#pending.has(key)) return
        leave()
        // What it may have been granted at this moment goes with it.
        this.#native().release(key)
        reject(error)
      }
      this.#pending.set(key, { settle, end })
      this.#keepAlive()
      if (signal) unlisten = onAbort(signal, (reason) => end(new AbortError(reason)))
      if (!this.#pending.has(key)) unlisten()
    })
  }

  /** The process lives, and so does this object, while somebody waits. */
  #keepAlive(): void {
    if (this.#pending.size > 0 && this.#alive === undefined) {
      this.#alive = setInterval(() => {}, 2 ** 31 - 1)
      hold(this)
    } else if (this.#pending.size === 0 && this.#alive !== undefined) {
      clearInterval(this.#alive)
      this.#alive = undefined
      letGo(this)
    }
  }

  #grant({ key, guards }: native.NativeGranted, { requests, options }: Wanted): Grant {
    const sum = requests.reduce((total, { bytes }) => total + bytes, 0)
    const grants = this.#grants
    const state: GrantState = {
      native: this.#native(),
      key,
      label: requests.map(({ label }) => label).join(', '),
      partBytes: sum,
      partCount: requests.length,
      stretchBytes: 0,
      attached: false,
      held: false,
      released: false,
      forget: () => void grants.delete(key),
    }
    const allocations = requests.map(({ bytes, label }, at) =>
      guard({
        native: this.#budgetNative,
        guards: this.#guards,
        key: guards[at] as number,
        label,
        sizeBytes: bytes,
        stack: undefined,
        releasing: () => partReleased(state, bytes),
        // The grant warns for all of its parts.
        attached: true,
        held: false,
        released: false,
      }),
    )
    const { onEvict, onRevoke } = options
    const grant = makeGrant({ state, queue: this, allocations, onEvict, onRevoke })
    grants.set(key, new WeakRef(grant))
    return grant
  }
}

/** What one listener throws keeps nobody from the others. */
function notify(listener: () => unknown): void {
  try {
    absorb(listener(), rethrow)
  } catch (error) {
    rethrow(error)
  }
}

/** What a callback throws is uncaught, as of any event emitter. */
function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

shows(Admission, ({ maxWaiting, closed }) => ({ maxWaiting, closed }))
