import {
  estimate,
  type FitOptions,
  fit as fitOf,
  GiB,
  InvalidArgumentError,
  MemoryBudget,
  MiB,
  ReleasedError,
} from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { llama1b, llama8b, opened } from './helpers/headers'

const model = opened(llama8b)
const plain = { repack: false } as const

describe('the best configuration', () => {
  const budget = new MemoryBudget({ totalBytes: 7 * GiB })
  const best = fitOf(model, budget, { ...plain, parallel: 2 })

  test('fits, and a step more does not', () => {
    const { configuration, estimate: needs, spareBytes } = best
    expect(best.fits).toBe(true)
    expect(configuration).toMatchObject({ parallel: 2, kvType: 'f16', ubatch: 512, gpuLayers: 0, mmap: true })
    expect(configuration.cacheTokens).toBe(2 * configuration.contextLength)
    expect(needs.totals.peakBytes + spareBytes).toBe(7 * GiB)
    expect(needs.fitsIn(budget, configuration.contextLength + 256)).toBe(false)
    const same = estimate(model, { ...plain, contextLength: configuration.contextLength, parallel: 2 })
    expect(JSON.stringify(needs)).toBe(JSON.stringify(same))
  })

  test('says why it is no larger', () => {
    expect(best.reasons[0]).toMatch(/^[\d,]+ tokens would need .* of the budget, which has 7\.00 GiB: .* too much\.$/)
  })

  test('says what else could be had, and each of those is true', () => {
    const axes = best.trades.map(({ axis }) => axis)
    expect(axes).toEqual(expect.arrayContaining(['kvType', 'ubatch', 'parallel']))
    for (const { configuration, contextGain, description } of best.trades) {
      const { contextLength, parallel, kvType, ubatch, mmap } = configuration
      expect(contextGain).toBe(contextLength - best.configuration.contextLength)
      const run = { ...plain, parallel, kvTypeK: kvType, kvTypeV: kvType, ubatch, mmap }
      expect(estimate(model, { ...run, contextLength }).fitsIn(budget)).toBe(true)
      expect(estimate(model, { ...run, contextLength: contextLength + 256 }).fitsIn(budget)).toBe(false)
      expect(description).toMatch(/^(q8_0 KV|ubatch (128|256)|one slot fewer|no map of the file)/)
    }
    expect(best.trades.find(({ axis }) => axis === 'kvType')?.description).toMatch(
      /^q8_0 KV: \+[\d,]+ tokens, or saves /,
    )
  })

  test('has more context for more memory', () => {
    const contexts = [6, 7, 8, 10, 14, 20, 40].map((gib) => fitOf(model, gib * GiB, plain).configuration.contextLength)
    expect(contexts.toSorted((a, b) => a - b)).toEqual(contexts)
    expect(contexts.at(-1)).toBe(llama8b.context)
  })

  test.each<[string, FitOptions, object]>([
    ['the context first', { priorities: ['context'] }, { kvType: 'q8_0', ubatch: 128 }],
    ['another order of slots', { parallel: [4, 2, 1] }, { parallel: 4 }],
    ['other types', { kvTypes: ['q4_0'] }, { kvType: 'q4_0' }],
    ['another micro-batch', { ubatches: [64] }, { ubatch: 64 }],
    ['a context at most', { maxContext: 3000 }, { contextLength: 3000 }],
    ['a context at least', { minContext: 4096, maxContext: 4096 }, { contextLength: 4096 }],
    ['no flash attention', { flashAttention: false, kvTypes: ['q8_0', 'f16'] }, { kvType: 'f16' }],
  ])('heeds %s', (_, options, expected) => {
    expect(fitOf(model, 8 * GiB, { ...plain, ...options }).configuration).toMatchObject(expected)
  })

  test('does not map a file where that makes room', () => {
    const chosen = (options: FitOptions) => fitOf(model, 7 * GiB, { processor: 'arm64', ...options })
    expect(chosen({}).configuration.mmap).toBe(false)
    expect(chosen({ mmap: true }).fits).toBe(false)
  })

  test('keeps to the largest allocation', () => {
    const { configuration, reasons } = fitOf(model, 64 * GiB, { ...plain, largestAllocationBytes: GiB })
    expect(configuration.contextLength).toBe(8192)
    expect(reasons[0]).toContain('of one allocation')
  })

  test('gives a GPU as many layers as it has room for', () => {
    const on = (cpuBytes: number, gpuBytes: number) =>
      fitOf(model, 64 * GiB, { ...plain, devices: { cpuBytes, gpuBytes } })
    expect(on(32 * GiB, 32 * GiB).configuration.gpuLayers).toBe(33)
    const { configuration, estimate: needs } = on(32 * GiB, 3 * GiB)
    expect(configuration.gpuLayers).toBeGreaterThan(0)
    expect(configuration.gpuLayers).toBeLessThan(33)
    expect(needs.devices[1]?.weightsBytes).toBeLessThan(3 * GiB)
    const none = on(GiB, 2 * GiB)
    expect(none.fits).toBe(false)
    expect(none.reasons[0]).toContain('of the processor')
  })

  test('of a run with a draft leaves room for it', () => {
    const alone = fitOf(model, 9 * GiB, plain).configuration.contextLength
    const { configuration, estimate: needs } = fitOf(model, 9 * GiB, { ...plain, draft: opened(llama1b) })
    expect(configuration.contextLength).toBeLessThan(alone)
    expect(needs.extras.map(({ kind }) => kind)).toEqual(['draft'])
  })
})

test('what does not fit is no error, and says the least that it takes', () => {
  const { fits, trades, reasons, configuration, spareBytes } = fitOf(model, 512 * MiB, plain)
  expect({ fits, trades, spareBytes }).toEqual({ fits: false, trades: [], spareBytes: 0 })
  expect(configuration).toMatchObject({ contextLength: 2048, kvType: 'q8_0', ubatch: 128 })
  expect(reasons[0]).toMatch(
    /^Even 2,048 tokens in one slot, with q8_0 KV and a micro-batch of 128, need .* too much\.$/,
  )
})

test.each([
  ['budget', -1, {}],
  ['budget', '6 GiB', {}],
  ['budget', { availableBytes: 1 }, {}],
  ['parallel', GiB, { parallel: 0 }],
  ['parallel', GiB, { parallel: [] }],
  ['kvTypes', GiB, { kvTypes: [] }],
  ['kvTypes', GiB, { kvTypes: ['q4_k'] }],
  ['ubatches', GiB, { ubatches: [512, 'more'] }],
  ['priorities', GiB, { priorities: ['speed'] }],
  ['minContext', GiB, { minContext: 4096, maxContext: 2048 }],
  ['devices', GiB, { devices: { npuBytes: 1 } }],
  ['options', GiB, { contextLength: 4096 }],
])('an unfit %s is refused', (argument, budget, options) => {
  const call = () => fitOf(model, budget as number, options as FitOptions)
  expect(thrownBy(InvalidArgumentError, call)).toMatchObject({ argument })
})

test('a file that was closed is refused', () => {
  const closed = opened(llama1b)
  closed.close()
  expect(() => fitOf(closed, GiB)).toThrow(ReleasedError)
})
