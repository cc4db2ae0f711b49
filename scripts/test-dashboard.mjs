#!/usr/bin/env node
// The dashboard in a real Chromium: every view against the API's numbers, keyboard, widths from a phone's to a desk's, both schemes, axe-core,
// the time to the first paint, and what pages that stay open cost. Chromium is Debian's package, which is installed where it is missing and this
// user may; playwright-core and axe-core are fetched into build/test-dashboard on the first use (about 12 MB).
//
//     npm run test:dashboard
//     npm run test:dashboard -- --seconds 600     how long ten pages stay open (20)
//     npm run test:dashboard -- --picture         also makes docs/dashboard.png

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PLACE = join(ROOT, 'build', 'test-dashboard')
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '20' }, picture: { type: 'boolean' } } })

const require = createRequire(join(ROOT, 'package.json'))
const { MemoryManager, MiB, InsufficientMemoryError } = require('plimsoll')
const { serveDashboard } = require('plimsoll/dashboard')

function done(command, args, options) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options })
  assert.equal(status, 0, `expected \`${command} ${args.join(' ')}\` to end with 0`)
}

function installed() {
  if (!existsSync('/usr/bin/chromium')) {
    done('apt-get', ['update'])
    done('apt-get', ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-dejavu-core'])
  }
  if (existsSync(join(PLACE, 'node_modules', 'axe-core'))) return
  mkdirSync(PLACE, { recursive: true })
  writeFileSync(join(PLACE, 'package.json'), '{ "private": true }\n')
  done('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', 'playwright-core@1', 'axe-core@4'], {
    cwd: PLACE,
  })
}

let browser
let axe
let manager
let dashboard
const held = []

before(async () => {
  installed()
  const ours = createRequire(join(PLACE, 'package.json'))
  axe = readFileSync(ours.resolve('axe-core/axe.min.js'), 'utf8')
  const { chromium } = ours('playwright-core')
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 1024 * MiB })
  manager.monitor.start({ intervalMs: 200, warnPercent: 60, criticalPercent: 95, refuseAtCritical: false })
  dashboard = await serveDashboard({ manager })
  for (const [label, size] of [
    ['weights', 400],
    ['kv cache', 120],
    ['draft model', 60],
    ['<img src=x onerror=alert(1)>', 20],
    ['activations', 33],
  ]) {
    held.push(manager.budget.allocate(size * MiB, label))
  }
  const pool = await manager.pools.create({ device: 'host', slabBytes: 8 * MiB })
  await pool.reserve(16 * MiB)
  for (const size of [1, 3, 2, 5]) held.push(pool.allocate(size * MiB, { label: `block of ${size}` }))
  manager.acquire({ bytes: 700 * MiB, label: 'a request that waits' }).catch(() => {})
  try {
    manager.budget.allocate(900 * MiB, 'a larger model')
  } catch (error) {
    assert(error instanceof InsufficientMemoryError)
    dashboard.refused(error)
  }
  await later(1500)
})

after(async () => {
  await browser?.close()
  for (const each of held) each.release()
  await dashboard?.close()
  await manager?.close()
})

/** A page that shows figures. */
async function opened(options = {}) {
  const context = await browser.newContext(options)
  // A busy machine is no failure.
  context.setDefaultTimeout(180_000)
  const page = await context.newPage()
  const errors = []
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  await page.goto(dashboard.link())
  await page.waitForFunction(() => document.getElementById('connection').textContent === 'live')
  return { page, errors, close: () => context.close() }
}

/** The exact sizes in a part of the page. */
const sizes = (page, selector) => page.$$eval(`${selector} data`, (all) => all.map((each) => Number(each.value)))

