import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { REFUSALS } from '../budget/refusals.js'
import {
  Admission,
  MemoryBudget,
  type MemoryMonitor,
  type MonitorEvents,
  type PoolSnapshot,
  type RefusalNotice,
  type RefusedRequest,
} from '../index.js'
import type { CheckedMetricsOptions } from '../metrics/options.js'
import * as check from '../support/check.js'
import { invalidArgument, leftTo, quoted, released } from '../support/errors.js'
import { type LoopbackServer, serveLoopback } from '../support/loopback.js'
import { shownText } from './bounded.js'
import { Changes } from './changes.js'
import { Found } from './found.js'
import { isOwn, Keys } from './keys.js'
import { type DashboardOptions, dashboardChecks } from './options.js'
import { type DashboardPage, dashboardPage } from './page.js'
import { refusalOf } from './refusal.js'
import {
  type DashboardEvent,
  type DashboardMoment,
  type DashboardState,
  figuresOf,
  type Sources,
  stateOf,
} from './state.js'

/** Moments that a page which is opened gets at once. */
const MAX_MOMENTS = 600

/** A clock that differs so much from one that is never set was set, in milliseconds. */
const CLOCK_STEP_MS = 2000

/** Events and refusals that are kept. */
const MAX_KEPT = 50

/** Pages that are open at once. */
const MAX_PAGES = 24

/** A page that does not read is cut off before it holds more than this, in bytes. */
const MAX_UNREAD_BYTES = 4 * 2 ** 20

/** What the constructor asks for. It is no symbol of the package's entry, which would have to give that out. */
const token = Symbol('dashboard')

/**
 * A dashboard that is served.
 *
 * @example
 * await using dashboard = await serveDashboard({ manager })
 * console.log(`open ${dashboard.link()}`)
 */
export class Dashboard implements AsyncDisposable {
  readonly #sources: Sources
  readonly #intervalMs: number
  readonly #server: LoopbackServer
  readonly #keys: Keys
  readonly #page: DashboardPage
  readonly #found = new Found()
  readonly #streams = new Set<ServerResponse>()
  readonly #changes = new Changes()
  readonly #moments: DashboardMoment[] = []
  /** When this program began, by the clock as it is set now. */
  #startMs = 0
  readonly #events: DashboardEvent[] = []
  /** What its budget does not know of. */
  readonly #refusals: RefusedRequest[] = []
  /** The errors that are among those or known to its budget: who knows of one may pass it on. */
  readonly #known = new WeakSet<object>()
  readonly #unlisten: (() => void)[] = []
  readonly #ticks: NodeJS.Timeout
  #reading: Promise<DashboardState> | undefined
  #isTicking = false
  #closing: Promise<void> | undefined

  private constructor(given: typeof token, budget: MemoryBudget, options: Checked, server: LoopbackServer) {
    if (given !== token) throw leftTo('Dashboard', 'serveDashboard()')
    const { manager, ledger, linkMs = 600_000, intervalMs = 1000 } = options
    const monitor = options.monitor ?? (manager?.closed === false ? manager.monitor : undefined)
    const queue = manager?.admission ?? new Admission(budget)
    this.#sources = { budget, manager, monitor, queue, ledger }
    this.#intervalMs = intervalMs
    this.#server = server
    this.#page = dashboardPage()
    this.#keys = new Keys(server.port, linkMs)
    this.#remember(figuresOf(this.#sources).moment)
    this.#ticks = setInterval(() => this.#tick(), intervalMs)
    if (!manager) this.#unlisten.push(() => queue.close())
    this.#watchRefusals(budget)
    if (monitor) this.#listen(monitor)
  }

  /** @internal */
  static async open(options: DashboardOptions | undefined): Promise<Dashboard> {
    const checked = check.options<Checked>(options, dashboardChecks)
    const budget = checked.budget ?? checked.manager?.budget ?? MemoryBudget.forThisMachine()
    let dashboard: Dashboard | undefined
    const server = await serveLoopback(checked.port ?? 0, (request, response) => {
      if (dashboard) dashboard.#answer(request, response)
      else response.destroy()
    })
    try {
      dashboard = new Dashboard(token, budget, checked, server)
      return dashboard
    } catch (error) {
      await server.close()
      throw error
    }
  }

