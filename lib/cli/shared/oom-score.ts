import { readFileSync, writeFileSync } from 'node:fs'

const OWN = '/proc/self/oom_score_adj'

/** The most that a score can be raised by. Source: `OOM_SCORE_ADJ_MAX`, `proc_pid_oom_score_adj(5)`. */
const MOST = 1000

/** Where it cannot come down, it stays: what was started goes on. */
function lowered(before: number): void {
  try {
    writeFileSync(OWN, String(before))
  } catch {
    // This process is then the likelier victim, and the share stays with the command.
  }
}

/**
 * Raises the score by which the OOM killer picks its victim, for what is started until it is disposed of: a thousandth for each
 * thousandth of the memory that `deviceBytes` are. It counts what a process has resident, and memory of a device is none of
 * that. Raising needs no privilege, and neither does coming down to where it was.
 */
export function raisedScore(deviceBytes: number, totalBytes: number): Disposable {
  const nothing = { [Symbol.dispose]: () => {} }
  if (deviceBytes === 0 || totalBytes === 0) return nothing
  try {
    const before = Number.parseInt(readFileSync(OWN, 'latin1'), 10)
    const after = Math.min(MOST, before + Math.ceil((deviceBytes / totalBytes) * MOST))
    writeFileSync(OWN, String(after))
    return { [Symbol.dispose]: () => lowered(before) }
  } catch {
    // Without /proc there is none to raise.
    return nothing
  }
}
