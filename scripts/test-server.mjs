#!/usr/bin/env node
// The example server with the real parts: Fastify, node-llama-cpp, and clients of npm (openai, ai, autocannon), which are fetched into
// build/test-server on the first use (about 110 MB). It is driven by concurrent clients, filled beyond its capacity, and stopped.
//
//     npm run test:server                 8 s of load
//     npm run test:server -- --seconds 60
//     npm run test:server -- --seconds 60 --assert-latency    on a machine that does nothing else
//
// What is served under load may take half as long again as it does when as many ask as there are slots. That is printed always, and
// asserted with --assert-latency: a machine that has other work to do tells nothing of it.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { install, PLACE } from './server-packages.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const EXAMPLE = join(ROOT, 'examples', 'inference-server')
const SAMPLE = join(ROOT, 'examples', 'models', 'plimsoll-sample-llama.gguf')
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '8' }, 'assert-latency': { type: 'boolean', default: false } },
})
const seconds = Number(values.seconds)
if (!Number.isInteger(seconds) || seconds < 4) {
  console.error(`test-server: expected --seconds to be a whole number from 4 up, got ${values.seconds}`)
  process.exit(2)
}

/** Compiles the example beside what it needs. */
function build() {
  spawnSync('cp', ['-r', join(EXAMPLE, 'src'), join(EXAMPLE, 'tsconfig.json'), PLACE])
  const types = ['--typeRoots', join(ROOT, 'node_modules', '@types')]
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '--project', PLACE, ...types], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
}

/** A module of the example, as it was compiled. */
const part = (name) => import(pathToFileURL(join(PLACE, 'build', `${name}.js`)))

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

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

