import { optionsOf } from './arguments.js'
import { exitCodeHelp } from './exit.js'
import type { Option, Options } from './shared/option.js'
import type { Page } from './terminal/page.js'
import { facts, heading } from './terminal/table.js'
import type { Verb } from './verb.js'

/** The options of the program, beside those of its verbs. */
export const programOptions: Options = {
  json: {
    type: 'boolean',
    help: 'with a verb: print one JSON document and nothing else; with --help, the help as one',
  },
  help: {
    type: 'boolean',
    short: 'h',
    help: 'print this help; beside a verb, the help of the verb, as does help VERB',
  },
  version: { type: 'boolean', short: 'v', help: 'print the version of the package' },
}

/** What the program is, and its verbs. */
export function programHelp(page: Page, verbs: readonly Verb[]): string[] {
  return [
    'Memory budgets and a streaming GGUF loader for small boards.',
    '',
    heading(page, 'Usage', 'plimsoll VERB [options]'),
    '',
    ...facts(
      page,
      verbs.map((verb) => [called(verb), verb.summary] as const),
    ),
    '',
    heading(page, 'Options'),
    '',
    ...optionLines(page, programOptions),
    '',
    ...exitCodes(page),
  ]
}

/** A verb and its options. */
export function verbHelp(page: Page, verb: Verb): string[] {
  return [
    `${verb.summary[0]?.toUpperCase()}${verb.summary.slice(1)}.`,
    '',
    heading(page, 'Usage', `plimsoll ${usage(verb)}`),
    '',
    ...optionLines(page, optionsOf(verb)),
    '',
    ...exitCodes(page),
  ]
}

/** The help of the program as a document: with all its verbs and their options. */
export const programDocument = (verbs: readonly Verb[]): object => ({
  verbs: verbs.map(verbDocument),
  options: optionDocuments(programOptions),
  exitCodes: exitCodeHelp.map(([code, meaning]) => ({ code, meaning })),
})

/** The help of a verb as a document. */
export const verbDocument = (verb: Verb): object => ({
  verb: verb.name,
  operand: verb.operand ?? null,
  command: verb.command ?? null,
  summary: verb.summary,
  options: optionDocuments(optionsOf(verb)),
})

const optionDocuments = (options: Options): object[] =>
  Object.entries(options).map(([name, { short, value, multiple, help }]) => ({
    option: `--${name}`,
    short: short === undefined ? null : `-${short}`,
    value: value ?? null,
    repeatable: multiple === true,
    help,
  }))

const optionLines = (page: Page, options: Options): string[] =>
  facts(
    page,
    Object.entries(options).map(([name, option]) => [flag(name, option), option.help] as const),
  )

const exitCodes = (page: Page): string[] => [
  heading(page, 'Exit codes'),
  '',
  ...facts(
    page,
    exitCodeHelp.map(([code, meaning]) => [String(code), meaning] as const),
  ),
]

const called = ({ name, operand }: Verb): string => (operand ? `${name} ${operand}` : name)

/** How a verb is called, with the command line that it may be given. */
const usage = (verb: Verb): string =>
  [called(verb), '[options]', ...(verb.command ? [`[-- ${verb.command}]`] : [])].join(' ')

const flag = (name: string, { short, value, multiple }: Option): string =>
  `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}${multiple ? ' ...' : ''}`
