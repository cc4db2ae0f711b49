import type { LedgerHolder } from '../../binding.js'
import * as native from '../addon/native.js'
import * as check from '../support/check.js'
import { call, invalidArgument, quoted } from '../support/errors.js'

export type { LedgerHolder, LedgerWaiting } from '../../binding.js'

/** Which ledger processes share, where it lies, and what this one is called in it. */
export interface LedgerOptions {
  /**
   * Its name: letters, digits, `-` and `_`, at most 64. Servers that eat from one RAM share one. `'board'` by default: one for
   * the whole board.
   */
  name?: string
  /**
   * The folder that it lies in. It must be in RAM (tmpfs), belong to this user or to root, be no symbolic link, and not be open
   * to everybody. By default `/run/plimsoll` where that may be written to, else `/dev/shm/plimsoll-UID`, which is each user's
   * own.
   */
  directory?: string
  /** The id of a group whose members share it (mode 0660). None by default: then its owner alone does (0600). */
  group?: number
  /** Whether a file system that is not in RAM will do; one of a network may lose locks. False by default. */
  force?: boolean
  /** How long the memory of a process that died may take to come back, in milliseconds, up to 600,000. 2000 by default. */
  drainMs?: number
  /** What others see of this process; 64 bytes of it are kept. The name of its program by default. */
  processName?: string
}

/** A ledger and who shares it. */
export interface LedgerSurvey {
  /** Where it is. */
  path: string
  /** Who shares it, in the order of their slots. */
  holders: LedgerHolder[]
}

/** The longest a drain may be said to take. */
const MOST_DRAIN_MS = 600_000

const ledgerChecks = {
  name: ledgerName,
  directory: check.filePath,
  group: (name: string, value: unknown) => check.integer(name, value, 0, 2 ** 32 - 2),
  force: check.boolean,
  drainMs: (name: string, value: unknown) => check.integer(name, value, 0, MOST_DRAIN_MS),
  processName: check.string,
} as const

/** @internal The name of a ledger. */
export function ledgerName(name: string, value: unknown): string {
  const text = check.string(name, value)
  if (/^[\w-]{1,64}$/.test(text)) return text
  throw invalidArgument(name, '1 to 64 letters, digits, - and _', quoted(text))
}

/** Whether a budget shares a ledger with other processes, and which: by its name, or by its options. */
export type LedgerChoice = boolean | string | LedgerOptions

/** @internal Checks what `shared` asks for. */
export function ledgerChoice(name: string, value: unknown): LedgerChoice {
  if (typeof value === 'boolean') return value
  if (typeof value === 'string') return ledgerName(name, value)
  if (check.isObject(value)) return check.own(check.options<LedgerOptions>(value, ledgerChecks, name))
  throw invalidArgument(name, 'true, false, the name of a ledger, or its options', quoted(value))
}

/** @internal The ledger that was asked for, as the addon takes it. */
export function ledgerOf(choice: LedgerChoice): native.NativeLedgerOptions | undefined {
  if (choice === false) return undefined
  const named = typeof choice === 'string' ? { name: choice } : choice
  const options = named === true ? {} : named
  return check.own({ ...options, processName: options.processName ?? ownName() })
}

/** @internal The name of the program that this process runs. */
export function ownName(): string {
  const [runtime = 'node', script] = process.argv
  return (script ?? runtime).split('/').pop() || 'node'
}

/**
 * Who shares a ledger, without a share in it. The dead are found first, and those of them whose memory is back are gone.
 *
 * @returns `undefined` where there is no such ledger; none is made.
 * @throws {@link LedgerError} where it lies where it must not, is another user's, damaged or of another version.
 * @throws {@link InvalidArgumentError} for an unfit option.
 * @example
 * for (const { name, pid, heldBytes } of surveyLedger()?.holders ?? []) console.log(name, pid, formatBytes(heldBytes))
 */
export function surveyLedger(options?: LedgerOptions): LedgerSurvey | undefined {
  const checked = check.own(check.options<LedgerOptions>(options, ledgerChecks))
  return call(() => native.surveyLedger(check.own({ ...checked, processName: ownName() }))) ?? undefined
}
