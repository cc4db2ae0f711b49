import { optionsOf } from './arguments.js'
import { exitCodeHelp } from './exit.js'
import type { Option } from './shared/option.js'
import type { Page } from './terminal/page.js'
import { facts, heading } from './terminal/table.js'
import type { Verb } from './verb.js'

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
    ...facts(page, [
      ['--json', 'with a verb: print one JSON document and nothing else'],
      ['-h, --help', 'print this help; beside a verb, the help of the verb, as does help VERB'],
      ['-v, --version', 'print the version of the package'],
    ]),
    '',
    ...exitCodes(page),
  ]
}

/** A verb and its options. */
export function verbHelp(page: Page, verb: Verb): string[] {
  const options = optionsOf(verb)
  return [
    `${verb.summary[0]?.toUpperCase()}${verb.summary.slice(1)}.`,
    '',
    heading(page, 'Usage', `plimsoll ${usage(verb)}`),
    '',
    ...facts(
      page,
      Object.entries(options).map(([name, option]) => [flag(name, option), option.help] as const),
    ),
    '',
    ...exitCodes(page),
  ]
}

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
