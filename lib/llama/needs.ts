import {
  type AcquireRequest,
  type EstimateOptions,
  estimate,
  fit as fitModel,
  type GgufFile,
  type LlamaCppVersion,
  llamaCppVersions,
  type ModelMemoryEstimate,
} from '../index.js'
import * as check from '../support/check.js'
import { type ContextDefaults, kvTypeOf, trainedLengthOf, windowOf } from './context-defaults.js'
import type { LlamaContextOptionsLike, LlamaLike, LlamaModelOptionsLike } from './llama-types.js'

/** As many layers as any model has. */
const ALL_LAYERS = 2 ** 31 - 1

/** node-llama-cpp's default: tokens that are computed at once, where the context has that many. */
const BATCH_SIZE = 512

/** Cells of a cache come in so many at a time, and node-llama-cpp makes contexts of as many. */
const CELL_STEP = 256

/** What a model and its contexts are estimated with. */
export interface ModelRun {
  readonly file: GgufFile
  readonly run: EstimateOptions
  readonly defaults: ContextDefaults
}

/** What weights need, and what is to be acquired for them. */
export interface WeightsNeeds {
  readonly estimate: ModelMemoryEstimate
  readonly request: AcquireRequest
}

/** What a context needs, what is to be acquired for it, and the size that it is then made with. */
export interface ContextNeeds extends WeightsNeeds {
  readonly contextLength: number
  readonly sequences: number
}

/** What a model is run with, as far as that is known before it is loaded. */
export function runOf(options: LlamaModelOptionsLike, llama: LlamaLike): EstimateOptions {
  const mapped = options.useMmap !== false && llama.supportsMmap !== false
  const version = versionOf(llama)
  return {
    gpuLayers: gpuLayersOf(options.gpuLayers, llama),
    // Said either way: a search would choose.
    mmap: mapped,
    ...(version !== undefined && { llamaCppVersion: version }),
  }
}

/** Layers on the GPU: all of them where node-llama-cpp decides, which a board with one memory does not mind. */
function gpuLayersOf(gpuLayers: unknown, { gpu }: LlamaLike): number {
  if (gpu === false) return 0
  return typeof gpuLayers === 'number' ? check.integer('gpuLayers', gpuLayers, 0, ALL_LAYERS) : ALL_LAYERS
}

/** The version of llama.cpp, where it is one of those that the estimator was held to: the first of its line, of llama.cpp's own source. */
function versionOf({ llamaCppRelease }: LlamaLike): LlamaCppVersion | undefined {
  if (check.member(llamaCppRelease, 'repo') !== 'ggml-org/llama.cpp') return undefined
  return llamaCppVersions.find((version) => llamaCppRelease?.release === `v${version}.0`)
}

/** What the weights need. The rest of a run that no context has is theirs, too. */
export function weightsNeeds({ file, run }: ModelRun, modelPath: string): WeightsNeeds {
  const shortest = estimate(file, { ...run, contextLength: CELL_STEP })
  const { loadingBytes, peakBytes } = shortest.totals
  const bytes = Math.max(loadingBytes, peakBytes - contextBytes(shortest))
  const label = `weights of ${file.metadata.getString('general.name') ?? modelPath}`
  return { estimate: shortest, request: { bytes, label } }
}

const contextBytes = ({ kvCacheBytes, stateBytes, computeBoundBytes, outputBytes }: ModelMemoryEstimate): number =>
  kvCacheBytes + stateBytes + computeBoundBytes + outputBytes

/** What a context needs beside weights of so many bytes, where `availableBytes` more can be had beside those. */
export function contextNeeds(
  model: ModelRun,
  options: LlamaContextOptionsLike,
  weightsBytes: number,
  availableBytes: () => number,
): ContextNeeds {
  const sequences = check.integer('sequences', options.sequences ?? 1, 1, 256)
  const { contextSize = 'auto' } = options
  const asked =
    typeof contextSize === 'number'
      ? check.integer('contextSize', contextSize, 1, 2 ** 31 - 1)
      : longest(model, options, sequences, weightsBytes, availableBytes())
  const contextLength = made(asked, trainedLengthOf(model.file))
  const needs = estimate(model.file, { ...contextRun(model, options, sequences, contextLength), contextLength })
  const request = { bytes: contextBytes(needs), label: `context of ${contextLength} x ${sequences}` }
  return { estimate: needs, request, contextLength, sequences }
}

/** The size that node-llama-cpp makes of one: whole steps, but no more than the model was trained with. */
function made(contextSize: number, trained: number): number {
  const whole = Math.ceil(Math.max(2, contextSize) / CELL_STEP) * CELL_STEP
  return contextSize <= trained && whole < trained ? whole : contextSize
}

function contextRun(
  { file, run, defaults }: ModelRun,
  options: LlamaContextOptionsLike,
  parallel: number,
  contextLength: number,
): EstimateOptions {
  const { flashAttention, swaFullCache, experimentalKvCacheKeyType: key, experimentalKvCacheValueType: value } = options
  const swaFull = (swaFullCache ?? defaults.swaFull) === true
  const asked = check.integer(
    'batchSize',
    options.batchSize ?? Math.min(contextLength * parallel, BATCH_SIZE),
    1,
    2 ** 31 - 2,
  )
  // As node-llama-cpp widens it.
  const batch = Math.max(asked, parallel) + (!swaFull && windowOf(file) !== undefined ? 1 : 0)
  return {
    ...run,
    parallel,
    batch,
    ubatch: batch,
    kvTypeK: kvTypeOf('experimentalKvCacheKeyType', key, file, defaults.kvTypeK),
    kvTypeV: kvTypeOf('experimentalKvCacheValueType', value, file, defaults.kvTypeV),
    flashAttention: defaults.flashAttentionSupported && (flashAttention ?? defaults.flashAttention) !== false,
    swaFull,
  }
}

/** The most tokens of a sequence that fit what is free now. Where nothing fits it is the shortest, which waits for its turn. */
function longest(
  model: ModelRun,
  options: LlamaContextOptionsLike,
  parallel: number,
  weightsBytes: number,
  availableBytes: number,
): number {
  const { contextSize = 'auto' } = options
  const range = contextSize === 'auto' ? {} : check.options<{ min?: number; max?: number }>(contextSize, rangeChecks)
  const {
    kvTypeK = 'f16',
    kvTypeV = 'f16',
    ubatch = BATCH_SIZE,
    ...run
  } = contextRun(model, options, parallel, BATCH_SIZE)
  const within = (budgetBytes: number) =>
    fitModel(model.file, budgetBytes, {
      ...run,
      // The search stores both alike: what takes more of the two.
      kvTypes: [bits(kvTypeK) >= bits(kvTypeV) ? kvTypeK : kvTypeV],
      ubatches: [ubatch],
      ...(range.min !== undefined && { minContext: range.min }),
      ...(range.max !== undefined && { maxContext: range.max }),
    })
  const budgetBytes = weightsBytes + availableBytes
  const found = within(budgetBytes)
  // Weights are acquired as they are loaded, and keep what that takes: the search counts what is left of it afterwards.
  const keptBytes = weightsBytes + contextBytes(found.estimate) - found.estimate.totals.peakBytes
  if (keptBytes <= 0) return found.configuration.contextLength
  return within(Math.max(0, budgetBytes - keptBytes)).configuration.contextLength
}

const tokens = (name: string, value: unknown) => check.integer(name, value, 1, 2 ** 31 - 1)
const rangeChecks = { min: tokens, max: tokens } as const

/** Bits of a value in a cache of that type, about: the first number of its name. */
const bits = (type: string): number => Number(/\d+/.exec(type)?.[0])
