import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type IncomingHttpHeaders, request } from 'node:http'
import { InsufficientMemoryError, InvalidArgumentError, MemoryManager, MiB, processes } from 'plimsoll'
import { type Dashboard, type DashboardMoment, type DashboardState, serveDashboard } from 'plimsoll/dashboard'
import { root, runNode } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { rejectedBy } from './helpers/rejected-by'

let manager: MemoryManager
let dashboard: Dashboard
beforeEach(async () => {
  manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 100 * MiB } as never)
  dashboard = await serveDashboard({ manager, intervalMs: 100 })
})
afterEach(async () => {
  await dashboard.close()
  await manager.close()
})

interface Answer {
  status: number | undefined
  headers: IncomingHttpHeaders
  text: string
}

/** What is answered to one request, as a program sends it: fetch() does not let one name another host. */
const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<Answer>((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port: dashboard.port, path, headers, method }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
    })
    call.on('error', reject).end()
  })

const pathOf = (link: string) => {
  const { pathname, search } = new URL(link)
  return pathname + search
}

/** Opens a link, and gives the cookie that comes for it. */
async function cookieFrom(link = dashboard.link()): Promise<string> {
  const { headers } = await ask(pathOf(link))
  return headers['set-cookie']?.[0]?.split(';')[0] ?? ''
}

/** What a page is sent first: the moments before, and the state. */
async function firstEvents(cookie: string): Promise<[DashboardMoment[], DashboardState]> {
  const response = await fetch(`${dashboard.url}events`, { headers: { cookie } })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let text = ''
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    text += Buffer.from(piece.value).toString()
    const found = /event: history\ndata: (.*)\n\nevent: state\ndata: (.*)\n\n/.exec(text)
    if (!found) continue
    await reader.cancel()
    return [JSON.parse(found[1] as string), JSON.parse(found[2] as string)]
  }
  throw new Error(`expected a history and a state, got ${text}`)
}

describe('who may look', () => {
  test('is who opens a link first, and that browser again', async () => {
    const path = pathOf(dashboard.link())
    const first = await ask(path)
    expect(first).toMatchObject({ status: 303, text: '', headers: { location: '/' } })
    const [set = ''] = first.headers['set-cookie'] ?? []
    expect(set).toMatch(/^plimsoll-\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/)
    const cookie = set.split(';')[0] as string
    for (const _ of [1, 2]) expect(await ask('/', { cookie })).toMatchObject({ status: 200 })
    // Replayed.
    expect(await ask(path)).toMatchObject({ status: 403, text: '' })
    expect((await ask(path)).headers['set-cookie']).toBeUndefined()
  })

  test('is nobody without a cookie, with a wrong one or a wrong token: not a byte', async () => {
    const good = await cookieFrom()
    const name = good.split('=')[0]
    for (const path of [
      '/',
      '/events',
      '/?token=',
      '/?token=wrong',
      `/?token=${'A'.repeat(43)}`,
      '/nothing',
      '//',
      '/%',
    ]) {
      for (const cookie of ['', `${name}=`, `${name}=wrong`, `${name}x=${good.split('=')[1]}`, good.slice(0, -1)]) {
        const { status, text } = await ask(path, cookie ? { cookie } : {})
        expect({ path, cookie, status, text }).toEqual({ path, cookie, status: 403, text: '' })
      }
    }
  })

  test('is nobody with a link that has become too old', async () => {
    await using brief = await serveDashboard({ manager, linkMs: 1 })
    const link = brief.link()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const response = await fetch(link, { redirect: 'manual' })
    expect([response.status, await response.text(), response.headers.get('set-cookie')]).toEqual([403, '', null])
  })

  test('is nobody with the cookie of another dashboard', async () => {
    await using other = await serveDashboard({ manager })
    const { headers } = await fetch(other.link(), { redirect: 'manual' })
    const cookie = headers.get('set-cookie')?.split(';')[0] as string
    expect(await ask('/', { cookie })).toMatchObject({ status: 403, text: '' })
    const renamed = cookie.replace(String(other.port), String(dashboard.port))
    expect(await ask('/', { cookie: renamed })).toMatchObject({ status: 403, text: '' })
  })

  test.each([
    ['by the name of another host, as DNS rebinding does', { host: 'attacker.example' }],
    ['by such a name and the right port', { host: 'attacker.example:PORT' }],
    ['by a name that begins as ours', { host: '127.0.0.1.attacker.example' }],
    ['by a name that ends as ours', { host: 'attacker.example#127.0.0.1' }],
    ['from another origin', { origin: 'https://attacker.example' }],
    ['from another port of this machine', { origin: 'http://127.0.0.1:1' }],
    ['from a page without an origin', { origin: 'null' }],
    ['from another site', { 'sec-fetch-site': 'cross-site' }],
    ['from another port, as a browser tells it', { 'sec-fetch-site': 'same-site' }],
  ] as [string, Record<string, string>][])('is nobody %s, even with the cookie or a link', async (_, headers) => {
    const cookie = await cookieFrom()
    const sent = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replace('PORT', String(dashboard.port))]),
    )
    for (const path of ['/', '/events', pathOf(dashboard.link())]) {
      const { status, text, headers: got } = await ask(path, { ...sent, cookie })
      expect({ status, text, cookie: got['set-cookie'] }).toEqual({ status: 403, text: '', cookie: undefined })
    }
    // A link that somebody else sent on is not used up by that.
    const link = dashboard.link()
    await ask(pathOf(link), sent)
    expect(await ask(pathOf(link))).toMatchObject({ status: 303 })
  })

  test('reads, and does nothing else', async () => {
    const cookie = await cookieFrom()
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
      expect(await ask('/', { cookie }, method)).toMatchObject({ status: 405, text: '' })
    }
    expect(await ask('/nothing', { cookie })).toMatchObject({ status: 404, text: '' })
  })
})

