import { resolve } from 'node:path'
import { root, runChild } from './helpers/child'
import { samplePath, scratch, writeLargeModel } from './helpers/models'
import { steal } from './helpers/steal'

// A script may take memory back while native work is under way on it: release it, transfer it, detach it, shrink it. What
// a thread reads or writes is held by the work; so nothing ends in a signal, and nobody else's memory is written to.

const file = scratch()
let model: string
beforeAll(() => {
  model = writeLargeModel(file('large.gguf'), 64)
})

const timed = { timeoutMs: 120_000 }

/** The largest tensor as floats, and a pool of a device with a buffer of 32 MiB. */
const start = () => `
  const { GgufFile } = plimsoll
  const model = GgufFile.open(${JSON.stringify(model)})
  const { name, elementCount } = [...model.tensors].sort((a, b) => b.sizeBytes - a.sizeBytes)[0]
  const bytes = 4 * elementCount
  const devices = await MemoryPool.create({ device: 'host', slabBytes: 32 * MiB, initialBytes: 32 * MiB })
  const buffer = devices.allocate(32 * MiB)
  const outcome = (promise) => promise.then(() => 'done', (error) => error.code ?? error.message)
  const moved = (view) => structuredClone(view.buffer, { transfer: [view.buffer] })
  const tally = (list) => Object.fromEntries([...new Set(list)].sort().map((it) => [it, list.filter((other) => other === it).length]))`

const outcomes = (body: string) => runChild<Record<string, number>>(`${start()}\n${body}`, timed).value

describe('native work whose memory a script takes back', () => {
  test('write() of a chunk in a loop that something else left', () => {
    expect(
      outcomes(`
        const all = []
        const fill = async (reuse) => {
          for await (const chunk of model.stream({ chunkBytes: 16 * MiB, reuse })) {
            const written = buffer.write(chunk.data)
            all.push(outcome(written))
            await Promise.all([written, Promise.reject(new Error('mine'))])
          }
        }
        for (let round = 0; round < 10; round++) await fill(round % 2 === 0).catch(() => {})
        return tally(await Promise.all(all))`),
    ).toEqual({ done: 10 })
  })

  test('write() of a staging buffer that is released at once: what it held is written', () => {
    expect(
      outcomes(`
        const pool = new StagingPool({ maxHeldBytes: 64 * MiB })
        const all = []
        for (let round = 0; round < 10; round++) {
          const pooled = pool.get(32 * MiB)
          pooled.data.fill(round)
          const written = buffer.write(pooled.data)
          pooled.release()
          await turn()
          const next = pool.get(32 * MiB)
          next.data.fill(255)
          await written
          next.release()
          all.push((await buffer.read()).every((byte) => byte === round) ? 'right' : 'wrong')
        }
        return tally(all)`),
    ).toEqual({ right: 10 })
  })

  test('load() into a staging buffer that is released: whoever has its memory next keeps what is theirs', () => {
    expect(
      outcomes(`
        const pool = new StagingPool({ maxHeldBytes: 256 * MiB })
        const all = []
        for (const as of ['f32', 'raw', 'f32', 'raw', 'f32', 'raw']) {
          const pooled = pool.get(bytes)
          const loaded = outcome(model.load(name, { as, into: pooled.data }))
          await turn()
          pooled.release()
          await turn()
          const next = pool.get(bytes)
          next.data.fill(7)
          all.push(await loaded, next.data.every((byte) => byte === 7) ? 'kept' : 'overwritten')
          next.release()
          await turn()
        }
        return tally(all)`),
    ).toEqual({ ERR_INVALID_ARGUMENT: 6, kept: 6 })
  })

  test('load() into a staging buffer whose pool keeps nothing', () => {
    expect(
      outcomes(`
        const pool = new StagingPool({ maxHeldBytes: 0 })
        const all = []
        for (let round = 0; round < 10; round++) {
          const pooled = pool.get(bytes)
          try {
            all.push(outcome(model.load(name, { as: 'f32', into: pooled.data })))
            await turn()
          } finally {
            pooled.release()
          }
        }
        return tally(await Promise.all(all))`),
    ).toEqual({ ERR_INVALID_ARGUMENT: 10 })
  })

  test('load() into an array that is transferred, and its memory collected', () => {
    const body = `${start()}
      const all = []
      for (let round = 0; round < 10; round++) {
        const into = new Float32Array(elementCount)
        all.push(outcome(model.load(name, { as: 'f32', into })))
        for (let turns = 0; turns < round; turns++) await turn()
        moved(into)
        gc()
      }
      return tally(await Promise.all(all))`
    expect(runChild(body, { ...timed, flags: ['--expose-gc'] }).value).toEqual({ ERR_INVALID_ARGUMENT: 10 })
  })

  test('load() into a resizable array that hides what it is is refused', () => {
    expect(
      outcomes(`
        const into = new ArrayBuffer(bytes, { maxByteLength: 2 * bytes })
        Object.defineProperties(into, { resizable: { value: false }, [Symbol.toStringTag]: { value: 'ArrayBuffer' } })
        const view = Object.defineProperty(new Uint8Array(into), 'buffer', { value: new ArrayBuffer(bytes) })
        const all = [outcome(model.load(name, { as: 'f32', into })), outcome(model.load(name, { as: 'f32', into: view }))]
        into.resize(0)
        return tally(await Promise.all(all))`),
    ).toEqual({ ERR_INVALID_ARGUMENT: 2 })
  })

  test('write() of an array of many pieces, and read() into one, that are transferred on the way', () => {
    expect(
      outcomes(`
        const all = []
        for (let round = 0; round < 10; round++) {
          const [from, into] = [new Uint8Array(32 * MiB), new Uint8Array(32 * MiB)]
          all.push(outcome(buffer.write(from)), outcome(buffer.read({ into })))
          await turn()
          moved(from)
          moved(into)
        }
        return tally(await Promise.all(all))`),
    ).toEqual({ ERR_INVALID_ARGUMENT: 20 })
  })

  test('write() and load() with memory of a map that has ended', () => {
    expect(
      outcomes(`
        const target = (await MemoryPool.create({ device: 'host', slabBytes: 32 * MiB, initialBytes: 32 * MiB })).allocate(32 * MiB)
        const all = []
        for (let round = 0; round < 10; round++) {
          await buffer.withMapping((view) => {
            // Without the buffer that the package would know it by.
            const hidden = Object.defineProperty(view, 'buffer', { value: new ArrayBuffer(8) })
            all.push(outcome(target.write(hidden)), outcome(model.load(name, { as: 'f32', into: hidden })))
          })
        }
        return tally(await Promise.all(all))`).done,
    ).toBeGreaterThan(0)
  })

  test('arrays of the package own making are in no reach while it fills them, whatever a script puts in place of its classes', () => {
    expect(
      outcomes(`
        const made = []
        for (const type of ['ArrayBuffer', 'Uint8Array', 'Float32Array']) {
          globalThis[type] = class extends globalThis[type] {
            constructor(...args) { super(...args); made.push(this.buffer ?? this) }
          }
        }
        const all = [model.load(name, { as: 'f32' }), buffer.read(), buffer.read({ into: new Uint8Array(32 * MiB) })].map(outcome)
        await turn()
        for (const buffer of made) if (buffer.byteLength > 0) structuredClone(buffer, { transfer: [buffer] })
        return tally(await Promise.all(all))`).done,
    ).toBe(2)
  })
})

