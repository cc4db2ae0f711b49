import { closeSync, readSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AbortError,
  type DeviceBuffer,
  DeviceUnavailableError,
  type FamilyDevice,
  type FamilyStats,
  GiB,
  InsufficientMemoryError,
  InvalidArgumentError,
  type MemoryManager,
  type MemoryPool,
  MiB,
  ReleasedError,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { withFakeCuda } from './helpers/fake-cuda'
import { allocated, managerOfRam as make } from './helpers/managers'
import { misuse } from './helpers/misuse'
import { rejectedBy } from './helpers/rejected-by'

describe('manager.system', () => {
  test('gives buffers of ordinary RAM, each with memory of its own, on the account of the budget', async () => {
    await using manager = make()
    const one = await manager.system.allocate(MiB, { label: 'one' })
    const other = await manager.system.allocate(2 * MiB)
    expect(one).toMatchObject({ sizeBytes: MiB, label: 'one', device: 'host', released: false })
    await one.write(Uint8Array.of(1, 2, 3))
    expect([...(await one.read({ lengthBytes: 3 }))]).toEqual([1, 2, 3])
    expect(manager.budget.allocations().map(({ label }) => label)).toEqual(['system memory', 'system memory'])
    expect(manager.budget.allocatedBytes).toBe(3 * MiB)
    one.release()
    other.release()
    await allocated(manager, 0)
  })

  test('by kind, memory files that others can map', async () => {
    await using manager = make()
    using buffer = await manager.system.allocate(1000, { kind: 'memory-file' })
    await buffer.fill(7)
    const { fd, offsetBytes } = await buffer.exportFd()
    const seen = new Uint8Array(1000)
    expect([readSync(fd, seen, 0, 1000, offsetBytes), offsetBytes, seen[999]]).toEqual([1000, 0, 7])
    closeSync(fd)
  })

  test('says what it gave out', async () => {
    await using manager = make()
    expect(manager.system.stats()).toMatchObject({
      usedBytes: 0,
      peakBytes: 0,
      count: 0,
      allocatedCount: 0,
      devices: {},
    })
    const buffers = await Promise.all([1, 2, 3].map((size) => manager.system.allocate(size * MiB)))
    const file = await manager.system.allocate(1000, { kind: 'memory-file' })
    buffers[2]?.release()
    const stats = manager.system.stats()
    expect(stats).toMatchObject({ usedBytes: 3 * MiB + 1000, peakBytes: 6 * MiB + 1000, count: 3, allocatedCount: 4 })
    expect(Object.keys(stats.devices).sort()).toEqual(['host', file.device].sort())
    expect(stats.devices.host?.pool).toMatchObject({ bufferCount: 2, heldBytes: 3 * MiB, requestedBytes: 3 * MiB })
    expect(stats.fragmentationPercent).toBeGreaterThanOrEqual(0)
    expect(stats.largestFreeBytes).toBeLessThanOrEqual(stats.freeBytes)
  })

  test('the peak is the most there ever was at once, whoever has released since', async () => {
    await using manager = make()
    for (const size of [5, 1, 3]) {
      using _buffer = await manager.system.allocate(size * MiB)
    }
    expect(manager.system.stats()).toMatchObject({ usedBytes: 0, peakBytes: 5 * MiB, count: 0, allocatedCount: 3 })
  })

  test.each([
    [0, undefined, 'bytes'],
    [-1, undefined, 'bytes'],
    [0.5, undefined, 'bytes'],
    ['1 MiB', undefined, 'bytes'],
    [1, { kind: 'file' }, 'kind'],
    [1, { kind: 'device' }, 'kind'],
    [1, { kinds: 'anonymous' }, 'options'],
    [1, { label: 1 }, 'label'],
    [1, { signal: 'now' }, 'signal'],
  ])('%j bytes with %j are refused by name', async (bytes, options, argument) => {
    await using manager = make()
    const call = (it: { bytes: never; options: never }) => manager.system.allocate(it.bytes, it.options)
    const error = await rejectedBy(InvalidArgumentError, misuse(call, { bytes, options }))
    expect(error.argument).toBe(argument)
  })

  test('more than the budget has is refused with the numbers, and other buffers stay', async () => {
    await using manager = make()
    using held = await manager.system.allocate(60 * MiB)
    const error = await rejectedBy(InsufficientMemoryError, manager.system.allocate(60 * MiB, { label: 'too much' }))
    expect(error).toMatchObject({
      label: 'too much',
      requestedBytes: 60 * MiB,
      availableBytes: 40 * MiB,
      largestFreeBytes: 40 * MiB,
    })
    expect([held.released, manager.budget.allocatedBytes]).toEqual([false, 60 * MiB])
  })

  test('before a refusal, the pools release what they hold idle, and no more', async () => {
    await using manager = make()
    const idle = await manager.pools.create({ slabBytes: 32 * MiB, initialBytes: 32 * MiB, maxCachedBytes: 32 * MiB })
    using kept = idle.allocate(MiB)
    const passing = await idle.allocateAsync(32 * MiB)
    passing.release()
    expect(idle.stats().heldBytes).toBe(64 * MiB)
    const labels = await Promise.all([manager.system.allocate(60 * MiB), manager.system.allocate(8 * MiB)])
    expect([manager.budget.allocatedBytes, idle.stats().heldBytes]).toEqual([100 * MiB, 32 * MiB])
    await rejectedBy(InsufficientMemoryError, manager.system.allocate(1))
    expect([kept.released, labels.some(({ released }) => released)]).toEqual([false, false])
  })

  test('many of different sizes at once each get a slab of their own size, and leave nothing', async () => {
    await using manager = make()
    const sizes = [24, 1, 20, 2, 16, 3, 30].map((mib) => mib * MiB)
    for (let round = 0; round < 10; round++) {
      const buffers = await Promise.all(sizes.map((bytes) => manager.system.allocate(bytes)))
      expect(manager.budget.allocatedBytes).toBe(96 * MiB)
      for (const buffer of buffers) buffer.release()
      for (let turns = 0; turns < 500 && manager.budget.allocatedBytes > 0; turns++) await delay(10)
      expect(manager.budget.allocatedBytes).toBe(0)
    }
  })

  test('a request that was given up takes nothing', async () => {
    await using manager = make()
    await rejectedBy(AbortError, manager.system.allocate(MiB, { signal: AbortSignal.abort() }))
    expect(manager.budget.allocatedBytes).toBe(0)
  })

  test('buffers that are released one after the other all go back', async () => {
    await using manager = make()
    for (let round = 0; round < 20; round++) {
      const buffers = await Promise.all(Array.from({ length: 8 }, () => manager.system.allocate(MiB)))
      for (const [index, buffer] of buffers.entries()) {
        buffer.release()
        if (index % 3 === round % 3) await new Promise(setImmediate)
      }
      await allocated(manager, 0)
    }
  })

  type Take = (bytes: number) => Promise<DeviceBuffer>

  test.each<[string, (manager: MemoryManager, pool: MemoryPool) => [Take, Take]]>([
    [
      'a family to a pool',
      ({ system }, pool) => [(bytes) => system.allocate(bytes), (bytes) => pool.allocateAsync(bytes)],
    ],
    [
      'a pool to a family',
      ({ system }, pool) => [(bytes) => pool.allocateAsync(bytes), (bytes) => system.allocate(bytes)],
    ],
    [
      'one kind of a family to another',
      ({ system }) => [(bytes) => system.allocate(bytes), (bytes) => system.allocate(bytes, { kind: 'memory-file' })],
    ],
  ])('what was released can be had at once, though it is still on its way back: from %s', async (_, takers) => {
    await using manager = make()
    const [from, to] = takers(manager, await manager.pools.create({ maxCachedBytes: 0 }))
    for (let round = 0; round < 5; round++) {
      const first = await from(90 * MiB)
      await first.fill(1)
      first.release()
      const second = await to(80 * MiB)
      second.release()
    }
    await allocated(manager, 0)
  })
})

describe('manager.gpu, by a driver without a GPU', () => {
  test('gives the memory of the device, or by kind pinned and managed memory', () => {
    const script = `
      const manager = new MemoryManager({ isolated: true })
      const buffers = [
        await manager.gpu.allocate(2 * MiB, { label: 'weights' }),
        await manager.gpu.allocate(2 * MiB, { kind: 'pinned' }),
        await manager.allocateGPUMemory(2 * MiB, { kind: 'managed' }),
      ]
      await buffers[0].write(Buffer.from('on the GPU'))
      const text = Buffer.from(await buffers[0].read({ lengthBytes: 10 })).toString()
      const seen = await buffers[1].withMapping((view) => view.length)
      const { usedBytes, totalBytes, freeBytes, count } = manager.getGPUMemoryStats()
      const names = buffers.map(({ device }) => device)
      const kinds = Object.keys(manager.gpu.stats().devices)
      const { gpuBytes } = manager.getMemoryUsage()
      manager.deallocateGPUMemory(buffers[0])
      buffers[1].release()
      const after = manager.gpu.stats()
      await manager.close()
      return { text, seen, usedBytes, totalBytes, free: freeBytes > 0, count, names, kinds, gpuBytes, after: [after.usedBytes, after.count],
        peak: after.peakBytes, left: manager.budget.allocatedBytes, stale: await buffers[2].read().catch(({ code }) => code) }`
    const names = ['cuda:0', 'cuda:0:pinned', 'cuda:0:managed']
    expect(runChild(script, { env: withFakeCuda() }).value).toEqual({
      text: 'on the GPU',
      seen: 2 * MiB,
      usedBytes: 6 * MiB,
      totalBytes: 8 * 2 ** 30,
      free: true,
      count: 3,
      names,
      kinds: names,
      gpuBytes: 6 * MiB,
      after: [2 * MiB, 1],
      peak: 6 * MiB,
      left: 0,
      stale: 'ERR_RELEASED',
    })
  })

  test('what the memory is like is told of one device, and each has its own figures', () => {
    const script = `
      const manager = new MemoryManager({ isolated: true })
      globalThis.pinned = await manager.gpu.allocate(2 * MiB, { kind: 'pinned' })
      const first = manager.gpu.stats()
      globalThis.device = await manager.gpu.allocate(4 * MiB)
      return [first, manager.gpu.stats()]`
    const { value } = runChild<FamilyStats[]>(script, { env: withFakeCuda() })
    const [first, both] = value as [FamilyStats, FamilyStats]
    const { usage } = first.devices['cuda:0:pinned'] as FamilyDevice
    const { totalBytes, freeBytes, largestFreeBytes } = usage
    expect(first).toMatchObject({ totalBytes, freeBytes, largestFreeBytes })
    expect(freeBytes).toBeGreaterThan(0)
    expect(freeBytes).toBeLessThanOrEqual(totalBytes as number)
    const own = { totalBytes: 8 * GiB, freeBytes: 8 * GiB - 4 * MiB, largestFreeBytes: 8 * GiB - 4 * MiB }
    expect(both).toMatchObject({ ...own, fragmentationPercent: 0 })
    expect(both.devices['cuda:0']).toMatchObject({ usage: own, pool: { requestedBytes: 4 * MiB, freeBytes: 0 } })
    expect(both.devices['cuda:0:pinned']?.pool).toMatchObject({ requestedBytes: 2 * MiB })
  })

  test("memory of the GPU's own is no part of a line across the machine's RAM; pinned memory is", () => {
    const script = `
      const manager = new MemoryManager({ isolated: true, maxBytes: 64 * MiB })
      globalThis.device = await manager.gpu.allocate(100 * MiB)
      const pool = await manager.pools.create({ device: 'cuda', initialBytes: 100 * MiB })
      const { allocatedBytes } = manager.budget
      const refusal = await manager.gpu.allocate(100 * MiB, { kind: 'pinned' }).catch(({ code }) => code)
      const own = new MemoryBudget({ totalBytes: 50 * MiB })
      const bounded = await MemoryPool.create({ device: 'cuda', initialBytes: 100 * MiB, budget: own }).catch(({ code }) => code)
      return { allocatedBytes, refusal, bounded, used: manager.gpu.stats().usedBytes, held: pool.stats().heldBytes }`
    expect(runChild(script, { env: withFakeCuda() }).value).toEqual({
      allocatedBytes: 0,
      refusal: 'ERR_INSUFFICIENT_MEMORY',
      bounded: 'ERR_INSUFFICIENT_MEMORY',
      used: 100 * MiB,
      held: 100 * MiB,
    })
  })

  test("on an Orin its memory is the machine's, whatever the kind, and counts once", () => {
    const script = `
      const manager = new MemoryManager({ isolated: true })
      globalThis.device = await manager.gpu.allocate(4 * MiB)
      const one = manager.gpu.stats()
      globalThis.pinned = await manager.gpu.allocate(4 * MiB, { kind: 'pinned' })
      const both = manager.gpu.stats()
      return [manager.budget.allocatedBytes / MiB, one.totalBytes > 0, one.totalBytes === both.totalBytes, both.count]`
    expect(runChild(script, { env: withFakeCuda({ orin: 1 }) }).value).toEqual([8, true, true, 2])
  })

  test('more than the device has is refused with the numbers', () => {
    const script = `
      const manager = new MemoryManager({ isolated: true })
      const { code, requestedBytes, label } = await manager.gpu.allocate(9 * GiB, { label: 'too much' }).catch((error) => error)
      return { code, requestedBytes, label, left: manager.budget.allocatedBytes }`
    const { value } = runChild<{ code: string }>(script, { env: withFakeCuda() })
    expect(value).toMatchObject({ code: 'ERR_INSUFFICIENT_MEMORY', label: 'too much', left: 0 })
  })

  test('without a driver it is unavailable, with the reason, now and when it is asked again', () => {
    const script = `
      const manager = new MemoryManager({ isolated: true })
      const refusals = []
      for (const kind of ['device', 'pinned', 'managed', undefined]) {
        const { code, reason } = await manager.gpu.allocate(1000, { kind }).catch((error) => error)
        refusals.push([code, reason.length > 10])
      }
      return [refusals, manager.gpu.stats().count, manager.budget.allocatedBytes]`
    const refusals = Array.from({ length: 4 }, () => ['ERR_DEVICE_UNAVAILABLE', true])
    expect(runChild(script, { env: { PLIMSOLL_CUDA_LIBRARY: '/nowhere.so' } }).value).toEqual([refusals, 0, 0])
  })
})

describe('manager.npu', () => {
  test.each([undefined, 'dma-heap', 'udmabuf', 'rknpu'] as const)(
    'with kind %p: a buffer, or why there is none',
    async (kind) => {
      await using manager = make()
      const options = kind === undefined ? {} : { kind }
      const outcome = await manager.npu.allocate(1000, options).catch((error: unknown) => error)
      if (outcome instanceof Error) {
        expect(outcome).toBeInstanceOf(DeviceUnavailableError)
        expect((outcome as DeviceUnavailableError).reason.length).toBeGreaterThan(10)
        expect(manager.npu.stats()).toMatchObject({ usedBytes: 0, count: 0, devices: {} })
        return
      }
      using buffer = outcome as DeviceBuffer
      await buffer.fill(3)
      expect((await buffer.read()).every((byte) => byte === 3)).toBe(true)
      expect(manager.npu.stats()).toMatchObject({ usedBytes: 1000, count: 1 })
    },
  )
})

describe('manager.pools', () => {
  test('makes pools on the account of the manager, of its device unless they name one', async () => {
    await using manager = make({ device: { kind: 'host', memoryFile: true } })
    const pool = await manager.pools.create({ slabBytes: MiB, initialBytes: MiB, label: 'inputs' })
    const other = await manager.pools.create({ device: 'host' })
    expect([pool.device.limits.exportable, other.device.name]).toEqual([true, 'host'])
    expect(manager.budget.allocations()).toMatchObject([{ label: 'inputs', sizeBytes: MiB }])
    expect([manager.pools.size, ...manager.pools]).toEqual([2, pool, other])
    await pool.close()
    expect([manager.pools.size, ...manager.pools]).toEqual([1, other])
  })

  test('while memory is critical, they release what they hold idle', async () => {
    const script = `
      const manager = new MemoryManager({ isolated: true, device: 'host', maxBytes: 100 * MiB })
      const pool = await manager.pools.create({ slabBytes: MiB, initialBytes: 4 * MiB, label: 'idle' })
      manager.limits = { warnPercent: 1, criticalPercent: 2, maxBytes: 100 * MiB }
      manager.monitor.start()
      const reclaimed = await settle(() => pool.stats().heldBytes === 0)
      await manager.close()
      return reclaimed`
    expect(runChild(script).value).toBe(true)
  })

  test.each(['device', 'devices', 'budgets'])('an unfit %s of the manager or of a pool is refused', async (option) => {
    await using manager = make()
    await rejectedBy(InvalidArgumentError, manager.pools.create({ [option]: 'gpu' }))
    if (option === 'device') thrownBy(InvalidArgumentError, () => make({ device: 'gpu' as never }))
  })
})

describe('close', () => {
  test('releases every buffer and every pool; all uses are errors from then on', async () => {
    const manager = make()
    const buffer = await manager.system.allocate(MiB)
    const file = await manager.system.allocate(MiB, { kind: 'memory-file' })
    const pool = await manager.pools.create({ slabBytes: MiB, initialBytes: MiB })
    const part = pool.allocate(1000)
    await Promise.all([manager.close(), manager.close()])
    expect([manager.budget.allocatedBytes, pool.closed, manager.pools.size]).toEqual([0, true, 0])
    for (const stale of [buffer, file, part]) await rejectedBy(ReleasedError, stale.read())
    const uses = [
      manager.system.allocate(1),
      manager.gpu.allocate(1),
      manager.npu.allocate(1, { kind: 'udmabuf' }),
      manager.pools.create(),
      manager.createMemoryPool(),
      manager.allocateSystemMemory(1, { kind: 'memory-file' }),
    ]
    for (const use of uses) await rejectedBy(ReleasedError, use)
    expect(manager.getMemoryUsage()).toMatchObject({ systemBytes: 0, poolBytes: 0, allocatedBytes: 0 })
    buffer.release()
  })

  test('in the middle of requests: each is served or refused, and nothing stays taken', async () => {
    for (let turns = 0; turns < 8; turns++) {
      const manager = make()
      const requests = Promise.allSettled<unknown>([
        ...Array.from({ length: 4 }, () => manager.system.allocate(MiB)),
        manager.pools.create({ slabBytes: MiB, initialBytes: MiB }),
      ])
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      await manager.close()
      for (const outcome of await requests) {
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ReleasedError)
      }
      await allocated(manager, 0)
    }
  })

  test('buffers that are dropped by then warn of nothing', () => {
    const script = `
      const warnings = []
      process.on('warning', ({ message }) => warnings.push(message))
      const manager = new MemoryManager({ isolated: true })
      await (async () => { for (let index = 0; index < 5; index++) await manager.system.allocate(1000) })()
      await manager.close()
      await collect(() => false)
      return [manager.budget.allocatedBytes, warnings]`
    expect(runChild(script, { flags: ['--expose-gc'] }).value).toEqual([0, []])
  })
})
