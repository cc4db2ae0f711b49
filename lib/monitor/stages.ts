import type { MemoryBudget } from '../budget/budget.js'
import { machineMemory, processMemory } from '../system/system.js'

/** The memory at a stage of a program, and what was added since the stage before. */
export interface Stage {
  /** What the stage is called. */
  label: string
  /** When it was marked, in milliseconds since 1970. */
  timeMs: number
  /** What the process had resident, in bytes. */
  rssBytes: number
  /** What programs could take of the machine's memory, in bytes. */
  availableBytes: number
  /** What was allocated under the budget, in bytes. */
  allocatedBytes: number
  /** What was allocated under which label, in bytes, most first. */
  components: Component[]
  /** What was added since the stage before, in bytes; negative where something was released. */
  added: { rssBytes: number; usedBytes: number; allocatedBytes: number }
}

/** What is allocated under one label. */
export interface Component {
  /** The label. */
  label: string
  /** The sum of its allocations, in bytes. */
  bytes: number
  /** What was added since the stage before, in bytes. */
  addedBytes: number
}

/** A program has a handful of stages; one that marks every request must not fill the memory that it watches. */
const MOST_STAGES = 1000

/** The stages of one budget's life. */
export class Stages {
  readonly #budget: MemoryBudget
  readonly #stages: Stage[] = []

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  mark(label: string): Stage {
    const before = this.#stages.at(-1)
    const { rssBytes } = processMemory()
    const { availableBytes } = machineMemory()
    const { allocatedBytes } = this.#budget
    const stage: Stage = {
      label,
      timeMs: Date.now(),
      rssBytes,
      availableBytes,
      allocatedBytes,
      components: componentsOf(this.#budget, before),
      added: {
        rssBytes: rssBytes - (before?.rssBytes ?? rssBytes),
        usedBytes: (before?.availableBytes ?? availableBytes) - availableBytes,
        allocatedBytes: allocatedBytes - (before?.allocatedBytes ?? allocatedBytes),
      },
    }
    this.#stages.push(stage)
    if (this.#stages.length > MOST_STAGES) this.#stages.shift()
    return stage
  }

  list(): Stage[] {
    return [...this.#stages]
  }
}

/** What is allocated under each label, and labels that were allocated before and are no longer. */
function componentsOf(budget: MemoryBudget, before: Stage | undefined): Component[] {
  const bytesOf = new Map((before?.components ?? []).filter(({ bytes }) => bytes > 0).map(({ label }) => [label, 0]))
  for (const { label, sizeBytes } of budget.allocations()) bytesOf.set(label, (bytesOf.get(label) ?? 0) + sizeBytes)
  const wasBytes = new Map(before?.components.map(({ label, bytes }) => [label, bytes]))
  const added = (label: string, bytes: number) => (before ? bytes - (wasBytes.get(label) ?? 0) : 0)
  return [...bytesOf]
    .map(([label, bytes]) => ({ label, bytes, addedBytes: added(label, bytes) }))
    .sort((a, b) => b.bytes - a.bytes)
}
