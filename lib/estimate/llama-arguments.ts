import { integer as count, object, oneOf, own, strings } from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { cut, type Given, integer, MOST_INTEGER, type NotUnderstood, namesModel, parse } from './llama-parsing.js'
import { type LlamaRuntime, noProgram, type Program, programOf } from './llama-program.js'
import { placedElsewhere, type Setting, words } from './llama-table.js'
import { type KvType, kvTypes } from './options.js'

export type { NotUnderstood } from './llama-parsing.js'
export type { LlamaRuntime } from './llama-program.js'

const poolings = ['none', 'mean', 'cls', 'last', 'rank'] as const

/** The options of an estimate that a command line stands for. What it does not say is not there, and has its default. */
export interface LlamaOptions {
  /** Tokens of one slot. Not there when the model says it: see {@link LlamaArguments.contextFromModel}. */
  contextLength?: number
  /** Slots. */
  parallel: number
  /** How keys are stored. */
  kvTypeK?: KvType
  /** How values are stored. */
  kvTypeV?: KvType
  /** Not there for `auto`, which is on wherever the device can. */
  flashAttention?: boolean
  /** Tokens that are given at once. */
  batch?: number
  /** Tokens that are computed at once. */
  ubatch?: number
  /** Tokens of a batch whose logits are wanted; not there for all of them. */
  outputs?: number
  /** Whether layers with a window keep the whole context. */
  swaFull?: boolean
  /** Whether all slots share one cache. */
  unifiedKv: boolean
  /** Whether embeddings are wanted, not logits. */
  embeddings?: boolean
  /** Layers on the GPU; more than any model has for all of them, and for `auto`. */
  gpuLayers?: number
  /** The first layers, whose experts stay with the CPU; more than any model has for all of them. */
  cpuMoeLayers?: number
  /** Tensors that stay with the CPU, whatever is said of their layer: regular expressions. */
  cpuTensors?: string[]
  /** Whether the file is mapped. Not there for `auto`: it is, unless a device cannot. */
  mmap?: boolean
  /** Whether weights of the CPU are repacked. */
  repack?: boolean
  /** The file of the projector. */
  mmprojPath?: string
  /** The file of the draft model. */
  draftPath?: string
  /** Tokens of one slot of the draft model. As many as the model's when it is not there. */
  draftContextLength?: number
  /** How the draft model's keys are stored. */
  draftKvTypeK?: KvType
  /** How the draft model's values are stored. */
  draftKvTypeV?: KvType
  /** The draft model's layers on the GPU. As many as the model's when it is not there. */
  draftGpuLayers?: number
  /** Whether the model drafts for itself, with its blocks that predict further tokens. */
  mtp?: boolean
  /** Tokens that are drafted at once, where it does. */
  draftTokens?: number
  /** The files of LoRA adapters. */
  loraPaths?: string[]
  /** Limit of the server's cache of prompts, in bytes. */
  promptCacheBytes: number
  /** States of its context that each slot may keep. */
  checkpoints: number
  /** The program, of which estimates know three. */
  runtime: LlamaRuntime
}

/** What a command line of llama.cpp says about memory. */
export interface LlamaArguments {
  /** The program's name, without its folder. */
  program: string
  /** The file of the model; none when the command line names none, or has one downloaded. */
  modelPath?: string
  /**
   * Whether the context is as long as the model was trained with. Then that is the context of all slots together: the
   * option is `contextOfSlot(trained, options.parallel)`.
   */
  contextFromModel: boolean
  /** The options of the estimate. */
  options: LlamaOptions
  /** What bears on memory, or may, and is not followed: each widens the bound of the estimate. */
  notUnderstood: NotUnderstood[]
  /** The arguments and variables that bear no memory, by their names. */
  ignored: string[]
}

/** More arguments than any command line of llama.cpp has. */
const MOST_ARGUMENTS = 4096

