import { type Allocation, InsufficientMemoryError, type MemoryBudget } from 'plimsoll'

/** What a server has of its models: which are loaded, and what they were granted. */
export class ModelHost {
  readonly #budget: MemoryBudget
  readonly #loaded = new Map<string, Allocation>()

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  /** Loads a model. Where there is no room, the one that was loaded first goes. */
  load(name: string, bytes: number): void {
    this.unload(name)
    for (;;) {
      try {
        this.#loaded.set(name, this.#budget.allocate(bytes, name))
        return
      } catch (error) {
        const [first] = this.#loaded.keys()
        const neverFits = bytes > this.#budget.lineBytes
        if (!(error instanceof InsufficientMemoryError) || first === undefined || neverFits) throw error
        this.unload(first)
      }
    }
  }

  unload(name: string): void {
    this.#loaded.get(name)?.release()
    this.#loaded.delete(name)
  }

  get names(): string[] {
    return [...this.#loaded.keys()]
  }

  close(): void {
    for (const name of this.names) this.unload(name)
  }
}
