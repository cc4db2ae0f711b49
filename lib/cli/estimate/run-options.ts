import { readFileSync, statSync } from 'node:fs'
import {
  type EstimateOptions,
  estimate as estimateOf,
  type GgufFile,
  type KvType,
  kvTypes,
  type LlamaArguments,
  type LlamaCppVersion,
  llamaCppVersions,
  type MemoryUse,
  type ModelMemoryEstimate,
  measureUse,
  openLlamaRun,
  type Processor,
  processors,
  type Runtime,
  runtimes,
} from '../../index.js'
import type { Arguments } from '../arguments.js'
import { Exit } from '../exit.js'
import { FileError, UsageError } from '../failure.js'
import { addressOptions, isAddress, openInput, openModel } from '../shared/input.js'
import { boardFrom } from '../shared/line.js'
import type { Options } from '../shared/option.js'

/** How a run is described, whatever is asked of it. */
export const runOptions = {
  batch: { type: 'string', value: 'N', help: 'tokens that are given at once (2048)' },
  outputs: {
    type: 'string',
    value: 'N',
    help: 'tokens of a batch whose logits are wanted (all; llama-server: one a slot)',
  },
  'flash-attention': { type: 'boolean', help: 'attention keeps no scores (the default)' },
  'no-flash-attention': { type: 'boolean', help: 'attention keeps its scores' },
  'swa-full': { type: 'boolean', help: 'layers with a window keep the whole context' },
  'kv-unified': { type: 'boolean', argument: 'unifiedKv', help: 'all slots share one cache' },
  embeddings: { type: 'boolean', help: 'embeddings are wanted, not logits' },
  'gpu-layers': { type: 'string', value: 'N|all', help: 'layers on the GPU, from the last on (0)' },
  'n-cpu-moe': {
    type: 'string',
    value: 'N|all',
    argument: 'cpuMoeLayers',
    help: 'layers whose experts stay with the processor, from the first on (0)',
  },
  'cpu-tensors': {
    type: 'string',
    value: 'REGEX',
    multiple: true,
    help: 'tensors that stay with the processor, wherever their layer is; may be repeated',
  },
  mmap: { type: 'boolean', help: 'the file is mapped (the default)' },
  'no-mmap': { type: 'boolean', help: 'the file is read, not mapped' },
  'no-repack': { type: 'boolean', help: 'no weights are kept a second time in an order that is faster' },
  processor: {
    type: 'string',
    value: 'x64|x64-amx|arm64',
    help: 'whose order that is (this machine; arm64 with --board)',
  },
  mmproj: { type: 'string', value: 'FILE', help: 'a projector for images or sound' },
  draft: { type: 'string', value: 'FILE', help: 'a draft model' },
  'draft-context': {
    type: 'string',
    value: 'TOKENS',
    argument: 'contextLength',
    help: "tokens of a draft model's slot (as of the model)",
  },
  'draft-kv-type': {
    type: 'string',
    value: 'TYPE',
    argument: ['kvTypeK', 'kvTypeV'],
    help: 'how its keys and values are stored (f16)',
  },
  'draft-gpu-layers': {
    type: 'string',
    value: 'N|all',
    argument: 'gpuLayers',
    help: 'its layers on the GPU (as many as --gpu-layers says)',
  },
  mtp: { type: 'boolean', help: 'the model drafts for itself, with its blocks that predict further tokens' },
  'draft-tokens': { type: 'string', value: 'N', help: 'tokens that are drafted at once, with --mtp (3)' },
  lora: { type: 'string', value: 'FILE', multiple: true, argument: 'loras', help: 'an adapter; may be repeated' },
  'prompt-cache': { type: 'string', value: 'SIZE', help: "limit of a server's cache of prompts (llama-server: 8GiB)" },
  checkpoints: { type: 'string', value: 'N', help: 'checkpoints that a server keeps of a slot (llama-server: 32)' },
  ...addressOptions,
  runtime: { type: 'string', value: 'NAME', help: 'llama.cpp, llama-server, rkllm or generic (llama.cpp)' },
  'llama-cpp-version': { type: 'string', value: '0.5|0.6', help: 'of llama.cpp (the bound covers each of them)' },
} as const satisfies Options

/** Opens a header, on the disk or, by its URL, from a server. */
export const openHeader = (file: string, headers?: Record<string, string>): Promise<GgufFile> =>
  openModel(file, isAddress(file) ? {} : { headerOnly: true }, headers)

/** What a command says of the run, and the files beside the model, open. */
export async function runFrom(args: Arguments): Promise<EstimateOptions> {
  const [mmproj, draft, loras] = [args.text('mmproj'), args.text('draft'), args.list('lora') ?? []]
  const options: EstimateOptions = {
    ...given('batch', args.count('batch')),
    ...given('outputs', args.count('outputs')),
    ...given('gpuLayers', layers(args, 'gpu-layers')),
    ...given('cpuMoeLayers', layers(args, 'n-cpu-moe')),
    ...given('runtime', args.oneOf<Runtime>('runtime', runtimes)),
    ...given('llamaCppVersion', args.oneOf<LlamaCppVersion>('llama-cpp-version', llamaCppVersions)),
    ...given('processor', processorFrom(args)),
    ...given('promptCacheBytes', args.size('prompt-cache')),
    ...given('checkpoints', whole(args, 'checkpoints')),
    ...given('cpuTensors', args.list('cpu-tensors')),
    ...given('flashAttention', switched(args, 'flash-attention')),
    ...(args.flag('swa-full') && { swaFull: true }),
    ...(args.flag('kv-unified') && { unifiedKv: true }),
    ...(args.flag('embeddings') && { embeddings: true }),
    ...given('mmap', switched(args, 'mmap')),
    ...(args.flag('no-repack') && { repack: false }),
  }
  return {
    ...options,
    ...given('mmproj', mmproj === undefined ? undefined : await openHeader(mmproj)),
    ...given('mtp', mtpFrom(args)),
    ...given('draft', await draftFrom(args, draft)),
    ...(loras.length > 0 && { loras: await Promise.all(loras.map((file) => openHeader(file))) }),
  }
}

