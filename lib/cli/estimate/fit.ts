import {
  type Fit,
  type FitAxis,
  fit as fitOf,
  formatBytes,
  InvalidPlanError,
  IoError,
  type KvType,
  kvTypes,
  type MemoryArgs,
  MiB,
  parseMemoryArgs,
} from '../../index.js'
import { type Arguments, suggestion } from '../arguments.js'
import { Exit } from '../exit.js'
import { InputError, UsageError } from '../failure.js'
import { headersFrom } from '../shared/input.js'
import { lineOptions } from '../shared/line.js'
import type { Page } from '../terminal/page.js'
import { facts, heading } from '../terminal/table.js'
import { beginning, grouped, visible } from '../terminal/text.js'
import type { Verb } from '../verb.js'
import { type Room, roomFrom, within } from './budget.js'
import { contextText, familyText, partsSection, totalsSection } from './page.js'
import { given, isRkllmFile, openHeader, runFrom, runOptions } from './run-options.js'

const axes: readonly FitAxis[] = ['parallel', 'kvType', 'ubatch', 'context', 'mmap']

export const fit: Verb = {
  name: 'fit',
  operand: 'FILE|URL',
  summary: 'the best context, slots and KV type of a model for this machine, or for a board',
  options: {
    'min-context': {
      type: 'string',
      value: 'N',
      help: 'tokens that a slot must have (2048, or as many as the model was trained with)',
    },
    'max-context': {
      type: 'string',
      value: 'N',
      help: 'the most that it may have (as many as the model was trained with)',
    },
    parallel: { type: 'string', value: 'N,...', help: 'slots, the best first (1)' },
    'kv-types': {
      type: 'string',
      value: 'TYPE,...',
      argument: ['kvTypes', 'kvTypeK', 'kvTypeV'],
      help: 'types of the cache, the best first (f16,q8_0)',
    },
    ubatches: {
      type: 'string',
      value: 'N,...',
      argument: ['ubatches', 'ubatch'],
      help: 'tokens that are computed at once, the best first (512,256,128)',
    },
    priorities: { type: 'string', value: 'WHAT,...', help: `what is decided first (${axes.join(',')})` },
    'largest-allocation': { type: 'string', value: 'SIZE', help: 'the most that one allocation may have' },
    cpu: { type: 'string', value: 'SIZE', help: 'the most that the processor may hold' },
    gpu: { type: 'string', value: 'SIZE', help: 'the most that the GPU may hold; it gets as many layers as fit' },
    'max-memory-gb': { type: 'string', value: 'N', help: 'the most memory, in GiB' },
    'max-parallel-tokens': {
      type: 'string',
      value: 'N',
      argument: ['ubatches', 'ubatch'],
      help: 'the micro-batch, instead of --ubatches',
    },
    'max-cache-tokens': {
      type: 'string',
      value: 'N',
      argument: 'maxContext',
      help: 'the most tokens of all slots together',
    },
    config: {
      type: 'string',
      value: 'FILE',
      help: 'these three in YAML or JSON: max_memory_gb, max_parallel_tokens, max_cache_tokens',
    },
    ...runOptions,
    'gpu-layers': {
      type: 'string',
      value: 'N|all',
      help: 'layers on the GPU, from the last on (0); with --gpu the most that it gets (all)',
    },
    mmap: { type: 'boolean', help: 'the file is mapped; else that is chosen, too' },
    'no-mmap': { type: 'boolean', help: 'the file is read, not mapped; else that is chosen, too' },
    'prompt-cache': { type: 'string', value: 'SIZE', help: "limit of a server's cache of prompts (0)" },
    checkpoints: { type: 'string', value: 'N', help: 'checkpoints that a server keeps of a slot (0)' },
    ...lineOptions,
  },
  run: async (args) => {
    const limits = limitsFrom(args)
    const limit = limits.from.maxBytes === 'file' ? 'max_memory_gb' : '--max-memory-gb'
    const room = within(roomFrom(args), limits.maxBytes, limit)
    const { file } = args
    if (isRkllmFile(file)) throw new UsageError(`expected a GGUF file, got ${file}: ${ofRkllm}`)
    const devices = { ...given('cpuBytes', args.size('cpu')), ...given('gpuBytes', args.size('gpu')) }
    const options = {
      ...given('minContext', args.count('min-context')),
      ...given('maxContext', args.count('max-context') ?? contextWithin(limits, numbers(args, 'parallel'))),
      ...given('parallel', numbers(args, 'parallel')),
      ...given('kvTypes', words<KvType>(args, 'kv-types', kvTypes)),
      ...given('ubatches', numbers(args, 'ubatches') ?? ubatchesOf(limits)),
      ...given('priorities', words<FitAxis>(args, 'priorities', axes)),
      ...given('largestAllocationBytes', args.size('largest-allocation')),
      ...(await runFrom(args)),
      devices,
    }
    using model = await openHeader(file, headersFrom(args, file))
    const found = fitOf(model, room.availableBytes, options)
    const name = model.path
    return {
      document: {
        model: name,
        budget: room,
        ...found,
        llamaServerArguments: argumentsOf(found, args) ?? null,
      },
      lines: (page) => lines(page, name, found, room, args),
      exitCode: found.fits ? Exit.fine : Exit.doesNotFit,
    }
  },
}

const ofRkllm =
  'its context was chosen when it was converted; "plimsoll estimate" with --config and --context says what it needs'

/** Limits as a server of the package's user has them, too. */
function limitsFrom(args: Arguments): MemoryArgs {
  const flags = ['max-memory-gb', 'max-parallel-tokens', 'max-cache-tokens', 'config']
  try {
    return parseMemoryArgs(
      flags.flatMap((flag) => (args.text(flag) === undefined ? [] : [`--${flag}`, `${args.text(flag)}`])),
    )
  } catch (error) {
    throw error instanceof IoError || error instanceof InvalidPlanError ? new InputError(error) : error
  }
}

