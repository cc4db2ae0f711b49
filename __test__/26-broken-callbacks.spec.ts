import { AbortError, InvalidArgumentError, MemoryManager, MemoryPool, MiB } from 'plimsoll'
import { runChild } from './helpers/child'
import { samplePath } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

// Unhandled rejections and uncaught errors end a process; so these run in processes of their own, which have to end well.

/** Signals that break in every way. Those of `late` do so only after they were checked. */
const signals = `
  const broken = (name, part) => ({
    aborted: false, reason: undefined, addEventListener() {}, removeEventListener() {}, ...part, name,
  })
  const fail = () => { throw new Error('mine') }
  const afterChecks = (count, answer) => { let asked = 0; return () => (asked++ < count ? false : answer()) }
  const late = (count) => Object.defineProperty(broken('aborted throws after ' + count), 'aborted', { get: afterChecks(count, fail) })
  const reasonless = (count) => Object.defineProperties(broken('reason throws after ' + count), {
    aborted: { get: afterChecks(count, () => true) }, reason: { get: fail },
  })
  const signals = () => [
    broken('addEventListener throws', { addEventListener: fail }),
    broken('addEventListener rejects', { addEventListener: async () => fail() }),
    broken('removeEventListener throws', { removeEventListener: fail }),
    broken('removeEventListener rejects', { removeEventListener: async () => fail() }),
    broken('listener is called at once', { addEventListener: (_, listener) => listener() }),
    broken('listener is called at once, and then it throws', { addEventListener: (_, listener) => { listener(); fail() } }),
    ...[0, 1, 2, 3].map(late),
    ...[0, 1, 2, 3].map(reasonless),
  ]
  /** What became of a call, in a word. */
  const outcome = (promise) => promise.then(() => 'done', (error) => error.name)
`

test('whatever a signal throws ends its work at most, and close() releases all of the manager', () => {
  const { value } = runChild<Record<string, string>>(
    `${signals}
    const seen = {}
    for (const { name } of signals()) {
      const manager = new MemoryManager({ isolated: true })
      const signal = () => signals().find((each) => each.name === name)
      const model = manager.open(${JSON.stringify(samplePath)})
      const streamed = async () => { for await (const chunk of model.stream({ signal: signal() })) chunk.release() }
      const pool = await manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, maxBytes: MiB })
      const held = pool.allocate(MiB)
      pool.onReclaim(() => false)
      const outcomes = await Promise.all([
        outcome(streamed()),
        outcome(model.load('output_norm.weight', { signal: signal() })),
        outcome(pool.allocateAsync(MiB, { signal: signal() })),
        outcome(manager.system.allocate(MiB, { signal: signal() })),
        outcome(pool.defragment({ signal: signal() })),
      ])
      await manager.close()
      await manager.close()
      seen[name] = outcomes.join(' ') + ' ' + manager.budget.allocatedBytes + ' ' + pool.closed
    }
    return seen`,
  )
  for (const [name, outcomes] of Object.entries(value)) {
    const words = outcomes.split(' ')
    expect([name, ...words.slice(-2)]).toEqual([name, '0', 'true'])
    const known = ['done', 'AbortError', 'InvalidArgumentError', 'InsufficientMemoryError']
    expect([name, ...words.slice(0, -2).filter((word) => !known.includes(word))]).toEqual([name])
  }
  expect(value['addEventListener throws']).toMatch(/^AbortError AbortError AbortError/)
  expect(value['removeEventListener throws']).toMatch(/^done done InsufficientMemoryError/)
})

test('a signal that throws is the cause of the AbortError', async () => {
  const mine = new Error('mine')
  const signal = { aborted: false, removeEventListener() {}, addEventListener: () => Promise.reject(mine) }
  Object.assign(signal, {
    addEventListener() {
      throw mine
    },
  })
  await using manager = new MemoryManager({ isolated: true })
  const loading = manager.open(samplePath).load('output_norm.weight', { signal: signal as never })
  expect((await rejectedBy(AbortError, loading)).cause).toBe(mine)
})

test('a signal that closes the manager while it is listened to meets a whole load', () => {
  const { value } = runChild<string[]>(
    `${signals}
    const closing = (manager) => {
      const done = []
      const signal = broken('', { addEventListener: () => done.push(manager.close()), removeEventListener: () => done.push(manager.close()) })
      return { done, signal }
    }
    const seen = []
    for (const run of [
      (manager, signal) => manager.open(${JSON.stringify(samplePath)}).load('output_norm.weight', { signal }),
      async (manager, signal) => { for await (const _ of manager.open(${JSON.stringify(samplePath)}).stream({ signal })); },
    ]) {
      const manager = new MemoryManager({ isolated: true })
      const { signal, done } = closing(manager)
      seen.push(await outcome(run(manager, signal)))
      await Promise.all(done)
      seen.push(String(done.length > 1), String(manager.budget.allocatedBytes))
    }
    return seen`,
  )
  expect(value).toEqual(['AbortError', 'true', '0', 'AbortError', 'true', '0'])
})

