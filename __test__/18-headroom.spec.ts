import { InvalidArgumentError, MemoryBudget, MiB, machineMemory, ReleasedError } from '../index'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'

const isolated = () => MemoryBudget.forThisMachine({ isolated: true })

/** What the figures of two readings may differ by on a machine that does other things too. */
const noise = 256 * MiB

test('it is what the machine has available, less the floor', () => {
  const { terms } = isolated().headroom({ floorBytes: 0 })
  const { totalBytes, availableBytes, cmaFreeBytes = 0, hugePagesBytes = 0 } = machineMemory()
  const capacityBytes = totalBytes - hugePagesBytes - cmaFreeBytes
  expect(terms[0]).toMatchObject({ kind: 'machine', floorBytes: 0, capacityBytes })
  expect(Math.abs((terms[0]?.roomBytes ?? 0) - (availableBytes - cmaFreeBytes))).toBeLessThan(noise)
})

test('the floor is 3 % of the machine by default, at least 256 MiB', () => {
  const { totalBytes, hugePagesBytes = 0 } = machineMemory()
  const { terms } = isolated().headroom()
  expect(terms[0]?.floorBytes).toBe(Math.max(256 * MiB, Math.floor((totalBytes - hugePagesBytes) / 100) * 3))
})

test('the binding term is the one with the least room, and one allocation is never larger than all', () => {
  const { bindingTerm, terms, bytes, largestAllocationBytes } = isolated().headroom()
  expect(bindingTerm.roomBytes).toBe(Math.min(...terms.map(({ roomBytes }) => roomBytes)))
  expect(largestAllocationBytes).toBeLessThanOrEqual(bytes)
})

test('what was granted and not yet taken is pending, until its holder says that it took it', () => {
  const budget = isolated()
  using held = budget.allocate(512 * MiB, 'weights')
  const { pendingBytes, bytes, bindingTerm } = budget.headroom()
  // The process may have grown by a little since the grant.
  expect(pendingBytes).toBeGreaterThan(448 * MiB)
  expect(pendingBytes).toBeLessThanOrEqual(512 * MiB)
  expect(bytes).toBe(Math.max(0, bindingTerm.roomBytes - pendingBytes))
  expect(held.commit(112 * MiB)).toBe(held)
  expect(budget.headroom().pendingBytes).toBe(400 * MiB)
  held.commit(12 * MiB)
  expect(budget.headroom().pendingBytes).toBe(400 * MiB)
  held.commit()
  expect(budget.headroom().pendingBytes).toBe(0)
})

test('a holder that says nothing is credited with what the process grew by', () => {
  const budget = isolated()
  using _held = budget.allocate(96 * MiB, 'weights')
  const memory = Buffer.alloc(64 * MiB, 1)
  const { pendingBytes } = budget.headroom()
  expect(memory.length).toBe(64 * MiB)
  expect(pendingBytes).toBeLessThan(64 * MiB)
})

test('a buffer of a pool is pending until it is filled, and taken once it has come back', () => {
  // In a process of its own: what another test's garbage gives back would count as shrinking.
  const { value } = runChild<number[]>(`
    const budget = MemoryBudget.forThisMachine({ isolated: true })
    const pool = new BufferPool({ budget })
    const pendingMiB = () => budget.headroom().pendingBytes / MiB
    const buffer = pool.get(64 * MiB)
    const seen = [pendingMiB()]
    buffer.data.fill(1)
    seen.push(pendingMiB())
    buffer.release()
    await settle(() => pool.stats().inUseCount === 0)
    return [...seen, pendingMiB()]`)
  const [granted, filled, returned] = value
  expect(granted).toBeGreaterThan(48)
  expect(filled).toBeLessThan(16)
  expect(returned).toBe(0)
})

test('an unfit commit is refused and changes nothing', () => {
  const budget = isolated()
  const held = budget.allocate(1000, 'x')
  held.commit(10)
  for (const bytes of [-1, 1001, 0.5, Number.NaN, '10' as unknown as number]) {
    expect(thrownBy(InvalidArgumentError, () => held.commit(bytes)).argument).toBe('bytes')
  }
  expect(budget.headroom().pendingBytes).toBe(990)
  held.release()
  thrownBy(ReleasedError, () => held.commit())
  expect(thrownBy(InvalidArgumentError, () => budget.headroom({ floorBytes: -1 })).argument).toBe('floorBytes')
})
