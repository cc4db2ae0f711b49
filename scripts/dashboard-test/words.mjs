/** What the pages write: sizes, times, headings, and what a table's numbers add up to. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { ownManager } from './board.mjs'

const require = createRequire(new URL('../../package.json', import.meta.url))
const { formatBytes } = require('plimsoll')
const { poolsPage, profilePage } = require('plimsoll/report')

/** Sizes at the edges of units, and halfway between two hundredths. */
const SIZES = [1023, 1024, 1152, 1408, 1664, 1920, 2 ** 20 - 6, 2 ** 20 - 5, 2 ** 20 - 1, 1.125 * 2 ** 30, 2 ** 41]

export function testWords(given) {
  test('all pages write sizes as the package does, and times of 24 hours with dates of ISO 8601', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-pages-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const { manager, keep, serve } = ownManager(t, { maxBytes: 1 })
    manager.profile.start()
    for (const bytes of SIZES)
      assert.throws(() => manager.budget.allocate(bytes, 'any'), { code: 'ERR_INSUFFICIENT_MEMORY' })
    keep(manager.budget.hold(1, 'one'))
    const dashboard = await serve()
    const timeZone = 'America/New_York'
    const { page, close } = await given.open(dashboard.link(), { locale: 'en-US', timezoneId: timeZone })
    const shown = await page.$$eval('data', (all) => all.map(({ value, textContent }) => [Number(value), textContent]))
    for (const [count, text] of shown) assert.equal(text, count < 0 ? `−${formatBytes(-count)}` : formatBytes(count))
    const sizes = shown.map(([count]) => count)
    assert([0, 1, ...SIZES].every((count) => sizes.includes(count)))
    const [{ timeMs }] = (await dashboard.state()).refusals
    const parts = { timeZone, hourCycle: 'h23', hour: '2-digit', minute: '2-digit', second: '2-digit' }
    const expected = new Date(timeMs).toLocaleTimeString('en-US', parts)
    const latest = await page.textContent('#refusals time')
    assert(latest === expected || latest.endsWith(` ${expected}`), `expected ${expected}, got ${latest}`)
    for (const time of await page.$$eval('time', (all) => all.map(({ textContent }) => textContent))) {
      assert.match(time, /^(\d{4}-\d{2}-\d{2} )?([01]\d|2[0-3]):[0-5]\d:[0-5]\d$/)
    }
    await close()
    const context = await given.browser.newContext()
    const opened = async (name, html) => {
      const path = join(folder, `${name}.html`)
      writeFileSync(path, html)
      const its = await context.newPage()
      await its.goto(`file://${path}`)
      return its
    }
    const profile = await opened('profile', manager.profile.export(profilePage))
    assert.match(await profile.textContent('#about'), /^Started \d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} UTC, /)
    assert((await profile.textContent('#labels')).includes('one1 byte1 byte1 byte'))
    const snapshot = { ...given.pool.snapshot(), timeMs: Date.UTC(2026, 0, 2, 15, 4, 5) }
    const pools = await opened('pools', poolsPage([snapshot]))
    assert.equal(await pools.textContent('time'), '2026-01-02 15:04:05 UTC')
    await context.close()
  })

  test('headroom is its binding term without what was granted and is not yet taken, and the table says so', async (t) => {
    const { hold, serve } = ownManager(t, { headroom: true })
    hold(700, 'weights')
    const dashboard = await serve()
    const { page, close } = await given.open(dashboard.link())
    const { rows, headroom } = await page.evaluate(() => ({
      rows: [...document.querySelectorAll('#terms tbody tr')].map(({ cells: [what, of, bound] }) => ({
        what: what.textContent,
        of: of.textContent,
        bytes: Number(bound.querySelector('data').value),
        text: bound.textContent,
      })),
      headroom: Number(document.querySelectorAll('#figures data')[3].value),
    }))
    const pending = rows.at(-1)
    assert.deepEqual([pending.what, pending.of], ['granted and not yet taken', 'headroom'])
    assert(pending.bytes < 0)
    assert.equal(pending.text, `−${formatBytes(-pending.bytes)}`)
    const binding = rows.find(({ of }) => of === 'headroom, binding')
    assert.equal(headroom, binding.bytes + pending.bytes)
    await close()
  })

  test('on a phone every table has a heading, and no size is apart from its unit', async () => {
    const { page, close } = await given.open(given.dashboard.link(), { viewport: { width: 360, height: 740 } })
    for (const [table, heading] of [
      ['#terms', 'What bounds the line and headroom'],
      ['#holders', 'Who shares the ledger'],
      ['#waiting', 'Who waits in this process'],
      ['#buffers', 'Largest buffers'],
    ]) {
      const caption = page.locator(`${table} caption`)
      assert.equal(await caption.textContent(), heading)
      const { width, height } = await caption.boundingBox()
      assert(width > 60 && height > 14, `expected ${heading} to be seen, got ${width} x ${height}`)
    }
    const broken = await page.$$eval('#terms td:not(:first-child), #processes td:not(:first-child), data', (all) =>
      all.flatMap((each) => {
        const range = document.createRange()
        range.selectNodeContents(each)
        const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)))
        return lines.size > 1 ? [each.textContent] : []
      }),
    )
    assert.deepEqual(broken, [])
    await close()
  })

  test('a level that is older than the dashboard is told, where nothing has changed since', async (t) => {
    const { manager, hold, serve } = ownManager(t)
    hold(1000, 'weights')
    const reached = once(manager.monitor, 'critical')
    // One sample alone: this machine may have trouble of its own to tell of.
    manager.monitor.start({ warnPercent: 0, criticalPercent: 1, refuseAtCritical: false, intervalMs: 3_600_000 })
    await reached
    await later(100)
    const dashboard = await serve()
    const { page, close } = await given.open(dashboard.link())
    const said = 'The level is critical; nothing has changed since the dashboard began.'
    assert.equal(await page.textContent('#events'), said)
    assert.match(await page.textContent('#level'), /critical/)
    await close()
  })
}
