import * as native from '../addon/native.js'
import { GgufFile, nativeModel } from '../loader/gguf-file.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { tensorsMatching } from './cpu-tensors.js'

/** How the keys or values of a cache may be stored, by llama.cpp's names. */
export type KvType = ReturnType<typeof native.kvTypes>[number]

/** A program whose needs are known. */
export type Runtime = ReturnType<typeof native.runtimes>[number]

/** A version of llama.cpp whose compute buffers are known. */
export type LlamaCppVersion = ReturnType<typeof native.llamaCppVersions>[number]

/** A processor whose order of weights is known. */
export type Processor = ReturnType<typeof native.processors>[number]

/** The types that a cache may be stored in, by llama.cpp's names. */
export const kvTypes: readonly KvType[] = Object.freeze(native.kvTypes())

/** The programs whose needs are known. */
export const runtimes: readonly Runtime[] = Object.freeze(native.runtimes())

/** The versions of llama.cpp whose compute buffers are known. */
export const llamaCppVersions: readonly LlamaCppVersion[] = Object.freeze(native.llamaCppVersions())

/** The processors whose order of weights is known. */
export const processors: readonly Processor[] = Object.freeze(native.processors())

/** The processor of a board with a preset: all of them have arm64. `undefined`, which is this machine's, without a board. */
export const processorOf = (board: string | undefined): Processor | undefined =>
  board === undefined ? undefined : 'arm64'

/** What of a run is told and never searched. */
export interface FixedOptions {
  /** Whether attention is computed without keeping its scores. `true` by default. */
  flashAttention?: boolean
  /** Tokens that are given at once. 2048 by default. */
  batch?: number
  /** Tokens of a batch whose logits are wanted. All by default; one a slot for llama-server. */
  outputs?: number
  /** Whether layers with a window keep the whole context. `false` by default, as the command line has it. */
  swaFull?: boolean
  /** Whether all slots share one cache. `false` by default. */
  unifiedKv?: boolean
  /** Whether embeddings are wanted, not logits. `false` by default. */
  embeddings?: boolean
  /**
   * The program that runs the model: `'llama.cpp'` (default), which node-llama-cpp is too; `'llama-server'`, with its cache of
   * prompts and checkpoints; `'rkllm'`; or `'generic'`, which has the weights in memory once and maps nothing.
   */
  runtime?: Runtime
  /**
   * The version of llama.cpp, `'0.5'` or `'0.6'`. None by default: then `computeBytes` is that of `'0.5'`, which node-llama-cpp
   * 3.22 has, and `computeBoundBytes` covers every version that is known.
   */
  llamaCppVersion?: LlamaCppVersion
  /**
   * Layers on the GPU, from the last on; the output matrix counts as one, and goes there first. More than there are means all.
   * 0 by default.
   */
  gpuLayers?: number
  /** The first layers, whose experts stay with the processor though the rest of them is on the GPU. 0 by default. */
  cpuMoeLayers?: number
  /** Whether the processor's weights are pages of the mapped file. `true` by default. */
  mmap?: boolean
  /** Whether weights that the processor has a faster order for are kept a second time in it. `true` by default. */
  repack?: boolean
  /**
   * The processor whose order `repack` means: `'x64'`, `'x64-amx'` (with tiles for whole numbers) or `'arm64'`. That of this
   * machine by default.
   */
  processor?: Processor
  /** Bytes that a server's cache of prompts may take. 8 GiB for llama-server, 0 for others by default. */
  promptCacheBytes?: number
  /**
   * Checkpoints that a server keeps of each slot, where the model has a window or a state. 32 for llama-server, 0 for others by
   * default.
   */
  checkpoints?: number
  /**
   * Whether something is asked of the run that no option says: the bound of the compute buffer is half as much again then.
   * `false` by default.
   */
  widened?: boolean
}

/** What an estimate is made for, beside the files. */
export interface RunOptions extends FixedOptions {
  /**
   * Tokens of one slot; the whole cache holds `contextLength x parallel` of them. By default as many as the model was trained
   * with.
   */
  contextLength?: number
  /** Slots: sequences that are worked on at the same time. 1 by default, at most 256. */
  parallel?: number
  /** How keys are stored: one of {@link kvTypes}. `'f16'` by default. */
  kvTypeK?: KvType
  /** How values are stored: one of {@link kvTypes}; blocks of them need flash attention. `'f16'` by default. */
  kvTypeV?: KvType
  /** Tokens that are computed at once, at most `batch`. 512 by default. */
  ubatch?: number
}

/** What is loaded beside the model. */
export interface CompanionOptions {
  /** A projector for images or sound. None by default. */
  mmproj?: GgufFile
  /**
   * A draft model: its file, or an object with what is different for it. Its slots, batches and attention are those of the run.
   * None by default.
   */
  draft?: GgufFile | DraftOptions
  /**
   * Whether the model drafts for itself, with the blocks of its file that predict further tokens; how, where it is no `true`. Not with
   * a `draft`. `false` by default.
   */
  mtp?: boolean | MtpOptions
  /** Adapters (LoRA). None by default. */
  loras?: readonly GgufFile[]
  /**
   * Tensors that stay with the processor though their layer is on the GPU: regular expressions, one of which is found in the name. None
   * by default.
   */
  cpuTensors?: readonly string[]
}

