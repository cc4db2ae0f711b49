import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import * as plimsoll from 'plimsoll'
import { poolsPage, profilePage } from 'plimsoll/report'
import { root } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'
import { thrownBy } from './helpers/errors'
import { fakeCuda } from './helpers/fake-cuda'
import { samplePath, settled } from './helpers/models'

const { InvalidArgumentError } = plimsoll

// What the fuzzer of calls has found, by kind, and a short run of it; fuzz/README.md tells of the long ones.

const waits = () => new plimsoll.Admission(new plimsoll.MemoryBudget({ totalBytes: 1 }))

/** Every way in for a value that is checked: options, arrays, choices, sizes, names. */
const calls: [name: string, call: (value: never) => unknown][] = [
  ['options', (value) => plimsoll.machineMemory(value)],
  ['an option', (value) => new plimsoll.StagingPool({ budget: value })],
  ['a size', (value) => new plimsoll.StagingPool().get(value)],
  ['a label', (value) => new plimsoll.MemoryBudget({ totalBytes: 1 }).allocate(1, value)],
  ['a path', (value) => plimsoll.GgufFile.open(value)],
  ['an array of sizes', (value) => plimsoll.planNpuDomains(value)],
  ['an array of names', (value) => plimsoll.GgufFile.open(samplePath).stream({ tensors: value })],
  ['an array of snapshots', (value) => poolsPage(value)],
  ['the rows of a profile', (value) => profilePage(value)],
  ['a tensor', (value) => plimsoll.tensorDataBytes(value, 'raw')],
  ['a device', (value) => new plimsoll.MemoryManager({ device: value })],
  ['a budget to wait for', (value) => new plimsoll.Admission(value)],
  ['a bound of a queue', (value) => Object.assign(waits(), { maxWaiting: value })],
  ['a listener', (value) => waits().onChange(value)],
  ['an event', (value) => new plimsoll.MemoryManager().monitor.on('sample', value)],
]

const values: [name: string, make: () => unknown][] = [
  ['a proxy that was revoked', revoked],
  ['an object whose class has no name in text', () => ({ constructor: { name: Symbol('no text') } })],
  ['an array that says it is four billion long', () => Object.assign([], { length: 2 ** 32 - 1 })],
  ['a symbol', () => Symbol('hostile')],
]

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

describe.each(calls)('%s', (_, call) => {
  test.each(values)('that is %s is refused, with an error that says so', (_, make) => {
    expect(() => call(make() as never)).toThrow(InvalidArgumentError)
  })
})

test('an object that only looks like a URL is no path', () => {
  expect(() => plimsoll.GgufFile.open(Object.create(URL.prototype))).toThrow(InvalidArgumentError)
})

test.each(values)('a file to save to that is %s is refused', async (_, make) => {
  const profile = new plimsoll.MemoryProfile(new plimsoll.MemoryBudget({ totalBytes: 1 }))
  await expect(profile.save(make() as never, 'json')).rejects.toThrow(InvalidArgumentError)
})

test.each(values)('a request to wait for that is %s is refused, and so are its options', async (_, make) => {
  await expect(waits().acquire(make() as never)).rejects.toThrow(InvalidArgumentError)
  await expect(waits().acquire([make() as never])).rejects.toThrow(InvalidArgumentError)
  await expect(waits().acquire({ bytes: 1, label: 'a' }, make() as never)).rejects.toThrow(InvalidArgumentError)
})

test('a device that is a revoked proxy is refused', async () => {
  await expect(plimsoll.Device.open(revoked() as never)).rejects.toThrow(InvalidArgumentError)
})

const { Allocation, Device, DeviceBuffer, DeviceFamily, GgufArray, Grant, MemoryPool, MemoryPools, TensorChunk } =
  plimsoll

test.each(
  [Allocation, Device, DeviceBuffer, DeviceFamily, GgufArray, Grant, MemoryPool, MemoryPools, TensorChunk].map(
    (type) => [type.name, type as unknown as new () => unknown] as const,
  ),
)('new %s() is left to the package', (_, type) => {
  expect(() => new type()).toThrow(InvalidArgumentError)
})

test.each([Symbol('index'), 1n, {}, 'x'])('an index of metadata has to be a number: %p', (index) => {
  const model = plimsoll.GgufFile.open(samplePath)
  const array = model.metadata.get('tokenizer.ggml.tokens') as plimsoll.GgufArray
  expect(() => array.at(index as never)).toThrow(InvalidArgumentError)
  expect(() => array.slice(index as never)).toThrow(InvalidArgumentError)
  expect(() => array.slice(0, index as never)).toThrow(InvalidArgumentError)
})