/** What is on or off, if either was said. */
function switched(args: Arguments, name: string): boolean | undefined {
  const [on, off] = [args.flag(name), args.flag(`no-${name}`)]
  if (on && off) throw new UsageError(`expected --${name} or --no-${name}, got both`)
  return on || off ? on : undefined
}

/** A draft model, and what is different for it. */
async function draftFrom(args: Arguments, file: string | undefined): Promise<EstimateOptions['draft']> {
  const kvType = kvTypeFrom(args, 'draft-kv-type')
  const own = {
    ...given('contextLength', args.count('draft-context')),
    ...given('kvTypeK', kvType),
    ...given('kvTypeV', kvType),
    ...given('gpuLayers', layers(args, 'draft-gpu-layers')),
  }
  if (file !== undefined) return { model: await openHeader(file), ...own }
  const surplus = ['draft-context', 'draft-kv-type', 'draft-gpu-layers'].find((name) => args.text(name) !== undefined)
  if (surplus === undefined) return undefined
  throw new UsageError(`expected --${surplus} with --draft, got it without`)
}

/** How the model drafts for itself. */
function mtpFrom(args: Arguments): EstimateOptions['mtp'] {
  const draftTokens = args.count('draft-tokens')
  if (args.flag('mtp')) return draftTokens === undefined ? true : { draftTokens }
  if (draftTokens === undefined) return undefined
  throw new UsageError('expected --draft-tokens with --mtp, got it without')
}

/** Boards with a preset have arm64. */
const processorFrom = (args: Arguments): Processor | undefined =>
  args.oneOf<Processor>('processor', processors) ?? (boardFrom(args) ? 'arm64' : undefined)

export const kvTypeFrom = (args: Arguments, name: string): KvType | undefined => args.oneOf<KvType>(name, kvTypes)

/** An option with a value, or nothing. */
export const given = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]: T })

/** A number of layers, or all of them. */
const layers = (args: Arguments, name: string): number | undefined =>
  args.text(name) === 'all' ? 2 ** 31 - 1 : whole(args, name)

/** A whole number from 0 up. */
function whole(args: Arguments, name: string): number | undefined {
  const number = args.number(name)
  if (number === undefined || (Number.isSafeInteger(number) && number >= 0)) return number
  throw new UsageError(`expected --${name} to be a whole number from 0 up, got "${args.text(name)}"`)
}

/** A number of parameters, such as 7B, 350M or 7e9. */
export function parametersFrom(args: Arguments): number | undefined {
  const text = args.text('params')
  if (text === undefined) return undefined
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?(?:e\d+)?) ?([kmbt]?)$/i.exec(text.trim()) ?? []
  const scale = { '': 1, k: 1e3, m: 1e6, b: 1e9, t: 1e12 }[unit.toLowerCase() as '' | 'k' | 'm' | 'b' | 't']
  const parameters = Math.round(Number(digits) * scale)
  if (Number.isSafeInteger(parameters) && parameters > 0) return parameters
  throw new UsageError(`expected --params to be a number of parameters, such as 7B or 350M, got "${text}"`)
}

/** The configuration of a repository. */
export function configFrom(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  } catch (error) {
    throw new FileError(`${path}: expected a config.json, got ${(error as Error).message}`, Exit.brokenInput)
  }
}

/** Whether that is a file of RKLLM, of which nobody else can read more than its size. */
export const isRkllmFile = (path: string): boolean => /\.rkllm$/i.test(path)

/** Bytes of a file. */
export function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch (error) {
    throw new FileError((error as Error).message, Exit.brokenInput)
  }
}

/** What a command is about: a model, and what is known of its run. */
export interface Subject {
  /** What it is called. */
  name: string
  estimate: ModelMemoryEstimate
  /** The command line that it was read from, if it was. */
  command?: LlamaArguments
  /** What the process that runs it uses, if one was named. */
  use?: MemoryUse
}

/** What the process with that id uses, if there is one to be looked at. */
export const useOf = async (pid: number | undefined, model?: GgufFile): Promise<{ use?: MemoryUse }> =>
  pid === undefined ? {} : { use: await measureUse({ pid, ...(model && { model }) }) }

/** The model of a llama.cpp command line behind `--`. */
export async function subjectOfCommand(
  argv: readonly string[],
  options: EstimateOptions,
  pid: number | undefined,
): Promise<Subject> {
  using run = await openInput(() => openLlamaRun(argv, process.env))
  const { model, command } = run
  const estimate = estimateOf(model, { ...run.options, ...options })
  return { name: model.path, estimate, command, ...(await useOf(pid, model)) }
}
