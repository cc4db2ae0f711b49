// Draws the dashboard from what the server sends.

import type { PoolSnapshot, SlabInfo } from 'plimsoll'
import type { DashboardMoment, DashboardState } from 'plimsoll/dashboard'
import type UPlot from 'uplot'
import { kindNames, kindOfBlock } from '../../pool/block-kind.js'
import {
  byId,
  bytes,
  clock,
  element,
  figures,
  isolated,
  shape,
  size,
  time,
  title,
  visible,
} from '../../report/page/tools.js'
import { drawTreemap } from './treemap.js'

/** What the script before this one defines. */
declare const uPlot: typeof UPlot

/** What was sent, some of it not yet. */
type State = DashboardState & { error?: string }

/** Moments that the chart shows at most. */
const MAX_MOMENTS = 600

const symbols: Readonly<Record<string, string>> = { normal: '● normal', warning: '▲ warning', critical: '■ critical' }

/** What stands at the ticks of time, from so many seconds between them; and below, where the minute or the day is another. */
const DAY = '\n{YYYY}-{MM}-{DD}'
const MINUTE = `${DAY} {HH}:{mm}`
const times: UPlot.Axis.Values = [
  [60, '{HH}:{mm}', DAY, null, DAY, null, null, null, 1],
  [1, ':{ss}', MINUTE, null, MINUTE, null, '\n{HH}:{mm}', null, 1],
  [0.001, ':{ss}.{fff}', MINUTE, null, MINUTE, null, '\n{HH}:{mm}', null, 1],
]

/** What the chart draws, told apart by its dashes where colours are not seen. */
const lines: readonly {
  key: 'lineBytes' | 'headroomBytes' | 'allocatedBytes'
  name: string
  colour: string
  dash: number[]
}[] = [
  { key: 'lineBytes', name: 'line', colour: '--ink', dash: [] },
  { key: 'headroomBytes', name: 'headroom', colour: '--headroom', dash: [8, 4] },
  { key: 'allocatedBytes', name: 'granted', colour: '--granted', dash: [2, 3] },
]

let moments: DashboardMoment[] = []
/** All that was sent, as it is now. */
let state = {} as State
let chart: UPlot | undefined

/** A table's head and rows; what stands before them stays. An empty one says so. */
function fill(id: string, titles: readonly string[], rows: readonly (Node | string)[][], nothing: string): void {
  const table = byId(id)
  const heads = titles.map((title) => {
    const head = element('th', '', title)
    head.scope = 'col'
    return head
  })
  const none = element('td', '', nothing)
  none.colSpan = titles.length
  const cells = rows.length > 0 ? rows.map((row) => row.map((cell, at) => cellOf(cell, titles[at]))) : [[none]]
  const made = cells.map((row) => element('tr', '', ...row))
  const parts = [element('thead', '', element('tr', '', ...heads)), element('tbody', '', ...made)]
  table.replaceChildren(...table.querySelectorAll('caption'), ...parts)
}

/** A cell that has its title for where rows are stacked, under no head. */
function cellOf(content: Node | string, title = ''): HTMLElement {
  const cell = element('td', '', content)
  cell.dataset.title = title
  return cell
}

const colourOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** Makes the chart anew: its colours are those of the page, which change with the scheme. */
function makeChart(): void {
  chart?.destroy()
  const place = byId('chart')
  const axis = { stroke: colourOf('--quiet'), grid: { stroke: colourOf('--line'), width: 1 }, ticks: { show: false } }
  const options: UPlot.Options = {
    width: place.clientWidth,
    height: place.clientHeight,
    cursor: { y: false },
    scales: { y: { range: (_, _least, most): [number, number] => [0, Math.max(most, 1) * 1.05] } },
    axes: [
      { ...axis, values: times },
      {
        ...axis,
        size: 76,
        incrs: Array.from({ length: 50 }, (_, power) => 2 ** power),
        values: (_, ticks) => ticks.map(bytes),
      },
    ],
    series: [
      {},
      ...lines.map(({ name, colour, dash }) => ({
        label: name,
        stroke: colourOf(colour),
        width: 2,
        dash,
        points: { show: false },
      })),
    ],
  }
  chart = new uPlot(options, chartData(), place)
  const keys = lines.map(({ name, colour, dash }) => {
    const line = shape('line', { x1: 0, y1: 6, x2: 28, y2: 6, 'stroke-dasharray': dash.join(' ') || 'none' })
    line.style.stroke = `var(${colour})`
    const key = shape('svg', { class: 'stroke', viewBox: '0 0 28 12', 'aria-hidden': 'true' }, line)
    return element('li', '', key, name)
  })
  byId('legend').replaceChildren(...keys)
}

