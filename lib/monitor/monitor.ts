import type { MonitorSample } from '../../binding.js'
import { LeakGuard } from '../addon/leak-guard.js'
import * as native from '../addon/native.js'
import { type MemoryBudget, nativeBudget } from '../budget/budget.js'
import * as check from '../support/check.js'
import { call, invalidArgument, quoted, released } from '../support/errors.js'
import { collectGarbage } from '../support/garbage.js'
import { refuseCloning, shows } from '../support/shown.js'
import { Emitter, forgetListeners, listenerCountOf, type MonitorEvents } from './events.js'
import { ReclaimCallbacks } from './reclaim.js'
import { Samples } from './samples.js'
import { type Stage, Stages } from './stages.js'

export type { MetricDefinition, MonitorSample } from '../../binding.js'
export type { MonitorEmitter, MonitorEvents } from './events.js'

/** How full the memory is. */
export type MemoryLevel = 'normal' | 'warning' | 'critical'

/** Where the levels begin, as shares of what could be used at most, 0 to 100. */
export interface MemoryLimits {
  /** Where `warning` begins, in percent, 0 to 100. 80 by default. */
  warnPercent?: number
  /** Where `critical` begins, in percent, 0 to 100. 95 by default. */
  criticalPercent?: number
  /** How far use must fall below a limit before its level ends, in percent, 0 to 100. 3 by default. */
  hysteresisPercent?: number
}

/** How a monitor watches and what it does. */
export interface MonitorOptions extends MemoryLimits {
  /** What is left untouched of the machine's memory, in bytes. 3 % of it, at least 256 MiB, by default. */
  floorBytes?: number
  /** Whether the budget refuses new allocations while the level is critical. True by default. */
  refuseAtCritical?: boolean
  /**
   * Whether V8 collects its garbage as the level turns critical, before the other reclaim callbacks. Best effort: V8 does not
   * promise that the flag for it counts after the start. False by default.
   */
  collectGarbage?: boolean
  /**
   * The longest time between two samples, in milliseconds, from 10 to 3,600,000. All monitors of a process are sampled
   * together, by the shortest. By default as long as the memory can be left alone at the fastest growth that is plausible: room
   * / 6000 MiB per second, between 50 and 1000 ms.
   */
  intervalMs?: number
  /** How many samples {@link MemoryMonitor.history} keeps, 0 to 100,000. 600 by default. */
  historyCount?: number
}

/** How long a round of reclaim callbacks waits at most to see what one of them came to. */
const LONGEST_WAIT_MS = 250

/** An event with what it passes. */
type Notification = { [E in keyof MonitorEvents]: readonly [event: E, ...args: MonitorEvents[E]] }[keyof MonitorEvents]

const share = (name: string, value: unknown) => check.number(name, value, 0, 100)

export const limitChecks = { warnPercent: share, criticalPercent: share, hysteresisPercent: share } as const

const optionChecks = {
  ...limitChecks,
  floorBytes: (name: string, value: unknown) => check.bytes(name, value),
  refuseAtCritical: check.boolean,
  collectGarbage: check.boolean,
  intervalMs: (name: string, value: unknown) => check.number(name, value, 10, 3_600_000),
  historyCount: (name: string, value: unknown) => check.integer(name, value, 0, 100_000),
} as const

/**
 * The monitors that watch, by their budgets: whoever uses a budget relies on what watches over it, also where nothing
 * else refers to the monitor.
 */
const watching = new WeakMap<MemoryBudget, Set<MemoryMonitor>>()

/** What is known of a monitor when it was collected. */
interface MonitorState {
  /** Whether it watches. */
  running: boolean
  /** How many listeners its events have. */
  listenerCount: number
}

/** Says that a monitor to whose events somebody listens is no more. */
const leakGuard = new LeakGuard<MonitorState>(({ running, listenerCount }) => {
  if (!running || listenerCount === 0) return undefined
  return {
    what: `A memory monitor with ${listenerCount} listeners`,
    expected: 'stopped',
    advice: 'They are called no more: keep it, its budget or its manager as long as it is to watch, or stop() it.',
    label: 'memory monitor',
    sizeBytes: 0,
  }
})

/**
 * Watches the memory under a budget, and tells of trouble before the kernel acts. It is off until {@link start}.
 *
 * It watches until it is stopped, or nothing refers to it, its budget or its manager any longer and no iteration waits for
 * it. One thread samples for every monitor of the process, and none of them keeps the process alive. Levels are drawn by
 * what is really used: of the machine, of each cgroup over the process, and of the line by this process. What is merely
 * granted raises none; a well-packed budget is full and well.
 *
 * @example
 * manager.monitor.start()
 * manager.monitor.on('warning', ({ usedPercent, constraint }) => log.warn(`${usedPercent.toFixed(0)} %: ${constraint}`))
 * manager.monitor.on('critical', () => cache.clear())
 */
