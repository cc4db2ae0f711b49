import { GgufFile, IoError, type OpenOptions } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { InputError, UsageError } from '../failure.js'
import { untilInterrupted } from './interrupt.js'
import type { Options } from './option.js'

/** How strictly a file is read. */
export const strictnessOptions = {
  strict: { type: 'boolean', help: 'tensors must follow each other in order and without gaps, as ggml demands' },
  lenient: { type: 'boolean', help: 'allow names of tensors up to 65535 bytes and up to 8 dimensions' },
  shard: { type: 'boolean', help: 'of a split model, open this file alone and not all of them' },
} as const satisfies Options

export function strictnessFrom(args: Arguments): OpenOptions {
  if (args.flag('strict') && args.flag('lenient')) throw new UsageError('expected --strict or --lenient, got both')
  return {
    strict: args.flag('strict'),
    shardOnly: args.flag('shard'),
    ...(args.flag('lenient') && { maxNameBytes: 65_535, maxDimensions: 8 }),
  }
}

/** What goes along to a server. */
export const addressOptions = {
  header: {
    type: 'string',
    value: "'NAME: TEXT'",
    multiple: true,
    argument: 'headers',
    help: 'of a URL: send this along, such as an authorization; may be repeated',
  },
} as const satisfies Options

/** Whether what stands for a file is an address of the web. */
export const isAddress = (file: string): boolean => /^https?:\/\//i.test(file)

/** Opens what a command names; what cannot be opened is broken input. */
export async function openInput<T>(open: () => T | Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    throw error instanceof IoError ? new InputError(error) : error
  }
}

/** Opens a model on the disk, or the header of one on a server. The headers go to that address alone. */
export const openModel = (
  file: string,
  options: OpenOptions,
  headers: Record<string, string> = {},
): Promise<GgufFile> =>
  openInput(() =>
    isAddress(file)
      ? GgufFile.openUrl(file, { ...options, headers, signal: untilInterrupted() })
      : GgufFile.open(file, options),
  )

/** What `--header` says, by name. What is wrong with one is told without what it says, which may be secret. */
export function headersFrom(args: Arguments, file: string): Record<string, string> {
  const fields = (args.list('header') ?? []).map((field): [string, string] => {
    const [, name, text] = /^([\w-]+): *(.+)$/.exec(field) ?? []
    if (name === undefined || text === undefined) throw new UsageError("expected --header to be 'NAME: TEXT'")
    return [name, text]
  })
  if (fields.length > 0 && !isAddress(file)) throw new UsageError('expected a URL with --header, got a FILE')
  return Object.fromEntries(fields)
}
