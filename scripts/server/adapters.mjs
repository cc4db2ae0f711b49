import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './tools.mjs'

/** The middleware on the frameworks themselves. */
export function testAdapters() {
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
}