test.each([
  ['throws', '() => { throw new Error("mine") }'],
  ['rejects', 'async () => { throw new Error("mine") }'],
  ['never settles', '() => new Promise(() => {})'],
  ['returns what throws when it is awaited', '() => ({ get then() { throw new Error("mine") } })'],
  ['closes the manager', 'function () { return this.manager.close() }'],
  ['closes its pool', 'function () { return this.pool.close() }'],
])('a callback that %s keeps neither close() nor close() from ending', (_, callback) => {
  const { value } = runChild<[string[], number, boolean]>(
    `const manager = new MemoryManager({ isolated: true })
    const pool = await manager.pools.create({ device: 'host', slabBytes: MiB, maxBytes: 4 * MiB })
    const callback = (${callback}).bind({ manager, pool })
    const buffers = await Promise.all([1, 2, 3, 4].map(() => pool.allocateAsync(MiB / 2)))
    buffers[0].release()
    pool.onReclaim(callback)
    manager.monitor.onReclaim('mine', callback)
    // As every sample is critical, the reclaim callbacks run.
    manager.monitor.start({ warnPercent: 0, criticalPercent: 0, intervalMs: 10, refuseAtCritical: false })
    const model = manager.open(${JSON.stringify(samplePath)})
    const mapped = await new Promise((resolve) => {
      buffers[1].withMapping(() => { resolve(); return callback() }).catch(() => {})
    })
    const outcome = (promise) => promise.then(() => 'done', (error) => error.name + ' ' + error.message.slice(0, 40))
    const work = Promise.all([
      outcome(pool.allocateAsync(8 * MiB)),
      outcome(pool.defragment({ veto: callback })),
      outcome(pool.defragment({ onMoved: callback })),
      outcome(model.load('output_norm.weight', { onProgress: callback })),
    ])
    await new Promise((resolve) => setTimeout(resolve, 50))
    await pool.close()
    await manager.close()
    await manager.close()
    const outcomes = await work
    // What is mapped stays until that ends, which one that never settles does not.
    return [outcomes, manager.budget.allocatedBytes, manager.closed]`,
  )
  const [outcomes, allocatedBytes, closed] = value
  expect(outcomes).toHaveLength(4)
  expect(closed).toBe(true)
  expect(allocatedBytes).toBeLessThanOrEqual(MiB)
})

test('a veto that cannot answer at once moves nothing', async () => {
  await using pool = await MemoryPool.create({ device: 'host', slabBytes: MiB })
  const buffers = []
  for (let i = 0; i < 8; i++) buffers.push(await pool.allocateAsync(MiB / 2))
  for (const [i, buffer] of buffers.entries()) if (i % 2 === 0) buffer.release()
  const before = pool.stats().heldBytes
  for (const veto of [async () => true, async () => Promise.reject(new Error('mine'))]) {
    const error = await rejectedBy(InvalidArgumentError, pool.defragment({ veto: veto as never }))
    expect(error).toMatchObject({ argument: 'veto', received: 'one that returns a promise' })
  }
  expect(pool.stats().heldBytes).toBe(before)
  expect((await pool.defragment({ veto: () => false })).movedCount).toBeGreaterThan(0)
})

test('what an asynchronous onProgress or onMoved rejects with ends the work', async () => {
  const mine = new RangeError('mine')
  const fail = async () => Promise.reject(mine)
  await using manager = new MemoryManager({ isolated: true })
  const streamed = async () => {
    for await (const chunk of manager.open(samplePath).stream({ onProgress: fail, chunkBytes: 1024 })) {
      chunk.release()
      await new Promise(setImmediate)
    }
  }
  await expect(streamed()).rejects.toBe(mine)
  await using pool = await MemoryPool.create({ device: 'host', slabBytes: MiB })
  const buffers = []
  for (let i = 0; i < 8; i++) buffers.push(await pool.allocateAsync(MiB / 2))
  for (const [i, buffer] of buffers.entries()) if (i % 2 === 0) buffer.release()
  await expect(pool.defragment({ onMoved: fail })).rejects.toBe(mine)
  expect((await pool.defragment()).complete).toBe(true)
})

test('a listener that throws as listeners are removed keeps close() from nothing', () => {
  const { value } = runChild<[string[], number, boolean]>(`
    const uncaught = []
    process.on('uncaughtException', ({ message }) => uncaught.push(message))
    const manager = new MemoryManager({ isolated: true })
    for (const event of ['removeListener', 'removeListener', 'warning', 'sample']) {
      manager.monitor.on(event, () => { throw new Error('mine') })
    }
    // One that adds others whenever one goes.
    manager.monitor.on('removeListener', () => manager.monitor.on('critical', () => {}))
    manager.monitor.start({ intervalMs: 1000 })
    const pool = await manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
    await manager.close()
    await turn()
    return [[...new Set(uncaught)], manager.budget.allocatedBytes, pool.closed]`)
  expect(value).toEqual([['mine'], 0, true])
})
