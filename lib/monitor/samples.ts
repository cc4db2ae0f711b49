import type { MonitorSample } from '../../binding.js'

/** Samples that wait for a slow iteration at most; older ones are dropped, since the newest tells the state. */
const MAX_WAITING = 16

/** What an iteration takes its samples from. */
export interface SampleSource {
  /** Begins to pass samples on; returns what ends that. */
  readonly begin: (take: (sample: MonitorSample) => void, end: () => void) => () => void
}

/**
 * Iterations that wait for a sample. Somebody waits for what a monitor has to tell, so it stays, with what it watches,
 * though nothing else may refer to it.
 */
const waitedFor = new Set<Samples>()

type Next = IteratorResult<MonitorSample, undefined>

const done: Next = { done: true, value: undefined }

/** An iteration over the samples to come. What it is asked for settles as soon as it, or its monitor, ends. */
export class Samples implements AsyncGenerator<MonitorSample, undefined, undefined> {
  #source: SampleSource | undefined
  #stop: (() => void) | undefined
  #ended = false
  readonly #samples: MonitorSample[] = []
  readonly #asked: ((next: Next) => void)[] = []

  constructor(source: SampleSource) {
    this.#source = source
  }

  async next(): Promise<Next> {
    // Begun when it is first asked, as any generator.
    if (this.#source && !this.#ended) this.#begin(this.#source)
    const value = this.#samples.shift()
    if (value) return { done: false, value }
    if (this.#ended) return done
    return new Promise((resolve) => {
      this.#asked.push(resolve)
      waitedFor.add(this)
    })
  }

  #begin({ begin }: SampleSource): void {
    this.#source = undefined
    try {
      this.#stop = begin(
        (sample) => this.#take(sample),
        () => this.#end(),
      )
    } catch (error) {
      this.#ended = true
      throw error
    }
  }

  async return(): Promise<Next> {
    this.#end()
    this.#samples.length = 0
    return done
  }

  async throw(error: unknown): Promise<Next> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #take(sample: MonitorSample): void {
    const next = this.#asked.shift()
    if (this.#asked.length === 0) waitedFor.delete(this)
    if (next) next({ done: false, value: sample })
    else this.#samples.push(sample)
    if (this.#samples.length > MAX_WAITING) this.#samples.shift()
  }

  #end(): void {
    this.#ended = true
    this.#stop?.()
    this.#stop = undefined
    waitedFor.delete(this)
    for (const next of this.#asked.splice(0)) next(done)
  }
}
