import { copyFileSync, writeFileSync } from 'node:fs'
import {
  AbortError,
  type AcquireOptions,
  estimate,
  GgufFile,
  InvalidArgumentError,
  kvTypes,
  MemoryManager,
  MiB,
  type ModelMemoryEstimate,
  NeverFitsError,
  type OnEvict,
  ReleasedError,
  TimeoutError,
} from 'plimsoll'
import { guardLlama } from 'plimsoll/node-llama-cpp'
import { FakeLlama, type FakeModelOptions } from './helpers/fake-llama'
import { samplePath, scratch } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const file = scratch()
const managers: MemoryManager[] = []

/** A manager of so many bytes that no other counts in. */
function managerOf(maxBytes: number): MemoryManager {
  const manager = new MemoryManager({ isolated: true, headroom: false, safetyMarginPercent: 0, maxBytes } as never)
  managers.push(manager)
  return manager
}

afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.close()
})

const modelPath = samplePath

/** What a context needs beside the weights. */
const contextBytes = ({ kvCacheBytes, stateBytes, computeBoundBytes, outputBytes }: ModelMemoryEstimate) =>
  kvCacheBytes + stateBytes + computeBoundBytes + outputBytes

/** What the sample needs, as node-llama-cpp's default options run it. */
function needsOf(contextLength: number, options: object = {}): ModelMemoryEstimate {
  using model = GgufFile.open(samplePath, { headerOnly: true })
  return estimate(model, { contextLength, ubatch: 512, batch: 512, llamaCppVersion: '0.5', ...options })
}

const weightsBytes = needsOf(256).totals.loadingBytes

describe('a model and its context together', () => {
  test('are estimated, acquired as one, made, and released with the context and with the model', async () => {
    const manager = managerOf(100 * MiB)
    const llama = new FakeLlama()
    const loaded = await guardLlama(llama, manager).load({ modelPath }, { contextSize: 512, sequences: 2 })
    const needs = needsOf(512, { parallel: 2 })
    expect(loaded.estimate.totals).toEqual(needs.totals)
    expect(loaded.grant.allocations.map(({ sizeBytes }) => sizeBytes)).toEqual([weightsBytes, contextBytes(needs)])
    expect(manager.budget.allocatedBytes).toBe(needs.totals.peakBytes)
    expect(manager.budget.allocations().map(({ label }) => label)).toEqual([
      'weights of Plimsoll sample llama',
      'context of 512 x 2',
    ])
    expect(loaded.tokens.maxCacheTokens).toBe(1024)
    await loaded.context.dispose()
    expect(manager.budget.allocatedBytes).toBe(weightsBytes)
    expect(() => loaded.tokens.open('late')).toThrow(ReleasedError)
    await loaded.model.dispose()
    expect([manager.budget.allocatedBytes, loaded.grant.released, llama.live]).toEqual([0, true, 0])
  })

  test('the model takes its contexts with it, further ones too', async () => {
    const manager = managerOf(100 * MiB)
    const { model, createContext } = await guardLlama(new FakeLlama(), manager).load({ modelPath })
    const second = await createContext({ contextSize: 256 })
    expect(manager.budget.allocations()).toHaveLength(3)
    await model.dispose()
    expect([manager.budget.allocatedBytes, second.grant.released]).toEqual([0, true])
    await rejectedBy(ReleasedError, createContext({ contextSize: 256 }))
  })

  test.each(['load', 'context'] as const)('where the %s fails, everything is given back', async (what) => {
    const manager = managerOf(100 * MiB)
    const llama = new FakeLlama({ fail: what })
    const failed = guardLlama(llama, manager).load({ modelPath }, { contextSize: 256 })
    await expect(failed).rejects.toThrow(`Failed to ${what === 'load' ? 'load model' : 'create context'}`)
    expect([manager.budget.allocatedBytes, llama.live]).toEqual([0, 0])
    // The next load of the file need not wait for this one.
    llama.fail = undefined
    const { model } = await guardLlama(llama, manager).load({ modelPath }, { contextSize: 256 }, { timeoutMs: 1000 })
    await model.dispose()
  })

  test('what was disposed of, or lost its grant, while it was made is not left', async () => {
    const manager = managerOf(100 * MiB)
    const llama = new FakeLlama()
    llama.onMade = (model) => model.dispose()
    let onEvict: OnEvict | undefined
    const guarded = guardLlama(llama, manager)
    await rejectedBy(ReleasedError, guarded.loadModel({ modelPath }))
    await expect(guarded.load({ modelPath }, { contextSize: 256 })).rejects.toThrow('Object is disposed')
    const evicted = new Promise<void>((resolve) => {
      llama.onMade = () => evicted
      onEvict = ({ grant }) => {
        grant.release()
        resolve()
      }
    })
    const refused = rejectedBy(ReleasedError, guarded.load({ modelPath }, { contextSize: 256 }, { idleMs: 0, onEvict }))
    const urgent = await manager.acquire({ bytes: 100 * MiB, label: 'urgent' }, { priority: 1, timeoutMs: 5000 })
    await refused
    expect([manager.budget.allocatedBytes, llama.live]).toEqual([100 * MiB, 0])
    urgent.release()
  })

  test('what never fits is refused at once, and nothing is loaded', async () => {
    const llama = new FakeLlama()
    const manager = managerOf(weightsBytes + MiB)
    const error = await rejectedBy(
      NeverFitsError,
      guardLlama(llama, manager).load({ modelPath }, { contextSize: 2048 }),
    )
    expect(error.requestedBytes).toBe(needsOf(2048).totals.peakBytes)
    expect([llama.loads, manager.budget.allocatedBytes]).toEqual([0, 0])
  })

  test('an idle one is evicted for another, by one grant', async () => {
    const manager = managerOf(needsOf(512).totals.peakBytes + MiB)
    const guarded = guardLlama(new FakeLlama(), manager)
    const first = await guarded.load({ modelPath }, { contextSize: 512 }, {
      idleMs: 0,
      onEvict: () => first.model.dispose(),
    } as AcquireOptions)
    const second = await guarded.load({ modelPath }, { contextSize: 512 }, { timeoutMs: 5000 })
    expect([first.model.disposed, first.grant.released, second.grant.released]).toEqual([true, true, false])
    await second.model.dispose()
  })
})

