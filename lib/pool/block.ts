import type { BlockInfo, SlabInfo } from '../../binding.js'
import * as check from '../support/check.js'

/** What is in a part of a slab. A buffer that is pinned is that, however long it is likely to live. */
export type BlockKind = 'long' | 'transient' | 'pinned' | 'free'

/** What is in a block. */
export function kindOf(block: BlockInfo): BlockKind {
  const { requestedBytes, transient, pinned } = check.own(block)
  if (requestedBytes === undefined) return 'free'
  if (pinned) return 'pinned'
  return transient ? 'transient' : 'long'
}

/** The blocks of a slab with what lies between and behind them, which no buffer can have. */
export function* wholeSlab({ sizeBytes, blocks }: SlabInfo): Generator<BlockInfo> {
  let end = 0
  for (const block of blocks) {
    if (block.offsetBytes > end) yield { offsetBytes: end, sizeBytes: block.offsetBytes - end }
    yield block
    end = block.offsetBytes + block.sizeBytes
  }
  if (sizeBytes > end) yield { offsetBytes: end, sizeBytes: sizeBytes - end }
}
