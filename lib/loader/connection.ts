import * as check from '../support/check.js'
import { IoError } from '../support/errors.js'

/** Redirects that are followed, one after the other. Hugging Face has two. */
const MAX_REDIRECTS = 10

const redirecting = new Set([301, 302, 303, 307, 308])

/** A file on a server that redirects somewhere where it is not followed. `reason` has no more of an address than can be shown. */
class RedirectError extends Error {}

/** An address as it is shown: without user and password, query and fragment, any of which may be secret. */
export const shownUrl = ({ protocol, host, pathname }: URL): string => `${protocol}//${host}${pathname}`

/** Asks for parts of files on a server. A body is open until the next request, or until the end. */
export class Connection {
  readonly #url: URL
  readonly #headers: Headers
  readonly #signal: AbortSignal
  /** Where the redirects of a file led to, which later requests of it ask at once. */
  #found: { fileName: string; url: URL } | undefined
  #body: ReadableStreamDefaultReader<Uint8Array> | undefined

  constructor(url: URL, headers: Headers, signal: AbortSignal) {
    this.#url = withoutUser(url)
    this.#headers = headers
    this.#signal = signal
    const user = userOf(url)
    if (user !== undefined && !headers.has('authorization')) headers.set('authorization', `Basic ${user}`)
  }

  /** Asks for `startBytes` up to, and without, `endBytes` of a file in the folder of the URL. */
  async request(
    fileName: string,
    startBytes: number,
    endBytes: number,
    ifRange: string | undefined,
  ): Promise<Response> {
    await this.close()
    // Of a range, `fetch` asks by itself for the bytes as they are (`accept-encoding: identity`).
    const range = new Headers({ range: `bytes=${startBytes}-${endBytes - 1}` })
    if (ifRange !== undefined) range.set('if-range', ifRange)
    const named = this.#found?.fileName === fileName ? this.#found.url : besideOf(this.#url, fileName)
    const { response, url } = await this.#follow(named, range)
    this.#found = { fileName, url }
    this.#body = response.body?.getReader()
    return response
  }

  async #follow(named: URL, range: Headers): Promise<{ response: Response; url: URL }> {
    let url = named
    for (let count = 0; count <= MAX_REDIRECTS; count++) {
      const headers = new Headers(range)
      // What is meant for one server is none of another's business.
      if (url.origin === this.#url.origin) for (const [name, text] of this.#headers) headers.set(name, text)
      const response = await fetch(url, check.own<RequestInit>({ headers, redirect: 'manual', signal: this.#signal }))
      const location = redirecting.has(response.status) ? response.headers.get('location') : null
      if (location === null) return { response, url }
      await response.body?.cancel()
      url = redirected(url, location)
    }
    throw new RedirectError(`expected at most ${MAX_REDIRECTS} redirects, got more; check the address`)
  }

  /** The next piece of the body; `undefined` at its end. */
  async read(): Promise<Uint8Array | undefined> {
    return (await this.#body?.read())?.value
  }

  /** Lets go of the body that is open. */
  async close(): Promise<void> {
    const body = this.#body
    this.#body = undefined
    // Whatever was wrong with it has been told.
    await body?.cancel().catch(() => {})
  }
}

/** `fetch` takes no URL with a user in it, and repeats it in its error. */
function withoutUser(url: URL): URL {
  const plain = new URL(url)
  plain.username = ''
  plain.password = ''
  return plain
}

/** User and password of a URL as a field has them, RFC 7617. */
function userOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  return Buffer.from([username, password].map(decoded).join(':')).toString('base64')
}

/** With a percent sign as it is where it begins no byte. */
const decoded = (text: string): string =>
  text.replaceAll(/(?:%[\da-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString())

/** The file of that name in the folder of another. */
function besideOf(url: URL, fileName: string): URL {
  const beside = new URL(url)
  beside.pathname = url.pathname.slice(0, url.pathname.lastIndexOf('/') + 1) + fileName
  return beside
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined
  if (!to || !/^https?:$/.test(to.protocol)) {
    throw new RedirectError('expected a redirect to an address of http: or https:, got another; check the address')
  }
  if (from.protocol === 'https:' && to.protocol === 'http:') {
    const where = shownUrl(to)
    throw new RedirectError(
      `expected https: to stay https:, but it redirects to ${where}; ask for that address if you trust the way to it`,
    )
  }
  return withoutUser(to)
}

/** What became of a request that brought no answer, or of a body that broke off. */
export function connectionError(url: string, receivedBytes: number, error: unknown): IoError {
  const details = { path: url, offset: receivedBytes }
  const place = `${url}: at byte ${receivedBytes}: `
  if (error instanceof RedirectError) return new IoError('ERR_IO', place + error.message, details)
  const cause = ((error as Error | null)?.cause ?? error) as NodeJS.ErrnoException | undefined
  const reason = cause?.message || cause?.code || String(error)
  const text = `${place}expected an answer of the server, got: ${reason}; ${connectionAdvice(cause?.code)}`
  const errno = typeof cause?.errno === 'number' ? { errno: Math.abs(cause.errno) } : {}
  const name = /^E[A-Z]+$/.test(cause?.code ?? '') ? { errnoName: cause?.code } : {}
  return new IoError('ERR_IO', text, { ...details, ...errno, ...name }, { cause: error })
}

/** What to do when there is no connection, or no longer. */
function connectionAdvice(code: string | undefined): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'check the name of the server, and that this machine can look names up'
    case 'ECONNREFUSED':
      return 'check the address, its port, and that the server runs'
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return 'the connection was cut: try again'
    default:
      return 'check the address, the network, and any proxy between, and try again'
  }
}