  /** Where it is. Nothing is shown there without a {@link link}. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/`
  }

  /** The port of 127.0.0.1. */
  get port(): number {
    return this.#server.port
  }

  /**
   * An address that opens the page once, in the browser of whoever gets it first; that browser may come back without it.
   *
   * @throws {@link ReleasedError} after {@link close}.
   */
  link(): string {
    if (this.#closing) throw released('the dashboard')
    return `${this.url}?token=${this.#keys.issue()}`
  }

  /**
   * Shows a refusal with its advice. Those of its budget, and of all that share what is allocated with it in any thread, it shows by itself;
   * this is for what another budget or process refused.
   *
   * @throws {@link InvalidArgumentError} for what is no error of a refusal.
   */
  refused(error: RefusalNotice['error']): void {
    const refusal = refusalOf(error)
    if (!refusal) {
      const expected = 'an InsufficientMemoryError, a NeverFitsError, a TimeoutError or the BusyError of a queue'
      throw invalidArgument('error', expected, quoted(error))
    }
    if (this.#known.has(error)) return
    this.#known.add(error)
    keep(this.#refusals, refusal)
  }

  /** All that the pages show now. Pressure is read every two seconds, and the processes are looked for every ten. */
  state(): Promise<DashboardState> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<DashboardState> {
    const found = await this.#found.now()
    const events = [...this.#events]
    return stateOf(this.#sources, { ...found, intervalMs: this.#intervalMs, events, refusals: this.#allRefusals() })
  }

  /** Those of the budget with what it does not know of, the latest first. */
  #allRefusals(): RefusedRequest[] {
    const { latest } = this.#sources.budget.refusedRequests()
    return [...latest, ...this.#refusals].sort((one, other) => other.timeMs - one.timeMs).slice(0, MAX_KEPT)
  }

  /** Ends it, and the pages that are open. Idempotent. */
  close(): Promise<void> {
    clearInterval(this.#ticks)
    for (const unlisten of this.#unlisten.splice(0)) unlisten()
    this.#closing ??= this.#server.close()
    return this.#closing
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #watchRefusals(budget: MemoryBudget): void {
    const listener = (notice: unknown) => {
      const { error, isOf } = notice as RefusalNotice
      if (isOf(budget)) this.#known.add(error)
    }
    subscribe(REFUSALS, listener)
    this.#unlisten.push(() => unsubscribe(REFUSALS, listener))
  }

  #listen(monitor: MemoryMonitor): void {
    const on = <E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void) => {
      monitor.on(event, listener)
      this.#unlisten.push(() => monitor.off(event, listener))
    }
    const happened = (kind: DashboardEvent['kind'], text: string) =>
      keep(this.#events, { timeMs: Date.now(), kind, text: shownText(text) })
    for (const kind of ['normal', 'warning', 'critical'] as const) {
      on(kind, ({ constraint, usedPercent }) => happened(kind, `${usedPercent.toFixed(1)} % in use: ${constraint}`))
    }
    on('pressure', ({ constraint }) => happened('pressure', `tasks stand still for want of memory: ${constraint}`))
    on('kill', (_, count) => happened('kill', `the OOM killer has killed ${count}`))
    on('unavailable', (reason) => happened('unavailable', reason))
  }

  /** Where the clock was set, what was before has no place on the same axis. */
  #remember(moment: DashboardMoment): void {
    const startMs = moment.timeMs - performance.now()
    if (Math.abs(startMs - this.#startMs) > CLOCK_STEP_MS && this.#moments.splice(0).length > 0) {
      for (const stream of this.#streams) stream.write('event: history\ndata: []\n\n')
    }
    this.#startMs = startMs
    this.#moments.push(moment)
    if (this.#moments.length > MAX_MOMENTS) this.#moments.shift()
  }

  /** What cannot be read is no moment: it must not end the program that is watched. */
  #rememberNow(): void {
    try {
      this.#remember(figuresOf(this.#sources).moment)
    } catch {
      // A page that is opened is told why.
    }
  }

  /** One reading for all the pages that are open, and one text with what is new in it. */
  async #tick(): Promise<void> {
    if (this.#streams.size === 0) return this.#rememberNow()
    // The last one is not over yet.
    if (this.#isTicking) return
    this.#isTicking = true
    const state = await this.#shown()
    this.#isTicking = false
    if ('moment' in state) this.#remember(state.moment)
    const event = this.#changes.eventOf(state)
    for (const stream of this.#streams) {
      if (stream.writableLength > MAX_UNREAD_BYTES) stream.destroy()
      else stream.write(event)
    }
  }

  /** The state as pages get it, or why it cannot be read. A pool where nothing happens is the same at any time. */
  async #shown(): Promise<Shown | { error: string }> {
    try {
      const { pools, ...state } = await this.state()
      return { ...state, pools: pools.map(({ timeMs: _, ...pool }) => pool) }
    } catch (error) {
      return { error: (error as Error).message }
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): unknown {
    response.setHeader('cache-control', 'no-store')
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('referrer-policy', 'no-referrer')
    response.setHeader('cross-origin-resource-policy', 'same-origin')
    const refuse = (status: number) => response.writeHead(status).end()
    if (!isOwn(request)) return refuse(403)
    if (request.method !== 'GET') return refuse(405)
    const [path, query] = (request.url ?? '').split('?', 2)
    const parameters = new URLSearchParams(query)
    const token = path === '/' ? parameters.get('token') : null
    const session = token === null ? undefined : this.#keys.redeem(token)
    if (session) {
      // What stands behind a # no browser sends to a server.
      return response.writeHead(303, { location: `/#${session.key}`, 'set-cookie': session.cookie }).end()
    }
    if (!this.#keys.admits(request)) return path === '/' ? refuseWithAdvice(response) : refuse(403)
    // Whoever opens a link again has the cookie that came for it.
    if (token !== null) return response.writeHead(303, { location: '/' }).end()
    if (path === '/') return this.#sendPage(response)
    if (path === '/events') return this.#keys.opens(parameters.get('key')) ? this.#sendEvents(response) : refuse(403)
    return refuse(404)
  }

  #sendPage(response: ServerResponse): void {
    const { html, policy } = this.#page
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy }).end(html)
  }

  async #sendEvents(response: ServerResponse): Promise<void> {
    // It ends with the connection: an event is one write, without the frame of a chunk around it.
    response.removeHeader('transfer-encoding')
    // It may say nothing for a minute.
    response.socket?.setTimeout(0)
    response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' })
    if (this.#streams.size >= MAX_PAGES) {
      response.end(`retry: 10000\nevent: full\ndata: ${MAX_PAGES}\n\n`)
      return
    }
    response.write(`retry: 2000\nevent: history\ndata: ${JSON.stringify(this.#moments)}\n\n`)
    const state = await this.#shown()
    if (response.destroyed) return
    response.write(`event: state\ndata: ${JSON.stringify(state)}\n\n`)
    this.#changes.sendAll()
    this.#streams.add(response)
    response.once('close', () => this.#streams.delete(response))
  }
}

type Shown = Omit<DashboardState, 'pools'> & { pools: Omit<PoolSnapshot, 'timeMs'>[] }

type Checked = Omit<DashboardOptions, 'ledger'> & Pick<CheckedMetricsOptions, 'ledger'>

/** What a browser shows that has no cookie: what to do, and nothing of what the pages show. */
const ADVICE =
  'This page opens by a link that was not used and is not too old: ' +
  'press Enter where plimsoll dashboard runs for one, or have your program print one.\n'

const refuseWithAdvice = (response: ServerResponse) =>
  response.writeHead(403, { 'content-type': 'text/plain; charset=utf-8' }).end(ADVICE)

/** The latest first, and not too many. */
function keep<T>(list: T[], item: T): void {
  list.unshift(item)
  if (list.length > MAX_KEPT) list.pop()
}

/**
 * Serves a page on 127.0.0.1 that shows memory as it is. Whoever opens a {@link Dashboard.link} first may look, and nobody else. It keeps the
 * process alive until it is closed.
 *
 * Rejects with {@link InvalidArgumentError} for an unknown or unfit option, and with {@link IoError} where the port is taken.
 *
 * @example
 * await using dashboard = await serveDashboard({ manager })
 * console.log(dashboard.link())
 */
export const serveDashboard = (options?: DashboardOptions): Promise<Dashboard> => Dashboard.open(options)
