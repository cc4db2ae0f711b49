import type * as native from '../addon/native.js'
import type { KvType, Runtime } from '../estimate/options.js'
import type { BoardId } from '../system/system.js'

/** A size in bytes, or as people write it: `'6 GiB'`, `'512MiB'`, `'8G'`. */
export type PlanSize = number | string

/** A time in milliseconds, or as people write it: `'500ms'`, `'30s'`, `'5min'`, `'2h'`. */
export type PlanDuration = number | string

/** A set of instances with names of its own: `'single'` has a subject, `'matrix'` a subject, an observer and a god. */
export type PlanMode = ReturnType<typeof native.planModes>[number]

/** How it is found what a model takes: by the estimate of its header, or as its file and half of it. */
export type PlanFormula = 'estimate' | 'rule-of-thumb'

/** How a model is run, as far as its memory depends on it. */
export interface PlanRunOptions {
  /** How much memory it may use, in bytes or as text such as `'6 GiB'`. What its model takes by default; in a mode what is recommended. */
  limitBytes?: PlanSize
  /**
   * How it is found what its model takes. By default the estimate where the header of a GGUF file can be read, else the rule of
   * thumb.
   */
  formula?: PlanFormula
  /**
   * What computes: the processor, the GPU with all layers unless `gpuLayers` says fewer, or the NPU, whose runtime is `'rkllm'`.
   * `'cpu'` by default.
   */
  device?: 'cpu' | 'gpu' | 'npu'
  /**
   * Tokens of one slot; the whole cache holds `contextLength x parallel` of them. As many as the model was trained with by
   * default.
   */
  contextLength?: number
  /** Slots: sequences that are worked on at the same time. 1 by default. */
  parallel?: number
  /** How keys and values are stored. `'f16'` by default. */
  kvType?: KvType
  /** How keys are stored. `kvType` by default. */
  kvTypeK?: KvType
  /** How values are stored. `kvType` by default. */
  kvTypeV?: KvType
  /** Tokens that are given at once. 2048 by default. */
  batch?: number
  /** Tokens that are computed at once. 512 by default. */
  ubatch?: number
  /** Whether attention is computed without keeping its scores. `true` by default. */
  flashAttention?: boolean
  /** Whether layers with a window keep the whole context. `false` by default. */
  swaFull?: boolean
  /** Whether all slots share one cache. `false` by default. */
  unifiedKv?: boolean
  /** Whether embeddings are wanted, not logits. `false` by default. */
  embeddings?: boolean
  /** Layers on the GPU, from the last on. All with the device `'gpu'`, 0 by default else. */
  gpuLayers?: number
  /** The first layers, whose experts stay with the processor. 0 by default. */
  cpuMoeLayers?: number
  /** Whether the processor's weights are pages of the mapped file. `true` by default. */
  mmap?: boolean
  /** Whether weights are kept a second time in the processor's order. `true` by default. */
  repack?: boolean
  /** The program that runs the model. `'llama.cpp'` by default; `'rkllm'` with the device `'npu'`. */
  runtime?: Runtime
  /**
   * What a server's cache of prompts may take, in bytes or as text such as `'8 GiB'`. 8 GiB for llama-server, 0 for others by
   * default.
   */
  promptCacheBytes?: PlanSize
  /** Checkpoints that a server keeps of each slot. 32 for llama-server, 0 for others by default. */
  checkpoints?: number
  /** The file of a projector for images or sound. None by default. */
  mmproj?: string
  /** The file of a draft model. None by default. */
  draft?: string
  /** The files of adapters (LoRA). None by default. */
  loras?: readonly string[]
}

/** A model, and how it is run. */
export interface PlanRun extends PlanRunOptions {
  /** The model file: a GGUF file, the first of a split model, or one of any other format. That of the plan by default, if it has one. */
  model?: string
}

