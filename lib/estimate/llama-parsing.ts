import { string } from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { nearest } from '../support/nearest.js'
import { ignored, ignoredVariables } from './llama-ignored.js'
import { standsFor } from './llama-presets.js'
import { byName, type Row, rows, words } from './llama-table.js'

/** An argument that bears on memory, or may, and that an estimate does not follow. */
export interface NotUnderstood {
  /** The argument as it was given, with its value where it is known to have one. */
  readonly argument: string
  /** What an estimate lacks. */
  readonly reason: string
}

/** An argument, or a variable of the environment, with its value. */
export interface Given {
  readonly row: Row
  /** As its kind has it: `'on'` or `'off'`, the digits of a number, or the text itself. */
  readonly value: string
  /** The name it was given by. */
  readonly name: string
  /** Name and value, as they were given. */
  readonly written: string
  /** What llama.cpp makes of the value, where that is a surprise. */
  readonly note?: string | undefined
}

/** A command line and its environment, read. */
export interface Parsed {
  /** What counts of the arguments that bear on memory. */
  readonly given: readonly Given[]
  readonly notUnderstood: readonly NotUnderstood[]
  /** The names of the arguments and variables that bear no memory. */
  readonly ignored: readonly string[]
}

/** How much of an argument is repeated. */
const MOST_SHOWN = 200

/** A longer word is no misspelt name. */
const MOST_NAME = 40

/** So many that are not understood are looked up in all that are; with more of them something else is wrong. */
const MOST_HINTS = 16

/** What llama.cpp takes for on, off and a choice of its own (`common/arg.cpp`). */
const truths = words('on enabled true 1')
const lies = words('off disabled false 0')
const choices = words('auto -1')

export const onOffAuto = (name: string, value: string): 'on' | 'off' | 'auto' => {
  if (truths.includes(value)) return 'on'
  if (lies.includes(value)) return 'off'
  if (choices.includes(value)) return 'auto'
  throw invalidArgument(name, 'on, off or auto', quoted(cut(value)))
}

/** The largest number of an `int`, which llama.cpp reads all of its numbers as. */
export const MOST_INTEGER = 2 ** 31 - 1

/** A number as `std::stoi` reads it: what follows its digits is left out, and noted. */
export function integer(name: string, text: string): { number: number; note: string | undefined } {
  const [, digits, rest = ''] = /^[ \t\n\v\f\r]*([+-]?[0-9]+)(.*)$/s.exec(text) ?? []
  const number = Number(digits)
  // Not -0, and not what is none.
  if (number >= -MOST_INTEGER - 1 && number <= MOST_INTEGER) {
    const note = rest === '' ? undefined : `llama.cpp reads ${number} and leaves out ${JSON.stringify(cut(rest))}`
    return { number: number + 0, note }
  }
  throw invalidArgument(name, `a whole number from ${-MOST_INTEGER - 1} to ${MOST_INTEGER}`, quoted(cut(text)))
}

/** A text of any length, as much of it as a message repeats. */
export const cut = (text: string): string => (text.length <= MOST_SHOWN ? text : `${text.slice(0, MOST_SHOWN)}…`)

/**
 * Reads a command line as llama.cpp does: variables first, then the arguments, of which the last one counts. It takes the
 * word behind an argument for its value whatever it looks like, `-m -c` too.
 */
export function parse(tokens: readonly string[], env: Readonly<Record<string, unknown>>): Parsed {
  const reading = new Reading()
  reading.variables(env)
  reading.commandLine(tokens)
  return {
    given: [...reading.counting.values()].flat(),
    notUnderstood: reading.notUnderstood,
    ignored: [...reading.ignored],
  }
}

/** Whether a model is named, before anything is read. */
export function namesModel(tokens: readonly string[], env: Readonly<Record<string, unknown>>): boolean {
  const naming = rows.filter(({ setting, names }) => setting === 'otherModel' || names.includes('--model'))
  const variables = naming.flatMap((row) => words(row.variables))
  const isNamed = (word: string) => standsFor.has(word) || naming.some((row) => words(row.names).includes(word))
  return tokens.some(isNamed) || variables.some((name) => ownValue(env, name) !== undefined)
}