test('names of tensors are those that were checked, whatever the array says the second time', () => {
  const model = plimsoll.GgufFile.open(samplePath)
  const name = model.tensors[0]?.name
  let asked = 0
  const names = new Proxy([name], { get: (target, key) => (key === '0' && asked++ > 0 ? 7 : Reflect.get(target, key)) })
  expect(() => model.stream({ tensors: names as string[] })).not.toThrow()
})

test('a chunk whose memory was moved away can still be released', async () => {
  const model = plimsoll.GgufFile.open(samplePath)
  for (const reuse of [false, true]) {
    for await (const chunk of model.stream({ reuse })) {
      const { buffer } = chunk.data
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })
      chunk.release()
      expect(chunk.data.length).toBe(0)
      break
    }
  }
})

/** What a script may have made of the arrays that it was given. */
const liars: [name: string, lie: (data: Uint8Array) => void][] = [
  ['a byteLength that throws', ({ buffer }) => Object.defineProperty(buffer, 'byteLength', { get: mine })],
  ['a byteLength of 0', ({ buffer }) => Object.defineProperty(buffer, 'byteLength', { value: 0 })],
  ['an array with a byteLength that throws', (data) => Object.defineProperty(data, 'byteLength', { get: mine })],
  ['an array with a byteLength of 0', (data) => Object.defineProperty(data, 'byteLength', { value: 0 })],
  ['a slice() that throws', (data) => [data, data.buffer].map((of) => Object.assign(of, { slice: mine }))],
  ['a species that throws', (data) => [data, data.buffer].map((of) => Object.assign(of, { constructor: species }))],
]
const species = { [Symbol.species]: mine }

function mine(): never {
  throw new Error('mine')
}

