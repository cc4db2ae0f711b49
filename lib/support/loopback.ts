import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { systemError } from './errors.js'

/** The address that a server for this machine alone listens at. */
const LOOPBACK = '127.0.0.1'

/** Connections at once: whoever is on this machine can open them, without a token. */
const MAX_CONNECTIONS = 40

/** How long a connection may say nothing and read nothing, in milliseconds, and how long a request may take to come in. */
const PATIENCE_MS = 10_000

/** A server that nobody reaches from elsewhere. */
export interface LoopbackServer {
  readonly port: number
  /** Ends it, and the connections that are open. */
  close: () => Promise<void>
}

/**
 * Whether a request names this machine by what nobody else can make it: a page of the web whose name was made to lead here still says its own
 * name. The port does not matter: it may be a tunnel's.
 */
export const isLoopbackHost = (host: string | undefined): boolean =>
  /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/i.test(host ?? '')

/** Serves at a port of this machine, or with 0 at any that is free. Rejects with an {@link IoError} where that is taken. */
export function serveLoopback(port: number, listener: RequestListener): Promise<LoopbackServer> {
  const server = createServer(
    {
      requestTimeout: PATIENCE_MS,
      headersTimeout: PATIENCE_MS,
      connectionsCheckingInterval: PATIENCE_MS / 4,
    },
    oneAtATime(listener),
  )
  server.maxConnections = MAX_CONNECTIONS
  server.timeout = PATIENCE_MS
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      const address = `${LOOPBACK}:${port}`
      const advice = '; choose another port, or 0 for any that is free'
      reject(systemError(address, `expected to listen at ${address}`, cause, advice))
    }
    server.once('error', fail)
    server.listen(port, LOOPBACK, () => {
      server.off('error', fail)
      resolve({ port: (server.address() as AddressInfo).port, close })
    })
  })
}

/**
 * A connection that asks again before it was answered is cut off: the answers to those who ask and do not read would be kept without end. No
 * browser does that, nor Prometheus.
 */
function oneAtATime(listener: RequestListener): RequestListener {
  const waiting = new WeakSet<Socket>()
  return (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    // What else came with what it was cut off for is read on.
    if (socket.destroyed) return
    if (waiting.has(socket)) {
      socket.destroy()
      return
    }
    waiting.add(socket)
    response.once('close', () => waiting.delete(socket))
    listener(request, response)
  }
}
