import { EventEmitter } from 'node:events'
import type { MonitorSample } from '../../binding.js'
import * as check from '../support/check.js'
import type { ReclaimRun } from './reclaim.js'

/** What a monitor tells, with what it passes to the listener. */
export interface MonitorEvents {
  /** The level fell back to normal. */
  normal: [sample: MonitorSample]
  /** The level became warning, from below or from above. */
  warning: [sample: MonitorSample]
  /** The level became critical. */
  critical: [sample: MonitorSample]
  /** The kernel told that tasks stand still for want of memory. */
  pressure: [sample: MonitorSample]
  /** The OOM killer has killed something since the sample before. */
  kill: [sample: MonitorSample, count: number]
  /** A sample was taken. */
  sample: [sample: MonitorSample]
  /** A reclaim callback has run. */
  reclaim: [run: ReclaimRun]
  /**
   * The machine's memory, or a limit over the process that is there, cannot be read; the monitor goes on trying. Nobody
   * can tell that it is not critical, so it counts as that and the budget refuses. The next sample tells its level,
   * whatever it is.
   */
  unavailable: [reason: string]
}

/** The events of a monitor. */
const events: readonly (keyof MonitorEvents)[] = [
  'normal',
  'warning',
  'critical',
  'pressure',
  'kill',
  'sample',
  'reclaim',
  'unavailable',
]

/** What any emitter of Node.js's has besides. */
type UsualEvent = 'error' | 'newListener' | 'removeListener'

const usualEvents: readonly UsualEvent[] = ['error', 'newListener', 'removeListener']

// biome-ignore-start lint/suspicious/noExplicitAny: as Node.js declares them.
/**
 * An `EventEmitter` of Node.js's: `events.once` and `events.on` take it. Its members are named here, for programs without
 * Node.js's types. An event that there is none of is an {@link InvalidArgumentError}, which names the nearest.
 */
export interface MonitorEmitter {
  /** Calls `listener` for every event of that name. What a listener throws is thrown as of any event emitter. */
  on<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this
  on(event: UsualEvent | symbol, listener: (...args: any[]) => void): this
  /** The same as `on`. */
  addListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this
  addListener(event: UsualEvent | symbol, listener: (...args: any[]) => void): this
  /** Calls `listener` for the next event of that name only. */
  once<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this
  once(event: UsualEvent | symbol, listener: (...args: any[]) => void): this
  prependListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this
  prependListener(event: UsualEvent | symbol, listener: (...args: any[]) => void): this
  prependOnceListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this
  prependOnceListener(event: UsualEvent | symbol, listener: (...args: any[]) => void): this
  /** Forgets a listener. */
  off<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this
  off(event: UsualEvent | symbol, listener: (...args: any[]) => void): this
  /** The same as `off`. */
  removeListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this
  removeListener(event: UsualEvent | symbol, listener: (...args: any[]) => void): this
  /** Forgets every listener, or those of one event. */
  removeAllListeners(event?: string | symbol): this
  emit(event: string | symbol, ...args: any[]): boolean
  eventNames(): (string | symbol)[]
  listenerCount(event: string | symbol, listener?: any): number
  listeners(event: string | symbol): any[]
  rawListeners(event: string | symbol): any[]
  setMaxListeners(count: number): this
  getMaxListeners(): number
}
// biome-ignore-end lint/suspicious/noExplicitAny: as Node.js declares them.

type Listener = Parameters<EventEmitter['on']>[1]

/** Names of events are checked, and who adds or removes a listener is told of. */
abstract class CheckedEmitter extends EventEmitter {
  /** Listeners have come or gone. */
  protected abstract listenersChanged(): void

  override on(event: string | symbol, listener: Listener): this {
    super.on(known(event), check.callback('listener', listener))
    this.listenersChanged()
    return this
  }

  override addListener(event: string | symbol, listener: Listener): this {
    return this.on(event, listener)
  }

  override once(event: string | symbol, listener: Listener): this {
    return super.once(known(event), check.callback('listener', listener))
  }

  override prependListener(event: string | symbol, listener: Listener): this {
    super.prependListener(known(event), check.callback('listener', listener))
    this.listenersChanged()
    return this
  }

  override prependOnceListener(event: string | symbol, listener: Listener): this {
    return super.prependOnceListener(known(event), check.callback('listener', listener))
  }

  override removeListener(event: string | symbol, listener: Listener): this {
    super.removeListener(known(event), check.callback('listener', listener))
    this.listenersChanged()
    return this
  }

  override off(event: string | symbol, listener: Listener): this {
    return this.removeListener(event, listener)
  }

  override removeAllListeners(event?: string | symbol): this {
    if (event === undefined) super.removeAllListeners()
    else super.removeAllListeners(known(event))
    this.listenersChanged()
    return this
  }
}

const known = (event: unknown): string | symbol =>
  typeof event === 'symbol' ? event : check.oneOf('event', event, [...events, ...usualEvents])

/** How many listeners the events of an emitter have. */
export const listenerCountOf = (emitter: MonitorEmitter): number =>
  events.reduce((sum, event) => sum + emitter.listenerCount(event), 0)

/**
 * Forgets every listener, whatever those do that are told of it: what they throw is uncaught as of any event emitter. Those
 * that add others at each turn are left.
 */
export function forgetListeners(emitter: MonitorEmitter): void {
  const count = (event: string | symbol) => emitter.listenerCount(event)
  // Each turn forgets one at least.
  for (let turns = emitter.eventNames().reduce((sum, event) => sum + count(event), 1); turns > 0; turns--) {
    try {
      emitter.removeAllListeners()
      return
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

/** What a monitor is besides. */
export const Emitter = CheckedEmitter as unknown as abstract new () => MonitorEmitter