/** The most sequences of one context (`LLAMA_MAX_SEQ`). */
const MOST_SLOTS = 256

/** Cells of a cache come in so many at a time (`llama_context`, `GGML_PAD`). */
const CELL_STEP = 256

/** `n_batch`, `n_ubatch`, `cache_ram_mib`, `n_ctx_checkpoints` and `draft.n_max` of `common_params`. */
const defaults = { batch: 2048, ubatch: 512, cacheMib: 8192, checkpoints: 32, draftMax: 3 } as const

/** The model's own blocks draft. */
const MTP = 'draft-mtp'

/** Slots that llama-server makes when it is not told how many; they share one cache. */
const AUTOMATIC_SLOTS = 4

const MIB = 2 ** 20

/**
 * Tokens of one slot, of a context that all slots divide between them: `-c` is the whole of it, rounded up to cells of 256 at
 * a time. With one cache for all slots, it is the share of a slot.
 *
 * @throws {@link InvalidArgumentError} for what are no such numbers.
 */
export function contextOfSlot(tokens: number, slots: number): number {
  const all = count('tokens', tokens, 1, MOST_INTEGER)
  return Math.floor((Math.ceil(all / CELL_STEP) * CELL_STEP) / count('slots', slots, 1, MOST_SLOTS))
}

/**
 * Reads the command line of llama-server, llama-cli or another program with llama.cpp's common arguments, as version 0.6.0 of
 * llama.cpp does. Nothing is opened. `argv` begins with the program; `env` is its environment, none by default.
 *
 * @throws {InvalidArgumentError} an argument has no value, or one that llama.cpp refuses
 */
export function llamaArguments(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>> = Object.create(null),
): LlamaArguments {
  const tokens = strings('argv', argv)
  if (tokens.length > MOST_ARGUMENTS) {
    throw invalidArgument('argv', `an array of at most ${MOST_ARGUMENTS} strings`, `${tokens.length} of them`)
  }
  object('env', env, 'an object of strings')
  const { program, rest } = programOf(tokens)
  // A script with a server's arguments names a model; what names none is something else.
  if (!program.isKnown && !namesModel(rest, env)) throw noProgram(program.name)
  const parsed = parse(rest, env)
  const command = new Command(program, parsed.given)
  const options = command.options()
  const modelPath = command.modelPath()
  return own({
    program: program.name,
    ...(modelPath === undefined ? {} : { modelPath }),
    contextFromModel: options.contextLength === undefined,
    options,
    notUnderstood: [...program.notUnderstood, ...command.notUnderstood, ...parsed.notUnderstood],
    ignored: [...new Set([...parsed.ignored, ...command.ignored])],
  })
}

/** What the arguments of one command line come to. */
class Command {
  readonly notUnderstood: NotUnderstood[] = []
  readonly ignored: string[] = []
  readonly #program: Program
  readonly #given: readonly Given[]

  constructor(program: Program, given: readonly Given[]) {
    this.#program = program
    this.#given = given
    for (const each of given) {
      const { reason, harmless, followed } = each.row
      if (each.note !== undefined) this.#name(each, each.note)
      if (reason === undefined || words(followed).includes(each.value)) continue
      if (words(harmless).includes(each.value)) this.ignored.push(each.name)
      else this.#name(each, reason)
    }
  }

  /** Whoever downloads a model loads that, whatever `-m` says. */
  modelPath(): string | undefined {
    return this.#last('otherModel') === undefined ? this.#text('model') : undefined
  }