/** What was read so far. */
class Reading {
  /** What counts, by what it is about. */
  readonly counting = new Map<string, Given[]>()
  readonly notUnderstood: NotUnderstood[] = []
  readonly ignored = new Set<string>()

  variables(env: Readonly<Record<string, unknown>>): void {
    const read = new Set<string>()
    for (const row of rows) {
      // The newest one last, so that it counts.
      for (const variable of words(row.variables).toReversed()) {
        const opposite = variable.replace('LLAMA_ARG_', 'LLAMA_ARG_NO_')
        const isOff = row.negatives !== undefined && ownValue(env, opposite) !== undefined
        const name = isOff ? opposite : variable
        const value = ownValue(env, name)
        read.add(variable)
        if (row.negatives !== undefined) read.add(opposite)
        if (value !== undefined) this.#variable(row, name, value, isOff)
      }
    }
    for (const name of Object.keys(env)) {
      if (!name.startsWith('LLAMA_ARG_') || read.has(name) || ownValue(env, name) === undefined) continue
      if (ignoredVariables.has(name) || ignoredVariables.has(name.replace('LLAMA_ARG_NO_', 'LLAMA_ARG_'))) {
        this.ignored.add(name)
      } else {
        this.#unknown(name, knownVariables)
      }
    }
  }

