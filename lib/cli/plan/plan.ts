import { existsSync } from 'node:fs'
import { resolve as absolute } from 'node:path'
import { type BoardId, fixPlan, type Plan, type PlanFix, type PlanMode, planModes, validatePlan } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { Exit } from '../exit.js'
import { FileError, UsageError } from '../failure.js'
import { boardFrom } from '../shared/line.js'
import { judged, planDocument, planFromFile } from '../shared/plan-report.js'
import { visible } from '../terminal/text.js'
import type { Report, Verb } from '../verb.js'

/** The option whose name ends with that of an instance. */
const RAM_LIMIT = 'ram-limit-ID'

export const plan: Verb = {
  name: 'plan',
  operand: '[FILE]',
  summary: 'whether everything that shall run fits together: verdict, issues, and what would mend them',
  options: {
    mode: { type: 'string', value: 'MODE', help: 'single (subject) or matrix (subject, observer, god)' },
    [RAM_LIMIT]: {
      type: 'string',
      value: 'SIZE',
      named: true,
      help: 'the limit of an instance, such as --ram-limit-subject 8G (of a mode: what is recommended)',
    },
    model: { type: 'string', value: 'FILE', help: 'the model of all instances that name none' },
    'rule-of-thumb': { type: 'boolean', help: 'take a model for its file and half of it, whatever its header says' },
    total: { type: 'string', value: 'SIZE', help: "the memory that it is for, instead of this machine's" },
    board: { type: 'string', value: 'ID', help: 'the board that it is for; doctor --boards lists them' },
    'safety-margin': {
      type: 'string',
      value: 'PERCENT',
      help: 'share of the memory to leave alone, 0 to below 100 (15)',
    },
    headroom: {
      type: 'string',
      value: 'SIZE',
      help: 'what is left free before each load (2GiB; below 16 GiB an eighth)',
    },
    fix: { type: 'boolean', help: 'print a plan that fits, with what was changed as comments' },
  },
  run,
}

function run(args: Arguments): Report {
  const found = planFrom(args)
  return args.flag('fix') ? fixed(fixPlan(found)) : judged(validatePlan(found))
}

/** The plan itself, so that it can be written to a file: what there is to say stands before it where it is YAML. */
function fixed(fix: PlanFix): Report {
  const { passes, text, changes, report } = fix
  const verdict = passes
    ? changes.length > 0
      ? 'This plan fits. It was changed:'
      : 'This plan fits as it is.'
    : 'No change makes this plan fit; so it is as small as it gets:'
  const told = [verdict, ...changes.map((change) => `- ${visible(change)}`)]
  const comments = text.startsWith('{') ? [] : told.map((line) => `# ${line}`)
  return {
    document: { passes, changes, text, report: planDocument(report) },
    lines: () => [...comments, ...text.trimEnd().split('\n')],
    exitCode: passes ? Exit.fine : Exit.doesNotFit,
  }
}

/** The plan of the file, if one is named, with what the options say instead. */
function planFrom(args: Arguments): Plan {
  const file = args.fileIfGiven
  const found: Plan = file === undefined ? {} : planFromFile(file)
  const mode = args.oneOf<PlanMode>('mode', planModes)
  const [board, totalBytes] = [boardFrom(args)?.id as BoardId | undefined, args.size('total')]
  if (totalBytes === 0) throw new UsageError('expected --total to be a size from 1 byte up, got 0')
  if (file === undefined && mode === undefined && args.wordsOf(RAM_LIMIT).length === 0) {
    throw new UsageError('expected a FILE, --mode, or --ram-limit-ID for each instance, got none')
  }
  if (board !== undefined && totalBytes !== undefined) throw new UsageError('expected --board or --total, got both')
  if (mode !== undefined) found.mode = mode
  if (board !== undefined || totalBytes !== undefined) {
    delete found.board
    delete found.totalBytes
  }
  if (board !== undefined) found.board = board
  if (totalBytes !== undefined) found.totalBytes = totalBytes
  const [margin, headroom, model] = [args.number('safety-margin'), args.size('headroom'), args.text('model')]
  if (margin !== undefined) found.safetyMarginPercent = marginFrom(margin, args)
  if (headroom !== undefined) found.headroomBytes = headroom
  if (args.flag('rule-of-thumb')) found.formula = 'rule-of-thumb'
  if (model !== undefined) found.model = absolute(modelFrom(model))
  for (const id of args.wordsOf(RAM_LIMIT)) {
    const limitBytes = args.size(`ram-limit-${id}`)
    if (limitBytes === undefined || limitBytes === 0) {
      throw new UsageError(`expected --ram-limit-${id} to be a size from 1 byte up, got 0`)
    }
    found.instances = { ...found.instances, [id]: { ...found.instances?.[id], limitBytes } }
  }
  return found
}

function modelFrom(path: string): string {
  if (existsSync(path)) return path
  throw new FileError(`expected --model to be a file that is there, got "${path}"`, Exit.brokenInput)
}

function marginFrom(margin: number, args: Arguments): number {
  if (margin >= 0 && margin < 100) return margin
  const got = args.text('safety-margin')
  throw new UsageError(`expected --safety-margin to be a number from 0 to below 100, got "${got}"`)
}
