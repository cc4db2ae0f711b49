import type { LedgerHolder, LedgerSurvey, ProcessInfo } from '../../index.js'
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
