import { jsonPieces } from '../../support/json.js'
import { Exit } from '../exit.js'
import type { Page } from './page.js'
import { paintFor } from './style.js'
import { unicodeEscape, visible } from './text.js'

/** Columns of a page that is no terminal, or of one that does not say. */
const DEFAULT_WIDTH = 120

export const pageFor = (stream: NodeJS.WriteStream): Page => ({
  paint: paintFor(stream),
  width: stream.columns || DEFAULT_WIDTH,
  shades: stream.isTTY && process.env.TERM !== 'dumb',
})

export const printLines = (lines: readonly string[]): void => {
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** Characters that JSON leaves as they are and that act on a terminal or end a line; line feeds are the document's own. */
const unescaped = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** What most pieces of most documents are: looking for more than that takes a hundred times as long. */
const plain = /^[\n\x20-\x7e]*$/

const escaped = (piece: string): string => piece.replace(unescaped, unicodeEscape)

const print = (document: object, indent: number): void => {
  for (const piece of jsonPieces(document, indent)) process.stdout.write(plain.test(piece) ? piece : escaped(piece))
  process.stdout.write('\n')
}

export const printDocument = (document: object): void => print(document, 2)

/** Prints a document that is one of many, each on a line. */
export const printDocumentLine = (document: object): void => print(document, 0)

/** Tells on stderr what went wrong. */
export function printError(who: string, message: string): void {
  const { paint } = pageFor(process.stderr)
  process.stderr.write(`${paint('red', `${who}:`)} ${visible(message)}\n`)
}

/** A reader that has seen enough, as in `plimsoll inspect FILE | head`, is no trouble; a full disk is. */
export function watchOutput(): void {
  process.stderr.on('error', () => {})
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    printError('plimsoll', `expected to write to stdout, but ${error.message}`)
    process.exit(Exit.trouble)
  })
}
