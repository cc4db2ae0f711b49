/** What is in a part of a slab. A buffer that is pinned is that, however long it is likely to live. */
export type BlockKind = 'long' | 'transient' | 'pinned' | 'free'

/** What the kinds are called where people read. */
export const kindNames: Readonly<Record<BlockKind, string>> = {
  long: 'long-lived',
  transient: 'transient',
  pinned: 'pinned',
  free: 'free',
}

/** What is in a block. */
export function kindOfBlock(block: { requestedBytes?: number; pinned?: boolean; transient?: boolean }): BlockKind {
  if (block.requestedBytes === undefined) return 'free'
  if (block.pinned) return 'pinned'
  return block.transient ? 'transient' : 'long'
}
