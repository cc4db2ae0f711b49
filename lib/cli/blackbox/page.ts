import { type BlackBoxHappening, type BlackBoxHolder, type BlackBoxRun, formatBytes } from '../../index.js'
import type { Page } from '../terminal/page.js'
import { type Column, entries, facts, heading, table } from '../terminal/table.js'
import { percent, visible } from '../terminal/text.js'

/** What of a black box is shown. */
export interface BlackBoxView {
  path: string
  damagedCount: number
  /** The runs that were asked for. */
  runs: readonly BlackBoxRun[]
  /** The one of them that is shown whole. */
  shown: BlackBoxRun | undefined
  /** Runs in the file. */
  runCount: number
}

/** The most lines of each kind; the rest is in the document. */
const MOST_LINES = 24

/** A black box for people. */
export function blackBoxLines(page: Page, view: BlackBoxView): string[] {
  const { path, damagedCount, runs, shown, runCount } = view
  const title = heading(page, 'Black box', visible(path))
  const damage = damagedCount > 0 ? `${damagedCount} of its blocks are not whole, and count for nothing` : undefined
  if (!shown) {
    const none = runCount > 0 ? 'no run in it is of that start of the board' : 'there is nothing in it'
    return [
      title,
      ...facts(page, [
        ['runs', none],
        ['damage', damage],
      ]),
    ]
  }
  return [
    title,
    ...facts(page, [
      ['process', `${visible(shown.name)}, ${shown.pid}`],
      ['began', time(shown.beganMs)],
      ['last block', `${time(shown.endedMs)}, ${shown.isThisBoot ? 'this' : 'an earlier'} start of the board`],
      ['end', endOf(shown)],
      ['runs', runs.length < runCount ? `${runCount} in all: --boot all` : undefined],
      ['damage', damage],
    ]),
    '',
    heading(page, 'What it says'),
    ...entries(
      page,
      'dim',
      shown.words.map((words) => ({ name: '-', text: visible(words) })),
    ),
    ...(runs.length > 1 ? ['', heading(page, 'Runs'), ...table(page, runColumns, runs.map(runRow))] : []),
    ...lastMoment(page, shown),
    ...timeline(page, shown),
  ]
}

function lastMoment(page: Page, run: BlackBoxRun): string[] {
  const last = run.moments.at(-1)
  if (!last) return []
  const { machine, holders, labels } = last
  const rest = (count: number) => (count > 0 ? [`  and ${count} more`] : [])
  return [
    '',
    heading(page, 'At the last block'),
    ...facts(page, [
      [
        'machine',
        machine
          ? `${formatBytes(machine.roomBytes)} of ${formatBytes(machine.totalBytes)} could be given`
          : 'could not be read',
      ],
      ['bound', machine && visible(machine.constraint)],
      ['level', machine && `${machine.level}, ${percent(machine.usedPercent)} in use`],
      [
        'stalled',
        machine?.stalledPercent !== undefined && machine.stalledPercent > 0
          ? `${percent(machine.stalledPercent)} of the last 10 s`
          : undefined,
      ],
      ['line', `${formatBytes(last.allocatedBytes)} of ${formatBytes(last.lineBytes)} granted by this process`],
    ]),
    '',
    ...table(page, holderColumns, holders.slice(0, MOST_LINES).map(holderRow)),
    ...rest(last.otherHolderCount + Math.max(holders.length - MOST_LINES, 0)),
    ...(labels.length > 0
      ? [
          '',
          ...table(
            page,
            labelColumns,
            labels
              .slice(0, MOST_LINES)
              .map(({ label, sizeBytes, count }) => [formatBytes(sizeBytes), String(count), visible(label)]),
          ),
          ...rest(last.otherLabelCount + Math.max(labels.length - MOST_LINES, 0)),
        ]
      : []),
  ]
}

function timeline(page: Page, run: BlackBoxRun): string[] {
  const all = run.moments.flatMap(({ happenings }) => happenings)
  const leftOut = run.moments.reduce((sum, { otherHappeningCount }) => sum + otherHappeningCount, 0)
  if (all.length === 0) return []
  const shown = all.slice(-MOST_LINES)
  const before = all.length - shown.length + leftOut
  return [
    '',
    heading(page, 'What happened', before > 0 ? `${before} more before and between, in --json what was kept` : ''),
    ...table(
      page,
      happeningColumns,
      shown.map((each) => happeningRow(each, run.endedMs)),
    ),
  ]
}

const runColumns: readonly Column[] = [
  { title: 'BLOCKS', align: 'right' },
  { title: 'PROCESS', align: 'right' },
  { title: 'NAME' },
  { title: 'LAST BLOCK' },
  { title: 'END' },
]

const runRow = (run: BlackBoxRun): string[] => [
  String(run.moments.length),
  String(run.pid),
  visible(run.name),
  time(run.endedMs),
  endOf(run),
]

const holderColumns: readonly Column[] = [
  { title: 'HELD', align: 'right' },
  { title: 'TAKEN', align: 'right' },
  { title: 'TO COME', align: 'right' },
  { title: 'PROCESS', align: 'right' },
  { title: 'NAME' },
  { title: 'STATE' },
]

const holderRow = (holder: BlackBoxHolder): string[] => [
  formatBytes(holder.heldBytes),
  formatBytes(Math.max(holder.heldBytes - holder.pendingBytes, 0)),
  formatBytes(holder.pendingBytes),
  String(holder.pid),
  visible(holder.name),
  stateOf(holder),
]

function stateOf({ isDraining, isWriter, waitingBytes, waitingLabel, waitingMs }: BlackBoxHolder): string {
  if (isDraining) return 'had died'
  if (waitingBytes === undefined) return isWriter ? 'wrote this' : 'held'
  return `waited ${seconds(waitingMs)} for ${formatBytes(waitingBytes)}, ${visible(JSON.stringify(waitingLabel))}`
}

const labelColumns: readonly Column[] = [
  { title: 'HELD', align: 'right' },
  { title: 'COUNT', align: 'right' },
  { title: 'LABEL' },
]

const happeningColumns: readonly Column[] = [
  { title: 'BEFORE', align: 'right' },
  { title: 'BYTES', align: 'right' },
  { title: 'WHAT' },
  { title: 'WHO AND WHY' },
]

function happeningRow(each: BlackBoxHappening, endedMs: number): string[] {
  const { timeMs, kind, name, pid, label, sizeBytes, availableBytes, constraint } = each
  const who = name === '' ? '' : `${visible(name)} (${pid}) `
  const why =
    availableBytes === undefined
      ? ''
      : `: ${formatBytes(Math.max(sizeBytes - availableBytes, 0))} missing${constraint ? `, ${visible(constraint)}` : ''}`
  return [
    seconds(Math.max(endedMs - timeMs, 0)),
    formatBytes(sizeBytes),
    kind,
    `${who}${visible(JSON.stringify(label))}${why}`,
  ]
}

function endOf({ isRunning, endedCleanly, laterKillCount }: BlackBoxRun): string {
  if (isRunning) return 'it still writes'
  if (endedCleanly) return 'clean'
  const killed = laterKillCount !== undefined && laterKillCount > 0 ? ', and the OOM killer has killed since' : ''
  return `cut: killed, or the power went${killed}`
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

const time = (ms: number): string => {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? 'unknown' : date.toISOString()
}
