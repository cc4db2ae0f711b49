// Draws the dashboard from what the server sends. Names come from anywhere: they become text, never markup.

/** Moments that the chart shows at most. */
const MAX_MOMENTS = 600

const symbols = { normal: '● normal', warning: '▲ warning', critical: '■ critical' }

/** What the chart draws, told apart by its dashes where colours are not seen. */
const lines = [
  { key: 'lineBytes', name: 'line', colour: '--ink', dash: [] },
  { key: 'headroomBytes', name: 'headroom', colour: '--headroom', dash: [8, 4] },
  { key: 'allocatedBytes', name: 'granted', colour: '--granted', dash: [2, 3] },
]

const kinds = { long: 'long-lived', transient: 'transient', pinned: 'pinned', free: 'free' }

let moments = []
/** All that was sent, as it is now. */
let state = {}
let chart

const byId = (id) => document.getElementById(id)

/** An element with its class and what is in it: texts and elements. */
function element(name, className, ...children) {
  const made = document.createElement(name)
  if (className) made.className = className
  made.append(...children)
  return made
}

function drawing(name, attributes, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

function bytes(count) {
  if (count === undefined || count === null) return '?'
  const power = Math.min(Math.max(Math.floor(Math.log2(Math.max(Math.abs(count), 1)) / 10), 0), 5)
  const value = count / 1024 ** power
  return power === 0 ? `${count} B` : `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${' KMGTP'[power]}iB`
}

function time(ms) {
  if (ms < 1000) return `${ms.toFixed(0)} ms`
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60_000).toFixed(0)} min`
}

/** A text as it can be shown: what acts instead of showing, by its code. */
function visible(text) {
  const shown = String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u${character.codePointAt(0).toString(16).padStart(4, '0')}`
  })
  return shown === '' ? '(empty)' : shown
}

const isolated = (text) => element('bdi', '', visible(text))

/** A size that a reader, or a test, finds exact behind the rounded one. */
function size(count) {
  const made = element('data', '', bytes(count))
  if (count !== undefined) {
    made.value = count
    made.title = `${count.toLocaleString('en-US')} bytes`
  }
  return made
}

function clock(ms) {
  const made = element('time', '', new Date(ms).toLocaleTimeString())
  made.dateTime = new Date(ms).toISOString()
  return made
}

/** A table's head and rows; what stands before them stays. An empty one says so. */
function fill(id, titles, rows, nothing) {
  const table = byId(id)
  const heads = titles.map((title) => {
    const head = element('th', '', title)
    head.scope = 'col'
    return head
  })
  const body = rows.length > 0 ? rows : [[nothing]]
  const made = body.map((cells) => element('tr', '', ...cells.map((cell) => element('td', '', cell))))
  const parts = [element('thead', '', element('tr', '', ...heads)), element('tbody', '', ...made)]
  if (rows.length === 0) made[0].firstChild.colSpan = titles.length
  table.replaceChildren(...table.querySelectorAll('caption'), ...parts)
}

const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** Makes the chart anew: its colours are those of the page, which change with the scheme. */
function makeChart() {
  chart?.destroy()
  const place = byId('chart')
  const axis = { stroke: colourOf('--quiet'), grid: { stroke: colourOf('--line'), width: 1 }, ticks: { show: false } }
  const options = {
    width: place.clientWidth,
    height: place.clientHeight,
    cursor: { y: false },
    scales: { y: { range: (_, _least, most) => [0, Math.max(most, 1) * 1.05] } },
    axes: [
      axis,
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
    const line = drawing('line', { x1: 0, y1: 6, x2: 28, y2: 6, 'stroke-dasharray': dash.join(' ') || 'none' })
    line.style.stroke = `var(${colour})`
    const key = drawing('svg', { class: 'stroke', viewBox: '0 0 28 12', 'aria-hidden': 'true' }, line)
    return element('li', '', key, name)
  })
  byId('legend').replaceChildren(...keys)
}

const chartData = () => [
  moments.map(({ timeMs }) => timeMs / 1000),
  ...lines.map(({ key }) => moments.map((moment) => moment[key] ?? null)),
]