const chartData = (): UPlot.AlignedData => [
  moments.map(({ timeMs }) => timeMs / 1000),
  ...lines.map(({ key }) => moments.map((moment) => moment[key] ?? null)),
]

function drawChart(): void {
  chart?.setData(chartData())
  const [first, last] = [moments[0], moments.at(-1)]
  if (!first || !last) return
  const said = lines.map(({ key, name }) => `${name} ${bytes(last[key])}`).join(', ')
  const minutes = (last.timeMs - first.timeMs) / 60_000
  byId('chart').setAttribute('aria-label', `Over the last ${minutes.toFixed(1)} minutes; now ${said}`)
}

function drawFigures({ moment, availableBytes, peakBytes, level, pressure }: State): void {
  const named: [string, Node | string][] = [
    ['line', size(moment.lineBytes)],
    ['granted', size(moment.allocatedBytes)],
    ['can be granted', size(availableBytes)],
    ['headroom', size(moment.headroomBytes)],
    ['most granted', size(peakBytes)],
    ['stalled in 10 s', pressure ? `${pressure.some.avg10Percent.toFixed(2)} %` : '?'],
  ]
  byId('figures').replaceChildren(...figures(named))
  byId('binding').replaceChildren(isolated(moment.binding))
  const said = (level && symbols[level]) ?? ''
  if (byId('level').textContent !== said) byId('level').textContent = said
  document.title = `${level && level !== 'normal' ? `${said}: ` : ''}Memory of this board`
}

function drawTerms({ terms, headroom }: State): void {
  const ofLine = terms.map(({ description, bytes: bound }, at) => [
    isolated(description),
    at === 0 ? 'line, binding' : 'line',
    size(bound),
  ])
  const ofRoom = (headroom?.terms ?? []).map(({ description, roomBytes }) => {
    const binds = description === headroom?.bindingTerm.description
    return [isolated(description), binds ? 'headroom, binding' : 'headroom', size(roomBytes)]
  })
  fill('terms', ['what it is', 'of', 'bound'], [...ofLine, ...ofRoom], 'none')
}

function drawShared({ holders, ledgerError, waiting }: State): void {
  const stateOf = ({ isDraining, drainsForMs, waiting: waits }: (typeof holders)[number]): string => {
    if (isDraining) return `drains, ${time(drainsForMs)} left`
    return waits ? `waits for ${bytes(waits.bytes)}` : 'holds'
  }
  fill(
    'holders',
    ['shares the ledger', 'pid', 'held', 'not yet taken', 'state'],
    holders.map((holder) => [
      isolated(holder.name),
      String(holder.pid),
      size(holder.heldBytes),
      size(holder.pendingBytes),
      stateOf(holder),
    ]),
    ledgerError === undefined
      ? 'No process shares this board by a ledger.'
      : `The ledger cannot be read: ${visible(ledgerError)}`,
  )
  fill(
    'waiting',
    ['waits in this process', 'asks for', 'priority', 'since'],
    waiting.map((each) => [isolated(each.label), size(each.bytes), String(each.priority), time(each.sinceMs)]),
    'Nobody waits.',
  )
}

