/**
 * As much of Fastify 5 as its documents say of hooks and errors: a thrown error goes to the application's handler; where that sends an error,
 * or throws, or where there is none, `onError` is called and the error becomes the payload; `onSend` sees every payload last.
 */

type Hook = (request: object, reply: FakeReply, more?: unknown) => unknown
type ErrorHandler = (error: unknown, request: object, reply: FakeReply) => unknown

class FakeReply {
  statusCode = 200
  readonly replyHeaders: Record<string, string> = {}
  payload: unknown
  sent = false

  code(status: number): this {
    this.statusCode = status
    return this
  }

  headers(headers: Record<string, string>): this {
    Object.assign(this.replyHeaders, headers)
    return this
  }

  send(payload: unknown): this {
    this.payload = payload
    this.sent = true
    return this
  }
}

export class FakeFastify {
  readonly #hooks = new Map<string, Hook[]>()
  readonly #decorations = new Map<string, unknown>()
  #errorHandler: ErrorHandler | undefined

  addHook(name: string, hook: Hook): void {
    this.#hooks.set(name, [...(this.#hooks.get(name) ?? []), hook])
  }

  decorate(name: string, value: unknown): void {
    this.#decorations.set(name, value)
  }

  decorated(name: string): () => unknown {
    return this.#decorations.get(name) as () => unknown
  }

  setErrorHandler(handler: ErrorHandler): void {
    this.#errorHandler = handler
  }

  async register<T>(plugin: (instance: never, options: T) => Promise<void>, options: T): Promise<void> {
    await plugin(this as never, options)
  }

  /** What a request is answered with, by that handler. */
  async inject(handler: () => unknown) {
    const request = {}
    const reply = new FakeReply()
    try {
      for (const hook of this.#hooks.get('onRequest') ?? []) await hook(request, reply)
      if (!reply.sent) reply.send(await handler())
    } catch (error) {
      await this.#fail(error, request, reply)
    }
    if (reply.payload instanceof Error) await this.#sendError(reply.payload, request, reply)
    for (const hook of this.#hooks.get('onSend') ?? []) reply.payload = await hook(request, reply, reply.payload)
    return { status: reply.statusCode, headers: reply.replyHeaders, payload: reply.payload }
  }

  async #fail(error: unknown, request: object, reply: FakeReply): Promise<void> {
    if (this.#errorHandler === undefined) {
      reply.send(error)
      return
    }
    try {
      await this.#errorHandler(error, request, reply)
    } catch (thrown) {
      reply.send(thrown)
    }
  }

  async #sendError(error: Error, request: object, reply: FakeReply): Promise<void> {
    for (const hook of this.#hooks.get('onError') ?? []) await hook(request, reply, error)
    if (reply.statusCode === 200) reply.code(500)
    reply.payload = JSON.stringify({ message: error.message })
    reply.headers({ 'content-length': String(Buffer.byteLength(reply.payload as string)) })
  }
}
