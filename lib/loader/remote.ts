import type { NativeModel } from '../addon/native.js'
import { NativeRemoteModel } from '../addon/native.js'
import { type Abortion, onAbort } from '../support/abort.js'
import { AbortError, call, callAsync, IoError, PlimsollError } from '../support/errors.js'
import { Connection, connectionError, shownUrl } from './connection.js'
import { nativeOpenOptions } from './options.js'
import type { RemoteRequest } from './remote-options.js'

/** Ends the requests of one model: when its signal says so, or after its time. */
class Ending {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #unlisten: () => void
  #aborted: Abortion | undefined

  constructor(signal: AbortSignal | undefined, timeoutMs: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), timeoutMs)
    const abort = (reason: unknown): void => {
      this.#aborted ??= { reason }
      this.#controller.abort()
    }
    this.#unlisten = signal ? onAbort(signal, abort) : () => {}
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get isOver(): boolean {
    return this.signal.aborted
  }

  /** That it was aborted; `undefined` if its time was over. */
  get aborted(): Abortion | undefined {
    return this.#aborted
  }

  /** Listens no more; requests that still run end. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#unlisten()
    this.#controller.abort()
  }
}

/**
 * Fetches the headers of a model on a server and nothing else, and opens it. The addon says what to ask for and judges the
 * answers; this makes the requests.
 */
export async function openRemote(url: URL, request: RemoteRequest): Promise<NativeModel> {
  const { open, maxHeaderBytes, timeoutMs } = request
  const native = call(() => NativeRemoteModel.open(shownUrl(url), nativeOpenOptions(open), maxHeaderBytes))
  const ending = new Ending(request.signal, timeoutMs)
  const connection = new Connection(url, request.headers, ending.signal)
  try {
    do ending.signal.throwIfAborted()
    while (await step(native, connection))
    return call(() => native.model())
  } catch (error) {
    const { aborted, isOver } = ending
    if (aborted) throw new AbortError(aborted.reason)
    if (isOver) throw timeoutError(native, timeoutMs)
    if (error instanceof PlimsollError) throw error
    throw connectionError(native.url(), native.receivedBytes(), error)
  } finally {
    await connection.close()
    ending.stop()
  }
}

/** Does what is next; `false` when there is nothing more to do. */
async function step(native: NativeRemoteModel, connection: Connection): Promise<boolean> {
  const next = call(() => native.step())
  switch (next.kind) {
    case 'request': {
      const { fileName, startBytes, endBytes, ifRange } = next
      const { status, headers } = await connection.request(fileName, startBytes, endBytes, ifRange)
      const answer = {
        status,
        contentRange: headers.get('content-range'),
        contentLength: headers.get('content-length'),
        contentEncoding: headers.get('content-encoding'),
        etag: headers.get('etag'),
        lastModified: headers.get('last-modified'),
        retryAfter: headers.get('retry-after'),
      }
      call(() => native.answered(answer))
      return true
    }
    case 'read': {
      const piece = await connection.read()
      if (piece === undefined) call(() => native.ended())
      else call(() => native.push(piece))
      return true
    }
    case 'parse':
      await callAsync(() => native.parse())
      return true
    case 'done':
      return false
  }
}

function timeoutError(native: NativeRemoteModel, timeoutMs: number): IoError {
  const [path, offset] = [native.url(), native.receivedBytes()]
  const text = `${path}: at byte ${offset}: expected the header within ${timeoutMs} ms, but there was not all of it; try again, or give it more time (timeoutMs)`
  return new IoError('ERR_IO', text, { path, offset })
}
