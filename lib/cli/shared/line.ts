import {
  type BoardId,
  type BoardPreset,
  boardPresets,
  type LineTerm,
  type MachineBudgetOptions,
  type MemoryBudget,
} from '../../index.js'
import type { Arguments } from '../arguments.js'
import type { Options } from './option.js'

/** The options that move the line. */
export const lineOptions = {
  board: { type: 'string', value: 'ID', help: 'bound the line by the preset of a board; doctor --boards lists them' },
  margin: {
    type: 'string',
    value: 'PERCENT',
    argument: 'safetyMarginPercent',
    help: 'share of the memory to leave alone, 0 to below 100 (15)',
  },
  max: { type: 'string', value: 'SIZE', help: 'an upper bound of your own, such as 6GiB' },
} as const satisfies Options

/** The preset named by `--board`, if one is. */
export function boardFrom(args: Arguments): Readonly<BoardPreset> | undefined {
  const id = args.oneOf(
    'board',
    boardPresets.map((board) => board.id),
  )
  return boardPresets.find((board) => board.id === id)
}

export function lineFrom(args: Arguments): MachineBudgetOptions {
  const board = boardFrom(args)?.id as BoardId | undefined
  const safetyMarginPercent = args.number('margin')
  const maxBytes = args.size('max')
  return {
    ...(board !== undefined && { board }),
    ...(safetyMarginPercent !== undefined && { safetyMarginPercent }),
    ...(maxBytes !== undefined && { maxBytes }),
  }
}

/** The line of a budget, its lowest term first. */
export interface Line {
  lineBytes: number
  /** The kind of the term that draws the line. */
  binding: string
  terms: LineTerm[]
}

export function lineOf(budget: MemoryBudget): Line {
  const terms = budget.terms.sort((a, b) => a.bytes - b.bytes)
  return { lineBytes: budget.lineBytes, binding: budget.bindingTerm.kind, terms }
}
