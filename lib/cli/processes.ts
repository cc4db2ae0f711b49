import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { type ProcessMemory, processMemory } from '../index.js'
import { measured } from './machine.js'

/** A process that has this package loaded. */
export interface LoadedProcess extends ProcessMemory {
  pid: number
  /** Its command line, or the beginning of a long one. */
  command: string
}

/** Looking through the maps of every process costs more than a sample, and programs load the package seldom. */
const SEARCH_INTERVAL_MS = 5000

const MAX_COMMAND_BYTES = 4096

/** The addon, mapped from wherever it is installed; an update may have replaced the file meanwhile. */
const addon = /\/plimsoll\.[\w-]+\.node(?: \(deleted\))?$/m

interface Known {
  pid: number
  startTicks: string
  command: string
}

/** Finds the processes that have this package loaded, as far as this user may look. */
export class LoadedProcesses {
  #known: Known[] = []
  #searchedMs = Number.NEGATIVE_INFINITY

  /** Those that run now, the largest first. One that has just started may take a few seconds to be found. */
  read(): LoadedProcess[] {
    const now = performance.now()
    if (now - this.#searchedMs >= SEARCH_INTERVAL_MS) {
      this.#searchedMs = now
      this.#known = search()
    }
    return this.#known.flatMap(loaded).sort((a, b) => b.rssBytes - a.rssBytes)
  }
}

const search = (): Known[] =>
  entriesOf('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): Known[] => {
      const startTicks = startOf(name)
      if (startTicks === undefined || !addon.test(textOf(`/proc/${name}/maps`) ?? '')) return []
      return [{ pid: Number(name), startTicks, command: commandOf(name) }]
    })

/** What a known process holds; nothing once it has ended, even if its id was given to another. */
function loaded({ pid, startTicks, command }: Known): LoadedProcess[] {
  if (startOf(String(pid)) !== startTicks) return []
  const memory = measured(() => processMemory({ pid }))
  return memory ? [{ pid, command, ...memory }] : []
}

/** When a process started: field 22 of `/proc/PID/stat`, behind a name that may hold anything. */
function startOf(pid: string): string | undefined {
  const stat = textOf(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

function commandOf(pid: string): string {
  const buffer = Buffer.alloc(MAX_COMMAND_BYTES)
  const length = readStart(`/proc/${pid}/cmdline`, buffer)
  const words = buffer.toString('utf8', 0, length).split('\0')
  return words.join(' ').trim() || (textOf(`/proc/${pid}/comm`) ?? '').trim()
}

/** Fills a buffer from the beginning of a file, and says how far. */
function readStart(path: string, buffer: Buffer): number {
  try {
    const file = openSync(path, 'r')
    try {
      return readSync(file, buffer)
    } finally {
      closeSync(file)
    }
  } catch {
    return 0
  }
}

/** A small file of a process; `undefined` if it has ended, or may not be looked at. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
