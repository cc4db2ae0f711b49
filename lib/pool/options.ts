import * as native from '../addon/native.js'
import { type Allocation, type Given, giveAway, isAllocation } from '../budget/allocation.js'
import { MemoryBudget, nativeBudget } from '../budget/budget.js'
import { type DeviceChoice, deviceChoice } from '../device/device.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'

/** When a pool defragments itself. */
export interface AutoDefragmentOptions {
  /** From which fragmentation on, in percent, 0 to 100; see {@link PoolStats.fragmentationPercent}. 50 by default. */
  abovePercent?: number
  /** How long a pass goes on beginning moves, in milliseconds. 10 by default. */
  maxMs?: number
}

/** How a {@link MemoryPool} behaves. */
export interface MemoryPoolOptions {
  /** Where its slabs come from: what {@link Device.open} takes. `'auto'`, the best that is safe here, by default. */
  device?: DeviceChoice
  /** What the pool is called, in the budget and by drivers that take names. `'memory pool'` by default. */
  label?: string
  /**
   * Bytes taken from the device at once; a larger buffer gets a slab of its own size. By default the first has what the device
   * wants at least (`limits.slabBytes`: 2 MiB of RAM, 32 MiB of a heap or a GPU), the next as much as the pool holds, up to 64
   * MiB.
   */
  slabBytes?: number
  /** Bytes taken, every page of them, as the pool is made. None by default. */
  initialBytes?: number
  /** Bytes held at most; where that is less than the usual slab, slabs are of that size. No bound of its own by default. */
  maxBytes?: number
  /**
   * Bytes of empty slabs that are kept for what comes next; more go back as they become empty. Those of the beginning stay
   * beside them until `trim()`. One slab by default.
   */
  maxCachedBytes?: number
  /**
   * The size of a page, in bytes, where each buffer is to be one page, as in a cache of keys and values; rounded up to 256.
   * Pages begin at multiples of it: no stricter `alignBytes` can be asked for. None by default.
   */
  pageBytes?: number
  /**
   * Whether each buffer has a slab of its own, which goes with it, or with `maxCachedBytes` is kept for another of more than
   * half its size. Not with `pageBytes` or `initialBytes`. False by default.
   */
  dedicated?: boolean
  /**
   * Whether a buffer's bytes are zeroed as it is freed, its old ones as it is moved, and every slab as the pool is closed.
   * False by default.
   */
  zeroOnFree?: boolean
  /** Whether, and when, the pool defragments itself while nothing happens. False by default. */
  autoDefragment?: boolean | AutoDefragmentOptions
  /**
   * The budget that every slab counts against, under the pool's label. One of a machine is about its RAM and does not count a
   * GPU's own memory; one of numbers does. None by default.
   */
  budget?: MemoryBudget
  /**
   * An allocation whose bytes the pool takes over, instead of charging them again: slabs take them first, and what goes
   * beyond them from its budget. It counts as released from then on. With it go neither `budget` nor `initialBytes`. None by
   * default.
   */
  from?: Allocation
}

/** How a buffer is placed. */
export interface PoolBufferOptions {
  /** What it is for. `''` by default. */
  label?: string
  /** It begins at a multiple of this, in bytes: a power of two, at most `limits.granuleBytes` of the device. 256 by default. */
  alignBytes?: number
  /**
   * How long it is likely to live: `'long'`, by default, as weights, from the low end of a slab; `'transient'` as activations,
   * from the high end, so that short lives leave no holes between long ones.
   */
  placement?: 'long' | 'transient'
}

/** How a buffer is placed, and how its request is given up. */
export interface GrowingBufferOptions extends PoolBufferOptions {
  /** Gives the request up. None by default. */
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
  /** Bytes moved at most, which is looked at between moves. No bound by default. */
  maxBytes?: number
  /** Buffers moved at most. No bound by default. */
  maxMoves?: number
  /** How long it goes on copying the pool's map and beginning moves, in milliseconds. Without end by default. */
  maxMs?: number
  /**
   * Whether nothing is moved, and the report says what would come of it. `veto` is not asked then and `signal` not looked at,
   * the bounds are. False by default.
   */
  dryRun?: boolean
  /**
   * Asked before each move, with `{ label, sizeBytes, id }`; what it returns `true` for stays where it is. It may pin or
   * release the buffer, which then stays too. None by default.
   */
  veto?: (buffer: MovableBuffer) => boolean
  /** Told of each move that was made. None by default. */
  onMoved?: (buffer: MovableBuffer) => void
  /** Ends it before the next move; the report tells what was done. None by default. */
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
