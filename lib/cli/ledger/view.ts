import type { LedgerSurvey } from '../../index.js'

/** A ledger at one moment, and the line that those who share it have in common. */
export interface LedgerView {
  survey: LedgerSurvey | undefined
  boardLineBytes: number
}

/** What all hold together, the dead too, in bytes. */
export const heldBytes = ({ holders }: LedgerSurvey): number =>
  holders.reduce((sum, { heldBytes }) => sum + heldBytes, 0)