describe('two who load at the same time', () => {
  // Room for the weights of both, and for one context.
  const bothBytes = 2 * weightsBytes + contextBytes(needsOf(512)) - 1

  /** Two managers that count in one line, each with a Llama of its own. */
  const two = () => {
    const manager = managerOf(bothBytes)
    const other = path('copy.gguf')
    return [guardLlama(new FakeLlama(), manager), guardLlama(new FakeLlama(), manager), manager, other] as const
  }
  const path = (name: string) => {
    copyFileSync(samplePath, file(name))
    return file(name)
  }

  test('one after the other may each hold what the other waits for, until its time is over', async () => {
    const [one, other, manager, copy] = two()
    const models = await Promise.all([one.loadModel({ modelPath }), other.loadModel({ modelPath: copy })])
    const contexts = models.map(({ createContext }) => createContext({ contextSize: 1024 }, { timeoutMs: 50 }))
    for (const context of contexts) await rejectedBy(TimeoutError, context)
    for (const { model } of models) await model.dispose()
    expect(manager.budget.allocatedBytes).toBe(0)
  })

  test('together they take turns, many times over', async () => {
    const [one, other, manager, copy] = two()
    const rounds = async (guarded: typeof one, of: string) => {
      for (let round = 0; round < 10; round++) {
        const { model } = await guarded.load({ modelPath: of }, { contextSize: 1024 }, { timeoutMs: 10_000 })
        expect(manager.budget.allocatedBytes).toBeLessThanOrEqual(bothBytes)
        await new Promise((resolve) => setTimeout(resolve, round % 3))
        await model.dispose()
      }
    }
    await Promise.all([rounds(one, modelPath), rounds(other, copy), rounds(one, copy), rounds(other, modelPath)])
    expect(manager.budget.allocatedBytes).toBe(0)
  })
})

