import type { AllocationInfo, Headroom, LineTerm, RefusedRequests } from '../../binding.js'
import * as native from '../addon/native.js'
import { type LedgerChoice, type LedgerHolder, ledgerChoice, ledgerOf } from '../ledger/ledger.js'
import { ownSlice } from '../ledger/slice.js'
import * as check from '../support/check.js'
import { call, fromNative } from '../support/errors.js'
import { internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'
import { callersOf } from '../support/stack.js'
import { reportCopies, reportDoubts } from '../system/doubts.js'
import { autoOrBoardId, type BoardId, boardId, type ProcessOptions, processChecks } from '../system/system.js'
import { type Allocation, guard } from './allocation.js'
import { published } from './refusals.js'

export type {
  AllocationInfo,
  Headroom,
  HeadroomTerm,
  LineTerm,
  RefusalCount,
  RefusedRequest,
  RefusedRequests,
} from '../../binding.js'

/** A budget of just these numbers. */
export interface BudgetNumbers {
  /** Memory of the board, in bytes. */
  totalBytes: number
  /** What is kept for the system, in bytes. 0 by default. */
  reservedBytes?: number
}

/** How the line of this machine is drawn. */
export interface MachineBudgetOptions {
  /**
   * A board whose preset bounds the line too. `'auto'`, the default, takes the preset of the board that this machine
   * is, see {@link detectBoard}; a machine without one is taken as it is, with an eighth of its memory kept for the
   * system, at least 512 MiB and at most half.
   */
  board?: BoardId | 'auto'
  /** Share of the memory left alone, in percent, 0 to below 100. 15 by default. */
  safetyMarginPercent?: number
  /** An upper bound of your own, in bytes. None by default. */
  maxBytes?: number
  /**
   * Whether the budget counts alone. False by default: all budgets of this process for the same board and cgroup, worker
   * threads included, share what is allocated, each under its own line.
   */
  isolated?: boolean
  /**
   * Whether the budget shares a ledger with other processes: then all of them together stay below the line of the board, and
   * what others were granted and have not taken comes off headroom. True for that of the board, or a ledger's name or options.
   * False by default. A process that `plimsoll run` started has its share by that, and needs none.
   */
  shared?: LedgerChoice
  /**
   * Whether every grant is weighed against what the machine can give, too: the {@link MemoryBudget.headroom | headroom} of
   * at most 100 ms ago, less what was granted since, and read anew when a request would use more than a quarter of that.
   * True by default; with `false` the line alone decides.
   */
  headroom?: boolean
}

/** How headroom is worked out. */
export interface HeadroomOptions {
  /** What is left untouched of the machine's memory, in bytes. 3 % of it, at least 256 MiB, by default. */
  floorBytes?: number
}

/** Checks the options of a budget of this machine. */
export const machineBudgetChecks = {
  board: autoOrBoardId,
  safetyMarginPercent: check.percent,
  maxBytes: (name: string, value: unknown) => check.bytes(name, value),
  isolated: check.boolean,
  shared: (name: string, value: unknown) => ledgerChoice(name, value),
  headroom: check.boolean,
} as const

/** @internal The native budget behind a public one, for what counts against it; `undefined` of anything else. */
export let nativeBudget: (budget: unknown) => native.NativeBudget | undefined

/** @internal Has a budget note an error that it refused with, publishes it, and returns it; any other as it is. */
export let refusedBy: (budget: MemoryBudget | undefined, error: unknown) => unknown

/**
 * How much of a machine may be used, and who uses it.
 *
 * A budget counts what its user is about to take; it allocates no memory itself. One atomic step takes and one
 * releases, so the sum of live allocations passes the line in no interleaving of threads.
 *
 * @example
 * const budget = MemoryBudget.forBoard('orin-nano-8gb')   // 8192 MiB, 6144 MiB usable
 * const weights = budget.allocate(2000 * MiB, 'weights')
 * budget.availableBytes                                    // 4144 MiB
 * weights.release()
 */
export class MemoryBudget {
  readonly #native: native.NativeBudget
  /** Its guards, as the two calls that each of them goes through want them. */
  readonly #guards: object
  /** What those have alike that share what is allocated. */
  readonly #account: unknown

  static {
    nativeBudget = (budget) => (check.isObject(budget) && #native in budget ? budget.#native : undefined)
    refusedBy = (budget, error) => {
      if (budget === undefined) return error
      const account = budget.#account
      const isOf = (other: unknown) => check.isObject(other) && #account in other && other.#account === account
      return published(error, (refused) => budget.#native.noteRefused(refused), isOf)
    }
  }

  /**
   * A budget of just these numbers: total less reserve.
   *
   * @throws {@link InvalidArgumentError} when a size is no whole number of bytes, or more is reserved than there is.
   */
  constructor(numbers: BudgetNumbers)
  /** @internal */
  constructor(token: typeof internal, of: native.NativeBudget, account?: string)
  constructor(first: BudgetNumbers | typeof internal, of?: native.NativeBudget, account?: string) {
    refuseCloning(this)
    this.#native = first === internal && of ? of : ofNumbers(first as BudgetNumbers)
    this.#account = account ?? this
    this.#guards = this.#native.guards()
  }

  /**
   * A budget of just the board's numbers, whatever machine this is.
   *
   * @throws {@link InvalidArgumentError} for a board that has no preset.
   */
  static forBoard(board: BoardId): MemoryBudget {
    return new MemoryBudget(internal, native.NativeBudget.ofBoard(boardId('board', board)))
  }

  /**
   * The budget of this machine. Its line is the lowest of: the memory less the reserve, the memory less the safety
   * margin, the board's usable memory if there is a preset, the limit of every cgroup over the process less its floor
   * (3 %, at least 16 MiB), and `maxBytes`.
   *
   * It grants what the line leaves *and* the machine can give, so that a granted byte is there: see `headroom` among the
   * options.
   *
   * With a `root` or a `pid` it is the line of that tree or over that process, and so is its headroom and what a
   * {@link MemoryMonitor} of it sees. Such a budget is for looking: it counts alone.
   *
   * Where a limit may exist that cannot be seen, the process warns of it once (`PLIMSOLL_UNSEEN_LIMIT`), and of another
   * copy of the package that counts by itself (`PLIMSOLL_COPY_APART`).
   *
   * @throws {@link InvalidArgumentError} for an unknown or unfit option.
   * @throws {@link IoError} when the machine's memory cannot be read, or a limit over the process that is there.
   * @throws {@link LedgerError} when the ledger that it shall share cannot be used.
   */
  static forThisMachine(options?: MachineBudgetOptions & ProcessOptions): MemoryBudget {
    const checks = { ...machineBudgetChecks, ...processChecks }
    const checked = check.options<MachineBudgetOptions & ProcessOptions>(options, checks)
    const { board = 'auto', shared = false, ...rest } = checked
    const { root, pid } = checked
    const isOfOther = root !== undefined || pid !== undefined
    const slice = isOfOther ? undefined : ownSlice()
    const ledger = slice === undefined ? ledgerOf(shared) : undefined
    const preset = board === 'auto' ? call(() => native.detectPreset(root)) : board
    const isolated = checked.isolated === true || isOfOther
    const headroom = checked.headroom !== false
    const maxBytes = lowest(checked.maxBytes, slice)
    const machine = check.own({
      ...rest,
      ...(preset && { board: preset }),
      ...(maxBytes !== undefined && { maxBytes }),
      ...(ledger && { ledger }),
      isolated,
      headroom,
    })
    const made = call(() => native.NativeBudget.ofThisMachine(machine))
    reportDoubts(made.unreportedDoubts)
    reportCopies(native.unreportedCopies())
    return new MemoryBudget(internal, made, isolated ? undefined : `${preset ?? ''} ${made.ledgerPath ?? ''}`)
  }

  /** Memory of the board, or of the machine without what is set aside as huge pages, in bytes. */
  get totalBytes(): number {
    return this.#native.totalBytes
  }

  /** What is kept for the system, in bytes. */
  get reservedBytes(): number {
    return this.#native.reservedBytes
  }

  /** What may be used at most, in bytes: the line. */
  get usableBytes(): number {
    return this.#native.usableBytes
  }

  /**
   * The line of the board as a whole, in bytes: without the bounds of this process alone, its cgroups and `maxBytes`. All
   * processes together that share a ledger stay below it.
   */
  get boardLineBytes(): number {
    return this.#native.boardLineBytes
  }

  /** Where the ledger is that this budget shares with other processes; `undefined` where it shares none. */
  get ledgerPath(): string | undefined {
    return this.#native.ledgerPath ?? undefined
  }

  /**
   * Who shares that ledger, this process too, in the order of their slots; empty where it shares none.
   *
   * @throws {@link LedgerError} when the ledger was removed or spoilt and cannot be made again.
   */
  ledgerHolders(): LedgerHolder[] {
    return call(() => this.#native.ledgerHolders())
  }

  /**
   * The number of the descriptor that keeps this process's share of the ledger; `undefined` where it shares none. A process
   * that inherits it, by `stdio` of `spawn`, holds the share as long as it lives, whatever becomes of this one.
   */
  get ledgerDescriptor(): number | undefined {
    return this.#native.ledgerDescriptor ?? undefined
  }

  /**
   * Says that the process with that id holds the share, which inherited the {@link ledgerDescriptor}: others see its id, and
   * credit it with what it has resident. Nothing where the budget shares no ledger.
   *
   * @throws {@link InvalidArgumentError} for what is no id of a process.
   * @throws {@link LedgerError} as {@link ledgerHolders}.
   */
  setLedgerProcess(pid: number): void {
    const checked = check.integer('pid', pid, 1, 2 ** 22)
    call(() => this.#native.setLedgerProcess(checked))
  }

  /**
   * Leaves the share in the ledger to whoever else has inherited its {@link ledgerDescriptor}: what is held there stays held
   * until the last of them has ended. From then on this budget grants nothing. Nothing where it shares no ledger.
   */
  abandonLedgerShare(): void {
    this.#native.abandonLedgerShare()
  }

  /** The line, in bytes: the lowest of {@link terms}. The same number as {@link usableBytes}. */
  get lineBytes(): number {
    return this.#native.usableBytes
  }

  /**
   * An upper bound of your own while the program runs, in bytes; `undefined` for none. It only ever lowers the line, and
   * takes nothing back: what is allocated above it stays.
   *
   * @throws {@link InvalidArgumentError} when it is no whole number of bytes.
   */
  get maxBytes(): number | undefined {
    return this.#native.maxBytes ?? undefined
  }

  set maxBytes(bytes: number | undefined) {
    this.#native.setMaxBytes(bytes === undefined ? undefined : check.bytes('maxBytes', bytes))
  }

  /** Every bound that was weighed to draw the line, {@link maxBytes} too. */
  get terms(): LineTerm[] {
    return this.#native.terms()
  }

  /** The bound that draws the line. */
  get bindingTerm(): LineTerm {
    return this.#native.bindingTerm()
  }

  /** What live allocations hold, in bytes. */
  get allocatedBytes(): number {
    return this.#native.allocatedBytes
  }

  /**
   * What can still be allocated now, in bytes: what is left of the line, or what the machine can give where that is less.
   * The machine is measured anew; 0 where it cannot be. A budget of numbers or of a preset, or one with
   * `headroom: false`, has its line alone.
   */
  get availableBytes(): number {
    return this.#native.availableBytes
  }

  /** What is left of the line, in bytes, whatever the machine can give: {@link usableBytes} less {@link allocatedBytes}. */
  get lineAvailableBytes(): number {
    return this.#native.lineAvailableBytes
  }

  /** The most that was ever allocated at once, in bytes. */
  get peakBytes(): number {
    return this.#native.peakBytes
  }

  /** Share of the line that is allocated, 0 to 100; above only where a budget with a higher line shares the count. */
  get utilizationPercent(): number {
    return this.#native.utilizationPercent
  }

  /**
   * The live allocations, oldest first; of all budgets that share the count, in all threads. What another copy of this
   * package in the process holds is one line, the last.
   */
  allocations(): AllocationInfo[] {
    return this.#native.allocations()
  }

  /**
   * What was refused in the end, by this budget and those that share the count, in all threads: how many requests, and the
   * latest 50 with what there was. What a call got by is none of them.
   *
   * @example
   * for (const { label, suggestion } of budget.refusedRequests().latest) console.log(`${label}: ${suggestion}`)
   */
  refusedRequests(): RefusedRequests {
    return this.#native.refusedRequests()
  }

  /**
   * What the system can give now: the least room of the machine and of every cgroup over the process, each less its
   * floor, less files that live processes have mapped, less what was granted in this process and not yet taken. Swap
   * never counts.
   *
   * @throws {@link IoError} where the machine's memory cannot be read.
   */
  headroom(options?: HeadroomOptions): Headroom {
    const { floorBytes } = check.options<HeadroomOptions>(options, {
      floorBytes: (name, value) => check.bytes(name, value),
    })
    return call(() => this.#native.headroom(floorBytes))
  }

  /**
   * Whether {@link allocate} would grant this many bytes now: whether the line has room for them, the machine can give
   * them, and no {@link MemoryMonitor} refuses. Another thread may take them in between: only the allocation is binding.
   *
   * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
   */
  canAllocate(bytes: number): boolean {
    return this.#native.canAllocate(check.bytes('bytes', bytes))
  }

  /**
   * Takes bytes off the budget, or refuses and takes nothing. It answers at once: guards that were dropped but are
   * not yet collected still count. On a budget of this machine the machine is asked, too, by a reading of at most 100 ms
   * ago or a new one; where it cannot be read, nothing is granted.
   *
   * @param bytes - a whole number from 0 up
   * @param label - what the bytes are for, as lists and errors will call it
   * @throws {@link InsufficientMemoryError} when that many are not available; its `bindingConstraint` is the line or the
   *   bound of the headroom, whichever leaves less.
   * @throws {@link InvalidArgumentError} when an argument is unfit.
   */
  allocate(bytes: number, label: string): Allocation {
    const sizeBytes = check.bytes('bytes', bytes)
    check.string('label', label)
    let key: number | undefined | null
    let stack: string | undefined
    try {
      key = native.allocateGuard(this.#guards, sizeBytes, label)
      if (key === undefined || key === null) {
        // A profile wants to know who asks.
        stack = callersOf(MemoryBudget.prototype.allocate, this.#native.stackDepth)
        key = this.#native.allocateFrom(sizeBytes, label, stack)
      }
    } catch (error) {
      throw refusedBy(this, fromNative(error))
    }
    return guard({
      native: this.#native,
      guards: this.#guards,
      key,
      label,
      sizeBytes,
      stack,
      attached: false,
      held: false,
      released: false,
    })
  }

  /**
   * As {@link allocate}, for an allocation that lives until it is released, whoever refers to it: see
   * {@link Allocation.hold}.
   *
   * @throws as of {@link allocate}.
   * @example
   * const weights = budget.hold(model.dataBytes, 'weights')
   * server.on('close', () => weights.release())
   */
  hold(bytes: number, label: string): Allocation {
    return this.allocate(bytes, label).hold()
  }

  /**
   * Takes bytes off the budget for as long as `use` runs, and releases them when what it returns has settled, whatever it
   * comes to.
   *
   * @returns what `use` returned.
   * @throws as of {@link allocate}, and what `use` threw.
   * @example
   * const answer = await budget.withAllocation(512 * MiB, 'kv cache', () => generate(prompt))
   */
  async withAllocation<T>(
    bytes: number,
    label: string,
    use: (allocation: Allocation) => T | PromiseLike<T>,
  ): Promise<T> {
    check.callback('use', use)
    const allocation = this.hold(bytes, label)
    try {
      return await use(allocation)
    } finally {
      allocation.release()
    }
  }
}

shows(MemoryBudget, ({ lineBytes, allocatedBytes, lineAvailableBytes, maxBytes }) => {
  return { lineBytes, allocatedBytes, lineAvailableBytes, maxBytes }
})

/** The lower of two bounds that may not be there. */
function lowest(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.min(one, other)
}

function ofNumbers(numbers: BudgetNumbers): native.NativeBudget {
  const { totalBytes, reservedBytes = 0 } = check.options<BudgetNumbers>(numbers, {
    totalBytes: (name, value) => check.bytes(name, value),
    reservedBytes: (name, value) => check.bytes(name, value),
  })
  const total = check.bytes('totalBytes', totalBytes)
  return call(() => native.NativeBudget.ofNumbers(total, reservedBytes))
}
