// The tables that `crates/plimsoll/tests/cases.rs` goes through, too: both ways to a buffer give the same answers.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InsufficientMemoryError, KiB, MemoryBudget, MemoryPool, type PoolBuffer } from 'plimsoll'

interface Pool {
  slabKib?: number
  initialKib?: number
  maxKib?: number
  maxCachedKib?: number
  pageKib?: number
  dedicated?: boolean
  label?: string
}

type Before =
  | { do: 'allocate' | 'hold'; name: string; kib: number }
  | { do: 'release' | 'pin'; name: string }
  | { do: 'reserve'; kib: number }

interface GrowthCase {
  name: string
  pool: Pool
  budgetKib?: number
  before: Before[]
  request: { kib: number; label?: string; alignBytes?: number }
  /** What is done by whoever is asked for memory, and what is answered; nothing and no once there are no more. */
  reclaim?: { release?: string; close?: boolean; answer: boolean }[]
  expect: {
    /** `'granted'`, or the code of the error. */
    outcome: string
    heldKib: number
    /** How often others were asked for memory. */
    asked: number
    retries: number
    failed: number
    moved: number
    availableKib?: number
    largestFreeKib?: number
    label?: string
    /** The largest hole as the refusal has it. */
    hole?: string
  }
}

/** Each case begins with the same pool. */
interface Defragmentations {
  pool: Pool
  before: Before[]
  cases: DefragmentCase[]
}

interface DefragmentCase {
  name: string
  bounds: { maxKib?: number; maxMoves?: number; maxMs?: number; dryRun?: boolean }
  vetoed?: string[]
  pinned?: string[]
  report: {
    movedCount: number
    movedKib: number
    vetoedCount: number
    emptiedKib: number
    complete: boolean
    largestFreeKibAfter: number
  }
}

const table = (name: string): unknown =>
  JSON.parse(readFileSync(join(__dirname, '../crates/plimsoll/tests/cases', name), 'utf8'))
const growths = table('growth.json') as GrowthCase[]
const defragmentations = table('defragment.json') as Defragmentations

/** The same in bytes, as an option that is left out where it is. */
const inBytes = <Name extends string>(name: Name, kib: number | undefined) =>
  (kib === undefined ? {} : { [name]: kib * KiB }) as { [name in Name]?: number }

/** Waits for what was released to be back. */
const settled = (pool: MemoryPool) => pool.trim(Number.MAX_SAFE_INTEGER)

/** A pool, and what is held of it by name. */
async function benchOf({ slabKib, initialKib, maxKib, maxCachedKib, pageKib, ...pool }: Pool, budgetKib?: number) {
  const budget = budgetKib === undefined ? undefined : new MemoryBudget({ totalBytes: budgetKib * KiB })
  return {
    budget,
    pool: await MemoryPool.create({
      device: 'host',
      ...inBytes('slabBytes', slabKib),
      ...inBytes('initialBytes', initialKib),
      ...inBytes('maxBytes', maxKib),
      ...inBytes('maxCachedBytes', maxCachedKib),
      ...inBytes('pageBytes', pageKib),
      ...pool,
      ...(budget && { budget }),
    }),
    held: new Map<string, Disposable>(),
  }
}

type Bench = Awaited<ReturnType<typeof benchOf>>

function release({ held }: Bench, name: string): void {
  held.get(name)?.[Symbol.dispose]()
  expect(held.delete(name)).toBe(true)
}

async function prepare(bench: Bench, steps: Before[]): Promise<void> {
  const { pool, budget, held } = bench
  for (const step of steps) {
    if (step.do === 'allocate') held.set(step.name, await pool.allocateAsync(step.kib * KiB))
    else if (step.do === 'hold') held.set(step.name, budget?.allocate(step.kib * KiB, step.name) as Disposable)
    else if (step.do === 'reserve') await pool.reserve(step.kib * KiB)
    else if (step.do === 'pin') (held.get(step.name) as PoolBuffer).pin()
    else release(bench, step.name)
  }
  await settled(pool)
}

test.each(growths)('growth: $name', async ({ pool: options, budgetKib, before, ...row }) => {
  const { request, reclaim = [], expect: expected } = row
  const bench = await benchOf(options, budgetKib)
  const { pool } = bench
  await prepare(bench, before)
  const { retryCount, failedCount } = pool.stats()
  const asked: number[] = []
  pool.onReclaim(async (missingBytes) => {
    const { release: name, close = false, answer = false } = reclaim[asked.push(missingBytes) - 1] ?? {}
    if (name !== undefined) release(bench, name)
    if (close) await pool.close()
    else await settled(pool)
    return answer
  })
  const { kib, ...placing } = request
  const outcome = await pool
    .allocateAsync(kib * KiB, placing)
    .catch((error: unknown) => error as InsufficientMemoryError)
  expect('code' in outcome ? outcome.code : 'granted').toBe(expected.outcome)
  expect(asked).toEqual(Array.from({ length: expected.asked }, () => kib * KiB))
  // Where it was closed meanwhile, the request has not waited for its memory.
  if (pool.closed) await pool.close()
  const stats = pool.stats()
  expect({
    heldKib: stats.heldBytes / KiB,
    retries: stats.retryCount - retryCount,
    failed: stats.failedCount - failedCount,
    moved: stats.movedCount,
  }).toEqual({
    heldKib: expected.heldKib,
    retries: expected.retries,
    failed: expected.failed,
    moved: expected.moved,
  })
  if (outcome instanceof InsufficientMemoryError) {
    const { label, requestedBytes, availableBytes, largestFreeBytes, bindingConstraint } = outcome
    expect({
      label,
      requestedKib: requestedBytes / KiB,
      availableKib: availableBytes / KiB,
      largestFreeKib: largestFreeBytes / KiB,
      hole: bindingConstraint.split('; the largest hole in the pool is ')[1],
    }).toEqual({
      label: expected.label ?? options.label ?? 'memory pool',
      requestedKib: kib,
      availableKib: expected.availableKib,
      largestFreeKib: expected.largestFreeKib,
      hole: expected.hole,
    })
  }
  await pool.close()
})

test.each(defragmentations.cases)('defragmentation: $name', async ({ bounds, vetoed = [], pinned = [], report }) => {
  const bench = await benchOf(defragmentations.pool)
  const { pool, held } = bench
  const pins = pinned.map((name) => ({ do: 'pin', name }) as const)
  await prepare(bench, [...defragmentations.before, ...pins])
  const kept = vetoed.map((name) => (held.get(name) as PoolBuffer).id)
  const { largestFreeBytes } = pool.stats()
  const { maxKib, ...others } = bounds
  const done = await pool.defragment({
    ...inBytes('maxBytes', maxKib),
    ...others,
    ...(kept.length > 0 && { veto: ({ id }) => kept.includes(id) }),
  })
  const { movedBytes, emptiedBytes, largestFreeBytesBefore, largestFreeBytesAfter, ...counts } = done
  expect({
    ...counts,
    movedKib: movedBytes / KiB,
    emptiedKib: emptiedBytes / KiB,
    largestFreeKibAfter: Math.floor(largestFreeBytesAfter / KiB),
  }).toEqual(report)
  expect(largestFreeBytesBefore).toBe(largestFreeBytes)
  expect(pool.stats().movedCount).toBe(others.dryRun ? 0 : report.movedCount)
  await pool.close()
})