describe('the page', () => {
  test('needs nothing from elsewhere, and its policy lets nothing but its own scripts run', async () => {
    const { text, headers } = await ask('/', { cookie: await cookieFrom() })
    const policy = String(headers['content-security-policy'])
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-\S+'; script-src 'sha256-\S+' 'sha256-\S+'; connect-src 'self';/,
    )
    expect(policy).not.toContain('unsafe')
    expect(text).not.toMatch(/(?:src|href)="(?!#|data:,)/)
    expect(text).toContain('Copyright (c) 2022 Leon Sorokin')
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    })
  })
})

describe('what is shown', () => {
  test('is what the API gives: line, labels, pools, queue, processes', async () => {
    using _weights = manager.budget.allocate(30 * MiB, '<b>weights</b>')
    using _cache = manager.budget.allocate(10 * MiB, 'kv cache')
    const waits = rejectedBy(Error as never, manager.acquire({ bytes: 90 * MiB, label: 'later' }))
    const pool = await manager.pools.create({ device: 'host', slabBytes: 4 * MiB })
    await pool.reserve(4 * MiB)
    using _buffer = pool.allocate(MiB, { label: 'page' })
    const [history, state] = await firstEvents(await cookieFrom())
    expect(history.length).toBeGreaterThan(0)
    expect(history.at(-1)).toMatchObject({ lineBytes: manager.budget.lineBytes })
    expect(state.moment).toMatchObject({
      lineBytes: manager.budget.lineBytes,
      allocatedBytes: manager.budget.allocatedBytes,
      headroomBytes: expect.any(Number),
    })
    expect(state.terms).toEqual(manager.budget.terms.sort((a, b) => a.bytes - b.bytes))
    expect(state.labels).toEqual(
      expect.arrayContaining([
        ['<b>weights</b>', 30 * MiB],
        ['kv cache', 10 * MiB],
      ]),
    )
    expect(state.headroom?.terms.map(({ kind }) => kind)).toEqual(
      manager.budget.headroom().terms.map(({ kind }) => kind),
    )
    expect(state.waiting).toMatchObject([{ label: 'later', bytes: 90 * MiB }])
    const { timeMs: _, ...snapshot } = pool.snapshot()
    expect(state.pools).toMatchObject([snapshot])
    const pids = (await processes({ loaded: true })).map(({ pid }) => pid)
    expect(pids).toContain(process.pid)
    expect(state.processes.map(({ pid }) => pid)).toContain(process.pid)
    expect(state.peakBytes).toBe(manager.budget.peakBytes)
    manager.admission.close()
    await waits
  })

  test('has the refusals that it was told of, with their advice, the latest first', async () => {
    const refuse = (label: string) => thrownBy(InsufficientMemoryError, () => manager.budget.allocate(200 * MiB, label))
    const errors = [refuse('first'), refuse('second')]
    for (const error of errors) dashboard.refused(error)
    const { refusals, availableBytes: left } = await dashboard.state()
    expect(left).toBe(manager.budget.availableBytes)
    expect(refusals.map(({ label }) => label)).toEqual(['second', 'first'])
    const { requestedBytes, availableBytes, bindingConstraint, suggestion } = errors[1] as InsufficientMemoryError
    expect(refusals[0]).toMatchObject({ requestedBytes, availableBytes, bindingConstraint, suggestion })
    for (const wrong of [undefined, new Error('no'), 7]) {
      expect(() => dashboard.refused(wrong as never)).toThrow(InvalidArgumentError)
    }
  })

  test('has the changes of level', async () => {
    const critical = once(manager.monitor as never, 'critical')
    manager.monitor.start({ intervalMs: 10, warnPercent: 0, criticalPercent: 0, refuseAtCritical: false })
    await critical
    const { events, level } = await dashboard.state()
    expect(level).toBe('critical')
    expect(events[0]).toMatchObject({ kind: 'critical', text: expect.stringContaining('% in use') })
  })

  test('tells who shares the ledger', async () => {
    await using sharing = new MemoryManager({
      shared: { directory: '/dev/shm', name: `test-${process.pid}`, processName: 'a server', force: true },
    } as never)
    using taken = sharing.budget.allocate(MiB, 'weights')
    await using shown = await serveDashboard({ manager: sharing })
    const { holders } = await shown.state()
    expect(holders).toMatchObject([{ name: 'a server', pid: process.pid, heldBytes: taken.sizeBytes }])
  })

  test('goes on in every page that is open, and ends with the dashboard', async () => {
    const cookie = await cookieFrom()
    const pages = await Promise.all(
      Array.from({ length: 10 }, () => fetch(`${dashboard.url}events`, { headers: { cookie } })),
    )
    const texts = pages.map(async (page) => {
      let text = ''
      try {
        for await (const piece of page.body as unknown as AsyncIterable<Uint8Array>) text += Buffer.from(piece)
      } catch {
        // The connection was ended.
      }
      return text
    })
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await dashboard.close()
    for (const text of await Promise.all(texts)) {
      expect(text.match(/^event: history$/gm)).toHaveLength(1)
      expect(text.match(/^event: state$/gm)?.length).toBeGreaterThan(2)
    }
  })

  test('of a manager that was closed is its budget', async () => {
    await manager.close()
    expect(await dashboard.state()).toMatchObject({ pools: [], waiting: [] })
  })
})

test('unfit options are refused by name', async () => {
  for (const options of [{ prot: 1 }, { port: 65_536 }, { intervalMs: 1 }, { manager: {} }, { linkMs: 0 }]) {
    await rejectedBy(InvalidArgumentError, serveDashboard(options as never))
  }
})

test('plimsoll dashboard prints a link that opens once, and ends with 0 when it is asked to', async () => {
  const child = spawn(process.execPath, ['dist/cli.js', 'dashboard', '--json', '--interval', '100ms'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(child.stdout, 'data')
  const { url, link } = JSON.parse(String(line))
  expect(link.startsWith(`${url}?token=`)).toBe(true)
  expect(await (await fetch(url)).text()).toBe('')
  expect((await fetch(link, { redirect: 'manual' })).status).toBe(303)
  expect((await fetch(link, { redirect: 'manual' })).status).toBe(403)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a port that is taken ends with 4', () => {
  const { status, stderr } = runNode(['dist/cli.js', 'dashboard', '--port', `${dashboard.port}`])
  expect(status).toBe(4)
  expect(stderr).toContain('EADDRINUSE')
})
