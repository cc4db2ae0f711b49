import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import {
  checkBeforeLoad,
  estimate,
  formatBytes,
  GgufFile,
  GiB,
  Instances,
  InsufficientMemoryError,
  InvalidArgumentError,
  InvalidGgufError,
  IoError,
  MemoryManager,
  MiB,
  machineMemory,
  ReleasedError,
} from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { headerOf, llama1b } from './helpers/headers'
import { samplePath, scratch } from './helpers/models'

const file = scratch()
const other = file('model.rkllm')
writeFileSync(other, Buffer.alloc(2 * MiB))
const large = file('llama-1b.gguf')
writeFileSync(large, headerOf(llama1b))
// As long as its tensors are, and a hole where they would be.
truncateSync(large, 8 * GiB)
const cut = file('cut.gguf')
writeFileSync(cut, readFileSync(samplePath).subarray(0, 100_000))

const managerOf = (maxBytes: number) => new MemoryManager({ isolated: true, maxBytes })

describe('manager.allocateInstance()', () => {
  test('holds the larger of limit and footprint until it is deallocated', async () => {
    await using manager = managerOf(64 * MiB)
    manager.allocateInstance('thumb', { model: other, limitBytes: MiB })
    manager.allocateInstance('limit', { model: other, limitBytes: '8 MiB' })
    manager.allocateInstance('bare', { limitBytes: 4 * MiB })
    expect([...manager.instances]).toEqual([
      { id: 'thumb', model: other, limitBytes: MiB, formula: 'rule-of-thumb', requiredBytes: 3 * MiB },
      { id: 'limit', model: other, limitBytes: 8 * MiB, formula: 'rule-of-thumb', requiredBytes: 8 * MiB },
      { id: 'bare', limitBytes: 4 * MiB, formula: 'limit-only', requiredBytes: 4 * MiB },
    ])
    expect(manager.budget.allocatedBytes).toBe(15 * MiB)
    expect(manager.deallocateInstance('limit')).toBe(true)
    expect(manager.deallocateInstance('limit')).toBe(false)
    expect(manager.budget.allocatedBytes).toBe(7 * MiB)
    expect(`${manager.instances}`.split('\n')).toEqual([
      'Instances: 2, with all else 7.00 MiB of 64.00 MiB',
      expect.stringMatching(/^ {2}instance +limit +by +required +model$/),
      expect.stringMatching(/^ {2}thumb +1\.00 MiB +rule-of-thumb +3\.00 MiB +\S+model\.rkllm$/),
      expect.stringMatching(/^ {2}bare +4\.00 MiB +limit-only +4\.00 MiB$/),
    ])
  })

  test('takes the estimate of a GGUF file', async () => {
    await using manager = new MemoryManager({ isolated: true })
    manager.allocateInstance('sample', { model: samplePath, contextLength: 256 })
    using model = GgufFile.open(samplePath, { headerOnly: true })
    const { fullBytes } = estimate(model, { contextLength: 256 }).totals
    expect([...manager.instances]).toMatchObject([{ formula: 'estimate', requiredBytes: fullBytes }])
  })

  test('all of them are released with the manager, and none is taken after that', async () => {
    const manager = managerOf(64 * MiB)
    const guard = manager.allocateInstance('a', { limitBytes: 4 * MiB })
    manager.allocateInstance('b', { limitBytes: 4 * MiB })
    await manager.close()
    expect({ size: manager.instances.size, released: guard.released }).toEqual({ size: 0, released: true })
    expect(manager.budget.allocatedBytes).toBe(0)
    expect(thrownBy(ReleasedError, () => manager.allocateInstance('c', { limitBytes: 1 })).code).toBe('ERR_RELEASED')
    expect(manager.deallocateInstance('a')).toBe(false)
  })

  test('a request that changes the manager as it is read leaves nothing behind', async () => {
    const manager = managerOf(64 * MiB)
    const reading = (act: () => unknown) => ({
      get limitBytes() {
        act()
        return 4 * MiB
      },
    })
    const twice = reading(() => manager.allocateInstance('a', { limitBytes: 4 * MiB }))
    expect(thrownBy(InvalidArgumentError, () => manager.allocateInstance('a', twice)).argument).toBe('id')
    expect(manager.budget.allocatedBytes).toBe(4 * MiB)
    let closed: Promise<void> | undefined
    const closing = reading(() => {
      closed = manager.close()
    })
    thrownBy(ReleasedError, () => manager.allocateInstance('b', closing))
    await closed
    expect(manager.budget.allocatedBytes).toBe(0)
  })

  test('what does not fit takes nothing and says what there is', async () => {
    await using manager = managerOf(8 * MiB)
    manager.allocateInstance('a', { limitBytes: 6 * MiB })
    const error = thrownBy(InsufficientMemoryError, () => manager.allocateInstance('b', { limitBytes: 4 * MiB }))
    expect(error).toMatchObject({ label: 'instance b', requestedBytes: 4 * MiB, availableBytes: 2 * MiB })
    expect({ size: manager.instances.size, held: manager.budget.allocatedBytes }).toEqual({ size: 1, held: 6 * MiB })
    manager.deallocateInstance('a')
    manager.allocateInstance('b', { limitBytes: 4 * MiB })
  })

  test('what a model takes while it is loaded must be there too, and is not held', async () => {
    using model = GgufFile.open(large, { headerOnly: true })
    const { loadingBytes, fullBytes } = estimate(model, { contextLength: 16, gpuLayers: 99 }).totals
    expect(loadingBytes).toBeGreaterThan(fullBytes)
    const run = { model: large, contextLength: 16, device: 'gpu' } as const
    const bounded = (maxBytes: number) => new MemoryManager({ isolated: true, headroom: false, maxBytes })
    await using roomy = bounded(loadingBytes)
    roomy.allocateInstance('a', run)
    expect(roomy.budget.allocatedBytes).toBe(fullBytes)
    await using narrow = bounded(loadingBytes - 1)
    const { requestedBytes } = thrownBy(InsufficientMemoryError, () => narrow.allocateInstance('a', run))
    expect({ requestedBytes, held: narrow.budget.allocatedBytes }).toEqual({ requestedBytes: loadingBytes, held: 0 })
  })

  test('a guard that its holder released is no instance any more', async () => {
    await using manager = managerOf(8 * MiB)
    manager.allocateInstance('a', { limitBytes: MiB }).release()
    expect([...manager.instances]).toEqual([])
    manager.allocateInstance('a', { limitBytes: MiB })
    expect(manager.instances.size).toBe(1)
  })

  test('names, models and options that cannot be are refused, and nothing is taken', async () => {
    await using manager = managerOf(64 * MiB)
    manager.allocateInstance('a', { limitBytes: MiB })
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    for (const [id, request] of [
      ['a', { limitBytes: 1 }],
      ['', { limitBytes: 1 }],
      [7, { limitBytes: 1 }],
      ['b', {}],
      ['b', undefined],
      ['b', { limitBytes: -1 }],
      ['b', { limitBytes: 1, context: 4 }],
      ['b', revoked.proxy],
    ] as const) {
      thrownBy(InvalidArgumentError, () => manager.allocateInstance(id as string, request as object))
    }
    expect(
      thrownBy(InvalidArgumentError, () => manager.allocateInstance('b', { limitByte: 1 } as object)).message,
    ).toContain('"limitBytes"')
    thrownBy(IoError, () => manager.allocateInstance('b', { model: file('none.gguf') }))
    expect(manager.budget.allocatedBytes).toBe(MiB)
    expect(() => new (Instances as unknown as new () => Instances)()).toThrow(InvalidArgumentError)
  })
})

