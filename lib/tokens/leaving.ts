import type { TokenUsage } from '../../binding.js'
import * as check from '../support/check.js'

/** What a sequence that was pruned had to itself. */
export interface Held {
  readonly tokens: number
  readonly cpuBytes: number
  readonly gpuBytes: number
}

/** What of two usages is the difference. */
export const heldBetween = (before: TokenUsage, after: TokenUsage): Held => ({
  tokens: before.tokens - after.tokens,
  cpuBytes: before.cpuBytes - after.cpuBytes,
  gpuBytes: before.gpuBytes - after.gpuBytes,
})

/** Sequences that were pruned and that the runtime's cache still has: their room is nobody's yet. */
export class Leaving {
  readonly #pending = new Map<Promise<void>, Held>()
  readonly #failed: Held[] = []
  readonly #changed: () => void

  /** @param changed - is called when one has left */
  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** Whether one is on its way. */
  get isPending(): boolean {
    return this.#pending.size > 0
  }

  get tokens(): number {
    return this.#sum('tokens')
  }

  get cpuBytes(): number {
    return this.#sum('cpuBytes')
  }

  get gpuBytes(): number {
    return this.#sum('gpuBytes')
  }

  get bytes(): number {
    return this.cpuBytes + this.gpuBytes
  }

  /** What is on its way, in bytes: all but what was not dropped. */
  get pendingBytes(): number {
    return [...this.#pending.values()].reduce((sum, { cpuBytes, gpuBytes }) => sum + cpuBytes + gpuBytes, 0)
  }

  /** One has left once `done` is fulfilled. */
  wait(held: Held, done: PromiseLike<unknown>, failed: (error: unknown) => void): void {
    const left: Promise<void> = Promise.resolve(done).then(
      () => this.#end(left),
      (error: unknown) => {
        this.keep(held)
        this.#end(left)
        failed(error)
      },
    )
    this.#pending.set(left, held)
  }

  /** One was not dropped: its room does not come back. */
  keep(held: Held): void {
    this.#failed.push(held)
  }

  /** Resolves when none is on its way. */
  async settle(): Promise<void> {
    while (this.isPending) await Promise.all(this.#pending.keys())
  }

  #end(left: Promise<void>): void {
    this.#pending.delete(left)
    this.#changed()
  }

  #sum(what: keyof Held): number {
    return [...this.#pending.values(), ...this.#failed].reduce((sum, held) => sum + held[what], 0)
  }
}

/** Whether a callback answers later. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return check.isObject(value) && typeof (value as { then?: unknown }).then === 'function'
  } catch {
    return false
  }
}