export class MemoryMonitor extends Emitter implements Disposable, AsyncIterable<MonitorSample> {
  readonly #budget: MemoryBudget
  readonly #stages: Stages
  readonly #reclaimCallbacks: ReclaimCallbacks
  #limits: MemoryLimits = {}
  #native: native.NativeMonitor | undefined
  /** What tells this start from earlier ones. */
  #run: object | undefined
  /** The level last told; none after what was told is that it is not known. */
  #notified: MemoryLevel | undefined = 'normal'
  #closed = false
  /** Who takes every sample, besides listeners. */
  readonly #takers = new Set<(sample: MonitorSample) => void>()
  /** What ends the iterations that have begun. */
  readonly #endings = new Set<() => void>()
  readonly #state: MonitorState = { running: false, listenerCount: 0 }

  /** @throws {@link InvalidArgumentError} when `budget` is none. */
  constructor(budget: MemoryBudget, limits?: MemoryLimits) {
    super()
    refuseCloning(this)
    this.#budget = budget
    if (nativeBudget(budget) === undefined) throw invalidArgument('budget', 'a MemoryBudget', quoted(budget))
    this.#limits = check.options<MemoryLimits>(limits, limitChecks)
    this.#stages = new Stages(budget)
    leakGuard.watch(this, this.#state)
    this.#reclaimCallbacks = new ReclaimCallbacks({
      needed: () => this.level === 'critical',
      settled: () => this.#sampleFromNow(),
      // Apart from the round, which what a listener throws must not end.
      ended: (run) => queueMicrotask(() => this.emit('reclaim', run)),
    })
  }

  /**
   * Begins to watch; while it already does, nothing is changed. Options that are left out take the limits of the
   * monitor and their defaults. Returns the monitor.
   *
   * @throws {@link InvalidArgumentError} for an unknown or unfit option.
   * @throws {@link ReleasedError} after {@link close}.
   */
  start(options?: MonitorOptions): this {
    const checked = check.options<MonitorOptions>(options, optionChecks)
    if (this.#closed) throw released('the memory monitor')
    if (this.#native) return this
    const { collectGarbage: collects = false, refuseAtCritical = true, ...rest } = checked
    const wantsAll = this.#wantsAll()
    const started = check.own({ ...this.#limits, ...rest, refuseAtCritical, wantsAll })
    const run = {}
    const observe = MemoryMonitor.#observer(new WeakRef(this), run)
    // Made from a budget, so it has a native half.
    const budget = nativeBudget(this.#budget) as native.NativeBudget
    this.#native = call(() => native.NativeMonitor.start(budget, started, observe))
    this.#run = run
    this.#state.running = true
    watching.set(this.#budget, (watching.get(this.#budget) ?? new Set()).add(this))
    this.#limits = limitsOf(started)
    this.#reclaimCallbacks.first = collects ? { label: 'garbage collection', run: collectGarbage } : undefined
    return this
  }

  /** What takes the thread's notices. The thread holds on to it, so it must not hold on to the monitor. */
  static #observer(self: WeakRef<MemoryMonitor>, run: object): (notice: native.NativeNotice) => void {
    return (notice) => {
      const monitor = self.deref()
      // A notice that was on its way while the monitor stopped comes too late, also when it has started again.
      if (monitor && monitor.#run === run) monitor.#take(notice)
    }
  }

  /** Stops watching, until {@link start} is called again: iterations end, and the budget grants again. Idempotent. */
  stop(): void {
    this.#native?.close()
    this.#native = undefined
    this.#run = undefined
    this.#notified = 'normal'
    this.#state.running = false
    watching.get(this.#budget)?.delete(this)
    for (const end of [...this.#endings]) end()
  }

  /** Stops watching for good: listeners and reclaim callbacks are forgotten, too. Idempotent. */
  close(): void {
    this.stop()
    this.#closed = true
    forgetListeners(this)
    this.#reclaimCallbacks.clear()
  }

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** Whether it watches. */
  get running(): boolean {
    return this.#native !== undefined
  }

  /** The level of the last sample; `'normal'` before the first, `'critical'` while the memory or a limit cannot be read. */
  get level(): MemoryLevel {
    return this.#native?.level ?? 'normal'
  }

  /** The last sample, if one was taken. */
  get sample(): MonitorSample | undefined {
    return this.#native?.latest() ?? undefined
  }

  /** Where the levels begin, for as much as was set; see {@link MemoryLimits} for the defaults. */
  get limits(): Readonly<MemoryLimits> {
    return { ...this.#limits }
  }

  /** Sets where the levels begin, also while it watches. What is left out takes its default. */
  set limits(limits: MemoryLimits) {
    const checked = check.options<MemoryLimits>(limits, limitChecks)
    const { warnPercent = 80, criticalPercent = 95 } = checked
    if (warnPercent > criticalPercent) {
      throw invalidArgument('warnPercent', `at most criticalPercent, which is ${criticalPercent}`, warnPercent)
    }
    call(() => this.#native?.setLimits(check.own({ ...checked, refuseAtCritical: true, wantsAll: false })))
    this.#limits = checked
  }

  /** The samples since the start, oldest first, as many as `historyCount` keeps. */
  history(): MonitorSample[] {
    return this.#native?.history() ?? []
  }

  /** @internal Samples wake the event loop only while somebody takes them. */
  protected listenersChanged(): void {
    this.#state.listenerCount = listenerCountOf(this)
    this.#native?.wantAll(this.#wantsAll())
  }

  #wantsAll(): boolean {
    return this.#takers.size > 0 || this.listenerCount('sample') > 0
  }

  /** Passes samples on, whatever becomes of the listeners; returns what ends that. */
  #takeEach(take: (sample: MonitorSample) => void): () => void {
    this.#takers.add(take)
    this.listenersChanged()
    return () => {
      this.#takers.delete(take)
      this.listenersChanged()
    }
  }

  /**
   * Registers what may release memory while the level is critical. Reclaim callbacks run in the order of their registration, one
   * at a time, each awaited, until the level is no longer critical; at most one round a second. Each run is told by the event
   * `reclaim`. Returns what forgets it again.
   *
   * @param label - what the event calls it
   * @param run - releases memory; may return a promise
   */
  onReclaim(label: string, run: (sample: MonitorSample) => unknown): Disposable {
    return this.#reclaimCallbacks.add(check.string('label', label), check.callback('run', run))
  }

  /**
   * Notes the memory at a stage of the program, watching or not: what the process and the machine have in use, and what
   * is allocated under which label. Returns the stage, with what was added since the one before.
   *
   * @param label - what the stage is called: `'after model load'`
   */
  mark(label: string): Stage {
    return this.#stages.mark(check.string('label', label))
  }

  /** The stages that were marked, oldest first; the last thousand. */
  stages(): Stage[] {
    return this.#stages.list()
  }

  /**
   * The samples from now on. An iteration that is slower than they come gets the newest 16; it ends with {@link stop} and
   * {@link close}. It starts the monitor if it does not watch yet, and does not keep the process alive. A monitor whose next
   * sample is waited for goes on though nothing else refers to it.
   */
  [Symbol.asyncIterator](): AsyncGenerator<MonitorSample, void, undefined> {
    return new Samples({
      begin: (take, end) => {
        this.start()
        const leave = this.#takeEach(take)
        this.#endings.add(end)
        return () => {
          this.#endings.delete(end)
          leave()
        }
      },
    })
  }

  #take({ sample, stalled, killCount, unavailable }: native.NativeNotice): void {
    if (unavailable !== undefined) {
      this.#notified = undefined
      this.#notify([['unavailable', unavailable]])
    }
    if (!sample) return
    if (sample.level === 'critical') queueMicrotask(() => this.#reclaim(sample))
    const before = this.#notified
    this.#notified = sample.level
    this.#notify([
      ...(sample.level === before ? [] : ([[sample.level, sample]] as const)),
      ...(killCount > 0 ? ([['kill', sample, killCount]] as const) : []),
      ...(stalled ? ([['pressure', sample]] as const) : []),
      ['sample', sample],
    ])
    for (const take of [...this.#takers]) take(sample)
  }

  /**
   * Emits one event after the other. What a listener throws is uncaught as of any event emitter, but keeps nobody from
   * the rest; a listener that stops the monitor does.
   */
  #notify(events: readonly Notification[]): void {
    const run = this.#run
    for (const [event, ...args] of events as readonly (readonly [string, ...unknown[]])[]) {
      if (this.#run !== run) return
      try {
        this.emit(event, ...args)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  #reclaim(sample: MonitorSample): void {
    if (this.#native) this.#reclaimCallbacks.run(sample)
  }

  /** Settles with the next sample that is taken from now on, or after a while without one. */
  #sampleFromNow(): Promise<void> {
    const now = Date.now()
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        leave()
        resolve()
      }
      const take = ({ timeMs }: MonitorSample) => {
        if (timeMs >= now) end()
      }
      const timer = setTimeout(end, LONGEST_WAIT_MS).unref()
      const leave = this.#takeEach(take)
    })
  }
}

function limitsOf({ warnPercent, criticalPercent, hysteresisPercent }: MemoryLimits): MemoryLimits {
  return {
    ...(warnPercent !== undefined && { warnPercent }),
    ...(criticalPercent !== undefined && { criticalPercent }),
    ...(hysteresisPercent !== undefined && { hysteresisPercent }),
  }
}

shows(MemoryMonitor, ({ running, level, limits }) => ({ running, level, limits }))
