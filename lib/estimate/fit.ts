import type { FitConfiguration, FitTrade } from '../../binding.js'
import * as native from '../addon/native.js'
import type { MemoryBudget } from '../budget/budget.js'
import { type GgufFile, nativeModel } from '../loader/gguf-file.js'
import * as check from '../support/check.js'
import { call, invalidArgument, quoted } from '../support/errors.js'
import { bytesOf, type ModelMemoryEstimate, wrapEstimate } from './model-memory.js'
import {
  type CompanionOptions,
  companionChecks,
  type EstimateOptions,
  type FixedOptions,
  type KvType,
  nativeCompanions,
  nativeRun,
  runChecks,
} from './options.js'

export type { FitConfiguration, FitTrade } from '../../binding.js'

/** What is chosen. */
export type FitAxis = ReturnType<typeof native.fitAxes>[number]

/** What {@link fit} takes. */
export interface FitOptions extends FixedOptions, CompanionOptions {
  /** Tokens that a slot must have. 2048 by default, or as many as the model was trained with. */
  minContext?: number
  /** The most tokens that a slot may have. As many as the model was trained with by default. */
  maxContext?: number
  /** Slots: one number, or several with the best first. 1 by default. */
  parallel?: number | readonly number[]
  /**
   * Types of the cache, for keys and values alike, the best first; those that the model cannot have are passed over.
   * `['f16', 'q8_0']` by default.
   */
  kvTypes?: readonly KvType[]
  /** Micro-batches, the best first. `[512, 256, 128]` by default. */
  ubatches?: readonly number[]
  /**
   * What is decided first. `['parallel', 'kvType', 'ubatch', 'context', 'mmap']` by default: the longest context of the best of all
   * else. With `['context']` the longest context that any choice allows, layers on a GPU with a limit apart. Those that are not named come behind.
   */
  priorities?: readonly FitAxis[]
  /** Whether the processor's weights are pages of the mapped file. It is chosen by default, mapped being the better. */
  mmap?: boolean
  /** Tokens that are given at once. 2048 by default; no fewer than the micro-batch that is chosen, whatever is said. */
  batch?: number
  /**
   * Layers on the GPU, from the last on; the output matrix counts as one, and goes there first. 0 by default. With a limit of the GPU in
   * `devices` as many as it has room for are chosen: at most so many, where a number other than 0 is given.
   */
  gpuLayers?: number
  /** Bytes that a server's cache of prompts may take. 0 by default: `spareBytes` is what there is for it. */
  promptCacheBytes?: number
  /** Checkpoints that a server keeps of each slot, where the model has a window or a state. 0 by default, as with the cache of prompts. */
  checkpoints?: number
  /** The most that one allocation may have, in bytes, such as the largest hole of a device. No limit by default. */
  largestAllocationBytes?: number
  /**
   * Limits of devices, in bytes, for all that lies there. With one of the GPU as many layers go there as it has room for with
   * the shortest context, at most `gpuLayers` if that is given; without, `gpuLayers` of them. A refusal names the device. No
   * limits but the budget by default.
   */
  devices?: {
    /** Of main memory, in bytes. */
    cpuBytes?: number
    /** Of the GPU's, in bytes. */
    gpuBytes?: number
  }
}

/** What {@link fit} has found. */
export interface Fit {
  /** Whether it stays within every limit. */
  fits: boolean
  /** The best configuration that fits; where none does, the one with the smallest needs. */
  configuration: FitConfiguration
  /** What it needs. */
  estimate: ModelMemoryEstimate
  /** Why it is no larger, or why it does not fit: sentences. */
  reasons: string[]
  /** What else could be had, the largest gain first; empty where nothing fits. */
  trades: FitTrade[]
  /** What the budget has left beside it: room for a server's cache of prompts and checkpoints. */
  spareBytes: number
}

const numbers = (name: string, value: unknown): number[] =>
  check.array(name, 'an array of whole numbers', value, (item) => runChecks.parallel(name, item), 64)

