import { readFileSync } from 'node:fs'

/**
 * For how long a thread has waited for a processor that others had, in milliseconds, where the kernel counts that: this one,
 * or the main thread of a process. What takes long for that reason alone is nobody's fault.
 */
export function waitedMs(process = 'thread-self') {
  try {
    return Number(readFileSync(`/proc/${process}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}
