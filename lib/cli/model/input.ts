import { type GgufFile, IoError, type OpenOptions } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { InputError, UsageError } from '../failure.js'
import type { Options } from '../shared/option.js'

/** How strictly a file is read. */
export const strictnessOptions = {
  strict: { type: 'boolean', help: 'tensors must follow each other in order and without gaps, as ggml demands' },
  lenient: { type: 'boolean', help: 'allow names of tensors up to 65535 bytes and up to 8 dimensions' },
} as const satisfies Options

export function strictnessFrom(args: Arguments): OpenOptions {
  if (args.flag('strict') && args.flag('lenient')) throw new UsageError('expected --strict or --lenient, got both')
  return {
    strict: args.flag('strict'),
    ...(args.flag('lenient') && { maxNameBytes: 65_535, maxDimensions: 8 }),
  }
}

/** Opens the file of a command; one that cannot be opened is broken input. */
export function openInput(open: () => GgufFile): GgufFile {
  try {
    return open()
  } catch (error) {
    throw error instanceof IoError ? new InputError(error) : error
  }
}
