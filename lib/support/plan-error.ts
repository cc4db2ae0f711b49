import { PlimsollError } from './error-classes.js'

/** What is wrong with a plan. */
export interface PlanIssue {
  /**
   * What it is: of the text (`'syntax'`, `'unknown-key'`, `'invalid-value'`, `'duplicate-name'`, `'missing-value'`), of what it
   * names (`'missing-model'`, `'invalid-model'`, `'missing-command'`), or that it does not fit (`'total-too-large'`,
   * `'peak-too-large'`, `'instance-too-large'`).
   */
  kind:
    | 'syntax'
    | 'unknown-key'
    | 'invalid-value'
    | 'duplicate-name'
    | 'missing-value'
    | 'missing-model'
    | 'invalid-model'
    | 'missing-command'
    | 'total-too-large'
    | 'peak-too-large'
    | 'instance-too-large'
  /** What was expected, what came, and what to do. */
  message: string
  /** The instance it is about, if it is about one. */
  instance?: string
  /** Where in the plan: `instances.subject.limitBytes`. */
  key?: string
  /** The line of its file, from 1, if it was read from one. */
  line?: number
  /** What would be needed, in bytes, where it does not fit. */
  neededBytes?: number
  /** What there is, in bytes, where it does not fit. */
  usableBytes?: number
}

/**
 * A plan is none, names what is not there, or does not fit. Nothing was started or allocated.
 *
 * @example
 * try {
 *   parsePlan('instances: { chat: { limit: 6GiB } }')
 * } catch (error) {
 *   if (!(error instanceof InvalidPlanError)) throw error
 *   console.log(error.issues[0]?.message) // unknown key "limit" in instances.chat; expected "limitBytes"
 * }
 */
export class InvalidPlanError extends PlimsollError {
  declare readonly code: 'ERR_INVALID_PLAN'
  /** Everything that is wrong with it. */
  declare readonly issues: readonly PlanIssue[]
  /** Its file, if it was read from one. */
  declare readonly path?: string
}