test('a body that is none is answered with 400 in OpenAI’s form, whatever is wrong with it', async () => {
  const chat = (messages) => ['chat/completions', { ...short, messages }]
  const completion = (body) => ['completions', { ...short, prompt: 'a', ...body }]
  const bodies = [
    ['completions', '{'],
    ['completions', 'null'],
    ['completions', '[1]'],
    ['completions', ''],
    ...[5, null, ['a'], {}].map((prompt) => completion({ prompt })),
    ...['8', 0, -1, 1.5, 1e300, [], true].map((max_tokens) => completion({ max_tokens })),
    ...['1', -1, 2.1, {}].map((temperature) => completion({ temperature })),
    completion({ stream: 'yes' }),
    completion({ model: 7 }),
    completion({ n: 2 }),
    ...[[], {}, 'a', [null], ['a'], [{}], [{ role: 'user' }], [{ content: 'a' }]].map(chat),
    ...[5, null, [], [5], [{ type: 'image_url', image_url: 'a' }], [{ type: 'text' }]].map((content) =>
      chat([{ role: 'user', content }]),
    ),
    ...['tool', 'USER', 5, null, '__proto__'].map((role) => chat([{ role, content: 'a' }])),
  ]
  const post = async (path, body, type = 'application/json') => {
    const headers = { 'content-type': type }
    const response = await fetch(`${server.url}/v1/${path}`, { method: 'POST', headers, body })
    return { status: response.status, error: (await response.json()).error }
  }
  for (const [path, body] of bodies) {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const { status, error } = await post(path, text)
    assert.equal(status, 400, `${text}: ${status} ${error?.message}`)
    assert.deepEqual([error.type, error.param, typeof error.code], ['invalid_request_error', null, 'string'], text)
  }
  assert.equal((await post('completions', '<prompt>', 'application/xml')).status, 415)
  assert.equal((await post('completions', `{"prompt": "${'a'.repeat(2 ** 20)}"}`)).status, 413)
  assert.equal((await post('embeddings', '{}')).error.code, 'not_found')
  // Nothing of it was too much for it.
  const whole = await client().chat.completions.create({
    ...short,
    messages: [
      { role: 'system', content: [{ type: 'text', text: 'Be' }] },
      { role: 'assistant', content: '' },
    ],
  })
  assert.equal(whole.choices.length, 1)
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

test('a client that goes away frees its slot, and one that waits for a slot its place', async () => {
  const stream = await client().completions.create({ ...short, max_tokens: 200, stream: true, prompt: 'a' })
  for await (const _ of stream) break
  const all = await Promise.all([1, 2].map(() => client().completions.create({ ...short, prompt: 'a' })))
  assert.equal(all.length, 2)
  const gone = new AbortController()
  const asked = Array.from({ length: 4 }, () =>
    client().completions.create({ ...short, max_tokens: 200, prompt: 'a' }, { signal: gone.signal }),
  )
  await pause(50)
  gone.abort()
  await Promise.allSettled(asked)
  await pause(300)
  const again = await Promise.all([1, 2, 3].map(() => client().completions.create({ ...short, prompt: 'a' })))
  assert.equal(again.length, 3)
})

/** A HostedModel on a node-llama-cpp that is none, so that it can be made to fail. */
async function hostedOn({ clearHistory = async () => {}, evaluate, loaded = Promise.resolve() }) {
  const { HostedModel } = await part('hosted-model')
  const { MemoryManager } = await import(pathToFileURL(createRequire(import.meta.url).resolve('..')))
  const manager = new MemoryManager({ isolated: true, maxBytes: 2 ** 30 })
  const onDispose = () => {
    const listeners = []
    return { createListener: (listener) => listeners.push(listener), run: () => listeners.map((each) => each()) }
  }
  const counts = { sequences: 0, disposed: 0 }
  const sequence = () => ({
    id: ++counts.sequences,
    nextTokenIndex: 0,
    clearHistory,
    evaluate,
    dispose: async () => {},
  })
  const disposing = () => {
    const relay = onDispose()
    const dispose = async () => {
      counts.disposed += 1
      await pause(20)
      relay.run()
    }
    return { onDispose: relay, dispose }
  }
  const createContext = async () => ({ ...disposing(), contextSize: 256, getSequence: sequence })
  const detokenize = (tokens) => String.fromCharCode(...tokens)
  const tokenize = (text) => [...text].map((letter) => letter.charCodeAt(0))
  const tokens = { bos: null, shouldPrependBosToken: false }
  const loadModel = async () => {
    await loaded
    return { ...disposing(), gpuLayers: 0, useMmap: false, createContext, detokenize, tokenize, tokens }
  }
  const options = { parallel: 2, maxContext: 256, maxWaiting: 1, timeoutMs: 1000 }
  const host = new HostedModel('fake', SAMPLE, { gpu: false, loadModel }, manager, options)
  return { host, manager, counts }
}

const forever = () => new AbortController().signal

test('a slot comes back whatever fails while it is taken, and when it is cleared', async () => {
  const { host, manager, counts } = await hostedOn({
    clearHistory: async () => {
      throw new Error('cannot be cleared')
    },
  })
  for (let round = 0; round < 5; round++) {
    assert.equal(await host.withSlot(async () => 'used', forever()), 'used')
    await assert.rejects(
      host.withSlot(() => Promise.reject(new Error('in use')), forever()),
      { message: 'in use' },
    )
  }
  // None of those that could not be cleared was used again.
  assert.equal(counts.sequences, 10)
  // Who waits for a place has it even so; one more than may wait is refused, and one that goes away leaves its place.
  let end
  const held = new Promise((resolve) => {
    end = resolve
  })
  const taken = [1, 2].map(() => host.withSlot(() => held, forever()))
  await pause(20)
  const gone = new AbortController()
  const leaves = host.withSlot(async () => 'leaves', gone.signal)
  await pause(20)
  await assert.rejects(
    host.withSlot(async () => {}, forever()),
    { name: 'Error', waitingCount: 1 },
  )
  gone.abort()
  await assert.rejects(leaves, { name: 'AbortError' })
  const waits = host.withSlot(async () => 'waited', forever())
  await pause(20)
  end()
  assert.equal(await waits, 'waited')
  await Promise.all(taken)
  await manager.close()
})

test('who asks for its memory while it goes has the same answer, and it can be loaded again', async () => {
  const { host, manager, counts } = await hostedOn({})
  assert.equal(await host.unload(), false)
  await host.withSlot(async () => {
    assert.equal(await host.unload(), false)
  }, forever())
  assert.equal(manager.budget.allocatedBytes > 0, true)
  assert.deepEqual(await Promise.all([host.unload(), host.unload()]), [true, true])
  assert.equal(counts.disposed, 1)
  assert.equal(host.loaded, undefined)
  const unloading = host.withSlot(async () => 'again', forever())
  assert.equal(await unloading, 'again')
  await manager.close()
})

test('models are listed while one of them loads', async () => {
  const { createApi } = await part('api')
  let finish
  const loaded = new Promise((resolve) => {
    finish = resolve
  })
  const { host, manager } = await hostedOn({ loaded })
  const app = await createApi({ manager, hosts: new Map([['fake', host]]), level: 'none', retryAfter: 1 })
  const used = host.withSlot(async () => {}, forever())
  const listed = async () => (await app.inject('/v1/models')).json().data[0]
  assert.equal((await listed()).context_length, undefined)
  finish()
  await used
  assert.equal((await listed()).context_length, 256)
  await app.close()
  await manager.close()
})

test('a stream that fails in its middle says so and ends, and its slot is free', async (context) => {
  const { createApi } = await part('api')
  const said = context.mock.method(console, 'error', () => {})
  const evaluate = async function* () {
    yield 65
    yield 66
    throw new Error('the GPU is gone')
  }
  const { host, manager } = await hostedOn({ evaluate })
  const app = await createApi({ manager, hosts: new Map([['fake', host]]), level: 'none', retryAfter: 1 })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
  for (let round = 0; round < 3; round++) {
    let text = ''
    const read = async () => {
      const stream = await openai.completions.create({ model: 'fake', prompt: 'a', max_tokens: 8, stream: true })
      for await (const { choices } of stream) text += choices[0].text
    }
    await assert.rejects(read(), { code: 'internal_error' })
    assert.equal(text, 'AB')
  }
  assert.equal(said.mock.callCount(), 3)
  await app.close()
  await manager.close()
})

test('a character that comes in several tokens is in one piece', async () => {
  const { pieces } = await part('text')
  const { getLlama } = await load('node-llama-cpp')
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error' })
  const model = await llama.loadModel({ modelPath: SAMPLE })
  const written = 'Grüße, 世界! 🚢🧑‍🚀 naïve'
  const tokens = model.tokenize(written)
  assert.ok(tokens.length > [...written].length, 'some of its characters are several tokens')
  const all = []
  const each = async function* () {
    yield* tokens
  }
  for await (const piece of pieces(each(), (some, before) => model.detokenize(some, false, before))) all.push(piece)
  assert.equal(
    all
      .map(({ text }) => text)
      .join('')
      .trim(),
    written,
  )
  assert.deepEqual(
    all.filter(({ text }) => text.includes('\ufffd')),
    [],
  )
  assert.equal(
    all.reduce((sum, { tokenCount }) => sum + tokenCount, 0),
    tokens.length,
  )
  await llama.dispose()
})

test('models of the same name are told apart by their folders', async () => {
  const { modelIds } = await part('model-ids')
  const ids = (...paths) => [...modelIds(paths).keys()]
  assert.deepEqual(ids('/m/a.gguf', '/m/b.gguf'), ['a', 'b'])
  assert.deepEqual(ids('/m/x/a.gguf', '/m/y/a.gguf', '/m/b.gguf'), ['x/a', 'y/a', 'b'])
  assert.deepEqual(ids('/m/x/z/a.gguf', '/m/y/z/a.gguf'), ['x/z/a', 'y/z/a'])
  assert.throws(() => modelIds(['/m/a.gguf', '/m/./a.gguf']), /a.gguf twice/)
})

test('a model that never fits is told of at the start, with the report of its plan', () => {
  const args = [join(PLACE, 'build', 'server.js'), SAMPLE, '--port', '0', '--max-bytes', '1MiB']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 120_000 })
  assert.deepEqual([status, stdout], [1, ''])
  assert.match(stderr, /PLAN FAILED/)
})

