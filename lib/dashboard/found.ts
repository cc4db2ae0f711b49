import { processes, signals } from '../index.js'
import { shownText } from './bounded.js'
import type { DashboardState } from './state.js'

/** To look for processes takes longer than all else together, and they come and go slowly. */
const PROCESSES_MS = 5000

/** The kernel makes its averages anew every two seconds. */
const PRESSURE_MS = 2000

/** What is found of the machine beside the budget, and shown for a while. */
export class Found {
  readonly #pressure = new Kept(PRESSURE_MS, () => signals().pressure)
  readonly #processes = new Kept(PROCESSES_MS, () => shownProcesses())

  async now(): Promise<Pick<DashboardState, 'pressure' | 'processes'>> {
    const [pressure, processes] = await Promise.all([this.#pressure.get(), this.#processes.get()])
    return { ...(pressure && { pressure }), processes }
  }
}

const shownProcesses = async () =>
  (await processes({ loaded: true })).map((process) => ({ ...process, command: shownText(process.command) }))

/** What is read once in a while. What fails is read again. */
class Kept<T> {
  readonly #goodForMs: number
  readonly #read: () => T | Promise<T>
  #value: Promise<T> | undefined
  #untilMs = 0

  constructor(goodForMs: number, read: () => T | Promise<T>) {
    this.#goodForMs = goodForMs
    this.#read = read
  }

  get(): Promise<T> {
    const now = performance.now()
    if (this.#value && now < this.#untilMs) return this.#value
    const value = (async () => this.#read())()
    value.catch(() => {
      if (this.#value === value) this.#value = undefined
    })
    this.#value = value
    this.#untilMs = now + this.#goodForMs
    return value
  }
}
