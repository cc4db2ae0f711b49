import type { IncomingMessage, ServerResponse } from 'node:http'
import * as check from '../support/check.js'
import { isLoopbackHost, serveLoopback } from '../support/loopback.js'
import { type MetricsOptions, metricsChecks } from './options.js'
import { type MetricsReader, metricsReader } from './read.js'
import { metricsContentType, metricsText } from './text.js'

/** What is served, and where. */
export interface ServeMetricsOptions extends MetricsOptions {
  /** The port of this machine's loopback, 127.0.0.1. 0 by default: any that is free. */
  port?: number
}

/** A server of metrics. */
export interface MetricsServer extends AsyncDisposable {
  /** Where Prometheus finds them. */
  readonly url: string
  /** The port of 127.0.0.1. */
  readonly port: number
  /** Ends it. Idempotent. */
  close: () => Promise<void>
}

const checks = {
  ...metricsChecks,
  port: (name: string, value: unknown) => check.integer(name, value, 0, 65_535),
} as const

/**
 * Serves `/metrics` on 127.0.0.1 for a Prometheus of this machine. Who calls it by another name than that of this machine is refused. It
 * keeps the process alive.
 *
 * Rejects with {@link InvalidArgumentError} for an unknown or unfit option, and with {@link IoError} where the port is taken.
 *
 * @example
 * await using server = await serveMetrics({ manager })
 * console.log(`Prometheus finds them at ${server.url}`)
 */
export async function serveMetrics(options?: ServeMetricsOptions): Promise<MetricsServer> {
  const { port = 0, ...rest } = check.options<ServeMetricsOptions>(options, checks)
  const read = metricsReader(check.own(rest))
  const server = await serveLoopback(port, (request, response) => void answer(read, request, response))
  return {
    url: `http://127.0.0.1:${server.port}/metrics`,
    port: server.port,
    close: server.close,
    [Symbol.asyncDispose]: server.close,
  }
}

async function answer(read: MetricsReader, { method, url, headers }: IncomingMessage, response: ServerResponse) {
  const end = (status: number, text: string, type = 'text/plain; charset=utf-8') =>
    response
      .writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
      .end(method === 'HEAD' ? undefined : text)
  if (!isLoopbackHost(headers.host)) return end(421, 'expected the name of this machine\n')
  if (url?.split('?')[0] !== '/metrics') return end(404, 'expected /metrics\n')
  if (method !== 'GET' && method !== 'HEAD') return end(405, 'expected GET\n')
  try {
    return end(200, metricsText(await read()), metricsContentType)
  } catch (error) {
    return end(500, `${(error as Error).message}\n`)
  }
}
