import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  GiB,
  InsufficientMemoryError,
  InvalidArgumentError,
  MemoryBudget,
  MiB,
  machineMemory,
  ReleasedError,
  signals,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { writeTree } from './helpers/tree'

const isolated = () => MemoryBudget.forThisMachine({ isolated: true })

/** What the figures of two readings may differ by on a machine that does other things too. */
const noise = 256 * MiB

test('it is what the machine has available, less what is mapped and the floor', () => {
  const { terms } = isolated().headroom({ floorBytes: 0 })
  const { totalBytes, availableBytes, cmaFreeBytes = 0, hugePagesBytes = 0, mappedFileBytes = 0 } = machineMemory()
  const capacityBytes = totalBytes - hugePagesBytes - cmaFreeBytes
  expect(terms[0]).toMatchObject({ kind: 'machine', floorBytes: 0, capacityBytes })
  expect(Math.abs((terms[0]?.roomBytes ?? 0) - (availableBytes - cmaFreeBytes - mappedFileBytes))).toBeLessThan(noise)
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
  // In a process of its own: one that has run other tests may give memory back meanwhile.
  const { value } = runChild<number[]>(`
    const budget = plimsoll.MemoryBudget.forThisMachine({ isolated: true })
    const held = budget.allocate(96 * MiB, 'weights')
    const memory = Buffer.alloc(64 * MiB, 1)
    const { pendingBytes } = budget.headroom()
    return [pendingBytes, memory.length, held.sizeBytes]`)
  expect(value).toEqual([expect.any(Number), 64 * MiB, 96 * MiB])
  expect(value[0]).toBeLessThan(64 * MiB)
})

test('a buffer of a pool is pending until it is filled, and taken once it has come back', () => {
  // In a process of its own: what another test's garbage releases would count as shrinking.
  const { value } = runChild<number[]>(`
    const budget = MemoryBudget.forThisMachine({ isolated: true })
    const pool = new StagingPool({ budget })
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

describe('on a board of 8 GB', () => {
  let root: string
  const meminfo = (availableMiB: number, more = '') =>
    `MemTotal: 7802880 kB\nMemAvailable: ${availableMiB * 1024} kB\nShmem: 10240 kB\nActive(file): 1048576 kB\n` +
    `Inactive(file): 3145728 kB\n${more}`
  const set = (availableMiB: number, more?: string) =>
    writeFileSync(join(root, 'proc/meminfo'), meminfo(availableMiB, more))
  const budget = (options = {}) => MemoryBudget.forThisMachine({ root, board: 'orin-nano-8gb', ...options })

  beforeEach(() => {
    root = writeTree(mkdtempSync(join(tmpdir(), 'plimsoll-headroom-')), { 'proc/meminfo': meminfo(1024) })
  })
  afterEach(() => rmSync(root, { recursive: true }))

  test('what is granted is what the machine can give, and not what the line leaves', () => {
    const nano = budget()
    expect(nano.lineAvailableBytes).toBeGreaterThan(5 * GiB)
    expect(nano.availableBytes).toBe(nano.headroom().bytes)
    expect(nano.availableBytes).toBe(768 * MiB)
    expect([nano.canAllocate(5 * GiB), nano.canAllocate(nano.availableBytes)]).toEqual([false, true])
    const refused = thrownBy(InsufficientMemoryError, () => nano.allocate(5 * GiB, 'weights'))
    expect(refused).toMatchObject({ requestedBytes: 5 * GiB, availableBytes: 768 * MiB, largestFreeBytes: 768 * MiB })
    expect(refused.bindingConstraint).toContain('1.00 GiB available without CMA')
    expect(refused.suggestion).toContain('another program')
    const held = nano.allocate(refused.availableBytes, 'weights')
    expect([nano.availableBytes, nano.canAllocate(1), nano.canAllocate(0)]).toEqual([0, false, true])
    held.release()
    expect(nano.availableBytes).toBe(768 * MiB)
  })

  test('with headroom: false, the line alone decides; so it does for presets and numbers', () => {
    const alone = budget({ headroom: false })
    expect(alone.availableBytes).toBe(alone.usableBytes)
    alone.allocate(5 * GiB, 'weights').release()
    expect(MemoryBudget.forBoard('agx-thor-128gb').canAllocate(100 * GiB)).toBe(true)
    expect(new MemoryBudget({ totalBytes: 2 ** 50 }).availableBytes).toBe(2 ** 50)
    const unfit = { headroom: 1 as unknown as boolean }
    expect(thrownBy(InvalidArgumentError, () => budget(unfit)).argument).toBe('headroom')
  })

  test('files that servers have mapped are not granted to another', () => {
    set(6000, `Mapped: ${(2058 * 1024).toString()} kB\n`)
    expect(machineMemory({ root }).mappedFileBytes).toBe(2048 * MiB)
    const nano = budget()
    expect(nano.availableBytes).toBe((6000 - 2048 - 256) * MiB)
    expect(nano.headroom().bindingTerm.description).toContain('2.00 GiB of files that are mapped')
    expect(nano.canAllocate(4000 * MiB)).toBe(false)
  })

  test('what a group has mapped is no cache that it could release', () => {
    const group = 'sys/fs/cgroup/a/memory'
    writeTree(root, {
      'proc/self/cgroup': '0::/a\n',
      'proc/self/mountinfo': '33 32 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
      [`${group}.max`]: `${512 * MiB}\n`,
      [`${group}.high`]: 'max\n',
      [`${group}.current`]: `${400 * MiB}\n`,
      [`${group}.stat`]: `inactive_file ${300 * MiB}\nfile_mapped ${260 * MiB}\nshmem ${20 * MiB}\n`,
    })
    expect(signals({ root }).cgroups?.[0]).toMatchObject({ mappedFileBytes: 240 * MiB })
    // 60 of the 300 MiB of cache are not mapped; the floor is 16.
    expect(budget().availableBytes).toBe((512 - 340 - 16) * MiB)
  })

  test('where the machine cannot be read any more, nothing is granted and the reason is told', () => {
    const nano = budget()
    writeFileSync(join(root, 'proc/meminfo'), 'nonsense\n')
    expect([nano.availableBytes, nano.canAllocate(1)]).toEqual([0, false])
    const refused = thrownBy(InsufficientMemoryError, () => nano.allocate(1, 'one byte'))
    expect(refused).toMatchObject({ availableBytes: 0, largestFreeBytes: 0 })
    expect(refused.message).toContain('proc/meminfo does not hold')
    expect(refused.suggestion).toContain('headroom: false')
    set(1024)
    nano.allocate(768 * MiB, 'it can be read again').release()
  })
})

test('budgets of one process promise no byte twice, isolated ones included', () => {
  const { value } = runChild<boolean[]>(`
    const [first, second] = [1, 2].map(() => MemoryBudget.forThisMachine({ isolated: true }))
    const most = Math.floor(first.availableBytes * 0.6)
    const held = first.allocate(most, 'promised')
    return [second.allocatedBytes === 0, second.canAllocate(most), second.headroom().pendingBytes > most / 2]`)
  expect(value).toEqual([true, false, true])
})
