import { distance } from 'fastest-levenshtein'

/** The word of a list that a misspelt one was probably meant to be; none where none is near: every second letter at least is right. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let near: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const edits = distance(word, candidate)
    if (edits < least && edits <= Math.ceil(Math.max(word.length, candidate.length) / 2)) {
      near = candidate
      least = edits
    }
  }
  return near
}