test('two models where one has room: the idle one goes for the other', async () => {
  // One of the same name, in another folder.
  mkdirSync(join(PLACE, 'other'), { recursive: true })
  const other = join(PLACE, 'other', 'plimsoll-sample-llama.gguf')
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
    const [first, second] = ['models/plimsoll-sample-llama', 'other/plimsoll-sample-llama']
    for (const model of [first, second, first]) {
      assert.deepEqual(await ask(model), [model])
      // What was used a second ago is not idle.
      await pause(1100)
    }
  } finally {
    assert.equal((await pair.stop()).code, 0)
  }
})

/** A port of this machine that nobody listens at. */
async function freePort() {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address()
  taken.close()
  return port
}

test('plimsoll up runs it: started at the first connection, streamed through, stopped when it is idle', async () => {
  // A ledger stands in RAM.
  const folder = mkdtempSync('/dev/shm/plimsoll-test-server-')
  const port = await freePort()
  const file = join(folder, 'plan.json')
  const command = [process.execPath, join(PLACE, 'build', 'server.js'), SAMPLE]
  command.push('--parallel', '2', '--context', '256', '--threads', '1', '--level', 'none')
  const chat = {
    model: SAMPLE,
    limitBytes: '512MiB',
    contextLength: 256,
    parallel: 2,
    command,
    listen: `127.0.0.1:${port}`,
    healthPath: '/health',
    idleTimeoutMs: '500ms',
    waitTimeoutMs: '2min',
  }
  writeFileSync(file, JSON.stringify({ totalBytes: '1GiB', headroomBytes: '64MiB', instances: { chat } }))
  const up = spawn(process.execPath, [join(ROOT, 'dist/cli.js'), 'up', file, '--json', '--directory', folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let told = ''
  let errors = ''
  up.stdout.setEncoding('utf8').on('data', (text) => {
    told += text
  })
  up.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text
  })
  const ended = new Promise((resolve) => up.once('exit', resolve))
  const count = (event) => told.split(`"event":"${event}"`).length - 1
  const until = async (event, times) => {
    while (count(event) < times) {
      assert.equal(up.exitCode, null, `${told}${errors}`)
      await pause(20)
    }
  }
  try {
    await until('listening', 1)
    const openai = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'none', maxRetries: 0 })
    for (const round of [1, 2]) {
      const streams = [1, 2].map(async () => {
        let pieces = 0
        const stream = await openai.chat.completions.create(
          { ...short, stream: true, messages: [{ role: 'user', content: 'Hello' }] },
          { headers: { connection: 'close' } },
        )
        for await (const { choices } of stream) pieces += choices[0].finish_reason === null ? 1 : 0
        return pieces
      })
      for (const pieces of await Promise.all(streams)) assert.ok(pieces > 0, `${pieces} pieces`)
      await until('stopped', round)
      assert.deepEqual([count('starting'), count('ready')], [round, round])
    }
  } finally {
    up.kill('SIGTERM')
    assert.equal(await ended, 0, errors)
    rmSync(folder, { recursive: true })
  }
})

