/** What the package serves, as `recipes.mjs` has the rest: arguments for it, and requests as no browser sends them. */

import { request } from 'node:http'

/** The recipes; what they are made with is that of `recipes.mjs`. */
export function serverRecipes({ options, oneOf, within, of, flag }) {
  const sources = {
    manager: of('MemoryManager'),
    budget: of('MemoryBudget'),
    ledger: oneOf(false, true, 'no-such-ledger', { name: 'none' }),
    // One that is taken, too.
    port: ({ random, servers }) => (random.chance(0.8) ? 0 : ([...servers].at(-1)?.port ?? 0)),
  }
  const pressure = {
    level: oneOf('warning', 'critical', 'none'),
    minAvailableBytes: oneOf(0, 1, 2 ** 40),
    maxWaiting: within(1, 5),
    retryAfter: within(0, 100),
  }
  const dashboard = [
    options({ ...sources, monitor: of('MemoryMonitor'), intervalMs: oneOf(100, 1000), linkMs: within(1, 1000) }),
  ]
  return {
    serveDashboard: dashboard,
    'Dashboard.open': dashboard,
    'Dashboard#refused': [refusal],
    errorAnswer: [refusal, within(0, 100)],
    memoryErrors: [options({ retryAfter: pressure.retryAfter })],
    memoryPressure: [options({ ...pressure, manager: of('MemoryManager') })],
    modelObject: [oneOf('llama', ''), of('ModelMemoryEstimate'), oneOf('local')],
    pressureOf: [of('MemoryManager'), options(pressure)],
    serveMetrics: [options({ ...sources, processes: flag, maxLabels: within(1, 5) })],
  }
}

function refusal({ plimsoll }) {
  try {
    return new plimsoll.MemoryBudget({ totalBytes: 1 }).allocate(2, 'too much')
  } catch (error) {
    return error
  }
}

/** All that somebody is told who may not look. */
const ADVICE =
  'This page opens by a link that was not used and is not too old: ' +
  'press Enter where plimsoll dashboard runs for one, or have your program print one.\n'

const paths = [
  '/',
  '/events',
  '/metrics',
  '/?token=',
  '/?token=%',
  '//',
  '*',
  '/..%2f',
  'http://example.org/',
  '/\u007f',
]
const hosts = ['127.0.0.1', 'localhost:1', 'example.org', '[::1]', '127.0.0.1:99999999', '']

/** What a server may answer with: its own, and those of Node.js's parser. */
const statuses = new Set([200, 303, 400, 403, 404, 405, 421, 431, 500, 503])

/** Sends a request, sometimes with a good link first, and reads some of the answer. Whatever is sent, it is answered or cut off. */
export async function ask(world, server) {
  const { random, judge } = world
  const cookie = random.chance(0.5) && typeof server.link === 'function' ? await cookieOf(server) : 'a=b; =; ;;\u00ff'
  const headers = {
    host: random.chance(0.7) ? `127.0.0.1:${server.port}` : random.pick(hosts),
    cookie,
    ...(random.chance(0.2) && {
      origin: random.pick(['null', 'https://example.org', `http://127.0.0.1:${server.port}`]),
    }),
    ...(random.chance(0.1) && { 'x-long': 'x'.repeat(random.pick([1000, 20_000])) }),
  }
  const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PURGE'])
  const { status, text } = await answerOf(server.port, { method, path: random.pick(paths), headers })
  if (status === undefined) return
  if (!statuses.has(status)) judge.fault('server', `answered ${method} with ${status}`)
  if (status === 403 && text !== '' && text !== ADVICE)
    judge.fault('server', `refused ${method} with a text: ${text.slice(0, 200)}`)
}

async function cookieOf(server) {
  const { pathname, search } = new URL(server.link())
  const { headers } = await answerOf(server.port, { path: pathname + search })
  return headers?.['set-cookie']?.[0]?.split(';')[0] ?? ''
}

/** What comes of a request; without a status where the connection was ended. A stream of events is left after its first piece. */
function answerOf(port, options) {
  return new Promise((resolve) => {
    const call = request({ host: '127.0.0.1', port, agent: false, ...options }, (response) => {
      const { statusCode: status, headers } = response
      let text = ''
      const done = () => resolve({ status, headers, text })
      response.on('data', (piece) => {
        text += piece
        if (headers['content-type'] === 'text/event-stream') call.destroy()
      })
      response.on('error', done).on('close', done)
    })
    call.on('error', () => resolve({})).on('close', () => resolve({}))
    call.setTimeout(20_000, () => call.destroy())
    call.end()
  })
}
