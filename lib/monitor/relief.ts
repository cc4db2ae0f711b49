import type { MonitorSample } from '../../binding.js'

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

/** A relief that takes longer is left behind, so that one that never settles does not end all relief. */
const LONGEST_MS = 10_000

/** What reliefs ask of their monitor. */
interface Surroundings {
  /** Whether memory is still to be given back. */
  readonly needed: () => boolean
  /** Settles when it can be seen what the last relief came to. */
  readonly settled: () => Promise<void>
  readonly told: (relief: Relief) => void
}

/** What may give memory back, in order. One round runs at a time. */
export class Reliefs {
  /** What runs before the registered ones. */
  first: Registered | undefined
  readonly #registered = new Set<Registered>()
  readonly #surroundings: Surroundings
  #running = false
  #endedAt = Number.NEGATIVE_INFINITY

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
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
    const { needed, settled, told } = this.#surroundings
    for (const relief of [...(this.first ? [this.first] : []), ...this.#registered]) {
      if (!needed()) return
      told(await outcome(relief, sample))
      await settled()
    }
  }
}

/** Runs a relief to its end, or as long as it may take. */
async function outcome({ label, run }: Registered, sample: MonitorSample): Promise<Relief> {
  const start = performance.now()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((_, reject) => {
    const error = new Error(`expected the relief "${label}" to end within ${LONGEST_MS / 1000} s, but it still runs`)
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
