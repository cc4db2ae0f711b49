import type { BlockInfo, SlabInfo } from '../../binding.js'
import * as check from '../support/check.js'
import { type BlockKind, kindOfBlock } from './block-kind.js'

export { type BlockKind, kindNames } from './block-kind.js'

/** What is in a block. */
export const kindOf = (block: BlockInfo): BlockKind => kindOfBlock(check.own(block))

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
