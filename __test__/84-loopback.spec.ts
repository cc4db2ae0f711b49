import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { MemoryManager, MiB } from 'plimsoll'
import { type Dashboard, serveDashboard } from 'plimsoll/dashboard'
import { type MetricsServer, serveMetrics } from 'plimsoll/metrics'
import { untimedMs, watchChild, withGarbage } from './helpers/child'
import { ask, sessionFrom } from './helpers/dashboard'
import { emulatorBytes } from './helpers/emulation'

// What is served for this machine can be asked by every program on it, without a token.

let manager: MemoryManager
beforeEach(() => {
  manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 100 * MiB } as never)
})
afterEach(() => manager.close())

const open: Socket[] = []
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy()
})

function connected(port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  open.push(socket)
  return socket
}

const requestOf = (port: number, path = '/metrics') => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`

async function answersOn(socket: Socket): Promise<number> {
  let text = ''
  socket.on('data', (data) => {
    text += data
  })
  await once(socket, 'close')
  return text.split('HTTP/1.1 ').length - 1
}

describe.each([
  ['the dashboard', (): Promise<Dashboard | MetricsServer> => serveDashboard({ manager })],
  ['the metrics', (): Promise<Dashboard | MetricsServer> => serveMetrics({ manager })],
])('%s', (_, serve) => {
  test('answers one request after another on a connection, and cuts off who asks on before it was answered', async () => {
    await using server = await serve()
    const polite = connected(server.port)
    for (const _ of [1, 2, 3]) {
      polite.write(requestOf(server.port))
      expect(String((await once(polite, 'data'))[0])).toMatch(/^HTTP\/1\.1 (?:200|403)/)
    }
    const impatient = connected(server.port)
    impatient.write(requestOf(server.port).repeat(1000))
    expect(await answersOn(impatient)).toBeLessThanOrEqual(1)
    polite.write(requestOf(server.port))
    expect(String((await once(polite, 'data'))[0])).toMatch(/^HTTP\/1\.1 (?:200|403)/)
  })

  test('has so many connections and no more, and takes others once those are gone', async () => {
    await using server = await serve()
    const sockets = Array.from({ length: 200 }, () => connected(server.port))
    await Promise.all(sockets.slice(40).map((socket) => once(socket, 'close')))
    expect(sockets.filter(({ closed }) => !closed)).toHaveLength(40)
    for (const socket of sockets) socket.destroy()
    for (;;) {
      const answer = await ask(server, '/').catch(() => undefined)
      if (answer) return
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })
})

test('who says nothing is cut off, and a page that is told nothing for longer is not', async () => {
  await using dashboard = await serveDashboard({ manager, intervalMs: 60_000 })
  const { cookie, events } = await sessionFrom(dashboard)
  const page = connected(dashboard.port)
  page.write(`GET ${events} HTTP/1.1\r\nHost: 127.0.0.1:${dashboard.port}\r\nCookie: ${cookie}\r\n\r\n`)
  await once(page, 'data')
  const [silent, slow] = [connected(dashboard.port), connected(dashboard.port)]
  slow.write('GET / HTTP/1.1\r\nHost: ')
  await Promise.all([once(silent, 'close'), once(slow, 'close')])
  expect(page.closed).toBe(false)
}, 60_000)

test(
  'links that nobody opened are not kept for longer than they are good',
  async () => {
    const script = `
    const { serveDashboard } = require('./dist/dashboard.js')
    const dashboard = await serveDashboard({ linkMs: 100 })
    const usedBytes = async () => { for (let i = 0; i < 5; i++) { gc(); await turn() } return process.memoryUsage().heapUsed }
    const links = async (count) => {
      for (let i = 0; i < count; i++) {
        dashboard.link()
        if (i % 10_000 === 0) { progress(); await new Promise((resolve) => setTimeout(resolve, 110)) }
      }
      return usedBytes()
    }
    const before = await links(20_000)
    const kept = (await links(100_000)) - before
    await dashboard.close()
    return kept`
    expect(await watchChild<number>(script, withGarbage)).toBeLessThan(2 * MiB)
  },
  untimedMs,
)

test(
  'who floods a server and does not read is cut off again and again, and costs it no memory that grows',
  async () => {
    const script = `
    const { connect } = require('node:net')
    const { serveMetrics } = require('./dist/metrics.js')
    const server = await serveMetrics()
    const request = ('GET /metrics HTTP/1.1\\r\\nHost: 127.0.0.1:' + server.port + '\\r\\n\\r\\n').repeat(500)
    const open = new Set()
    let [cutCount, isOver] = [0, false]
    const flood = () => {
      const socket = connect(server.port, '127.0.0.1').on('error', () => {}).pause()
      const more = () => { while (!socket.destroyed && socket.write(request)); }
      socket.on('connect', more).on('drain', more).on('close', () => {
        open.delete(socket)
        cutCount += 1
        if (cutCount % 50 === 0 && !isOver) progress()
        if (!isOver) setImmediate(flood)
      })
      open.add(socket)
    }
    for (let at = 0; at < 50; at++) flood()
    const rssAfter = async (count) => {
      while (cutCount < count) await new Promise((resolve) => setTimeout(resolve, 10))
      return rssBytes()
    }
    const before = await rssAfter(150)
    const grown = (await rssAfter(600)) - before
    isOver = true
    for (const socket of open) socket.destroy()
    await server.close()
    return grown`
    expect(await watchChild<number>(script, withGarbage)).toBeLessThan(64 * MiB + emulatorBytes)
  },
  untimedMs,
)
