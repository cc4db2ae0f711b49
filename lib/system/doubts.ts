import * as check from '../support/check.js'

/**
 * Tells the process's log of limits that a line cannot know of, and of figures that stand for others. The addon names each
 * once in a process, worker threads included.
 */
export function reportDoubts(doubts: readonly string[]): void {
  for (const doubt of doubts) {
    const options = check.own({ type: 'PlimsollWarning', code: 'PLIMSOLL_UNSEEN_LIMIT' })
    process.emitWarning(`${doubt}. "plimsoll doctor" says what to do about it.`, options)
  }
}

/** Tells it of other versions of this package in the process whose budgets do not know of this one's. */
export function reportCopies(files: readonly string[]): void {
  for (const file of files) {
    process.emitWarning(
      `Another version of plimsoll is loaded, which counts by itself: ${file}. Both together may grant more than the line; ` +
        '`npm ls plimsoll` shows why there are two, and one version for all makes them one.',
      check.own({ type: 'PlimsollWarning', code: 'PLIMSOLL_COPY_APART' }),
    )
  }
}
