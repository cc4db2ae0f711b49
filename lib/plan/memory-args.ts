import { GiB } from '../addon/units.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { isNearly } from '../support/nearest.js'
import { readConfiguration } from './source.js'

/** Limits of memory and tokens, as a command line and a file have them. What is absent is to be computed. */
export interface MemoryArgs {
  /** For `new MemoryManager({ maxBytes })`: how much may be used, in bytes. */
  maxBytes?: number
  /** Tokens that are evaluated together at most. */
  maxParallelTokens?: number
  /** Tokens of all caches at most. */
  maxCacheTokens?: number
  /** Where each of them was said. */
  from: { maxBytes?: MemoryArgSource; maxParallelTokens?: MemoryArgSource; maxCacheTokens?: MemoryArgSource }
  /** What else the file says. */
  file: Record<string, unknown>
  /** The other arguments, in their order. */
  rest: string[]
}

/** A flag goes before the file. */
export type MemoryArgSource = 'flag' | 'file'

/** A limit: its flag, its key in the file, and what is made of its value. */
interface Limit {
  readonly name: 'maxBytes' | 'maxParallelTokens' | 'maxCacheTokens'
  readonly flag: string
  readonly key: string
  readonly expected: string
  readonly from: (value: number) => number | undefined
}

const tokensOf = (value: number) => (Number.isInteger(value) && value >= 1 && value < 2 ** 32 ? value : undefined)

const limits: readonly Limit[] = [
  {
    name: 'maxBytes',
    flag: '--max-memory-gb',
    key: 'max_memory_gb',
    expected: 'a number of GiB, of a byte at least',
    from: (value) => (value * GiB >= 1 && value < 2 ** 22 ? Math.floor(value * GiB) : undefined),
  },
  {
    name: 'maxParallelTokens',
    flag: '--max-parallel-tokens',
    key: 'max_parallel_tokens',
    expected: 'a whole number from 1 up',
    from: tokensOf,
  },
  {
    name: 'maxCacheTokens',
    flag: '--max-cache-tokens',
    key: 'max_cache_tokens',
    expected: 'a whole number from 1 up',
    from: tokensOf,
  },
]

const CONFIG = '--config'

/**
 * Takes `--max-memory-gb`, `--max-parallel-tokens`, `--max-cache-tokens` and `--config FILE` off a command line. The file, in YAML or JSON,
 * has `max_memory_gb`, `max_parallel_tokens` and `max_cache_tokens`, and what else its program wants. A flag goes before the file; what
 * neither says is absent: {@link TokenBudget.limitsOf} computes it.
 *
 * @throws {@link InvalidArgumentError} for a flag without a fit value, or twice.
 * @throws {@link InvalidPlanError} for a file that is no YAML, and for an unfit value in it, with the line.
 * @throws {@link IoError} for a file that cannot be read.
 * @example
 * const { maxBytes, maxCacheTokens, maxParallelTokens, rest } = parseMemoryArgs(process.argv.slice(2))
 * const manager = new MemoryManager({ maxBytes })
 * const limits = TokenBudget.limitsOf(model, manager.budget, { maxCacheTokens, maxParallelTokens })
 */
export function parseMemoryArgs(args: readonly string[]): MemoryArgs {
  const given = new Map<string, string>()
  const rest: string[] = []
  const words = check.strings('args', args)
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (word === '--') {
      rest.push(...words.slice(at))
      break
    }
    const [flag, own] = split(word)
    if (flag !== CONFIG && !limits.some((limit) => limit.flag === flag)) {
      const near = flag.startsWith('--') ? limits.find((limit) => isNearly(spelt(flag), spelt(limit.flag))) : undefined
      if (near) throw invalidArgument('args', `flags such as ${near.flag}`, quoted(flag))
      rest.push(word)
      continue
    }
    if (given.has(flag)) throw invalidArgument(flag, 'given once', 'it twice')
    const value = own ?? words[++at]
    if (value === undefined) throw invalidArgument(flag, 'followed by its value', 'nothing')
    if (own === undefined && value.startsWith('--')) throw invalidArgument(flag, 'followed by its value', quoted(value))
    given.set(flag, value)
  }
  const path = given.get(CONFIG)
  return { ...limitsFrom(given, path === undefined ? {} : fileOf(check.filePath(CONFIG, path))), rest }
}

function split(word: string): [string, string | undefined] {
  const at = word.startsWith('--') ? word.indexOf('=') : -1
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)]
}

/** A name without what different tools join its words by. */
const spelt = (name: string): string =>
  name
    .replace(/^-+/, '')
    .replaceAll(/-|(?=[A-Z])/g, '_')
    .toLowerCase()

type File = Record<string, unknown>

function limitsFrom(given: ReadonlyMap<string, string>, file: File): Omit<MemoryArgs, 'rest'> {
  const found: Omit<MemoryArgs, 'rest'> = { from: {}, file: Object.create(null) as File }
  for (const [key, value] of Object.entries(file))
    if (!limits.some((limit) => limit.key === key)) found.file[key] = value
  for (const { name, flag, key, expected, from } of limits) {
    const text = given.get(flag)
    if (text !== undefined) {
      const value = /^\d*\.?\d+$/.test(text) ? from(Number(text)) : undefined
      if (value === undefined) throw invalidArgument(flag, expected, quoted(text))
      found[name] = value
      found.from[name] = 'flag'
    } else if (Object.hasOwn(file, key)) {
      found[name] = from(file[key] as number) as number
      found.from[name] = 'file'
    }
  }
  return found
}

/** What a file says; all limits in it are fit. */
function fileOf(path: string): File {
  const { content, issues } = readConfiguration(path)
  if (content === null || content === undefined) return {}
  if (!check.isObject(content) || check.isArray(content)) {
    issues.invalid([], 'names with values', content)
    issues.throwIfAny()
  }
  const file = Object.assign(Object.create(null) as File, content)
  const keys = limits.map(({ key }) => key)
  for (const [key, value] of Object.entries(file)) {
    const limit = limits.find((each) => each.key === key)
    // What is nearly one of ours is not somebody else's.
    const near = limit ? undefined : keys.find((each) => isNearly(spelt(key), each))
    if (near !== undefined) issues.unknownKey([key], near)
    if (limit && (typeof value !== 'number' || limit.from(value) === undefined))
      issues.invalid([key], limit.expected, value)
  }
  issues.throwIfAny()
  return file
}
