import type {
  EstimateExtra,
  EstimateTotals,
  LayerBytes,
  ModelDeviceBytes,
  Quantization,
  TypicalShape,
  WeightBytes,
} from '../../binding.js'
import * as native from '../addon/native.js'
import { type MemoryBudget, nativeBudget } from '../budget/budget.js'
import { type GgufFile, nativeModel } from '../loader/gguf-file.js'
import * as check from '../support/check.js'
import { call, invalidArgument, quoted } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { shows } from '../support/shown.js'
import { type ModelConfig, shapeOfConfig } from './config.js'
import {
  type EstimateOptions,
  estimateChecks,
  nativeCompanions,
  nativeRun,
  type RunOptions,
  runChecks,
} from './options.js'
import { type ModelShape, nativeShape } from './shape.js'

export type {
  EstimateExtra,
  EstimateTotals,
  LayerBytes,
  ModelDeviceBytes,
  Quantization,
  TypeBytes,
  TypicalShape,
  WeightBytes,
} from '../../binding.js'

/** What {@link ModelMemoryEstimate.fromParams} takes. */
export interface ParamsOptions extends RunOptions {
  /** Tokens of one slot; the whole cache holds `contextLength x parallel` of them. 2048 by default. */
  contextLength?: number
  /** The level that the weights are quantised to, by llama.cpp's name in capitals or not. `'F16'` by default. */
  quant?: string
  /** The model whose dimensions it has: one of {@link typicalShapes}. By default the one that stands for its size. */
  shape?: string
}

/** What {@link ModelMemoryEstimate.fromConfig} takes. */
export interface ConfigOptions extends RunOptions {
  /** The level that the weights are quantised to. `'F16'` by default. */
  quant?: string
  /** Bytes of the weights, as they are stored: the size of a `.rkllm` file. By default as many as `quant` has for the shape. */
  weightsBytes?: number
}

/** What {@link ModelMemoryEstimate.fromShape} takes. */
export interface ShapeOptions extends ConfigOptions {}

const quant = (name: string, value: unknown): string => check.string(name, value)
const paramsChecks = { ...runChecks, quant, shape: check.string } as const
const shapeChecks = {
  ...runChecks,
  quant,
  weightsBytes: (name: string, value: unknown) => check.bytes(name, value, 1),
} as const

/** How an estimate is made once more with another context. */
type Again = (contextLength: number) => native.NativeEstimate

/** @internal An estimate of what the addon has found. */
export let wrapEstimate: (found: native.NativeEstimate, again: Again) => ModelMemoryEstimate

/** @internal Whether that is an estimate that this copy of the package made. */
export let isEstimate: (value: unknown) => boolean

/**
 * What a model needs, part by part, in bytes.
 *
 * Weights, caches and states are what llama.cpp counts, to the byte. The compute buffer is that, too, where `computeExact` says so;
 * else it has a best guess and a bound.
 *
 * @example
 * const model = GgufFile.open('model.gguf', { headerOnly: true })
 * const needs = estimate(model, { contextLength: 8192, parallel: 2, kvTypeK: 'q8_0', kvTypeV: 'q8_0' })
 * if (!needs.fitsIn(budget)) console.error(`${formatBytes(needs.totals.peakBytes)} are not there`)
 */
