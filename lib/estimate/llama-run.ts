import { GgufFile } from '../loader/gguf-file.js'
import * as check from '../support/check.js'
import { invalidArgument } from '../support/errors.js'
import { contextOfSlot, type LlamaArguments, llamaArguments } from './llama-arguments.js'
import type { EstimateOptions } from './options.js'

/** The files that a command line names, open, and the options that it stands for. */
export interface LlamaRun extends Disposable {
  /** What the command line says. */
  command: LlamaArguments
  /** The model's header. */
  model: GgufFile
  /** What {@link estimate} takes. */
  options: EstimateOptions
  /** Closes all files. Idempotent. */
  close(): void
}

/**
 * Opens what a command line of llama.cpp names, headers alone, and gives the options of its estimate. What was not understood widens
 * the bound. `argv` begins with the program; `env` is its environment, none by default.
 *
 * @throws {@link InvalidArgumentError} as of {@link llamaArguments}, and for a command line that names no model.
 * @throws {@link IoError} and {@link InvalidGgufError} as of {@link GgufFile.open}.
 * @example
 * const { model, options } = openLlamaRun(['llama-server', '-m', 'model.gguf', '-c', '8192'])
 * estimate(model, options).totals.peakBytes
 */
export function openLlamaRun(argv: readonly string[], env?: Readonly<Record<string, string | undefined>>): LlamaRun {
  const command = llamaArguments(argv, env)
  const { modelPath, contextFromModel, options: given, notUnderstood } = command
  if (modelPath === undefined) {
    throw invalidArgument('argv', 'a command line with -m and the file of a model', 'one without')
  }
  const files: GgufFile[] = []
  const open = (path: string): GgufFile => {
    const file = GgufFile.open(path, { headerOnly: true })
    files.push(file)
    return file
  }
  const close = () => {
    for (const file of files) file.close()
  }
  try {
    const {
      mmprojPath,
      draftPath,
      draftContextLength,
      draftKvTypeK,
      draftKvTypeV,
      draftGpuLayers,
      mtp,
      draftTokens,
      loraPaths = [],
      runtime,
      ...options
    } = given
    const model = open(modelPath)
    const all: EstimateOptions = {
      ...options,
      ...(contextFromModel && contextOfModel(model, options.parallel)),
      // llama-cli has a server's caches, which the options say, and none of its limits.
      runtime: runtime === 'llama-cli' ? 'llama.cpp' : runtime,
      ...(mmprojPath !== undefined && { mmproj: open(mmprojPath) }),
      ...(draftPath !== undefined && {
        draft: {
          model: open(draftPath),
          ...(draftContextLength !== undefined && { contextLength: draftContextLength }),
          ...(draftKvTypeK && { kvTypeK: draftKvTypeK }),
          ...(draftKvTypeV && { kvTypeV: draftKvTypeV }),
          ...(draftGpuLayers !== undefined && { gpuLayers: draftGpuLayers }),
        },
      }),
      ...(mtp && {
        mtp: {
          ...(draftTokens !== undefined && { draftTokens }),
          ...(draftKvTypeK && { kvTypeK: draftKvTypeK }),
          ...(draftKvTypeV && { kvTypeV: draftKvTypeV }),
        },
      }),
      loras: loraPaths.map(open),
      widened: notUnderstood.length > 0,
    }
    return { command, model, options: check.own(all), close, [Symbol.dispose]: close }
  } catch (error) {
    close()
    throw error
  }
}

/** The trained context is that of all slots together; a file that does not say it is refused by its estimate. */
function contextOfModel(model: GgufFile, slots: number): { contextLength?: number } {
  const trained = model.metadata.get(`${model.architecture}.context_length`)
  const tokens = typeof trained === 'bigint' ? Number(trained) : trained
  return typeof tokens === 'number' && tokens >= slots ? { contextLength: contextOfSlot(tokens, slots) } : {}
}
