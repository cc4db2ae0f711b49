import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { jsonPieces } from '../support/json.js'
import type { ProfileRows } from './record.js'
import { toTrace } from './trace.js'

/**
 * Writes a profile as text, in pieces; `profilePage` of `plimsoll/report` is one. Between the pieces of a file the event loop goes
 * on, also at a piece that is empty.
 */
export type ProfileWriter = (rows: ProfileRows) => Iterable<string>

/** The forms in which a profile is data: all of it as JSON, or a trace for Perfetto and chrome://tracing. */
export type ProfileFormat = 'json' | 'trace'

const writers: Readonly<Record<ProfileFormat, ProfileWriter>> = {
  *json(rows) {
    yield* jsonPieces(rows, 1)
    yield '\n'
  },
  trace: toTrace,
}

const formats = Object.keys(writers) as ProfileFormat[]

/** The endings of file names by which a format is known; the first that fits counts. */
const endings: readonly (readonly [string, ProfileFormat])[] = [
  ['.trace.json', 'trace'],
  ['.json', 'json'],
]

/** What writes a format that was asked for. */
export const writerOf = (format: unknown): ProfileWriter =>
  typeof format === 'function' ? checked(format as ProfileWriter) : writers[check.oneOf('format', format, formats)]

/** What writes the format that a file's name tells. */
export function writerNamed(path: string): ProfileWriter {
  const found = endings.find(([ending]) => path.endsWith(ending))
  if (found) return writers[found[1]]
  const known = endings.map(([ending]) => ending).join(' or ')
  const page = 'a format beside it, such as profilePage of plimsoll/report for a page'
  throw invalidArgument('path', `a name that ends in ${known}, or to have ${page}`, quoted(path))
}

/** A writer of a user's, of whose pieces each is a text. */
const checked = (write: ProfileWriter): ProfileWriter =>
  function* (rows) {
    const pieces: unknown = write(rows)
    if (!canBeIterated(pieces)) throw invalidArgument('format', 'a function that gives texts', quoted(pieces))
    for (const piece of pieces) {
      if (typeof piece !== 'string') throw invalidArgument('format', 'a function that gives texts', quoted(piece))
      yield piece
    }
  }

const canBeIterated = (value: unknown): value is Iterable<unknown> =>
  check.canBeAsked(value) && typeof (value as Partial<Iterable<unknown>> | null)?.[Symbol.iterator] === 'function'

/** What a writer threw, to be told from what the system says against its file. */
export class WriterFailure {
  readonly reason: unknown

  constructor(reason: unknown) {
    this.reason = reason
  }
}

/** The pieces of a profile; what its writer throws comes as a {@link WriterFailure}. */
export function* piecesOf(write: ProfileWriter, rows: ProfileRows): Generator<string> {
  try {
    yield* write(rows)
  } catch (reason) {
    throw new WriterFailure(reason)
  }
}
