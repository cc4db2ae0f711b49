import { get } from 'node:http'
import { connect, createServer } from 'node:net'

/** Where something listens. */
export interface Address {
  /** All addresses of the machine, where there is none. */
  host: string | undefined
  port: number
}

const LOOPBACK = '127.0.0.1'

/** The address of a text that a plan was found to have. */
export function addressOf(text: string): Address {
  const at = text.lastIndexOf(':')
  const host = text.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  return { host: host === '' ? undefined : host, port: Number(text.slice(at + 1)) }
}

export const addressText = ({ host = '', port }: Address): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

/** Where to connect to. */
export const target = ({ host = LOOPBACK, port }: Address) => ({ host, port })

/** A port of this machine that nobody listens at. */
export function freeAddress(): Promise<Address> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, LOOPBACK, () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve({ host: LOOPBACK, port }))
    })
  })
}

/** How long one look may take. */
const LOOK_MS = 2000

/** Whether somebody takes connections there. */
export function accepts(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(target(address))
    const found = (isThere: boolean) => {
      socket.destroy()
      resolve(isThere)
    }
    socket.setTimeout(LOOK_MS, () => found(false))
    socket.once('error', () => found(false))
    socket.once('connect', () => found(true))
  })
}

/** Whether a path answers 2xx. */
export function answersWell(address: Address, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ ...target(address), path, agent: false, timeout: LOOK_MS }, (response) => {
      const { statusCode = 0 } = response
      request.destroy()
      resolve(statusCode >= 200 && statusCode < 300)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
    request.on('close', () => resolve(false))
  })
}