test('every view shows the numbers that the API gives, and nothing goes wrong on the page', async () => {
  const { page, errors, close } = await opened()
  const state = await dashboard.state()
  const [line, granted, , , peak] = await sizes(page, '#figures')
  assert.deepEqual(
    [line, granted, peak],
    [manager.budget.lineBytes, manager.budget.allocatedBytes, manager.budget.peakBytes],
  )
  assert.deepEqual(
    await sizes(page, '#treemap'),
    state.labels.map(([, bytes]) => bytes),
  )
  const names = await page.$$eval('#treemap bdi', (all) => all.map((each) => each.textContent))
  assert.deepEqual(
    names,
    state.labels.map(([label]) => label),
  )
  assert.deepEqual(await sizes(page, '#waiting'), [700 * MiB])
  const [pool] = manager.pools
  const { heldBytes, usedBytes, largestFreeBytes } = pool.stats()
  assert.deepEqual(await sizes(page, '#pools'), [heldBytes, usedBytes, largestFreeBytes])
  const blocks = pool.snapshot().slabs.flatMap((slab) => slab.blocks)
  assert.equal(await page.locator('#pools rect').count(), blocks.length)
  assert.deepEqual(
    await sizes(page, '#refusals'),
    state.refusals.flatMap((of) => [of.requestedBytes, of.availableBytes]),
  )
  assert((await page.textContent('#refusals')).includes(state.refusals[0].suggestion))
  assert((await page.textContent('#processes')).includes(String(process.pid)))
  assert.match(await page.textContent('#level'), new RegExp(`\\b${manager.monitor.level}$`))
  assert.match(await page.getAttribute('#chart', 'aria-label'), /now line .*, headroom .*, granted /)
  assert.equal(await page.locator('#chart canvas').count(), 1)
  assert.deepEqual(errors, [])
  await close()
})

test('figures follow, within two updates', async () => {
  const { page, close } = await opened()
  const isThere = () => document.getElementById('treemap').textContent.includes('activations')
  assert.equal(await page.evaluate(isThere), true)
  held.find(({ label }) => label === 'activations').release()
  await page.waitForFunction(() => !document.getElementById('treemap').textContent.includes('activations'), undefined, {
    timeout: 5000,
  })
  await close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const [name, width, height] of [
    ['a phone', 360, 740],
    ['a desk', 1440, 900],
  ]) {
    test(`axe-core finds no fault, and nothing is wider than the page, on ${name} in ${colorScheme}`, async () => {
      const { page, close } = await opened({ colorScheme, viewport: { width, height } })
      const { violations } = await page.evaluate(`(() => { ${axe}; return axe.run() })()`)
      const faults = violations.map(({ id, nodes }) => [
        id,
        nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`),
      ])
      assert.deepEqual(faults, [])
      assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
      if (values.picture && name === 'a desk' && colorScheme === 'light') {
        await page.setViewportSize({ width: 1100, height: 1250 })
        await later(2500)
        await page.screenshot({ path: join(ROOT, 'docs', 'dashboard.png') })
      }
      await close()
    })
  }
}

test('the keyboard reaches every label, and stays there while figures change', async () => {
  const { page, close } = await opened()
  await page.focus('#treemap li')
  await later(2500)
  assert.equal(await page.evaluate(() => document.activeElement.matches('#treemap li:first-child')), true)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.matches('#treemap li:nth-child(2)')), true)
  await close()
})

test('a page of another origin gets nothing', async () => {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(dashboard.link())
  await page.goto('data:text/html,<p>another</p>')
  const answer = await page.evaluate(async (url) => {
    try {
      const response = await fetch(url, { credentials: 'include', mode: 'no-cors' })
      return [response.type, await response.text()]
    } catch {
      return 'refused'
    }
  }, `${dashboard.url}events`)
  assert.equal(answer, 'refused')
  await context.close()
})

test('the first paint comes soon', async (t) => {
  const { page, close } = await opened()
  const paints = []
  for (let at = 0; at < 5; at++) {
    await page.reload()
    await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0)
    paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime))
  }
  t.diagnostic(`first contentful paint of 5: ${paints.map((ms) => ms.toFixed(0)).join(', ')} ms`)
  await close()
})

test('ten pages that stay open', async (t) => {
  const pages = []
  for (let at = 0; at < 10; at++) pages.push(await opened())
  const heap = () => pages[0].page.evaluate(() => performance.memory.usedJSHeapSize / 2 ** 20)
  global.gc?.()
  const [cpu, rss, used] = [process.cpuUsage(), process.memoryUsage.rss(), await heap()]
  const start = performance.now()
  await later(Number(values.seconds) * 1000)
  const { user, system } = process.cpuUsage(cpu)
  const share = ((user + system) / 1000 / (performance.now() - start)) * 100
  global.gc?.()
  const grown = (process.memoryUsage.rss() - rss) / 2 ** 20
  t.diagnostic(
    `${values.seconds} s: ${share.toFixed(2)} % of a core, with what drives the browser; RSS ${grown.toFixed(1)} MiB more; heap of a page ${used.toFixed(1)} -> ${(await heap()).toFixed(1)} MiB`,
  )
  for (const { errors, close } of pages) {
    assert.deepEqual(errors, [])
    await close()
  }
})
