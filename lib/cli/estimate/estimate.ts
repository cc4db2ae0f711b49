import { estimate as estimateOf, type LlamaArguments, ModelMemoryEstimate } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { Exit } from '../exit.js'
import { UsageError } from '../failure.js'
import { headersFrom } from '../shared/input.js'
import { lineOptions } from '../shared/line.js'
import type { Verb } from '../verb.js'
import { roomFrom } from './budget.js'
import { estimatePage } from './page.js'
import {
  configFrom,
  given,
  isRkllmFile,
  kvTypeFrom,
  openHeader,
  parametersFrom,
  runFrom,
  runOptions,
  type Subject,
  sizeOf,
  subjectOfCommand,
  useOf,
} from './run-options.js'
import {
  verificationDocument,
  verificationOf,
  verificationSection,
  verifiedProcess,
  verifyOptions,
} from './verification.js'

export const estimate: Verb = {
  name: 'estimate',
  operand: '[FILE|URL]',
  command: 'llama-server ARGS',
  summary: 'what a model needs, before it is loaded: by component, by device, at its peak',
  options: {
    context: {
      type: 'string',
      value: 'N',
      argument: 'contextLength',
      help: 'tokens of one slot (as many as the model was trained with)',
    },
    parallel: { type: 'string', value: 'N', help: 'slots (1)' },
    'kv-type': {
      type: 'string',
      value: 'TYPE',
      argument: ['kvTypeK', 'kvTypeV'],
      help: 'how keys and values are stored: f16, q8_0, q4_0, ... (f16)',
    },
    'kv-type-k': { type: 'string', value: 'TYPE', help: 'the same for keys alone' },
    'kv-type-v': { type: 'string', value: 'TYPE', help: 'the same for values alone' },
    ubatch: { type: 'string', value: 'N', help: 'tokens that are computed at once (512)' },
    ...runOptions,
    'flash-attention': {
      type: 'boolean',
      help: 'attention keeps no scores (the default), whatever a command line behind -- says',
    },
    mmap: { type: 'boolean', help: 'the file is mapped (the default), whatever a command line behind -- says' },
    params: {
      type: 'string',
      value: 'N',
      argument: 'parameters',
      help: 'without a file: a model of so many parameters, such as 7B',
    },
    config: {
      type: 'string',
      value: 'FILE',
      help: "without a file, or of one of RKLLM: a model by its repository's config.json",
    },
    quant: {
      type: 'string',
      value: 'LEVEL',
      help: 'of --params and --config: how it is quantised, such as Q4_K_M (F16)',
    },
    shape: {
      type: 'string',
      value: 'NAME',
      help: 'of --params: the model whose dimensions it has, such as llama-3.1-8b',
    },
    layers: { type: 'boolean', help: 'show each layer' },
    ...verifyOptions,
    ...lineOptions,
  },
  run: async (args) => {
    const room = roomFrom(args)
    const subject = await subjectFrom(args, verifiedProcess(args))
    const verification = verificationOf(subject, args)
    const { pid } = subject.use ?? {}
    const fits = subject.estimate.totals.peakBytes <= room.availableBytes
    return {
      document: {
        ...documentOf(subject),
        fits,
        budget: room,
        ...(pid !== undefined && verification && { verification: verificationDocument(pid, verification) }),
      },
      lines: (page) => [
        ...estimatePage(page, subject, room, args.flag('layers')),
        ...(pid !== undefined && verification ? ['', ...verificationSection(page, pid, verification)] : []),
      ],
      // Who only asks what it needs is answered.
      exitCode: (fits || !room.named) && verification?.verdict !== 'above' ? Exit.fine : Exit.doesNotFit,
    }
  },
}

async function subjectFrom(args: Arguments, pid: number | undefined): Promise<Subject> {
  const { command } = args
  const [file, params, config] = [args.fileIfGiven, parametersFrom(args), args.text('config')]
  const isRkllm = file !== undefined && isRkllmFile(file)
  if (isRkllm && config === undefined) {
    throw new UsageError(`expected --config with the config.json of what ${file} was made of, got it without`)
  }
  const sources = [isRkllm ? undefined : file, params, config, command].filter((source) => source !== undefined)
  if (sources.length !== 1) {
    const got = sources.length === 0 ? 'none of them' : 'several of them'
    throw new UsageError(`expected a FILE, --params, --config, or -- and a command line of llama.cpp, got ${got}`)
  }
  const kvType = kvTypeFrom(args, 'kv-type')
  const run = {
    ...given('contextLength', args.count('context')),
    ...given('parallel', args.count('parallel')),
    ...given('kvTypeK', kvTypeFrom(args, 'kv-type-k') ?? kvType),
    ...given('kvTypeV', kvTypeFrom(args, 'kv-type-v') ?? kvType),
    ...given('ubatch', args.count('ubatch')),
    ...(await runFrom(args)),
  }
  if (command !== undefined) return subjectOfCommand(command, run, pid)
  const level = given('quant', args.text('quant'))
  const shape = given('shape', args.text('shape'))
  if (file !== undefined && !isRkllm) {
    const surplus = Object.keys({ ...level, ...shape })[0]
    if (surplus !== undefined)
      throw new UsageError(`expected --${surplus} with --params or --config, got it with a FILE`)
    using model = await openHeader(file, headersFrom(args, file))
    return { name: model.path, estimate: estimateOf(model, run), ...(await useOf(pid, model)) }
  }
  const { mmproj, draft, mtp, loras, cpuTensors, ...alone } = run
  const beside = Object.entries({ mmproj, draft, mtp, lora: loras, 'cpu-tensors': cpuTensors }).find(
    ([, value]) => value !== undefined,
  )
  if (beside) throw new UsageError(`expected --${beside[0]} with a FILE, got it without`)
  if (params !== undefined) {
    const name = `${args.text('params')} parameters`
    const estimate = ModelMemoryEstimate.fromParams(params, { ...alone, ...level, ...shape })
    return { name, estimate, ...(await useOf(pid)) }
  }
  const path = config as string
  const weights = isRkllm ? { runtime: 'rkllm' as const, weightsBytes: sizeOf(file) } : {}
  const estimate = ModelMemoryEstimate.fromConfig(configFrom(path), { ...weights, ...alone, ...level })
  return { name: isRkllm ? file : path, estimate, ...(await useOf(pid)) }
}

const documentOf = ({ name, estimate, command }: Subject): object => ({
  model: name,
  ...estimate,
  command: command === undefined ? null : commandOf(command),
})

const commandOf = ({ program, contextFromModel, notUnderstood, ignored }: LlamaArguments): object => ({
  program,
  contextFromModel,
  notUnderstood,
  ignored,
})
