import { distance } from 'fastest-levenshtein'

/** How much of a word may be wrong. */
const WRONG_SHARE = 0.4

/** Every option begins with them, which makes none of them near. */
const withoutDashes = (word: string): string => word.replace(/^-+/, '')

const letters = (word: string): string => [...word].sort().join()

/** Letters that were only swapped are one fault, and so is an end that was left out. */
const faults = (misspelt: string, right: string): number =>
  letters(misspelt) === letters(right) || (misspelt.length > 2 && right.startsWith(misspelt))
    ? 1
    : distance(misspelt, right)

/** The word of a list that a misspelt one was probably meant to be; none where none is near: more than half of it is right. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const misspelt = withoutDashes(word)
  let near: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const right = withoutDashes(candidate)
    const edits = faults(misspelt, right)
    const most = Math.max(1, Math.round(Math.max(misspelt.length, right.length) * WRONG_SHARE))
    // Of a word of two letters nothing is left when both are wrong.
    if (edits < least && edits <= most && edits < right.length) {
      near = candidate
      least = edits
    }
  }
  return near
}

/** Letters that may be wrong where nearly the same word is no other. */
const SLIPS = 2

/** Whether one word is another but for a slip of the hand. */
export const isNearly = (word: string, right: string): boolean => distance(word, right) <= SLIPS
