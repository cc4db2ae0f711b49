/** The terminal's second screen, without cursor, and without breaking lines that are too long for it. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'

const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'

const HOME = '\x1b[H'

const ERASE_TO_END_OF_LINE = '\x1b[K'

const ERASE_BELOW = '\x1b[J'

/** Rows of a terminal that does not say. */
const DEFAULT_ROWS = 24

/** A terminal that is drawn over and over, until it is left as it was. */
export class Screen implements Disposable {
  readonly #stream: NodeJS.WriteStream

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    stream.write(ENTER)
  }

  /**
   * Draws over what is there, in one write, so that nothing flickers. What does not fit below is left out. A line is erased
   * before it is written: behind one as wide as the terminal the cursor still stands on its last character.
   */
  draw(lines: readonly string[]): void {
    const shown = lines.slice(0, this.#stream.rows || DEFAULT_ROWS)
    const last = shown.length - 1
    const text = shown.map((line, i) => `${i < last ? ERASE_TO_END_OF_LINE : ERASE_BELOW}${line}`).join('\r\n')
    this.#stream.write(`${HOME}${text}`)
  }

  [Symbol.dispose](): void {
    this.#stream.write(LEAVE)
  }
}

/** Calls back for every character that is typed; for a Ctrl-C too, which is no signal meanwhile. */
export function onKey(stdin: NodeJS.ReadStream, callback: (key: string) => void): Disposable {
  if (!stdin.isTTY) return { [Symbol.dispose]: () => {} }
  const listener = (data: Buffer) => {
    for (const key of data.toString('latin1')) callback(key)
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
