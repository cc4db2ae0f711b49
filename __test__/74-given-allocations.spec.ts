import {
  InsufficientMemoryError,
  InvalidArgumentError,
  MemoryBudget,
  MemoryManager,
  MemoryPool,
  MiB,
  ReleasedError,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { rejectedBy } from './helpers/rejected-by'

const budgetOf = (bytes: number) => new MemoryBudget({ totalBytes: bytes })
const device = 'host'

describe('a pool that begins with an allocation', () => {
  test('charges its bytes once, and what goes beyond them to its budget', async () => {
    const budget = budgetOf(10 * MiB)
    const model = budget.allocate(4 * MiB, 'model')
    const pool = await MemoryPool.create({
      device,
      slabBytes: 2 * MiB,
      maxCachedBytes: 0,
      label: 'weights',
      from: model,
    })
    expect([model.released, budget.allocatedBytes]).toEqual([true, 4 * MiB])
    const buffers = []
    for (let i = 0; i < 2; i++) buffers.push(await pool.allocateAsync(2 * MiB))
    expect(budget.allocatedBytes).toBe(4 * MiB)
    const listed = budget.allocations().map(({ label, sizeBytes }) => [label, sizeBytes])
    expect(listed.filter(([, bytes]) => bytes !== 0)).toEqual([
      ['weights', 2 * MiB],
      ['weights', 2 * MiB],
    ])
    buffers.push(await pool.allocateAsync(2 * MiB))
    expect(budget.allocatedBytes).toBe(6 * MiB)
    await rejectedBy(InsufficientMemoryError, pool.allocateAsync(5 * MiB))
    await pool.close()
    expect(budget.allocatedBytes).toBe(0)
  })

  test('releases what no slab took as it is closed', async () => {
    const budget = budgetOf(10 * MiB)
    const pool = await MemoryPool.create({ device, slabBytes: MiB, from: budget.allocate(4 * MiB, 'model') })
    ;(await pool.allocateAsync(1000)).release()
    expect(budget.allocatedBytes).toBe(4 * MiB)
    await pool.close()
    expect(budget.allocatedBytes).toBe(0)
  })

  test('has them again where a device refuses a slab', async () => {
    const budget = budgetOf(2 ** 50)
    const pool = await MemoryPool.create({ device, slabBytes: MiB, from: budget.allocate(2 ** 48, 'too much') })
    await expect(pool.allocateAsync(2 ** 47)).rejects.toMatchObject({ code: 'ERR_INSUFFICIENT_MEMORY' })
    expect(budget.allocatedBytes).toBe(2 ** 48)
    expect(budget.allocations().map(({ sizeBytes }) => sizeBytes)).toEqual([2 ** 48])
    await pool.close()
    expect(budget.allocatedBytes).toBe(0)
  })

  test('of a manager counts in its budget alone', async () => {
    await using manager = new MemoryManager({ isolated: true })
    const model = manager.budget.allocate(4 * MiB, 'model')
    const pool = await manager.pools.create({ device, slabBytes: 4 * MiB, from: model })
    await pool.allocateAsync(3 * MiB)
    expect(manager.budget.allocatedBytes).toBe(4 * MiB)
  })

  test('takes it whatever the program does with the guard', async () => {
    const budget = budgetOf(10 * MiB)
    const model = budget.hold(4 * MiB, 'model')
    const made = MemoryPool.create({ device, slabBytes: MiB, from: model })
    const pool = await made
    model.release()
    model.release()
    thrownBy(ReleasedError, () => model.commit())
    expect(budget.allocatedBytes).toBe(4 * MiB)
    await rejectedBy(ReleasedError, MemoryPool.create({ device, from: model }))
    await pool.close()
    expect(budget.allocatedBytes).toBe(0)
  })

  test('that cannot be made leaves the allocation as it was', async () => {
    const budget = budgetOf(10 * MiB)
    const model = budget.allocate(4 * MiB, 'model')
    const unfit = { device, slabBytes: 2 * MiB, maxBytes: 1, pageBytes: MiB } as const
    await rejectedBy(InvalidArgumentError, MemoryPool.create({ ...unfit, from: model }))
    for (const options of [{ budget }, { initialBytes: MiB }]) {
      const error = await rejectedBy(InvalidArgumentError, MemoryPool.create({ device, from: model, ...options }))
      expect(error.argument).toBe(Object.keys(options)[0])
    }
    for (const from of [{}, budget, 5, null]) {
      const error = await rejectedBy(InvalidArgumentError, MemoryPool.create({ device, from: from as never }))
      expect(error.argument).toBe('from')
    }
    expect([model.released, model.ageMs >= 0, budget.allocatedBytes]).toEqual([false, true, 4 * MiB])
    model.release()
    expect(budget.allocatedBytes).toBe(0)
  })

  test('whose worker ends leaves nothing behind', () => {
    const script = `
      const { Worker } = require('node:worker_threads')
      const budget = MemoryBudget.forThisMachine()
      const before = budget.allocatedBytes
      const worker = new Worker(\`
        const { MemoryBudget, MemoryPool, MiB } = require(\${JSON.stringify(require.resolve('plimsoll'))})
        const budget = MemoryBudget.forThisMachine()
        ;(async () => {
          const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, from: budget.allocate(8 * MiB, 'model') })
          await pool.allocateAsync(1000)
          require('node:worker_threads').parentPort.postMessage('ready')
          setInterval(() => pool, 1000)
        })()
      \`, { eval: true })
      await new Promise((resolve) => worker.once('message', resolve))
      const during = budget.allocatedBytes - before
      await worker.terminate()
      await settle(() => budget.allocatedBytes === before)
      return [during, budget.allocatedBytes - before]`
    expect(runChild(script).value).toEqual([8 * MiB, 0])
  })
})

test('a pool grows by small slabs, and refuses with what helps', async () => {
  await using pool = await MemoryPool.create({ device })
  expect(() => pool.allocate(100)).toThrow(/allocateAsync.* does/)
  await pool.allocateAsync(100)
  expect(pool.stats().heldBytes).toBe(2 * MiB)
  const held: number[] = []
  for (let i = 0; i < 70; i++) {
    await pool.allocateAsync(2 * MiB)
    held.push(pool.stats().slabCount)
  }
  expect(pool.stats().slabCount).toBeLessThan(9)
})
