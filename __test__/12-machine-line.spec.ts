import { boardPresets, InsufficientMemoryError, InvalidArgumentError, MemoryBudget, MiB, machineMemory } from 'plimsoll'
import { thrownBy } from './helpers/errors'

const { totalBytes, cgroup } = machineMemory()
const margin = (percent: number) => Math.floor(totalBytes * (1 - percent / 100))
const kinds = (budget: MemoryBudget) => budget.terms.map(({ kind }) => kind)
const term = (budget: MemoryBudget, kind: string) => budget.terms.find((candidate) => candidate.kind === kind)?.bytes

test('the machine has memory, and no more is available than there is', () => {
  expect(totalBytes).toBeGreaterThan(0)
  expect(machineMemory().availableBytes).toBeGreaterThan(0)
  expect(machineMemory().availableBytes).toBeLessThanOrEqual(totalBytes)
})

test('the line is the lowest of its terms, and the binding term is that one', () => {
  for (const board of ['auto', ...boardPresets.map(({ id }) => id)] as const) {
    for (const maxBytes of [undefined, 0, 1, 300 * MiB, totalBytes, Number.MAX_SAFE_INTEGER]) {
      const options = { board: board as never, isolated: true, ...(maxBytes === undefined ? {} : { maxBytes }) }
      const budget = MemoryBudget.forThisMachine(options)
      expect(budget.lineBytes).toBe(Math.min(...budget.terms.map(({ bytes }) => bytes)))
      expect(budget.bindingTerm.bytes).toBe(budget.lineBytes)
      expect(budget.terms).toContainEqual(budget.bindingTerm)
      expect(budget.terms.every(({ description }) => description.length > 0)).toBe(true)
    }
  }
})

test('without options: an eighth is kept for the system, 15 % are left alone, the cgroup counts if it is limited', () => {
  const budget = MemoryBudget.forThisMachine({ isolated: true })
  const reservedBytes = Math.min(Math.max(Math.floor(totalBytes / 8), 512 * MiB), Math.floor(totalBytes / 2))
  expect(budget).toMatchObject({ totalBytes, reservedBytes })
  expect(kinds(budget).sort()).toEqual(['reserve', 'safety-margin', ...(cgroup ? ['cgroup'] : [])].sort())
  expect(term(budget, 'reserve')).toBe(totalBytes - reservedBytes)
  expect(term(budget, 'safety-margin')).toBe(margin(15))
})

test('a board lends its reserve and bounds the line by its preset', () => {
  for (const { id, reservedBytes, usableBytes } of boardPresets) {
    const budget = MemoryBudget.forThisMachine({ board: id as never, isolated: true })
    expect(budget).toMatchObject({ totalBytes, reservedBytes })
    expect(term(budget, 'preset')).toBe(usableBytes)
    expect(term(budget, 'reserve')).toBe(Math.max(0, totalBytes - reservedBytes))
  }
})

test('board "auto" is the same as none', () => {
  const [auto, none] = [{ board: 'auto', isolated: true } as const, { isolated: true }].map(MemoryBudget.forThisMachine)
  expect(auto?.terms).toEqual(none?.terms)
})

test.each([0, 0.1, 15, 33.3, 50, 99.99])('a safety margin of %d %% is left alone', (safetyMarginPercent) => {
  const budget = MemoryBudget.forThisMachine({ safetyMarginPercent, isolated: true })
  expect(term(budget, 'safety-margin')).toBe(margin(safetyMarginPercent))
})

test.each([100, 100.1, -0.1, Number.NaN, Number.POSITIVE_INFINITY, '15', 15n, null])(
  '%p is no safety margin',
  (value) => {
    const make = () => MemoryBudget.forThisMachine({ safetyMarginPercent: value as number })
    expect(thrownBy(InvalidArgumentError, make).argument).toBe('safetyMarginPercent')
  },
)

test('maxBytes bounds the line, down to nothing', () => {
  const budget = MemoryBudget.forThisMachine({ maxBytes: 64 * MiB, isolated: true })
  expect(budget.bindingTerm).toMatchObject({ kind: 'maximum', bytes: 64 * MiB })
  const error = thrownBy(InsufficientMemoryError, () => budget.allocate(64 * MiB + 1, 'too much'))
  expect(error.bindingConstraint).toContain('maxBytes')
  const none = MemoryBudget.forThisMachine({ maxBytes: 0, isolated: true })
  expect(none).toMatchObject({ lineBytes: 0, availableBytes: 0, utilizationPercent: 0 })
  expect([none.canAllocate(0), none.canAllocate(1)]).toEqual([true, false])
})

describe('budgets of this machine', () => {
  const open = (options = {}) => MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 100 * MiB, ...options })

  test('share what is allocated, each under its own line', () => {
    const [wide, narrow] = [open(), open({ maxBytes: 40 * MiB })]
    using held = wide.allocate(60 * MiB, 'held')
    expect(narrow).toMatchObject({ allocatedBytes: 60 * MiB, availableBytes: 0, utilizationPercent: 150 })
    expect(narrow.allocations()).toMatchObject([{ label: 'held' }])
    expect(narrow.canAllocate(1)).toBe(false)
    thrownBy(InsufficientMemoryError, () => narrow.allocate(1, 'over the narrow line'))
    held.release()
    narrow.allocate(40 * MiB, 'fits').release()
  })

  test('count alone when isolated', () => {
    const [shared, apart, apartToo] = [open(), open({ isolated: true }), open({ isolated: true })]
    using _shared = shared.allocate(MiB, 'shared')
    using _apart = apart.allocate(2 * MiB, 'apart')
    expect([shared, apart, apartToo].map((budget) => budget.allocatedBytes)).toEqual([MiB, 2 * MiB, 0])
  })

  test('of another board count apart', () => {
    using _held = open().allocate(MiB, 'held')
    expect(open({ board: 'rk3588-16gb' }).allocatedBytes).toBe(0)
  })

  test('keep their count as long as one guard lives, even when no budget does', () => {
    const guard = open().allocate(5 * MiB, 'orphan')
    expect(open().allocatedBytes).toBe(5 * MiB)
    guard.release()
    expect(open().allocatedBytes).toBe(0)
  })
})