test(`four times its capacity for ${seconds} s: nothing but answers and 503, at the pace of before`, async () => {
  const { default: autocannon } = await load('autocannon')
  // Its capacity is that of its slots. Nobody waits for one: that would be in the times of those who are served.
  const slots = 2
  const full = await start(SAMPLE, '--parallel', `${slots}`, '--waiting', '0', '--context', '256', '--threads', '1')
  const run = async (connections, duration, overallRate) => {
    const latencies = []
    const statuses = new Map()
    const rss = []
    const instance = autocannon({
      url: `${full.url}/v1/completions`,
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
    const timer = setInterval(() => rss.push(full.rssBytes()), 500)
    const { errors, timeouts } = await instance
    clearInterval(timer)
    latencies.sort((a, b) => a - b)
    const p99 = latencies[Math.floor(latencies.length * 0.99)]
    return { errors, timeouts, statuses, rss, served: latencies.length, p99 }
  }
  let unloaded
  let loaded
  try {
    await run(slots, 2)
    unloaded = await run(slots, seconds)
    assert.ok(unloaded.served > 0)
    loaded = await run(4 * slots, seconds, Math.ceil((4 * unloaded.served) / seconds))
  } finally {
    const { code, signal, errors } = await full.stop()
    assert.deepEqual({ code, signal, errors }, { code: 0, signal: null, errors: '' })
  }
  // Resident memory is flat: the most in the last quarter of the load against the most in the first half of it.
  const [half, quarter] = [Math.ceil(loaded.rss.length / 2), Math.floor((loaded.rss.length * 3) / 4)]
  const [rssBefore, rssAfter] = [Math.max(...loaded.rss.slice(0, half)), Math.max(...loaded.rss.slice(quarter))]
  const ratio = loaded.p99 / unloaded.p99
  const MiB = 2 ** 20
  console.log(
    `  ${slots} clients for ${slots} slots: ${unloaded.served} served, p99 ${unloaded.p99.toFixed(1)} ms; ${4 * slots} clients: ${loaded.served} served, ` +
      `p99 ${loaded.p99.toFixed(1)} ms (${ratio.toFixed(2)} x), ${loaded.statuses.get(503) ?? 0} refused; RSS ${(rssBefore / MiB).toFixed(0)} -> ${(rssAfter / MiB).toFixed(0)} MiB`,
  )
  const others = [...loaded.statuses.keys()].filter((status) => status !== 200 && status !== 503)
  assert.deepEqual(others, [])
  assert.deepEqual([loaded.errors, loaded.timeouts], [0, 0])
  assert.ok(loaded.served > 0)
  assert.ok(loaded.statuses.get(503) > 0, 'some are refused')
  assert.ok(rssAfter < rssBefore * 1.1 + 8 * MiB, `RSS grew from ${rssBefore} to ${rssAfter}`)
  if (values['assert-latency']) assert.ok(ratio <= 1.5, `p99 is ${ratio.toFixed(2)} times that of before`)
})
