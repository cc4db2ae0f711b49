// Drops a million guards without releasing them. Needs --expose-gc.

import { setImmediate as turn } from 'node:timers/promises'
import { MemoryBudget, MiB, processMemory } from 'plimsoll'

const BATCH = 10_000
const BATCHES = 100
const EARLY = 10
const PATIENCE_TURNS = 1000

const budget = new MemoryBudget({ totalBytes: 2 ** 40 })

function dropBatch() {
  for (let i = 0; i < BATCH; i++) budget.allocate(4096, 'dropped')
}

/** Finalizers run on turns of the event loop after the collection. */
async function collect() {
  globalThis.gc()
  await turn()
}

const rssMiB = () => processMemory().rssBytes / MiB

const start = performance.now()
let earlyRssMiB = 0
for (let batch = 1; batch <= BATCHES; batch++) {
  dropBatch()
  await collect()
  if (batch === EARLY) earlyRssMiB = rssMiB()
}
for (let turns = 0; budget.allocatedBytes > 0 && turns < PATIENCE_TURNS; turns++) await collect()
const microsecondsPerGuard = ((performance.now() - start) * 1000) / (BATCH * BATCHES)

console.log(
  JSON.stringify({ balanceBytes: budget.allocatedBytes, earlyRssMiB, finalRssMiB: rssMiB(), microsecondsPerGuard }),
)
