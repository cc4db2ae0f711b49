import type { IncomingMessage, ServerResponse } from 'node:http'
import { type InsufficientMemoryError, MemoryBudget, type MemoryManager, type MonitorEvents } from '../index.js'
import type { CheckedMetricsOptions } from '../metrics/options.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { type LoopbackServer, serveLoopback } from '../support/loopback.js'
import { isOwn, Keys } from './keys.js'
import { type DashboardOptions, dashboardChecks } from './options.js'
import { type DashboardPage, dashboardPage } from './page.js'
import {
  type DashboardEvent,
  type DashboardMoment,
  type DashboardRefusal,
  type DashboardState,
  momentOf,
  stateOf,
} from './state.js'

/** Moments that a page which is opened gets at once. */
const MAX_MOMENTS = 600

/** Events and refusals that are kept. */
const MAX_KEPT = 50

/** Pages that are open at once. */
const MAX_PAGES = 64

/** A page that does not read is cut off before it holds more than this, in bytes. */
const MAX_UNREAD_BYTES = 4 * 2 ** 20

/**
 * A dashboard that is served.
 *
 * @example
 * await using dashboard = await serveDashboard({ manager })
 * console.log(`open ${dashboard.link()}`)
 */
export class Dashboard implements AsyncDisposable {
  readonly #budget: MemoryBudget
  readonly #manager: MemoryManager | undefined
  readonly #ledger: CheckedMetricsOptions['ledger']
  readonly #server: LoopbackServer
  readonly #keys: Keys
  readonly #page: DashboardPage = dashboardPage()
  readonly #streams = new Set<ServerResponse>()
  readonly #moments: DashboardMoment[] = []
  readonly #events: DashboardEvent[] = []
  readonly #refusals: DashboardRefusal[] = []
  readonly #unlisten: (() => void)[] = []
  readonly #ticks: NodeJS.Timeout
  #reading: Promise<DashboardState> | undefined
  #closing: Promise<void> | undefined

  private constructor(budget: MemoryBudget, options: Checked, server: LoopbackServer) {
    this.#budget = budget
    this.#manager = options.manager
    this.#ledger = options.ledger
    this.#server = server
    this.#keys = new Keys(server.port, options.linkMs ?? 600_000)
    this.#remember()
    this.#ticks = setInterval(() => this.#tick(), options.intervalMs ?? 1000)
    if (this.#manager && !this.#manager.closed) this.#listen(this.#manager)
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
    dashboard = new Dashboard(budget, checked, server)
    return dashboard
  }

  /** Where it is. Nothing is shown there without a {@link link}. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/`
  }

  /** The port of 127.0.0.1. */
  get port(): number {
    return this.#server.port
  }

  /** An address that opens the page once, in the browser of whoever gets it first; that browser may come back without it. */
  link(): string {
    return `${this.url}?token=${this.#keys.issue()}`
  }

  /**
   * Shows a refusal with its advice. A budget tells nobody else of it than who asked.
   *
   * @throws {@link InvalidArgumentError} for what is no `InsufficientMemoryError`.
   */
  refused(error: InsufficientMemoryError): void {
    if (!check.isObject(error) || !check.canBeAsked(error) || error.code !== 'ERR_INSUFFICIENT_MEMORY') {
      throw invalidArgument('error', 'an InsufficientMemoryError', quoted(error))
    }
    const { label, requestedBytes, availableBytes, bindingConstraint, suggestion } = error
    keep(this.#refusals, {
      timeMs: Date.now(),
      label: `${label}`,
      requestedBytes: Number(requestedBytes),
      availableBytes: Number(availableBytes),
      bindingConstraint: `${bindingConstraint}`,
      suggestion: `${suggestion}`,
    })
  }

  /** All that the pages show now. */
  state(): Promise<DashboardState> {
    this.#reading ??= stateOf({
      budget: this.#budget,
      manager: this.#manager,
      ledger: this.#ledger,
      events: [...this.#events],
      refusals: [...this.#refusals],
    }).finally(() => {
      this.#reading = undefined
    })
    return this.#reading
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

  #listen({ monitor }: MemoryManager): void {
    const on = <E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void) => {
      monitor.on(event, listener)
      this.#unlisten.push(() => monitor.off(event, listener))
    }
    const happened = (kind: DashboardEvent['kind'], text: string) =>
      keep(this.#events, { timeMs: Date.now(), kind, text })
    for (const kind of ['normal', 'warning', 'critical'] as const) {
      on(kind, ({ constraint, usedPercent }) => happened(kind, `${usedPercent.toFixed(1)} % in use: ${constraint}`))
    }
    on('pressure', ({ constraint }) => happened('pressure', `tasks stand still for want of memory: ${constraint}`))
    on('kill', (_, count) => happened('kill', `the OOM killer has killed ${count}`))
    on('unavailable', (reason) => happened('unavailable', reason))
  }

  #remember(): DashboardMoment {
    const moment = momentOf(this.#budget)
    this.#moments.push(moment)
    if (this.#moments.length > MAX_MOMENTS) this.#moments.shift()
    return moment
  }

  /** One reading and one text for all the pages that are open. */
  async #tick(): Promise<void> {
    this.#remember()
    if (this.#streams.size === 0) return
    const text = await this.#stateText()
    for (const stream of this.#streams) {
      if (stream.writableLength > MAX_UNREAD_BYTES) stream.destroy()
      else stream.write(text)
    }
  }

  async #stateText(): Promise<string> {
    const state = await this.state().catch((error: Error) => ({ error: error.message }))
    return `event: state\ndata: ${JSON.stringify(state)}\n\n`
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
    const token = path === '/' && query !== undefined ? new URLSearchParams(query).get('token') : null
    if (token !== null) {
      const cookie = this.#keys.redeem(token)
      if (cookie === undefined) return refuse(403)
      return response.writeHead(303, { location: '/', 'set-cookie': cookie }).end()
    }
    if (!this.#keys.admits(request)) return refuse(403)
    if (path === '/') return this.#sendPage(response)
    if (path === '/events') return this.#sendEvents(response)
    return refuse(404)
  }

  #sendPage(response: ServerResponse): void {
    const { html, policy } = this.#page
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy }).end(html)
  }

  async #sendEvents(response: ServerResponse): Promise<void> {
    if (this.#streams.size >= MAX_PAGES) {
      response.writeHead(503).end()
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`retry: 2000\nevent: history\ndata: ${JSON.stringify(this.#moments)}\n\n`)
    response.write(await this.#stateText())
    if (response.destroyed) return
    this.#streams.add(response)
    response.once('close', () => this.#streams.delete(response))
  }
}

type Checked = Omit<DashboardOptions, 'ledger'> & Pick<CheckedMetricsOptions, 'ledger'>

/** The latest first, and not too many. */
function keep<T>(list: T[], item: T): void {
  list.unshift(item)
  if (list.length > MAX_KEPT) list.pop()
}

/**
 * Serves a page on 127.0.0.1 that shows memory as it is. Whoever opens a {@link Dashboard.link} first may look, and nobody else. It keeps the
 * process alive until it is closed.
 *
 * Rejects with {@link InvalidArgumentError} for an unknown or unfit option, and with the system's error where the port is taken.
 *
 * @example
 * await using dashboard = await serveDashboard({ manager })
 * console.log(dashboard.link())
 */
export const serveDashboard = (options?: DashboardOptions): Promise<Dashboard> => Dashboard.open(options)
