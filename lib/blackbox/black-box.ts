import type { BlackBoxStats } from '../../binding.js'
import * as native from '../addon/native.js'
import { type MemoryBudget, nativeBudget } from '../budget/budget.js'
import { ledgerName, ownName } from '../ledger/ledger.js'
import * as check from '../support/check.js'
import { call, invalidArgument, quoted, released } from '../support/errors.js'
import { refuseCloning, shows } from '../support/shown.js'

export type { BlackBoxStats } from '../../binding.js'

/** Where a black box is written, and how often. */
export interface BlackBoxOptions {
  /**
   * Its file. By default `NAME.blackbox` in `/var/lib/plimsoll` for root, else in `$XDG_STATE_HOME/plimsoll`, which is
   * `~/.local/state/plimsoll` where that is not set.
   */
  path?: string | URL
  /** The name in the default path. `'board'` by default, or the name of the ledger that the budget shares. */
  name?: string
  /** What a reader is told of this process. The name of its program by default. */
  processName?: string
  /** The longest time between two blocks, in milliseconds, 250 to 60,000. 1000 by default. */
  intervalMs?: number
}

const noteKinds = ['wait-begin', 'wait-end', 'command-start', 'command-end'] as const

/** What of a program a {@link BlackBox} can be told. */
export type BlackBoxNoteKind = (typeof noteKinds)[number]

const optionChecks = {
  path: check.filePath,
  name: ledgerName,
  processName: check.string,
  intervalMs: (name: string, value: unknown) => check.number(name, value, 250, 60_000),
} as const

/**
 * Keeps the last minute of a budget in a small file: the machine's memory, who holds what, what was granted, refused and
 * waited for. {@link readBlackBox} and `plimsoll blackbox` read it after a kill or a power cut. It is off until {@link start}.
 *
 * It writes until it is stopped or the process ends, whoever still refers to it, and keeps no process alive.
 * A thread of its own writes 4 KiB a second, and at once when a request is refused or a large one is granted. No allocation
 * waits for it.
 *
 * @example
 * manager.blackBox.start({ path: 'server.blackbox' })
 */
export class BlackBox implements Disposable {
  readonly #budget: MemoryBudget
  #native: native.NativeBlackBox | undefined
  #running = false
  #closed = false

  /** @throws {@link InvalidArgumentError} when `budget` is none. */
  constructor(budget: MemoryBudget) {
    if (nativeBudget(budget) === undefined) throw invalidArgument('budget', 'a MemoryBudget', quoted(budget))
    refuseCloning(this)
    this.#budget = budget
  }

  /**
   * Begins to write; the first block is on the disk when it returns. While it runs, nothing is changed. A block that cannot
   * be written later is counted, and told of once by a warning of the process (`PLIMSOLL_BLACK_BOX`). Returns the black box.
   *
   * @throws {@link InvalidArgumentError} for an unknown or unfit option, and a file that is something else.
   * @throws {@link IoError} where the file cannot be made or written, as on a full disk.
   * @throws {@link BusyError} where eight processes write to that file already.
   * @throws {@link ReleasedError} after {@link close}.
   */
  start(options?: BlackBoxOptions): this {
    const { path, name, processName = ownName(), intervalMs } = check.options<BlackBoxOptions>(options, optionChecks)
    if (this.#closed) throw released('the black box')
    if (this.#running) return this
    // Made from a budget, so it has a native half.
    const budget = nativeBudget(this.#budget) as NonNullable<ReturnType<typeof nativeBudget>>
    const native_ = check.own<native.NativeBlackBoxOptions>({
      ...(path !== undefined && { path: path as string }),
      name: name ?? ledgerNameOf(budget.ledgerPath),
      processName,
      ...(intervalMs !== undefined && { intervalMs }),
    })
    this.#native = call(() => native.NativeBlackBox.start(budget, native_, warn))
    this.#running = true
    keep(this.#native)
    return this
  }

  /**
   * Notes what the budget does not know of: a request that begins to wait or waits no longer, a command that is started or
   * has ended. Nothing happens while it is off.
   *
   * @throws {@link InvalidArgumentError} for another kind, and what is no label or size.
   */
  note(kind: BlackBoxNoteKind, label: string, bytes = 0): void {
    const checked = check.oneOf('kind', kind, noteKinds)
    const [text, size] = [check.string('label', label), check.bytes('bytes', bytes)]
    if (this.#running) call(() => this.#native?.note(checked, text, size))
  }

  /** Writes the last block, by which a reader knows that it ended cleanly, and ends. Idempotent; {@link start} begins anew. */
  stop(): void {
    if (this.#native) letGo(this.#native)
    this.#running = false
  }

  /** The same for good: it starts no more. Idempotent. */
  close(): void {
    this.stop()
    this.#closed = true
  }

  /** The same as {@link stop}, for `using`. */
  [Symbol.dispose](): void {
    this.stop()
  }

  /** Whether it writes. */
  get running(): boolean {
    return this.#running
  }

  /** Its file; `undefined` before the first {@link start}. */
  get path(): string | undefined {
    return this.#native?.path
  }

  /** What it has written since the last {@link start}; `undefined` before the first. */
  stats(): BlackBoxStats | undefined {
    return this.#native?.stats()
  }
}

/** Those that write: one that nobody refers to any longer goes on, as whoever looks after a crash will want it. */
const writing = new Set<native.NativeBlackBox>()

function keep(box: native.NativeBlackBox): void {
  // One for all of them, for as long as there are any.
  if (writing.size === 0) process.on('exit', closeAll)
  writing.add(box)
}

function letGo(box: native.NativeBlackBox): void {
  if (writing.delete(box) && writing.size === 0) process.off('exit', closeAll)
  box.close()
}

/** A process that ends by itself, by `process.exit()` or an error too, was not killed. */
function closeAll(): void {
  for (const box of writing) box.close()
}

/** The name of the ledger at that path. */
function ledgerNameOf(path: string | null | undefined): string {
  return /([^/]+)\.ledger$/.exec(path ?? '')?.[1] ?? 'board'
}

function warn(message: string): void {
  process.emitWarning(`The black box cannot be written: ${message}`, {
    type: 'PlimsollWarning',
    code: 'PLIMSOLL_BLACK_BOX',
  })
}

shows(BlackBox, ({ running, path }) => ({ running, path }))
