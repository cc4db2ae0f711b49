import * as native from '../addon/native.js'
import { type Allocation, type Given, giveAway, isAllocation } from '../budget/allocation.js'
import { MemoryBudget, nativeBudget } from '../budget/budget.js'
import { type DeviceChoice, deviceChoice } from '../device/device.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'

/** When a pool defragments itself. */
export interface AutoDefragmentOptions {
  /** From which fragmentation on, 0 to 100; see {@link PoolStats.fragmentationPercent}. 50 by default. */
  abovePercent?: number
  /** How long a pass goes on beginning moves, in milliseconds. 10 by default. */
  maxMs?: number
}

/** How a {@link MemoryPool} behaves. */
export interface MemoryPoolOptions {
  /** Where its memory comes from. `'auto'`, the best that is safe here, by default. */
  device?: DeviceChoice
  /** What the pool is called, in the budget and by drivers that take names. `'memory pool'` by default. */
  label?: string
  /** Bytes taken from the device at once; a larger buffer gets a slab of its own. By default slabs grow with the pool, up to 64 MiB. */
  slabBytes?: number
  /** Bytes taken, every page of them, as the pool is made. None by default. */
  initialBytes?: number
  /** Bytes held at most. No bound of its own by default. */
  maxBytes?: number
  /** Bytes of empty slabs that are kept for what comes next. One slab by default. */
  maxCachedBytes?: number
  /** The size of a page, in bytes, where each buffer is to be one page, as in a cache of keys and values; rounded up to 256. */
  pageBytes?: number
  /** Whether each buffer has a slab of its own, which goes with it. False by default. */
  dedicated?: boolean
  /** Whether a buffer's bytes are zeroed as it is freed. False by default. */
  zeroOnFree?: boolean
  /** Whether, and when, the pool defragments itself while nothing happens. False by default. */
  autoDefragment?: boolean | AutoDefragmentOptions
  /**
   * The budget that every slab counts against. One of a machine is about its RAM and does not count a GPU's own memory; one
   * of numbers does. None by default.
   */
  budget?: MemoryBudget
  /**
   * An allocation whose bytes the pool takes over, instead of charging them again: slabs take them first, and what goes
   * beyond them from its budget. It counts as released from then on. With it go neither `budget` nor `initialBytes`.
   */
  from?: Allocation
}

/** How a buffer is placed. */
export interface PoolBufferOptions {
  /** What it is for. */
  label?: string
  /** It begins at a multiple of this, a power of two. 256 by default. */
  alignBytes?: number
  /**
   * How long it is likely to live: `'long'`, by default, as weights; `'transient'` as activations. The two grow from
   * opposite ends of a slab.
   */
  placement?: 'long' | 'transient'
}

/** How a buffer is placed, and how its request is given up. */
export interface GrowingBufferOptions extends PoolBufferOptions {
  /** Gives the request up. */
  signal?: AbortSignal
}

/** A buffer that a defragmentation would move. */
export interface MovableBuffer {
  /** What it is for. */
  label: string
  /** Its size, in bytes. */
  sizeBytes: number
  /** Which it is: the {@link PoolBuffer.id} of one of the pool's live buffers. */
  id: number
}

/** How far a defragmentation goes. Whatever bound is met first ends it. */
export interface DefragmentOptions {
  /** Bytes moved at most. */
  maxBytes?: number
  /** Buffers moved at most. */
  maxMoves?: number
  /** How long it goes on beginning moves, in milliseconds. */
  maxMs?: number
  /** Whether nothing is moved, and the report says what would come of it. */
  dryRun?: boolean
  /** Asked before each move; what it returns `true` for stays where it is. */
  veto?: (buffer: MovableBuffer) => boolean
  /** Told of each move that was made. */
  onMoved?: (buffer: MovableBuffer) => void
  /** Ends it before the next move; the report tells what was done. */
  signal?: AbortSignal
}

const count = (name: string, value: unknown) => check.bytes(name, value)
/** Checks a size that is none without a byte. */
export const sizeOf = (name: string, value: unknown) => check.bytes(name, value, 1)

const autoDefragmentChecks = {
  abovePercent: (name: string, value: unknown) => check.number(name, value, 0, 100),
  maxMs: (name: string, value: unknown) => check.number(name, value, 0, 3_600_000),
} as const

const autoDefragment = (name: string, value: unknown): boolean | AutoDefragmentOptions =>
  typeof value === 'boolean' ? value : check.options<AutoDefragmentOptions>(value, autoDefragmentChecks, name)

function allocation(name: string, value: unknown): Allocation {
  if (isAllocation(value)) return value
  throw invalidArgument(name, 'an Allocation', quoted(value))
}

/** Checks the options of a pool. */
export const poolChecks = {
  device: deviceChoice,
  label: check.string,
  slabBytes: sizeOf,
  initialBytes: count,
  maxBytes: sizeOf,
  maxCachedBytes: count,
  pageBytes: sizeOf,
  dedicated: check.boolean,
  zeroOnFree: check.boolean,
  autoDefragment,
  budget: (name: string, value: unknown) => check.real(name, value, MemoryBudget, nativeBudget),
  from: allocation,
} as const

/** Checks the options of a buffer. */
export const bufferChecks = {
  label: check.string,
  alignBytes: sizeOf,
  placement: (name: string, value: unknown) => check.oneOf(name, value, ['long', 'transient'] as const),
} as const

/** Checks those of a buffer that may take a slab. */
export const growingChecks = { ...bufferChecks, signal: check.signal } as const

/** Checks the bounds of a defragmentation. */
export const defragmentChecks = {
  maxBytes: count,
  maxMoves: count,
  maxMs: autoDefragmentChecks.maxMs,
  dryRun: check.boolean,
  veto: (name: string, value: unknown) => check.callback<(buffer: MovableBuffer) => boolean>(name, value),
  onMoved: (name: string, value: unknown) => check.callback<(buffer: MovableBuffer) => void>(name, value),
  signal: check.signal,
} as const

/** The bytes that a pool begins with, if it is to take those of an allocation over. */
export function givenBytes({ from, budget, initialBytes }: MemoryPoolOptions): Given | undefined {
  if (from === undefined) return undefined
  if (budget !== undefined) throw invalidArgument('budget', 'left out beside from, whose budget it is', 'both')
  if (initialBytes) throw invalidArgument('initialBytes', 'left out beside from; reserve() takes slabs of it', 'both')
  return giveAway(from)
}

/** What a buffer is to be like. */
export interface Placing {
  readonly sizeBytes: number
  readonly alignBytes: number
  readonly transient: boolean
  readonly label: string
  /** Who asks, while a profile with stacks runs. */
  readonly stack: string | undefined
}

/** How a buffer is placed by options that were checked. */
export function placingOf(
  sizeBytes: number,
  { alignBytes, placement, label }: PoolBufferOptions,
): Omit<Placing, 'stack'> {
  return {
    sizeBytes,
    alignBytes: alignBytes ?? native.USUAL_ALIGN_BYTES,
    transient: placement === 'transient',
    label: label ?? '',
  }
}
