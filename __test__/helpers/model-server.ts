import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as a test sees it. */
export interface Asked {
  path: string
  range: string | undefined
  headers: IncomingMessage['headers']
}

/** A server on loopback, for one test: what it was asked for, and how many bytes of bodies it sent. */
export class ModelServer implements AsyncDisposable {
  readonly asked: Asked[] = []
  sentBytes = 0
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(
    answer: (asked: Asked, response: ServerResponse, server: ModelServer) => void,
  ): Promise<ModelServer> {
    const listener: RequestListener = ({ url, headers }, response) => {
      const asked = { path: url as string, range: headers.range, headers }
      server.asked.push(asked)
      answer(asked, response, server)
    }
    const server = new ModelServer(createServer(listener))
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get origin(): `http://${string}` {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get ranges(): (string | undefined)[] {
    return this.asked.map(({ range }) => range)
  }

  /** Sends a whole body, or as much of it as somebody wants to read, a piece at a time. */
  send(response: ServerResponse, body: Uint8Array, pieceBytes = 65_536): void {
    let start = 0
    const goOn = (): void => {
      while (start < body.length) {
        const piece = body.subarray(start, start + pieceBytes)
        start += piece.length
        this.sentBytes += piece.length
        if (!response.write(piece)) {
          response.once('drain', goOn)
          return
        }
      }
      response.end()
    }
    goOn()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}

/** The bytes that a request asks for. */
export function rangeOf({ range }: Asked): [start: number, end: number] {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
  if (first === undefined) throw new Error(`expected a range to be asked for, got ${range}`)
  return [Number(first), Number(last) + 1]
}

/** Answers as a server should, with fields beside. */
export function sendPart(
  file: Uint8Array,
  asked: Asked,
  response: ServerResponse,
  server: ModelServer,
  fields: Record<string, string> = { etag: '"1"' },
): void {
  const [start, most] = rangeOf(asked)
  const end = Math.min(most, file.length)
  const range = `bytes ${start}-${end - 1}/${file.length}`
  response.writeHead(206, { 'content-range': range, 'content-length': end - start, ...fields })
  server.send(response, file.subarray(start, end))
}

/** A server that sends parts of one file. */
export const serving = (file: Uint8Array, fields?: Record<string, string>): Promise<ModelServer> =>
  ModelServer.start((asked, response, server) => sendPart(file, asked, response, server, fields))
