// Writes the tables of options in docs/ anew, from the comments of the declarations and the help of the command line:
//   node scripts/option-tables.mjs [--check] [FOLDER]
// A table stands between `<!-- options: NAME ... -->`, with the names of its interfaces, and `<!-- end of options -->`; one of a
// verb behind `<!-- options of the command line: VERB -->`, the list of the verbs behind `<!-- verbs of the command line -->`.
// `<!-- options: NAME, but those of OTHER -->` leaves out what OTHER has as well, and says so with a link to its table;
// `<!-- options: NAME, as keys -->` is about the keys of a file.
// With --check nothing is written, and a page that differs fails. FOLDER has the declarations and docs/: the project by default.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { optionsOfVerb, verbTable } from './option-tables/command-line.mjs'
import { Declarations } from './option-tables/declarations.mjs'
import { Sections } from './option-tables/sections.mjs'
import { optionTable } from './option-tables/table.mjs'

const DECLARATIONS = ['index', 'http', 'metrics', 'dashboard', 'report', 'node-llama-cpp'].map((name) => `${name}.d.ts`)
const MARKED = /^<!-- (options|options of the command line|verbs of the command line)(?:: ([^\n]+?))? -->\n/gm
const END = '<!-- end of options -->'

const args = process.argv.slice(2)
const isCheck = args.includes('--check')
const [folder = fileURLToPath(new URL('..', import.meta.url))] = args.filter((word) => !word.startsWith('--'))
const docs = join(resolve(folder), 'docs')

const pages = new Map(
  readdirSync(docs)
    .filter((name) => name.endsWith('.md'))
    .map((name) => [name, readFileSync(join(docs, name), 'utf8')]),
)
const declarations = new Declarations(
  DECLARATIONS.map((name) => join(folder, name))
    .filter((path) => existsSync(path))
    .map((path) => [path, readFileSync(path, 'utf8')]),
)
const sections = new Sections(pages)

/** @type {Record<string, (page: string, of: string) => string>} what makes the table behind a marker */
const writers = {
  options: (page, names) => optionTable(declarations, sections, page, names),
  'options of the command line': (_, verb) => optionsOfVerb(verb),
  'verbs of the command line': () => verbTable(sections),
}

/** A page with its tables as they are now. */
function written(page, text) {
  let from = 0
  const parts = []
  for (const { 0: marker, 1: kind, 2: names = '', index } of text.matchAll(MARKED)) {
    const start = index + marker.length
    const end = text.indexOf(END, start)
    if (index < from || end === -1) throw new Error(`expected "${END}" behind "${marker.trim()}"`)
    parts.push(text.slice(from, start), '\n', writers[kind](page, names), '\n')
    from = end
  }
  return parts.join('') + text.slice(from)
}

/** Writes a page anew, or compares. */
function refresh(page, text) {
  const now = written(page, text)
  if (now === text) return
  if (isCheck) throw new Error('a table of options is not as its comments have it: run npm run docs:tables')
  writeFileSync(join(docs, page), now)
  console.log(`docs/${page}`)
}

for (const [page, text] of pages) {
  try {
    refresh(page, text)
  } catch (error) {
    console.error(`docs/${page}: ${error.message}`)
    process.exitCode = 1
  }
}
