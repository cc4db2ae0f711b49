import { type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type * as native from '../addon/native.js'
import { estimate as estimateOf, type ModelMemoryEstimate } from '../estimate/model-memory.js'
import type { EstimateOptions, Processor } from '../estimate/options.js'
import { GgufFile } from '../loader/gguf-file.js'
import * as check from '../support/check.js'
import { readError } from '../support/errors.js'
import type { Exact, PlanRun } from './types.js'

/** All layers of a model. */
const ALL_LAYERS = 2 ** 31 - 1

/** What an instance's model takes, and how that was found. */
export interface Sized {
  /** What the core counts it by. */
  readonly native: Omit<native.NativePlannedInstance, 'id'>
  /** Its estimate, if it has one. */
  readonly estimate?: ModelMemoryEstimate
}

/** The keys of a run that say how a model is run; the others name files. */
const copied = [
  'contextLength',
  'parallel',
  'batch',
  'ubatch',
  'flashAttention',
  'swaFull',
  'unifiedKv',
  'embeddings',
  'cpuMoeLayers',
  'mmap',
  'repack',
  'promptCacheBytes',
  'checkpoints',
] as const

/** Every key of {@link PlanRun}. */
export const runKeys: readonly (keyof PlanRun)[] = [
  ...copied,
  'model',
  'limitBytes',
  'formula',
  'device',
  'kvType',
  'kvTypeK',
  'kvTypeV',
  'gpuLayers',
  'runtime',
  'mmproj',
  'draft',
  'loras',
]

/** Files that were opened together and are closed together. */
export class OpenFiles implements Disposable {
  readonly #files: GgufFile[] = []
  readonly #headerOnly: boolean

  /** Whether a header does: a plan may be for another machine. What is to be loaded has to be whole. */
  constructor(headerOnly = true) {
    this.#headerOnly = headerOnly
  }

  open(path: string): GgufFile {
    const file = GgufFile.open(path, { headerOnly: this.#headerOnly })
    this.#files.push(file)
    return file
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.splice(0)) file.close()
  }
}

/** The options of an estimate that a run on that processor stands for, its files opened. This machine's by default. */
export function estimateOptions(
  run: Exact<PlanRun>,
  folder: string,
  files: OpenFiles,
  processor?: Processor,
): EstimateOptions {
  const { device, kvType, kvTypeK = kvType, kvTypeV = kvType, runtime, mmproj, draft, loras } = run
  const gpuLayers = run.gpuLayers ?? (device === 'gpu' ? ALL_LAYERS : undefined)
  const program = runtime ?? (device === 'npu' ? 'rkllm' : undefined)
  const given: Record<string, unknown> = { kvTypeK, kvTypeV, gpuLayers, runtime: program, processor }
  for (const key of copied) given[key] = run[key]
  const open = (path: string) => files.open(resolve(folder, path))
  if (mmproj !== undefined) given.mmproj = open(mmproj)
  if (draft !== undefined) given.draft = open(draft)
  if (loras !== undefined) given.loras = loras.map(open)
  return check.own(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)))
}

/**
 * What the model of a run takes, on this machine's processor or on that one: by its estimate where `formula` says so, or says nothing
 * and the file is one of GGUF; else by the rule of thumb, which counts the files beside it too.
 */
export function sizeOf(run: Exact<PlanRun>, folder: string, processor?: Processor): Sized {
  using files = new OpenFiles()
  return sizeBy(files, run, folder, processor)
}

/** The same of a model that is loaded now: its files have to be whole, by whatever its size is found. */
export function sizeOfWhole(run: Exact<PlanRun>): Sized {
  using files = new OpenFiles(false)
  if (run.model !== undefined && isGguf(run.model)) files.open(resolve(run.model))
  return sizeBy(files, run, '.')
}

function sizeBy(files: OpenFiles, run: Exact<PlanRun>, folder: string, processor?: Processor): Sized {
  const { model, limitBytes, formula } = run
  const limit = limitBytes === undefined ? {} : { limitBytes }
  if (model === undefined) return { native: check.own(limit) }
  const path = resolve(folder, model)
  if (formula === 'estimate' || (formula === undefined && isGguf(path))) {
    const file = files.open(path)
    const estimate = estimateOf(file, estimateOptions(run, folder, files, processor))
    const { loadingBytes, fullBytes } = estimate.totals
    return { native: check.own({ ...limit, loadingBytes, fullBytes }), estimate }
  }
  const beside = [run.mmproj, run.draft, ...(run.loras ?? [])].filter((each) => each !== undefined)
  const sizes = beside.map((each) => fileBytes(resolve(folder, each), files))
  return {
    native: check.own({ ...limit, fileBytes: sizes.reduce((sum, bytes) => sum + bytes, fileBytes(path, files)) }),
  }
}

/** Whether a file is called as one of GGUF is. Others are not opened, whatever is in them. */
const isGguf = (path: string): boolean => /\.gguf$/i.test(path)

/** The size of a model's file, or of all files of a split one. */
function fileBytes(path: string, files: OpenFiles): number {
  const { size } = statOf(path)
  if (size === 0) throw readError(path, 'a model file', new Error('it is empty'))
  if (!/-\d{5}-of-\d{5}\.gguf$/i.test(path)) return size
  return files.open(path).paths.reduce((sum, each) => sum + statOf(each).size, 0)
}

function statOf(path: string): Stats {
  try {
    return statSync(path)
  } catch (error) {
    throw readError(path, 'a model file that is there', error)
  }
}
