import { constants } from 'node:buffer'
import { NativeProfile } from '../addon/native.js'
import { type MemoryBudget, nativeBudget } from '../budget/budget.js'
import * as check from '../support/check.js'
import { call, invalidArgument, ioError, quoted, released } from '../support/errors.js'
import { replaceFile } from '../support/replace-file.js'
import { refuseCloning, shows } from '../support/shown.js'
import { type WantedFrames, wantFrames } from '../support/stack.js'
import {
  decode,
  type LabelTotals,
  type LiveAllocation,
  nothing,
  type ProfileEvent,
  type ProfileRecord,
  type ProfileReport,
  type ProfileRows,
  rowsOf,
} from './record.js'
import { type ProfileFormat, type ProfileWriter, piecesOf, WriterFailure, writerNamed, writerOf } from './writers.js'

/** How a profile is taken. */
export interface ProfileOptions {
  /**
   * Events kept; newer ones take the place of older ones. Totals, peaks and leaks do not depend on it. 65,536 by default, at
   * most 1,048,576.
   */
  capacity?: number
  /** Whether the JavaScript stack of every request is kept. False by default. */
  stacks?: boolean
  /** Frames kept of a stack, 1 to 100. 10 by default. */
  stackDepth?: number
}

/** Which allocations count as leaks. */
export interface LeakOptions {
  /** The least age, in milliseconds. 0 by default. */
  olderThanMs?: number
}

const MAX_CAPACITY = 2 ** 20

/**
 * Records what happens to a budget: every grant, release, refusal and commit, and what pools and loads over it do, with
 * label, bytes, time and thread. Budgets that share what is allocated share what is recorded, worker threads included.
 *
 * It is off until {@link start}, and costs nothing while it is off.
 *
 * @example
 * manager.profile.start({ stacks: true })
 * // ... the program's work ...
 * manager.profile.stop()
 * for (const { label, sizeBytes, ageMs, stack } of manager.profile.leaks({ olderThanMs: 60_000 })) log.warn(label, stack)
 * await manager.profile.save('profile.html', profilePage) // from 'plimsoll/report'
 */
export class MemoryProfile implements Disposable {
  readonly #budget: MemoryBudget
  #native: NativeProfile | undefined
  #running = false
  #closed = false
  /** What it wants of each request's stack, for as long as it is there. */
  #frames: WantedFrames | undefined
  #wantNoFrames: () => void = () => {}

  /** @throws {@link InvalidArgumentError} when `budget` is none. */
  constructor(budget: MemoryBudget) {
    if (nativeBudget(budget) === undefined) throw invalidArgument('budget', 'a MemoryBudget', quoted(budget))
    refuseCloning(this)
    this.#budget = budget
  }

