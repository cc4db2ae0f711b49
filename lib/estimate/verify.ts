import * as native from '../addon/native.js'
import { MemoryBudget } from '../budget/budget.js'
import { gpuProcesses } from '../device/gpu-processes.js'
import { GgufFile, nativeModel } from '../loader/gguf-file.js'
import * as check from '../support/check.js'
import { call, callAsync, invalidArgument, PlimsollError, quoted } from '../support/errors.js'
import { processChecks } from '../system/system.js'
import { isEstimate, type ModelMemoryEstimate } from './model-memory.js'

type NativeComponent = native.NativeVerification['components'][number]

/** What {@link measureUse} takes. */
export interface MeasureUseOptions {
  /** The id of the process: this one by default. */
  pid?: number
  /**
   * The model that it runs, so that pages of its files are told from those of libraries; its header is enough. None by default:
   * then those of all files count.
   */
  model?: GgufFile
}

/** What a process, and the machine it runs on, have in use at one moment, in bytes. What nobody tells is absent, not 0. */
export interface MemoryUse {
  /** The id of the process. */
  pid: number
  /** Resident memory of the process, in bytes: the sum of its three parts. */
  rssBytes: number
  /** Heap, stacks and other anonymous memory, in bytes. */
  anonymousBytes: number
  /** Pages of mapped files, in bytes: those of programs and libraries too. */
  fileBytes: number
  /** Shared memory, in bytes. */
  shmemBytes: number
  /** Resident pages of the model's files, in bytes. */
  mappedBytes?: number
  /** What the process holds on GPUs, in bytes. */
  gpuBytes?: number
  /** What all processes together hold of a Jetson's GPU and engines (`NvMapMemUsed`), in bytes. */
  nvmapBytes?: number
  /** What the machine can give to that process, in bytes: {@link MemoryBudget.headroom}, whatever is pending. */
  headroomBytes?: number
  /** What of these could not be measured, and why. */
  missing: {
    /** What it is. */
    signal: 'mappedBytes' | 'gpuBytes' | 'headroomBytes'
    /** Why it could not be. */
    reason: string
  }[]
}

/** What {@link verifyEstimate} takes. */
export interface VerifyEstimateOptions {
  /**
   * When the use was measured: `'loading'`, with the weights and no context; `'steady'` (default), with a context; `'full'`, with
   * caches full and an image in work.
   */
  phase?: 'loading' | 'steady' | 'full'
  /**
   * Bytes that the program takes beside the model: its heap, the vocabulary, stacks of threads. By default 64 MiB on top of what it
   * had before, 128 MiB without a measurement from before.
   */
  programBytes?: number
}

/** One component of an estimate, and what it takes. */
export interface ComponentUse {
  /**
   * Which it is: weights that are pages of the mapped file; memory of the process's own, which is caches, compute and output
   * buffers, weights that are read or repacked, and what comes on top; what is on a GPU; all of it.
   */
  component: NativeComponent['component']
  /** As near as the estimate knows it, in bytes. */
  estimatedBytes: number
  /** What it may take at most, in bytes: its bound, and `programBytes` where the signal shows the program too. */
  boundBytes: number
  /** What it takes, in bytes. */
  measuredBytes?: number
  /** How far that is from the estimate, in percent of it; negative for less. */
  differencePercent?: number
  /**
   * What says so: pages of the model's files, or of all files; anonymous and shared memory; what a driver says of the process, or
   * of all of them; how far the machine's headroom fell, whoever took it.
   */
  from?: NonNullable<NativeComponent['measured']>['signal']
  /** Why it was not measured. */
  missing?: string
}

/** What {@link verifyEstimate} found. */
export interface EstimateVerification {
  /** The components of which the model has something; `'all'` comes last. */
  components: ComponentUse[]
  /**
   * Whether the process uses no more than the bounds say. What is on a GPU and told by no driver is judged by the machine's headroom;
   * without a figure from before it is `'not-measurable'`.
   */
  verdict: native.NativeVerification['verdict']
}

const model = (name: string, value: unknown): GgufFile =>
  check.real(name, value, GgufFile as unknown as abstract new (...args: never[]) => GgufFile, nativeModel)

/**
 * Measures what a process uses, for {@link verifyEstimate}: take one before its model is loaded, and one after.
 *
 * @throws {@link IoError} where `/proc` is not mounted, and when no such process runs.
 * @throws {@link InvalidArgumentError} for an unfit option.
 * @example
 * const before = await measureUse({ pid, model })
 */
