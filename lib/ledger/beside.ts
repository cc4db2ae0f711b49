import type { Headroom, LedgerHolder } from '../../binding.js'

/** @internal Whether a holder is this process: what that was granted and has not taken is off its budget's headroom already. */
export const isThisProcess = ({ isSeen, pid }: LedgerHolder): boolean => isSeen && pid === process.pid

/** @internal Headroom less what others were granted by a ledger and have not taken; the same object where that is nothing. */
export function besideHolders(headroom: Headroom, holders: readonly LedgerHolder[]): Headroom {
  const pendingBytes = holders.reduce((sum, holder) => sum + (isThisProcess(holder) ? 0 : holder.pendingBytes), 0)
  if (pendingBytes === 0) return headroom
  const bytes = Math.max(headroom.bytes - pendingBytes, 0)
  const { largestAllocationBytes: largest } = headroom
  return {
    ...headroom,
    bytes,
    ...(largest !== undefined && { largestAllocationBytes: Math.min(largest, bytes) }),
    pendingBytes: headroom.pendingBytes + pendingBytes,
  }
}