/** How long an array is, whatever it says. */
const lengthOf = (data: Uint8Array): number =>
  Reflect.get(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength', data) as number

describe.each(liars)('memory with %s', (_, lie) => {
  test.each([4096, 1024 * 1024])('of a chunk of %d bytes is kept, or goes back', async (chunkBytes) => {
    const model = plimsoll.GgufFile.open(samplePath)
    const pool = new plimsoll.StagingPool()
    const seen: { data: Uint8Array; copy: Buffer }[] = []
    for await (const chunk of model.stream({ staging: pool, chunkBytes, reuse: true })) {
      const copy = Buffer.from(chunk.data)
      lie(chunk.data)
      seen.push({ data: chunk.keep(), copy })
      if (seen.length > 2) break
    }
    expect(seen.every(({ data, copy }) => copy.equals(new Uint8Array(data)))).toBe(true)
    for await (const chunk of model.stream({ staging: pool, chunkBytes, reuse: true })) {
      const { data } = chunk
      lie(data)
      chunk.release()
      expect(lengthOf(data)).toBe(0)
      break
    }
    await settled(pool)
    expect(pool.stats().inUseBytes).toBe(0)
  })

  test('of a staging buffer goes back, or is kept', async () => {
    const pool = new plimsoll.StagingPool()
    const [back, kept] = [pool.get(4096), pool.get(4096)]
    lie(back.data)
    lie(kept.data)
    back.release()
    expect(lengthOf(back.data)).toBe(0)
    expect(lengthOf(kept.keep())).toBe(4096)
    await settled(pool)
    expect(pool.stats().inUseBytes).toBe(0)
  })

  test('of a device is no longer mapped when the use has ended', async () => {
    await using pool = await plimsoll.MemoryPool.create({ device: 'host' })
    const buffer = await pool.allocateAsync(4096)
    const view = await buffer.withMapping((mapped) => {
      lie(mapped)
      return mapped
    })
    expect(lengthOf(view)).toBe(0)
    buffer.release()
    expect(pool.stats().bufferCount).toBe(0)
  })
})

/** Runs something while every object has a property that it was not given. */
function inherited<T>(name: string, descriptor: PropertyDescriptor, run: () => T): T {
  Object.defineProperty(Object.prototype, name, { configurable: true, ...descriptor })
  try {
    return run()
  } finally {
    Reflect.deleteProperty(Object.prototype, name)
  }
}

describe('a list that says that it is much longer than it is', () => {
  const claims = [2 ** 24, 2 ** 33, 2 ** 45]
  const list = (length: number, item: unknown) =>
    new Proxy([], { get: (_target, key) => (key === 'length' ? length : item) })

  test.each(claims)('of %d tensors is refused at once', (length) => {
    const model = plimsoll.GgufFile.open(samplePath)
    const stream = () => model.stream({ tensors: list(length, 'output.weight') as string[] })
    expect(thrownBy(InvalidArgumentError, stream).message).toContain('at most 1048576')
  })

  test.each(claims)('of %d sizes is refused at once', (length) => {
    const plan = () => plimsoll.planNpuDomains(list(length, 1) as number[])
    expect(thrownBy(InvalidArgumentError, plan).message).toContain('at most 1048576')
  })

  test('or has a length that is no number, is refused, too', () => {
    const model = plimsoll.GgufFile.open(samplePath)
    const stream = () => model.stream({ tensors: list(Symbol('long') as never, 'output.weight') as string[] })
    expect(thrownBy(InvalidArgumentError, stream).argument).toBe('tensors')
  })

  test('of an array of metadata is refused at once', () => {
    const model = plimsoll.GgufFile.open(samplePath)
    const words = model.metadata.get('tokenizer.ggml.tokens') as plimsoll.GgufArray
    expect(() => words.toArray.call(Object.assign([], { length: 2 ** 32 - 1 }))).toThrow()
    expect(words.toArray()).toHaveLength(words.length)
  })
})

test('a stream of Node.js takes no option of ours from the prototype of all objects', () => {
  const get = jest.fn()
  const model = plimsoll.GgufFile.open(samplePath)
  inherited('chunkBytes', { get }, () => model.createReadStream('output_norm.weight').destroy())
  expect(get).not.toHaveBeenCalled()
})

test.each<[name: string, value: unknown]>([
  ['encoding', 'hex'],
  ['defaultEncoding', 'hex'],
  ['objectMode', true],
  ['readableObjectMode', true],
  ['signal', AbortSignal.abort()],
  ['construct', () => {}],
  ['emitClose', false],
  ['autoDestroy', false],
  ['captureRejections', true],
])('a stream of Node.js gives the same bytes where every object has %s', async (name, value) => {
  const model = plimsoll.GgufFile.open(samplePath)
  const expected = Buffer.from(await model.load('output_norm.weight'))
  const stream = inherited(name, { value }, () => model.createReadStream('output_norm.weight', { chunkBytes: 64 }))
  const closed = new Promise((resolve) => stream.once('close', resolve))
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  await closed
  const { readableObjectMode, destroyed } = stream as unknown as Readable
  expect([Buffer.concat(parts).equals(expected), readableObjectMode, destroyed]).toEqual([true, false, true])
  expect(parts.length).toBeGreaterThan(1)
})

describe('what is given to be read counts only where it is the object’s own:', () => {
  test.each(['sizeBytes', 'elementCount'] as const)('the %s of a tensor', (name) => {
    const as = name === 'sizeBytes' ? 'raw' : 'f32'
    const bytes = () => inherited(name, { value: 7 }, () => plimsoll.tensorDataBytes({} as never, as))
    expect(thrownBy(InvalidArgumentError, bytes).argument).toBe(`tensor.${name}`)
  })

  test('the members of a snapshot, and those of its blocks', async () => {
    await using pool = await plimsoll.MemoryPool.create({ device: 'host' })
    using _buffer = await pool.allocateAsync(4096, { label: 'mine' })
    const snapshot = JSON.parse(JSON.stringify(pool.snapshot()))
    const parts = {
      label: snapshot,
      heldBytes: snapshot.stats,
      blocks: snapshot.slabs[0],
      pinned: snapshot.slabs[0].blocks[0],
    }
    for (const [name, part] of Object.entries(parts)) {
      const { [name]: value, ...others } = part
      const text = JSON.stringify(snapshot, (_key, each) => (each === part ? others : each))
      const parse = () => inherited(name, { value }, () => plimsoll.parsePoolSnapshots(text))
      expect(thrownBy(InvalidArgumentError, parse).argument).toContain(name)
    }
    const page = poolsPage([snapshot])
    expect(inherited('requestedBytes', { value: 1 }, () => poolsPage([snapshot]))).toBe(page)
  })
})

/** Runs the fuzzer; what it found is what it printed. */
function fuzz(...args: string[]): { status: number | null; output: string } {
  const env = { ...process.env, PLIMSOLL_FAKE_CUDA: fakeCuda }
  const script = resolve(root, 'fuzz/api/run.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { env, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

describe('a short run of the fuzzer', () => {
  const natively = unlessEmulated(test, 'its calls take minutes')

  natively(
    'finds nothing in every call that is exported',
    () => {
      const { status, output } = fuzz('--seed', '1', '--runs', '8')
      // Whole where something was found: it says what, and how to run it again.
      expect(status === 0 ? '' : output).toBe('')
      expect(output).toContain(', 0 findings')
    },
    300_000,
  )

  natively(
    'finds that a proxy which was revoked is refused in every place of every call',
    () => {
      const { status, output } = fuzz('--revoked', '--seed', '1', '--runs', '1', '--steps', '1')
      expect(status === 0 ? '' : output).toBe('')
    },
    300_000,
  )

  natively(
    'finds that workers which are terminated leave nothing',
    () => {
      const { status, output } = fuzz('--storm', '40')
      expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining('left in the budget: 0 bytes') })
      expect(output).toContain('small lent chunks')
    },
    300_000,
  )
})
