import * as check from '../check.js'

/**
 * Tells the process's log of limits that a line cannot know of, and of figures that stand for others. The addon names each
 * once in a process, worker threads included.
 */
export function tellDoubts(doubts: readonly string[]): void {
  for (const doubt of doubts) {
    const options = check.own({ type: 'PlimsollWarning', code: 'PLIMSOLL_UNSEEN_LIMIT' })
    process.emitWarning(`${doubt}. "plimsoll doctor" says what to do about it.`, options)
  }
}