describe('a context', () => {
  /** What a context of these options is granted, by a model of those. */
  async function granted(options: Record<string, unknown>, modelOptions: object = {}, llama: FakeModelOptions = {}) {
    const manager = managerOf(400 * MiB)
    const guarded = guardLlama(new FakeLlama(llama), manager)
    const separate = await guarded.loadModel({ modelPath, ...modelOptions })
    const made = await separate.createContext(options)
    const alone = [made.context.contextSize, made.grant.bytes]
    await separate.model.dispose()
    const loaded = await guarded.load({ modelPath, ...modelOptions }, options)
    // Both ways come to the same.
    expect([loaded.context.contextSize, loaded.grant.allocations[1]?.sizeBytes]).toEqual(alone)
    await loaded.model.dispose()
    expect(manager.budget.allocatedBytes).toBe(0)
    return alone[1]
  }

  test.each([
    [100, 256],
    // No more than the model was trained with, but for whom asks for it.
    [300, 300],
    [1000, 1000],
  ])('of %d tokens has the %d that node-llama-cpp makes of them', async (contextSize, made) => {
    const manager = managerOf(100 * MiB)
    const { context, estimate: needs } = await guardLlama(new FakeLlama(), manager).load(
      { modelPath },
      { contextSize, sequences: 2 },
    )
    expect([context.contextSize, needs.contextLength, needs.parallel]).toEqual([made, made, 2])
  })

  test('is the longest that fits where it may be, within its range', async () => {
    const sizeOf = async (contextSize: unknown, of = 512) => {
      const manager = managerOf(weightsBytes + contextBytes(needsOf(of)) + 1000)
      const loaded = await guardLlama(new FakeLlama(), manager).load(
        { modelPath },
        { contextSize: contextSize as never },
        { timeoutMs: 1000 },
      )
      return loaded.context.contextSize
    }
    expect(await sizeOf(undefined)).toBe(512)
    expect(await sizeOf('auto', 2048)).toBe(512)
    expect(await sizeOf({ max: 256 })).toBe(256)
    expect(await sizeOf({ min: 100, max: 512 }, 256)).toBe(256)
    await expect(sizeOf({ min: 512 }, 256)).rejects.toThrow(NeverFitsError)
    for (const bad of [0, 1.5, 'all', { max: 0 }, { maximum: 1 }]) {
      await expect(sizeOf(bad)).rejects.toThrow(InvalidArgumentError)
    }
  })

  test('a second one is the longest that fits beside the first', async () => {
    const manager = managerOf(weightsBytes + 2 * contextBytes(needsOf(512)) + 1000)
    const guarded = guardLlama(new FakeLlama(), manager)
    const { context, createContext } = await guarded.load({ modelPath }, { contextSize: 512 })
    const second = await createContext({}, { timeoutMs: 1000 })
    expect([context.contextSize, second.context.contextSize]).toEqual([512, 512])
  })

  const ggmlTypes = { f32: 0, f16: 1, q4_0: 2, q4_1: 3, q5_0: 6, q5_1: 7, q8_0: 8, iq4_nl: 20, bf16: 30 }

  test('every type that an estimate knows has ggml’s number', () => {
    expect(Object.keys(ggmlTypes).sort()).toEqual([...kvTypes].sort())
  })

  test.each(Object.entries(ggmlTypes))('is stored as %s, by its name and by its number', async (type, typeId) => {
    const expected = contextBytes(needsOf(1024, { kvTypeK: type, kvTypeV: type }))
    const stored = (given: unknown) => ({ experimentalKvCacheKeyType: given, experimentalKvCacheValueType: given })
    expect(await granted({ contextSize: 1024, ...stored(type.toUpperCase()) })).toBe(expected)
    expect(await granted({ contextSize: 1024, ...stored(typeId) })).toBe(expected)
    const asDefault = {
      experimentalDefaultContextKvCacheKeyType: typeId,
      experimentalDefaultContextKvCacheValueType: type.toUpperCase(),
    }
    expect(await granted({ contextSize: 1024 }, asDefault)).toBe(expected)
  })

  test.each([
    // node-llama-cpp takes it for none without a word.
    ['a name in small letters', 'q8_0'],
    ['a type of weights alone', 'Q4_K'],
    ['its number', 12],
    ['a number that is none', 99],
    ['the type of the weights, which no cache may have', 'currentQuant'],
  ])('%s is no type of a cache', async (_what, type) => {
    const manager = managerOf(100 * MiB)
    const options = { contextSize: 256, experimentalKvCacheKeyType: type }
    const error = await rejectedBy(
      InvalidArgumentError,
      guardLlama(new FakeLlama(), manager).load({ modelPath }, options),
    )
    expect([error.argument, manager.budget.allocatedBytes]).toEqual(['experimentalKvCacheKeyType', 0])
  })

  test('has the attention of its model, unless it says else', async () => {
    const [on, off] = [true, false].map((flashAttention) => contextBytes(needsOf(2048, { flashAttention })))
    expect(off).toBeGreaterThan(on as number)
    const size = { contextSize: 2048 }
    expect(await granted(size)).toBe(on)
    expect(await granted({ ...size, flashAttention: false })).toBe(off)
    expect(await granted(size, { defaultContextFlashAttention: false })).toBe(off)
    expect(await granted({ ...size, flashAttention: 'auto' }, { defaultContextFlashAttention: false })).toBe(on)
  })

  test('of a model that has no flash attention is estimated without, whatever is asked for', async () => {
    const manager = managerOf(400 * MiB)
    const llama = new FakeLlama({ flashAttentionSupported: false })
    const { createContext } = await guardLlama(llama, manager).loadModel({ modelPath })
    const { grant } = await createContext({ contextSize: 2048, flashAttention: true })
    expect(grant.bytes).toBe(contextBytes(needsOf(2048, { flashAttention: false })))
  })

  test('computes at once what its batch says, and no more than it has tokens', async () => {
    const of = (batch: number) => contextBytes(needsOf(1024, { batch, ubatch: batch }))
    expect(await granted({ contextSize: 1024, batchSize: 64 })).toBe(of(64))
    expect(await granted({ contextSize: 256 })).toBe(contextBytes(needsOf(256, { batch: 256, ubatch: 256 })))
  })

  test('is estimated by the version of llama.cpp where that is one of those that are known', async () => {
    const bytesOf = (release: object | undefined) =>
      granted({ contextSize: 1024 }, {}, { llamaCppRelease: release as never })
    const of = (llamaCppVersion: unknown) => contextBytes(needsOf(1024, { llamaCppVersion }))
    const repo = 'ggml-org/llama.cpp'
    expect(await bytesOf({ repo, release: 'v0.5.0' })).toBe(of('0.5'))
    expect(await bytesOf({ repo, release: 'v0.6.0' })).toBe(of('0.6'))
    for (const other of [undefined, { repo: 'a/fork', release: 'v0.5.0' }, { repo, release: 'v0.5.1' }]) {
      expect(await bytesOf(other)).toBe(of(undefined))
    }
  })

  test('is waited for no longer than its model is there, nor its signal says', async () => {
    const manager = managerOf(weightsBytes + contextBytes(needsOf(512)))
    const { model, createContext } = await guardLlama(new FakeLlama(), manager).load(
      { modelPath },
      { contextSize: 512 },
    )
    const own = new AbortController()
    const aborted = createContext({ contextSize: 256 }, { signal: own.signal })
    const gone = createContext({ contextSize: 256 })
    const outcomes = [rejectedBy(AbortError, aborted), rejectedBy(AbortError, gone)]
    own.abort()
    await outcomes[0]
    await model.dispose()
    expect((await outcomes[1])?.cause).toBeInstanceOf(ReleasedError)
    expect(manager.budget.allocatedBytes).toBe(0)
  })
})

