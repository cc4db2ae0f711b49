import { PlimsollError } from '../index.js'
import * as check from '../support/check.js'

/** An error as OpenAI's interface has it, with the numbers of ours. */
export interface ErrorBody {
  /** What went wrong. */
  error: {
    /** For people. */
    message: string
    /** Whose matter it is: the server has no room now, or the request never will. */
    type: 'server_error' | 'invalid_request_error'
    /** No parameter is to blame. */
    param: null
    /** The code of the error. */
    code: string
    /** The error's own numbers. */
    [detail: string]: unknown
  }
}

/** What a server answers. */
export interface ErrorAnswer {
  /** The HTTP status. */
  status: number
  /** The headers, with `retry-after` where that helps. */
  headers: Record<string, string>
  /** The body, as an object. */
  body: ErrorBody
}

/** Those that pass: what lacked may be there later. */
const PASSING = new Set(['ERR_INSUFFICIENT_MEMORY', 'ERR_BUSY', 'ERR_TIMEOUT'])

/** Those that stay, however often it is tried. */
const LASTING = new Set(['ERR_NEVER_FITS'])

/** Details that are the server's own business. */
const SECRET = new Set(['code', 'path', 'stack', 'cause', 'message', 'name'])

/**
 * What to answer for an error of this package: 503 with `Retry-After` where it may be granted later, 400 where it never is, and nothing
 * for any other error, whose answer is not memory's business.
 *
 * @throws {@link InvalidArgumentError} for seconds that are no whole number.
 */
export function errorAnswer(error: unknown, retryAfter = 10): ErrorAnswer | undefined {
  const seconds = check.integer('retryAfter', retryAfter, 0, 2 ** 31 - 1)
  if (!check.canBeAsked(error) || !(error instanceof PlimsollError)) return undefined
  const { code, message } = error
  if (PASSING.has(code)) return answer(503, 'server_error', code, message, detailsOf(error), seconds)
  return LASTING.has(code) ? answer(400, 'invalid_request_error', code, message, detailsOf(error)) : undefined
}

const detailsOf = (error: object): object =>
  Object.fromEntries(Object.entries(error).filter(([name]) => !SECRET.has(name)))

/** An answer of that status. */
export function answer(
  status: number,
  type: 'server_error' | 'invalid_request_error',
  code: string,
  message: string,
  details: object,
  retryAfter?: number,
): ErrorAnswer {
  const headers: Record<string, string> = { 'content-type': 'application/json; charset=utf-8' }
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter)
  return { status, headers, body: { error: { message, type, param: null, code, ...details } } }
}
