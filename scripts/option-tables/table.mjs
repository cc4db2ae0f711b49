// A table of options in Markdown.

/** A link of a comment: what it names, and what it is called. */
const LINK = /\{@link\s+([\w.$]+)\s*(?:\|\s*([^}]+?))?\s*\}/g

/** What a marker says: `FitOptions, but those of EstimateOptions, as keys`. */
const WANTED = /^([\w ]+?)(?:, but those of (\w+))?(, as keys)?$/

/**
 * The table of the options of some interfaces, for a page; and a sentence about those that it is to leave out, as another
 * interface's table has them.
 * @param {import('./declarations.mjs').Declarations} declarations
 * @param {import('./sections.mjs').Sections} sections
 * @param {string} page
 * @param {string} wanted
 */
export function optionTable(declarations, sections, page, wanted) {
  const [, list, other, asKeys] = WANTED.exec(wanted) ?? []
  if (list === undefined) throw new Error(`expected names of interfaces, got "${wanted}"`)
  const names = list.split(' ')
  const { shared, missing } = other ? declarations.sharedWith(names, other) : { shared: [], missing: [] }
  const link = (name, text) => linked(text, sections.linkTo(name, page))
  const rows = declarations
    .optionsOf(names)
    .filter(({ name }) => !shared.includes(name))
    .map(({ owner, name, types, mustBeGiven, kinds, comment }) => [
      linked(code(name), sections.linkToOption(`${owner}.${name}`, page)),
      listed(
        types.map((type) => link(type, code(type))),
        'or',
      ) + when(mustBeGiven, kinds),
      comment.replaceAll(LINK, (_, to, text) => link(to, text ?? code(to))),
    ])
  const options = table([asKeys ? 'key' : 'option', 'type', 'meaning'], rows)
  if (other === undefined) return options
  if (shared.length === 0) throw new Error(`expected ${list} to have options of ${other}, got none`)
  const address = sections.linkTo(other, page)
  if (address === undefined) throw new Error(`expected a section about ${other}, got none`)
  const rest = missing.length === 0 ? '' : `, but for ${listed(missing.map(code), 'and')}`
  return `${options}\nAnd those of ${linked(code(other), address)}${rest}.\n`
}

/** Whether an option must be given, and to which kinds it belongs. */
function when(mustBeGiven, kinds) {
  const of = kinds.length === 0 ? '' : ` with ${listed(kinds.map(code), 'or')}`
  return mustBeGiven ? `, must be given${of}` : of && `,${of}`
}

/** @param {string[]} head @param {string[][]} rows */
export const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))]
    .map((row, index) => (index === 1 ? `|${row.join('|')}|\n` : `| ${row.join(' | ')} |\n`))
    .join('')

const linked = (text, address) => (address === undefined ? text : `[${text}](${address})`)

export const code = (text) => `\`${text}\``

/** Words as a list, with a word before the last. */
const listed = (words, last) => [words.slice(0, -1).join(', '), ...words.slice(-1)].filter(Boolean).join(` ${last} `)