/** Tokens of a slot, where there is a limit for those of all. */
const contextWithin = ({ maxCacheTokens }: MemoryArgs, [parallel = 1]: number[] = []): number | undefined =>
  maxCacheTokens === undefined ? undefined : Math.max(1, Math.floor(maxCacheTokens / parallel))

const ubatchesOf = ({ maxParallelTokens }: MemoryArgs): number[] | undefined =>
  maxParallelTokens === undefined ? undefined : [maxParallelTokens]

function lines(page: Page, name: string, found: Fit, room: Room, args: Arguments): string[] {
  const { fits, configuration, estimate, reasons, trades, spareBytes } = found
  const server = argumentsOf(found, args)
  return [
    heading(page, beginning(visible(name), 200), fits ? 'the best that fits' : 'does not fit; the least it needs'),
    '',
    ...facts(page, [
      ['family', familyText(estimate)],
      ['context', contextText(configuration)],
      ['keys and values', configuration.kvType],
      ['micro-batch', `${grouped(configuration.ubatch)} tokens`],
      ['on the GPU', configuration.gpuLayers > 0 ? `${grouped(configuration.gpuLayers)} layers` : undefined],
      ['file', configuration.mmap ? 'mapped' : 'read, not mapped'],
      ['left', fits ? `${formatBytes(spareBytes)}, for --cache-ram and --ctx-checkpoints` : undefined],
    ]),
    ...(server === undefined ? [] : ['', heading(page, 'As arguments'), '', `  llama-server -m FILE ${server}`]),
    '',
    ...partsSection(page, estimate),
    '',
    ...totalsSection(page, estimate, room),
    '',
    heading(page, fits ? 'Why no more' : 'Why not'),
    '',
    ...reasons.map((reason) => `  ${reason}`),
    ...(trades.length > 0
      ? ['', heading(page, 'Instead'), '', ...trades.map((trade) => `  ${trade.description}`)]
      : []),
  ]
}

/**
 * The same as arguments, with all that the estimate was made for: there the context is that of all slots, and what a server would
 * add by itself has to be switched off.
 */
function argumentsOf({ fits, configuration: chosen }: Fit, args: Arguments): string | undefined {
  if (!fits || ['rkllm', 'generic'].includes(args.text('runtime') ?? '')) return undefined
  const promptCacheBytes = args.size('prompt-cache') ?? 0
  const files = (flag: string, paths: readonly (string | undefined)[]) =>
    paths.filter((path) => path !== undefined).map((path) => `${flag} ${visible(path)}`)
  return [
    `-c ${chosen.cacheTokens} -np ${chosen.parallel} -ctk ${chosen.kvType} -ctv ${chosen.kvType} -ub ${chosen.ubatch}`,
    `-b ${Math.max(args.count('batch') ?? 2048, chosen.ubatch)} -ngl ${chosen.gpuLayers}`,
    args.flag('no-flash-attention') ? '-fa off' : '-fa on',
    args.flag('kv-unified') ? '-kvu' : '--no-kv-unified',
    ...(args.flag('swa-full') ? ['--swa-full'] : []),
    ...(args.flag('embeddings') ? ['--embedding'] : []),
    ...(args.text('n-cpu-moe') === undefined
      ? []
      : [args.text('n-cpu-moe') === 'all' ? '--cpu-moe' : `--n-cpu-moe ${args.text('n-cpu-moe')}`]),
    ...(args.list('cpu-tensors') ?? []).map((pattern) => `-ot '${visible(pattern)}=CPU'`),
    ...(chosen.mmap ? [] : ['--no-mmap']),
    ...(args.flag('no-repack') ? ['--no-repack'] : []),
    ...files('--mmproj', [args.text('mmproj')]),
    ...files('-md', [args.text('draft')]),
    ...draftArguments(args),
    ...(args.flag('mtp') ? [`--spec-type draft-mtp --spec-draft-n-max ${args.text('draft-tokens') ?? 3}`] : []),
    ...files('--lora', args.list('lora') ?? []),
    `--cache-ram ${Math.floor(promptCacheBytes / MiB)} --ctx-checkpoints ${args.text('checkpoints') ?? 0}`,
  ].join(' ')
}

/** What is different for the draft model. llama.cpp of today gives it the context of the model. */
function draftArguments(args: Arguments): string[] {
  const [context, kvType, layers] = ['draft-context', 'draft-kv-type', 'draft-gpu-layers'].map((it) => args.text(it))
  return [
    ...(context === undefined ? [] : [`-cd ${context}`]),
    ...(kvType === undefined ? [] : [`-ctkd ${kvType} -ctvd ${kvType}`]),
    ...(layers === undefined ? [] : [`-ngld ${layers}`]),
  ]
}

const list = (args: Arguments, name: string): string[] | undefined =>
  args
    .text(name)
    ?.split(',')
    .map((word) => word.trim())

function numbers(args: Arguments, name: string): number[] | undefined {
  return list(args, name)?.map((word) => {
    const number = word === '' ? Number.NaN : Number(word)
    if (Number.isSafeInteger(number) && number > 0) return number
    throw new UsageError(`expected --${name} to be whole numbers from 1 up, such as 4,2,1, got "${args.text(name)}"`)
  })
}

function words<T extends string>(args: Arguments, name: string, allowed: readonly T[]): T[] | undefined {
  return list(args, name)?.map((word) => {
    if (allowed.includes(word as T)) return word as T
    throw new UsageError(`unknown value "${word}" of --${name}; ${suggestion(word, allowed)}`)
  })
}
