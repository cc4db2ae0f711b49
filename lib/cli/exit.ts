/** What the exit codes of the command line mean. */
export const Exit = {
  /** It fits, it is fine. */
  fine: 0,
  /** What was asked for does not fit under the line, or into a pool. */
  doesNotFit: 1,
  /** The command itself is wrong: an unknown verb or option, an unfit value, a tensor that is not in the file. */
  wrongUse: 2,
  /** The file cannot be opened, is not what the verb reads, or holds a tensor that does not convert. */
  brokenInput: 3,
  /** The system failed: memory cannot be measured, reading broke off half-way, output cannot be written. */
  trouble: 4,
  /** Ended by Ctrl-C: 128 and the number of SIGINT. */
  interrupted: 130,
} as const

export type ExitCode = (typeof Exit)[keyof typeof Exit]

/** The exit codes as the help shows them. */
export const exitCodeHelp: readonly [ExitCode, string][] = [
  [Exit.fine, 'fine'],
  [Exit.doesNotFit, 'does not fit'],
  [Exit.wrongUse, 'wrong use'],
  [Exit.brokenInput, 'broken input'],
  [Exit.trouble, 'device or system trouble'],
  [Exit.interrupted, 'interrupted'],
]
