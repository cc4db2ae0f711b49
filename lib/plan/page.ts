import { formatBytes } from '../addon/units.js'
import type { PlanIssue } from '../support/errors.js'
import type { PlanAdvice, PlannedInstanceReport } from './figures.js'

/** What a page shows of a report. */
interface ShownReport {
  passes: boolean
  path: string | undefined
  totalBytes: number
  safetyMarginPercent: number
  headroomBytes: number
  bound: 'safety-margin' | 'headroom' | 'line'
  usableBytes: number
  requiredBytes: number
  peakBytes: number
  marginBytes: number
  instances: readonly PlannedInstanceReport[]
  issues: readonly PlanIssue[]
  advice: readonly PlanAdvice[]
}

/** Columns of the report. */
const WIDTH = 70

const RULE = '='.repeat(WIDTH)

const formulas = {
  estimate: 'estimate',
  'rule-of-thumb': 'file x 1.5',
  'limit-only': 'limit',
} as const

const bounds = {
  'safety-margin': (report: ShownReport) => `a safety margin of ${report.safetyMarginPercent} %`,
  headroom: (report: ShownReport) => `a headroom of ${formatBytes(report.headroomBytes)}`,
  line: () => 'the line of the board',
} as const

/** The characters that act on a terminal, as their codes. */
const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (letter) => `\\u{${letter.codePointAt(0)?.toString(16)}}`)

/** A size with its sign. */
export const signedBytes = (bytes: number): string => `${bytes < 0 ? '-' : '+'}${formatBytes(Math.abs(bytes))}`

/** A report for people. */
export function planText(report: ShownReport): string {
  const { passes, usableBytes, requiredBytes, peakBytes, marginBytes, issues, advice } = report
  return [
    RULE,
    `PLAN ${passes ? 'PASSED' : 'FAILED'}${report.path === undefined ? '' : `  ${visible(report.path)}`}`,
    RULE,
    `Total required: ${formatBytes(requiredBytes)} / ${formatBytes(usableBytes)}`,
    ...(peakBytes > requiredBytes
      ? [`Peak while loading: ${formatBytes(peakBytes)} / ${formatBytes(usableBytes)}`]
      : []),
    `Safe threshold: ${formatBytes(report.totalBytes)} less ${bounds[report.bound](report)}`,
    `Safety margin: ${signedBytes(marginBytes)}`,
    ...(issues.length > 0 ? ['', 'Issues:'] : []),
    ...issues.map(
      ({ line, message }, at) => `  ${at + 1}. ${line === undefined ? '' : `line ${line}: `}${visible(message)}`,
    ),
    ...(advice.length > 0 ? ['', 'Recommendations:'] : []),
    ...advice.map(({ description }) => `  - ${visible(description)}`),
    '',
    'Allocations:',
    ...allocationLines(report),
    RULE,
  ].join('\n')
}

function allocationLines({ instances }: ShownReport): string[] {
  const rows = instances.map(({ id, limitBytes, footprintBytes, formula, requiredBytes, startPeakBytes }) => [
    id,
    limitBytes === undefined ? 'none' : formatBytes(limitBytes),
    formula === 'limit-only' ? '' : formatBytes(footprintBytes),
    formulas[formula],
    formatBytes(requiredBytes),
    formatBytes(startPeakBytes),
  ])
  return tableLines(['instance', 'limit', 'model', 'by', 'required', 'all, at its start'], rows)
}

/** Rows under titles; sizes are set to the right. */
export function tableLines(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [titles, ...rows.map((row) => row.map(visible))]
  const widths = titles.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const isText = (column: number) => column === 0 || titles[column] === 'by'
  const cell = (text: string, column: number) =>
    isText(column) ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)
  return all.map((row) => `  ${row.map(cell).join('  ')}`.trimEnd())
}
