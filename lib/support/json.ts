/** Characters of a piece, from which on it is given out. */
const PIECE = 64 * 1024

/** What something that is iterated says when it has worked for a while without an element: the piece is given out as it is. */
export const pause: unique symbol = Symbol('pause')

/** What is written as an object without being made one: keys out of files may be long, and all have the same hash then. */
export class JsonEntries {
  readonly entries: Iterable<readonly [string, unknown]>

  constructor(entries: Iterable<readonly [string, unknown]>) {
    this.entries = entries
  }
}

/**
 * The text of `JSON.stringify(value, null, indent)` in pieces: a text of hundreds of megabytes is more than a string
 * can hold, and takes longer than an event loop should stand still. What can be iterated is an array. The value, and the
 * arrays in it, are walked over; what they hold is written whole. Nothing with `toJSON` is expected.
 */
export function* jsonPieces(value: unknown, indent = 0): Generator<string> {
  // Joined, a piece is one flat text: added up, it would be a tree of its parts for as long as it is kept.
  const parts: string[] = []
  let length = 0
  for (const token of tokens(value, indent, '\n', true)) {
    parts.push(token)
    length += token.length
    if (length < PIECE && token !== '') continue
    yield parts.splice(0).join('')
    length = 0
  }
  yield parts.join('')
}

function* tokens(value: unknown, indent: number, newline: string, walked = false): Generator<string> {
  if (typeof value !== 'object' || value === null || !(walked || isIterable(value) || value instanceof JsonEntries)) {
    yield textOf(value, indent).replaceAll('\n', newline)
    return
  }
  const inner = indent > 0 ? newline + ' '.repeat(indent) : ''
  const [open, close] = isIterable(value) ? '[]' : '{}'
  let count = 0
  yield open as string
  if (isIterable(value)) {
    for (const element of value) {
      if (element === pause) yield ''
      else yield (count++ > 0 ? ',' : '') + inner + textOf(element, indent).replaceAll('\n', inner)
    }
  } else {
    for (const [key, item] of value instanceof JsonEntries ? value.entries : Object.entries(value)) {
      if (item === undefined) continue
      yield `${count++ > 0 ? ',' : ''}${inner}${JSON.stringify(key)}:${indent > 0 ? ' ' : ''}`
      yield* tokens(item, indent, inner)
    }
  }
  yield (count > 0 && indent > 0 ? newline : '') + close
}

const isIterable = (value: object): value is Iterable<unknown> => Symbol.iterator in value

const textOf = (value: unknown, indent: number): string => JSON.stringify(value, null, indent) ?? 'null'
