import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isLoopbackHost } from '../support/loopback.js'

const secret = (): string => randomBytes(32).toString('base64url')

/** Compared by their hashes: neither length nor content shows in the time it takes. */
const same = (a: string, b: string): boolean => timingSafeEqual(hashOf(a), hashOf(b))

const hashOf = (text: string) => createHash('sha256').update(text).digest()

/** What a link is kept by: to find it tells nothing of its token by the time that takes. */
const nameOf = (token: string): string => hashOf(token).toString('base64url')

/** What whoever opened a link has: a cookie that brings the page, and a key that brings figures with it. */
export interface Session {
  /** As a header sets it. */
  readonly cookie: string
  /** What a browser keeps for this server alone, at its port. */
  readonly key: string
}

/**
 * Links that open a page once, and the sessions they became. A port is no part of a cookie's site: other servers of this machine are sent the
 * cookie, too, and so it alone brings no figures.
 */
export class Keys {
  readonly #linkMs: number
  readonly #cookie: string
  readonly #session = secret()
  readonly #key = secret()
  /** When each is too old: the oldest first, as all are good for the same time. */
  readonly #links = new Map<string, number>()

  constructor(port: number, linkMs: number) {
    this.#cookie = `plimsoll-${port}`
    this.#linkMs = linkMs
  }

  /** A token that opens a page once, while it is not too old. */
  issue(): string {
    this.#dropOld()
    const token = secret()
    this.#links.set(nameOf(token), performance.now() + this.#linkMs)
    return token
  }

  /** Takes a token, and gives a session for it; nothing for one that is wrong, too old or was taken. */
  redeem(token: string): Session | undefined {
    this.#dropOld()
    if (!this.#links.delete(nameOf(token))) return undefined
    const cookie = `${this.#cookie}=${this.#session}; HttpOnly; SameSite=Strict; Path=/`
    return { cookie, key: this.#key }
  }

  #dropOld(): void {
    const now = performance.now()
    for (const [link, endMs] of this.#links) {
      if (endMs >= now) return
      this.#links.delete(link)
    }
  }

  /** Whether a request that has the cookie has the key, too. */
  opens(key: string | null): boolean {
    return key !== null && same(key, this.#key)
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
