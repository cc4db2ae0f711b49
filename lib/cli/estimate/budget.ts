import { type BoardId, MemoryBudget } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { boardFrom, lineFrom } from '../shared/line.js'
import { measuredMachine } from '../shared/machine.js'

/** How much memory there is for a model. */
export interface Room {
  availableBytes: number
  /** The board whose room it is; absent for this machine's. */
  board?: string
  /** Whether the command named a budget. */
  named: boolean
  /** The option that leaves no more, where one does. */
  boundBy?: string
}

/** No more of a room than an option leaves. */
export const within = (room: Room, maxBytes: number | undefined, option: string): Room =>
  maxBytes !== undefined && maxBytes <= room.availableBytes
    ? { ...room, availableBytes: maxBytes, named: true, boundBy: option }
    : room

/**
 * That of the board that `--board` names, with nothing on it; else what this machine can give now. `--max` and `--margin` lower
 * either.
 */
export function roomFrom(args: Arguments): Room {
  const board = boardFrom(args)
  const max = args.size('max')
  const named = board !== undefined || max !== undefined || args.text('margin') !== undefined
  if (board) {
    const margin = args.number('margin')
    const bounds = lineFrom(args)
    const line = MemoryBudget.forBoard(board.id as BoardId).availableBytes
    const share =
      margin === undefined ? line : Math.floor(board.totalBytes * (1 - (bounds.safetyMarginPercent ?? 0) / 100))
    return within({ availableBytes: Math.min(line, share), board: board.id, named }, max, '--max')
  }
  measuredMachine()
  return within({ availableBytes: MemoryBudget.forThisMachine(lineFrom(args)).availableBytes, named }, max, '--max')
}