/** An instance of a plan: its model, and how a supervisor runs it. */
export interface PlanInstance extends PlanRun {
  /** The program that runs it, with its arguments: a list, or a line without quotes. None by default: it is started elsewhere. */
  command?: string | readonly string[]
  /** Variables for the command, beside those that it inherits. None by default. */
  environment?: Record<string, string>
  /** The folder that the command starts in. That of the plan by default. */
  workingDirectory?: string
  /**
   * An address at which connections for it are taken, such as `'127.0.0.1:8080'` or `':8080'`: it is started at the first one. None by
   * default: it runs from the start on.
   */
  listen?: string
  /**
   * The address at which the command listens by itself. By default that of `--port` and `--host` in its command, or of `PORT` in its
   * environment, where these are numbers; else a free port of 127.0.0.1, which it finds in `$PORT` and in place of `${PORT}`.
   */
  upstream?: string
  /**
   * A path that answers 2xx once it is ready. By default it is ready when it accepts connections; once it runs, where nothing says at
   * which address: no `listen`, `upstream` or `healthPath`, no `${PORT}` in its command or environment, and neither `--port N` nor `PORT`.
   */
  healthPath?: string
  /** Who gives way to whom: the lower first. 0 by default. */
  priority?: number
  /** How long after its last connection it is stopped, in milliseconds or as text such as `'10min'`; 0 for never, the default. */
  idleTimeoutMs?: PlanDuration
  /** How long a connection waits for its start before it is answered with 503, in milliseconds or as text. 30 s by default. */
  waitTimeoutMs?: PlanDuration
  /** How long it may take to be ready, in milliseconds or as text. 5 min by default. */
  startTimeoutMs?: PlanDuration
  /** How long it may take to end after SIGTERM before it is killed, in milliseconds or as text. 10 s by default. */
  stopTimeoutMs?: PlanDuration
  /** When it is started again after it has ended by itself. `'on-failure'` by default. */
  restart?: 'no' | 'on-failure' | 'always'
  /** How long the first restart waits, in milliseconds or as text; each further one twice as long. 1 s by default. */
  restartDelayMs?: PlanDuration
  /** How long a restart waits at most, in milliseconds or as text. 1 min by default. */
  maxRestartDelayMs?: PlanDuration
  /** How often it is started again at most, until it has run for longer than `maxRestartDelayMs`. No limit by default. */
  maxRestarts?: number
}

/** Everything that shall run on a board together, as a file in YAML or JSON has it too. */
export interface Plan {
  /** Where the schema is, for editors. None by default. */
  $schema?: string
  /** A set of instances with names of its own: `'single'` or `'matrix'`. None by default. */
  mode?: PlanMode
  /**
   * The board that it is for: the id of a preset, as `plimsoll doctor --boards` lists them. Models are estimated for its processor. This
   * machine by default.
   */
  board?: BoardId
  /**
   * The memory that it is for, instead of a board's or this machine's, in bytes or as text such as `'16 GiB'`. That of the board by
   * default.
   */
  totalBytes?: PlanSize
  /** Share of the memory that is left alone, in percent, 0 to below 100. 15 by default. */
  safetyMarginPercent?: number
  /**
   * What is left free before each load, in bytes or as text such as `'2 GiB'`. 2 GiB by default, or an eighth of a memory below 16 GiB.
   */
  headroomBytes?: PlanSize
  /** How it is found what a model takes, of all instances that do not say it. None by default: each as its file allows. */
  formula?: PlanFormula
  /** The model file of all instances that name none. None by default. */
  model?: string
  /**
   * What shall run, by name, in the order of start; a name begins with a letter. Each has its {@link PlanRun | model} and
   * {@link PlanInstance | how it is started}. None by default, or those of the mode.
   */
  instances?: Record<string, PlanInstance>
}

/** The same with every size and time as a number, and every command as its words. */
export type Exact<T> = {
  [K in keyof T]: K extends 'command'
    ? string[]
    : K extends `${string}Bytes` | `${string}Ms`
      ? number
      : K extends 'instances'
        ? Record<string, Exact<PlanInstance>>
        : T[K]
}
