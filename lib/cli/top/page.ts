import {
  formatBytes,
  type GpuProcess,
  type Headroom,
  type MemoryLevel,
  type MonitorSample,
  type ProcessInfo,
  type ProcessMemory,
} from '../../index.js'
import { boundTable } from '../shared/bounds.js'
import { holderTable } from '../shared/ledger-page.js'
import type { LedgerView } from '../shared/ledger-view.js'
import type { Line } from '../shared/line.js'
import { blockWords, darkWords, holderWords, pressureWords, swapWords, zramWords } from '../shared/signal-words.js'
import { bar } from '../terminal/bar.js'
import type { Page } from '../terminal/page.js'
import { sparkline } from '../terminal/sparkline.js'
import type { Style } from '../terminal/style.js'
import { facts, heading, table } from '../terminal/table.js'
import { clip, percent, visible } from '../terminal/text.js'
import { type Choice, gpuBytesOf, shownProcesses } from './choice.js'

/** The memory at one moment, as it is shown. */
export interface View {
  sample: MonitorSample
  /** Whose cgroups and memory these are. */
  pid: number
  /** Whether that is another process than this one. */
  isOther: boolean
  line: Line
  /** Kills since the view began. */
  killCount: number
  processes: readonly ProcessInfo[]
  /** Who holds memory of the GPUs, where a driver tells. */
  gpuProcesses: readonly GpuProcess[] | undefined
  intervalMs: number
  /** The ledger that the processes of this board share, where there is one. */
  ledger: LedgerView
  /** Headroom of the samples so far, the latest last, in bytes. */
  history: readonly number[]
}

const levelStyles: Record<MemoryLevel, Style> = { normal: 'green', warning: 'yellow', critical: 'red' }

/** A view as a page of a terminal. */
export const frame = (page: Page, view: View, choice: Choice): string[] => [
  title(page, view),
  '',
  ...gauges(page, view),
  history(page, view),
  '',
  ...bounds(page, view),
  ...facts(page, memoryFacts(view)),
  '',
  ...ledgerLines(page, view),
  processHeading(page, choice),
  ...processTable(page, view, choice),
]

/** Nothing where nobody shares a ledger. */
function ledgerLines(page: Page, { ledger }: View): string[] {
  if (ledger.reason !== undefined) return [heading(page, 'Ledger', visible(ledger.reason)), '']
  if (!ledger.survey?.holders.length) return []
  return [heading(page, 'Ledger', visible(ledger.survey.path)), ...holderTable(page, ledger), '']
}

/** The filter comes first, and what is less needed gives way where the page is narrow. */
function processHeading(page: Page, { sorting, all, filter, isTyping }: Choice): string {
  const which = all ? 'all' : 'that have plimsoll loaded'
  const found = filter === '' && !isTyping ? '' : `with "${visible(filter)}${isTyping ? '_' : ''}"; `
  const order = `by ${sorting}; s sorts, a shows ${all ? 'fewer' : 'all'}, / filters`
  const notes = [`${which}, as far as this user may look, ${order}`, `${which}, ${order}`, order]
  const room = page.width - `Processes  ${found}`.length
  return heading(page, 'Processes', found + (notes.find((note) => note.length <= room) ?? order))
}

/** Headroom over time, as shares of what its bound could give were nothing in use. */
function history(page: Page, { history, sample, intervalMs }: View): string {
  const cells = gaugeCells(page)
  const shown = history.slice(-cells)
  const line = sparkline(
    shown.map((bytes) => bytes / Math.max(sample.headroom.bindingTerm.capacityBytes, 1)),
    cells,
  )
  const seconds = ((shown.length - 1) * intervalMs) / 1000
  const words = `headroom of the last ${seconds.toFixed(seconds < 10 ? 1 : 0)} s, ${formatBytes(Math.min(...shown))} at least`
  const room = Math.max(page.width - cells - NAME_CELLS - 6, 0)
  return `  ${page.paint('dim', 'history'.padEnd(NAME_CELLS))}  ${page.paint('green', line)}  ${clip(words, room)}`
}

function title(page: Page, { sample, intervalMs }: View): string {
  const time = new Date(sample.timeMs).toLocaleTimeString('en-GB')
  const level = page.paint(levelStyles[sample.level], sample.level)
  return `${page.paint('bold', 'plimsoll top')}  ${level}  ${page.paint('dim', `${time}, every ${intervalMs} ms; q quits`)}`
}

/** Use, line and headroom, with what bounds each. */
function gauges(page: Page, { sample, line }: View): string[] {
  const { level, usedPercent, constraint, headroom, memory } = sample
  const ofTotal = (bytes: number) => bytes / memory.totalBytes
  const [lowest] = line.terms
  return [
    gauge(page, 'in use', levelStyles[level], usedPercent / 100, percent(usedPercent), constraint),
    gauge(page, 'line', 'green', ofTotal(line.lineBytes), formatBytes(line.lineBytes), lowest?.description ?? ''),
    gauge(
      page,
      'headroom',
      'green',
      ofTotal(headroom.bytes),
      formatBytes(headroom.bytes),
      headroom.bindingTerm.description,
    ),
  ]
}

/** A machine alone has said all in the line of its headroom. */
const bounds = (page: Page, { sample }: View): string[] =>
  sample.headroom.terms.length > 1 ? [...boundTable(page, sample.headroom), ''] : []

const NAME_CELLS = 8

const gaugeCells = (page: Page): number => Math.min(Math.max(Math.floor(page.width / 6), 8), 32)

