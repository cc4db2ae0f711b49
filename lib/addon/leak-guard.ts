import { leakWarning } from './native.js'

/** What was collected without having been released. */
export interface Leak {
  readonly message: string
  readonly label: string
  readonly sizeBytes: number
}

/**
 * Gives back what an object held that was collected without being released, and warns of it. What it is told of the object
 * must not refer to the object, or that would never be collected.
 */
export class LeakGuard<State extends object> {
  readonly #registry: FinalizationRegistry<State>

  /** @param collected gives back what the object held; the leak that it was, if it was one. */
  constructor(collected: (state: State) => Leak | undefined | Promise<Leak | undefined>) {
    this.#registry = new FinalizationRegistry((state) => {
      const leak = collected(state)
      if (leak instanceof Promise) leak.then(warn, () => {})
      else warn(leak)
    })
  }

  watch(object: object, state: State): void {
    this.#registry.register(object, state, state)
  }

  /** The object was released. */
  unwatch(state: State): void {
    this.#registry.unregister(state)
  }
}

function warn(leak: Leak | undefined): void {
  if (leak) process.emitWarning(leakWarning(leak.message, leak.label, leak.sizeBytes))
}
