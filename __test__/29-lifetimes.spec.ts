import { MemoryBudget, MemoryPool, MiB, ReleasedError } from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'

const flags = ['--expose-gc']

describe('what is held', () => {
  test('stays though nothing refers to it, until it is released', () => {
    const script = `
      const budget = new MemoryBudget({ totalBytes: 1000 })
      const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
      ;(() => {
        budget.hold(100, 'held')
        budget.allocate(200, 'held later').hold()
        budget.allocate(400, 'dropped')
        pool.allocate(1000).hold()
        pool.allocate(2000)
      })()
      const used = pool.stats().usedBytes
      await collect(() => budget.allocatedBytes === 300 && pool.stats().usedBytes < used)
      for (let i = 0; i < 20; i++) { gc(); await turn() }
      const kept = pool.stats().usedBytes
      await pool.close()
      return [budget.allocations().map(({ label }) => label), kept >= 1000 && kept < used]`
    expect(runChild(script, { flags }).value).toEqual([['held', 'held later'], true])
  })

  test('is released as any other, once', async () => {
    const budget = new MemoryBudget({ totalBytes: 1000 })
    const held = budget.hold(100, 'held')
    held.release()
    held.release()
    expect([held.released, budget.allocatedBytes]).toEqual([true, 0])
    thrownBy(ReleasedError, () => held.hold())
    const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
    const buffer = pool.allocate(1000).hold()
    await pool.close()
    thrownBy(ReleasedError, () => buffer.hold())
  })

  test('goes with its pool: both are collected', () => {
    const script = `
      const gone = []
      const registry = new FinalizationRegistry((name) => gone.push(name))
      await (async () => {
        const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
        const buffer = pool.allocate(1000).hold()
        registry.register(pool, 'pool')
        registry.register(buffer, 'buffer')
        await pool.close()
      })()
      await collect(() => gone.length === 2)
      return gone.sort()`
    expect(runChild(script, { flags }).value).toEqual(['buffer', 'pool'])
  })
})

describe('withAllocation', () => {
  test('holds for as long as the function runs, and passes on what comes of it', async () => {
    const budget = new MemoryBudget({ totalBytes: 1000 })
    const seen: number[] = []
    const answer = await budget.withAllocation(400, 'cache', async ({ sizeBytes }) => {
      seen.push(budget.allocatedBytes)
      await Promise.resolve()
      seen.push(budget.allocatedBytes)
      return sizeBytes * 2
    })
    expect([answer, ...seen, budget.allocatedBytes]).toEqual([800, 400, 400, 0])
    const failed = budget.withAllocation(400, 'cache', () => {
      throw new RangeError('mine')
    })
    await expect(failed).rejects.toThrow('mine')
    await expect(budget.withAllocation(2000, 'cache', () => 1)).rejects.toMatchObject({
      code: 'ERR_INSUFFICIENT_MEMORY',
    })
    await expect(budget.withAllocation(1, 'cache', 5 as never)).rejects.toMatchObject({ argument: 'use' })
    expect(budget.allocatedBytes).toBe(0)
  })

  test('is not undone by the garbage collector in the middle', () => {
    const script = `
      const budget = new MemoryBudget({ totalBytes: 1000 })
      return budget.withAllocation(400, 'cache', async () => {
        for (let i = 0; i < 20; i++) { gc(); await turn() }
        return budget.allocatedBytes
      })`
    expect(runChild(script, { flags }).value).toBe(400)
  })
})

describe('the warnings of a program that drops its guards', () => {
  const warnings = `
    const warnings = []
    process.on('warning', ({ name, message, label, sizeBytes, detail }) => warnings.push({ name, message, label, sizeBytes, detail }))
    const budget = new MemoryBudget({ totalBytes: 1e9 })
    const settled = async (count) => {
      await collect(() => budget.allocatedBytes === 0)
      await collect(() => warnings.length >= count)
    }`

  test('are one at once for each label, and one for all that follow within a second', () => {
    const script = `${warnings}
      ;(() => { for (let i = 0; i < 1000; i++) budget.allocate(1024, 'session') ; budget.allocate(5, 'other') })()
      await settled(2)
      const atOnce = warnings.splice(0).map(({ label }) => label)
      const alive = setInterval(() => {}, 100)
      while (warnings.length === 0) await turn()
      clearInterval(alive)
      return [atOnce.sort(), warnings]`
    const { value } = runChild<[string[], { message: string; sizeBytes: number }[]]>(script, { flags })
    const [atOnce, [summary]] = value
    expect(atOnce).toEqual(['other', 'session'])
    expect(summary?.message).toMatch(/^999 more labelled "session" were collected .* 999\.00 KiB in all\.$/)
    expect(summary?.sizeBytes).toBe(999 * 1024)
  })

  test('are few however many labels there are', () => {
    const script = `${warnings}
      ;(() => { for (let i = 0; i < 500; i++) budget.allocate(1024, 'session ' + i) })()
      await settled(64)
      return warnings.length`
    expect(runChild<number>(script, { flags }).value).toBeLessThanOrEqual(65)
  })

  test('show where it was taken under a profile with stacks', () => {
    const script = `${warnings}
      const profile = new plimsoll.MemoryProfile(budget).start({ stacks: true })
      function serveSession() { budget.allocate(1024 * 1024, 'session') }
      ;(() => serveSession())()
      await settled(1)
      profile.stop()
      return warnings[0]`
    const { value, stderr } = runChild<{ message: string; detail: string }>(script, { flags })
    expect(value.message).toContain(
      'An allocation of 1.00 MiB labelled "session" was collected without being released.',
    )
    expect(value.detail).toMatch(/^It was taken\nserveSession /)
    expect(stderr).toContain('serveSession')
  })

  test.each([
    ['a buffer', "pool.allocate(4096, { label: 'lost' })", 'A buffer of 4.00 KiB'],
    [
      'a buffer that was waited for',
      "await pool.allocateAsync(8 * 2 ** 20, { label: 'lost' })",
      'A buffer of 8.00 MiB',
    ],
    ['a buffer of a family', "await manager.system.allocate(8192, { label: 'lost' })", 'A buffer of 8.00 KiB'],
    [
      'a pool',
      "await plimsoll.MemoryPool.create({ device: 'host', initialBytes: 2 ** 20, label: 'lost' })",
      'A memory pool',
    ],
    [
      'a pool that took a guard over',
      "await plimsoll.MemoryPool.create({ device: 'host', from: budget.allocate(2 ** 20, 'given'), label: 'lost' })",
      'A memory pool with 1.00 MiB',
    ],
  ])('of %s, too', (_, taken, what) => {
    const script = `${warnings}
      const manager = new plimsoll.MemoryManager()
      const profile = manager.profile.start({ stacks: true })
      const pool = await plimsoll.MemoryPool.create({ device: 'host', initialBytes: 2 ** 20 })
      async function serveSession() { ${taken} }
      await serveSession()
      await settled(1)
      profile.stop()
      await pool.close()
      await manager.close()
      return warnings[0]`
    const { value } = runChild<{ message: string; detail: string }>(script, { flags })
    expect(value.message).toContain(what)
    expect(value.detail).toMatch(/^It was taken\n[\s\S]*serveSession /)
  })
})
