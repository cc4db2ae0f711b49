import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { MemoryManager } from 'plimsoll'
import { fastifyMemoryPressure, modelObject, type PressureOptions } from 'plimsoll/http'
import { ApiError, refusalOf } from './errors.js'
import type { HostedModel } from './hosted-model.js'
import { type Body, chatSchema, completionSchema, textOf } from './schemas.js'
import type { Slot } from './slot.js'
import type { Piece } from './text.js'

/** What is served. */
export interface Served {
  manager: MemoryManager
  /** The models by their names. The first one answers where none is named. */
  hosts: ReadonlyMap<string, Pick<HostedModel, 'id' | 'loaded' | 'withSlot'>>
  /** From which level of the monitor on requests are refused. */
  level: NonNullable<PressureOptions['level']>
  /** What `Retry-After` says, in seconds. */
  retryAfter: number
}

type Kind = 'text_completion' | 'chat.completion'

/** OpenAI's interface over the models. */
export async function createApi({ manager, hosts, level, retryAfter }: Served): Promise<FastifyInstance> {
  const app = Fastify({
    forceCloseConnections: 'idle',
    // A number in quotes is none.
    ajv: { customOptions: { coerceTypes: false, allowUnionTypes: true } },
  })
  await app.register(fastifyMemoryPressure, { manager, level, retryAfter })
  // Routes of their own, with an answer to every error: that of memory is one of them.
  await app.register(async (routes) => {
    routes.setErrorHandler((error, request, reply) => {
      const { status, headers, body } = refusalOf(error, retryAfter)
      if (status === 500) console.error(request.url, error)
      return reply.code(status).headers(headers).send(body)
    })
    routes.get('/health', () => ({
      status: 'ok',
      level: manager.monitor.level,
      allocatedBytes: manager.budget.allocatedBytes,
      lineBytes: manager.budget.lineBytes,
    }))
    // What is loaded at this moment tells its context: nobody waits for a load here.
    routes.get('/v1/models', () => ({
      object: 'list',
      data: [...hosts.values()].map(({ id, loaded }) =>
        loaded ? modelObject(id, loaded.estimate) : { id, object: 'model', created: 0, owned_by: 'local' },
      ),
    }))
    const route = (path: string, kind: Kind, body: object) =>
      routes.post<{ Body: Body }>(path, { schema: { body } }, (request, reply) => complete(request, reply, kind))
    route('/v1/completions', 'text_completion', completionSchema)
    route('/v1/chat/completions', 'chat.completion', chatSchema)
  })
  app.setNotFoundHandler((request, reply) => {
    const { status, body } = refusalOf(
      new ApiError(404, 'not_found', `expected a path of OpenAI's interface, got ${request.method} ${request.url}`),
      retryAfter,
    )
    return reply.code(status).send(body)
  })

  async function complete(request: FastifyRequest<{ Body: Body }>, reply: FastifyReply, kind: Kind) {
    const { body } = request
    const [first] = hosts.values()
    const host = body.model ? hosts.get(body.model) : first
    if (host === undefined) {
      throw new ApiError(404, 'model_not_found', `expected one of ${[...hosts.keys()].join(', ')}, got ${body.model}`)
    }
    const gone = new AbortController()
    reply.raw.on('close', () => gone.abort())
    try {
      return await host.withSlot(
        (slot) => answer(slot, { id: host.id, kind, body, reply, signal: gone.signal }),
        gone.signal,
      )
    } catch (error) {
      if (!gone.signal.aborted) throw error
      // Nobody reads an answer.
      return reply.hijack()
    }
  }

  async function answer(slot: Slot, asked: Asked) {
    const { id: model, kind, body, signal } = asked
    const prompt =
      kind === 'text_completion'
        ? (body.prompt as string)
        : (body.messages ?? []).map(({ role, content }) => ({ role, content: textOf(content) }))
    const tokens = slot.tokens(prompt)
    if (tokens.length === 0)
      throw new ApiError(400, 'empty_prompt', 'expected a prompt with a token at least, got none')
    const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? 64
    if (tokens.length + maxTokens > slot.contextSize) {
      const most = `expected prompt and max_tokens to be ${slot.contextSize} tokens at most`
      throw new ApiError(400, 'context_length_exceeded', `${most}, got ${tokens.length} + ${maxTokens}`)
    }
    const id = `${kind === 'chat.completion' ? 'chatcmpl' : 'cmpl'}-${randomUUID()}`
    const head = { id, created: Math.floor(Date.now() / 1000), model }
    const pieces = slot.generate(tokens, maxTokens, body.temperature ?? 0.7, signal)
    if (body.stream) return stream(pieces, head, maxTokens, asked)
    let text = ''
    let count = 0
    for await (const piece of pieces) {
      text += piece.text
      count += piece.tokenCount
    }
    const said =
      kind === 'text_completion' ? { text, logprobs: null } : { message: { role: 'assistant', content: text } }
    const usage = { prompt_tokens: tokens.length, completion_tokens: count, total_tokens: tokens.length + count }
    return { ...head, object: kind, choices: [{ index: 0, ...said, finish_reason: reason(count, maxTokens) }], usage }
  }

  async function stream(
    pieces: AsyncGenerator<Piece>,
    head: object,
    maxTokens: number,
    { kind, reply, signal }: Asked,
  ) {
    // Room is checked at the first piece, before anything is sent: a refusal can still be an answer of its own.
    let next = await pieces.next()
    reply.hijack()
    const { raw } = reply
    const object = kind === 'chat.completion' ? 'chat.completion.chunk' : kind
    const send = (text: string, finish_reason: string | null) => {
      const said =
        kind === 'text_completion' ? { text, logprobs: null } : { delta: { role: 'assistant', content: text } }
      const data = { ...head, object, choices: [{ index: 0, ...said, finish_reason }] }
      return raw.write(`data: ${JSON.stringify(data)}\n\n`)
    }
    try {
      raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
      let count = 0
      for (; !next.done; next = await pieces.next()) {
        count += next.value.tokenCount
        if (!send(next.value.text, null)) await once(raw, 'drain', { signal })
      }
      send('', reason(count, maxTokens))
      raw.end('data: [DONE]\n\n')
    } catch (error) {
      // Fastify answers no more: the stream says what went wrong, and ends.
      await pieces.return(undefined).catch(() => {})
      if (!signal.aborted) console.error('a stream', error)
      raw.end(`data: ${JSON.stringify(refusalOf(error, retryAfter).body)}\n\n`)
    }
    return reply
  }

  return app
}

/** A request that has a slot. */
interface Asked {
  id: string
  kind: Kind
  body: Body
  reply: FastifyReply
  signal: AbortSignal
}

const reason = (count: number, maxTokens: number): string => (count < maxTokens ? 'stop' : 'length')