function gauge(page: Page, name: string, style: Style, share: number, figure: string, why: string): string {
  const FIGURE_CELLS = 11
  const cells = gaugeCells(page)
  const left = page.width - NAME_CELLS - FIGURE_CELLS - cells - 8
  const drawn = bar(page.paint, style, share, cells)
  const words = left > 0 ? `  ${clip(visible(why), left)}` : ''
  return `  ${page.paint('dim', name.padEnd(NAME_CELLS))}  ${drawn}  ${figure.padStart(FIGURE_CELLS)}${words}`
}

function memoryFacts({ sample, pid, isOther, killCount, gpuProcesses }: View): [string, string | undefined][] {
  const { headroom, memory, zram, dark, freeHugeBlockCount, pressure, oomKillCount, process } = sample
  return [
    ['pending', headroom.pendingBytes > 0 ? pendingWords(headroom) : undefined],
    ['machine', `${formatBytes(memory.availableBytes)} of ${formatBytes(memory.totalBytes)} available`],
    ['swap', swapWords(memory)],
    ['zram', zram?.storedBytes ? zramWords(zram) : undefined],
    ['dark memory', dark && darkWords(dark)],
    ['blocks of 2 MiB', freeHugeBlockCount === undefined ? undefined : blockWords(freeHugeBlockCount)],
    ['GPU memory', gpuProcesses && visible(holderWords(gpuProcesses))],
    ['pressure', pressure ? pressureWords(pressure) : 'not reported by the kernel'],
    [
      'kills',
      oomKillCount === undefined
        ? 'not reported by the kernel'
        : `${oomKillCount}, ${killCount} of them since this view began`,
    ],
    [`process ${pid}`, isOther && process ? processWords(process) : undefined],
  ]
}

/** What comes off the least room, so that the figures of the page add up. */
const pendingWords = ({ pendingBytes }: Headroom): string =>
  `${formatBytes(pendingBytes)} granted and not yet taken, off headroom`

const processWords = ({ rssBytes, anonymousBytes, fileBytes, shmemBytes }: ProcessMemory): string =>
  `${formatBytes(rssBytes)} resident: ${formatBytes(anonymousBytes)} anonymous, ${formatBytes(fileBytes)} file, ` +
  `${formatBytes(shmemBytes)} shared`

const sizeOrUnknown = (bytes: number | undefined): string => (bytes === undefined ? '?' : formatBytes(bytes))

function processTable(page: Page, { processes, gpuProcesses }: View, choice: Choice): string[] {
  const shown = shownProcesses(processes, gpuProcesses, choice)
  const gpus = shown.map(({ pid }) => gpuBytesOf(pid, gpuProcesses))
  // Where no driver tells of any of them there is no column.
  const told = gpus.some((bytes) => bytes !== undefined)
  const gpuCell = (at: number): string[] => (told ? [gpus[at] === undefined ? '' : formatBytes(gpus[at])] : [])
  return table(
    page,
    [
      { title: 'pid', align: 'right' },
      { title: 'resident', align: 'right' },
      { title: 'anonymous', align: 'right' },
      { title: 'shared', align: 'right' },
      { title: 'peak', align: 'right', style: 'dim' },
      ...(told ? [{ title: 'GPU', align: 'right' } as const] : []),
      { title: 'command' },
    ],
    shown.map((process, at) => [
      String(process.pid),
      formatBytes(process.rssBytes),
      sizeOrUnknown(process.anonymousBytes),
      sizeOrUnknown(process.shmemBytes),
      sizeOrUnknown(process.peakRssBytes),
      ...gpuCell(at),
      visible(process.command),
    ]),
  )
}

/** The columns of a view in one line: title, width of any value, negative for those that begin left, and value. */
const columns: readonly [string | ((view: View) => string), number, (view: View) => string][] = [
  ['time', -24, ({ sample }) => new Date(sample.timeMs).toISOString()],
  ['level', -8, ({ sample }) => sample.level],
  ['in use', 7, ({ sample }) => percent(sample.usedPercent)],
  ['headroom', 12, ({ sample }) => formatBytes(sample.headroom.bytes)],
  ['line', 12, ({ line }) => formatBytes(line.lineBytes)],
  ['available', 12, ({ sample }) => formatBytes(sample.memory.availableBytes)],
  ['dark', 11, ({ sample }) => (sample.dark ? formatBytes(sample.dark.bytes) : '?')],
  ['stalled', 8, ({ sample }) => (sample.pressure ? `${sample.pressure.some.avg10Percent.toFixed(2)} %` : '?')],
  ['kills', 5, ({ sample }) => String(sample.oomKillCount ?? '?')],
  [({ isOther, pid }) => (isOther ? `pid ${pid}` : 'plimsoll'), 12, (view) => formatBytes(residentBytes(view))],
  ['constraint', 0, ({ sample }) => visible(sample.constraint)],
]

const joined = (cell: (column: (typeof columns)[number]) => string): string =>
  columns
    .map((column) => (column[1] < 0 ? cell(column).padEnd(-column[1]) : cell(column).padStart(column[1])))
    .join('  ')

/** What the process that was named holds, else what those with plimsoll loaded hold together. */
const residentBytes = ({ sample, isOther, processes }: View): number =>
  isOther ? (sample.process?.rssBytes ?? 0) : processes.reduce((sum, { rssBytes }) => sum + rssBytes, 0)

/** The titles over {@link plainLine}. */
export const plainTitles = (view: View): string =>
  joined(([title]) => (typeof title === 'string' ? title : title(view)))

/** A view in one line, for what is no terminal. */
export const plainLine = (view: View): string => joined(([, , value]) => value(view))
