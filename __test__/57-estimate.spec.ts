import { writeFileSync } from 'node:fs'
import {
  type EstimateOptions,
  estimate,
  GgufFile,
  GiB,
  InvalidArgumentError,
  InvalidModelError,
  kvTypes,
  type LlamaCppVersion,
  llamaCppVersions,
  MemoryBudget,
  MiB,
  ModelMemoryEstimate,
  openLlamaRun,
  quantizations,
  quantizedSizeBytes,
  ReleasedError,
  ruleOfThumbBytes,
  typicalShapes,
} from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { array, scalar, tensorTypes, text } from './helpers/gguf-writer'
import { headerOf, llama1b, llama8b, mtpHeader, opened } from './helpers/headers'
import { samplePath, scratch } from './helpers/models'

const file = scratch()

/** A proxy that fails at every touch. */
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const extra = ({ extras }: ModelMemoryEstimate, kind: string) => extras.find((it) => it.kind === kind)?.boundBytes

describe('a model of the family of llama', () => {
  const model = opened(llama8b)
  const needs = estimate(model, { contextLength: 8192, parallel: 2, repack: false })

  test('needs its tensors, and two bytes for each element of each key and value', () => {
    const tensorBytes = model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    expect(needs.weightsBytes).toBe(tensorBytes)
    expect(needs.kvCacheBytes).toBe(2 * 32 * 8192 * 2 * 8 * 128 * 2)
    expect(needs).toMatchObject({ architecture: 'llama', known: true, stateBytes: 0, npuDomains: 0 })
    expect(needs).toMatchObject({ contextLength: 8192, parallel: 2, outputBytes: 2 * 4 * 128_256 })
  })

  test('has the compute buffer of the version that is named, and a bound for all where none is', () => {
    const of = (llamaCppVersion?: LlamaCppVersion) =>
      estimate(model, { contextLength: 8192, parallel: 2, repack: false, llamaCppVersion })
    const named = llamaCppVersions.map((version) => of(version))
    for (const { computeExact, computeBytes, computeBoundBytes } of named) {
      expect([computeExact, computeBytes]).toEqual([true, computeBoundBytes])
    }
    expect(new Set(named.map(({ computeBytes }) => computeBytes)).size).toBe(llamaCppVersions.length)
    expect(needs.computeBytes).toBe(named[0]?.computeBytes)
    expect(needs.computeBoundBytes).toBe(Math.max(...named.map(({ computeBytes }) => computeBytes)))
    expect(needs.computeExact).toBe(false)
  })

  test('has its parts by layer, by type and by device', () => {
    const { layers, weights, devices } = needs
    expect(layers).toHaveLength(32)
    const sum = (part: 'weightsBytes' | 'keyBytes' | 'valueBytes') =>
      layers.reduce((total, layer) => total + layer[part], 0)
    expect(sum('weightsBytes')).toBe(weights.layersBytes)
    expect(sum('keyBytes') + sum('valueBytes')).toBe(needs.kvCacheBytes)
    expect(weights.byType.map(({ type }) => type)).toEqual(['Q4_K', 'F32'])
    expect(devices).toMatchObject([{ device: 'cpu', weightsBytes: needs.weightsBytes }])
  })

  test('needs all of it together', () => {
    const { weightsBytes, kvCacheBytes, computeBoundBytes, outputBytes, totals } = needs
    expect(totals.steadyBytes).toBe(weightsBytes + kvCacheBytes + computeBoundBytes + outputBytes)
    expect(totals.peakBytes).toBe(totals.steadyBytes)
    expect(totals.loadingBytes).toBe(weightsBytes)
    expect(totals.largestAllocationBytes).toBe(kvCacheBytes)
  })

  test('fits in what has room for its peak, and not in a byte less', () => {
    const { peakBytes } = needs.totals
    expect(needs.fitsIn(peakBytes)).toBe(true)
    expect(needs.fitsIn(peakBytes - 1)).toBe(false)
    expect(needs.fitsIn(new MemoryBudget({ totalBytes: peakBytes }))).toBe(true)
    expect(needs.fitsIn(peakBytes - 1, 4096)).toBe(true)
    expect(needs.fitsIn(peakBytes, 16_384)).toBe(false)
  })

  test('is shown and written as its figures', () => {
    expect(JSON.parse(JSON.stringify(needs))).toMatchObject({ weightsBytes: needs.weightsBytes, totals: needs.totals })
  })

  test.each<[EstimateOptions, number]>([
    [{ kvTypeK: 'q8_0', kvTypeV: 'q8_0' }, 34 / 64],
    [{ kvTypeK: 'q4_0', kvTypeV: 'q4_0' }, 18 / 64],
    [{ kvTypeK: 'f32', kvTypeV: 'f32' }, 2],
    [{ parallel: 1 }, 0.5],
  ])('with %o its cache is %d times as large', (options, times) => {
    const other = estimate(model, { contextLength: 8192, parallel: 2, ...options })
    expect(other.kvCacheBytes).toBe(needs.kvCacheBytes * times)
  })

  test('keeps weights twice where the processor has an order of its own', () => {
    const repacked = (options: EstimateOptions) =>
      extra(estimate(model, { contextLength: 512, ...options }), 'repacked')
    expect(repacked({ processor: 'arm64' })).toBeGreaterThan(needs.weightsBytes * 0.9)
    expect(repacked({ processor: 'arm64', repack: false })).toBeUndefined()
    expect(repacked({ processor: 'arm64', mmap: false })).toBeUndefined()
    expect(extra(estimate(opened(llama1b, tensorTypes.Q6_K), { processor: 'x64' }), 'repacked')).toBeUndefined()
  })

  test('on a GPU has its layers and their caches there, and passes through the page cache', () => {
    const { devices, extras, totals, weightsBytes } = estimate(model, { contextLength: 8192, gpuLayers: 99 })
    const [cpu, gpu] = devices
    expect(devices.map(({ device }) => device)).toEqual(['cpu', 'gpu'])
    expect(cpu).toMatchObject({ kvCacheBytes: 0, weightsBytes: needs.weights.tokenEmbeddingBytes })
    expect(gpu?.weightsBytes).toBe(weightsBytes - needs.weights.tokenEmbeddingBytes)
    expect(extras.map(({ kind, phase }) => [kind, phase])).toEqual([
      ['mapped-weights', 'loading'],
      ['cuda-overhead', 'steady'],
    ])
    expect(totals.loadingBytes).toBe(weightsBytes + (gpu?.weightsBytes ?? 0))
  })

  test('has a draft and adapters beside it', () => {
    const draft = opened(llama1b)
    const options = { contextLength: 4096, repack: false }
    const alone = estimate(draft, options).totals.steadyBytes
    const drafted = (of: NonNullable<EstimateOptions['draft']>) =>
      extra(estimate(model, { ...options, draft: of }), 'draft')
    expect(drafted(draft)).toBe(alone)
    expect(drafted({ model: draft, contextLength: 2048 })).toBeLessThan(alone)
    expect(drafted({ model: draft, kvTypeK: 'q8_0', kvTypeV: 'q8_0' })).toBeLessThan(alone)
    const kind = { 'general.type': text('adapter'), 'adapter.type': text('lora') }
    const adapter = opened(llama1b, tensorTypes.Q4_K, kind)
    const adapted = estimate(model, { ...options, loras: [adapter, adapter] })
    expect(extra(adapted, 'adapters')).toBe(2 * estimate(draft).weightsBytes)
    const whole = thrownBy(InvalidModelError, () => estimate(model, { loras: [draft] }))
    expect(whole).toMatchObject({ key: 'general.type', expected: expect.stringContaining('adapter') })
  })

  test('keeps tensors with the processor one by one', () => {
    const of = (cpuTensors: string[]) =>
      estimate(model, { contextLength: 512, gpuLayers: 99, cpuTensors }).devices.map((device) => device.weightsBytes)
    const sizeOf = (name: string) => model.tensor(`${name}.weight`)?.sizeBytes ?? 0
    const [cpu = 0, gpu = 0] = of([])
    const moved = 32 * sizeOf('blk.0.ffn_up') + sizeOf('blk.0.attn_q')
    expect(of(['ffn_up', '^blk\\.0\\.attn_q'])).toEqual([cpu + moved, gpu - moved])
    for (const pattern of ['(', '(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*x']) {
      const error = thrownBy(InvalidArgumentError, () => of([pattern]))
      expect(error).toMatchObject({ argument: 'cpuTensors' })
    }
  })

  test('drafts for itself with its last block, which is loaded then', () => {
    const drafting = GgufFile.fromBytes(mtpHeader(), { headerOnly: true })
    const options = { contextLength: 4096, repack: false }
    const alone = estimate(drafting, options)
    const of = (mtp: NonNullable<EstimateOptions['mtp']>) => estimate(drafting, { ...options, mtp })
    const needs = of(true)
    expect(needs.weightsBytes).toBe(alone.weightsBytes + alone.weights.leftOutBytes)
    expect(needs.extras.find(({ kind }) => kind === 'mtp')).toMatchObject({ phase: 'steady', bounded: false })
    expect(extra(of({ kvTypeK: 'q8_0' }), 'mtp')).toBeLessThan(extra(needs, 'mtp') as number)
    expect(extra(of({ draftTokens: 8 }), 'mtp')).toBe(extra(needs, 'mtp'))
    expect(of(false).totals).toEqual(alone.totals)
    expect(thrownBy(InvalidModelError, () => estimate(model, { mtp: true })).key).toBe('general.architecture')
    const refused = [{ draftTokens: 0 }, { kvTypeV: 'f8' }, 'yes', revoked()].map(
      (mtp) => thrownBy(InvalidArgumentError, () => of(mtp as never)).argument,
    )
    expect(refused).toEqual(['draftTokens', 'kvTypeV', 'mtp', 'mtp'])
    const both = { mtp: true, draft: model }
    expect(thrownBy(InvalidArgumentError, () => estimate(drafting, both)).argument).toBe('mtp')
  })

  test('has a projector, and room for an image', () => {
    const keys = { image_size: 336, patch_size: 14, embedding_length: 1024, feed_forward_length: 4096 }
    const u32 = (value: number) => scalar('u32', value)
    const projector = opened(llama1b, tensorTypes.F16, {
      'general.architecture': text('clip'),
      'clip.vision.attention.head_count': u32(16),
      ...Object.fromEntries(Object.entries(keys).map(([key, value]) => [`clip.vision.${key}`, u32(value)])),
    })
    const needs = estimate(model, { contextLength: 512, mmproj: projector })
    expect(extra(needs, 'projector')).toBe(projector.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
    const whole = thrownBy(InvalidModelError, () => estimate(model, { mmproj: model }))
    expect(whole).toMatchObject({ key: 'general.architecture', received: '"llama"' })
    expect(needs.extras.find(({ kind }) => kind === 'image-buffer')).toMatchObject({ phase: 'full', bounded: false })
    expect(needs.totals.fullBytes).toBeGreaterThan(needs.totals.steadyBytes)
  })

  test('of a server has its cache of prompts', () => {
    const needs = estimate(model, { contextLength: 4096, runtime: 'llama-server', promptCacheBytes: 256 * MiB })
    const cache = extra(needs, 'prompt-cache') ?? 0
    expect(cache).toBeGreaterThan(256 * MiB + needs.kvCacheBytes)
    expect(cache).toBeLessThan((256 * MiB + needs.kvCacheBytes) * 1.01)
    expect(extra(estimate(model, { runtime: 'llama-server' }), 'prompt-cache')).toBeGreaterThan(8 * GiB)
  })

  test('has a wider bound, and is not exact, where something of its run is not known', () => {
    const wide = estimate(model, { contextLength: 8192, parallel: 2, widened: true })
    expect(wide.computeBoundBytes).toBe(Math.floor(needs.computeBoundBytes * 1.5))
    expect(wide).toMatchObject({ computeExact: false, computeBytes: needs.computeBytes })
  })
})

test('a family that is not known is said to be none', () => {
  const keys = Object.entries({ block_count: 2, context_length: 512, embedding_length: 2048, vocab_size: 100 })
  const metadata = Object.fromEntries(keys.map(([key, value]) => [`of-tomorrow.${key}`, scalar('u32', value)]))
  const model = opened({ ...llama1b, layers: 2 }, tensorTypes.F16, {
    ...metadata,
    'general.architecture': text('of-tomorrow'),
    'of-tomorrow.attention.head_count': scalar('u32', 4),
  })
  expect(estimate(model)).toMatchObject({ architecture: 'of-tomorrow', known: false, computeExact: false })
})

test.each([
  ['llama.block_count', undefined],
  ['llama.block_count', scalar('u32', 0)],
  ['llama.block_count', scalar('u32', 31)],
  ['llama.block_count', scalar('u32', 100_000)],
  ['llama.context_length', scalar('u64', 1n << 60n)],
  ['llama.attention.head_count', scalar('u32', 0)],
  ['llama.attention.head_count', scalar('f32', 8)],
  ['llama.attention.head_count_kv', array('u32', [scalar('u32', 8)])],
  ['llama.embedding_length', text('wide')],
])('a header with another %s is refused by its key', (key, value) => {
  const error = thrownBy(InvalidModelError, () => estimate(opened(llama8b, tensorTypes.Q4_K, { [key]: value })))
  expect(error).toMatchObject({ code: 'ERR_INVALID_MODEL', key })
})

test.each([
  ['contextLength', { contextLength: 0 }],
  ['contextLength', { contextLength: 2 ** 31 - 1, parallel: 2 }],
  ['parallel', { parallel: 257 }],
  ['kvTypeK', { kvTypeK: 'q4_k' }],
  ['kvTypeV', { kvTypeV: 'q8_0', flashAttention: false }],
  ['ubatch', { ubatch: 1.5 }],
  ['runtime', { runtime: 'vllm' }],
  ['promptCacheBytes', { promptCacheBytes: -1 }],
  ['mmproj', { mmproj: {} }],
  ['loras', { loras: [1] }],
  ['draft', { draft: { contextLength: 512 } }],
  ['options', { contextLenght: 512 }],
])('an unfit %s is refused by its name', (argument, options) => {
  const call = () => estimate(opened(llama8b), options as EstimateOptions)
  expect(thrownBy(InvalidArgumentError, call)).toMatchObject({ argument })
})

test('a file that was closed, and what is none, are refused', () => {
  const model = opened(llama1b)
  const needs = estimate(model)
  model.close()
  expect(() => estimate(model)).toThrow(ReleasedError)
  expect(() => needs.fitsIn(GiB, 512)).toThrow(ReleasedError)
  expect(needs.fitsIn(1)).toBe(false)
  for (const none of [undefined, {}, samplePath]) {
    expect(() => estimate(none as unknown as GgufFile)).toThrow(InvalidArgumentError)
  }
  expect(() => needs.fitsIn('1 GiB' as unknown as number)).toThrow(InvalidArgumentError)
})

describe('without a file', () => {
  test('a number of parameters has the size of its level, and turns too large as the context grows', () => {
    const budget = MemoryBudget.forBoard('orin-nano-8gb')
    const needs = ModelMemoryEstimate.fromParams(7e9, { quant: 'q4_k_m', mmap: false })
    expect(needs.weightsBytes).toBe(quantizedSizeBytes(7e9, 'Q4_K_M'))
    expect(needs.weightsBytes).toBe(Math.ceil((7e9 * 4.8944) / 8))
    const fits = [512, 1024, 2048, 4096, 8192, 16_384, 32_768].map((context) => needs.fitsIn(budget, context))
    expect(fits[0]).toBe(true)
    expect(fits.at(-1)).toBe(false)
    expect(fits.toSorted((a, b) => Number(b) - Number(a))).toEqual(fits)
    expect(ModelMemoryEstimate.fromParams(7e9).weightsBytes).toBeGreaterThan(14e9)
  })

  test('a larger number of parameters needs more, and a smaller level less', () => {
    const peak = (parameters: number, quant = 'Q8_0') =>
      ModelMemoryEstimate.fromParams(parameters, { quant }).totals.peakBytes
    const sizes = [1e8, 5e8, 1e9, 3e9, 7e9, 13e9, 34e9, 70e9, 400e9].map((parameters) => peak(parameters))
    expect(sizes.toSorted((a, b) => a - b)).toEqual(sizes)
    const levels = quantizations.map(({ name }) => quantizedSizeBytes(7e9, name))
    expect(levels.toSorted((a, b) => b - a)).toEqual(levels)
    expect(quantizations.find(({ name }) => name === 'Q8_0')).toEqual({
      name: 'Q8_0',
      bitsPerWeight: 8.5008,
      type: 'Q8_0',
    })
  })

  test('a shape may be named', () => {
    const cache = (shape: string) => ModelMemoryEstimate.fromParams(7e9, { shape }).kvCacheBytes
    expect(typicalShapes.map(({ name }) => name)).toEqual(expect.arrayContaining(['llama-2-7b', 'llama-3.1-8b']))
    expect(cache('llama-2-7b')).toBe(4 * cache('llama-3.1-8b'))
    expect(() => cache('gpt-9')).toThrow(InvalidArgumentError)
  })

  const config = {
    model_type: 'mistral',
    hidden_size: 4096,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    intermediate_size: 14_336,
    vocab_size: 32_000,
    max_position_embeddings: 32_768,
    tie_word_embeddings: false,
    sliding_window: null,
    torch_dtype: 'bfloat16',
  }

  test("a repository's configuration has the caches of its dimensions", () => {
    const needs = ModelMemoryEstimate.fromConfig(config, { contextLength: 4096, quant: 'Q4_K_M' })
    expect(needs).toMatchObject({ architecture: 'llama', known: true, kvCacheBytes: 32 * 4096 * 2 * 8 * 128 * 2 })
    const parameters = 7_241_732_096
    expect(needs.weightsBytes).toBe(quantizedSizeBytes(parameters, 'Q4_K_M'))
    expect(ModelMemoryEstimate.fromConfig({ text_config: config }).weightsBytes).toBeGreaterThan(14e9)
    const moe = { ...config, model_type: 'mixtral', num_local_experts: 8, num_experts_per_tok: 2 }
    expect(ModelMemoryEstimate.fromConfig(moe).weightsBytes).toBeGreaterThan(90e9)
  })

  test.each([
    ['config.hidden_size', { ...config, hidden_size: undefined }],
    ['config.hidden_size', { ...config, hidden_size: '4096' }],
    ['config.model_type', { ...config, model_type: undefined }],
    ['config.model_type', { ...config, model_type: 'a b' }],
    ['config', { ...config, kv_lora_rank: 512 }],
    ['config', []],
    ['config', null],
    ['config', revoked()],
    ['config.model_type', { ...config, text_config: revoked(), model_type: undefined }],
  ])('a configuration with an unfit %s is refused', (argument, broken) => {
    const call = () => ModelMemoryEstimate.fromConfig(broken as Record<string, unknown>)
    expect(thrownBy(InvalidArgumentError, call)).toMatchObject({ argument })
  })

  const shape = { layers: 36, embedding: 2048, heads: 16, kvHeads: 2, feedForward: 11_008, vocabulary: 151_936 }

  test('a file of another format has the weights that it has, and the caches of its dimensions', () => {
    const needs = ModelMemoryEstimate.fromShape(shape, { weightsBytes: 3e9, runtime: 'rkllm', contextLength: 4096 })
    expect(needs).toMatchObject({
      weightsBytes: 3e9,
      kvCacheBytes: 36 * 4096 * 2 * 2 * 128 * 2,
      extras: [],
      npuDomains: 1,
    })
    const larger = { weightsBytes: 8e9, runtime: 'rkllm', contextLength: 4096 } as const
    expect(ModelMemoryEstimate.fromShape(shape, larger).npuDomains).toBe(2)
    expect(ModelMemoryEstimate.fromShape(shape, { ...larger, runtime: 'generic' }).npuDomains).toBe(0)
  })

  test.each([
    ['shape.layers', { ...shape, layers: undefined }],
    ['layers', { ...shape, layers: 513 }],
    ['embedding', { ...shape, embedding: 0.5 }],
    ['architecture', { ...shape, architecture: '../llama' }],
    ['experts', { ...shape, experts: 8 }],
    ['shape.heads', { ...shape, heads: 4096 }],
    ['shape', undefined],
  ])('dimensions with an unfit %s are refused', (argument, broken) => {
    const call = () => ModelMemoryEstimate.fromShape(broken as typeof shape)
    const named = thrownBy(InvalidArgumentError, call).argument
    expect(argument === 'shape' ? named.split('.')[0] : named).toBe(argument)
  })

  test('the rule of thumb is the file and half of it', () => {
    expect([0, 3, 4 * GiB].map(ruleOfThumbBytes)).toEqual([0, 5, 6 * GiB])
    expect(() => ruleOfThumbBytes(-1)).toThrow(InvalidArgumentError)
    expect(() => quantizedSizeBytes(7e9, 'Q9')).toThrow(InvalidArgumentError)
  })
})

describe('a command line of llama.cpp', () => {
  const path = file('llama-8b.gguf')
  writeFileSync(path, headerOf(llama8b))

  test('stands for the options of an estimate', () => {
    const argv = [
      'llama-server',
      '-m',
      path,
      '-c',
      '8192',
      '-np',
      '2',
      '-ctk',
      'q8_0',
      '-ctv',
      'q8_0',
      '--cache-ram',
      '64',
    ]
    const run = openLlamaRun(argv)
    const needs = estimate(run.model, run.options)
    const same = { contextLength: 4096, parallel: 2, kvTypeK: 'q8_0', kvTypeV: 'q8_0', outputs: 2 } as const
    const server = { runtime: 'llama-server', promptCacheBytes: 64 * MiB } as const
    expect(JSON.stringify(needs)).toBe(JSON.stringify(estimate(opened(llama8b), { ...same, ...server })))
    run.close()
    expect(() => estimate(run.model)).toThrow(ReleasedError)
  })

  test('that names no context has that of the model, for all slots together', () => {
    using run = openLlamaRun(['llama-server', '-m', path, '-np', '4', '-kvu'])
    expect(estimate(run.model, run.options).contextLength).toBe(131_072 / 4)
  })

  test('that is not understood in full has a wider bound', () => {
    using run = openLlamaRun(['llama-server', '-m', path, '-c', '4096', '-ot', 'exps=CUDA0'])
    expect(run.options.widened).toBe(true)
  })

  test('that names no model, or one that is not there, is refused', () => {
    expect(() => openLlamaRun(['llama-server', '-c', '1'])).toThrow(InvalidArgumentError)
    const missing = ['llama-server', '-m', path, '-md', file('none.gguf')]
    expect(() => openLlamaRun(missing)).toThrow('none.gguf')
  })
})

test('the types of a cache are those of llama.cpp', () => {
  expect(kvTypes).toEqual(['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'iq4_nl', 'q5_0', 'q5_1'])
})
