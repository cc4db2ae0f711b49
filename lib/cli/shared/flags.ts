import { parseArgs } from 'node:util'
import type { Option, Options } from './option.js'

/** An option of a verb, and the values that it was given. */
interface GivenOption {
  flag: string
  option: Option
  values: readonly string[]
}

/** The options of a verb, with the values that a command gives them. */
export type Given = readonly GivenOption[]

/** What a command gives to the options of its verb, as far as it can be read. */
export function givenOf(options: Options, argv: readonly string[]): Given {
  const { values } = parseArgs({ args: [...argv], options, strict: false })
  return Object.entries(options).map(([name, option]) => ({
    flag: `--${name}`,
    option,
    values: [values[name] ?? []].flat().map(String),
  }))
}

/** The operands, by the names of what they are given to. */
const operands: Readonly<Record<string, string>> = { path: 'FILE', text: 'FILE' }

/**
 * The option by which an argument of the package's came, as the command line calls it. Of several that give it, that which was
 * given such a value; else one that was given.
 */
export function flagOf(argument: string, received: string, given: Given): string {
  const possible = given.filter(({ flag, option }) => namesOf(flag, option).includes(argument))
  const isIt = ({ values }: GivenOption) => values.some((value) => value === received || `"${value}"` === received)
  const found = possible.find(isIt) ?? possible.find(({ values }) => values.length > 0)
  return found?.flag ?? operands[argument] ?? possible[0]?.flag ?? argument
}

/** The same for the arguments that a sentence names. One that is a plain word may be meant as that. */
export const withFlags = (text: string, given: Given): string =>
  text.replace(/\b[a-z]+(?:[A-Z][a-z]*)+\b/g, (word) => flagOf(word, '', given))

/** The names that the package may have for what an option is given. */
function namesOf(flag: string, { argument }: Option): readonly string[] {
  if (argument !== undefined) return [argument].flat()
  const name = flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
  return [name, `${name}Bytes`, `${name}Ms`, `${name}Percent`]
}
