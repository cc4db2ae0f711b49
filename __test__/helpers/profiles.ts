import { MemoryBudget, MemoryProfile, type ProfileOptions } from 'plimsoll'
import { profilePage } from 'plimsoll/report'

/** Every form that a profile has by itself, and a page. */
export const formats = ['json', 'trace', profilePage] as const

/** A budget of so many bytes and a profile of it that runs. */
export function profiled(totalBytes: number, options?: ProfileOptions) {
  const budget = new MemoryBudget({ totalBytes })
  return { budget, profile: new MemoryProfile(budget).start(options) }
}