export class ModelMemoryEstimate {
  readonly #again: Again
  /** The model family, as the file names it. */
  readonly architecture: string
  /**
   * Whether the rules of that family are known. Where they are not, those of a plain transformer were taken: then no figure but
   * that of the weights is exact, and none is a bound.
   */
  readonly known: boolean
  /** Tokens of one slot. */
  readonly contextLength: number
  /** Slots. */
  readonly parallel: number
  /** All weights that are loaded, on all devices. */
  readonly weightsBytes: number
  /** Keys and values of all slots. */
  readonly kvCacheBytes: number
  /** Recurrent states of all slots. */
  readonly stateBytes: number
  /** The compute buffer of one device, as near as it is known. */
  readonly computeBytes: number
  /** What the compute buffers of all devices take at most. */
  readonly computeBoundBytes: number
  /** Whether both are what llama.cpp takes on the CPU, to the byte. */
  readonly computeExact: boolean
  /** The logits, and embeddings where they are asked for, that a caller may read. */
  readonly outputBytes: number
  /** The weights in parts. */
  readonly weights: WeightBytes
  /** The same by layer, and its caches: one for each block of the file. */
  readonly layers: readonly LayerBytes[]
  /** What each device holds: the processor, and the GPU where layers are given to it. */
  readonly devices: readonly ModelDeviceBytes[]
  /** What the run needs beside the model. */
  readonly extras: readonly EstimateExtra[]
  /** All of it together. */
  readonly totals: EstimateTotals
  /**
   * With `'rkllm'`: how many of the NPU's domains all of it takes at least once there is a context, each a window of 4 GiB. A driver has
   * sixteen of them, older ones have one. 0 for other programs.
   */
  readonly npuDomains: number

  static {
    wrapEstimate = (found, again) => new ModelMemoryEstimate(internal, found, again)
    isEstimate = (value) => check.isObject(value) && #again in value
  }

  private constructor(token: typeof internal, found: native.NativeEstimate, again: Again) {
    expectInternal(token, 'ModelMemoryEstimate', 'estimate()')
    this.#again = again
    this.architecture = found.architecture
    this.known = found.known
    this.contextLength = found.contextLength
    this.parallel = found.parallel
    this.weightsBytes = found.weightsBytes
    this.kvCacheBytes = found.kvCacheBytes
    this.stateBytes = found.stateBytes
    this.computeBytes = found.computeBytes
    this.computeBoundBytes = found.computeBoundBytes
    this.computeExact = found.computeExact
    this.outputBytes = found.outputBytes
    this.weights = found.weights
    this.layers = found.layers
    this.devices = found.devices
    this.extras = found.extras
    this.totals = found.totals
    this.npuDomains = found.npuDomains
  }

  /**
   * A model of so many parameters, without its file: weights by the true bits of a level of quantisation, caches and compute buffer
   * by the dimensions of a typical model of its size. `contextLength` is 2048 by default.
   *
   * @throws {@link InvalidArgumentError} for an unfit number or option.
   * @example
   * ModelMemoryEstimate.fromParams(7e9, { quant: 'Q4_K_M' }).fitsIn(MemoryBudget.forBoard('orin-nano-8gb'), 8192)
   */
  static fromParams(parameters: number, options?: ParamsOptions): ModelMemoryEstimate {
    const number = check.integer('parameters', parameters, 1, Number.MAX_SAFE_INTEGER)
    const checked = check.options<ParamsOptions>(options, paramsChecks)
    const { quant = 'F16', shape, contextLength = 2048 } = checked
    return made(contextLength, (context) =>
      native.estimateParameters(number, quant, shape, nativeRun(at(checked, context))),
    )
  }

  /**
   * A model by the `config.json` of its repository: of Hugging Face's transformers. Caches are exact for a family that is known.
   *
   * @throws {@link InvalidArgumentError} for a configuration that lacks a dimension, or has a kind of attention that only the file
   * tells enough of.
   */
  static fromConfig(config: ModelConfig, options?: ConfigOptions): ModelMemoryEstimate {
    const checked = check.options<ConfigOptions>(options, shapeChecks)
    return ofShape(shapeOfConfig(config), checked)
  }

  /**
   * A model by its dimensions, its weights at a level of quantisation or of so many bytes: for a file that is no GGUF, such as
   * one of RKLLM.
   *
   * @throws {@link InvalidArgumentError} for a dimension or an option that cannot be.
   * @example
   * const { size } = await stat('qwen2.5-3b.rkllm')
   * ModelMemoryEstimate.fromShape(dimensions, { weightsBytes: size, runtime: 'rkllm', contextLength: 4096 })
   */
  static fromShape(shape: ModelShape, options?: ShapeOptions): ModelMemoryEstimate {
    return ofShape(shape, check.options<ShapeOptions>(options, shapeChecks))
  }

