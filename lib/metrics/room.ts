import {
  type Headroom,
  LedgerError,
  type LedgerHolder,
  type LedgerOptions,
  type MemoryBudget,
  surveyLedger,
} from '../index.js'
import { besideHolders, isThisProcess } from '../ledger/beside.js'
import { measured } from '../support/measured.js'

/** What a budget could grant now, and who has a say in that. */
export interface Room {
  /**
   * In bytes: no more than the processes leave that share the ledger, without what is kept for one of them that waits. Nothing where the ledger
   * cannot be read: what they hold is not known.
   */
  availableBytes: number
  /** Less what those processes were granted and have not taken, where that is known; absent where the machine cannot be measured. */
  headroom: Headroom | undefined
  /** Who shares the ledger. */
  holders: readonly LedgerHolder[]
  /** Whether there is a ledger. */
  hasLedger: boolean
  /** Why the ledger cannot be read now, where it cannot. */
  ledgerError?: string
}

/** @internal Of a budget, and of the ledger that was asked for, else the budget's own. */
export function roomOf(budget: MemoryBudget, choice: LedgerOptions | false | undefined): Room {
  const { isCounted, ...shared } = sharedBy(budget, choice)
  const { availableBytes } = budget
  const headroom = measured(() => budget.headroom())
  if (shared.ledgerError !== undefined) return { ...shared, availableBytes: 0, headroom }
  if (isCounted || shared.holders.length === 0) return { ...shared, availableBytes, headroom }
  const { holders } = shared
  const others = holders.filter((holder) => !isThisProcess(holder))
  const keptBytes = others.reduce((most, { waiting }) => Math.max(most, waiting?.keptBytes ?? 0), 0)
  const left = headroom && besideHolders(headroom, holders)
  const rooms = [availableBytes, budget.boardLineBytes - sum(holders, ({ heldBytes }) => heldBytes)]
  // Without anything pending the budget itself has weighed it, if it does.
  if (left && left !== headroom) rooms.push(left.bytes)
  return { ...shared, availableBytes: Math.max(Math.min(...rooms) - keptBytes, 0), headroom: left }
}

/** Who shares a ledger, and whether the budget counts what they hold: it does so of its own. */
interface Shared extends Pick<Room, 'holders' | 'hasLedger' | 'ledgerError'> {
  isCounted: boolean
}

function sharedBy(budget: MemoryBudget, choice: LedgerOptions | false | undefined): Shared {
  try {
    if (choice === false) return { holders: [], hasLedger: false, isCounted: true }
    const hasLedger = budget.ledgerPath !== undefined
    if (choice === undefined) return { holders: budget.ledgerHolders(), hasLedger, isCounted: true }
    const survey = surveyLedger(choice)
    if (!survey) return { holders: [], hasLedger: false, isCounted: true }
    return { holders: survey.holders, hasLedger: true, isCounted: survey.path === budget.ledgerPath }
  } catch (error) {
    // What is not of the ledger is as true without it.
    if (error instanceof LedgerError) {
      return { holders: [], hasLedger: true, isCounted: true, ledgerError: error.message }
    }
    throw error
  }
}

const sum = (holders: readonly LedgerHolder[], bytesOf: (holder: LedgerHolder) => number): number =>
  holders.reduce((bytes, holder) => bytes + bytesOf(holder), 0)
