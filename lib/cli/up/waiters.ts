/** Who may go while it waits: a socket. */
export interface Gone {
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
  off(event: 'close', listener: () => void): unknown
}

/** What is told to who has gone: nobody reads it. */
export const goneError = (): Error => new Error('the connection was closed')

interface Waiter<T> {
  resolve: (value: T) => void
  reject: (error: unknown) => void
  /** Ends its wait without an answer. */
  forget: () => void
}

/** Those who wait for the same, each for so long at most. */
export class Waiters<T> {
  readonly #all = new Set<Waiter<T>>()
  readonly #timeoutMs: number
  readonly #timeout: () => Error

  constructor(timeoutMs: number, timeout: () => Error) {
    this.#timeoutMs = timeoutMs
    this.#timeout = timeout
  }

  get count(): number {
    return this.#all.size
  }

  /** Waits until it is there, for one who may go. `onNobody` is called when the last one waits no more. */
  wait(gone: Gone, onNobody: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = (error: Error) => {
        waiter.forget()
        reject(error)
        if (this.#all.size === 0) onNobody()
      }
      const timer = setTimeout(() => leave(this.#timeout()), this.#timeoutMs)
      const onClose = () => leave(goneError())
      const forget = () => {
        clearTimeout(timer)
        gone.off('close', onClose)
        this.#all.delete(waiter)
      }
      const waiter: Waiter<T> = { resolve, reject, forget }
      gone.once('close', onClose)
      this.#all.add(waiter)
    })
  }

  resolve(value: T): void {
    for (const waiter of [...this.#all]) {
      waiter.forget()
      waiter.resolve(value)
    }
  }

  reject(error: unknown): void {
    for (const waiter of [...this.#all]) {
      waiter.forget()
      waiter.reject(error)
    }
  }
}
