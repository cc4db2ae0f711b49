import type { MonitorSample } from '../../binding.js'
import { MemoryMonitor } from '../monitor/monitor.js'
import * as check from '../support/check.js'

/** How a {@link TokenBudget} follows a monitor. */
export interface FollowOptions {
  /** Whether nothing grows while the level is critical: past 95 %, unless the limits of the monitor say otherwise. `true` by default. */
  refuseAtCritical?: boolean
}

/** What is done of what a monitor tells. */
export interface Follower {
  /** Gives back what no token needs. */
  readonly releaseSpare: () => void
  /** Prunes one sequence, and resolves when it has left. */
  readonly pruneOne: () => Promise<void>
}

/** A monitor that is followed. */
export interface Following extends Disposable {
  /** The sample that says why nothing may grow now, if so; `true` where the memory cannot be read, which counts as critical. */
  readonly critical: () => MonitorSample | true | undefined
}

const checks = { refuseAtCritical: check.boolean } as const

/** Has a budget of tokens follow a monitor, until it is disposed of. */
export function follow(monitor: MemoryMonitor, options: FollowOptions | undefined, follower: Follower): Following {
  check.instance('monitor', monitor, MemoryMonitor)
  const { refuseAtCritical = true } = check.options<FollowOptions>(options, checks)
  const { releaseSpare, pruneOne } = follower
  monitor.on('warning', releaseSpare)
  const reclaim = monitor.onReclaim('tokens', async () => {
    releaseSpare()
    await pruneOne()
  })
  return {
    critical: () => (refuseAtCritical && monitor.level === 'critical' ? (monitor.sample ?? true) : undefined),
    [Symbol.dispose]: () => {
      monitor.off('warning', releaseSpare)
      reclaim[Symbol.dispose]()
    },
  }
}

/** Ends what a budget that was dropped has followed. */
export const followed = new FinalizationRegistry<Disposable>((following) => following[Symbol.dispose]())
