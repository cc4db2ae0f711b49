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

const CTRL_Z = '\x1a'

/** One key: a sequence that a terminal sends for one without a character, such as an arrow, or a character. */
const typed = new RegExp(`${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|O.)|.`, 'gsu')

/** A terminal that is drawn over and over, with its keys, until it is left as it was: at the end, and while the program is stopped. */
export class Screen implements Disposable {
  readonly #stdout = process.stdout
  readonly #stdin = process.stdin
  readonly #onKey: (key: string) => void
  readonly #redraw: () => void
  readonly #canStop: boolean
  /** A character of several bytes may come in pieces. */
  readonly #decoder = new StringDecoder('utf8')
  readonly #onData = (data: Buffer) => {
    for (const [key] of this.#decoder.write(data).matchAll(typed)) {
      // To all that run beside it, too, as the terminal does it.
      if (key === CTRL_Z && this.#canStop) process.kill(0, 'SIGTSTP')
      else this.#onKey(key)
    }
  }
  readonly #onStop = () => {
    this.#leave()
    process.kill(process.pid, 'SIGTSTP')
    // It has gone on since, or has nobody who could tell it to and was not stopped.
    this.#goOn()
  }
  readonly #goOn = () => {
    this.#enter()
    this.#redraw()
  }
  #isShown = false

  /**
   * @param onKey is called for every key that is typed, with its character or its whole sequence; for a Ctrl-C too, which is no signal
   * meanwhile
   * @param redraw draws all anew: the program was stopped, and goes on
   * @param canStop whether Ctrl-Z stops the program, as it does others
   */
  constructor(onKey: (key: string) => void, redraw: () => void, canStop = true) {
    this.#canStop = canStop
    this.#onKey = onKey
    this.#redraw = redraw
    this.#enter()
  }

  /**
   * Draws over what is there, in one write, so that nothing flickers. What does not fit below is left out, and lines are clipped:
   * of one that is too long each character would be written over the last column. A line is erased before it is written: behind
   * one as wide as the terminal the cursor still stands on its last character.
   */
  draw(lines: readonly string[]): void {
    if (!this.#isShown) return
    const { rows, columns } = this.#stdout
    const shown = lines.slice(0, rows || DEFAULT_ROWS).map((line) => clipPainted(line, columns || DEFAULT_COLUMNS))
    const last = shown.length - 1
    const text = shown.map((line, i) => `${i < last ? ERASE_TO_END_OF_LINE : ERASE_BELOW}${line}`).join('\r\n')
    this.#stdout.write(`${HOME}${text}`)
  }

  #enter(): void {
    if (this.#isShown) return
    this.#isShown = true
    this.#stdout.write(ENTER)
    process.on('SIGTSTP', this.#onStop)
    if (!this.#stdin.isTTY) return
    this.#stdin.setRawMode(true)
    this.#stdin.on('data', this.#onData)
    this.#stdin.resume()
  }

  #leave(): void {
    if (!this.#isShown) return
    this.#isShown = false
    process.off('SIGTSTP', this.#onStop)
    this.#stdout.write(LEAVE)
    if (!this.#stdin.isTTY) return
    this.#stdin.off('data', this.#onData)
    this.#stdin.setRawMode(false)
    this.#stdin.pause()
  }

  [Symbol.dispose](): void {
    this.#leave()
  }
}
