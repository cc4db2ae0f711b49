import type { BlockInfo, PoolSnapshot } from '../index.js'
import { kindOfBlock } from '../pool/block-kind.js'
import { shortened } from '../support/shortened.js'

/** Characters of a label that a page shows at most: it may come from anywhere. */
const MAX_LABEL = 200

/** Characters of any other text. */
const MAX_TEXT = 2000

/** Blocks of a slab that are sent at most, and of all; a slab with more is its sums alone. */
const MAX_BLOCKS = { slab: 1000, all: 20_000 }

/** A label as it is shown. */
export const shownLabel = (label: string): string => shortened(label, MAX_LABEL)

/** A text as it is shown. */
export const shownText = (text: string): string => shortened(text, MAX_TEXT)

/** Things with labels, as they are shown. */
export const labelled = <T extends { readonly label: string }>(all: readonly T[]): T[] =>
  all.map((each) => ({ ...each, label: shownLabel(each.label) }))

/** Buffers of all pools that are named one by one. */
const MAX_BUFFERS = 50

/** A buffer, and where it lies. */
export interface DashboardBuffer {
  /** The label of its pool. */
  pool: string
  /** The index of its slab. */
  slab: number
  /** The block that it has. */
  block: BlockInfo
}

/** The largest buffers of pools, whichever slabs are sums alone, and how many there are in all. */
export function buffersOf(pools: readonly PoolSnapshot[]): { buffers: DashboardBuffer[]; bufferCount: number } {
  const all = pools.flatMap(({ label, slabs }) =>
    slabs.flatMap(({ index, blocks }) =>
      blocks.filter((block) => kindOfBlock(block) !== 'free').map((block) => ({ pool: label, slab: index, block })),
    ),
  )
  const largest = all.sort((one, other) => other.block.sizeBytes - one.block.sizeBytes).slice(0, MAX_BUFFERS)
  const buffers = largest.map(({ pool, slab, block }) => ({ pool: shownLabel(pool), slab, block: shownBlock(block) }))
  return { buffers, bufferCount: all.length }
}

const shownBlock = ({ label, ...block }: BlockInfo): BlockInfo => ({
  ...block,
  ...(label && { label: shownLabel(label) }),
})

/** Pools as they are shown. */
export function shownPools(pools: readonly PoolSnapshot[]): PoolSnapshot[] {
  let left = MAX_BLOCKS.all
  return labelled(pools).map((pool) => ({
    ...pool,
    slabs: pool.slabs.map((slab) => {
      const isShown = slab.blocks.length <= Math.min(MAX_BLOCKS.slab, left)
      left -= isShown ? slab.blocks.length : 0
      const blocks = isShown ? slab.blocks : []
      return { ...slab, blocks: blocks.map(shownBlock) }
    }),
  }))
}
