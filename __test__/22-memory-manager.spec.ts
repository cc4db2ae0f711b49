import { setImmediate as turn } from 'node:timers/promises'
import {
  boardPresets,
  InsufficientMemoryError,
  InvalidArgumentError,
  MemoryBudget,
  MemoryManager,
  MiB,
  ReleasedError,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'

test('it has the line of this machine, drawn by its options', async () => {
  const options = { board: 'orin-nano-8gb', safetyMarginPercent: 20, maxBytes: 100 * MiB, isolated: true } as const
  await using manager = new MemoryManager({ ...options, maxHeldBytes: MiB })
  expect(manager.budget).toBeInstanceOf(MemoryBudget)
  expect(manager.budget.terms).toEqual(MemoryBudget.forThisMachine(options).terms)
  expect(manager.budget.lineBytes).toBe(100 * MiB)
})

test('it names its board, if one was named', async () => {
  await using named = new MemoryManager({ board: 'agx-orin-64gb' })
  expect(named.board).toBe(boardPresets.find(({ id }) => id === 'agx-orin-64gb'))
  await using auto = new MemoryManager({ board: 'auto' })
  await using none = new MemoryManager()
  expect([auto.board, none.board]).toEqual([undefined, undefined])
})

test.each([
  ['board', 'orin-nano-9gb'],
  ['board', 8],
  ['safetyMarginPercent', 100],
  ['maxBytes', -1],
  ['maxBytes', '1GiB'],
  ['isolated', 'yes'],
  ['maxHeldBytes', 0.5],
])('an unfit %s, here %p, is refused by name', (option, value) => {
  const error = thrownBy(InvalidArgumentError, () => new MemoryManager({ [option]: value }))
  expect(error.argument).toBe(option)
})

test('managers share one count unless they are isolated', async () => {
  const options = { board: 'rk3588-8gb', maxBytes: 100 * MiB } as const
  await using one = new MemoryManager(options)
  await using other = new MemoryManager(options)
  await using apart = new MemoryManager({ ...options, isolated: true })
  using _held = one.budget.allocate(60 * MiB, 'held')
  expect([other, apart].map(({ budget }) => budget.availableBytes)).toEqual([40 * MiB, 100 * MiB])
  thrownBy(InsufficientMemoryError, () => other.budget.allocate(41 * MiB, 'too much'))
})

test('its pool counts against its budget and holds what maxHeldBytes allows', async () => {
  await using manager = new MemoryManager({ maxBytes: 16 * MiB, maxHeldBytes: MiB, isolated: true })
  const { budget, staging } = manager
  const buffers = [staging.get(MiB), staging.get(MiB)]
  expect(budget.allocatedBytes).toBe(2 * MiB)
  thrownBy(InsufficientMemoryError, () => staging.get(15 * MiB))
  for (const buffer of buffers) buffer.release()
  while (staging.stats().inUseCount > 0) await turn()
  expect([staging.stats().heldBytes, budget.allocatedBytes]).toEqual([MiB, MiB])
})

test('a line of nothing refuses everything but nothing', async () => {
  await using manager = new MemoryManager({ maxBytes: 0, isolated: true })
  manager.budget.allocate(0, 'nothing').release()
  thrownBy(InsufficientMemoryError, () => manager.budget.allocate(1, 'something'))
  thrownBy(InsufficientMemoryError, () => manager.staging.get(1))
})

describe('close', () => {
  test('is idempotent, also while a first call is under way', async () => {
    const manager = new MemoryManager({ isolated: true })
    expect(manager.closed).toBe(false)
    const closing = [manager.close(), manager.close()]
    expect(manager.closed).toBe(true)
    await expect(Promise.all(closing)).resolves.toEqual([undefined, undefined])
    await manager.close()
    await manager[Symbol.asyncDispose]()
  })

  test('ends open() and the pool, with what was released', async () => {
    const manager = new MemoryManager({ isolated: true })
    await manager.close()
    expect(thrownBy(ReleasedError, () => manager.open('model.gguf')).what).toBe('the memory manager')
    expect(thrownBy(ReleasedError, () => manager.staging.get(1)).what).toBe('the staging pool')
  })

  test('releases the idle memory of the pool, and leaves allocations to their holders', async () => {
    const manager = new MemoryManager({ isolated: true })
    const { budget, staging } = manager
    using guard = budget.allocate(MiB, 'guard')
    staging.get(64 * 1024).release()
    while (staging.stats().inUseCount > 0) await turn()
    await manager.close()
    expect([staging.stats().heldBytes, budget.allocatedBytes, guard.released]).toEqual([0, MiB, false])
    budget.allocate(1, 'after').release()
  })

  test('happens at the end of an `await using` block', async () => {
    let outside: MemoryManager
    {
      await using manager = new MemoryManager({ isolated: true })
      outside = manager
      expect(outside.closed).toBe(false)
    }
    expect(outside.closed).toBe(true)
  })
})

test('it reports the memory of the process', async () => {
  await using manager = new MemoryManager({ isolated: true })
  const { rssBytes, peakRssBytes } = manager.processMemory()
  expect(rssBytes).toBeGreaterThan(0)
  expect(peakRssBytes).toBeGreaterThanOrEqual(rssBytes)
})

test('a manager that is dropped without close() leaves nothing in the shared count', () => {
  const script = `
    const options = { board: 'rk3588-4gb' }
    const watch = MemoryBudget.forThisMachine(options)
    let manager = new MemoryManager(options)
    manager.staging.get(64 * KiB).release()
    await settle(() => manager.staging.stats().inUseCount === 0)
    const during = watch.allocatedBytes
    manager = undefined
    return { during, freed: await collect(() => watch.allocatedBytes === 0) }`
  const { value } = runChild(script, { flags: ['--expose-gc'] })
  expect(value).toEqual({ during: 64 * 1024, freed: true })
})
