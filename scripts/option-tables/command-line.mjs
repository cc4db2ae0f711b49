// What the command line says of its verbs and their options.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { code, table } from './table.mjs'

/** @typedef {{ option: string, short: string | null, value: string | null, repeatable: boolean, help: string }} CliOption */
/** @typedef {{ verb: string, operand: string | null, summary: string, options: CliOption[] }} Verb */

/** @type {Verb[] | undefined} */
let known

/** The verbs by `plimsoll --help --json`. It is run for a page that has tables of it. */
function verbs() {
  const tool = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))
  known ??= JSON.parse(execFileSync(process.execPath, [tool, '--help', '--json'], { encoding: 'utf8' })).verbs
  return known
}

/** The table of a verb's options, as its help lists them. */
export function optionsOfVerb(name) {
  const found = verbs().find(({ verb }) => verb === name)
  if (found === undefined) throw new Error(`expected the command line to have a verb "${name}", got none`)
  return table(
    ['option', 'meaning'],
    found.options.map((option) => [called(option), option.help]),
  )
}

/** The list of all verbs, each with a link to its section. */
export const verbTable = (sections) =>
  table(
    ['verb', 'what it does'],
    verbs().map(({ verb, operand, summary }) => {
      const name = operand === null ? verb : `${verb} ${operand}`
      return [`[${code(name)}](${sections.linkToTitle(`plimsoll ${verb}`)})`, summary]
    }),
  )

const called = ({ option, short, value, repeatable }) => {
  const long = code(`${option}${value === null ? '' : ` ${value}`}`)
  return [...(short === null ? [] : [code(short)]), long].join(', ') + (repeatable ? ' ...' : '')
}
