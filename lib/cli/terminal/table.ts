import type { Page } from './page.js'
import type { Style } from './style.js'
import { clip, wrap } from './text.js'

/** A column of a table. */
export interface Column {
  title: string
  align?: 'right'
  style?: Style
}

type Row = readonly string[]

const GAP = '  '

/** The most characters of a cell that is not in the last column. */
const MAX_CELL = 64

/** What the last column gets at least, however narrow the page. */
const MIN_LAST = 16

/** The title of a section, with a quiet note beside it. */
export const heading = (page: Page, title: string, note = ''): string =>
  page.paint('bold', title) + (note && `${GAP}${page.paint('dim', note)}`)

/** Names and values under each other; what is `undefined` is left out. */
export function facts(page: Page, rows: readonly (readonly [string, string | undefined])[]): string[] {
  const columns: Column[] = [{ title: '', style: 'dim' }, { title: '' }]
  const given = rows.filter((row): row is [string, string] => row[1] !== undefined)
  return aligned(page, columns, given).map((row) => line(page, row, columns))
}

/** Something to say under a name. */
export interface Entry {
  name: string
  text: string
  /** A line for the user's shell, which is never broken or cut. */
  command?: string | undefined
}

/** Names with texts of any length beside them. */
export function entries(page: Page, style: Style, all: readonly Entry[]): string[] {
  const indent = Math.max(...all.map(({ name }) => length(name))) + 2 * GAP.length
  const room = Math.max(page.width - indent, MIN_LAST)
  return all.flatMap(({ name, text, command }) => {
    const [first = '', ...rest] = wrap(text, room)
    const title = page.paint(style, name) + ' '.repeat(indent - GAP.length - length(name))
    const below = rest.map((line) => ' '.repeat(indent) + line)
    return [
      (GAP + title + first).trimEnd(),
      ...below,
      ...(command ? [`${' '.repeat(indent)}${page.paint('bold', `$ ${command}`)}`] : []),
    ]
  })
}

/** A table under a line of titles. */
export function table(page: Page, columns: readonly Column[], rows: readonly Row[]): string[] {
  const titles = columns.map((column) => column.title)
  const quiet = columns.map((column): Column => ({ ...column, style: 'dim' }))
  return aligned(page, columns, [titles, ...rows]).map((row, i) => line(page, row, i === 0 ? quiet : columns))
}

/** What a column of text gets at least where the page is narrow. Numbers are never cut. */
const MIN_TEXT = 8

/**
 * Cells as wide as the widest of their column; the last column takes what is left of the page. Where that would be too little,
 * the widest columns of text give way.
 */
function aligned(page: Page, columns: readonly Column[], rows: readonly Row[]): string[][] {
  const last = columns.length - 1
  const cut = rows.map((row) => row.map((cell, i) => (i < last ? clip(cell, MAX_CELL) : cell)))
  const widths = columns.map((_, i) => cut.reduce((widest, row) => Math.max(widest, length(row[i] ?? '')), 0))
  const wanted = Math.min(widths[last] ?? 0, MIN_LAST)
  const taken = () => widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, GAP.length)
  while (taken() + wanted > page.width) {
    const widest = widestText(columns.slice(0, last), widths)
    if (widest === undefined) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  widths[last] = Math.min(widths[last] ?? 0, Math.max(page.width - taken(), wanted))
  return cut.map((row) => columns.map((column, i) => pad(clip(row[i] ?? '', widths[i] ?? 0), widths[i] ?? 0, column)))
}

/** The column of text that can give way, if one can. */
function widestText(columns: readonly Column[], widths: readonly number[]): number | undefined {
  let widest: number | undefined
  for (const [i, { align }] of columns.entries()) {
    const width = widths[i] ?? 0
    if (align !== 'right' && width > MIN_TEXT && width > (widths[widest ?? -1] ?? 0)) widest = i
  }
  return widest
}

function pad(text: string, width: number, column: Column): string {
  const space = ' '.repeat(width - length(text))
  return column.align === 'right' ? space + text : text + space
}

function line(page: Page, row: Row, columns: readonly Column[]): string {
  const cells = row.map((cell, i) => {
    const text = i === row.length - 1 ? cell.trimEnd() : cell
    const style = columns[i]?.style
    return style && text.trim() ? page.paint(style, text) : text
  })
  return (GAP + cells.join(GAP)).trimEnd()
}

const length = (text: string): number => [...text].length
