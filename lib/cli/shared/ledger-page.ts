import { formatBytes, type LedgerHolder, type ProcessInfo } from '../../index.js'
import { bar } from '../terminal/bar.js'
import type { Page } from '../terminal/page.js'
import { type Column, facts, heading, table } from '../terminal/table.js'
import { percent, visible } from '../terminal/text.js'
import { heldBytes, type LedgerView, processOf } from './ledger-view.js'

/** A ledger for people. */
export function ledgerLines(page: Page, view: LedgerView): string[] {
  const { survey, reason, boardLineBytes } = view
  if (reason !== undefined) return [`the ledger cannot be read: ${visible(reason)}`]
  if (!survey) return ['no process shares a ledger of that name here']
  const { path, holders } = survey
  const held = heldBytes(survey)
  const draining = holders.filter(({ isDraining }) => isDraining).reduce((sum, each) => sum + each.heldBytes, 0)
  const share = boardLineBytes === 0 ? 1 : held / boardLineBytes
  const style = share > 0.95 ? 'red' : share > 0.85 ? 'yellow' : 'green'
  return [
    heading(page, 'Ledger', visible(path)),
    ...facts(page, [
      ['held', `${bar(page.paint, style, share, 24)} ${formatBytes(held)}, ${percent(share * 100)} of the line`],
      ['line', formatBytes(boardLineBytes)],
      ['left', formatBytes(Math.max(boardLineBytes - held, 0))],
      ['draining', draining > 0 ? formatBytes(draining) : undefined],
    ]),
    '',
    ...holderTable(page, view),
  ]
}

/** Who shares a ledger, as a table. */
export function holderTable(page: Page, view: LedgerView): string[] {
  const holders = view.survey?.holders ?? []
  if (holders.length === 0) return ['nobody has a share']
  return table(
    page,
    columns,
    holders.map((holder) => row(holder, processOf(view, holder))),
  )
}

const columns: readonly Column[] = [
  { title: 'HELD', align: 'right' },
  { title: 'NOT TAKEN', align: 'right' },
  { title: 'RESIDENT', align: 'right' },
  { title: 'REVOCABLE', align: 'right' },
  { title: 'PRIORITY', align: 'right' },
  { title: 'PROCESS', align: 'right' },
  { title: 'SINCE', align: 'right' },
  { title: 'NAME' },
  { title: 'STATE' },
]

const row = (holder: LedgerHolder, process: ProcessInfo | undefined): string[] => [
  formatBytes(holder.heldBytes),
  formatBytes(holder.pendingBytes),
  process ? formatBytes(process.rssBytes) : '',
  formatBytes(holder.revocableBytes),
  String(holder.priority),
  holder.isSeen ? String(holder.pid) : `${holder.pid}*`,
  seconds(holder.ageMs),
  visible(process && process.name !== holder.name ? `${holder.name} (${process.name})` : holder.name),
  stateWords(holder),
]

function stateWords({ isDraining, drainsForMs, waiting, waitingLabel, waitingMs }: LedgerHolder): string {
  if (isDraining) return `has died; its memory is waited for ${seconds(drainsForMs)} more at most`
  if (!waiting) return 'holds'
  const others = waiting.count > 1 ? `, and ${waiting.count - 1} more` : ''
  return `waits ${seconds(waitingMs)} for ${formatBytes(waiting.bytes)}, ${visible(JSON.stringify(waitingLabel))}${others}`
}

const seconds = (ms: number): string => (ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`)
