import { type ProcessInfo, processes } from '../index.js'

/** How long what was found is shown. To look for processes takes longer than all else together, and they come and go slowly. */
const GOOD_FOR_MS = 5000

/** The processes that have this package loaded. */
export class Others {
  #found: ProcessInfo[] = []
  #untilMs = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined

  /** Those that were found some seconds ago at most. */
  async list(): Promise<ProcessInfo[]> {
    if (performance.now() >= this.#untilMs) {
      this.#looking ??= this.#look()
      await this.#looking
    }
    return this.#found
  }

  async #look(): Promise<void> {
    try {
      this.#found = await processes({ loaded: true })
      this.#untilMs = performance.now() + GOOD_FOR_MS
    } finally {
      this.#looking = undefined
    }
  }
}
