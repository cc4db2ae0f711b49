/** Figures that do not come, clocks that are set, labels and slabs that are too many for a picture, and paper. */

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { MiB, ownManager } from './board.mjs'
import { sizes } from './shows.mjs'

const SERVED = fileURLToPath(new URL('served.mjs', import.meta.url))

const says = (text) => document.getElementById('connection').textContent.startsWith(text)

export function testLate(given) {
  test('a server that stands still is told, and the page goes on with it', async (t) => {
    const server = fork(SERVED, { execArgv: ['--expose-gc'] })
    t.after(async () => {
      server.kill('SIGCONT')
      server.send('end')
      await once(server, 'exit')
    })
    await once(server, 'message')
    server.send('link')
    const [link] = await once(server, 'message')
    const { page, close } = await given.open(link)
    server.kill('SIGSTOP')
    await page.waitForFunction(says, 'nothing has come since ')
    server.kill('SIGCONT')
    await page.waitForFunction(says, 'live')
    await close()
  })

  test('a clock that is set, back or forward, begins the chart anew', async (t) => {
    const { serve } = ownManager(t)
    const dashboard = await serve(100)
    const { page, errors, close } = await given.open(dashboard.link())
    const moments = () => page.evaluate(() => Number(document.getElementById('chart').getAttribute('aria-valuemax')))
    await page.waitForFunction(() => Number(document.getElementById('chart').getAttribute('aria-valuemax')) >= 5)
    const { now } = Date
    t.after(() => {
      Date.now = now
    })
    for (const stepMs of [-3_600_000, 400 * 86_400_000]) {
      const before = await moments()
      const real = Date.now
      Date.now = () => real() + stepMs
      await page.waitForFunction(
        (most) => Number(document.getElementById('chart').getAttribute('aria-valuemax')) < most,
        before,
      )
      const { timeMs } = (await dashboard.state()).moment
      await page.waitForFunction(() => Number(document.getElementById('chart').getAttribute('aria-valuemax')) >= 3)
      // What the chart has then lies close together, and the keyboard reaches each.
      await page.focus('#chart')
      await page.keyboard.press('Home')
      await page.keyboard.press('ArrowRight')
      assert.equal(await page.getAttribute('#chart', 'aria-valuenow'), '1')
      // What has the focus is not told of later moments.
      await page.evaluate(() => document.activeElement.blur())
      assert(Math.abs(timeMs - Date.now()) < 60_000)
    }
    assert.deepEqual(errors, [])
    await close()
  })

  test('labels without a tile are listed, and with their tiles and the rest they are all that is granted', async (t) => {
    const { hold, serve, manager } = ownManager(t)
    for (let at = 0; at < 330; at++) hold((at % 8) / 64 + 1, `slot ${at}`)
    const dashboard = await serve()
    const { page, close } = await given.open(dashboard.link(), { viewport: { width: 360, height: 740 } })
    assert.equal(await page.textContent('#treemap li:last-child > :first-child'), '330 others')
    const rows = await page.$$eval('#labels tbody tr', (all) => all.map((row) => row.cells[0].textContent))
    assert.equal(rows.length, 51)
    assert.match(rows[0], /^slot \d+$/)
    assert.equal(rows[50], '280 more')
    const listed = await sizes(page, '#labels')
    assert.equal(
      listed.reduce((sum, count) => sum + count, 0),
      manager.budget.allocatedBytes,
    )
    assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
    await close()
  })

  test('the largest buffers are the largest of all, those of slabs that are too full for a picture too', async (t) => {
    const { manager, serve } = ownManager(t)
    const full = await manager.pools.create({
      device: 'host',
      slabBytes: 64 * MiB,
      initialBytes: 64 * MiB,
      label: 'full',
    })
    const small = await manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, label: 'small' })
    const held = [full.allocate(30 * MiB, { label: 'weights' }), small.allocate(5 * 1024, { label: 'tiny' })]
    for (let at = 0; at < 1100; at++) held.push(full.allocate(4096, { label: `block ${at}` }))
    const dashboard = await serve()
    const { page, close } = await given.open(dashboard.link())
    const rows = await page.$$eval('#buffers tbody tr', (all) => all.map((row) => row.cells[0].textContent))
    assert.deepEqual(rows.slice(0, 2), ['weights', 'tiny'])
    assert.equal(rows.length, 50)
    assert.match(await page.textContent('#buffers-shown'), /^Largest buffers, without 1,052 smaller ones$/)
    await close()
    for (const buffer of held) buffer.release()
  })

  test('a tile that has the focus is not told again while nothing changes under its label', async (t) => {
    const { hold, serve } = ownManager(t)
    for (const label of ['weights', 'kv cache']) hold(40, label)
    const dashboard = await serve(100)
    const { page, close } = await given.open(dashboard.link())
    await page.focus('#treemap li')
    const told = await page.evaluate(async () => {
      let count = 0
      document.getElementById('treemap').addEventListener('focusin', () => {
        count += 1
      })
      await new Promise((resolve) => setTimeout(resolve, 1500))
      return count
    })
    assert.equal(told, 0)
    await close()
  })

  test('on paper it is dark on light, whatever the screen is', async () => {
    const { page, close } = await given.open(given.dashboard.link(), { colorScheme: 'dark' })
    const luminance = (name) =>
      page.evaluate((of) => {
        const canvas = document.createElement('canvas').getContext('2d')
        canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(of)
        return Number.parseInt(canvas.fillStyle.slice(1, 3), 16)
      }, name)
    assert((await luminance('--ink')) > 200)
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    assert((await luminance('--ink')) < 60)
    assert((await luminance('--card')) > 200)
    await close()
  })
}
