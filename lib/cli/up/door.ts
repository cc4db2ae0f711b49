import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { type Address, addressText, target } from './address.js'
import { refuse } from './answers.js'
import type { Instance } from './instance.js'
import { InstanceError } from './instance-error.js'

/** Where connections of an instance are taken, and passed on to it byte for byte. */
export class Door {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(instance: Instance, server: Server) {
    this.#server = server
    server.on('connection', (client: Socket) => {
      this.#sockets.add(client)
      instance.connected()
      client.once('close', () => {
        this.#sockets.delete(client)
        instance.disconnected()
      })
      // Its end says the rest.
      client.on('error', () => {})
      take(instance, client)
    })
    // What comes after it listens is of one connection, which did not come about.
    server.on('error', () => {})
  }

  /** Rejects with an {@link InstanceError} where nobody can listen there. */
  static open(instance: Instance, address: Address): Promise<Door> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true })
      server.once('error', (error) => {
        const what = `cannot be reached at ${addressText(address)}: ${error.message}`
        reject(new InstanceError(instance.settings.id, what))
      })
      server.listen({ port: address.port, ...(address.host !== undefined && { host: address.host }) }, () => {
        resolve(new Door(instance, server))
      })
    })
  }

  /** Takes no more connections. */
  close(): void {
    this.#server.close()
  }

  /** Ends the connections that are left, once what was written to them is sent. */
  endConnections(): void {
    for (const socket of this.#sockets) socket.destroySoon()
  }
}

/** How long one that takes no connection is left alone: it may have ended, which is not known yet. */
const AGAIN_MS = 50

async function take(instance: Instance, client: Socket): Promise<void> {
  const deadlineMs = Date.now() + instance.settings.waitTimeoutMs
  try {
    const upstream = await connectedBy(instance, client, deadlineMs)
    if (client.destroyed) upstream.destroy()
    else pass(client, upstream)
  } catch (error) {
    refuse(client, error)
  }
}

async function connectedBy(instance: Instance, client: Socket, deadlineMs: number): Promise<Socket> {
  for (;;) {
    const address = await instance.reach(client)
    try {
      return await connected(instance, address)
    } catch (error) {
      if (client.destroyed || Date.now() >= deadlineMs) throw error
      await pause(client)
    }
  }
}

/** Waits a while, or until the client has gone. */
async function pause(client: Socket): Promise<void> {
  const gone = new AbortController()
  const onClose = () => gone.abort()
  client.once('close', onClose)
  await after(AGAIN_MS, undefined, { signal: gone.signal }).catch(() => {})
  client.off('close', onClose)
}

function connected({ settings: { id } }: Instance, address: Address): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const upstream = connect({ ...target(address), allowHalfOpen: true, noDelay: true })
    const failed = (error: Error) => {
      reject(new InstanceError(id, `takes no connection at ${addressText(address)}: ${error.message}`, 1000))
    }
    upstream.once('error', failed)
    upstream.once('connect', () => {
      upstream.off('error', failed)
      resolve(upstream)
    })
  })
}

/** Passes bytes both ways, no faster than they are read, until both sides have ended. One that breaks breaks the other. */
function pass(client: Socket, upstream: Socket): void {
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => other.resetAndDestroy())
    one.once('close', () => other.destroySoon())
    one.pipe(other)
  }
}
