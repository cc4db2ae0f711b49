import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { InvalidArgumentError, MemoryManager, MiB, NeverFitsError, ReleasedError } from 'plimsoll'
import {
  type ErrorBody,
  errorAnswer,
  fastifyMemoryPressure,
  type MemoryPressureOptions,
  memoryErrors,
  memoryPressure,
  modelObject,
  type Pressure,
  pressureOf,
} from 'plimsoll/http'
import { thrownBy } from './helpers/errors'
import { FakeFastify } from './helpers/fake-fastify'
import { rejectedBy } from './helpers/rejected-by'

let manager: MemoryManager
beforeEach(() => {
  manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 100 * MiB } as never)
})
afterEach(() => manager.close())

/** Has that much of the budget taken. */
const take = (bytes: number) => manager.budget.allocate(bytes, 'a model').hold()

/** What a server answers to one request. */
async function ask(handle: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const server: Server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/completions`)
    return { status: response.status, retryAfter: response.headers.get('retry-after'), text: await response.text() }
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

describe('a plain server', () => {
  const serving = (options: Partial<MemoryPressureOptions> = {}) => {
    const goesOn = memoryPressure({ manager, ...options })
    return (request: IncomingMessage, response: ServerResponse) => goesOn(request, response) && response.end('served')
  }

  test('serves while there is memory, and answers with 503 and the numbers while there is none', async () => {
    expect(await ask(serving({ minAvailableBytes: MiB }))).toEqual({ status: 200, retryAfter: null, text: 'served' })
    using taken = take(manager.budget.availableBytes - MiB / 2)
    const { status, retryAfter, text } = await ask(serving({ minAvailableBytes: MiB, retryAfter: 7 }))
    expect([status, retryAfter]).toEqual([503, '7'])
    expect(JSON.parse(text)).toEqual({
      error: {
        message: '512.00 KiB of memory are free, and 1.00 MiB are kept: try again in 7 s',
        type: 'server_error',
        param: null,
        code: 'memory_pressure',
        pressure: { type: 'availableBytes', value: MiB / 2, limit: MiB },
        lineBytes: manager.budget.lineBytes,
        allocatedBytes: taken.sizeBytes,
      },
    })
  })

  test('refuses while as many wait as may', async () => {
    using _taken = take(manager.budget.availableBytes)
    const ended = new AbortController()
    const waiting = manager.acquire({ bytes: MiB, label: 'next' }, { signal: ended.signal })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(pressureOf(manager, { maxWaiting: 1 })).toEqual({
      type: 'waiting',
      value: 1,
      limit: 1,
      message: '1 requests wait for memory',
    })
    expect((await ask(serving({ maxWaiting: 1 }))).status).toBe(503)
    expect((await ask(serving({ maxWaiting: 2 }))).status).toBe(200)
    ended.abort()
    await expect(waiting).rejects.toThrow('aborted')
  })

  test('leaves the answer to a handler, and goes on where that gives none', async () => {
    using _taken = take(manager.budget.availableBytes)
    const seen: Pressure[] = []
    const answering = (_request: IncomingMessage, response: ServerResponse, pressure: Pressure) => {
      seen.push(pressure)
      response.statusCode = 429
      response.end('later')
    }
    expect(await ask(serving({ minAvailableBytes: 1, pressureHandler: answering }))).toMatchObject({
      status: 429,
      text: 'later',
    })
    expect(seen).toMatchObject([{ type: 'availableBytes', value: 0, limit: 1 }])
    expect((await ask(serving({ minAvailableBytes: 1, pressureHandler: () => {} }))).text).toBe('served')
    const later = async (_request: IncomingMessage, response: ServerResponse) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      response.statusCode = 429
      response.end('later')
    }
    expect((await ask(serving({ minAvailableBytes: 1, pressureHandler: later }))).status).toBe(429)
    const failing = async () => {
      throw new Error('broken')
    }
    await expect(ask(serving({ minAvailableBytes: 1, pressureHandler: failing }))).rejects.toThrow()
    expect(() => memoryErrors({ retryAfterMs: 1 } as never)).toThrow(InvalidArgumentError)
  })

  test('is in nobody’s way after its manager was closed', async () => {
    const handle = serving({ minAvailableBytes: MiB })
    await manager.close()
    expect((await ask(handle)).text).toBe('served')
  })
})

describe('errors as answers', () => {
  test('what may be granted later is 503, what never is 400, and others are none of memory’s', async () => {
    const lacking = thrownBy(Error as never, () => manager.budget.allocate(manager.budget.lineBytes + 1, 'too much'))
    expect(errorAnswer(lacking, 3)).toMatchObject({
      status: 503,
      headers: { 'retry-after': '3' },
      body: {
        error: { type: 'server_error', code: 'ERR_INSUFFICIENT_MEMORY', requestedBytes: manager.budget.lineBytes + 1 },
      },
    })
    const never = await rejectedBy(NeverFitsError, manager.acquire({ bytes: 2 ** 50, label: 'a' }))
    const answered = errorAnswer(never)
    expect(answered).toMatchObject({
      status: 400,
      body: { error: { type: 'invalid_request_error', code: 'ERR_NEVER_FITS' } },
    })
    expect(answered?.headers).not.toHaveProperty('retry-after')
    await manager.close()
    const released = await rejectedBy(ReleasedError, manager.acquire({ bytes: 1, label: 'a' }))
    for (const other of [released, new Error('other'), undefined, 'text']) expect(errorAnswer(other)).toBeUndefined()
  })

  test('at the end of an Express application', async () => {
    const handle = memoryErrors({ retryAfter: 4 })
    const passed: unknown[] = []
    const fail = (error: unknown) => (request: IncomingMessage, response: ServerResponse) =>
      handle(error, request, response, (other) => {
        passed.push(other)
        response.end('handled')
      })
    const lacking = thrownBy(Error as never, () => manager.budget.allocate(2 ** 50, 'too much'))
    expect(await ask(fail(lacking))).toMatchObject({ status: 503, retryAfter: '4' })
    const other = new Error('other')
    expect((await ask(fail(other))).text).toBe('handled')
    expect([passed, handle.length]).toEqual([[other], 4])
  })
})

describe('a Fastify application', () => {
  const lacking = () => thrownBy(Error as never, () => manager.budget.allocate(2 ** 50, 'too much'))

  test('is refused for before its handlers, and tells how it stands', async () => {
    const app = new FakeFastify()
    await app.register(fastifyMemoryPressure, { manager, minAvailableBytes: MiB, retryAfter: 7 })
    expect(await app.inject(() => 'served')).toMatchObject({ status: 200, payload: 'served' })
    expect(app.decorated('memoryPressure')()).toBeUndefined()
    using _taken = take(manager.budget.availableBytes)
    const { status, headers, payload } = await app.inject(() => 'served')
    expect([status, headers['retry-after'], (payload as ErrorBody).error.code]).toEqual([503, '7', 'memory_pressure'])
    expect(app.decorated('memoryPressure')()).toMatchObject({ type: 'availableBytes', value: 0 })
  })

  test('what its handlers throw for want of memory is answered, other errors are not ours', async () => {
    const app = new FakeFastify()
    await app.register(fastifyMemoryPressure, { manager, retryAfter: 7 })
    const { status, headers, payload } = await app.inject(() => {
      throw lacking()
    })
    expect([status, headers['retry-after']]).toEqual([503, '7'])
    expect(headers['content-length']).toBe(String(Buffer.byteLength(payload as string)))
    expect(JSON.parse(payload as string).error).toMatchObject({
      code: 'ERR_INSUFFICIENT_MEMORY',
      requestedBytes: 2 ** 50,
    })
    const other = await app.inject(() => {
      throw new Error('broken')
    })
    expect(other).toMatchObject({ status: 500, payload: '{"message":"broken"}' })
  })

  test('keeps the error handler of its own, which has the first word', async () => {
    const app = new FakeFastify()
    const seen: unknown[] = []
    app.setErrorHandler((error, _request, reply) => {
      seen.push((error as Error).message)
      if (seen.length === 1) reply.code(418).send({ own: true })
      else if (seen.length === 2) reply.code(429).send(error)
      else throw error
    })
    await app.register(fastifyMemoryPressure, { manager })
    const fail = () => {
      throw lacking()
    }
    expect(await app.inject(fail)).toMatchObject({ status: 418, payload: { own: true } })
    expect((await app.inject(fail)).status).toBe(429)
    expect((await app.inject(fail)).status).toBe(503)
    expect(seen).toHaveLength(3)
  })
})

test('a model is listed with the context that fits', () => {
  const has = { contextLength: 4096, parallel: 2 } as never
  expect(modelObject('llama', has)).toMatchObject({
    id: 'llama',
    object: 'model',
    owned_by: 'local',
    context_length: 4096,
    max_model_len: 4096,
    meta: { n_ctx: 4096, n_parallel: 2 },
  })
  expect(modelObject('llama', { configuration: has } as never).max_model_len).toBe(4096)
})

test.each([undefined, null, 7, {}, { contextLength: 1.5, parallel: 1 }])('a model is not listed with %p', (has) => {
  expect(thrownBy(InvalidArgumentError, () => modelObject('llama', has as never)).argument).toBe('has.contextLength')
})

test.each([
  ['no manager', {}, 'manager'],
  ['a manager that is none', { manager: {} }, 'manager'],
  ['a level that is none', { level: 'high' }, 'level'],
  ['half a second', { retryAfter: 0.5 }, 'retryAfter'],
  ['a misspelt option', { retryAfterMs: 1 }, 'options'],
])('%s is refused by its name', async (_what, options, argument) => {
  const all = argument === 'manager' ? options : { manager, ...options }
  expect(thrownBy(InvalidArgumentError, () => memoryPressure(all as MemoryPressureOptions)).argument).toBe(argument)
  const instance = { addHook() {}, decorate() {} }
  const registered = fastifyMemoryPressure(instance, all as MemoryPressureOptions<unknown, unknown>)
  expect((await rejectedBy(InvalidArgumentError, registered)).argument).toBe(argument)
})
