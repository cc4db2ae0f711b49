/** Characters that act on a terminal instead of showing: controls, and marks that turn the direction of writing. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A text of unknown origin as one line that only shows: names and values in a file can hold commands to a terminal. */
export const visible = (text: string): string =>
  text.replace(invisible, (character) => shortEscapes[character] ?? unicodeEscape(character))

const shortEscapes: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** The same of a text's beginning, for texts of any length; the end of one that is longer shows as `…`. */
export function beginning(text: string, width: number): string {
  return clip(visible(text.slice(0, 2 * width + 2)), width)
}

/** The JSON escape of every UTF-16 unit. */
export function unicodeEscape(text: string): string {
  let escapes = ''
  for (let i = 0; i < text.length; i++) escapes += `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`
  return escapes
}

/** A text shortened to a number of characters. */
export function clip(text: string, width: number): string {
  // Characters are at most two units each, so what lies beyond need not be counted.
  const characters = [...text.slice(0, 2 * width + 2)]
  return characters.length <= width ? text : `${characters.slice(0, Math.max(width - 1, 0)).join('')}…`
}

/** What paints a text, or one character of it. */
const painted = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m|.`, 'gsu')

/** The same for a text that is painted: what paints it stays, and takes no room. */
export function clipPainted(text: string, width: number): string {
  const pieces = text.match(painted) ?? []
  const characters = pieces.filter((piece) => piece.length < 3).length
  if (characters <= width) return text
  let at = 0
  const kept = pieces.map((piece) => {
    if (piece.length >= 3) return piece
    at += 1
    return at < width ? piece : at === width ? '…' : ''
  })
  return kept.join('')
}

/** A text as lines of at most that many characters, broken between words where it can be. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line: string[] = []
  for (const word of text.split(' ').map((each) => [...each])) {
    if (line.length > 0 && line.length + 1 + word.length > width) {
      lines.push(line.join(''))
      line = []
    }
    line = line.length > 0 ? [...line, ' ', ...word] : word
    for (; line.length > width; line = line.slice(width)) lines.push(line.slice(0, width).join(''))
  }
  return [...lines, line.join('')]
}

/** A number with its thousands set apart: `2,042,464`. */
export const grouped = (number: number): string => number.toLocaleString('en-US')

/** A share of a whole for people: `12.3 %`. */
export const percent = (share: number): string => `${share.toFixed(1)} %`
