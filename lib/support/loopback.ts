import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemError } from './errors.js'

/** The address that a server for this machine alone listens at. */
const LOOPBACK = '127.0.0.1'

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
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, listener)
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
