import type { BlockInfo, PoolStats, SlabInfo } from '../../binding.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'

/** What a pool was at one moment: plain data, which survives `JSON.stringify` and is read by {@link parsePoolSnapshots}. */
export interface PoolSnapshot {
  /** The version of this form. */
  plimsollSnapshot: 1
  /** The name of the pool's device. */
  device: string
  /** What the pool is called. */
  label: string
  /** When it was taken, in milliseconds since 1970. */
  timeMs: number
  /** What the pool held and had done. */
  stats: PoolStats
  /** Its slabs, each with its blocks. */
  slabs: SlabInfo[]
}

/** A pool may have millions of buffers. */
const MOST_BLOCKS = 2 ** 26

const size = (name: string, value: unknown) => check.bytes(name, value)

const count = (name: string, value: unknown) => check.integer(name, value, 0, Number.MAX_SAFE_INTEGER)

const share = (name: string, value: unknown) => check.number(name, value, 0, 100)

/** What a figure of a pool may be. */
const figures: { readonly [K in keyof PoolStats]: (name: string, value: unknown) => number } = {
  heldBytes: size,
  usedBytes: size,
  requestedBytes: size,
  freeBytes: size,
  cachedBytes: size,
  largestFreeBytes: size,
  fragmentationPercent: share,
  peakHeldBytes: size,
  peakUsedBytes: size,
  slabCount: count,
  bufferCount: count,
  allocatedCount: count,
  freedCount: count,
  failedCount: count,
  retryCount: count,
  movedCount: count,
  movedBytes: size,
  metadataBytes: size,
}

/**
 * Reads the text of a {@link PoolSnapshot}, or of an array of them, as `JSON.stringify` writes them.
 *
 * @throws {@link InvalidArgumentError} that names the first thing in it that is unfit.
 * @example
 * // poolsPage is in 'plimsoll/report'.
 * await writeFile('pool.html', poolsPage(parsePoolSnapshots(await readFile('pool.json', 'utf8'))))
 */
export function parsePoolSnapshots(text: string): PoolSnapshot[] {
  let value: unknown
  try {
    value = JSON.parse(check.string('text', text))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw invalidArgument('text', 'the JSON of a snapshot of a pool, or of an array of them', error.message)
  }
  return Array.isArray(value) ? poolSnapshots('snapshots', value) : [poolSnapshot('snapshot', value)]
}

/** Checks snapshots that came from outside. */
export const poolSnapshots = (name: string, value: unknown): PoolSnapshot[] => list(name, value, poolSnapshot)

function poolSnapshot(name: string, value: unknown): PoolSnapshot {
  const { plimsollSnapshot, device, label, timeMs, stats, slabs } = fields(name, value)
  if (plimsollSnapshot !== 1) {
    throw invalidArgument(`${name}.plimsollSnapshot`, '1, the version that is known', quoted(plimsollSnapshot))
  }
  return {
    plimsollSnapshot,
    device: check.string(`${name}.device`, device),
    label: check.string(`${name}.label`, label),
    // The last moment that a Date can hold.
    timeMs: check.number(`${name}.timeMs`, timeMs, 0, 8.64e15),
    stats: poolStats(`${name}.stats`, stats),
    slabs: list(`${name}.slabs`, slabs, slabInfo),
  }
}

function poolStats(name: string, value: unknown): PoolStats {
  const given = fields(name, value)
  const checked = Object.entries(figures).map(([key, figure]) => [key, figure(`${name}.${key}`, given[key])])
  return Object.fromEntries(checked) as PoolStats
}

function slabInfo(name: string, value: unknown): SlabInfo {
  const { index, sizeBytes, usedBytes, initial, blocks } = fields(name, value)
  const slab = {
    index: check.integer(`${name}.index`, index, 0, 2 ** 32 - 1),
    sizeBytes: check.bytes(`${name}.sizeBytes`, sizeBytes, 1),
    usedBytes: check.bytes(`${name}.usedBytes`, usedBytes),
    initial: check.boolean(`${name}.initial`, initial),
    blocks: list(`${name}.blocks`, blocks, blockInfo),
  }
  refuseDisorder(name, slab)
  return slab
}

/** Blocks follow each other, and lie within their slab. */
function refuseDisorder(name: string, { sizeBytes, blocks }: SlabInfo): void {
  let end = 0
  for (const [i, block] of blocks.entries()) {
    check.bytes(`${name}.blocks[${i}].offsetBytes`, block.offsetBytes, end, sizeBytes)
    check.bytes(`${name}.blocks[${i}].sizeBytes`, block.sizeBytes, 1, sizeBytes - block.offsetBytes)
    end = block.offsetBytes + block.sizeBytes
  }
}

function blockInfo(name: string, value: unknown): BlockInfo {
  const { offsetBytes, sizeBytes, label, requestedBytes, transient, pinned } = fields(name, value)
  const block = {
    offsetBytes: check.bytes(`${name}.offsetBytes`, offsetBytes),
    sizeBytes: check.bytes(`${name}.sizeBytes`, sizeBytes),
  }
  if (requestedBytes === undefined) return block
  return {
    ...block,
    label: check.string(`${name}.label`, label),
    requestedBytes: check.bytes(`${name}.requestedBytes`, requestedBytes, 0, block.sizeBytes),
    transient: check.boolean(`${name}.transient`, transient),
    pinned: check.boolean(`${name}.pinned`, pinned),
  }
}

function fields(name: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && check.canBeAsked(value) && !Array.isArray(value))
    return check.own(value as Record<string, unknown>)
  throw invalidArgument(name, 'an object', quoted(value))
}

function list<T>(name: string, value: unknown, item: (name: string, value: unknown) => T): T[] {
  return check.array(name, 'an array', value, (each, i) => item(`${name}[${i}]`, each), MOST_BLOCKS)
}