  /**
   * Whether all of it, at its peak, could be allocated now: from a budget, or of so many bytes. Another `contextLength` than that
   * of the estimate may be asked for.
   *
   * @throws {@link InvalidArgumentError} for what is no budget and no size, and a context that cannot be.
   * @throws {@link ReleasedError} for another context of a file that was closed.
   */
  fitsIn(budget: MemoryBudget | number, contextLength?: number): boolean {
    const available = bytesOf('budget', budget)
    if (contextLength === undefined) return this.totals.peakBytes <= available
    const context = runChecks.contextLength('contextLength', contextLength)
    return call(() => this.#again(context)).totals.peakBytes <= available
  }
}

shows(ModelMemoryEstimate, (needs) => ({ ...needs }))

/**
 * What a model needs, by its header alone: open it with `headerOnly` before it is there whole.
 *
 * @throws {@link InvalidModelError} with the key of the metadata that is missing, zero, absurd or contradicts another.
 * @throws {@link InvalidArgumentError} for an unfit option, and a type of the cache that the model cannot have.
 * @throws {@link ReleasedError} for a file that was closed.
 * @example
 * using model = GgufFile.open('model.gguf')
 * const { weightsBytes, kvCacheBytes, computeBoundBytes, totals } = estimate(model, { contextLength: 4096 })
 */
export function estimate(model: GgufFile, options?: EstimateOptions): ModelMemoryEstimate {
  const file = nativeModel(model)
  if (!file) throw invalidArgument('model', 'a GgufFile', quoted(model))
  const checked = check.options<EstimateOptions>(options, estimateChecks)
  const run = (contextLength: number | undefined) => {
    const options = at(checked, contextLength)
    return native.estimateModel(file, nativeRun(options), nativeCompanions(model, options))
  }
  return wrapEstimate(
    call(() => run(checked.contextLength)),
    run,
  )
}

/** Bytes that a budget has, or that are given as a number. */
export function bytesOf(name: string, budget: MemoryBudget | number): number {
  if (typeof budget === 'number') return check.bytes(name, budget)
  if (nativeBudget(budget)) return budget.availableBytes
  throw invalidArgument(name, 'a MemoryBudget or a number of bytes', quoted(budget))
}

function ofShape(shape: ModelShape, options: ShapeOptions): ModelMemoryEstimate {
  const { quant = 'F16', weightsBytes } = options
  const dimensions = nativeShape(shape)
  return made(options.contextLength, (context) =>
    native.estimateDimensions(dimensions, quant, weightsBytes, nativeRun(at(options, context))),
  )
}

function made(context: number | undefined, again: (context: number | undefined) => native.NativeEstimate) {
  return wrapEstimate(
    call(() => again(context)),
    again,
  )
}

/** The same options with another context. */
const at = <T extends RunOptions>(options: T, contextLength: number | undefined): T =>
  check.own(contextLength === undefined ? options : { ...options, contextLength })

/** Every level of quantisation, the largest first. */
export const quantizations: readonly Readonly<Quantization>[] = Object.freeze(
  native.quantizations().map((level) => Object.freeze(level)),
)

/** The models whose dimensions stand for others of their size. */
export const typicalShapes: readonly Readonly<TypicalShape>[] = Object.freeze(
  native.typicalShapes().map((shape) => Object.freeze(shape)),
)

/**
 * Bytes of so many parameters at a level of quantisation.
 *
 * @throws {@link InvalidArgumentError} for an unfit number, and a level that is none.
 * @example
 * quantizedSizeBytes(7e9, 'Q4_0') // 4077675000
 */
export function quantizedSizeBytes(parameters: number, quant: string): number {
  const number = check.integer('parameters', parameters, 1, Number.MAX_SAFE_INTEGER)
  return call(() => native.quantizedSizeBytes(number, check.string('quant', quant)))
}

/**
 * The bytes that a file is said to need in memory by the rule of thumb of older tools: its size and half of it. It knows nothing of
 * the context; for files whose header nobody can read.
 *
 * @throws {@link InvalidArgumentError} when the size is no whole number of bytes.
 */
export const ruleOfThumbBytes = (fileBytes: number): number =>
  native.ruleOfThumbBytes(check.bytes('fileBytes', fileBytes, 0, 2 ** 52))
