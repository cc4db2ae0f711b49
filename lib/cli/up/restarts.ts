import type { Settings } from './settings.js'

/** How often an instance was started again, and how long the next time waits. */
export class Restarts {
  readonly #settings: Settings
  /** Since it has last run for long. */
  count = 0
  /** In all. */
  totalCount = 0

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** How long to wait before it is started again, in milliseconds; `undefined` where it is not. */
  next(readySinceMs: number | undefined): number | undefined {
    const { restart, restartDelayMs, maxRestartDelayMs, maxRestarts } = this.#settings
    if (readySinceMs !== undefined && Date.now() - readySinceMs > maxRestartDelayMs) this.count = 0
    if (restart === 'no' || this.count >= maxRestarts) return undefined
    const delayMs = Math.min(restartDelayMs * 2 ** Math.min(this.count, 40), maxRestartDelayMs)
    this.count += 1
    this.totalCount += 1
    return delayMs
  }
}
