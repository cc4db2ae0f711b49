import type { GpuProcess, ProcessInfo } from '../../index.js'
import { ESCAPE } from '../terminal/screen.js'

/** What processes can be sorted by, in the order of the key that goes on to the next. */
export const sortings = ['resident', 'anonymous', 'shared', 'peak', 'GPU', 'pid'] as const

export type Sorting = (typeof sortings)[number]

/** Which processes are shown, and in which order. */
export interface Choice {
  sorting: Sorting
  /** Whether those are shown, too, that do not have this package loaded. */
  all: boolean
  /** Those alone whose command line has it, whatever its case. */
  filter: string
  /** Whether the filter is being typed. */
  isTyping: boolean
}

export const firstChoice: Choice = { sorting: 'resident', all: false, filter: '', isTyping: false }

const ENTER = ['\r', '\n']
const BACKSPACE = ['\x7f', '\b']
const MAX_FILTER = 40

/** The choice after a key; the same one where the key means nothing. */
export function chosen(choice: Choice, key: string): Choice {
  if (choice.isTyping) return typed(choice, key)
  if (key === 's')
    return { ...choice, sorting: sortings[(sortings.indexOf(choice.sorting) + 1) % sortings.length] as Sorting }
  if (key === 'a') return { ...choice, all: !choice.all }
  return key === '/' ? { ...choice, isTyping: true, filter: '' } : choice
}

function typed(choice: Choice, key: string): Choice {
  if (ENTER.includes(key)) return { ...choice, isTyping: false }
  if (key === ESCAPE) return { ...choice, isTyping: false, filter: '' }
  if (BACKSPACE.includes(key)) return { ...choice, filter: [...choice.filter].slice(0, -1).join('') }
  // What is no character, such as an arrow, begins with an escape.
  const isText = key >= ' ' && [...choice.filter].length < MAX_FILTER
  return isText ? { ...choice, filter: choice.filter + key } : choice
}

/** What a process holds of all GPUs together; nothing where no driver tells. */
export function gpuBytesOf(pid: number, holders: readonly GpuProcess[] | undefined): number | undefined {
  const told = (holders ?? []).flatMap((holder) => (holder.pid === pid ? (holder.bytes ?? []) : []))
  return told.length > 0 ? told.reduce((sum, bytes) => sum + bytes, 0) : undefined
}

/** The processes that are shown, in their order. */
export function shownProcesses(
  processes: readonly ProcessInfo[],
  holders: readonly GpuProcess[] | undefined,
  { sorting, filter }: Choice,
): ProcessInfo[] {
  const keys: Record<Sorting, (process: ProcessInfo) => number> = {
    resident: ({ rssBytes }) => -rssBytes,
    anonymous: ({ anonymousBytes = 0 }) => -anonymousBytes,
    shared: ({ shmemBytes = 0 }) => -shmemBytes,
    peak: ({ peakRssBytes = 0 }) => -peakRssBytes,
    GPU: ({ pid }) => -(gpuBytesOf(pid, holders) ?? 0),
    pid: ({ pid }) => pid,
  }
  const key = keys[sorting]
  const wanted = filter.toLowerCase()
  return processes
    .filter(({ command }) => command.toLowerCase().includes(wanted))
    .sort((a, b) => key(a) - key(b) || a.pid - b.pid)
}
