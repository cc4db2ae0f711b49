import { MiB } from '../addon/units.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { type HeaderOptions, headerChecks } from './options.js'

/** How a model on a server is opened. */
export interface OpenUrlOptions extends HeaderOptions {
  /**
   * Whether a file that a `file:` URL names is opened by its header alone: as a model on a server always is, whatever is said here.
   * `false` by default.
   */
  headerOnly?: boolean
  /**
   * Fields that are sent along, such as `authorization: 'Bearer TOKEN'`: to the server of the URL (scheme, host and port), and
   * to none that it redirects to. User and password in the URL are sent as such a field. `range` and `if-range` are the
   * requests' own. None by default.
   */
  headers?: Readonly<Record<string, string>>
  /**
   * The most that is fetched of all headers together, in bytes, from 4 KiB to 256 MiB; beyond, the rule is `header-too-large`.
   * 64 MiB by default, four times the largest header of a model that is published.
   */
  maxHeaderBytes?: number
  /** How long all of it may take, redirects and all files together, in milliseconds. 60,000 by default. */
  timeoutMs?: number
  /** Ends it: it rejects with an {@link AbortError} whose cause is the signal's reason. None by default. */
  signal?: AbortSignal
}

/** The options with their defaults. */
export interface RemoteRequest {
  open: HeaderOptions
  headers: Headers
  maxHeaderBytes: number
  timeoutMs: number
  signal: AbortSignal | undefined
}

/** What the requests say by themselves. */
const ownFields = ['range', 'if-range', 'accept-encoding']

const urlChecks = {
  ...headerChecks,
  headers: (name: string, value: unknown): Readonly<Record<string, string>> => fieldsOf(name, value),
  maxHeaderBytes: (name: string, value: unknown) => check.bytes(name, value, 4096, 256 * MiB),
  timeoutMs: (name: string, value: unknown) => check.integer(name, value, 1, 2 ** 31 - 1),
  signal: check.signal,
} as const

/** Checks the options of a URL. */
export function remoteRequest(options: OpenUrlOptions | undefined): RemoteRequest {
  const checked = check.options<OpenUrlOptions>(options, urlChecks)
  const { headers = {}, maxHeaderBytes = 64 * MiB, timeoutMs = 60_000, signal, ...open } = checked
  return { open: check.own(open), headers: headersOf(headers), maxHeaderBytes, timeoutMs, signal }
}

/** Fields by name. What they say is not repeated in an error: it may be a secret. */
function fieldsOf(name: string, value: unknown): Readonly<Record<string, string>> {
  const isPlain = check.canBeAsked(value) && Object.prototype.toString.call(value) === '[object Object]'
  const entries = isPlain ? Object.entries(value as object) : []
  const wrong = entries.find(([, text]) => typeof text !== 'string')
  if (!isPlain || wrong) {
    const received = wrong ? `another value of "${wrong[0]}"` : quoted(value)
    throw invalidArgument(name, 'an object of strings by name', received)
  }
  return check.own(Object.fromEntries(entries))
}

function headersOf(fields: Readonly<Record<string, string>>): Headers {
  const headers = new Headers()
  for (const [name, text] of Object.entries(fields)) {
    if (ownFields.includes(name.toLowerCase())) {
      throw invalidArgument('headers', `without ${name}, which the requests say themselves`, 'one with it')
    }
    try {
      headers.set(name, text)
    } catch {
      throw invalidArgument('headers', 'fields that HTTP can send', `another of the name ${JSON.stringify(name)}`)
    }
  }
  return headers
}
