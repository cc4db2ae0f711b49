import { StringDecoder } from 'node:string_decoder'
import { clipPainted } from './text.js'

/** What every sequence begins with, and a key. */
export const ESCAPE = '\x1b'

/** The terminal's second screen, without cursor, and without breaking lines that are too long for it. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'

const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'

const HOME = '\x1b[H'

const ERASE_TO_END_OF_LINE = '\x1b[K'

const ERASE_BELOW = '\x1b[J'

/** Rows and columns of a terminal that does not say. */
const [DEFAULT_ROWS, DEFAULT_COLUMNS] = [24, 80]

/** A terminal that is drawn over and over, until it is left as it was. */
export class Screen implements Disposable {
  readonly #stream: NodeJS.WriteStream

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    stream.write(ENTER)
  }

  /**
   * Draws over what is there, in one write, so that nothing flickers. What does not fit below is left out, and lines are clipped:
   * of one that is too long each character would be written over the last column. A line is erased before it is written: behind
   * one as wide as the terminal the cursor still stands on its last character.
   */
  draw(lines: readonly string[]): void {
    const { rows, columns } = this.#stream
    const shown = lines.slice(0, rows || DEFAULT_ROWS).map((line) => clipPainted(line, columns || DEFAULT_COLUMNS))
    const last = shown.length - 1
    const text = shown.map((line, i) => `${i < last ? ERASE_TO_END_OF_LINE : ERASE_BELOW}${line}`).join('\r\n')
    this.#stream.write(`${HOME}${text}`)
  }

  [Symbol.dispose](): void {
    this.#stream.write(LEAVE)
  }
}

/** One key: a sequence that a terminal sends for one without a character, such as an arrow, or a character. */
const typed = new RegExp(`${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|O.)|.`, 'gsu')

/**
 * Calls back for every key that is typed, with its character or its whole sequence; for a Ctrl-C too, which is no signal meanwhile.
 */
export function onKey(stdin: NodeJS.ReadStream, callback: (key: string) => void): Disposable {
  if (!stdin.isTTY) return { [Symbol.dispose]: () => {} }
  // A character of several bytes may come in pieces.
  const decoder = new StringDecoder('utf8')
  const listener = (data: Buffer) => {
    for (const [key] of decoder.write(data).matchAll(typed)) callback(key)
  }
  stdin.setRawMode(true)
  stdin.on('data', listener)
  return {
    [Symbol.dispose]: () => {
      stdin.off('data', listener)
      stdin.setRawMode(false)
      stdin.pause()
    },
  }
}
