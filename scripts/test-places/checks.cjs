// What the package must do wherever it runs, for a runtime and for a test runner alike.
const assert = require('node:assert/strict')
const { once } = require('node:events')
const { join } = require('node:path')
const { Worker } = require('node:worker_threads')
const plimsoll = require('plimsoll')

const { GgufFile, InsufficientMemoryError, MemoryBudget, MemoryManager, MemoryMonitor, MiB } = plimsoll

const model = join(__dirname, 'model.gguf')
/** Of the sample model; see examples/models. */
const LARGEST_WEIGHT = 1.0997040271759033

const budgetOf = (totalMib) => new MemoryBudget({ totalBytes: totalMib * MiB })

module.exports = {
  'a budget grants, refuses by a typed error, and a guard releases': () => {
    const budget = budgetOf(64)
    const guard = budget.allocate(MiB, 'weights')
    assert.equal(budget.allocatedBytes, MiB)
    assert.throws(
      () => budget.allocate(budget.lineBytes, 'too much'),
      (error) => error instanceof InsufficientMemoryError && error instanceof Error,
    )
    guard[Symbol.dispose]()
    assert.equal(budget.allocatedBytes, 0)
  },

  'a model is opened, and every tensor of it streamed': async () => {
    const file = GgufFile.open(model)
    assert.equal(file.architecture, 'llama')
    let largest = 0
    for await (const chunk of file.stream({ as: 'f32' })) {
      for (const weight of chunk.data) largest = Math.max(largest, Math.abs(weight))
    }
    assert.equal(largest, LARGEST_WEIGHT)
    file.close()
  },

  'a file that is none is a typed error': () => {
    assert.throws(() => GgufFile.open(__filename), { code: 'ERR_INVALID_GGUF' })
    assert.throws(() => GgufFile.open('/does/not/exist'), { code: 'ERR_IO' })
  },

  'a chunk that was released shows no bytes': async () => {
    const file = GgufFile.open(model)
    for await (const chunk of file.stream({ reuse: true })) {
      const { data } = chunk
      assert.ok(data.byteLength > 0)
      chunk.release()
      assert.equal(data.byteLength, 0)
      break
    }
    file.close()
  },

  'a stream ends when its signal is aborted': async () => {
    const file = GgufFile.open(model)
    const controller = new AbortController()
    const drain = async () => {
      for await (const _ of file.stream({ signal: controller.signal })) controller.abort()
    }
    await assert.rejects(drain(), { name: 'AbortError' })
    file.close()
  },

  'a pool of memory keeps what is written': async () => {
    const manager = new MemoryManager()
    const pool = await manager.pools.create({ device: 'host', label: 'places' })
    const buffer = await pool.allocateAsync(MiB, { label: 'cache' })
    await buffer.write(Uint8Array.of(1, 2, 3), { offsetBytes: 4 })
    assert.deepEqual([...(await buffer.read({ offsetBytes: 4, lengthBytes: 3 }))], [1, 2, 3])
    buffer.release()
    await manager.close()
    assert.equal(manager.budget.allocatedBytes, 0)
  },

  'a monitor emits its samples': async () => {
    const monitor = new MemoryMonitor(MemoryBudget.forThisMachine({ isolated: true }))
    // A monitor keeps no program running; this check must.
    const running = setTimeout(() => {}, 60_000)
    monitor.start({ intervalMs: 10 })
    const [sample] = await once(monitor, 'sample')
    assert.ok(sample.usedPercent > 0)
    monitor.close()
    clearTimeout(running)
  },

  'a worker counts into the account of its process': async () => {
    const budget = MemoryBudget.forThisMachine()
    const before = budget.allocatedBytes
    const worker = new Worker(join(__dirname, 'worker.cjs'))
    const [said] = await once(worker, 'message')
    assert.equal(said, 'allocated')
    assert.equal(budget.allocatedBytes - before, MiB)
    worker.postMessage('release')
    const [then] = await once(worker, 'message')
    assert.equal(then, 'released')
    assert.equal(budget.allocatedBytes, before)
    await worker.terminate()
  },

  'one module, imported or required': async () => {
    const imported = await import('plimsoll')
    assert.equal(imported.MemoryBudget, MemoryBudget)
  },
}
