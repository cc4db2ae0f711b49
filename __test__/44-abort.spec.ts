import { getEventListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import { AbortError, GgufFile, MemoryManager, MiB, StagingPool, type TensorChunk } from 'plimsoll'
import { runChild } from './helpers/child'
import { joined, pause, samplePath, scratch, settled, stored, tensorOf, writeLargeModel } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const file = scratch()
const path = writeLargeModel(file('64-mib.gguf'), 64)
const model = GgufFile.open(path)
const largest = [...model.tensors].sort((a, b) => b.sizeBytes - a.sizeBytes)[0]?.name as string
afterAll(() => model.close())

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

/** Streams to the end, and counts the chunks. */
async function counted(stream: AsyncIterable<TensorChunk>): Promise<number> {
  let count = 0
  for await (const _ of stream) count++
  return count
}

describe('an aborted signal', () => {
  test('ends a stream and a load before they read anything', async () => {
    const pool = new StagingPool()
    const reason = { why: 'not wanted any more' }
    const signal = AbortSignal.abort(reason)
    const onProgress = jest.fn()
    const error = await rejectedBy(AbortError, counted(model.stream({ signal, staging: pool, onProgress })))
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    const into = new Uint8Array(tensorOf(model, largest).sizeBytes)
    const loading = await rejectedBy(AbortError, model.load(largest, { signal, into, onProgress }))
    expect(loading.cause).toBe(reason)
    expect(onProgress).not.toHaveBeenCalled()
    expect(pool.stats()).toMatchObject({ hits: 0, misses: 0 })
    expect(into.every((byte) => byte === 0)).toBe(true)
    expect(listeners(signal)).toBe(0)
  })

  test('ends a stream between two chunks of one unit', async () => {
    const controller = new AbortController()
    let count = 0
    const failing = async () => {
      for await (const _ of model.stream({ signal: controller.signal, chunkBytes: 1024 })) {
        if (++count === 5) controller.abort()
      }
    }
    await rejectedBy(AbortError, failing())
    expect(count).toBe(5)
  })

  test.each(['raw', 'f32'] as const)('ends a stream of %s at the next chunk, and its buffers return', async (as) => {
    const pool = new StagingPool()
    for (const abortAt of [1, 2, 3, 20]) {
      const controller = new AbortController()
      const { signal } = controller
      const views: { length: number }[] = []
      const failing = async () => {
        for await (const { data } of model.stream({ signal, staging: pool, as, reuse: true })) {
          if (views.push(data) === abortAt) controller.abort()
        }
      }
      const error = await rejectedBy(AbortError, failing())
      expect(error.cause).toBe(signal.reason)
      expect((error.cause as Error).name).toBe('AbortError')
      expect(views).toHaveLength(abortAt)
      expect(views.every(({ length }) => length === 0)).toBe(true)
      expect(listeners(signal)).toBe(0)
      await settled(pool)
    }
  })

  test('ends a stream whose consumer waits for a chunk', async () => {
    const controller = new AbortController()
    const stream = model.stream({ signal: controller.signal, as: 'f32' })
    const waiting = stream.next()
    controller.abort('now')
    expect((await rejectedBy(AbortError, waiting)).cause).toBe('now')
    expect(await stream.next()).toEqual({ done: true, value: undefined })
  })

  test('ends a stream at the chunk whose progress is told', async () => {
    const controller = new AbortController()
    const onProgress = ({ chunks }: { chunks: number }) => chunks === 3 && controller.abort()
    let count = 0
    const failing = async () => {
      for await (const _ of model.stream({ signal: controller.signal, onProgress: onProgress as () => void })) count++
    }
    await rejectedBy(AbortError, failing())
    expect(count).toBeLessThanOrEqual(3)
  })

  test('leaves the chunk in hand valid until the consumer goes on', async () => {
    const controller = new AbortController()
    const stream = model.stream({ signal: controller.signal, reuse: true })
    const { tensor, data, byteStart, byteEnd } = (await stream.next()).value as TensorChunk
    controller.abort()
    await pause(20)
    const expected = stored(readFileSync(path), tensorOf(model, tensor)).subarray(byteStart, byteEnd)
    expect(expected.equals(data as Uint8Array)).toBe(true)
    await rejectedBy(AbortError, stream.next())
    expect(data).toHaveLength(0)
  })

  test('that was aborted after the end changes nothing', async () => {
    const controller = new AbortController()
    const info = tensorOf(model, 'output_norm.weight')
    const found = await joined(model.stream({ signal: controller.signal, tensors: [info.name] }))
    const loaded = await model.load(info.name, { signal: controller.signal })
    controller.abort()
    await pause(5)
    expect(found.get(info.name)?.equals(loaded)).toBe(true)
    expect(loaded).toHaveLength(info.sizeBytes)
  })

  test('of AbortSignal.timeout() ends it with the timeout as cause', async () => {
    const failing = async () => {
      for await (const _ of model.stream({ signal: AbortSignal.timeout(30) })) await pause(10)
    }
    expect(((await rejectedBy(AbortError, failing())).cause as Error).name).toBe('TimeoutError')
  })

  test('of AbortSignal.any() ends it with the reason of the one that fired', async () => {
    const controller = new AbortController()
    const signal = AbortSignal.any([controller.signal, new AbortController().signal])
    const waiting = model.load(largest, { signal })
    controller.abort('this one')
    expect((await rejectedBy(AbortError, waiting)).cause).toBe('this one')
  })

  test.each([undefined, null, 0, new Error('mine')])('passes any reason on: %p', async (reason) => {
    const controller = new AbortController()
    controller.abort(reason)
    const error = await rejectedBy(AbortError, model.load(largest, { signal: controller.signal }))
    expect(error.cause).toBe(controller.signal.reason)
  })

  test('ends every stream and load that listens to it', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const work = [
      ...Array.from({ length: 4 }, () => counted(model.stream({ signal }))),
      ...Array.from({ length: 4 }, () => model.load(largest, { signal, as: 'f32' })),
    ]
    controller.abort('all')
    const errors = await Promise.all(work.map((promise) => rejectedBy(AbortError, promise)))
    expect(errors.map(({ cause }) => cause)).toEqual(work.map(() => 'all'))
    expect(listeners(signal)).toBe(0)
  })
})

