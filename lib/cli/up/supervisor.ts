import { type MemoryManager, processes } from '../../index.js'
import { addressText } from './address.js'
import { Door } from './door.js'
import type { InstanceEvent } from './events.js'
import { type Host, Instance } from './instance.js'
import type { InstanceError } from './instance-error.js'
import { LastWill } from './last-will.js'
import type { Settings } from './settings.js'

/** Who is told of what happens. */
export interface Observer {
  readonly event: (event: InstanceEvent) => void
  readonly output: (id: string, line: string) => void
  /** Figures have changed. */
  readonly changed: () => void
}

/** How long between two measurements. */
const MEASURE_MS = 2000

/** Everything that runs of a plan. */
export class Supervisor {
  readonly instances: readonly Instance[]
  readonly #observer: Observer
  readonly #doors: Door[] = []
  readonly #lastWill: LastWill
  #stopping: Promise<void> | undefined
  #measuring: Promise<void> | undefined
  readonly #changes = new Set<() => void>()

  /** The instances are started in the order of the list. */
  constructor(settings: readonly Settings[], manager: MemoryManager, observer: Observer) {
    this.#observer = observer
    this.#lastWill = new LastWill(Math.max(...settings.map(({ stopTimeoutMs }) => stopTimeoutMs)))
    const host: Host = {
      manager,
      tell: (event) => {
        observer.event(event)
        for (const changed of this.#changes) changed()
      },
      output: observer.output,
      measure: () => this.#measure(),
      lastWill: this.#lastWill,
    }
    this.instances = settings.map((each) => new Instance(each, host))
  }

  /** Runs all of it until it is stopped, or nothing of it can run any more. */
  async run(): Promise<void> {
    const timer = setInterval(() => void this.#measure(), MEASURE_MS)
    try {
      await this.#open()
      for (const instance of this.instances) {
        if (this.#stopping) break
        if (instance.settings.listen === undefined) await instance.start()
      }
      while (!this.#stopping && this.instances.some(({ isAlive }) => isAlive)) {
        await new Promise<void>((resolve) => this.#changes.add(resolve))
        this.#changes.clear()
      }
      await this.stop()
    } finally {
      clearInterval(timer)
      this.#lastWill[Symbol.dispose]()
      await this.#measuring
    }
  }

  /** Stops all of it: no more connections, SIGTERM to every instance, SIGKILL to those that do not end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    for (const changed of this.#changes) changed()
    return this.#stopping
  }

  /** Ends every instance at once. */
  kill(): void {
    for (const instance of this.instances) instance.kill()
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined
  }

  async #stop(): Promise<void> {
    for (const door of this.#doors) door.close()
    await Promise.all(this.instances.map((instance) => instance.close()))
    for (const door of this.#doors) door.endConnections()
  }

  async #open(): Promise<void> {
    for (const instance of this.instances) {
      const { id, listen } = instance.settings
      if (listen === undefined || this.#stopping) continue
      try {
        this.#doors.push(await Door.open(instance, listen))
        const message = `is started at the first connection to ${addressText(listen)}`
        this.#observer.event({ instance: id, event: 'listening', message })
      } catch (error) {
        instance.fail(error as InstanceError)
      }
    }
    // It was stopped while the last one was opened.
    if (this.#stopping) for (const door of this.#doors) door.close()
  }

  /** What each instance has resident, with all that it has started; one measurement at a time. */
  #measure(): Promise<void> {
    this.#measuring ??= this.#measured()
      .catch(() => {}) // Where /proc is not there, nothing is known of it.
      .finally(() => {
        this.#measuring = undefined
      })
    return this.#measuring
  }

  async #measured(): Promise<void> {
    if (this.instances.every(({ pid }) => pid === undefined)) return
    const all = await processes()
    const resident = new Map(all.map(({ pid, rssBytes }) => [pid, rssBytes]))
    const children = new Map<number | undefined, number[]>()
    for (const { pid, parentPid } of all) {
      const siblings = children.get(parentPid)
      if (siblings) siblings.push(pid)
      else children.set(parentPid, [pid])
    }
    for (const instance of this.instances) {
      const { pid } = instance
      if (pid === undefined) continue
      const tree = new Set([pid])
      for (const each of tree) for (const child of children.get(each) ?? []) tree.add(child)
      instance.measured([...tree].reduce((sum, each) => sum + (resident.get(each) ?? 0), 0))
    }
    this.#observer.changed()
  }
}
