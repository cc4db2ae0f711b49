#!/usr/bin/env node
// The example server with the real parts: Fastify, node-llama-cpp, and clients of npm (openai, ai, autocannon), which are fetched into
// build/test-server on the first use (about 110 MB). It is driven by concurrent clients, filled beyond its capacity, and stopped.
//
//     npm run test:server                 8 s of load
//     npm run test:server -- --seconds 60

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { install, PLACE } from './server-packages.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const EXAMPLE = join(ROOT, 'examples', 'inference-server')
const SAMPLE = join(ROOT, 'examples', 'models', 'plimsoll-sample-llama.gguf')
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '8' } } })
const seconds = Number(values.seconds)

/** Compiles the example beside what it needs. */
function build() {
  spawnSync('cp', ['-r', join(EXAMPLE, 'src'), join(EXAMPLE, 'tsconfig.json'), PLACE])
  const types = ['--typeRoots', join(ROOT, 'node_modules', '@types')]
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '--project', PLACE, ...types], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
}

const load = (name) => {
  const require = createRequire(join(PLACE, 'package.json'))
  return import(pathToFileURL(require.resolve(name)))
}

/** A server, until it is stopped. */
async function start(...args) {
  const child = spawn(process.execPath, [join(PLACE, 'build', 'server.js'), '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text
  })
  const url = await new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      const found = /listening on (\S+)/.exec(output)
      if (found) resolve(found[1])
    })
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${errors}`)))
  })
  return {
    url,
    pid: child.pid,
    rssBytes: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) * 1024,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal, errors })))
      child.kill('SIGTERM')
      return ended
    },
  }
}

let OpenAI
let server
const client = () => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
const short = { model: 'plimsoll-sample-llama', max_tokens: 8 }

before(async () => {
  install()
  build()
  ;({ default: OpenAI } = await load('openai'))
  server = await start(SAMPLE, '--parallel', '2', '--waiting', '2', '--context', '256', '--threads', '1')
})

after(async () => {
  const { code, signal, errors } = await server.stop()
  assert.deepEqual({ code, signal, errors }, { code: 0, signal: null, errors: '' })
})

test('openai: completions and chats, whole and streamed', async () => {
  const openai = client()
  const whole = await openai.completions.create({ ...short, prompt: 'Count the bytes' })
  assert.equal(whole.usage.completion_tokens, 8)
  const chat = await openai.chat.completions.create({ ...short, messages: [{ role: 'user', content: 'Hello' }] })
  assert.equal(typeof chat.choices[0].message.content, 'string')
  const stream = await openai.chat.completions.create({
    ...short,
    stream: true,
    messages: [{ role: 'user', content: 'Hello' }],
  })
  let pieces = 0
  for await (const { choices } of stream) pieces += choices[0].delta.content === '' ? 0 : 1
  assert.ok(pieces > 0 && pieces <= 8, `${pieces} pieces`)
})

test('fastify and express: errors of memory are answered, and the error handler of the application stays', async () => {
  const [{ default: fastify }, { default: express }, plimsoll, http] = await Promise.all(
    ['fastify', 'express', 'plimsoll', 'plimsoll/http'].map(load),
  )
  const manager = new plimsoll.MemoryManager({ isolated: true, maxBytes: 2 ** 20 })
  const fail = () => manager.budget.allocate(2 ** 30, 'too much')
  const broken = () => {
    throw new Error('broken')
  }

  const plain = fastify()
  await plain.register(http.fastifyMemoryPressure, { manager, retryAfter: 7 })
  plain.get('/', fail)
  plain.get('/broken', broken)
  const answered = await plain.inject('/')
  assert.deepEqual([answered.statusCode, answered.headers['retry-after']], [503, '7'])
  assert.equal(answered.json().error.code, 'ERR_INSUFFICIENT_MEMORY')
  assert.equal(Number(answered.headers['content-length']), Buffer.byteLength(answered.body))
  assert.equal((await plain.inject('/broken')).json().message, 'broken')
  await plain.close()

  for (const order of ['before', 'after']) {
    const own = fastify()
    const handle = (error, request, reply) => {
      if (request.url === '/own') return reply.code(418).send({ own: true })
      if (request.url === '/status') return reply.code(429).send(error)
      throw error
    }
    if (order === 'before') own.setErrorHandler(handle)
    await own.register(http.fastifyMemoryPressure, { manager })
    if (order === 'after') own.setErrorHandler(handle)
    for (const url of ['/own', '/status', '/thrown']) own.get(url, fail)
    const statuses = []
    for (const url of ['/own', '/status', '/thrown']) statuses.push((await own.inject(url)).statusCode)
    assert.deepEqual(statuses, [418, 429, 503])
    await own.close()
  }

  const app = express()
  app.use(http.memoryPressure({ manager }))
  app.get('/', fail)
  app.get('/broken', broken)
  app.use(http.memoryErrors({ retryAfter: 7 }))
  app.use((_error, _request, response, _next) => response.status(418).end('own'))
  const listening = await new Promise((resolve) => {
    const started = app.listen(0, '127.0.0.1', () => resolve(started))
  })
  const url = `http://127.0.0.1:${listening.address().port}`
  const refused = await fetch(url)
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '7'])
  assert.equal((await refused.json()).error.code, 'ERR_INSUFFICIENT_MEMORY')
  assert.equal((await fetch(`${url}/broken`)).status, 418)
  listening.closeAllConnections()
  listening.close()
  await manager.close()
})

