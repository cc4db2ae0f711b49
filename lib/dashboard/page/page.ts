// Draws the dashboard from what the server sends.

import type { DashboardMoment, DashboardState } from 'plimsoll/dashboard'
import { byId, clock, element, figures, isolated, size, time, visible } from '../../report/page/tools.js'
import { drawMoments, makeChart } from './chart.js'
import { drawPools, OF_SERVERS } from './pools.js'
import { fill } from './table.js'
import { drawTreemap } from './treemap.js'

/** What was sent, some of it not yet. */
type State = DashboardState & { error?: string }

/** Moments that the chart shows at most. */
const MAX_MOMENTS = 600

const symbols: Readonly<Record<string, string>> = { normal: '● normal', warning: '▲ warning', critical: '■ critical' }

let moments: DashboardMoment[] = []
/** All that was sent, as it is now. */
let state = {} as State

const drawChart = (): void => drawMoments(moments)

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
  // What is taken off the least of them, so that the figures of the page add up.
  const pending = headroom ? [['granted and not yet taken', 'headroom', size(-headroom.pendingBytes)]] : []
  fill('terms', ['what it is', 'of', 'bound'], [...ofLine, ...ofRoom, ...pending], 'none')
}

function drawShared({ holders, ledgerError, waiting }: State): void {
  const stateOf = ({ isDraining, drainsForMs, waiting: waits }: (typeof holders)[number]): Node | string => {
    if (isDraining) return `drains, ${time(drainsForMs)} left`
    return waits ? element('span', '', 'waits for ', size(waits.bytes)) : 'holds'
  }
  fill(
    'holders',
    ['process', 'pid', 'held', 'not yet taken', 'state'],
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
    ['label', 'asks for', 'priority', 'since'],
    waiting.map((each) => [isolated(each.label), size(each.bytes), String(each.priority), time(each.sinceMs)]),
    'Nobody waits.',
  )
}

/** A command line of any length: its first lines, and all of it where a pointer rests. */
function commandOf(command: string): HTMLElement {
  const made = isolated(command)
  made.className = 'command'
  made.title = visible(command)
  return made
}

function drawProcesses({ processes }: State): void {
  const isTold = processes.some(({ gpuBytes }) => gpuBytes !== undefined)
  const rows = processes.map((process) => [
    commandOf(process.command),
    String(process.pid),
    process.isLoaded ? 'loaded' : 'not loaded',
    size(process.rssBytes),
    size(process.anonymousBytes),
    size(process.shmemBytes),
    ...(isTold ? [size(process.gpuBytes)] : []),
  ])
  const heads = ['command', 'pid', 'plimsoll', 'resident', 'anonymous', 'shared', ...(isTold ? ['of the GPU'] : [])]
  fill('processes', heads, rows, 'None that this user may see.')
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
      : [
          element(
            'li',
            'quiet',
            level ? `The level is ${level}; nothing has changed since the dashboard began.` : 'No monitor runs.',
          ),
        ]),
  )
}

/** What shows which parts of the state. */
const views: readonly [draw: (state: State) => void, parts: readonly (keyof State)[]][] = [
  [drawFigures, ['moment', 'availableBytes', 'peakBytes', 'level', 'pressure']],
  [drawTerms, ['terms', 'headroom']],
  [
    // What is granted in all changes with them.
    ({ labels, labelCount, moment }) => drawTreemap(labels, labelCount, moment.allocatedBytes),
    ['labels', 'labelCount'],
  ],
  [drawShared, ['holders', 'ledgerError', 'waiting']],
  [drawPools, ['pools', 'hasManager', 'buffers', 'bufferCount']],
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
  if (update.kind === 'connection') {
    clearTimeout(silence)
    say(update.text)
  } else if (update.kind === 'history') {
    moments = update.moments
    drawChart()
  } else takeParts(update.parts, update.kind === 'state')
}

function takeParts(parts: object, areAll: boolean): void {
  const now = Object.entries({ ...(areAll ? {} : state), ...parts }).filter(([, part]) => part !== null)
  state = Object.fromEntries(now) as unknown as State
  say(state.error ?? 'live')
  waitForNext(state.intervalMs)
  if (state.error) return
  if (moments.at(-1)?.timeMs !== state.moment.timeMs) moments = [...moments.slice(1 - MAX_MOMENTS), state.moment]
  drawChart()
  for (const [draw, shown] of views) if (shown.some((part) => part in parts)) draw(state)
}

/** How long nothing may come before that is said: so many updates, and a moment at least. */
const SILENCE = { updates: 3, leastMs: 5000 }

let silence: ReturnType<typeof setTimeout> | undefined

/** Figures that are old must not look as if they were live: a server that stands still does not end the connection. */
function waitForNext(intervalMs = 0): void {
  clearTimeout(silence)
  const now = clock(Date.now()).textContent
  const waitMs = Math.max(SILENCE.updates * intervalMs, SILENCE.leastMs)
  silence = setTimeout(() => say(`nothing has come since ${now}`), waitMs)
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
