// A table of options in Markdown.

/** A link of a comment: what it names, and what it is called. */
const LINK = /\{@link\s+([\w.$]+)\s*(?:\|\s*([^}]+?))?\s*\}/g

/**
 * The table of the options of some interfaces, for a page.
 * @param {import('./declarations.mjs').Declarations} declarations
 * @param {import('./sections.mjs').Sections} sections
 * @param {string} page
 * @param {string[]} names
 */
export function optionTable(declarations, sections, page, names) {
  const link = (name, text) => linked(text, sections.linkTo(name, page))
  const rows = declarations
    .optionsOf(names)
    .map(({ owner, name, types, mustBeGiven, comment }) => [
      linked(code(name), sections.linkToOption(`${owner}.${name}`, page)),
      listed(types.map((type) => link(type, code(type)))) + (mustBeGiven ? ', must be given' : ''),
      comment.replaceAll(LINK, (_, to, text) => link(to, text ?? code(to))),
    ])
  return table(['option', 'type', 'meaning'], rows)
}

/** @param {string[]} head @param {string[][]} rows */
export const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))]
    .map((row, index) => (index === 1 ? `|${row.join('|')}|\n` : `| ${row.join(' | ')} |\n`))
    .join('')

const linked = (text, address) => (address === undefined ? text : `[${text}](${address})`)

export const code = (text) => `\`${text}\``

/** Words as a list ends: with `or`. */
const listed = (words) => [words.slice(0, -1).join(', '), ...words.slice(-1)].filter(Boolean).join(' or ')