  options(): LlamaOptions {
    const { unifiedKv, parallel } = this.#slots()
    const contextLength = this.#contextLength(parallel)
    const embeddings = this.#program.isEmbedding || (this.#isServer && this.#embeds())
    const { batch, ubatch } = this.#batches(embeddings)
    const loraPaths = this.#loraPaths()
    return present({
      contextLength,
      parallel,
      kvTypeK: this.#choice('kvTypeK', kvTypes),
      kvTypeV: this.#choice('kvTypeV', kvTypes),
      flashAttention: this.#onOrOff('flashAttention'),
      batch,
      ubatch,
      outputs: this.#outputs(parallel, batch ?? defaults.batch, embeddings),
      swaFull: this.#onOrOff('swaFull'),
      unifiedKv,
      embeddings: embeddings || undefined,
      gpuLayers: this.#gpuLayers('gpuLayers'),
      cpuMoeLayers: this.#cpuMoeLayers(),
      cpuTensors: this.#cpuTensors(),
      mmap: this.#mmap(),
      repack: this.#onOrOff('repack'),
      mmprojPath: this.#text('mmproj'),
      draftPath: this.#text('draftModel'),
      draftContextLength: this.#draftContextLength(),
      draftKvTypeK: this.#choice('draftKvTypeK', kvTypes),
      draftKvTypeV: this.#choice('draftKvTypeV', kvTypes),
      draftGpuLayers: this.#gpuLayers('draftGpuLayers'),
      ...this.#mtp(),
      loraPaths: loraPaths.length > 0 ? loraPaths : undefined,
      promptCacheBytes: this.#promptCacheBytes(),
      checkpoints: this.#program.hasServer ? Math.max(0, this.#number('checkpoints') ?? defaults.checkpoints) : 0,
      runtime: this.#program.runtime,
    })
  }

