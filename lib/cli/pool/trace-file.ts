import type { PoolSettings } from '../../index.js'
import { TraceError } from '../failure.js'
import { clip } from '../terminal/text.js'
import type { InputFile } from './input-file.js'

/** A line is at most this long; the package's own are a hundred bytes. */
const MAX_LINE_BYTES = 64 * 1024

/** Characters shown of what is unfit. */
const MAX_SHOWN = 80

/** What the first line of a trace says. */
export interface TraceHeader {
  /** The device that the pool was on. */
  device: string
  /** What the pool was called. */
  label: string
  settings: PoolSettings
  /** Events that are not in the trace, after those that are. */
  droppedCount: number
}

/** What happened to a pool, as a line tells it. */
export type TraceEvent = TraceRequest | TraceFree | TraceNote

/** A buffer that was handed out, or was there before. */
export interface TraceRequest {
  event: 'allocate' | 'present'
  line: number
  buffer: string
  bytes: number
  alignBytes: number
  placement: 'long' | 'transient'
}

export interface TraceFree {
  event: 'free'
  line: number
  buffer: string
}

/** What the pool did of its own: another pool does so where it has to. */
interface TraceNote {
  event: 'refuse' | 'move'
}

/** Events that were read together. */
export interface Batch {
  events: TraceEvent[]
  /** Bytes of the file up to the last of them. */
  readBytes: number
}

/** Whether a file begins as a trace does, of whatever version. */
export function isTrace(head: Buffer): boolean {
  const end = head.indexOf('\n')
  const line = head.toString('utf8', 0, end < 0 ? head.length : end)
  const header = parsed(line)
  return isObject(header) && 'plimsollTrace' in header
}

/** A trace that is read as a stream. Whatever is unfit in it is a {@link TraceError} with its line. */
export class TraceFile {
  readonly header: TraceHeader
  readonly #lines: AsyncGenerator<Lines>
  readonly #first: Batch

  private constructor(header: TraceHeader, first: Batch, lines: AsyncGenerator<Lines>) {
    this.header = header
    this.#first = first
    this.#lines = lines
  }

  /** Reads the header and the events that come with it, so that a file which is no trace fails before anything is taken. */
  static async read(file: InputFile): Promise<TraceFile> {
    const lines = linesOf(file)
    const { value, done } = await lines.next()
    if (done) throw new TraceError(1, 'the header of a trace', 'the end of the file')
    const [header = '', ...rest] = value.lines
    return new TraceFile(headerOf(header), batchOf({ ...value, lines: rest, number: 2 }), lines)
  }

  /** The events in their order. */
  async *batches(): AsyncGenerator<Batch> {
    yield this.#first
    for await (const lines of this.#lines) yield batchOf(lines)
  }
}

/** Lines that follow each other. */
interface Lines {
  lines: string[]
  /** The number of the first one. */
  number: number
  readBytes: number
}

async function* linesOf(file: InputFile): AsyncGenerator<Lines> {
  let rest = Buffer.alloc(0)
  let number = 1
  let readBytes = 0
  for await (const chunk of file.chunks()) {
    const bytes = Buffer.concat([rest, chunk])
    readBytes += chunk.length
    const end = bytes.lastIndexOf('\n')
    rest = bytes.subarray(end + 1)
    const lines = end < 0 ? [] : bytes.toString('utf8', 0, end).split('\n')
    if (rest.length > MAX_LINE_BYTES) {
      throw new TraceError(number + lines.length, `at most ${MAX_LINE_BYTES} bytes long`, 'more')
    }
    if (lines.length > 0) yield { lines, number, readBytes }
    number += lines.length
  }
  if (rest.length > 0) yield { lines: [rest.toString()], number, readBytes }
}

const batchOf = ({ lines, number, readBytes }: Lines): Batch => ({
  events: lines.map((line, i) => eventOf(line, number + i)),
  readBytes,
})

function headerOf(line: string): TraceHeader {
  const header = objectOf(line, 1, 'the header of a trace, a JSON object with "plimsollTrace"')
  const field = fieldsOf(header, 1)
  field('plimsollTrace', '1, the version that is known', (value): value is 1 => value === 1)
  const { settings = {}, droppedCount = 0 } = header
  return {
    device: field('device', 'a text', isText),
    label: field('label', 'a text', isText),
    settings: settingsOf(checked(1, 'settings', settings, 'an object', isObject)),
    droppedCount: checked(1, 'droppedCount', droppedCount, 'a whole number', isCount),
  }
}

const sizes = ['slabBytes', 'initialBytes', 'maxBytes', 'maxCachedBytes', 'pageBytes'] as const

function settingsOf(given: Record<string, unknown>): PoolSettings {
  const field = fieldsOf(given, 1)
  const settings: PoolSettings = {}
  for (const name of sizes) {
    if (given[name] !== undefined) settings[name] = field(name, 'a whole number of bytes', isCount)
  }
  if (given.dedicated !== undefined) settings.dedicated = field('dedicated', 'true or false', isFlag)
  return settings
}

function eventOf(line: string, number: number): TraceEvent {
  const given = objectOf(line, number, 'an event, a JSON object')
  const field = fieldsOf(given, number)
  const event = field('event', '"allocate", "free", "present", "refuse" or "move"', isEvent)
  if (event === 'refuse' || event === 'move') return { event }
  const buffer = field('buffer', 'the number of a buffer, as a text', isNumber)
  if (event === 'free') return { event, line: number, buffer }
  const { alignBytes = 256, placement = 'long' } = given
  return {
    event,
    line: number,
    buffer,
    bytes: field('bytes', 'a whole number of bytes from 1 up', isSize),
    alignBytes: checked(number, 'alignBytes', alignBytes, 'a power of two', isPowerOfTwo),
    placement: checked(number, 'placement', placement, '"long" or "transient"', isPlacement),
  }
}

const events = ['allocate', 'free', 'present', 'refuse', 'move'] as const

const isEvent = (value: unknown): value is TraceEvent['event'] => events.includes(value as TraceEvent['event'])
const isText = (value: unknown): value is string => typeof value === 'string'
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean'
const isNumber = (value: unknown): value is string => isText(value) && /^\d{1,20}$/.test(value)
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isSize = (value: unknown): value is number => isCount(value) && value > 0
const isPowerOfTwo = (value: unknown): value is number => isSize(value) && 2 ** Math.round(Math.log2(value)) === value
const isPlacement = (value: unknown): value is 'long' | 'transient' => value === 'long' || value === 'transient'

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const shown = (value: unknown): string => clip(JSON.stringify(value) ?? 'nothing', MAX_SHOWN)

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function objectOf(line: string, number: number, expected: string): Record<string, unknown> {
  const value = parsed(line)
  if (isObject(value)) return value
  throw new TraceError(number, expected, line === '' ? 'an empty line' : clip(line, MAX_SHOWN))
}

/** Reads fields of a line's object, each with its check. */
const fieldsOf =
  (given: Record<string, unknown>, line: number) =>
  <T>(name: string, expected: string, fits: (value: unknown) => value is T): T =>
    checked(line, name, given[name], expected, fits)

function checked<T>(
  line: number,
  name: string,
  value: unknown,
  expected: string,
  fits: (value: unknown) => value is T,
): T {
  if (fits(value)) return value
  throw new TraceError(line, `an object whose "${name}" is ${expected}`, shown(value))
}
