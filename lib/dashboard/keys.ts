import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isLoopbackHost } from '../support/loopback.js'

const secret = (): string => randomBytes(32).toString('base64url')

/** Compared by their hashes: neither length nor content shows in the time it takes. */
const same = (a: string, b: string): boolean => timingSafeEqual(hashOf(a), hashOf(b))

const hashOf = (text: string) => createHash('sha256').update(text).digest()

/** Links that open a page once, and the sessions they became. */
export class Keys {
  readonly #linkMs: number
  /** The cookies of other servers of this machine come here too: a port is no part of a site. */
  readonly #cookie: string
  readonly #session = secret()
  readonly #links = new Map<string, number>()

  constructor(port: number, linkMs: number) {
    this.#cookie = `plimsoll-${port}`
    this.#linkMs = linkMs
  }

  /** A token that opens a page once, while it is not too old. */
  issue(): string {
    const token = secret()
    this.#links.set(token, performance.now() + this.#linkMs)
    return token
  }

  /** Takes a token, and gives the cookie for it; nothing for one that is wrong, too old or was taken. */
  redeem(token: string): string | undefined {
    let isGood = false
    for (const [link, endMs] of this.#links) {
      const isOver = performance.now() > endMs
      const isThis = same(link, token)
      if (isThis && !isOver) isGood = true
      if (isThis || isOver) this.#links.delete(link)
    }
    return isGood ? `${this.#cookie}=${this.#session}; HttpOnly; SameSite=Strict; Path=/` : undefined
  }

  /** Whether a request has the cookie. */
  admits({ headers }: IncomingMessage): boolean {
    const cookies = (headers.cookie ?? '').split(';').map((cookie) => cookie.trim())
    return cookies.some((cookie) => {
      const at = cookie.indexOf('=')
      return cookie.slice(0, at) === this.#cookie && same(cookie.slice(at + 1), this.#session)
    })
  }
}

/**
 * Whether a request comes from a page of this server, or from nobody's: it names this machine, which a page of the web whose name was made to
 * lead here does not, and no other page has sent it.
 */
export function isOwn({ headers }: IncomingMessage): boolean {
  const { host, origin, 'sec-fetch-site': site } = headers
  return (
    isLoopbackHost(host) &&
    (origin === undefined || origin === `http://${host}`) &&
    (site === undefined || site === 'same-origin' || site === 'none')
  )
}
