import type { IncomingMessage, ServerResponse } from 'node:http'
import { isPromise } from 'node:util/types'
import { MemoryManager } from '../index.js'
import * as check from '../support/check.js'
import { invalidArgument } from '../support/errors.js'
import { answer, type ErrorAnswer, errorAnswer } from './answer.js'
import { found, type Pressure, type PressureOptions, pressureChecks } from './pressure.js'

/** What every middleware takes. */
export interface MemoryPressureOptions<Request = IncomingMessage, Response = ServerResponse> extends PressureOptions {
  /** Whose budget, monitor and queue are looked at. */
  manager: MemoryManager
  /**
   * Is called instead of the answer with 503. One that returns a promise answers by itself; else the request goes on where it
   * has answered nothing. In Fastify what it returns, or resolves to, is sent. None by default.
   */
  pressureHandler?: (request: Request, response: Response, pressure: Pressure) => unknown
}

const checks = {
  ...pressureChecks,
  manager: (name: string, value: unknown) => check.closable(name, value, MemoryManager),
  pressureHandler: (name: string, value: unknown) =>
    check.callback<(request: unknown, response: unknown, pressure: Pressure) => unknown>(name, value),
} as const

function checkedOptions<Request, Response>(options: unknown): MemoryPressureOptions<Request, Response> {
  const checked = check.options<MemoryPressureOptions<unknown, unknown>>(options, checks)
  if (checked.manager === undefined) throw invalidArgument('manager', 'given', undefined)
  return checked as unknown as MemoryPressureOptions<Request, Response>
}

/** Middleware as Express, Connect and plain `node:http` call it. */
export type MemoryPressureMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => boolean

/**
 * Refuses requests with 503 and `Retry-After` while memory is short, before anything is done for them. Express and Connect take what it
 * returns as it is; a plain `node:http` server calls it first, and goes on where it returns `true`.
 *
 * @throws {@link InvalidArgumentError} for an unfit option.
 * @example
 * app.use(memoryPressure({ manager, retryAfter: 5 })) // Express
 * createServer((request, response) => { if (refuses(request, response)) serve(request, response) }) // node:http
 */
export function memoryPressure(options: MemoryPressureOptions): MemoryPressureMiddleware {
  const { manager, retryAfter, pressureHandler, ...bounds } = checkedOptions<IncomingMessage, ServerResponse>(options)
  return (request, response, next) => {
    const pressure = manager.closed ? undefined : found(manager, bounds)
    if (pressure) {
      if (pressureHandler === undefined) {
        send(response, refusal(manager, pressure, retryAfter))
        return false
      }
      const handled = pressureHandler(request, response, pressure)
      if (isPromise(handled)) {
        // It answers in its time; what it fails by is the application's, or ends the connection.
        handled.catch((error: unknown) => (next ? next(error) : response.destroy(error as Error)))
        return false
      }
      if (response.headersSent || response.writableEnded) return false
    }
    next?.()
    return true
  }
}

/**
 * Answers errors of this package that reach the end of an Express or Connect application: 503 with `Retry-After` where it may be granted
 * later, 400 where it never is. Others go on to the next.
 *
 * @example
 * app.use(memoryErrors({ retryAfter: 5 })) // behind all routes
 */
export function memoryErrors(options?: { retryAfter?: number }) {
  const { retryAfter: seconds = 10 } = check.options<{ retryAfter?: number }>(options, {
    retryAfter: pressureChecks.retryAfter,
  })
  // Express knows a handler of errors by its four parameters.
  return (
    error: unknown,
    _request: IncomingMessage,
    response: ServerResponse,
    next: (error?: unknown) => void,
  ): void => {
    const found = response.headersSent ? undefined : errorAnswer(error, seconds)
    if (found) send(response, found)
    else next(error)
  }
}

/** What of Fastify is used here, so that its package need not be there. */
interface FastifyReplyLike {
  code(status: number): this
  headers(headers: Record<string, string>): this
  send(body: unknown): unknown
  sent: boolean
  readonly statusCode: number
}

/** An instance of Fastify, of any version and with any types of its own. */
interface FastifyLike {
  addHook(...parameters: never[]): unknown
  decorate(...parameters: never[]): unknown
}

/** The same as it is called here. */
interface FastifyCalls {
  addHook(name: 'onRequest', hook: (request: unknown, reply: FastifyReplyLike) => Promise<unknown>): unknown
  addHook(name: 'onError', hook: (request: object, reply: FastifyReplyLike, error: unknown) => Promise<void>): unknown
  addHook(
    name: 'onSend',
    hook: (request: object, reply: FastifyReplyLike, payload: unknown) => Promise<unknown>,
  ): unknown
  decorate(name: string, value: unknown): unknown
}

/** What Fastify makes of an error that nobody has given a status. */
const NO_STATUS = 500

/**
 * The same as a plugin of Fastify, with answers for the errors of this package that handlers throw: for those that the application's own
 * error handler leaves to Fastify, with no status of their own. That handler stays as it is. `app.memoryPressure()` tells how it stands.
 *
 * @example
 * await app.register(fastifyMemoryPressure, { manager, retryAfter: 5 })
 */
export async function fastifyMemoryPressure(
  instance: FastifyLike,
  options: MemoryPressureOptions<unknown, unknown>,
): Promise<void> {
  const { manager, retryAfter = 10, pressureHandler, ...bounds } = checkedOptions<unknown, unknown>(options)
  const calls = instance as FastifyCalls
  calls.decorate('memoryPressure', () => (manager.closed ? undefined : found(manager, bounds)))
  calls.addHook('onRequest', async (request, reply) => {
    const pressure = manager.closed ? undefined : found(manager, bounds)
    if (pressure === undefined) return undefined
    if (pressureHandler === undefined) return answered(reply, refusal(manager, pressure, retryAfter))
    const handled = await pressureHandler(request, reply, pressure)
    if (handled !== undefined && !reply.sent) return reply.send(handled)
    return reply.sent ? reply : undefined
  })
  const errors = new WeakMap<object, ErrorAnswer>()
  // Only for what goes to the client as an error: what a handler of the application's has answered never comes here.
  calls.addHook('onError', async (request, _reply, error) => {
    const found = errorAnswer(error, retryAfter)
    if (found) errors.set(request, found)
  })
  calls.addHook('onSend', async (request, reply, payload) => {
    const found = errors.get(request)
    if (found === undefined || reply.statusCode !== NO_STATUS) return payload
    const { status, headers, body } = found
    const text = JSON.stringify(body)
    reply.code(status).headers({ ...headers, 'content-length': String(Buffer.byteLength(text)) })
    return text
  })
}

// Fastify gives a plugin an instance of its own unless it says this; then only routes within would be guarded.
Object.defineProperty(fastifyMemoryPressure, Symbol.for('skip-override'), { value: true })
Object.defineProperty(fastifyMemoryPressure, Symbol.for('fastify.display-name'), { value: 'plimsoll' })

const answered = (reply: FastifyReplyLike, { status, headers, body }: ErrorAnswer): unknown =>
  reply.code(status).headers(headers).send(body)

function refusal({ budget }: MemoryManager, pressure: Pressure, retryAfter = 10): ErrorAnswer {
  const { message, ...short } = pressure
  const numbers = { pressure: short, lineBytes: budget.lineBytes, allocatedBytes: budget.allocatedBytes }
  return answer(503, 'server_error', 'memory_pressure', `${message}: try again in ${retryAfter} s`, numbers, retryAfter)
}

function send(response: ServerResponse, { status, headers, body }: ErrorAnswer): void {
  response.writeHead(status, headers)
  response.end(JSON.stringify(body))
}