function drawChart() {
  chart.setData(chartData())
  const last = moments.at(-1)
  if (!last) return
  const said = lines.map(({ key, name }) => `${name} ${bytes(last[key])}`).join(', ')
  const minutes = (last.timeMs - moments[0].timeMs) / 60_000
  byId('chart').setAttribute('aria-label', `Over the last ${minutes.toFixed(1)} minutes; now ${said}`)
}

function drawFigures({ moment, availableBytes, peakBytes, level, pressure }) {
  const figures = [
    ['line', size(moment.lineBytes)],
    ['granted', size(moment.allocatedBytes)],
    ['can be granted', size(availableBytes)],
    ['headroom', size(moment.headroomBytes)],
    ['most granted', size(peakBytes)],
    ['stalled in 10 s', pressure ? `${pressure.some.avg10Percent.toFixed(2)} %` : '?'],
  ]
  byId('figures').replaceChildren(
    ...figures.map(([name, value]) => element('div', '', element('dt', '', name), element('dd', 'figure', value))),
  )
  byId('binding').replaceChildren(isolated(moment.binding))
  const said = level ? symbols[level] : ''
  if (byId('level').textContent !== said) byId('level').textContent = said
  document.title = `${level && level !== 'normal' ? `${symbols[level]}: ` : ''}Memory of this board`
}

function drawTerms({ terms, headroom }) {
  const ofLine = terms.map(({ description, bytes: bound }, at) => [
    isolated(description),
    at === 0 ? 'line, binding' : 'line',
    size(bound),
  ])
  const ofRoom = (headroom?.terms ?? []).map(({ description, roomBytes }) => {
    const binds = description === headroom.bindingTerm.description
    return [isolated(description), binds ? 'headroom, binding' : 'headroom', size(roomBytes)]
  })
  fill('terms', ['what it is', 'of', 'bound'], [...ofLine, ...ofRoom], 'none')
}

/** Rectangles for sizes in falling order, each as near to a square as it goes: rows along the shorter side. */
function squares(items, x, y, width, height, into = []) {
  const sum = items.reduce((all, [, count]) => all + count, 0)
  if (items.length === 0 || sum <= 0 || width <= 0 || height <= 0) return into
  const isWide = width >= height
  const side = isWide ? height : width
  const area = (width * height) / sum
  const worst = (row, total) => {
    const depth = (total * area) / side
    return Math.max(...row.map(([, count]) => Math.max((count * area) / depth ** 2, depth ** 2 / (count * area))))
  }
  let taken = 1
  let total = items[0][1]
  while (taken < items.length) {
    const next = total + items[taken][1]
    if (worst(items.slice(0, taken + 1), next) > worst(items.slice(0, taken), total)) break
    total = next
    taken += 1
  }
  const depth = (total * area) / side
  let at = 0
  for (const item of items.slice(0, taken)) {
    const length = (item[1] * area) / depth
    into.push(isWide ? [item, x, y + at, depth, length] : [item, x + at, y, length, depth])
    at += length
  }
  const rest = items.slice(taken)
  return isWide
    ? squares(rest, x + depth, y, width - depth, height, into)
    : squares(rest, x, y + depth, width, height - depth, into)
}

function drawTreemap({ labels, moment }) {
  const map = byId('treemap')
  const shown = labels.filter(([, count]) => count > 0)
  map.hidden = shown.length === 0
  byId('no-labels').hidden = shown.length > 0
  const focused = [...map.children].indexOf(document.activeElement)
  const places = squares(shown, 0, 0, 100, 100)
  const boxes = places.map(([[label, count], x, y, width, height]) => {
    const share = ((count / Math.max(moment.allocatedBytes, 1)) * 100).toFixed(1)
    const box = element('li', '', isolated(label), element('br'), size(count), ` ${share} %`)
    box.tabIndex = 0
    Object.assign(box.style, { left: `${x}%`, top: `${y}%`, width: `${width}%`, height: `${height}%` })
    return box
  })
  map.replaceChildren(...boxes)
  // Whoever stands on one stays there while the figures change.
  boxes[focused]?.focus({ preventScroll: true })
}