describe('a signal', () => {
  test('is listened to no longer than a stream or load lasts, however it ends', async () => {
    const { signal } = new AbortController()
    const tensors = ['output_norm.weight']
    await counted(model.stream({ signal, tensors }))
    await model.load('output_norm.weight', { signal })
    for await (const _ of model.stream({ signal })) break
    model.stream({ signal })
    const failing = model.load(largest, {
      signal,
      onProgress: () => {
        throw new Error('no')
      },
    })
    await expect(failing).rejects.toThrow('no')
    await expect(model.load('no such tensor', { signal })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    expect(listeners(signal)).toBe(0)
  })

  test('may serve fifty streams and loads after each other without a warning', () => {
    const { stderr } = runChild(`
      const model = plimsoll.GgufFile.open(${JSON.stringify(samplePath)})
      const { signal } = new AbortController()
      for (let i = 0; i < 50; i++) {
        for await (const chunk of model.stream({ signal })) if (i % 2) break
        await model.load('output_norm.weight', { signal })
      }`)
    expect(stderr).toBe('')
  })

  test('may serve fifty loads at once without a warning', () => {
    const { stderr } = runChild(`
      const model = plimsoll.GgufFile.open(${JSON.stringify(samplePath)})
      const { signal } = new AbortController()
      await Promise.all(Array.from({ length: 50 }, () => model.load('output.weight', { signal })))`)
    expect(stderr).toBe('')
  })
})

describe('a stream ends', () => {
  test('when its consumer throws, with the consumer’s error', async () => {
    const pool = new StagingPool()
    const mine = new Error('mine')
    const failing = async () => {
      for await (const _ of model.stream({ staging: pool })) throw mine
    }
    await expect(failing()).rejects.toBe(mine)
    await settled(pool)
  })

  test('when onProgress throws, with its error', async () => {
    const pool = new StagingPool()
    const mine = new Error('mine')
    const onProgress = () => {
      throw mine
    }
    for (const chunkBytes of [1024, MiB]) {
      await expect(counted(model.stream({ staging: pool, chunkBytes, onProgress }))).rejects.toBe(mine)
      await settled(pool)
    }
  })

  test('when it is returned or thrown into, before and after its first chunk', async () => {
    const pool = new StagingPool()
    const mine = new Error('mine')
    expect(await model.stream({ staging: pool }).return()).toEqual({ done: true, value: undefined })
    await expect(model.stream({ staging: pool }).throw(mine)).rejects.toBe(mine)
    for (const end of ['return', 'throw'] as const) {
      const stream = model.stream({ staging: pool })
      await stream.next()
      await stream[end](mine as never).catch((error: unknown) => expect(error).toBe(mine))
      expect(await stream.next()).toEqual({ done: true, value: undefined })
      await settled(pool)
    }
  })

  test('by itself where others go on', async () => {
    const [left, whole] = [model.stream(), counted(model.stream())]
    for await (const _ of left) break
    expect(await whole).toBeGreaterThan(60)
  })
})

test('streams that were left behind leave no thread and no open file', () => {
  const { value } = runChild<boolean[]>(`
    const { readFileSync, readdirSync } = require('node:fs')
    const threads = () => Number(/Threads:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
    const files = () => readdirSync('/proc/self/fd').length
    plimsoll.detectBoard() // It reads files of the system, of which it keeps one.
    await turn()
    const [threadsBefore, filesBefore] = [threads(), files()]
    for (let i = 0; i < 200; i++) {
      const model = plimsoll.GgufFile.open(${JSON.stringify(path)})
      const stream = model.stream({ as: 'f32' })
      await stream.next()
      await stream.return()
      model.close()
    }
    return [await settle(() => threads() <= threadsBefore), await settle(() => files() <= filesBefore)]`)
  expect(value).toEqual([true, true])
})

describe('closing a manager', () => {
  test('ends its streams and loads in flight, and resolves when their buffers are back', async () => {
    const manager = new MemoryManager({ isolated: true })
    const managed = manager.open(path)
    const waiting = managed.stream({ as: 'f32' })
    const first = waiting.next()
    const loading = managed.load(largest, { as: 'f32' })
    const idle = managed.stream({ reuse: true })
    const { data } = (await idle.next()).value as TensorChunk
    const ended = [rejectedBy(AbortError, loading), first.then(() => rejectedBy(AbortError, waiting.next()))]
    await first
    await manager.close()
    for (const error of await Promise.all(ended)) expect(error?.cause).toMatchObject({ code: 'ERR_RELEASED' })
    expect(data.length).toBeGreaterThan(0)
    await rejectedBy(AbortError, idle.next())
    expect(data).toHaveLength(0)
    await settled(manager.staging)
    expect(manager.budget.allocatedBytes).toBe(0)
    await manager.close()
  })

  test('leaves its files unable to read, and opens no more', async () => {
    const manager = new MemoryManager({ isolated: true })
    const managed = manager.open(path)
    const begun = managed.stream()
    await manager.close()
    await expect(counted(begun)).rejects.toMatchObject({ code: 'ERR_RELEASED' })
    await expect(managed.load(largest)).rejects.toMatchObject({ code: 'ERR_RELEASED' })
    await expect(managed.load(largest, { as: 'f32' })).rejects.toMatchObject({ code: 'ERR_RELEASED' })
    expect(() => manager.open(path)).toThrow(expect.objectContaining({ code: 'ERR_RELEASED' }))
  })
})

describe('a process ends by itself', () => {
  const open = `const model = plimsoll.GgufFile.open(${JSON.stringify(path)})`
  const largestName = JSON.stringify(largest)

  test.each([
    ['with a stream that nobody reads', 'model.stream()'],
    ['with a stream left after one chunk', 'globalThis.stream = model.stream(); await globalThis.stream.next()'],
    ['with a chunk that nobody releases', 'globalThis.chunk = (await model.stream().next()).value'],
    ['with four chunks asked for and none read', 'const s = model.stream(); s.next(); s.next(); s.next(); s.next()'],
    ['with a load that nobody awaits', `model.load(${largestName})`],
    [
      'with a signal still listening',
      'const { signal } = new AbortController(); globalThis.s = model.stream({ signal }); await s.next()',
    ],
    ['with a manager that was not closed', `const m = new MemoryManager(); await m.open(model.path).stream().next()`],
  ])('%s', (_name, body) => {
    expect(runChild(`${open}; ${body}`, { timeoutMs: 20_000 }).stderr).toBe('')
  })

  test('with an abandoned stream collected, whose buffers then return', () => {
    const { value } = runChild(
      `${open}
      const pool = new StagingPool()
      await (async () => { for (let i = 0; i < 5; i++) await model.stream({ staging: pool }).next() })()
      return collect(() => pool.stats().inUseCount === 0)`,
      { flags: ['--expose-gc'] },
    )
    expect(value).toBe(true)
  })

  test('on process.exit() while reading and converting, with that code', () => {
    for (const work of [`model.load(${largestName}, { as: 'f32' })`, `model.stream({ as: 'f32' }).next()`]) {
      const body = `process.on('exit', () => require('node:fs').writeSync(1, '\\nnull')); ${open}; ${work}; process.exit(0)`
      for (let i = 0; i < 5; i++) expect(runChild(body).stderr).toBe('')
    }
  })
})

describe('a worker that is terminated in the middle', () => {
  test.each([
    ['of a stream', 'for (;;) for await (const chunk of model.stream({ chunkBytes: 65536 })) tell()'],
    [
      'of a stream that lends',
      'for (;;) for await (const chunk of model.stream({ chunkBytes: 65536, reuse: true })) tell()',
    ],
    ['of a converting stream', "for (;;) for await (const chunk of model.stream({ as: 'f32' })) tell()"],
    [
      'of a stream whose chunks it keeps',
      'const all = []; for await (const chunk of model.stream({ reuse: true })) { all.push(chunk.keep()); tell() }',
    ],
    ['of a load', `for (;;) await model.load(${JSON.stringify(largest)}, { as: 'f32', onProgress: tell })`],
  ])(
    '%s leaves the process whole',
    (_name, body) => {
      const { value, stderr } = runChild<number>(
        `
      const { Worker } = require('node:worker_threads')
      const code = ${JSON.stringify(`
        const { parentPort, workerData } = require('node:worker_threads')
        const { GgufFile } = require(workerData.entry)
        const model = GgufFile.open(workerData.path)
        const tell = () => parentPort.postMessage(0)
        ;(async () => { ${body} })()`)}
      const workerData = { entry: require.resolve('./dist/index.js'), path: ${JSON.stringify(path)} }
      let terminated = 0
      for (let i = 0; i < 20; i++) {
        const worker = new Worker(code, { eval: true, workerData })
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
        await new Promise((resolve) => setTimeout(resolve, i % 7))
        await worker.terminate()
        terminated++
      }
      for await (const chunk of plimsoll.GgufFile.open(workerData.path).stream());
      return terminated`,
      )
      expect({ value, stderr }).toEqual({ value: 20, stderr: '' })
    },
    60_000,
  )
})
