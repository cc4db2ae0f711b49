// Draws the line, headroom and what is granted over time, and says what was at the moment that a pointer or the keyboard is at.

import type { DashboardMoment } from 'plimsoll/dashboard'
import type UPlot from 'uplot'
import { byId, bytes, clock, element, isolated, shape, size } from '../../report/page/tools.js'

/** What the script before this one defines. */
declare const uPlot: typeof UPlot

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

/** Moments that a key goes at once. */
const STEPS: Readonly<Record<string, number>> = {
  ArrowRight: 1,
  ArrowUp: 1,
  ArrowLeft: -1,
  ArrowDown: -1,
  PageUp: 10,
  PageDown: -10,
}

let moments: readonly DashboardMoment[] = []
let chart: UPlot | undefined
/** The moment that the cursor is at. Without it the last one is read. */
let cursorMs: number | undefined
/** While the chart is drawn anew its cursor is where it was on the screen, which is no other moment. */
let isDrawing = false

const colourOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** Makes the chart anew: its colours are those of the page, which change with the scheme. */
export function makeChart(): void {
  chart?.destroy()
  const place = byId('chart')
  const axis = { stroke: colourOf('--quiet'), grid: { stroke: colourOf('--line'), width: 1 }, ticks: { show: false } }
  const options: UPlot.Options = {
    width: place.clientWidth,
    height: place.clientHeight,
    cursor: { y: false, drag: { x: false, y: false }, move: onMoment },
    hooks: { setCursor: [onCursor] },
    scales: { y: { range: (_, _least, most): [number, number] => [0, Math.max(most, 1) * 1.05] } },
    axes: [
      { ...axis, values: times },
      {
        ...axis,
        size: 82,
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
  const mark = element('li', '', element('i', 'mark'), 'bound by something else from here on')
  mark.id = 'mark-meaning'
  byId('legend').replaceChildren(...keys, mark)
  drawMarks()
  placeCursor()
}

const chartData = (): UPlot.AlignedData => [
  moments.map(({ timeMs }) => timeMs / 1000),
  ...lines.map(({ key }) => moments.map((moment) => moment[key] ?? null)),
]

/** Where a pointer is in the chart, moved onto the moment that is nearest. */
function onMoment(of: UPlot, left: number, top: number): [left: number, top: number] {
  const seconds = left < 0 ? undefined : of.data[0][of.posToIdx(left)]
  return [seconds === undefined ? left : of.valToPos(seconds, 'x'), top]
}

/** A pointer has come, moved or gone. */
function onCursor({ cursor }: UPlot): void {
  if (!isDrawing) read(cursor.idx ?? undefined)
}

/** Draws these moments. A cursor stays at its own. */
export function drawMoments(now: readonly DashboardMoment[]): void {
  moments = now
  drawAnew((drawn) => drawn.setData(chartData()))
  drawMarks()
  const isRead = cursorMs === undefined && document.activeElement === byId('chart')
  // Whoever listens to what the chart says is not told every second that it is later.
  say(!isRead)
}

/** Changes the chart at once, and has its cursor, whose dots keep their place otherwise, where they belong then. */
function drawAnew(change: (of: UPlot) => void): void {
  const drawn = chart
  if (!drawn) return
  isDrawing = true
  drawn.batch(() => change(drawn))
  isDrawing = false
  placeCursor()
}

/** The number of the moment that is read. */
function indexOf(timeMs: number | undefined): number {
  const at = timeMs === undefined ? -1 : moments.findIndex((moment) => moment.timeMs >= timeMs)
  return at < 0 ? moments.length - 1 : at
}

function placeCursor(): void {
  const moment = cursorMs === undefined ? undefined : moments[indexOf(cursorMs)]
  cursorMs = moment?.timeMs
  chart?.setCursor({ left: -10, top: -10 }, false)
  if (moment) chart?.setCursor({ left: chart.valToPos(moment.timeMs / 1000, 'x'), top: 0 }, false)
}

/** Reads the moment of that number, or always the last. */
function read(index: number | undefined): void {
  cursorMs = index === undefined ? undefined : moments[index]?.timeMs
  say(true)
}

/** Says what was at the moment that is read. */
function say(isSpoken: boolean): void {
  const index = indexOf(cursorMs)
  const moment = moments[index]
  if (!moment) return
  const time = clock(moment.timeMs)
  const now = cursorMs === undefined ? ' (now)' : ''
  const values = lines.map(({ key, name }) => element('span', '', `${name} `, size(moment[key])))
  const bound = element('p', '', 'bound by ', isolated(moment.binding))
  byId('reading').replaceChildren(element('p', '', element('span', '', time, now), ...values), bound)
  if (!isSpoken) return
  const said = lines.map(({ key, name }) => `${name} ${bytes(moment[key])}`).join(', ')
  const spoken = {
    valuemin: 0,
    valuemax: moments.length - 1,
    valuenow: index,
    valuetext: `${time.textContent}${now}: ${said}, ${bound.textContent}`,
  }
  for (const [name, value] of Object.entries(spoken)) byId('chart').setAttribute(`aria-${name}`, String(value))
}

/** Which bound it is, whatever its sizes are at the moment. */
const kindOf = ({ binding }: DashboardMoment): string => binding.replace(/[\d.]+ (bytes?|[KMGT]iB|%)/g, '')

/** Marks where something else began to bind. */
function drawMarks(): void {
  const [first, last] = [moments[0], moments.at(-1)]
  const over = chart?.over
  if (!over) return
  for (const mark of over.querySelectorAll('.mark')) mark.remove()
  const kinds = moments.map(kindOf)
  const marks = moments.filter((_, at) => at > 0 && kinds[at] !== kinds[at - 1])
  byId('mark-meaning').hidden = marks.length === 0
  if (!first || !last) return
  for (const { timeMs } of marks) {
    const mark = element('i', 'mark')
    mark.style.setProperty('left', `${((timeMs - first.timeMs) / (last.timeMs - first.timeMs)) * 100}%`)
    over.append(mark)
  }
}

byId('chart').addEventListener('keydown', (event) => {
  const at = indexOf(cursorMs)
  const last = moments.length - 1
  const step = STEPS[event.key]
  const places: Readonly<Record<string, number | undefined>> = { Home: 0, End: last, Escape: undefined }
  if (step === undefined && !(event.key in places)) return
  event.preventDefault()
  read(step === undefined ? places[event.key] : Math.min(Math.max(at + step, 0), last))
  placeCursor()
})

byId('chart').addEventListener('focus', () => say(true))
byId('chart').addEventListener('blur', () => {
  read(undefined)
  placeCursor()
})

for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)', 'print']) {
  matchMedia(query).addEventListener('change', makeChart)
}

new ResizeObserver(() => {
  const { clientWidth: width, clientHeight: height } = byId('chart')
  if (width !== chart?.width || height !== chart?.height) drawAnew((drawn) => drawn.setSize({ width, height }))
}).observe(byId('chart'))
