import { DeviceUnavailableError, gpuProcesses, machineMemory, processes, signals } from '../index.js'
import { Latest } from '../support/latest.js'
import { measured } from '../support/measured.js'
import { shownText } from './bounded.js'
import type { DashboardProcess, DashboardState } from './state.js'

/** To look for processes takes longer than all else together, and they come and go slowly. */
const PROCESSES_MS = 10_000

/** Of the processes that do not have this package loaded, those are shown that hold this share of the memory. */
const LARGE = 0.01

/** Processes that are shown at most. */
const MAX_PROCESSES = 50

/** The kernel makes its averages anew every two seconds. */
const PRESSURE_MS = 2000

/** How long the figures of the budget wait for what is found beside it. */
const PATIENCE_MS = 500

/** What is found of the machine beside the budget, and shown for a while. */
export class Found {
  readonly #pressure = new Kept(PRESSURE_MS, () => signals().pressure)
  readonly #processes = new Kept(PROCESSES_MS, () => this.#holders())
  #reportsGpus = true

  async now(): Promise<Pick<DashboardState, 'pressure' | 'processes'>> {
    const [pressure, processes = []] = await Promise.all([this.#pressure.get(), this.#processes.get()])
    return { ...(pressure && { pressure }), processes }
  }

  /** Who has this package loaded, and who else holds much of the machine or something of its GPUs; the largest first. */
  async #holders(): Promise<DashboardProcess[]> {
    const [all, loaded, ofGpus] = await Promise.all([processes(), processes({ loaded: true }), this.#ofGpus()])
    const pids = new Set(loaded.map(({ pid }) => pid))
    const largeBytes = (measured(() => machineMemory())?.totalBytes ?? Number.POSITIVE_INFINITY) * LARGE
    return all
      .filter(({ pid, rssBytes }) => pids.has(pid) || rssBytes >= largeBytes || ofGpus.has(pid))
      .slice(0, MAX_PROCESSES)
      .map((process) => {
        const [isLoaded, gpuBytes] = [pids.has(process.pid), ofGpus.get(process.pid)]
        const command = shownText(process.command)
        return { ...process, command, isLoaded, ...(gpuBytes !== undefined && { gpuBytes }) }
      })
  }

  /** What each process holds of GPUs, where that is told. A machine that does not tell is not asked again: it looks for libraries. */
  async #ofGpus(): Promise<Map<number, number | undefined>> {
    const held = new Map<number, number | undefined>()
    if (!this.#reportsGpus) return held
    try {
      for (const { pid, bytes } of await gpuProcesses()) {
        const before = held.get(pid)
        held.set(pid, bytes === undefined ? before : (before ?? 0) + bytes)
      }
    } catch (error) {
      if (!(error instanceof DeviceUnavailableError)) throw error
      this.#reportsGpus = false
    }
    return held
  }
}

/** What is read once in a while. What fails is read again; while a reading takes long, what was read last is known. */
class Kept<T> {
  readonly #latest: Latest<void>
  #value: T | undefined
  #untilMs = 0

  constructor(goodForMs: number, read: () => T | Promise<T>) {
    this.#latest = new Latest(PATIENCE_MS, async () => {
      this.#value = await read()
      this.#untilMs = performance.now() + goodForMs
    })
  }

  async get(): Promise<T | undefined> {
    if (performance.now() >= this.#untilMs) await this.#latest.get()
    return this.#value
  }
}
