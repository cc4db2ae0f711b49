import type { MonitorSample } from '../../binding.js'

/** What a run of a reclaim callback came to. */
export interface ReclaimRun {
  /** The label it was registered under. */
  label: string
  /** How long it ran, in milliseconds. */
  durationMs: number
  /** What it threw, if it did; the next reclaim callback runs all the same. */
  error?: unknown
}

interface Registered {
  readonly label: string
  readonly run: (sample: MonitorSample) => unknown
}

/** Memory that was released shows in a sample or two; a round before that would only take time from the program. */
const LEAST_BETWEEN_ROUNDS_MS = 1000

/** A reclaim callback that takes longer is left behind, so that one that never settles does not keep the others from running. */
const LONGEST_MS = 10_000

/** What reclaim callbacks ask of their monitor. */
interface ReclaimContext {
  /** Whether memory is still to be released. */
  readonly needed: () => boolean
  /** Settles when it can be seen what the last reclaim callback came to. */
  readonly settled: () => Promise<void>
  readonly ended: (run: ReclaimRun) => void
}

/** What may release memory, in order. One round runs at a time. */
export class ReclaimCallbacks {
  /** What runs before the registered ones. */
  first: Registered | undefined
  readonly #registered = new Set<Registered>()
  readonly #context: ReclaimContext
  #running = false
  #endedAt = Number.NEGATIVE_INFINITY

  constructor(context: ReclaimContext) {
    this.#context = context
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
    const { needed, settled, ended } = this.#context
    for (const callback of [...(this.first ? [this.first] : []), ...this.#registered]) {
      if (!needed()) return
      ended(await outcome(callback, sample))
      await settled()
    }
  }
}

/** Runs a reclaim callback to its end, or as long as it may take. */
async function outcome({ label, run }: Registered, sample: MonitorSample): Promise<ReclaimRun> {
  const start = performance.now()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((_, reject) => {
    const error = new Error(
      `expected the reclaim callback "${label}" to end within ${LONGEST_MS / 1000} s, but it still runs`,
    )
    timer = setTimeout(() => reject(error), LONGEST_MS).unref()
  })
  try {
    await Promise.race([run(sample), late])
    return { label, durationMs: performance.now() - start }
  } catch (error) {
    return { label, durationMs: performance.now() - start, error }
  } finally {
    clearTimeout(timer)
  }
}
