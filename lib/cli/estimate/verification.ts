import { type ComponentUse, type EstimateVerification, formatBytes, verifyEstimate } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { UsageError } from '../failure.js'
import { filled } from '../shared/document.js'
import { processFrom } from '../shared/machine.js'
import type { Options } from '../shared/option.js'
import type { Page } from '../terminal/page.js'
import { heading, table } from '../terminal/table.js'
import type { Subject } from './run-options.js'

export const verifyOptions = {
  verify: {
    type: 'string',
    value: 'PID',
    argument: 'pid',
    help: 'compare with what that process uses, which runs the model',
  },
  phase: { type: 'string', value: 'PHASE', help: 'of --verify: loading, steady or full (steady)' },
  program: { type: 'string', value: 'SIZE', help: 'of --verify: what the program takes beside the model (128MiB)' },
} as const satisfies Options

/** The process that `--verify` names, if it is there. */
export function verifiedProcess(args: Arguments): number | undefined {
  const surplus = ['phase', 'program'].find((name) => args.text(name) !== undefined)
  if (surplus !== undefined && args.text('verify') === undefined) {
    throw new UsageError(`expected --${surplus} with --verify, got it without`)
  }
  return processFrom(args, 'verify')
}

/** What the comparison says, where a process was looked at. */
export function verificationOf({ estimate, use }: Subject, args: Arguments): EstimateVerification | undefined {
  if (!use) return undefined
  const phase = args.oneOf('phase', ['loading', 'steady', 'full'] as const)
  const programBytes = args.size('program')
  return verifyEstimate(estimate, undefined, use, {
    ...(phase !== undefined && { phase }),
    ...(programBytes !== undefined && { programBytes }),
  })
}

const names: Record<ComponentUse['component'], string> = {
  'mapped-weights': 'weights, mapped',
  buffers: 'buffers',
  gpu: 'on the GPU',
  all: 'all of it',
}

const sources: Record<NonNullable<ComponentUse['from']>, string> = {
  'mapped-file': "pages of the model's files",
  'file-pages': 'pages of all files that are mapped',
  anonymous: 'anonymous and shared memory',
  'gpu-processes': "the GPU's driver",
  nvmap: 'NvMapMemUsed',
  headroom: 'fall of the headroom',
}

const verdicts: Record<EstimateVerification['verdict'], string> = {
  within: 'no more than the bound says',
  above: 'more than the bound says',
  'not-measurable': 'a part of it cannot be measured, or the process has no page of the model',
}

/** The comparison, for people. */
export function verificationSection(page: Page, pid: number, { components, verdict }: EstimateVerification): string[] {
  return [
    heading(page, `Process ${pid}`, 'what the program takes beside the model is in the bound'),
    '',
    ...table(
      page,
      [
        { title: 'component' },
        { title: 'estimated', align: 'right' },
        { title: 'at most', align: 'right' },
        { title: 'uses', align: 'right' },
        { title: '', align: 'right' },
        { title: 'by', style: 'dim' },
      ],
      components.map((row) => [
        names[row.component],
        formatBytes(row.estimatedBytes),
        formatBytes(row.boundBytes),
        row.measuredBytes === undefined ? '' : formatBytes(row.measuredBytes),
        row.differencePercent === undefined ? '' : `${signed(row.differencePercent)} %`,
        row.from ? sources[row.from] : (row.missing ?? ''),
      ]),
    ),
    '',
    `  ${page.paint(verdict === 'above' ? 'red' : 'green', verdicts[verdict])}`,
  ]
}

const signed = (percent: number): string => `${percent > 0 ? '+' : ''}${percent.toFixed(1)}`

export const verificationDocument = (pid: number, { components, verdict }: EstimateVerification): object => ({
  pid,
  verdict,
  components: components.map((row) =>
    filled(row, { measuredBytes: null, differencePercent: null, from: null, missing: null }),
  ),
})
