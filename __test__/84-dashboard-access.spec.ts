import { MemoryManager, MiB } from 'plimsoll'
import { type Dashboard, serveDashboard } from 'plimsoll/dashboard'
import { ask, pathOf, sessionFrom } from './helpers/dashboard'

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

/** All that whoever may not look is told, which has no figure in it. */
const ADVICE =
  'This page opens by a link that was not used and is not too old: ' +
  'press Enter where plimsoll dashboard runs for one, or have your program print one.\n'

describe('who may look', () => {
  test('is who opens a link first, and that browser again', async () => {
    const path = pathOf(dashboard.link())
    const first = await ask(dashboard, path)
    expect(first).toMatchObject({
      status: 303,
      text: '',
      headers: { location: expect.stringMatching(/^\/#[\w-]{43}$/) },
    })
    const [set = ''] = first.headers['set-cookie'] ?? []
    expect(set).toMatch(/^plimsoll-\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/)
    const cookie = set.split(';')[0] as string
    for (const _ of [1, 2]) expect(await ask(dashboard, '/', { cookie })).toMatchObject({ status: 200 })
    // Replayed.
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }
    expect(await ask(dashboard, path)).toMatchObject({ status: 403, text: ADVICE, headers })
    expect((await ask(dashboard, path)).headers['set-cookie']).toBeUndefined()
    // Opened again where the cookie is, as by a click on the same line.
    for (const again of [path, '/?token=wrong']) {
      expect(await ask(dashboard, again, { cookie })).toMatchObject({
        status: 303,
        text: '',
        headers: { location: '/' },
      })
    }
  })

  test('is nobody with the cookie alone, which browsers send to any other server of this machine, too', async () => {
    const { cookie, events } = await sessionFrom(dashboard)
    const page = await ask(dashboard, '/', { cookie })
    expect([page.status, page.text.includes(String(manager.budget.lineBytes))]).toEqual([200, false])
    for (const path of ['/events', '/events?key=', '/events?key=wrong', events.slice(0, -1), `${events}x`]) {
      expect(await ask(dashboard, path, { cookie })).toMatchObject({ status: 403, text: '' })
    }
  })

  test('is nobody without a cookie, with a wrong one or a wrong token: not a figure', async () => {
    const { cookie: good, events } = await sessionFrom(dashboard)
    const name = good.split('=')[0]
    for (const path of [
      '/',
      '/events',
      events,
      '/?token=',
      '/?token=wrong',
      `/?token=${'A'.repeat(43)}`,
      '/nothing',
      '//',
      '/%',
    ]) {
      for (const cookie of ['', `${name}=`, `${name}=wrong`, `${name}x=${good.split('=')[1]}`, good.slice(0, -1)]) {
        const { status, text } = await ask(dashboard, path, cookie ? { cookie } : {})
        const told = /^\/(?:\?|$)/.test(path) ? ADVICE : ''
        expect({ path, cookie, status, text }).toEqual({ path, cookie, status: 403, text: told })
      }
    }
  })

  test('is nobody with a link that has become too old', async () => {
    await using brief = await serveDashboard({ manager, linkMs: 1 })
    const link = brief.link()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const response = await fetch(link, { redirect: 'manual' })
    expect([response.status, await response.text(), response.headers.get('set-cookie')]).toEqual([403, ADVICE, null])
  })

  test('is nobody with the cookie of another dashboard', async () => {
    await using other = await serveDashboard({ manager })
    const { headers } = await fetch(other.link(), { redirect: 'manual' })
    const cookie = headers.get('set-cookie')?.split(';')[0] as string
    const renamed = cookie.replace(String(other.port), String(dashboard.port))
    for (const wrong of [cookie, renamed]) {
      expect(await ask(dashboard, '/', { cookie: wrong })).toMatchObject({ status: 403, text: ADVICE })
      expect(await ask(dashboard, '/events', { cookie: wrong })).toMatchObject({ status: 403, text: '' })
    }
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
    const { cookie, events } = await sessionFrom(dashboard)
    const sent = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replace('PORT', String(dashboard.port))]),
    )
    for (const path of ['/', events, pathOf(dashboard.link())]) {
      const { status, text, headers: got } = await ask(dashboard, path, { ...sent, cookie })
      expect({ status, text, cookie: got['set-cookie'] }).toEqual({ status: 403, text: '', cookie: undefined })
    }
    // A link that somebody else sent on is not used up by that.
    const link = dashboard.link()
    await ask(dashboard, pathOf(link), sent)
    expect(await ask(dashboard, pathOf(link))).toMatchObject({ status: 303 })
  })

  test('reads, and does nothing else', async () => {
    const { cookie } = await sessionFrom(dashboard)
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
      expect(await ask(dashboard, '/', { cookie }, method)).toMatchObject({ status: 405, text: '' })
    }
    expect(await ask(dashboard, '/nothing', { cookie })).toMatchObject({ status: 404, text: '' })
  })
})

describe('the page', () => {
  test('needs nothing from elsewhere, and its policy lets nothing but its own scripts run', async () => {
    const { text, headers } = await ask(dashboard, '/', { cookie: (await sessionFrom(dashboard)).cookie })
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