const { contextLength, parallel, kvTypeK, kvTypeV, ubatch, ...fixedChecks } = runChecks

const deviceChecks = {
  cpuBytes: (name: string, value: unknown) => check.bytes(name, value),
  gpuBytes: (name: string, value: unknown) => check.bytes(name, value),
} as const

export const fitChecks = {
  ...fixedChecks,
  ...companionChecks,
  minContext: contextLength,
  maxContext: contextLength,
  parallel: (name: string, value: unknown) =>
    typeof value === 'number' ? [parallel(name, value)] : numbers(name, value),
  kvTypes: (name: string, value: unknown) =>
    check.array(name, 'an array of types of the cache', value, (item) => kvTypeK(name, item), 64),
  ubatches: numbers,
  priorities: (name: string, value: unknown) =>
    check.array(name, 'an array of what is chosen', value, (item) => check.oneOf(name, item, native.fitAxes()), 64),
  largestAllocationBytes: (name: string, value: unknown) => check.bytes(name, value),
  devices: (name: string, value: unknown) =>
    check.options<{ cpuBytes?: number; gpuBytes?: number }>(value, deviceChecks, name),
} as const

/**
 * The best configuration of a model that a budget, or a number of bytes, has room for: slots, type of the cache, micro-batch and
 * context, by exact search. That nothing fits is no error: `fits` is false then.
 *
 * The peak counts: contexts full and, with files beside the model, an image in work. A server's cache of prompts and its checkpoints count
 * only if their sizes are given; `spareBytes` is what there is for them.
 *
 * @throws {@link InvalidModelError} with the key of the metadata that is missing, zero, absurd or contradicts another.
 * @throws {@link InvalidArgumentError} for an unfit option.
 * @throws {@link ReleasedError} for a file that was closed.
 * @example
 * const { fits, configuration, trades } = fit(model, budget, { parallel: 4, minContext: 256 })
 * // Such as "q8_0 KV: +9,216 tokens, or saves 240.00 MiB".
 * for (const { description } of trades) console.log(description)
 */
export function fit(model: GgufFile, budget: MemoryBudget | number, options?: FitOptions): Fit {
  const file = nativeModel(model)
  if (!file) throw invalidArgument('model', 'a GgufFile', quoted(model))
  const checked = check.options<FitOptions>(options, fitChecks)
  const { mmap, minContext, maxContext, parallel, kvTypes, ubatches, priorities, largestAllocationBytes, devices } =
    checked
  const choices = check.own({
    budgetBytes: bytesOf('budget', budget),
    largestAllocationBytes,
    cpuBytes: devices?.cpuBytes,
    gpuBytes: devices?.gpuBytes,
    minContext,
    maxContext,
    mmap,
    parallel: parallel as number[] | undefined,
    kvTypes: kvTypes as KvType[] | undefined,
    ubatches: ubatches as number[] | undefined,
    priorities: priorities as FitAxis[] | undefined,
  }) as native.NativeFitOptions
  const run = check.own({ ...checked, parallel: undefined }) as unknown as EstimateOptions
  const found = call(() => native.fitModel(file, nativeRun(run), nativeCompanions(model, run), choices))
  const { configuration } = found
  const again = (contextLength: number) => {
    const same = check.own({
      ...run,
      contextLength,
      parallel: configuration.parallel,
      kvTypeK: configuration.kvType,
      kvTypeV: configuration.kvType,
      ubatch: configuration.ubatch,
      gpuLayers: configuration.gpuLayers,
      mmap: configuration.mmap,
      batch: Math.max(run.batch ?? 2048, configuration.ubatch),
      // As the search takes them.
      promptCacheBytes: run.promptCacheBytes ?? 0,
      checkpoints: run.checkpoints ?? 0,
    }) as EstimateOptions
    return native.estimateModel(file, nativeRun(same), nativeCompanions(model, same))
  }
  return { ...found, estimate: wrapEstimate(found.estimate, again) }
}
