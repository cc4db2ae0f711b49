/** What is in slabs, told without colours and without a pointer. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MiB, ownManager, serveDashboard } from './board.mjs'

const require = createRequire(new URL('../../package.json', import.meta.url))
const { poolsPage } = require('plimsoll/report')

const KINDS = { long: 'long-lived', transient: 'transient', pinned: 'pinned', free: 'free' }

/** How bright a block is from its top to its bottom, in as many steps as it is high, by what the screen shows: 0 for dark, 1 for bright. */
async function stripes(page, selector) {
  const { x, y, width, height } = await page.evaluate((text) => {
    const rectangle = document.querySelector(text)
    rectangle.scrollIntoView({ block: 'center' })
    return rectangle.getBoundingClientRect().toJSON()
  }, selector)
  const clip = { x: Math.round(x + width / 2), y: Math.round(y), width: 1, height: Math.round(height) }
  const png = (await page.screenshot({ clip })).toString('base64')
  return page.evaluate(async (text) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }))
    const canvas = new OffscreenCanvas(1, image.height)
    const context = canvas.getContext('2d')
    context.drawImage(image, 0, 0)
    const { data } = context.getImageData(0, 0, 1, image.height)
    const bright = Array.from({ length: image.height }, (_, at) => data[4 * at + 1])
    const [least, most] = [Math.min(...bright), Math.max(...bright)]
    // Within what rounded corners and smoothed edges do, it is one brightness.
    const isPlain = most - least < 24
    return bright.map((value) => (isPlain ? Number(value > 127) : Math.round((value - least) / (most - least))))
  }, png)
}

/** Changes from bright to dark and back. */
const changes = (values) => values.slice(1).filter((value, at) => value !== values[at]).length

async function assertToldApart(page, where) {
  const seen = new Map()
  for (const kind of Object.keys(KINDS)) {
    const shown = await stripes(page, `.blocks rect.${kind}`)
    const inner = shown.slice(2, -2)
    seen.set(kind, `${changes(inner)} changes${changes(inner) === 0 ? `, ${inner[0] ? 'bright' : 'dark'}` : ''}`)
  }
  assert.equal(new Set(seen.values()).size, 4, `${where}: ${JSON.stringify([...seen])}`)
  const keys = await page.$$eval('.legend li:has(.key)', (all) =>
    all.map((each) => [each.querySelector('rect').getAttribute('class'), each.textContent]),
  )
  assert.deepEqual(Object.fromEntries(keys), KINDS)
}

export function testSlabs(given) {
  test('the kinds of blocks are in a legend, told apart without colours, and listed with their labels', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-pages-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const { manager, keep, serve } = ownManager(t)
    const pool = await manager.pools.create({ device: 'host', slabBytes: 16 * MiB, label: 'scratch' })
    await pool.reserve(16 * MiB)
    keep(pool.allocate(4 * MiB, { label: 'weights' }))
    keep(pool.allocate(3 * MiB, { label: 'scores', placement: 'transient' }))
    keep(pool.allocate(2 * MiB, { label: 'staging' })).pin()
    const dashboard = await serve()
    const path = join(folder, 'pools.html')
    writeFileSync(path, poolsPage([pool.snapshot()]))
    for (const options of [{ forcedColors: 'active' }, { forcedColors: 'active', colorScheme: 'dark' }, {}]) {
      const { page, errors, close } = await given.open(dashboard.link(), options)
      await assertToldApart(page, `the dashboard, ${JSON.stringify(options)}`)
      const rows = await page.$$eval('#buffers tbody tr', (all) =>
        all.map((row) => [...row.cells].map(({ textContent }) => textContent)),
      )
      assert.deepEqual(rows, [
        ['weights', '4.00 MiB', 'long-lived', '0', 'scratch'],
        ['scores', '3.00 MiB', 'transient', '0', 'scratch'],
        ['staging', '2.00 MiB', 'pinned', '0', 'scratch'],
      ])
      await page.focus('#in-slabs')
      assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Largest buffers')
      await page.goto(`file://${path}`)
      await assertToldApart(page, `the page of pools, ${JSON.stringify(options)}`)
      assert.deepEqual(errors, [])
      await close()
    }
  })

  test('a page without pools has no legend of blocks, and no list of buffers', async (t) => {
    const dashboard = await serveDashboard()
    t.after(() => dashboard.close())
    const { page, close } = await given.open(dashboard.link())
    for (const part of ['#kinds', '#in-slabs']) assert.equal(await page.isVisible(part), false)
    await close()
  })
}