test('write() that is not waited for goes on to its end, whatever is released meanwhile', () => {
  expect(
    outcomes(`
      const from = new Uint8Array(32 * MiB).fill(3)
      const { fd, offsetBytes } = await (async () => {
        const files = await MemoryPool.create({ device: { kind: 'host', memoryFile: true }, slabBytes: 32 * MiB, initialBytes: 32 * MiB })
        const shared = files.allocate(32 * MiB)
        const exported = await shared.exportFd()
        const written = shared.write(from)
        shared.release()
        await written
        return exported
      })()
      const seen = Buffer.alloc(MiB)
      require('node:fs').readSync(fd, seen, 0, MiB, offsetBytes + 31 * MiB)
      return tally([String(seen.every((byte) => byte === 3))])`),
  ).toEqual({ true: 1 })
})

test('an array of metadata that a worker gave away lives longer than the worker', () => {
  const script = `
    const { Worker } = require('node:worker_threads')
    const worker = new Worker(\`
      const { GgufFile } = require(${JSON.stringify(resolve(root, 'dist/index.js'))})
      const { metadata } = GgufFile.open(${JSON.stringify(samplePath)})
      const arrays = [...metadata.keys()].map((key) => metadata.get(key)).filter((value) => ArrayBuffer.isView(value))
      const bytes = arrays.sort((a, b) => b.byteLength - a.byteLength)[0] ?? new Uint8Array(0)
      require('node:worker_threads').parentPort.postMessage([bytes.slice(), bytes], [bytes.buffer])\`, { eval: true })
    let received
    worker.on('message', (message) => { received = message })
    await new Promise((resolve) => worker.on('exit', resolve))
    const [copy, moved] = received
    return copy.length === moved.length && copy.every((value, at) => value === moved[at])`
  expect(runChild(script).value).toBe(true)
})

