import * as native from '../addon/native.js'
import { formatBytes } from '../addon/units.js'
import type { Allocation } from '../budget/allocation.js'
import type { MemoryBudget } from '../budget/budget.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted, released } from '../support/errors.js'
import { expectInternal, type internal } from '../support/internal.js'
import { shows } from '../support/shown.js'
import { readRun, sizeOfFile } from './load-check.js'
import { tableLines } from './page.js'
import type { PlanRun } from './types.js'

/** An instance that was allocated. */
export interface AllocatedInstance {
  /** Its name. */
  id: string
  /** Its model file, if it has one. */
  model?: string
  /** Its limit, in bytes, if it has one. */
  limitBytes?: number
  /** How it was found what its model takes. */
  formula: 'estimate' | 'rule-of-thumb' | 'limit-only'
  /** What it holds of the budget, in bytes: the larger of its limit and of what its model takes. */
  requiredBytes: number
}

interface Held extends AllocatedInstance {
  allocation: Allocation
}

/**
 * The instances that a manager has allocated, by name. Its `toString()` is a report for people.
 *
 * @example
 * manager.allocateInstance('chat', { limitBytes: 512 * MiB })
 * console.log(manager.instances.size) // 1
 * for (const { id, requiredBytes } of manager.instances) console.log(id, formatBytes(requiredBytes)) // chat 512.00 MiB
 * manager.deallocateInstance('chat')
 */
export class Instances implements Iterable<AllocatedInstance> {
  readonly #budget: MemoryBudget
  readonly #held = new Map<string, Held>()
  #closed = false

  /** @internal */
  constructor(token: typeof internal, budget: MemoryBudget) {
    expectInternal(token, 'Instances', 'a MemoryManager')
    this.#budget = budget
  }

  /** How many there are. */
  get size(): number {
    return this.#live().length
  }

  /**
   * Takes what an instance requires off the budget, before it is made. It is refused, too, where there is no room for what its model
   * takes while it is loaded. The guard is held until {@link deallocate}, or the end of the manager.
   *
   * @throws {@link InsufficientMemoryError} when there is not that much.
   * @throws {@link InvalidArgumentError} for a name that a live instance has, without a model and a limit, and for an unfit request.
   * @throws {@link IoError}, {@link InvalidGgufError} and {@link InvalidModelError} for a model that is not there or none.
   * @throws {@link ReleasedError} after the manager was closed.
   */
  allocate(id: string, request: PlanRun): Allocation {
    // First: a getter of it may close the manager, or take the name.
    const run = readRun(request, 'request')
    if (this.#closed) throw released('the memory manager')
    if (check.string('id', id) === '' || this.#find(id)) {
      throw invalidArgument('id', 'a name that no live instance has', quoted(id))
    }
    const { model, limitBytes } = run
    if (model === undefined && limitBytes === undefined) {
      throw invalidArgument('request', 'an object with a model or limitBytes', 'neither')
    }
    const sized = model === undefined ? undefined : sizeOfFile(model, run)
    const counted = sized?.native ?? check.own({ limitBytes: limitBytes as number })
    const { requiredBytes, peakBytes } = native.requiredOf(check.own({ id, ...counted }))
    const label = `instance ${id}`
    // Refuses with the numbers of the load; what is held is what it requires afterwards.
    if (!this.#budget.canAllocate(peakBytes)) this.#budget.allocate(peakBytes, label).release()
    const allocation = this.#budget.hold(requiredBytes, label)
    this.#held.set(id, {
      id,
      ...(model !== undefined && { model }),
      ...(limitBytes !== undefined && { limitBytes }),
      formula: sized === undefined ? 'limit-only' : sized.estimate ? 'estimate' : 'rule-of-thumb',
      requiredBytes,
      allocation,
    })
    return allocation
  }

  /** Releases what an instance holds. Returns whether there was one of that name. */
  deallocate(id: string): boolean {
    const held = this.#find(check.string('id', id))
    this.#held.delete(id)
    held?.allocation.release()
    return held !== undefined
  }

  /** Releases all of them, and takes no more. */
  close(): void {
    this.#closed = true
    for (const id of [...this.#held.keys()]) this.deallocate(id)
  }

  /** What each of them holds, in the order of allocation. */
  *[Symbol.iterator](): Iterator<AllocatedInstance> {
    for (const { allocation, ...instance } of this.#live()) yield instance
  }

  /** The allocations for people. */
  toString(): string {
    const { allocatedBytes, lineBytes } = this.#budget
    const rows = [...this].map(({ id, model = '', limitBytes, formula, requiredBytes }) => [
      id,
      limitBytes === undefined ? 'none' : formatBytes(limitBytes),
      formula,
      formatBytes(requiredBytes),
      model,
    ])
    return [
      `Instances: ${rows.length}, with all else ${formatBytes(allocatedBytes)} of ${formatBytes(lineBytes)}`,
      ...tableLines(['instance', 'limit', 'by', 'required', 'model'], rows),
    ].join('\n')
  }

  /** One whose guard was not released by somebody else. */
  #find(id: string): Held | undefined {
    const held = this.#held.get(id)
    if (!held?.allocation.released) return held
    this.#held.delete(id)
    return undefined
  }

  #live(): Held[] {
    return [...this.#held.values()].filter(({ allocation }) => !allocation.released)
  }
}

shows(Instances, (instances) => ({ instances: [...instances] }))
