import { formatBytes, MemoryBudget, type PoolSettings } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { NoRoomError } from '../failure.js'

/** Which part of what the machine can give the pool of a trace takes at most: a file of two lines can ask for all of it. */
const PART = 4

/** The settings with a bound of what the machine can give now, unless one is given that the user answers for. */
export function boundedSettings(args: Arguments, settings: PoolSettings): PoolSettings & { mostBytes: number } {
  if (args.size('max') !== undefined) return { ...settings, mostBytes: Number.POSITIVE_INFINITY }
  const mostBytes = mostBytesNow()
  const { initialBytes = 0, maxBytes = Number.POSITIVE_INFINITY } = settings
  expectRoom(mostBytes, Math.max(initialBytes, 1))
  return { ...settings, maxBytes: Math.min(maxBytes, mostBytes), mostBytes }
}

/** Refuses settings by which the trace, and not its user, asks for more at once than the machine should give to a file. */
export function expectFitSettings(args: Arguments, settings: PoolSettings): void {
  if (args.size('max') !== undefined) return
  const { initialBytes = 0, slabBytes = 0, maxBytes = Number.POSITIVE_INFINITY, dedicated = false } = settings
  const recorded = [
    args.size('initial') === undefined ? initialBytes : 0,
    args.size('slab') === undefined && !dedicated ? Math.min(slabBytes, maxBytes) : 0,
  ]
  expectRoom(mostBytesNow(), Math.max(...recorded))
}

const mostBytesNow = (): number => Math.floor(MemoryBudget.forThisMachine().headroom().bytes / PART)

export function expectRoom(mostBytes: number, bytes: number): void {
  if (bytes <= mostBytes) return
  const message =
    `expected a trace whose pool takes at most ${formatBytes(mostBytes)}, a quarter of what this machine can give now, ` +
    `got one that takes ${formatBytes(bytes)} or more; allow it with --max`
  throw new NoRoomError(message, mostBytes, bytes)
}