describe('keep() of memory that was moved away', () => {
  test('of a chunk is refused, and the stream goes on', () => {
    const script = `${steal}
      const model = plimsoll.GgufFile.open(${JSON.stringify(samplePath)})
      const count = async (options, onChunk) => {
        let chunks = 0
        for await (const chunk of model.stream(options)) { chunks++; await onChunk(chunk) }
        return chunks
      }
      const seen = []
      for (const chunkBytes of [4096, MiB]) {
        const options = { chunkBytes, reuse: true }
        const expected = await count(options, () => {})
        const codes = new Set()
        const chunks = await count(options, async (chunk) => {
          const stolen = await steal(new Uint8Array(chunk.data.buffer))
          try { chunk.keep() } catch (error) { codes.add(error.code) }
          try { chunk.keep() } catch (error) { codes.add(error.code) }
          if (stolen.length === 0) throw new Error('nothing was moved')
        })
        seen.push(chunks === expected, ...codes)
      }
      return seen`
    expect(runChild(script).value).toEqual([true, 'ERR_RELEASED', true, 'ERR_RELEASED'])
  })

  test('of a staging buffer is refused', () => {
    const script = `${steal}
      const pooled = new StagingPool().get(4096)
      await steal(new Uint8Array(pooled.data.buffer))
      try { return pooled.keep().length } catch (error) { return error.code }`
    expect(runChild(script).value).toBe('ERR_RELEASED')
  })
})

describe('workers that are terminated', () => {
  /** Runs workers on a body, four at a time, and terminates each a little later; what the budget of the process has then. */
  const storm = (count: number, body: string) =>
    runChild<number>(
      `
      const { Worker } = require('node:worker_threads')
      const options = "{ board: 'rk3588-32gb', maxBytes: 4 * MiB * 256 }"
      const source = \`
        const plimsoll = require(${JSON.stringify(resolve(root, 'dist/index.js'))})
        const { MiB, MemoryManager, MemoryPool, StagingPool } = plimsoll
        const { parentPort } = require('node:worker_threads')
        const manager = new MemoryManager(\${options})
        ;(async () => { \${${JSON.stringify(body)}} })()\`
      const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 4 * MiB * 256 })
      let begun = 0
      const run = async () => {
        while (begun++ < ${count}) {
          const worker = new Worker(source, { eval: true })
          await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
          await new Promise((resolve) => setTimeout(resolve, (begun * 7) % 20))
          await worker.terminate()
        }
      }
      await Promise.all([run(), run(), run(), run()])
      await settle(() => budget.allocatedBytes === 0)
      return budget.allocatedBytes`,
      { timeoutMs: 300_000 },
    ).value

  const small = `
    const model = manager.open(${JSON.stringify(samplePath)})
    const tensors = model.tensors.filter(({ blockBytes }) => blockBytes <= 64).map(({ name }) => name)
    parentPort.postMessage('begun')`

  test.each([true, false])('while they stream chunks of 64 bytes (reuse: %s) leave no byte behind', (reuse) => {
    const body = `${small}
      for (;;) for await (const chunk of model.stream({ tensors, chunkBytes: 64, reuse: ${reuse} })) chunk.data[0]++`
    expect(storm(60, body)).toBe(0)
  })

  test('while they load, read and write in every way leave no byte behind', () => {
    const body = `
      const model = manager.open(${JSON.stringify(model)})
      const { name, sizeBytes } = [...model.tensors].sort((a, b) => b.sizeBytes - a.sizeBytes)[0]
      const pool = new StagingPool({ budget: manager.budget })
      const devices = await MemoryPool.create({ device: 'host', budget: manager.budget, slabBytes: 32 * MiB, initialBytes: 32 * MiB })
      const buffer = devices.allocate(32 * MiB)
      parentPort.postMessage('begun')
      for (;;) {
        const pooled = pool.get(sizeBytes)
        await Promise.all([
          model.load(name),
          model.load(name, { into: new ArrayBuffer(sizeBytes) }),
          model.load(name, { into: pooled.data }),
          buffer.write(new Uint8Array(8 * MiB)),
          buffer.read(),
          buffer.read({ into: new Uint8Array(32 * MiB) }),
        ])
        await buffer.write(pooled.data)
        pooled.release()
      }`
    expect(storm(24, body)).toBe(0)
  })
})

test("work of Node.js's own on lent memory that was released, and its pool closed, ends in no signal", () => {
  const script = `
    const { open: openFile } = require('node:fs/promises')
    const { read } = require('node:fs')
    const { randomFill } = require('node:crypto')
    const zeros = await openFile('/dev/zero')
    let left = 0
    const done = () => { left -= 1 }
    for (let i = 0; i < 40; i++) {
      const pool = new StagingPool({ maxHeldBytes: 0 })
      const buffers = [pool.get(2 * MiB), pool.get(2 * MiB)]
      left += 2
      randomFill(buffers[0].data, done)
      read(zeros.fd, buffers[1].data, 0, 2 * MiB, 0, done)
      for (const buffer of buffers) buffer.release()
      pool.close()
      gc()
      await turn()
    }
    while (left > 0) await turn()
    await zeros.close()
    return 'ended'`
  expect(runChild(script, { flags: ['--expose-gc'] }).value).toBe('ended')
})