test('the models are listed with the context that they have', async () => {
  const [model] = (await client().models.list()).data
  assert.deepEqual([model.id, model.max_model_len, model.meta.n_parallel], ['plimsoll-sample-llama', 256, 2])
})

test('ai: text whole and streamed', async () => {
  const { generateText, streamText } = await load('ai')
  const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible')
  const provider = createOpenAICompatible({ name: 'plimsoll', baseURL: `${server.url}/v1` })
  const asked = { model: provider('plimsoll-sample-llama'), prompt: 'Hello', maxOutputTokens: 8, maxRetries: 0 }
  const { usage } = await generateText(asked)
  assert.ok(usage.outputTokens <= 8)
  let text = ''
  for await (const piece of streamText(asked).textStream) text += piece
  assert.ok(text.length > 0)
})

test('what can never fit is an error of the caller’s, and an unknown model is none', async () => {
  const long = client().completions.create({ ...short, max_tokens: 1000, prompt: 'a' })
  await assert.rejects(long, { status: 400, code: 'context_length_exceeded' })
  await assert.rejects(client().completions.create({ ...short, model: 'other', prompt: 'a' }), { status: 404 })
  await assert.rejects(client().chat.completions.create(short), { status: 400 })
})

test('more than there are slots and places to wait: 503 with Retry-After, and the others are served', async () => {
  const asked = Array.from({ length: 12 }, () => client().completions.create({ ...short, max_tokens: 32, prompt: 'a' }))
  const outcomes = await Promise.allSettled(asked)
  const refused = outcomes.filter(({ status }) => status === 'rejected').map(({ reason }) => reason)
  assert.ok(refused.length > 0 && refused.length < 12, `${refused.length} of 12 were refused`)
  for (const { status, code, headers } of refused) {
    assert.deepEqual([status, code, headers.get('retry-after')], [503, 'slots_busy', '2'])
  }
})

test('a client that goes away frees its slot', async () => {
  const stream = await client().completions.create({ ...short, max_tokens: 200, stream: true, prompt: 'a' })
  for await (const _ of stream) break
  const all = await Promise.all([1, 2].map(() => client().completions.create({ ...short, prompt: 'a' })))
  assert.equal(all.length, 2)
})

test('two models where one has room: the idle one goes for the other', async () => {
  const other = join(PLACE, 'other.gguf')
  copyFileSync(SAMPLE, other)
  // The line is drawn below what Node.js itself takes, so that this small model fills it; the monitor would see that.
  const { allocatedBytes } = await (await fetch(`${server.url}/health`)).json()
  const args = [
    '--parallel',
    '2',
    '--context',
    '256',
    '--max-bytes',
    `${Math.ceil(allocatedBytes * 1.5)}`,
    '--level',
    'none',
  ]
  const pair = await start(SAMPLE, other, ...args)
  const ask = async (model) => {
    const openai = new OpenAI({ baseURL: `${pair.url}/v1`, apiKey: 'none', maxRetries: 0 })
    await openai.completions.create({ ...short, model, prompt: 'a' })
    const { data } = await openai.models.list()
    return data.filter(({ meta }) => meta).map(({ id }) => id)
  }
  try {
    for (const model of ['plimsoll-sample-llama', 'other', 'plimsoll-sample-llama']) {
      assert.deepEqual(await ask(model), [model])
      // What was used a second ago is not idle.
      await new Promise((resolve) => setTimeout(resolve, 1100))
    }
  } finally {
    assert.equal((await pair.stop()).code, 0)
  }
})

test(`four times its capacity for ${seconds} s: nothing but answers and 503, at the pace of before`, async () => {
  const { default: autocannon } = await load('autocannon')
  const run = async (connections, duration, overallRate) => {
    const latencies = []
    const statuses = new Map()
    const instance = autocannon({
      url: `${server.url}/v1/completions`,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...short, max_tokens: 16, prompt: 'Count the bytes' }),
      connections,
      duration,
      ...(overallRate && { overallRate }),
    })
    instance.on('response', (_client, status, _bytes, ms) => {
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status === 200) latencies.push(ms)
    })
    const { errors, timeouts } = await instance
    latencies.sort((a, b) => a - b)
    return { errors, timeouts, statuses, served: latencies.length, p99: latencies[Math.floor(latencies.length * 0.99)] }
  }
  // As many as it serves and lets wait.
  const capacity = 4
  const before = await run(capacity, seconds)
  const rssBefore = server.rssBytes()
  const full = await run(4 * capacity, seconds, Math.ceil((4 * before.served) / seconds))
  const rssAfter = server.rssBytes()
  console.log(
    `  at capacity ${before.served} served, p99 ${before.p99.toFixed(1)} ms; at 4 x ${full.served} served, p99 ${full.p99.toFixed(1)} ms (${(full.p99 / before.p99).toFixed(2)} x), ` +
      `${full.statuses.get(503)} refused; RSS ${(rssBefore / 2 ** 20).toFixed(0)} -> ${(rssAfter / 2 ** 20).toFixed(0)} MiB`,
  )
  assert.deepEqual(
    [...full.statuses.keys()].filter((status) => status !== 200 && status !== 503),
    [],
  )
  assert.deepEqual([full.errors, full.timeouts], [0, 0])
  assert.ok(full.served > 0)
})
