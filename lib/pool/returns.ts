import { callAsync } from '../support/errors.js'

/** What a pool releases to its device: who waits for memory waits for that, too. */
export class Returns {
  /** Releases what waits for it. */
  readonly #collect: () => Promise<number>
  /** What is on its way back: the bytes of each call. */
  readonly #returning = new Set<Promise<number>>()
  #collecting: Promise<void> | undefined
  #collectAgain = false

  constructor(collect: () => Promise<number>) {
    this.#collect = collect
  }

  /** Releases slabs by a call that resolves to their bytes; meanwhile {@link returned} waits for them. */
  async release(start: () => Promise<number>): Promise<number> {
    const returning = callAsync(start)
    this.#returning.add(returning)
    try {
      return await returning
    } finally {
      this.#returning.delete(returning)
    }
  }

  /** Waits for what is on its way back by now; resolves to its bytes, whoever began it. */
  async returned(): Promise<number> {
    return (await Promise.all(this.#returning)).reduce((sum, bytes) => sum + bytes, 0)
  }

  /** Releases empty slabs, without anybody waiting for the device. */
  collect(): void {
    this.#collectAgain = true
    this.#collecting ??= this.#collectAll()
    // Told to whoever waits for it.
    this.#collecting.catch(() => {})
  }

  /** Waits for what {@link collect} has begun. */
  async collected(): Promise<void> {
    await this.#collecting
  }

  async #collectAll(): Promise<void> {
    // What becomes empty while a device takes its time is released in a further round.
    try {
      while (this.#collectAgain) {
        this.#collectAgain = false
        await this.release(this.#collect)
      }
    } finally {
      this.#collecting = undefined
    }
  }
}
