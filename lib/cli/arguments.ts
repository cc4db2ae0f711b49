import { parseArgs } from 'node:util'
import { PlimsollError, parseBytes } from '../index.js'
import { nearest } from '../support/nearest.js'
import { UsageError } from './failure.js'
import type { Options, Signature } from './shared/option.js'

/** The options that every verb has. */
const commonOptions = {
  json: { type: 'boolean', help: 'print one JSON document and nothing else' },
  help: { type: 'boolean', short: 'h', help: 'print this help' },
} as const satisfies Options

/** All options of a verb, its own first. It may tell of a common one in its own words. */
export const optionsOf = (verb: Signature): Options => ({ ...verb.options, ...commonOptions, ...verb.options })

/** What the name of an option begins with that ends with a word of the user's. */
const beginningOf = (name: string): string => name.replace(/[A-Z]+$/, '')

/** The options of a verb, those whose names the user ends as they stand on the command line. */
function optionsIn(verb: Signature, argv: readonly string[]): Options {
  const options = Object.entries(optionsOf(verb))
  const words = argv.flatMap((word) => /^--([\w.-]+)/.exec(word)?.[1] ?? [])
  const named = options.flatMap(([name, option]) => {
    const begun = option.named ? beginningOf(name) : undefined
    return words
      .filter((word) => begun && word.startsWith(begun) && word !== begun)
      .map((word) => [word, option] as const)
  })
  return Object.fromEntries([...options, ...named])
}

type Value = string | boolean | (string | boolean)[]

/** A time such as 500ms, 2s or 1min; NaN for what is none. */
function millisecondsOf(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?(ms|s|min)$/.exec(text.trim()) ?? []
  return Number(number) * { ms: 1, s: 1000, min: 60_000 }[unit as 'ms' | 's' | 'min']
}

/** The arguments of one call of a verb. Getters of values throw a {@link UsageError} for one that is unfit. */
export class Arguments {
  readonly #values: Readonly<Record<string, Value | undefined>>
  readonly #operands: readonly string[]
  /** The command line behind `--`, for a verb that takes one; none if there is none. */
  readonly command: readonly string[] | undefined

  constructor(values: Readonly<Record<string, Value | undefined>>, operands: readonly string[], command?: string[]) {
    this.#values = values
    this.#operands = operands
    this.command = command
  }

  /** The one operand of a verb that demands one. */
  get file(): string {
    const [file, surplus] = this.#operands
    if (file === undefined) throw new UsageError('expected a FILE, got none')
    if (surplus !== undefined) throw new UsageError(`expected one FILE, got also "${surplus}"`)
    return file
  }

  /** The one operand of a verb that can do without. */
  get fileIfGiven(): string | undefined {
    return this.#operands.length === 0 ? undefined : this.file
  }

  /** The operands of a verb that takes any number of them. */
  get paths(): readonly string[] {
    return this.#operands
  }

  /** The words with which an option's name was ended, in the order of the command line. */
  wordsOf(name: string): string[] {
    const begun = beginningOf(name)
    return Object.keys(this.#values).flatMap((key) => (key.startsWith(begun) ? [key.slice(begun.length)] : []))
  }

  flag(name: string): boolean {
    return this.#values[name] === true
  }

  list(name: string): string[] | undefined {
    return this.#values[name] as string[] | undefined
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined
  }

  /** A whole number from 1 up. */
  count(name: string): number | undefined {
    const number = this.number(name)
    if (number === undefined || (Number.isSafeInteger(number) && number > 0)) return number
    throw new UsageError(`expected --${name} to be a whole number from 1 up, got "${this.text(name)}"`)
  }

  /** A time in milliseconds, by default as long as a monitor takes it. */
  duration(name: string, least = '10ms', most = '60min'): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const ms = millisecondsOf(text)
    if (ms >= millisecondsOf(least) && ms <= millisecondsOf(most)) return ms
    throw new UsageError(`expected --${name} to be a time from ${least} to ${most}, such as 500ms or 2s, got "${text}"`)
  }

  /** A whole number between two others. */
  integer(name: string, least: number, most: number): number | undefined {
    const number = this.number(name)
    if (number === undefined || (Number.isSafeInteger(number) && number >= least && number <= most)) return number
    throw new UsageError(`expected --${name} to be a whole number from ${least} to ${most}, got "${this.text(name)}"`)
  }

  number(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const number = text.trim() === '' ? Number.NaN : Number(text)
    if (Number.isFinite(number)) return number
    throw new UsageError(`expected --${name} to be a number, got "${text}"`)
  }

  /** A size in bytes. */
  size(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    try {
      return parseBytes(text)
    } catch (error) {
      const expected = error instanceof PlimsollError && 'expected' in error ? error.expected : 'a size'
      throw new UsageError(`expected --${name} to be ${expected}, got "${text}"`)
    }
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const text = this.text(name)
    if (text === undefined || allowed.includes(text as T)) return text as T | undefined
    throw new UsageError(`unknown value "${text}" of --${name}; ${suggestion(text, allowed)}`)
  }
}

/** What to say to a word that is none of a list: the one that was probably meant, or all of them. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  return near === undefined ? `expected one of ${known.join(', ')}` : `did you mean "${near}"?`
}

/** Reads what follows the verb. */
export function parse(verb: Signature, argv: string[]): Arguments {
  const end = verb.command === undefined ? -1 : argv.indexOf('--')
  const command = end < 0 ? undefined : argv.slice(end + 1)
  const own = end < 0 ? argv : argv.slice(0, end)
  const options = optionsIn(verb, own)
  refuseUnknown(own, options)
  const { values, positionals } = parseStrictly(own, options)
  if (verb.operand === undefined && positionals.length > 0) {
    throw new UsageError(`expected no operand, got "${positionals[0]}"`)
  }
  return new Arguments(values, positionals, command)
}

/** Finds a misspelt option before the parser does, to name the nearest right one. */
function refuseUnknown(argv: string[], options: Options): void {
  const { tokens } = parseArgs({ args: argv, options, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind !== 'option' || Object.hasOwn(options, token.name)) continue
    const known = Object.keys(options).map((name) => `--${name}`)
    throw new UsageError(`unknown option "${token.rawName}"; ${suggestion(token.rawName, known)}`)
  }
}

function parseStrictly(argv: string[], options: Options) {
  try {
    return parseArgs({ args: argv, options, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message.replaceAll('\n', ' '))
  }
}