  get #isServer(): boolean {
    return this.#program.runtime === 'llama-server'
  }

  /** The server decides itself when it is not told, or told -1. Then its slots share one cache, whatever else is said. */
  #slots(): { parallel: number; unifiedKv: boolean } {
    const given = this.#last('parallel')
    const number = this.#number('parallel')
    if (this.#isServer && (number ?? -1) < 0) return { parallel: AUTOMATIC_SLOTS, unifiedKv: true }
    const parallel = within(given, number, this.#isServer ? `-1, or from 1 to ${MOST_SLOTS}` : undefined, 1, MOST_SLOTS)
    // llama-cli knows nothing of it, and has one slot.
    const unifiedKv = this.#program.runtime !== 'llama-cli' && this.#onOrOff('unifiedKv') === true
    return { parallel: parallel ?? 1, unifiedKv }
  }

  #contextLength(parallel: number): number | undefined {
    const given = this.#last('context')
    const whole = within(given, this.#number('context'), undefined, 0, MOST_INTEGER)
    const ofSlot = this.#last('contextOfSlot')
    if (this.#isServer && ofSlot !== undefined && whole === undefined) {
      const tokens = this.#number('contextOfSlot') ?? 0
      if (tokens > 0) {
        within(ofSlot, tokens, undefined, 1, Math.floor(MOST_INTEGER / parallel))
        return contextOfSlot(tokens * parallel, parallel)
      }
    }
    // Not more than all slots have, and nothing of a cache by itself.
    if (ofSlot !== undefined) this.ignored.push(ofSlot.name)
    return whole === undefined || whole === 0 ? undefined : contextOfSlot(whole, parallel)
  }

  /** Embeddings of the server need all of a text in one step. */
  #batches(embeddings: boolean): { batch: number | undefined; ubatch: number | undefined } {
    const batch = within(this.#last('batch'), this.#number('batch'), undefined, 1, MOST_INTEGER)
    const given = within(this.#last('ubatch'), this.#number('ubatch'), undefined, 0, MOST_INTEGER)
    const ubatch = given === 0 ? (batch ?? defaults.batch) : given
    if (!embeddings || !this.#isServer) return { batch, ubatch }
    return { batch: Math.min(batch ?? defaults.batch, ubatch ?? defaults.ubatch), ubatch }
  }

  #embeds(): boolean {
    return this.#onOrOff('embedding') === true || this.#onOrOff('reranking') === true
  }

  /** One token a slot, and those that were drafted for it; all of them where they are pooled (`server_output_limits`). */
  #outputs(parallel: number, batch: number, embeddings: boolean): number | undefined {
    const pooling = this.#choice('pooling', poolings)
    if (!this.#program.hasServer || embeddings || (pooling !== undefined && pooling !== 'none')) return undefined
    return Math.min(batch, parallel * (1 + this.#drafted()))
  }

  /** Ways to draft, and those that a switch stands for. */
  #specTypes(): string[] {
    return this.#all('specType').flatMap(({ value }) => value.split(','))
  }

  /** With a file of its own, what drafts is another model (`common_speculative_init_result`). */
  #mtp(): { mtp?: boolean; draftTokens?: number } {
    const given = this.#all('specType').find(({ value }) => value.split(',').includes(MTP))
    if (given === undefined) return {}
    if (this.#last('draftModel') === undefined) {
      return { mtp: true, draftTokens: Math.max(1, this.#number('draftMax') ?? defaults.draftMax) }
    }
    this.#name(given, 'with a file of their own (-md), blocks that predict further tokens are taken for a whole model')
    return {}
  }

  /** The most tokens that are drafted at once (`common_speculative_n_max`). */
  #drafted(): number {
    const types = this.#specTypes()
    const counts = types.map((type) => {
      if (type === 'ngram-mod') return this.#number('ngramMax') ?? 64
      if (type === 'ngram-cache') return 8
      if (!type.startsWith('ngram-')) return type === 'none' ? 0 : (this.#number('draftMax') ?? defaults.draftMax)
      const sizes = this.#all('ngramSize').map(({ value }) => Number(value))
      return largest(sizes) ?? 48
    })
    if (this.#last('draftModel') !== undefined) counts.push(this.#number('draftMax') ?? defaults.draftMax)
    return largest([0, ...counts]) as number
  }

  #gpuLayers(setting: 'gpuLayers' | 'draftGpuLayers'): number | undefined {
    if (setting === 'gpuLayers' && this.#text('device') === 'none') return 0
    const given = this.#last(setting)
    if (given === undefined) return undefined
    // Both are all that there are; less of them where too little is free as the program starts (`--fit`).
    if (given.value === 'all' || given.value === 'auto') return MOST_INTEGER
    const { number, note } = integer(given.name, given.value)
    if (note !== undefined) this.#name(given, note)
    // -1 is `auto`, and what is below `all`.
    return number >= 0 ? number : MOST_INTEGER
  }

  #cpuMoeLayers(): number | undefined {
    if (this.#onOrOff('cpuMoe') === true) return MOST_INTEGER
    const given = this.#last('cpuMoeLayers')
    return within(given, this.#number('cpuMoeLayers'), undefined, 0, MOST_INTEGER)
  }

  /** Pairs of a regular expression and a kind of buffer, between commas (`parse_tensor_buffer_overrides`). */
  #cpuTensors(): string[] | undefined {
    const all = this.#all('tensors').flatMap((given) => {
      const pairs = given.value.split(',').map((pair) => {
        const at = pair.indexOf('=')
        if (at >= 0) return { pattern: pair.slice(0, at), buffer: pair.slice(at + 1) }
        throw invalidArgument(given.name, 'PATTERN=BUFFER, or several of them between commas', quoted(cut(pair)))
      })
      const isElsewhere = pairs.some(({ buffer }) => buffer !== 'CPU')
      if (isElsewhere) this.#name(given, placedElsewhere)
      return pairs.filter(({ buffer }) => buffer === 'CPU').map(({ pattern }) => pattern)
    })
    return all.length > 0 ? all : undefined
  }

  /** Each slot of older servers has a context of its own; 0 is that of the model's slot. */
  #draftContextLength(): number | undefined {
    const given = this.#last('draftContext')
    const tokens = within(given, this.#number('draftContext'), undefined, 0, MOST_INTEGER)
    return tokens === undefined || tokens === 0 ? undefined : contextOfSlot(tokens, 1)
  }

  #mmap(): boolean | undefined {
    const modes = { auto: undefined, none: false, mmap: true, mlock: false, 'mmap+mlock': true, dio: false } as const
    const mode = this.#choice('loadMode', Object.keys(modes) as (keyof typeof modes)[])
    if (this.#onOrOff('directIo') === true) return false
    return mode === undefined ? undefined : modes[mode]
  }

  /** Both kinds take several files, between commas. */
  #loraPaths(): string[] {
    const plain = this.#all('lora').flatMap(({ value }) => rowOfCsv(value))
    const scaled = this.#all('loraScaled').flatMap(({ name, value }) =>
      rowOfCsv(value).map((item) => {
        const [path, scale, ...more] = item.split(':')
        if (path && scale && more.length === 0 && Number.isFinite(Number.parseFloat(scale))) return path
        throw invalidArgument(name, 'FILE:SCALE, or several of them between commas', quoted(cut(item)))
      }),
    )
    return [...plain, ...scaled]
  }

  #promptCacheBytes(): number {
    if (!this.#program.hasServer) return 0
    const mib = this.#number('cacheRam') ?? defaults.cacheMib
    if (mib >= 0) return mib * MIB
    const given = this.#last('cacheRam')
    if (given) this.#name(given, `no limit: the cache of prompts is estimated at its default, ${defaults.cacheMib} MiB`)
    return defaults.cacheMib * MIB
  }

  #name(given: Given, reason: string): void {
    this.notUnderstood.push({ argument: given.written, reason })
  }

  #all(setting: Setting): readonly Given[] {
    return this.#given.filter(({ row }) => row.setting === setting)
  }

  #last(setting: Setting): Given | undefined {
    return this.#all(setting).at(-1)
  }

  #text(setting: Setting): string | undefined {
    const given = this.#last(setting)
    if (given === undefined || (given.value !== '' && !given.value.includes('\0'))) return given?.value
    throw invalidArgument(given.name, 'a path', quoted(cut(given.value)))
  }

  #number(setting: Setting): number | undefined {
    const given = this.#last(setting)
    return given === undefined ? undefined : Number(given.value)
  }

  #onOrOff(setting: Setting): boolean | undefined {
    const value = this.#last(setting)?.value
    return value === 'on' ? true : value === 'off' ? false : undefined
  }

  #choice<T extends string>(setting: Setting, allowed: readonly T[]): T | undefined {
    const given = this.#last(setting)
    return given === undefined ? undefined : oneOf(given.name, cut(given.value), allowed)
  }
}

/** The largest of any number of numbers. */
const largest = (numbers: readonly number[]): number | undefined =>
  numbers.reduce<number | undefined>((most, each) => (most === undefined || each > most ? each : most), undefined)

/** A number within its bounds; `also` says what else llama.cpp takes. */
function within<T extends number | undefined>(
  given: Given | undefined,
  number: T,
  also: string | undefined,
  least: number,
  most: number,
): T {
  if (given === undefined || number === undefined || (number >= least && number <= most)) return number
  throw invalidArgument(
    given.name,
    `a whole number${also === undefined ? ` from ${least} to ${most}` : `: ${also}`}`,
    String(number),
  )
}

/** The fields of a row of comma-separated values: one may stand in quotes, where a doubled one is a quote. */
function rowOfCsv(text: string): string[] {
  const fields: string[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^,]*))(?:,|$)/gy
  for (let match = field.exec(text); match !== null; match = field.exec(text)) {
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
    if (field.lastIndex >= text.length) break
  }
  return fields.filter((each) => each !== '')
}

/** Options without those that are not there, which inherit nothing. */
const present = (options: { readonly [K in keyof LlamaOptions]: LlamaOptions[K] | undefined }): LlamaOptions =>
  own<object>(Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))) as LlamaOptions