  #variable(row: Row, name: string, value: string, isOff: boolean): void {
    const written = cut(`${name}=${value}`)
    if (isOff) {
      // Whatever it holds.
      this.#count(row, 'off', name, written)
    } else if (row.takes === 'nothing') {
      if (truths.includes(value)) this.#count(row, 'on', name, written)
      else this.ignored.add(name)
    } else if (row.takes === 'switch') {
      if (!truths.includes(value) && !lies.includes(value)) {
        throw invalidArgument(name, `one of ${[...truths, ...lies].join(', ')}`, quoted(cut(value)))
      }
      this.#count(row, truths.includes(value) ? 'on' : 'off', name, written)
    } else {
      this.#value(row, value, name, written)
    }
  }

  /** `by` is the argument that stands for these. */
  commandLine(tokens: readonly string[], by?: string): void {
    for (let at = 0; at < tokens.length; ) at += this.#argument(tokens, at, by)
  }

  /** Reads one argument, and says how many words it takes. */
  #argument(tokens: readonly string[], at: number, by: string | undefined): number {
    const word = tokens[at] as string
    const name = word.startsWith('--') ? word.replaceAll('_', '-') : word
    const known = byName.get(name)
    const others = ignored.get(name)
    const meaning = standsFor.get(name)
    if (known !== undefined) return this.#known(known.row, known.isOff, tokens, at, by)
    if (others !== undefined) {
      this.ignored.add(word)
      const values = others === 'onOffAuto' ? (saysOnOffAuto(tokens[at + 1]) ? 1 : 0) : others
      for (let value = 1; value <= values; value++) valueAt(tokens, at, value)
      return 1 + values
    }
    if (meaning !== undefined) {
      this.commandLine(meaning, name)
      return 1
    }
    return this.#unknownArgument(tokens, at)
  }

  #known(row: Row, isOff: boolean, tokens: readonly string[], at: number, by: string | undefined): number {
    const name = tokens[at] as string
    if (row.takes === 'nothing' || row.takes === 'switch') {
      this.#count(row, isOff ? 'off' : 'on', name, by ?? name)
      return 1
    }
    if (row.takes === 'onOffAuto' && !takesWord(tokens[at + 1])) {
      // As older versions had it.
      this.#count(row, 'on', name, by ?? name)
      return 1
    }
    const value = valueAt(tokens, at, 1)
    const scale = row.setting === 'loraScaled' ? olderScale(value, tokens[at + 2]) : undefined
    const written = cut([name, value, ...(scale === undefined ? [] : [scale])].join(' '))
    this.#value(row, scale === undefined ? value : `${value}:${scale}`, name, by ?? written)
    return scale === undefined ? 2 : 3
  }

  #value(row: Row, value: string, name: string, written: string): void {
    if (row.takes === 'integer') {
      const { number, note } = integer(name, value)
      this.#count(row, String(number), name, written, note)
    } else {
      this.#count(row, row.takes === 'onOffAuto' ? onOffAuto(name, value) : value, name, written)
    }
  }

  #count(row: Row, value: string, name: string, written: string, note?: string): void {
    // Of what is not understood each argument is one of its own.
    const about = row.reason === undefined ? (row.setting as string) : row.names
    const meant = (value === 'on' ? row.on : value === 'off' ? row.off : undefined) ?? value
    const before = row.adds ? (this.counting.get(about) ?? []) : []
    this.counting.delete(about)
    this.counting.set(about, [...before, { row, value: meant, name, written, note }])
  }

  /** An argument that no list has. What follows it is taken for its value, unless it is another argument. */
  #unknownArgument(tokens: readonly string[], at: number): number {
    const word = tokens[at] as string
    if (!word.startsWith('-')) {
      this.notUnderstood.push({
        argument: cut(word),
        reason: 'llama.cpp takes nothing without the name of an argument',
      })
      return 1
    }
    const [name = '', value] = split(word)
    if (value !== undefined && (byName.has(name) || ignored.has(name))) {
      const reason = `llama.cpp takes no value behind "=": expected it as the next word, ${name} ${cut(value)}`
      this.notUnderstood.push({ argument: cut(word), reason })
      return 1
    }
    this.#unknown(word, knownNames)
    const next = tokens[at + 1]
    return next !== undefined && (!next.startsWith('-') || /^-\.?[0-9]/.test(next)) ? 2 : 1
  }

  #unknown(name: string, known: readonly string[]): void {
    const mayBeMisspelt = name.length <= MOST_NAME && this.notUnderstood.length < MOST_HINTS
    const near = mayBeMisspelt ? nearest(name, known) : undefined
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`
    this.notUnderstood.push({ argument: cut(name), reason: `unknown: it may bear on memory${hint}` })
  }
}

const knownNames: readonly string[] = [...byName.keys(), ...ignored.keys(), ...standsFor.keys()]

const knownVariables: readonly string[] = [...rows.flatMap((row) => words(row.variables)), ...ignoredVariables]

/** A variable of an environment; nothing of what it inherits. */
const ownValue = (env: Readonly<Record<string, unknown>>, name: string): string | undefined => {
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  return value === undefined ? undefined : string(name, value)
}

function valueAt(tokens: readonly string[], at: number, offset: number): string {
  const value = tokens[at + offset]
  if (value !== undefined) return value
  throw invalidArgument(cut(tokens[at] as string), 'followed by its value', 'the end of the command line')
}

const saysOnOffAuto = (word: string | undefined): boolean =>
  word !== undefined && [...truths, ...lies, ...choices].includes(word)

/** Whether the word behind `-fa` is its value: all but other arguments, so that a wrong one is told. */
const takesWord = (word: string | undefined): boolean =>
  word !== undefined && (!word.startsWith('-') || saysOnOffAuto(word))

/** The word behind `--lora-scaled FILE`, where it is a number: older versions had the scale there, and not behind a colon. */
const olderScale = (value: string, next: string | undefined): string | undefined =>
  !/:[^:]*$/.test(value) && next !== undefined && /^[+-]?[0-9.]+(?:e[+-]?[0-9]+)?$/i.test(next) ? next : undefined

function split(word: string): [string, string | undefined] {
  const at = word.indexOf('=')
  const name = at < 0 ? word : word.slice(0, at)
  return [name.startsWith('--') ? name.replaceAll('_', '-') : name, at < 0 ? undefined : word.slice(at + 1)]
}