export async function measureUse(options?: MeasureUseOptions): Promise<MemoryUse> {
  const checked = check.options<MeasureUseOptions>(options, { pid: processChecks.pid, model })
  const { pid = process.pid } = checked
  const { rssBytes, anonymousBytes, fileBytes, shmemBytes } = call(() => native.processMemory(pid))
  const use: MemoryUse = { pid, rssBytes, anonymousBytes, fileBytes, shmemBytes, missing: [] }
  const measure = async (signal: MemoryUse['missing'][number]['signal'], read: () => Promise<number | undefined>) => {
    try {
      const bytes = await read()
      if (bytes !== undefined) use[signal] = bytes
    } catch (error) {
      if (!(error instanceof PlimsollError)) throw error
      use.missing.push({ signal, reason: error.message })
    }
  }
  const { paths } = checked.model ?? {}
  await measure('mappedBytes', async () => paths && callAsync(() => native.mappedFileBytes(pid, [...paths])))
  await measure('gpuBytes', async () => gpuBytesOf(pid))
  // A budget of another process counts no grants of this one.
  await measure('headroomBytes', async () => MemoryBudget.forThisMachine({ pid }).headroom().bytes)
  const nvmapBytes = native.signals(undefined, pid).memory?.nvmapUsedBytes
  if (nvmapBytes !== undefined) use.nvmapBytes = nvmapBytes
  return use
}

/** What a process holds on all GPUs; `undefined` where one of them does not tell, and of a process that none lists. */
async function gpuBytesOf(pid: number): Promise<number | undefined> {
  const own = (await gpuProcesses()).filter((found) => found.pid === pid)
  if (own.length === 0) return undefined
  return own.reduce<number | undefined>(
    (sum, { bytes }) => (sum === undefined || bytes === undefined ? undefined : sum + bytes),
    0,
  )
}

const count = (name: string, value: unknown) => check.bytes(name, value)
const useChecks = {
  pid: processChecks.pid,
  rssBytes: count,
  anonymousBytes: count,
  fileBytes: count,
  shmemBytes: count,
  mappedBytes: count,
  gpuBytes: count,
  nvmapBytes: count,
  headroomBytes: count,
  missing: (name: string, value: unknown) =>
    check.array(name, 'an array', value, (item) => item as MemoryUse['missing'][number]),
} as const

function nativeUse(name: string, value: unknown): native.NativeMemoryUse {
  const { pid, missing, ...use } = check.options<MemoryUse>(value, useChecks, name)
  const absent = (['rssBytes', 'anonymousBytes', 'fileBytes', 'shmemBytes'] as const).find(
    (key) => use[key] === undefined,
  )
  if (absent) throw invalidArgument(name, 'what measureUse() returns', `an object without ${absent}`)
  return check.own(use)
}

/**
 * Compares an estimate with what a process uses now. With what it used `before` the model was loaded, growth is compared, else all that
 * it has.
 *
 * The kernel gives pages when they are touched: of the compute buffer all shows once a whole micro-batch was computed at the end of
 * a full context. The verdict is about more than the bound, not about less than the estimate.
 *
 * @throws {@link InvalidArgumentError} for what is no estimate and no measurement, and an unfit option.
 * @example
 * const before = await measureUse({ pid, model })
 * // ... the process loads the model, and makes its context ...
 * const { verdict, components } = verifyEstimate(needs, before, await measureUse({ pid, model }))
 */
export function verifyEstimate(
  estimate: ModelMemoryEstimate,
  before: MemoryUse | undefined,
  after: MemoryUse,
  options?: VerifyEstimateOptions,
): EstimateVerification {
  if (!isEstimate(estimate)) throw invalidArgument('estimate', 'a ModelMemoryEstimate', quoted(estimate))
  const { phase = 'steady', programBytes } = check.options<VerifyEstimateOptions>(options, {
    phase: (name, value) => check.oneOf(name, value, ['loading', 'steady', 'full'] as const),
    programBytes: count,
  })
  const { devices, extras, computeBytes, outputBytes } = estimate
  const held = check.own({ devices: [...devices], extras: [...extras], computeBytes, outputBytes })
  const first = before === undefined ? undefined : nativeUse('before', before)
  const now = nativeUse('after', after)
  const { components, verdict } = call(() => native.verifyUse(held, first, now, phase, programBytes))
  return { components: components.map(componentUse), verdict }
}

function componentUse({ measured, missing, ...rest }: NativeComponent): ComponentUse {
  if (!measured) return { ...rest, ...(missing !== undefined && { missing }) }
  const { sizeBytes: measuredBytes, signal: from } = measured
  const differencePercent = ((measuredBytes - rest.estimatedBytes) / rest.estimatedBytes) * 100
  return { ...rest, measuredBytes, ...(rest.estimatedBytes > 0 && { differencePercent }), from }
}