describe('checkBeforeLoad()', () => {
  const { totalBytes } = machineMemory()

  test('on another object says what it needs', () => {
    const { checkBeforeLoad: check } = MemoryManager.prototype
    expect(thrownBy(InvalidArgumentError, () => check.call({} as MemoryManager, other)).message).toContain(
      'a MemoryBudget',
    )
  })

  test('weighs what is required against what there is, with the headroom left free', () => {
    const found = checkBeforeLoad(other, { limitBytes: 4 * MiB })
    expect(found).toMatchObject({ formula: 'rule-of-thumb', requiredBytes: 4 * MiB })
    expect(found.headroomBytes).toBe(Math.min(2 * GiB, Math.floor(totalBytes / 8)))
    expect(found.marginBytes).toBe(found.availableBytes - found.requiredBytes)
    expect(found.fits).toBe(found.marginBytes >= 0)
    expect(checkBeforeLoad(other, { headroomBytes: 0 }).availableBytes).toBeGreaterThanOrEqual(found.availableBytes)
  })

  test('a load that leaves too little free is refused with the numbers', () => {
    const { fits, marginBytes, message } = checkBeforeLoad(other, { headroomBytes: totalBytes })
    expect({ fits, isShort: marginBytes < 0 }).toEqual({ fits: false, isShort: true })
    expect(message).toContain(
      `takes 3.00 MiB, and the machine can give 0 bytes with ${formatBytes(totalBytes)} left free`,
    )
    expect(checkBeforeLoad(large, { contextLength: 131_072, parallel: 64 })).toMatchObject({
      fits: false,
      formula: 'estimate',
    })
  })

  test('what was allocated for this load is not asked for twice', async () => {
    await using manager = new MemoryManager({ isolated: true })
    const limitBytes = Math.floor(manager.budget.availableBytes * 0.6)
    const allocation = manager.allocateInstance('a', { model: other, limitBytes })
    const options = { limitBytes, headroomBytes: 0 }
    expect(manager.checkBeforeLoad(other, options).fits).toBe(false)
    expect(manager.checkBeforeLoad(other, { ...options, allocation }).fits).toBe(true)
  })

  test('what it cannot take is refused', () => {
    thrownBy(IoError, () => checkBeforeLoad(file('none.gguf')))
    thrownBy(IoError, () => checkBeforeLoad('/tmp'))
    for (const formula of ['estimate', 'rule-of-thumb'] as const) {
      thrownBy(IoError, () => checkBeforeLoad(large, { formula, draft: file('none.gguf') }))
    }
    thrownBy(InvalidArgumentError, () => checkBeforeLoad(7 as unknown as string))
    thrownBy(InvalidArgumentError, () => checkBeforeLoad(other, { headroomBytes: -1 }))
    thrownBy(InvalidArgumentError, () => checkBeforeLoad(other, 7 as unknown as object))
    thrownBy(InvalidArgumentError, () => checkBeforeLoad(other, { allocation: {} } as object))
    expect(thrownBy(InvalidArgumentError, () => checkBeforeLoad(other, { headroom: 3 } as object)).message).toMatch(
      /expected options/,
    )
  })

  test.each(['estimate', 'rule-of-thumb', undefined] as const)(
    'a model that was cut off is none, by %s',
    async (formula) => {
      const run = formula === undefined ? {} : { formula }
      expect(thrownBy(InvalidGgufError, () => checkBeforeLoad(cut, run)).message).toMatch(/the file is cut off/)
      await using manager = managerOf(64 * MiB)
      thrownBy(InvalidGgufError, () => manager.allocateInstance('cut', { model: cut, ...run }))
      expect(manager.budget.allocatedBytes).toBe(0)
    },
  )

  test('an empty file is no model of any format', () => {
    const empty = file('empty.rkllm')
    writeFileSync(empty, '')
    expect(thrownBy(IoError, () => checkBeforeLoad(empty)).message).toMatch(/it is empty/)
  })

  test('what options inherit is none of them', () => {
    const inherited = Object.create({ limitBytes: -1, allocation: {}, draft: 'none' })
    expect(checkBeforeLoad(large, inherited).requiredBytes).toBe(checkBeforeLoad(large).requiredBytes)
  })
})
