import {
  LedgerError,
  type LedgerHolder,
  type LedgerOptions,
  type LedgerSurvey,
  type ProcessInfo,
  processes,
  surveyLedger,
} from '../../index.js'
import { Latest } from '../../support/latest.js'
import { filled } from './document.js'

/** A ledger at one moment, and the line that those who share it have in common. */
export interface LedgerView {
  survey: LedgerSurvey | undefined
  /** Why it cannot be read, where it cannot. */
  reason?: string
  boardLineBytes: number
  /** The processes of this machine, by their ids. */
  processes: ReadonlyMap<number, ProcessInfo>
}

/** Who shares a ledger; one that cannot be trusted is no reason to show nothing else. */
export function surveyed(options: LedgerOptions): Pick<LedgerView, 'survey' | 'reason'> {
  try {
    return { survey: surveyLedger(options) }
  } catch (error) {
    if (error instanceof LedgerError) return { survey: undefined, reason: error.message }
    throw error
  }
}

const everyProcess = new Latest(1000, () => processes())

/** Whose processes the holders are, with what is known already. Without /proc nobody can be looked up. */
export async function holdersIn(
  survey: LedgerSurvey | undefined,
  known: readonly ProcessInfo[] = [],
): Promise<LedgerView['processes']> {
  const byPid = new Map(known.map((process) => [process.pid, process]))
  const isMissing = survey?.holders.some(({ isSeen, isDraining, pid }) => isSeen && !isDraining && !byPid.has(pid))
  const all = isMissing ? await everyProcess.get().catch(() => undefined) : undefined
  return new Map([...byPid, ...(all ?? []).map((process) => [process.pid, process] as const)])
}

/** The process of a holder, where it lives and can be seen from here. */
export function processOf({ processes }: LedgerView, holder: LedgerHolder): ProcessInfo | undefined {
  return holder.isSeen && !holder.isDraining ? processes.get(holder.pid) : undefined
}

/** What all hold together, the dead too, in bytes. */
export const heldBytes = ({ holders }: LedgerSurvey): number =>
  holders.reduce((sum, { heldBytes }) => sum + heldBytes, 0)

/** A holder as a document has it, with what its process is, where that can be seen. */
export function holderDocument(view: LedgerView, holder: LedgerHolder): object {
  const { command = null, rssBytes = null } = processOf(view, holder) ?? {}
  return { ...filled(holder, { waiting: null }), command, rssBytes }
}
