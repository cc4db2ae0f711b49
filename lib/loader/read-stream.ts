import { Readable, type ReadableOptions } from 'node:stream'
import { onAbort } from '../support/abort.js'
import type { Bytes } from '../support/arrays.js'
import * as check from '../support/check.js'
import { AbortError } from '../support/errors.js'
import type { TensorChunk } from './chunk.js'

/**
 * A `Readable` of Node.js's. Its members are named here, for programs without Node.js's types; to those with them it is
 * a `NodeJS.ReadableStream`.
 */
export interface TensorReadStream extends AsyncIterable<Bytes> {
  readonly readable: boolean
  readonly readableEnded: boolean
  readonly readableFlowing: boolean | null
  readonly readableHighWaterMark: number
  readonly readableLength: number
  readonly destroyed: boolean
  readonly closed: boolean
  readonly errored: Error | null
  destroy(error?: Error): this
  // biome-ignore-start lint/suspicious/noExplicitAny: as Node.js declares them.
  read(size?: number): any
  setEncoding(encoding?: any): this
  pause(): this
  resume(): this
  isPaused(): boolean
  pipe<T>(destination: T, options?: { end?: boolean | undefined }): T
  unpipe(destination?: any): this
  unshift(chunk: any, encoding?: any): void
  wrap(stream: any): this
  addListener(event: string | symbol, listener: (...args: any[]) => void): this
  on(event: string | symbol, listener: (...args: any[]) => void): this
  once(event: string | symbol, listener: (...args: any[]) => void): this
  removeListener(event: string | symbol, listener: (...args: any[]) => void): this
  off(event: string | symbol, listener: (...args: any[]) => void): this
  removeAllListeners(event?: string | symbol): this
  setMaxListeners(count: number): this
  getMaxListeners(): number
  listeners(event: string | symbol): any[]
  rawListeners(event: string | symbol): any[]
  emit(event: string | symbol, ...args: any[]): boolean
  listenerCount(event: string | symbol): number
  prependListener(event: string | symbol, listener: (...args: any[]) => void): this
  prependOnceListener(event: string | symbol, listener: (...args: any[]) => void): this
  eventNames(): (string | symbol)[]
  [Symbol.asyncIterator](): AsyncIterator<any>
  // biome-ignore-end lint/suspicious/noExplicitAny: as above.
}

/** The bytes of chunks that are their consumer's own, as a stream of Node.js's. */
export function readStream(
  chunks: AsyncGenerator<TensorChunk, void, undefined>,
  highWaterMark: number,
  signal: AbortSignal | undefined,
): TensorReadStream {
  const next = async (stream: Readable): Promise<void> => {
    const { done, value } = await chunks.next()
    if (done) stream.push(null)
    else stream.push(Buffer.from(value.data.buffer, value.data.byteOffset, value.data.byteLength))
  }
  let unlisten = (): void => {}
  const stream = new Readable(
    // Node.js reads many more options than these, and by name.
    check.own<ReadableOptions>({
      highWaterMark,
      read() {
        next(this).catch((error: Error) => this.destroy(error))
      },
      // Whoever waits for the close finds the reader stopped, and its buffers in their pool.
      destroy(error, done) {
        unlisten()
        chunks.return().then(
          () => done(error),
          (trouble: Error) => done(error ?? trouble),
        )
      },
    }),
  )
  if (signal) unlisten = onAbort(signal, (reason) => void stream.destroy(new AbortError(reason)))
  if (stream.destroyed) unlisten() // It had aborted before.
  // Its `pipe` wants a stream of Node.js's; here any destination is taken.
  return stream as TensorReadStream & Readable
}
