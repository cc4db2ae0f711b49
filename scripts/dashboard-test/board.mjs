/** A manager that has something in every view of its dashboard. */

import { createRequire } from 'node:module'

const require = createRequire(new URL('../../package.json', import.meta.url))
const { MemoryManager, MiB, InsufficientMemoryError } = require('plimsoll')
const { serveDashboard } = require('plimsoll/dashboard')

export { MiB, serveDashboard }

/** A manager of its own for a test, with what ends it: `hold(MiB, label)` releases in the end, and `serve()` gives its dashboard. */
export function ownManager(t, options) {
  const manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 1024 * MiB, ...options })
  const ends = [() => manager.close()]
  t.after(async () => {
    for (const end of ends) await end()
  })
  const keep = (each) => {
    ends.unshift(() => each.release())
    return each
  }
  const serve = async (intervalMs = 1000) => {
    const dashboard = await serveDashboard({ manager, intervalMs })
    ends.unshift(() => dashboard.close())
    return dashboard
  }
  return { manager, keep, hold: (size, label) => keep(manager.budget.hold(size * MiB, label)), serve }
}

/** What is granted by label, in MiB. */
const LABELS = { weights: 400, 'kv cache': 120, 'draft model': 60, activations: 33, embeddings: 20 }

/** The manager, its dashboard, what is held by label, and what ends all of it. */
export async function board() {
  const manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 1024 * MiB })
  manager.monitor.start({ warnPercent: 60, criticalPercent: 95, refuseAtCritical: false })
  const dashboard = await serveDashboard({ manager })
  const held = new Map(
    Object.entries(LABELS).map(([label, size]) => [label, manager.budget.allocate(size * MiB, label)]),
  )
  const pool = await manager.pools.create({ device: 'host', slabBytes: 8 * MiB, label: 'scratch' })
  await pool.reserve(16 * MiB)
  for (const [label, size] of Object.entries({ queries: 1, keys: 3, values: 2, scores: 5 })) {
    held.set(label, pool.allocate(size * MiB, { label }))
  }
  // It keeps at once what is left.
  manager.acquire({ bytes: 700 * MiB, label: 'llama-3.2-3b' }, { ageMs: 0 }).catch(() => {})
  try {
    manager.budget.allocate(900 * MiB, 'qwen-2.5-7b')
  } catch (error) {
    if (!(error instanceof InsufficientMemoryError)) throw error
  }
  const close = async () => {
    for (const each of held.values()) each.release()
    await dashboard.close()
    await manager.close()
  }
  return { manager, dashboard, pool, held, close }
}
