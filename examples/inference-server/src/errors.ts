import { errorAnswer } from 'plimsoll/http'
import { SlotsBusyError } from './hosted-model.js'

/** An answer of its own, as OpenAI's clients read it. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** What a client is answered for an error. */
export interface Refusal {
  status: number
  headers: Record<string, string>
  body: { error: { message: string; type: string; param: null; code: string; [detail: string]: unknown } }
}

/** The answer to an error: its own, that of memory, that of a request which cannot be read, or 500 for one that nobody foresaw. */
export function refusalOf(error: unknown, retryAfter: number): Refusal {
  const ofMemory = errorAnswer(error, retryAfter)
  if (ofMemory) return ofMemory
  if (error instanceof SlotsBusyError) {
    const { message, waitingCount } = error
    return refusal(503, 'slots_busy', message, { 'retry-after': String(retryAfter) }, { waitingCount })
  }
  if (error instanceof ApiError) return refusal(error.status, error.code, error.message)
  // Fastify's own, of a body that is no JSON, too long, or not as its schema says.
  const { statusCode = 500, message = 'unknown' } = error as { statusCode?: number; message?: string }
  return statusCode < 500
    ? refusal(statusCode, 'invalid_request', message)
    : refusal(500, 'internal_error', 'expected to answer, but something failed in the server')
}

function refusal(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
  details: object = {},
): Refusal {
  const type = status >= 500 ? 'server_error' : 'invalid_request_error'
  return { status, headers, body: { error: { message, type, param: null, code, ...details } } }
}
