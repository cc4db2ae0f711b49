import { on, once } from 'node:events'
import { join } from 'node:path'
import { inspect } from 'node:util'
import {
  Admission,
  Device,
  GgufFile,
  InvalidArgumentError,
  IoError,
  MemoryBudget,
  MemoryManager,
  MemoryMonitor,
  MemoryPool,
  MemoryProfile,
  MiB,
  StagingPool,
} from 'plimsoll'
import { root, runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { wide } from './helpers/monitors'

const sample = join(root, 'examples/models/plimsoll-sample-llama.gguf')

/** One of each class, and what is seen of it. */
async function objects() {
  const budget = MemoryBudget.forBoard('orin-nano-8gb')
  const model = GgufFile.open(sample)
  const chunks = model.stream({ tensors: ['output_norm.weight'] })
  const chunk = (await chunks.next()).value
  const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, label: 'weights' })
  const tokens = model.metadata.getArray('tokenizer.ggml.tokens')
  const shown: [object, Record<string, unknown>][] = [
    [budget, { lineBytes: 6144 * MiB, allocatedBytes: 5 }],
    [budget.allocate(5, 'guard'), { label: 'guard', sizeBytes: 5, released: false }],
    [model, { path: sample, architecture: 'llama', fileType: 'Q4_K_M' }],
    [model.metadata, { 'general.architecture': 'llama', 'llama.context_length': 512 }],
    [tokens as object, { elementType: 'string', length: 768 }],
    [chunk as object, { tensor: 'output_norm.weight', elementStart: 0, byteLength: 1024 }],
    [pool, { label: 'weights', device: 'host', closed: false, heldBytes: MiB }],
    [pool.allocate(1000, { label: 'buffer' }), { label: 'buffer', sizeBytes: 1000, released: false }],
    [pool.device, { name: 'host', kind: 'host' }],
    [new Admission(budget), { maxWaiting: 512, closed: false }],
    [await new Admission(budget).acquire({ bytes: 0, label: 'grant' }), { label: 'grant', bytes: 0, released: false }],
    [new StagingPool(), { heldBytes: 0 }],
    [new StagingPool().get(4096), { byteLength: 4096 }],
    [new MemoryManager(), { poolCount: 0 }],
    [new MemoryMonitor(budget), { running: false, level: 'normal' }],
    [new MemoryProfile(budget), { running: false }],
    [new MemoryManager().pools, { pools: [] }],
    [new MemoryManager().system, {}],
  ]
  return { shown, pool, chunks }
}

describe('an object of every class', () => {
  let made: Awaited<ReturnType<typeof objects>>
  beforeAll(async () => {
    made = await objects()
  })
  afterAll(async () => {
    await made.chunks.return()
    await made.pool.close()
  })

  test('shows what it is to util.inspect, and says the same as JSON', () => {
    for (const [object, expected] of made.shown) {
      const name = object.constructor.name
      expect(inspect(object)).toMatch(new RegExp(`^${name} \\{`))
      for (const key of Object.keys(expected)) expect(inspect(object, { depth: 0, compact: false })).toContain(key)
      expect(JSON.parse(JSON.stringify(object))).toMatchObject(expected)
    }
  })

  test('is a name where it lies too deep', () => {
    const [budget] = made.shown[0] as [object, unknown]
    expect(inspect([[[budget]]], { depth: 1 })).toContain('[Array]')
    expect(inspect([budget], { depth: 0 })).toContain('[MemoryBudget]')
  })

  test('is a name where it is asked of what is none of its class, without end or not', () => {
    for (const [object] of made.shown) {
      const { toJSON, [inspect.custom]: inspected } = object as unknown as Record<PropertyKey, () => unknown>
      for (const other of [new Array(2 ** 32 - 1), undefined, Object.getPrototypeOf(object)]) {
        expect(Reflect.apply(inspected as () => string, other, [2, {}])).toBe(`[${object.constructor.name}]`)
        expect(Reflect.apply(toJSON as () => object, other, [])).toEqual({})
      }
    }
  })

  // Node.js can be told so from 22.10 on, as the documents say.
  const refuses = 'markAsUncloneable' in process.getBuiltinModule('node:worker_threads')
  ;(refuses ? test : test.skip)('is refused by structuredClone and postMessage', () => {
    for (const [object] of made.shown) expect(() => structuredClone(object)).toThrow(/could not be cloned|Cannot clone/)
  })
})

