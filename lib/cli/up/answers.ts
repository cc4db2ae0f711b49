import type { Socket } from 'node:net'
import { type ErrorAnswer, errorAnswer } from '../../http/index.js'
import { InstanceError } from './instance-error.js'

/** How long a client has to read its answer before the connection is closed. */
const READ_MS = 5000

/** Answers a connection that cannot be passed on, by HTTP, and closes it. */
export function refuse(client: Socket, error: unknown): void {
  if (client.destroyed) return
  const { status, headers, body } = answerOf(error)
  const text = JSON.stringify(body)
  const all = { ...headers, 'content-length': String(Buffer.byteLength(text)), connection: 'close' }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const reason = status === 503 ? 'Service Unavailable' : 'Bad Request'
  client.end(`HTTP/1.1 ${status} ${reason}\r\n${head.join('')}\r\n${text}`)
  // What it has sent is read: a connection that is closed before loses the answer on its way.
  client.resume()
  client.setTimeout(READ_MS, () => client.destroy())
  client.once('end', () => client.destroySoon())
}

function answerOf(error: unknown): ErrorAnswer {
  const typed = errorAnswer(error)
  if (typed) return typed
  const { code, message, instance, retryAfterSeconds } =
    error instanceof InstanceError ? error : new InstanceError('it', `is not there: ${(error as Error).message}`)
  return {
    status: 503,
    headers: { 'content-type': 'application/json; charset=utf-8', 'retry-after': String(retryAfterSeconds) },
    body: { error: { message, type: 'server_error', param: null, code, instance } },
  }
}
