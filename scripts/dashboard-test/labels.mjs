/** Labels of any length and number, on the pages of the dashboard, of pools and of profiles. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MiB, ownManager } from './board.mjs'

const require = createRequire(new URL('../../package.json', import.meta.url))
const { poolsPage, profilePage } = require('plimsoll/report')

/** What lies outside the page, or outside the section that it belongs to. */
const outside = (page) =>
  page.evaluate(() => {
    const isWide = document.documentElement.scrollWidth > innerWidth
    const wide = [...document.querySelectorAll('section, .box')].flatMap((section) => {
      const { right } = section.getBoundingClientRect()
      return [...section.querySelectorAll('bdi, h3, td, p, data')]
        .filter((each) => !each.closest('.wide, #flame') && each.getBoundingClientRect().right > right + 1)
        .map(({ localName, textContent }) => `${localName}: ${textContent.slice(0, 40)}`)
    })
    return isWide ? ['the page', ...wide] : wide
  })

export function testLabels(given) {
  test('labels of any length stay within a narrow page, where a pointer rests and where the keyboard is', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-pages-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const { manager, hold, keep, serve } = ownManager(t)
    manager.profile.start()
    hold(300, 'weights')
    hold(300, 'l'.repeat(5000))
    hold(250, `conversation ${'8f14e45f-ceea-467f-9575-'.repeat(4)}`)
    const pool = await manager.pools.create({ device: 'host', slabBytes: 8 * MiB, label: 'p'.repeat(300) })
    await pool.reserve(8 * MiB)
    keep(pool.allocate(MiB, { label: 'b'.repeat(300) }))
    manager.acquire({ bytes: 900 * MiB, label: 'q'.repeat(300) }).catch(() => {})
    assert.throws(() => manager.budget.allocate(2000 * MiB, 'r'.repeat(300)), { code: 'ERR_INSUFFICIENT_MEMORY' })
    const dashboard = await serve()
    const { page, close } = await given.open(dashboard.link(), { viewport: { width: 360, height: 740 } })
    assert.deepEqual(await outside(page), [])
    const count = await page.locator('#treemap li').count()
    assert.equal(count, 4)
    for (let at = 0; at < count; at++) {
      for (const way of ['hover', 'focus']) {
        // In one step with what is measured: an update draws them anew.
        await page.locator('#treemap li').nth(at)[way]()
        const { left, right, ...shown } = await page.evaluate((number) => {
          const map = document.getElementById('treemap').getBoundingClientRect()
          const tile = document.querySelectorAll('#treemap li')[number]
          const box = tile.getBoundingClientRect()
          const text = tile.firstChild
          const isWhole = text.scrollWidth <= text.clientWidth + 1
          return {
            left: box.left - map.left,
            right: box.right - map.right,
            isWhole,
            overlaps: getComputedStyle(tile).zIndex,
          }
        }, at)
        assert.deepEqual(shown, { isWhole: true, overlaps: '1' }, `tile ${at} by ${way}`)
        assert(left >= -1 && right <= 1, `expected tile ${at} within the map by ${way}, got ${left} and ${right}`)
        assert.deepEqual(await outside(page), [], `tile ${at} by ${way}`)
      }
    }
    await close()
    const pages = { pools: poolsPage([pool.snapshot()]), profile: manager.profile.export(profilePage) }
    const context = await given.browser.newContext({ viewport: { width: 360, height: 740 } })
    for (const [name, html] of Object.entries(pages)) {
      const path = join(folder, `${name}.html`)
      writeFileSync(path, html)
      const its = await context.newPage()
      await its.goto(`file://${path}`)
      assert.deepEqual(await outside(its), [], name)
    }
    await context.close()
  })

  test('the tile of those that have none counts all labels, those too that the server adds up', async (t) => {
    const { hold, serve } = ownManager(t)
    hold(600, 'weights')
    for (let at = 0; at < 3000; at++) hold(1 / 8, `request ${at}`)
    const dashboard = await serve()
    const { page, close } = await given.open(dashboard.link())
    assert.equal(await page.textContent('#treemap li:last-child span'), '3,000 others')
    assert.deepEqual(await page.$$eval('#treemap data', (all) => all.map(({ value }) => Number(value))), [
      600 * MiB,
      375 * MiB,
    ])
    await close()
  })
}
