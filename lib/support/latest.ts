/** A reading that may hang, as of a driver that does not answer: there is one at a time, and nobody waits for it for ever. */
export class Latest<T> {
  readonly #read: () => Promise<T>
  readonly #patienceMs: number
  #reading: Promise<T> | undefined

  constructor(patienceMs: number, read: () => Promise<T>) {
    this.#patienceMs = patienceMs
    this.#read = read
  }

  /** What is read now, or by a reading that is under way; nothing where that takes too long. */
  async get(): Promise<T | undefined> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, this.#patienceMs, undefined)
    })
    try {
      return await Promise.race([this.#reading, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