function slabPicture({ index, sizeBytes, usedBytes, blocks }: SlabInfo): HTMLElement {
  const shapes = blocks.map((block) => {
    const kind = kindOfBlock(block)
    const [name, held] = [kindNames[kind], bytes(block.sizeBytes)]
    const text = title(`${block.label === undefined ? '' : `${visible(block.label)}, `}${name}, ${held}`)
    const place = { x: (block.offsetBytes / sizeBytes) * 1000, width: (block.sizeBytes / sizeBytes) * 1000, height: 1 }
    return shape('rect', { ...place, class: `${kind} edged` }, text)
  })
  const name = `slab ${index}, ${bytes(sizeBytes)}, ${((usedBytes / sizeBytes) * 100).toFixed(1)} % used`
  const picture = {
    class: 'blocks',
    viewBox: '0 0 1000 1',
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': name,
  }
  return element('div', 'slab', element('p', 'quiet', name), shape('svg', picture, ...shapes))
}

/** What is said where no program is shown that would have any. */
const OF_SERVERS = 'by serveDashboard({ manager }).'

function drawPools({
  pools,
  hasManager,
}: {
  pools: readonly Omit<PoolSnapshot, 'timeMs'>[]
  hasManager: boolean
}): void {
  const nothing = hasManager
    ? 'This program has no pools.'
    : `None are shown here: a server shows its own ${OF_SERVERS}`
  const sections = pools.map(({ label, device, stats, slabs }) => {
    const sums = element(
      'p',
      'quiet',
      'on ',
      isolated(device),
      ': ',
      size(stats.heldBytes),
      ' held, ',
      size(stats.usedBytes),
      ' used',
    )
    const hole = element('p', 'quiet', 'largest hole ', size(stats.largestFreeBytes))
    return element(
      'div',
      'pool',
      element('h3', '', isolated(label)),
      sums,
      hole,
      ...slabs.slice(0, 64).map(slabPicture),
    )
  })
  byId('pools').replaceChildren(...(sections.length > 0 ? sections : [element('p', 'quiet', nothing)]))
}

/** A command line of any length: its first lines, and all of it where a pointer rests. */
function commandOf(command: string): HTMLElement {
  const made = isolated(command)
  made.className = 'command'
  made.title = visible(command)
  return made
}

function drawProcesses({ processes }: State): void {
  const rows = processes.map((process) => [
    commandOf(process.command),
    String(process.pid),
    size(process.rssBytes),
    size(process.anonymousBytes),
    size(process.shmemBytes),
  ])
  fill('processes', ['command', 'pid', 'resident', 'anonymous', 'shared'], rows, 'None that this user may see.')
}

function drawLogs({ events, refusals, hasManager, level }: State): void {
  const refused = refusals.map((refusal) =>
    element(
      'li',
      '',
      clock(refusal.timeMs),
      element('strong', '', isolated(refusal.label)),
      ' asked for ',
      size(refusal.requestedBytes),
      ', there were ',
      size(refusal.availableBytes),
      element('p', '', visible(refusal.bindingConstraint)),
      element('p', '', visible(refusal.suggestion)),
    ),
  )
  const none = hasManager ? 'None so far.' : `None are shown here: a server shows those of its requests ${OF_SERVERS}`
  byId('refusals').replaceChildren(...(refused.length > 0 ? refused : [element('li', 'quiet', none)]))
  const happened = events.map(({ timeMs, kind, text }) =>
    element('li', '', clock(timeMs), element('strong', '', symbols[kind] ?? kind), ' ', visible(text)),
  )
  byId('events').replaceChildren(
    ...(happened.length > 0
      ? happened
      : [element('li', 'quiet', level ? 'Nothing has happened.' : 'No monitor runs.')]),
  )
}

/** What shows which parts of the state. */
const views: readonly [draw: (state: State) => void, parts: readonly (keyof State)[]][] = [
  [drawFigures, ['moment', 'availableBytes', 'peakBytes', 'level', 'pressure']],
  [drawTerms, ['terms', 'headroom']],
  [({ labels, moment }) => drawTreemap(labels, moment.allocatedBytes), ['labels', 'moment']],
  [drawShared, ['holders', 'ledgerError', 'waiting']],
  [drawPools, ['pools', 'hasManager']],
  [drawProcesses, ['processes']],
  [drawLogs, ['events', 'refusals', 'hasManager', 'level']],
]

