import { InvalidArgumentError, MemoryPool, type MemoryPoolOptions, type PoolSettings } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { TraceError, UsageError } from '../failure.js'
import type { Options } from '../shared/option.js'

/** The options that change how a pool takes and divides its slabs. */
export const allocatorOptions = {
  slab: { type: 'string', value: 'SIZE', help: "bytes taken from the device at once (the trace's)" },
  initial: { type: 'string', value: 'SIZE', help: "bytes taken before the first event (the trace's)" },
  max: { type: 'string', value: 'SIZE', help: "bytes held at most (the trace's)" },
  page: { type: 'string', value: 'SIZE', help: "buffers are pages of this size; 0 for any size (the trace's)" },
  dedicated: { type: 'boolean', help: 'each buffer has a slab of its own' },
  shared: { type: 'boolean', help: "buffers share slabs, also where the trace's did not" },
} as const satisfies Options

/** The settings of a trace's pool, with what was asked for in their place. */
export function settingsFrom(args: Arguments, recorded: PoolSettings): PoolSettings {
  if (args.flag('dedicated') && args.flag('shared')) {
    throw new UsageError('expected --dedicated or --shared, got both')
  }
  const settings = { ...(args.flag('dedicated') ? dedicated(recorded) : recorded), ...sizesFrom(args) }
  if (args.flag('shared')) delete settings.dedicated
  if (settings.pageBytes === 0) delete settings.pageBytes
  return settings
}

/** The same with a slab for each buffer: of its size, and taken as it comes. */
function dedicated({ initialBytes: _none, pageBytes: _ofItsSize, ...others }: PoolSettings): PoolSettings {
  return { ...others, dedicated: true }
}

function sizesFrom(args: Arguments): PoolSettings {
  const [slabBytes, initialBytes, maxBytes, pageBytes] = ['slab', 'initial', 'max', 'page'].map((name) =>
    args.size(name),
  )
  return {
    ...(slabBytes !== undefined && { slabBytes }),
    ...(initialBytes !== undefined && { initialBytes }),
    ...(maxBytes !== undefined && { maxBytes }),
    ...(pageBytes !== undefined && { pageBytes }),
  }
}

/** The options by which the settings of a trace are replaced. */
const flagOf: Readonly<Record<string, string>> = {
  slabBytes: 'slab',
  initialBytes: 'initial',
  maxBytes: 'max',
  pageBytes: 'page',
  dedicated: 'dedicated',
}

/** Makes the pool of a trace. Settings that do not go together are the trace's fault where no option gave any. */
export async function poolOf(args: Arguments, options: MemoryPoolOptions): Promise<MemoryPool> {
  try {
    return await MemoryPool.create(options)
  } catch (error) {
    const isOfTrace = Object.values(flagOf).every((flag) => args.text(flag) === undefined)
    if (!(error instanceof InvalidArgumentError && isOfTrace && error.argument in flagOf)) throw error
    const { argument, expected, received } = error
    throw new TraceError(1, `the settings of a pool, "${argument}" ${expected}`, received)
  }
}
