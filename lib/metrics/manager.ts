import type { MemoryBudget, MemoryManager } from '../index.js'
import type { PoolCounts } from '../pool/pools.js'
import type { Points } from './points.js'

/** The line of a budget, what is granted under it, what could be, and what was refused. */
export function addBudget(points: Points, budget: MemoryBudget, availableBytes: number, maxLabels: number): void {
  points.add('plimsoll.budget.line', budget.lineBytes)
  for (const { kind, bytes } of budget.terms) points.add('plimsoll.budget.term', bytes, { 'plimsoll.bound': kind })
  points.add('plimsoll.budget.allocated', budget.allocatedBytes)
  points.add('plimsoll.budget.available', availableBytes)
  points.add('plimsoll.budget.peak', budget.peakBytes)
  for (const [label, bytes] of byLabel(budget, maxLabels).labels) {
    points.add('plimsoll.budget.label', bytes, { 'plimsoll.label': label })
  }
  for (const { code, count } of budget.refusedRequests().counts) {
    points.add('plimsoll.refusals', count, { 'error.type': code })
  }
}

/** What is granted by label, the most first, and how many labels there are in all. */
interface Labels {
  labels: [label: string, bytes: number][]
  labelCount: number
}

/** @internal Those of a budget; labels come from requests, and what shows them must not grow with them. */
export function byLabel(budget: MemoryBudget, maxLabels: number): Labels {
  const held = new Map<string, number>()
  for (const { label, sizeBytes } of budget.allocations()) held.set(label, (held.get(label) ?? 0) + sizeBytes)
  const sorted = [...held].sort(([, a], [, b]) => b - a)
  const labels = sorted.slice(0, maxLabels)
  if (sorted.length > maxLabels)
    labels.push(['(other)', sorted.slice(maxLabels).reduce((sum, [, bytes]) => sum + bytes, 0)])
  return { labels, labelCount: sorted.length }
}

const levels = { normal: 0, warning: 1, critical: 2 } as const

/** What a manager has beside its budget. One that was closed has only that. */
export function addManager(points: Points, manager: MemoryManager): void {
  if (manager.closed) return
  // Without a monitor that runs, nobody has looked.
  if (manager.monitor.running) points.add('plimsoll.level', levels[manager.monitor.level])
  addQueue(points, manager)
  addPools(points, manager)
  addGpus(points, manager)
  for (const family of ['npu', 'gpu', 'system'] as const) {
    const { usedBytes, count } = manager[family].stats()
    points.add('plimsoll.buffers.used', usedBytes, { 'plimsoll.family': family })
    points.add('plimsoll.buffers.live', count, { 'plimsoll.family': family })
  }
  const { heldBytes, inUseBytes } = manager.staging.stats()
  points.add('plimsoll.staging.held', heldBytes)
  points.add('plimsoll.staging.used', inUseBytes)
}

function addQueue(points: Points, { admission }: MemoryManager): void {
  const waiting = admission.waiting()
  points.add('plimsoll.queue.waiting', waiting.length)
  points.add(
    'plimsoll.queue.wanted',
    waiting.reduce((sum, { bytes }) => sum + bytes, 0),
  )
  points.add('plimsoll.queue.oldest', waiting.reduce((most, { sinceMs }) => Math.max(most, sinceMs), 0) / 1000)
}

function addPools(points: Points, { pools }: MemoryManager): void {
  for (const pool of pools) {
    const stats = pool.stats()
    const counts = { ...stats, label: pool.label, device: pool.device.name }
    const of = poolOf(counts)
    points.add('plimsoll.pool.held', stats.heldBytes, of)
    points.add('plimsoll.pool.used', stats.usedBytes, of)
    points.add('plimsoll.pool.requested', stats.requestedBytes, of)
    points.add('plimsoll.pool.hole', stats.largestFreeBytes, of)
    points.add('plimsoll.pool.slabs', stats.slabCount, of)
    points.add('plimsoll.pool.buffers', stats.bufferCount, of)
    addCounts(points, counts)
  }
  for (const counts of pools.ofClosed()) addCounts(points, counts)
}

const poolOf = ({ label, device }: PoolCounts) => ({ 'plimsoll.pool': label, 'plimsoll.device': device })

/** What a pool has done stays when it is closed. */
function addCounts(points: Points, counts: PoolCounts): void {
  const of = poolOf(counts)
  points.add('plimsoll.pool.allocations', counts.allocatedCount, of)
  points.add('plimsoll.pool.failures', counts.failedCount, of)
  points.add('plimsoll.pool.moved', counts.movedBytes, of)
}

/** The GPUs that a manager has used, each once, whichever kind of its memory that was. */
function addGpus(points: Points, { gpu }: MemoryManager): void {
  const seen = new Set<string>()
  for (const [name, { usage }] of Object.entries(gpu.stats().devices)) {
    const { totalBytes, freeBytes } = usage
    if (totalBytes === undefined || freeBytes === undefined) continue
    const [id = '0'] = /\d+/.exec(name) ?? []
    if (seen.has(id)) continue
    seen.add(id)
    const attributes = { 'hw.id': id, 'hw.name': name }
    points.add('hw.gpu.memory.limit', totalBytes, attributes)
    points.add('hw.gpu.memory.usage', totalBytes - freeBytes, attributes)
  }
}
