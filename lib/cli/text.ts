/** Characters that act on a terminal instead of showing: controls, and marks that turn the direction of writing. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A text of unknown origin as one line that only shows: names and values in a file can hold commands to a terminal. */
export const visible = (text: string): string =>
  text.replace(invisible, (character) => shortEscapes[character] ?? unicodeEscape(character))

const shortEscapes: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** The JSON escape of every UTF-16 unit. */
export const unicodeEscape = (text: string): string =>
  Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')

/** A text shortened to a number of characters. */
export function clip(text: string, width: number): string {
  // Characters are at most two units each, so what lies beyond need not be counted.
  const characters = [...text.slice(0, 2 * width + 2)]
  return characters.length <= width ? text : `${characters.slice(0, Math.max(width - 1, 0)).join('')}…`
}

/** A number with its thousands set apart: `2,042,464`. */
export const grouped = (number: number): string => number.toLocaleString('en-US')