/** A draft model and how it is run. */
export interface DraftOptions {
  /** Its file. */
  model: GgufFile
  /** Tokens of its slots. As many as the run's by default. */
  contextLength?: number
  /** How its keys are stored. `'f16'` by default. */
  kvTypeK?: KvType
  /** How its values are stored. `'f16'` by default. */
  kvTypeV?: KvType
  /** Its layers on the GPU. As many as the `gpuLayers` of the run say by default. */
  gpuLayers?: number
}

/** How a model drafts for itself. */
export interface MtpOptions {
  /** Tokens that are drafted at once. 3 by default. */
  draftTokens?: number
  /** How the keys of those blocks are stored. `'f16'` by default. */
  kvTypeK?: KvType
  /** How the values of those blocks are stored. `'f16'` by default. */
  kvTypeV?: KvType
}

/** What {@link estimate} takes. */
export interface EstimateOptions extends RunOptions, CompanionOptions {}

/** More than anything that is counted has. */
const MOST = 2 ** 31 - 1

const count = (name: string, value: unknown) => check.integer(name, value, 1, MOST)
const countOrNone = (name: string, value: unknown) => check.integer(name, value, 0, MOST)

const modelFile = (name: string, value: unknown): GgufFile =>
  check.real(name, value, GgufFile as unknown as abstract new (...args: never[]) => GgufFile, nativeModel)

const kvType = (name: string, value: unknown): KvType => check.oneOf(name, value, kvTypes)

export const runChecks = {
  contextLength: count,
  parallel: count,
  kvTypeK: kvType,
  kvTypeV: kvType,
  flashAttention: check.boolean,
  batch: count,
  ubatch: count,
  outputs: count,
  swaFull: check.boolean,
  unifiedKv: check.boolean,
  embeddings: check.boolean,
  runtime: (name: string, value: unknown): Runtime => check.oneOf(name, value, runtimes),
  llamaCppVersion: (name: string, value: unknown): LlamaCppVersion => check.oneOf(name, value, llamaCppVersions),
  gpuLayers: countOrNone,
  cpuMoeLayers: countOrNone,
  mmap: check.boolean,
  repack: check.boolean,
  processor: (name: string, value: unknown): Processor => check.oneOf(name, value, processors),
  promptCacheBytes: (name: string, value: unknown) => check.bytes(name, value),
  checkpoints: countOrNone,
  widened: check.boolean,
} as const

const draftChecks = {
  model: modelFile,
  contextLength: runChecks.contextLength,
  kvTypeK: kvType,
  kvTypeV: kvType,
  gpuLayers: countOrNone,
} as const

function draft(name: string, value: unknown): DraftOptions {
  if (nativeModel(value)) return check.own({ model: modelFile(name, value) })
  const options = check.options<DraftOptions>(value, draftChecks, name)
  if (options.model !== undefined) return options
  throw invalidArgument(name, 'a GgufFile, or an object with one as its model', quoted(value))
}

const mtpChecks = { draftTokens: count, kvTypeK: kvType, kvTypeV: kvType } as const

const mtp = (name: string, value: unknown): boolean | MtpOptions =>
  typeof value === 'boolean' ? value : check.options<MtpOptions>(value, mtpChecks, name)

export const companionChecks = {
  mmproj: modelFile,
  draft,
  mtp,
  loras: (name: string, value: unknown) =>
    check.array(name, 'an array of GgufFiles', value, (item) => modelFile(name, item)),
  cpuTensors: check.strings,
} as const

export const estimateChecks = { ...runChecks, ...companionChecks } as const

/** What the addon wants to know of a run. */
export const nativeRun = (options: RunOptions): native.NativeEstimateOptions =>
  check.own(
    Object.fromEntries(Object.keys(runChecks).map((key) => [key, options[key as keyof RunOptions]])),
  ) as native.NativeEstimateOptions

/** What the addon wants to know of the files beside a model, and of the model's tensors. */
export function nativeCompanions(model: GgufFile, options: EstimateOptions): native.NativeCompanions {
  const { mmproj, mtp, loras = [], gpuLayers = 0, cpuTensors = [] } = options
  const draft = options.draft as DraftOptions | undefined // As its check makes it.
  return check.own({
    projector: nativeModel(mmproj),
    draft: nativeModel(draft?.model),
    draftOptions: draft && check.own({ kvTypeK: 'f16', kvTypeV: 'f16', gpuLayers, ...draft, model: undefined }),
    mtp: mtp === true ? check.own({}) : mtp || undefined,
    adapters: loras.map((file) => nativeModel(file)),
    cpuTensors: tensorsMatching(cpuTensors, model),
  }) as native.NativeCompanions
}