  /**
   * Begins to record, with what is allocated already; what was recorded before is forgotten. While it runs, nothing is
   * changed. Returns the profile.
   *
   * @throws {@link InvalidArgumentError} for an unknown or unfit option.
   * @throws {@link ReleasedError} after {@link close}.
   */
  start(options?: ProfileOptions): this {
    const {
      capacity = 65_536,
      stacks = false,
      stackDepth = 10,
    } = check.options<ProfileOptions>(options, {
      capacity: (name, value) => check.integer(name, value, 1, MAX_CAPACITY),
      stacks: check.boolean,
      stackDepth: (name, value) => check.integer(name, value, 1, 100),
    })
    if (this.#closed) throw released('the memory profile')
    if (this.#running) return this
    // Made from a budget, so it has a native half.
    const budget = nativeBudget(this.#budget) as NonNullable<ReturnType<typeof nativeBudget>>
    this.#native = call(() => NativeProfile.start(budget, capacity, stacks ? stackDepth : 0))
    this.#running = true
    if (stacks) {
      this.#frames = { depth: stackDepth }
      this.#wantNoFrames = wantFrames(this.#frames)
    }
    return this
  }

  /** Ends the recording; what was recorded stays until the next {@link start}. Idempotent. */
  stop(): void {
    this.#native?.stop()
    this.#running = false
    this.#wantNoFrames()
  }

  /** Ends the recording for good: what was recorded is forgotten, and it starts no more. Idempotent. */
  close(): void {
    this.stop()
    this.#native = undefined
    this.#closed = true
  }

  /** The same as {@link stop}, for `using`: what was recorded in the block is to be read behind it. */
  [Symbol.dispose](): void {
    this.stop()
  }

  /** Whether it records. */
  get running(): boolean {
    return this.#running
  }

  /** The events that are kept, oldest first. */
  events(): ProfileEvent[] {
    return this.#read(true).events
  }

  /** What the allocations under each label came to, most granted first. */
  labels(): LabelTotals[] {
    return this.#read(false).labels
  }

  /**
   * What is live, oldest first; after {@link stop}, what was live then. What a program still holds where it should hold
   * nothing, or for longer than it should, is a leak.
   *
   * @throws {@link InvalidArgumentError} for an unknown or unfit option.
   */
  leaks(options?: LeakOptions): LiveAllocation[] {
    const { olderThanMs = 0 } = check.options<LeakOptions>(options, {
      olderThanMs: (name, value) => check.number(name, value, 0, Number.MAX_SAFE_INTEGER),
    })
    return this.#read(false).live.filter(({ ageMs }) => ageMs >= olderThanMs)
  }

  /** The totals by label, what is live, and the profile's own figures. */
  report(): ProfileReport {
    const { events: _, ...report } = this.#read(false)
    return report
  }

  /**
   * All of it as text: `'json'`, the report and the events; `'trace'`, for Perfetto and chrome://tracing; or what a writer
   * makes of it, as `profilePage` of `plimsoll/report` makes a page. A hundred thousand events take a good part of a
   * second, during which nothing else runs: {@link save} lets the event loop go on.
   *
   * @throws {@link InvalidArgumentError} for a format that there is none of, and for a text that is longer than a string
   * can be: {@link save} it then.
   */
  export(format: ProfileFormat | ProfileWriter): string {
    const write = writerOf(format)
    const rows = this.#rows()
    // Known at once, before seconds go by over a text that is then thrown away.
    if (typeof format === 'string') expectString(format, leastLength(rows))
    const pieces: string[] = []
    let length = 0
    for (const piece of write(rows)) {
      length += piece.length
      expectString(format, length)
      pieces.push(piece)
    }
    return pieces.join('')
  }

  /**
   * Writes {@link export | what is exported} to a file, which appears whole or not at all, with the mode and owner of the
   * file that was there. Links are followed; a device or a pipe is written through, and a pipe is waited for until
   * somebody reads it. It is written in pieces, between which the event loop goes on. The format is that of the name,
   * `.trace.json` or `.json`, unless one is given.
   *
   * @throws {@link InvalidArgumentError} for what is no path, and when the name tells no format and none is given.
   * @throws {@link IoError} when the file cannot be written.
   * @example
   * await profile.save('profile.html', profilePage) // from 'plimsoll/report'
   */
  async save(path: string | URL, format?: ProfileFormat | ProfileWriter): Promise<void> {
    const target = check.filePath('path', path)
    const write = format === undefined ? writerNamed(target) : writerOf(format)
    const record = await this.#native?.readAside()
    try {
      await replaceFile(target, piecesOf(write, record ? rowsOf(record) : nothing))
    } catch (cause) {
      throw cause instanceof WriterFailure ? cause.reason : ioError(target, cause)
    }
  }

  #rows(): ProfileRows {
    const native = this.#native
    return native ? rowsOf(call(() => native.read(true))) : nothing
  }

  #read(withEvents: boolean): ProfileRecord {
    const native = this.#native
    return native ? decode(call(() => native.read(withEvents))) : nothing
  }
}

/** A text of so many characters has to fit in a string. */
function expectString(format: ProfileFormat | ProfileWriter, length: number): void {
  if (length <= constants.MAX_STRING_LENGTH) return
  const expected = 'one whose text fits in a string; save() writes a text of any length to a file'
  const name = typeof format === 'string' ? `"${format}"` : 'a text'
  throw invalidArgument('format', expected, `${name} of more than ${constants.MAX_STRING_LENGTH} characters`)
}

/** Characters that the events take at the least, each with the names of its fields. */
function leastLength({ events }: ProfileRows): number {
  let length = 0
  for (const { label, stack = '' } of events) length += 100 + label.length + stack.length
  return length
}

shows(MemoryProfile, ({ running }) => ({ running }))
