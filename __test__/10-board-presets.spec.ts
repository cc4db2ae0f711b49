import { type BoardId, boardPresets, InvalidArgumentError, MemoryBudget, MiB } from 'plimsoll'
import { thrownBy } from './helpers/errors'

/** Every id of the type: the compiler misses one that is left out here, the test below one that has no preset. */
const ids: Record<BoardId, true> = {
  'orin-nano-4gb': true,
  'orin-nano-8gb': true,
  'orin-nx-8gb': true,
  'orin-nx-16gb': true,
  'agx-orin-32gb': true,
  'agx-orin-64gb': true,
  't4000-64gb': true,
  'agx-thor-128gb': true,
  'xavier-nx-8gb': true,
  'xavier-nx-16gb': true,
  'agx-xavier-16gb': true,
  'agx-xavier-32gb': true,
  'agx-xavier-64gb': true,
  'gb10-128gb': true,
  'rk3588-4gb': true,
  'rk3588-8gb': true,
  'rk3588-16gb': true,
  'rk3588-32gb': true,
}

test('there is a preset for every id of the type, and an id in the type for every preset', () => {
  expect(boardPresets.map(({ id }) => id)).toEqual(Object.keys(ids))
})

/** Board, total MiB, usable MiB. */
const published = [
  ['orin-nano-4gb', 4096, 3072],
  ['orin-nano-8gb', 8192, 6144],
  ['orin-nx-16gb', 16384, 14336],
  ['agx-orin-32gb', 32768, 28672],
  ['agx-orin-64gb', 65536, 57344],
] as const

test.each(published)('%s has %d MiB, of which %d MiB are usable', (id, totalMiB, usableMiB) => {
  const board = boardPresets.find((preset) => preset.id === id)
  expect(board).toMatchObject({ totalBytes: totalMiB * MiB, usableBytes: usableMiB * MiB, vendor: 'NVIDIA' })
  const budget = MemoryBudget.forBoard(id)
  expect(budget).toMatchObject({ totalBytes: totalMiB * MiB, usableBytes: usableMiB * MiB, lineBytes: usableMiB * MiB })
})

test('every board has the RAM of their name, and a reserve between an eighth and a quarter', () => {
  const sold = boardPresets.map(({ id, totalBytes }) => [id, totalBytes / MiB / 1024])
  expect(sold).toEqual(boardPresets.map(({ id }) => [id, Number(/-(\d+)gb$/.exec(id)?.[1])]))
  for (const { totalBytes, reservedBytes } of boardPresets) {
    expect(reservedBytes / totalBytes).toBeGreaterThanOrEqual(1 / 8)
    expect(reservedBytes / totalBytes).toBeLessThanOrEqual(1 / 4)
  }
})

test.each(boardPresets.map((board) => [board.id, board] as const))(
  'a budget for %s is just its numbers',
  (id, board) => {
    const budget = MemoryBudget.forBoard(id as never)
    const { totalBytes, reservedBytes, usableBytes } = board
    expect(usableBytes).toBe(totalBytes - reservedBytes)
    expect(budget).toMatchObject({
      totalBytes,
      reservedBytes,
      usableBytes,
      allocatedBytes: 0,
      availableBytes: usableBytes,
    })
    expect(budget.bindingTerm).toEqual({ kind: 'preset', bytes: usableBytes, description: expect.stringContaining(id) })
    expect(budget.terms).toContainEqual(budget.bindingTerm)
  },
)

test('two budgets for one board have nothing in common', () => {
  const [one, other] = [MemoryBudget.forBoard('rk3588-8gb'), MemoryBudget.forBoard('rk3588-8gb')]
  using _held = one.allocate(MiB, 'held')
  expect([one.allocatedBytes, other.allocatedBytes]).toEqual([MiB, 0])
})

test('the presets cannot be changed', () => {
  expect(Object.isFrozen(boardPresets)).toBe(true)
  expect(boardPresets.every((board) => Object.isFrozen(board))).toBe(true)
})

test.each(['auto', 'raspberry-pi', '', 'ORIN-NANO-8GB', 'orin-nano-8gb '])('%j is no board with a preset', (id) => {
  const error = thrownBy(InvalidArgumentError, () => MemoryBudget.forBoard(id as never))
  expect(error.argument).toBe('board')
  expect(error.expected).toContain('"orin-nano-8gb"')
})
