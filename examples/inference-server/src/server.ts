// An OpenAI-compatible server that never takes more memory than there is: models are loaded when their memory is granted, idle ones go
// when another needs the room, and what does not fit is refused with 503, Retry-After and the numbers.
//
//     node build/server.js model.gguf [another.gguf] [--port 8080] [--parallel 4] [--context 4096] [--waiting 8] [--max-bytes 6GiB]
//         [--level critical|warning|none] [--threads 4] [--shared]

import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { getLlama } from 'node-llama-cpp'
import { MemoryManager, parseBytes } from 'plimsoll'
import { fastifyMemoryPressure, modelObject, type PressureOptions } from 'plimsoll/http'
import { HostedModel, type Message, type Slot, SlotsBusyError } from './hosted-model.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '8080' },
    parallel: { type: 'string', default: '4' },
    context: { type: 'string', default: '4096' },
    waiting: { type: 'string', default: '8' },
    threads: { type: 'string', default: '0' },
    'max-bytes': { type: 'string' },
    shared: { type: 'boolean', default: false },
    level: { type: 'string', default: 'critical' },
  },
})
if (positionals.length === 0) {
  console.error('expected the path of a model: node build/server.js model.gguf')
  process.exit(2)
}

const RETRY_AFTER = 2

const maxBytes = values['max-bytes'] === undefined ? {} : { maxBytes: parseBytes(values['max-bytes']) }
const manager = new MemoryManager({ shared: values.shared, ...maxBytes })
// While memory is critical the budget refuses, too.
if (values.level !== 'none') manager.monitor.start()
const llama = await getLlama({
  gpu: 'auto',
  build: 'never',
  logLevel: 'error' as never,
  maxThreads: Number(values.threads),
})
const hosts = new Map(
  positionals.map((path) => {
    const host = new HostedModel(path, llama, manager, {
      parallel: Number(values.parallel),
      maxContext: Number(values.context),
      maxWaiting: Number(values.waiting),
      timeoutMs: 30_000,
    })
    return [host.id, host] as const
  }),
)

const app = Fastify({ forceCloseConnections: 'idle' })
const level = values.level as PressureOptions['level']
await app.register(fastifyMemoryPressure, { manager, level, retryAfter: RETRY_AFTER })

interface Body {
  model?: string
  prompt?: string
  messages?: Message[]
  max_tokens?: number
  max_completion_tokens?: number
  temperature?: number
  stream?: boolean
}

app.get('/health', () => ({
  status: 'ok',
  level: manager.monitor.level,
  allocatedBytes: manager.budget.allocatedBytes,
  lineBytes: manager.budget.lineBytes,
}))

app.get('/v1/models', async () => {
  const data = []
  for (const host of hosts.values()) {
    const loaded = await host.loaded
    data.push(
      loaded ? modelObject(host.id, loaded.estimate) : { id: host.id, object: 'model', created: 0, owned_by: 'local' },
    )
  }
  return { object: 'list', data }
})

app.post<{ Body: Body }>('/v1/completions', (request, reply) => complete(request, reply, 'text_completion'))
app.post<{ Body: Body }>('/v1/chat/completions', (request, reply) => complete(request, reply, 'chat.completion'))

async function complete(request: FastifyRequest<{ Body: Body }>, reply: FastifyReply, kind: string) {
  const body = request.body ?? {}
  const prompt = kind === 'chat.completion' ? body.messages : body.prompt
  if (prompt === undefined)
    return refuse(reply, 400, 'invalid_request', `expected ${kind === 'chat.completion' ? 'messages' : 'prompt'}`)
  const host = body.model === undefined ? [...hosts.values()][0] : hosts.get(body.model)
  if (host === undefined)
    return refuse(reply, 404, 'model_not_found', `expected one of ${[...hosts.keys()]}, got ${body.model}`)
  const gone = new AbortController()
  reply.raw.on('close', () => gone.abort())
  try {
    return await host.withSlot((slot) => answer(slot, host.id, kind, prompt, body, reply, gone.signal))
  } catch (error) {
    if (!(error instanceof SlotsBusyError)) throw error
    reply.header('retry-after', String(RETRY_AFTER))
    return refuse(reply, 503, 'slots_busy', error.message, { waitingCount: error.waitingCount })
  }
}

async function answer(
  slot: Slot,
  model: string,
  kind: string,
  prompt: string | Message[],
  body: Body,
  reply: FastifyReply,
  signal: AbortSignal,
) {
  const tokens = slot.tokens(prompt)
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? 64
  if (tokens.length + maxTokens > slot.contextSize) {
    const message = `expected prompt and max_tokens to be ${slot.contextSize} tokens at most, got ${tokens.length} + ${maxTokens}`
    return refuse(reply, 400, 'context_length_exceeded', message)
  }
  const id = `${kind === 'chat.completion' ? 'chatcmpl' : 'cmpl'}-${randomUUID()}`
  const created = Math.floor(Date.now() / 1000)
  const pieces = slot.generate(tokens, maxTokens, body.temperature ?? 0.7, signal)
  const choice = (text: string, finish_reason: string | null) => {
    if (kind === 'text_completion') return { index: 0, text, logprobs: null, finish_reason }
    if (body.stream) return { index: 0, delta: { role: 'assistant', content: text }, finish_reason }
    return { index: 0, message: { role: 'assistant', content: text }, finish_reason }
  }
  if (!body.stream) {
    let text = ''
    let count = 0
    for await (const piece of pieces) {
      text += piece
      count += 1
    }
    const usage = { prompt_tokens: tokens.length, completion_tokens: count, total_tokens: tokens.length + count }
    return { id, object: kind, created, model, choices: [choice(text, count < maxTokens ? 'stop' : 'length')], usage }
  }
  // Room is checked at the first piece, before anything is sent: a refusal can still be an answer of its own.
  let next = await pieces.next()
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  const object = kind === 'chat.completion' ? 'chat.completion.chunk' : kind
  const send = (choices: unknown[]) => raw.write(`data: ${JSON.stringify({ id, object, created, model, choices })}\n\n`)
  let count = 0
  for (; !next.done; next = await pieces.next()) {
    count += 1
    if (!send([choice(next.value, null)]))
      await new Promise((resolve) => raw.once('drain', resolve).once('close', resolve))
  }
  send([choice('', count < maxTokens ? 'stop' : 'length')])
  raw.end('data: [DONE]\n\n')
  return reply
}

function refuse(reply: FastifyReply, status: number, code: string, message: string, details: object = {}) {
  const type = status === 503 ? 'server_error' : 'invalid_request_error'
  return reply.code(status).send({ error: { message, type, param: null, code, ...details } })
}

async function stop() {
  await app.close()
  for (const host of hosts.values()) await host.unload()
  await llama.dispose()
  await manager.close()
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
console.log(`listening on ${await app.listen({ port: Number(values.port), host: '127.0.0.1' })}`)
