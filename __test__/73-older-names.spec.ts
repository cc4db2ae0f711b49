import { InsufficientMemoryError, InvalidArgumentError, MemoryPool, MiB, ReleasedError } from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { allocated, managerOfRam as make } from './helpers/managers'
import { misuse } from './helpers/misuse'
import { rejectedBy } from './helpers/rejected-by'

describe('the calls by their older names', () => {
  test('allocate, count and free', async () => {
    await using manager = make()
    const buffer = await manager.allocateSystemMemory(MiB, { label: 'old' })
    expect(buffer).toMatchObject({ sizeBytes: MiB, label: 'old' })
    expect(Object.keys(manager.getSystemMemoryStats())).toEqual(Object.keys(manager.system.stats()))
    expect(manager.getSystemMemoryStats()).toMatchObject({ usedBytes: MiB, count: 1 })
    manager.deallocateSystemMemory(buffer)
    expect([buffer.released, manager.getSystemMemoryStats().count]).toEqual([true, 0])
    expect(manager.getNPUMemoryStats()).toEqual(manager.npu.stats())
    expect(manager.getGPUMemoryStats()).toEqual(manager.gpu.stats())
    const { deallocateNPUMemory, deallocateGPUMemory, deallocateSystemMemory } = manager
    for (const deallocate of [deallocateNPUMemory, deallocateGPUMemory, deallocateSystemMemory]) {
      deallocate(buffer)
      for (const wrong of [null, {}, 5, new Uint8Array(1), Object.create(Object.getPrototypeOf(buffer))]) {
        thrownBy(InvalidArgumentError, () => misuse((it) => deallocate(it), wrong))
      }
    }
  })

  test('refuse as the others do', async () => {
    await using manager = make()
    for (const allocate of ['allocateNPUMemory', 'allocateGPUMemory', 'allocateSystemMemory'] as const) {
      await rejectedBy(InvalidArgumentError, manager[allocate](0))
      await rejectedBy(
        InvalidArgumentError,
        misuse((it) => manager[allocate](1, it), { kind: 'nothing' }),
      )
    }
    await rejectedBy(
      InvalidArgumentError,
      misuse((it) => manager.createMemoryPool(it), { slab: 1 }),
    )
    for (const wrong of [null, {}, 'pool', manager.staging]) {
      thrownBy(InvalidArgumentError, () => misuse((it) => manager.allocateFromPool(it, 1), wrong))
      await rejectedBy(
        InvalidArgumentError,
        misuse((it) => manager.destroyMemoryPool(it), wrong),
      )
    }
  })

  test('make a pool, hand out of it, and close it', async () => {
    await using manager = make()
    const pool: MemoryPool = await manager.createMemoryPool({ slabBytes: MiB, initialBytes: 2 * MiB, label: 'old' })
    const buffer = manager.allocateFromPool(pool, 1000, { label: 'from it', alignBytes: 512 })
    expect(buffer).toMatchObject({ sizeBytes: 1000, label: 'from it' })
    expect(manager.getMemoryStats().pools).toEqual([{ label: 'old', device: 'host', ...pool.stats() }])
    expect(manager.getMemoryUsage()).toMatchObject({ allocatedBytes: 2 * MiB, poolBytes: 2 * MiB, systemBytes: 0 })
    await manager.destroyMemoryPool(pool)
    expect([pool.closed, manager.budget.allocatedBytes, manager.pools.size]).toEqual([true, 0, 0])
    await manager.destroyMemoryPool(pool)
    thrownBy(ReleasedError, () => manager.allocateFromPool(pool, 1))
  })

  test('tell of every pool, whatever it is called', async () => {
    await using manager = make()
    const memoryFile = { kind: 'host', memoryFile: true } as const
    for (const device of ['host', memoryFile] as const) await manager.createMemoryPool({ device })
    const other = await manager.createMemoryPool({ label: 'other', slabBytes: MiB, initialBytes: MiB })
    expect(manager.getMemoryStats().pools).toMatchObject([
      { label: 'memory pool', device: 'host', heldBytes: 0 },
      { label: 'memory pool', device: 'host:memfd', heldBytes: 0 },
      { label: 'other', device: 'host', heldBytes: MiB },
    ])
    await other.close()
    expect(manager.getMemoryStats().pools).toHaveLength(2)
  })

  test('do what they say with whatever is theirs to hand: a buffer of another family, a pool of nobody', async () => {
    await using manager = make()
    await using pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
    const buffer = manager.allocateFromPool(pool, 1000)
    manager.deallocateNPUMemory(buffer)
    expect([buffer.released, pool.stats().bufferCount]).toEqual([true, 0])
    await manager.destroyMemoryPool(pool)
    expect(pool.closed).toBe(true)
  })

  test('tell what is in use', async () => {
    await using manager = make()
    using _buffer = await manager.allocateSystemMemory(3 * MiB)
    using _guard = manager.budget.allocate(5 * MiB, 'else')
    const usage = manager.getMemoryUsage()
    expect(usage).toMatchObject({
      allocatedBytes: 8 * MiB,
      lineBytes: 100 * MiB,
      systemBytes: 3 * MiB,
      npuBytes: 0,
      gpuBytes: 0,
      poolBytes: 0,
    })
    expect(Object.keys(usage.process).sort()).toEqual(Object.keys(manager.processMemory()).sort())
    const { npu, gpu, system, pools } = manager.getMemoryStats()
    expect([npu.count, gpu.count, system.count, pools]).toEqual([0, 0, 1, []])
  })

  test('set limits, which hold for buffers of devices too', async () => {
    await using manager = make()
    manager.setMemoryLimits({ maxBytes: 2 * MiB, warnPercent: 50, criticalPercent: 60 })
    expect(manager.limits).toMatchObject({ maxBytes: 2 * MiB, warnPercent: 50, criticalPercent: 60 })
    await rejectedBy(InsufficientMemoryError, manager.allocateSystemMemory(2 * MiB + 1))
    const unfit: unknown[] = [{ maxByte: 1 }, { maxBytes: -1 }, { warnPercent: 70, criticalPercent: 60 }]
    for (const limits of unfit) {
      thrownBy(InvalidArgumentError, () => misuse((it) => manager.setMemoryLimits(it), limits))
      expect(manager.limits).toMatchObject({ maxBytes: 2 * MiB, warnPercent: 50 })
    }
  })

  test('profile what happens', async () => {
    await using manager = make()
    const profile = manager.enableMemoryProfiling()
    expect(profile).toBe(manager.profile)
    const buffer = await manager.allocateSystemMemory(MiB)
    buffer.release()
    await allocated(manager, 0)
    profile.stop()
    expect(JSON.stringify(profile.export('json'))).toContain('system memory')
  })
})