function drawShared({ holders, waiting }) {
  const stateOf = ({ isDraining, drainsForMs, waiting: waits }) => {
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
    'No process shares this board by a ledger.',
  )
  fill(
    'waiting',
    ['waits in this process', 'asks for', 'priority', 'since'],
    waiting.map((each) => [isolated(each.label), size(each.bytes), String(each.priority), time(each.sinceMs)]),
    'Nobody waits.',
  )
}

const kindOf = ({ label, requestedBytes, pinned, transient }) => {
  if (label === undefined && requestedBytes === undefined) return 'free'
  return pinned ? 'pinned' : transient ? 'transient' : 'long'
}

function slabPicture({ index, sizeBytes, usedBytes, blocks }) {
  const shapes = blocks.map((block) => {
    const kind = kindOf(block)
    const title = drawing(
      'title',
      {},
      `${visible(block.label ?? kinds[kind])}, ${kinds[kind]}, ${bytes(block.sizeBytes)}`,
    )
    const place = { x: (block.offsetBytes / sizeBytes) * 1000, width: (block.sizeBytes / sizeBytes) * 1000, height: 1 }
    return drawing('rect', { ...place, class: `${kind} edged` }, title)
  })
  const name = `slab ${index}, ${bytes(sizeBytes)}, ${((usedBytes / sizeBytes) * 100).toFixed(1)} % used`
  const picture = {
    class: 'blocks',
    viewBox: '0 0 1000 1',
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': name,
  }
  return element('div', 'slab', element('p', 'quiet', name), drawing('svg', picture, ...shapes))
}

function drawPools({ pools }) {
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
  byId('pools').replaceChildren(
    ...(sections.length > 0 ? sections : [element('p', 'quiet', 'This program has no pools.')]),
  )
}

function drawProcesses({ processes }) {
  const rows = processes.map((process) => [
    isolated(process.command),
    String(process.pid),
    size(process.rssBytes),
    size(process.anonymousBytes),
    size(process.shmemBytes),
  ])
  fill('processes', ['command', 'pid', 'resident', 'anonymous', 'shared'], rows, 'None that this user may see.')
}

function drawLogs({ events, refusals }) {
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
  byId('refusals').replaceChildren(...(refused.length > 0 ? refused : [element('li', 'quiet', 'None was told of.')]))
  const happened = events.map(({ timeMs, kind, text }) =>
    element('li', '', clock(timeMs), element('strong', '', symbols[kind] ?? kind), ' ', visible(text)),
  )
  byId('events').replaceChildren(
    ...(happened.length > 0 ? happened : [element('li', 'quiet', 'Nothing has happened.')]),
  )
}

/** What shows which parts of the state. */
const views = [
  [drawFigures, ['moment', 'availableBytes', 'peakBytes', 'level', 'pressure']],
  [drawTerms, ['terms', 'headroom']],
  [drawTreemap, ['labels', 'moment']],
  [drawShared, ['holders', 'waiting']],
  [drawPools, ['pools']],
  [drawProcesses, ['processes']],
  [drawLogs, ['events', 'refusals']],
]

/** Takes what is new of the state, and shows it. */
function take(changed) {
  for (const [name, part] of Object.entries(changed)) {
    if (part === null) delete state[name]
    else state[name] = part
  }
  if (state.error) return tell(state.error)
  tell('live')
  if (moments.at(-1)?.timeMs !== state.moment.timeMs) moments = [...moments.slice(1 - MAX_MOMENTS), state.moment]
  drawChart()
  for (const [draw, parts] of views) if (parts.some((part) => part in changed)) draw(state)
}

function tell(text) {
  const connection = byId('connection')
  if (connection.textContent !== text) connection.textContent = text
}

function connect() {
  const source = new EventSource('/events')
  source.addEventListener('history', ({ data }) => {
    moments = JSON.parse(data)
    drawChart()
  })
  source.addEventListener('state', ({ data }) => {
    state = {}
    take(JSON.parse(data))
  })
  source.addEventListener('change', ({ data }) => take(JSON.parse(data)))
  source.onerror = () =>
    tell(source.readyState === EventSource.CLOSED ? 'ended; open another link' : 'connecting again')
}

makeChart()
connect()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', makeChart)
new ResizeObserver(() => {
  const { clientWidth: width, clientHeight: height } = byId('chart')
  if (width !== chart.width || height !== chart.height) chart.setSize({ width, height })
}).observe(byId('chart'))