/** What a page gets: by the server, or by the page of the same browser that has the stream. */
type Update =
  | { kind: 'history'; moments: DashboardMoment[] }
  | { kind: 'state' | 'change'; parts: object }
  | { kind: 'connection'; text: string }

/** Takes what is new, and shows it. */
function take(update: Update): void {
  if (update.kind === 'connection') say(update.text)
  else if (update.kind === 'history') {
    moments = update.moments
    drawChart()
  } else takeParts(update.parts, update.kind === 'state')
}

function takeParts(parts: object, areAll: boolean): void {
  const now = Object.entries({ ...(areAll ? {} : state), ...parts }).filter(([, part]) => part !== null)
  state = Object.fromEntries(now) as unknown as State
  say(state.error ?? 'live')
  if (state.error) return
  if (moments.at(-1)?.timeMs !== state.moment.timeMs) moments = [...moments.slice(1 - MAX_MOMENTS), state.moment]
  drawChart()
  for (const [draw, shown] of views) if (shown.some((part) => part in parts)) draw(state)
}

function say(text: string): void {
  const connection = byId('connection')
  if (connection.textContent !== text) connection.textContent = text
}

/** Takes what the server sends, and hands it on, until that lets this browser look no more. */
function stream(others: BroadcastChannel): Promise<void> {
  const source = new EventSource(`/events?key=${localStorage.getItem(KEY) ?? ''}`)
  let isFull = false
  const pass = (update: Update): void => {
    take(update)
    others.postMessage(update)
  }
  source.addEventListener('history', ({ data }) => pass({ kind: 'history', moments: JSON.parse(data) }))
  for (const kind of ['state', 'change'] as const) {
    source.addEventListener(kind, ({ data }) => pass({ kind, parts: JSON.parse(data) }))
  }
  source.addEventListener('open', () => {
    isFull = false
  })
  source.addEventListener('full', ({ data }) => {
    isFull = true
    pass({ kind: 'connection', text: `${data} other browsers have it open, as many as may; trying again` })
  })
  // Who has come since gets all there is.
  const answer = ({ data }: MessageEvent<Update | 'hello'>): void => {
    if (data !== 'hello' || !('moment' in state)) return
    others.postMessage({ kind: 'history', moments } satisfies Update)
    others.postMessage({ kind: 'state', parts: state } satisfies Update)
  }
  others.addEventListener('message', answer)
  return new Promise((resolve) => {
    source.onerror = () => {
      const isOver = source.readyState === EventSource.CLOSED
      if (isFull && !isOver) return
      pass({ kind: 'connection', text: isOver ? 'ended; open another link' : 'connecting again' })
      if (!isOver) return
      others.removeEventListener('message', answer)
      resolve()
    }
  })
}

/**
 * All pages of a browser have one stream, that of the page which has the lock: a browser opens six connections to a server at most, so the
 * seventh page would wait for ever. Where the stream has ended another page may have it, such as one that was opened by another link.
 */
function connect(): void {
  const others = new BroadcastChannel('plimsoll')
  others.addEventListener('message', ({ data }: MessageEvent<Update | 'hello'>) => {
    if (data !== 'hello') take(data)
  })
  others.postMessage('hello')
  navigator.locks.request('plimsoll', () => stream(others))
}

/** Where the key is kept that came with a link: it is this server's alone, and what brings figures. */
const KEY = 'plimsoll-key'

function keepKey(): void {
  const key = location.hash.slice(1)
  if (key === '') return
  localStorage.setItem(KEY, key)
  history.replaceState(null, '', '/')
}

makeChart()
keepKey()
connect()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', makeChart)
new ResizeObserver(() => {
  const { clientWidth: width, clientHeight: height } = byId('chart')
  if (width !== chart?.width || height !== chart?.height) chart?.setSize({ width, height })
}).observe(byId('chart'))
