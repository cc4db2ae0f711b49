import { subscribe } from 'node:diagnostics_channel'
import type { MemoryBudget, RefusalNotice } from '../index.js'
import type { Points } from './points.js'

type Code = RefusalNotice['error']['code']

/** How often a budget has refused, by the codes of its errors. */
interface Counted {
  readonly budget: MemoryBudget
  readonly counts: Map<Code, number>
}

/** One of each budget, as long as that lives. */
const counted = new WeakMap<MemoryBudget, Counted>()
const all = new Set<WeakRef<Counted>>()
let isTold = false

function count({ error, isOf }: RefusalNotice): void {
  for (const ref of all) {
    const { budget, counts } = ref.deref() ?? {}
    if (!budget || !counts) all.delete(ref)
    else if (isOf(budget)) counts.set(error.code, (counts.get(error.code) ?? 0) + 1)
  }
}

/** Counts from now on what that budget refuses. */
export function countRefusals(budget: MemoryBudget): void {
  if (counted.has(budget)) return
  if (!isTold) subscribe('plimsoll.refusal', (notice) => count(notice as RefusalNotice))
  isTold = true
  const of: Counted = {
    budget,
    counts: new Map([
      ['ERR_INSUFFICIENT_MEMORY', 0],
      ['ERR_NEVER_FITS', 0],
      ['ERR_TIMEOUT', 0],
      ['ERR_BUSY', 0],
    ]),
  }
  counted.set(budget, of)
  all.add(new WeakRef(of))
}

/** What was counted of a budget, if that is. */
export function addRefusals(points: Points, budget: MemoryBudget): void {
  for (const [code, times] of counted.get(budget)?.counts ?? [])
    points.add('plimsoll.refusals', times, { 'error.type': code })
}
