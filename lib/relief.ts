import type { MonitorSample } from '../binding.js'

/** What a run of a relief came to. */
export interface Relief {
  /** The label it was registered under. */
  label: string
  /** How long it ran, in milliseconds. */
  durationMs: number
  /** What it threw, if it did; the next relief runs all the same. */
  error?: unknown
}

interface Registered {
  readonly label: string
  readonly run: (sample: MonitorSample) => unknown
}

/** Memory that was given back shows in a sample or two; a round before that would only take time from the program. */
const LEAST_BETWEEN_ROUNDS_MS = 1000

/** What may give memory back, in order. One round runs at a time. */
export class Reliefs {
  /** What runs before the registered ones. */
  first: Registered | undefined
  readonly #registered = new Set<Registered>()
  readonly #needed: () => boolean
  readonly #told: (relief: Relief) => void
  #running = false
  #endedAt = Number.NEGATIVE_INFINITY

  constructor(needed: () => boolean, told: (relief: Relief) => void) {
    this.#needed = needed
    this.#told = told
  }

  add(label: string, run: (sample: MonitorSample) => unknown): Disposable {
    const registered = { label, run }
    this.#registered.add(registered)
    return { [Symbol.dispose]: () => void this.#registered.delete(registered) }
  }

  clear(): void {
    this.#registered.clear()
    this.first = undefined
  }

  /** Runs them until they are no longer needed, unless a round runs or has just ended. */
  run(sample: MonitorSample): void {
    if (this.#running || performance.now() - this.#endedAt < LEAST_BETWEEN_ROUNDS_MS) return
    this.#running = true
    this.#round(sample).finally(() => {
      this.#running = false
      this.#endedAt = performance.now()
    })
  }

  async #round(sample: MonitorSample): Promise<void> {
    const round = [...(this.first ? [this.first] : []), ...this.#registered]
    for (const { label, run } of round) {
      if (!this.#needed()) return
      const start = performance.now()
      const relief: Relief = { label, durationMs: 0 }
      try {
        await run(sample)
      } catch (error) {
        relief.error = error
      }
      relief.durationMs = performance.now() - start
      this.#told(relief)
    }
  }
}
