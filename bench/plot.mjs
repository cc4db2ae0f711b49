#!/usr/bin/env node
// Draws what pages show from bench/results/: the two plots of docs/performance.md, and tables between their marks.
//
//     npm run bench:plot [-- --check]
//
// With --check it writes nothing, and fails where what is there is not what it would draw.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { estimateTables } from './plot/estimates.mjs'
import { kernelsPlot } from './plot/kernels.mjs'
import { streamsPlot } from './plot/streams.mjs'
import { kernelsTable, loadTables } from './plot/tables.mjs'

const ROOT = new URL('../', import.meta.url)

const read = (path) => readFileSync(new URL(path, ROOT), 'utf8')

/** Writes a file, or says that it is not as it would be. */
function write(path, text) {
  if (!process.argv.includes('--check')) return writeFileSync(new URL(path, ROOT), text)
  if (existsSync(new URL(path, ROOT)) && read(path) === text) return
  console.error(`bench:plot: ${path} is not what bench/results/ makes: run npm run bench:plot`)
  process.exitCode = 1
}

const results = (name) => JSON.parse(read(`bench/results/${name}.json`))
const load = results('load')
const dequant = results('dequant')
const estimates = estimateTables(results('estimate'))

write('docs/performance-streams.svg', streamsPlot(load))
write('docs/performance-kernels.svg', kernelsPlot(dequant))

/** The tables of each page by their marks. */
const pages = {
  'docs/performance.md': { ...loadTables(load), dequant: kernelsTable(dequant) },
  'docs/estimation.md': chosen(estimates, ['asked', 'figures-context', 'figures-whole', 'figures-parts', 'speed']),
  'docs/benchmarks.md': chosen(estimates, ['vectors-context', 'vectors-parts']),
}

for (const [page, tables] of Object.entries(pages)) {
  const fill = (text, [mark, table]) => replaceMarked(page, text, mark, table)
  write(page, Object.entries(tables).reduce(fill, read(page)))
}

function chosen(tables, marks) {
  return Object.fromEntries(marks.map((mark) => [mark, tables[mark]]))
}

/** What stands between `<!-- mark -->` and `<!-- /mark -->`, each on a line of its own. */
function replaceMarked(page, text, mark, content) {
  const [start, end] = [`<!-- ${mark} -->\n`, `<!-- /${mark} -->\n`]
  const from = text.indexOf(start)
  const to = text.indexOf(end)
  if (from === -1 || to < from) throw new Error(`expected the marks "${mark}" in ${page}`)
  return `${text.slice(0, from)}${start}${content}${text.slice(to)}`
}