test('a sequence is checked before it grows', async () => {
  const manager = managerOf(100 * MiB)
  const { context, reserve, tokens } = await guardLlama(new FakeLlama(), manager).load(
    { modelPath },
    { contextSize: 256, sequences: 2 },
  )
  const sequence = context.getSequence()
  reserve(sequence, 200)
  expect(tokens.usage().tokens).toBe(200)
  sequence.nextTokenIndex = 150
  reserve(sequence, 106)
  expect(tokens.usage().tokens).toBe(256)
  expect(() => reserve(sequence, 107)).toThrow('at most the 106 that the sequence has room for')
  expect(() => reserve({} as never, 1)).toThrow(InvalidArgumentError)
})

test.each([
  ['no manager', (llama: FakeLlama) => guardLlama(llama, {} as never), 'manager'],
  ['no Llama', () => guardLlama({} as never, managerOf(MiB)), 'llama'],
])('%s is refused by its name', (_what, make, argument) => {
  expect(() => make(new FakeLlama())).toThrow(expect.objectContaining({ argument }))
})

test('a file that is none is refused as everywhere', async () => {
  const guarded = guardLlama(new FakeLlama(), managerOf(MiB))
  await rejectedBy(InvalidArgumentError, guarded.load({} as never))
  writeFileSync(file('text.gguf'), 'text')
  await expect(guarded.load({ modelPath: file('text.gguf') })).rejects.toMatchObject({ code: 'ERR_INVALID_GGUF' })
})