describe('a monitor', () => {
  const monitorOf = () => new MemoryMonitor(wide())

  test('is an EventEmitter: events.once and events.on take it', async () => {
    using monitor = monitorOf()
    monitor.start({ intervalMs: 10 })
    const [sample] = await once(monitor, 'sample')
    expect(sample).toHaveProperty('usedPercent')
    for await (const [next] of on(monitor, 'sample')) {
      expect(next).toHaveProperty('level')
      break
    }
    expect(monitor.listenerCount('sample')).toBe(0)
  })

  test('has the other methods of one, and refuses events that there are none of', () => {
    using monitor = monitorOf()
    const seen: string[] = []
    const listener = () => seen.push('on')
    monitor.on('warning', listener).prependListener('warning', () => seen.push('first'))
    monitor.prependOnceListener('critical', () => seen.push('once'))
    expect(monitor.eventNames()).toEqual(['warning', 'critical'])
    for (const event of ['warning', 'critical', 'critical']) monitor.emit(event)
    monitor.removeListener('warning', listener)
    monitor.emit('warning')
    expect(seen).toEqual(['first', 'on', 'once', 'first'])
    monitor.removeAllListeners('warning')
    expect(monitor.listenerCount('warning')).toBe(0)
    const misspelt = 'warnings' as 'warning'
    expect(thrownBy(InvalidArgumentError, () => monitor.addListener(misspelt, listener)).message).toContain('"warning"')
    thrownBy(InvalidArgumentError, () => monitor.once('warning', 5 as never))
  })

  test('goes on telling its iterations when every listener is removed', async () => {
    using monitor = monitorOf()
    const samples = monitor[Symbol.asyncIterator]()
    const next = samples.next()
    monitor.removeAllListeners()
    monitor.start({ intervalMs: 10 })
    expect((await next).done).toBe(false)
    await samples.return()
  })
})

test("a system's error has the names of Node.js's own, and none of Rust's words", () => {
  const missing = thrownBy(IoError, () => GgufFile.open('nowhere.gguf'))
  expect(missing).toMatchObject({ code: 'ERR_IO', errno: 2, errnoName: 'ENOENT', syscall: 'open' })
  expect(missing.message).toBe('nowhere.gguf: No such file or directory')
  const folder = thrownBy(IoError, () => GgufFile.open(root))
  expect([folder.errno, folder.errnoName, folder.syscall]).toEqual([undefined, undefined, undefined])
})

test('a realm without Symbol.dispose gets it, by the names that compilers fall back to', () => {
  const script = `
    const [{ createRequire, wrap }, { readFileSync }, { dirname }, vm] = ['module', 'fs', 'path', 'vm'].map((name) => require('node:' + name))
    const realm = vm.createContext({ process, setImmediate, setTimeout, clearTimeout, queueMicrotask, performance, AbortSignal, URL })
    vm.runInContext('for (const name of ["dispose", "asyncDispose"]) delete Symbol[name]', realm)
    const without = vm.runInContext('[typeof Symbol.dispose, typeof Symbol.asyncDispose]', realm)
    const load = (entry, from) => {
      const module = { exports: {} }
      const requires = (id) => (id.startsWith('./') ? load(require.resolve(id, { paths: [dirname(entry)] })) : createRequire(entry)(id))
      vm.runInContext(wrap(readFileSync(entry, 'utf8')), realm)(module.exports, requires, module, entry, dirname(entry))
      return module.exports
    }
    realm.plimsoll = load(require.resolve('plimsoll'))
    return [...without, ...vm.runInContext(\`
      const budget = new plimsoll.MemoryBudget({ totalBytes: 100 })
      const guard = budget.allocate(40, 'guard')
      const during = budget.allocatedBytes
      guard[Symbol.for('Symbol.dispose')]()
      ;[Symbol.dispose === Symbol.for('Symbol.dispose'), Symbol.asyncDispose === Symbol.for('Symbol.asyncDispose'), during, budget.allocatedBytes]
    \`, realm)]`
  const { value } = runChild(script)
  expect(value).toEqual([expect.any(String), expect.any(String), true, true, 40, 0])
})

test('a device that is open says so', async () => {
  const device = await Device.open('host')
  expect(inspect(device)).toContain("name: 'host'")
})
