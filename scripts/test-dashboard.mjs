#!/usr/bin/env node
// The dashboard in a real Chromium: every view against the API's numbers, keyboard, widths from a phone's to a desk's, both schemes, axe-core,
// the time to the first paint, and what pages that stay open cost and hold. Chromium is Debian's package, which is installed where it is missing
// and this user may; playwright-core and axe-core are fetched into build/test-dashboard on the first use (about 12 MB).
//
//     npm run test:dashboard
//     npm run test:dashboard -- --minutes 10        how long ten pages stay open (0.5)
//     npm run test:dashboard -- --assert-latency    fails where times are not as promised, which only a machine that does nothing else can tell
//     npm run test:dashboard -- --picture           also draws the pictures in docs/

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { board, MiB, ownManager, serveDashboard } from './dashboard-test/board.mjs'
import { testChart } from './dashboard-test/chart.mjs'
import { launch, live, open } from './dashboard-test/chromium.mjs'
import { testLabels } from './dashboard-test/labels.mjs'
import { testLate } from './dashboard-test/late.mjs'
import { pictures } from './dashboard-test/pictures.mjs'
import { showsHeadroom, showsProcesses, sizes } from './dashboard-test/shows.mjs'
import { testSlabs } from './dashboard-test/slabs.mjs'
import { stay } from './dashboard-test/stay.mjs'
import { testWords } from './dashboard-test/words.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '0.5' },
    'assert-latency': { type: 'boolean', default: false },
    picture: { type: 'boolean', default: false },
  },
})

const require = createRequire(join(ROOT, 'package.json'))
const { MemoryManager } = require('plimsoll')
const { poolsPage, profilePage } = require('plimsoll/report')

let browser
let faultsOf
let manager
let dashboard
let pool
let held
let end
/** The same for the tests that have files of their own. */
const given = { open: (link, options) => open(browser, link, options) }

before(async () => {
  ;({ browser, faultsOf } = await launch())
  ;({ manager, dashboard, pool, held, close: end } = await board())
  Object.assign(given, { browser, manager, dashboard, pool, held })
  await later(1500)
})

after(async () => {
  await browser?.close()
  await end?.()
})

const opened = (options) => open(browser, dashboard.link(), options)

const hasLabel = (label) =>
  [...document.querySelectorAll('#treemap bdi')].some(({ textContent }) => textContent === label)

test('every view shows the numbers that the API gives, and nothing goes wrong on the page', async () => {
  const { page, errors, close } = await opened()
  const state = await dashboard.state()
  const [line, granted, available, , peak] = await sizes(page, '#figures')
  assert.deepEqual(
    [line, granted, available, peak],
    [manager.budget.lineBytes, manager.budget.allocatedBytes, manager.budget.availableBytes, manager.budget.peakBytes],
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
  assert.match(await page.textContent('#binding'), /^the queue: .* are kept for "llama-3\.2-3b"/)
  const { heldBytes, usedBytes, largestFreeBytes } = pool.stats()
  assert.deepEqual(await sizes(page, '#pools'), [heldBytes, usedBytes, largestFreeBytes])
  const blocks = pool.snapshot().slabs.flatMap((slab) => slab.blocks)
  assert.equal(await page.locator('#pools rect').count(), blocks.length)
  assert.deepEqual(
    await sizes(page, '#refusals'),
    state.refusals.flatMap((of) => [of.requestedBytes, of.availableBytes]),
  )
  const [refusal] = state.refusals
  assert.equal(refusal.label, 'qwen-2.5-7b')
  for (const said of [refusal.label, refusal.bindingConstraint, refusal.suggestion]) {
    assert((await page.textContent('#refusals')).includes(said))
  }
  assert.match(await page.textContent('#processes'), new RegExp(`${process.pid}\\s*loaded`))
  assert(await showsProcesses(page, dashboard))
  assert.match(await page.textContent('#level'), new RegExp(`\\b${manager.monitor.level}$`))
  assert.deepEqual(
    (await sizes(page, '#terms')).slice(0, state.terms.length),
    state.terms.map(({ bytes }) => bytes),
  )
  const rooms = (await sizes(page, '#terms')).slice(state.terms.length)
  assert.equal(rooms.length, state.headroom.terms.length + 1, 'and what was granted and is not yet taken')
  for (const { description } of state.terms) assert((await page.textContent('#terms')).includes(description))
  assert.equal(await page.evaluate(showsHeadroom), true)
  assert.equal(await page.locator('#chart canvas').count(), 1)
  assert.deepEqual(errors, [])
  await close()
})

test('a refusal appears with its advice, and so does what is granted and released', async () => {
  const { page, errors, close } = await opened()
  assert.throws(() => manager.budget.allocate(2000 * MiB, 'too large'), { code: 'ERR_INSUFFICIENT_MEMORY' })
  await page.waitForFunction(() => document.getElementById('refusals').textContent.includes('too large'))
  assert((await page.textContent('#refusals')).includes('can never be granted: ask for less, or raise the line'))
  assert.equal(await page.evaluate(hasLabel, 'activations'), true)
  held.get('activations').release()
  await page.waitForFunction(hasLabel, 'embeddings')
  await page.waitForFunction(() => !document.getElementById('treemap').textContent.includes('activations'))
  assert.deepEqual(errors, [])
  await close()
})

test('a change of level appears', async () => {
  const { page, errors, close } = await opened()
  const before = manager.monitor.limits
  manager.monitor.limits = { warnPercent: 0, criticalPercent: 99 }
  await page.waitForFunction(() => document.getElementById('events').textContent.includes('warning'))
  manager.monitor.limits = before
  await page.waitForFunction(() => document.getElementById('events').textContent.includes('normal'))
  const { events } = await dashboard.state()
  const shown = await page.$$eval('#events li', (all) => all.map((each) => each.textContent))
  assert.equal(shown.length, events.length)
  for (const [at, { kind, text }] of events.entries()) {
    assert(shown[at].includes(kind) && shown[at].includes(text), `expected ${kind}, ${text}, got ${shown[at]}`)
  }
  assert.deepEqual(errors, [])
  await close()
})

test('without a manager nothing reads as good news of a program that is not shown', async (t) => {
  const its = await serveDashboard()
  t.after(() => its.close())
  const { page, errors, close } = await open(browser, its.link())
  assert.match(await page.textContent('#pools'), /a server shows its own by serveDashboard/)
  assert.match(await page.textContent('#refusals'), /a server shows those of its requests by serveDashboard/)
  assert.equal(await page.textContent('#events'), 'No monitor runs.')
  assert.deepEqual(errors, [])
  await close()
})

test('a hostile label is text, and nothing else', async () => {
  const { page, errors, close } = await opened()
  const label = '<img src=x onerror=alert(1)>\u202e\u0000</script>'
  const dialogs = []
  page.on('dialog', (dialog) => dialogs.push(dialog.dismiss()))
  const hostile = manager.budget.hold(0, label)
  assert.throws(() => manager.budget.allocate(2000 * MiB, label), { code: 'ERR_INSUFFICIENT_MEMORY' })
  const shown = '<img src=x onerror=alert(1)>\\u202e\\u0000</script>'
  await page.waitForFunction((text) => document.getElementById('refusals').textContent.includes(text), shown)
  assert.equal(await page.locator('img').count(), 0)
  assert.deepEqual([dialogs, errors], [[], []])
  hostile.release()
  await close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const [name, width, height] of [
    ['a phone', 360, 740],
    ['a desk', 1440, 900],
  ]) {
    test(`axe-core finds no fault, and nothing is wider than the page, on ${name} in ${colorScheme}`, async () => {
      const { page, close } = await opened({ colorScheme, viewport: { width, height } })
      assert.deepEqual(await faultsOf(page), [])
      assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
      await close()
    })
  }

  test(`axe-core finds no fault on the pages of pools and profiles in ${colorScheme}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-pages-'))
    manager.profile.start({ stacks: true })
    manager.budget.allocate(0, 'kv cache/slot 0').release()
    const pages = { pools: poolsPage([pool.snapshot()]), profile: manager.profile.export(profilePage) }
    manager.profile.stop()
    const context = await browser.newContext({ colorScheme })
    for (const [name, html] of Object.entries(pages)) {
      const path = join(folder, `${name}.html`)
      writeFileSync(path, html)
      const page = await context.newPage()
      const errors = []
      page.on('pageerror', (error) => errors.push(error.message))
      await page.goto(`file://${path}`)
      assert(await page.locator('.figure').count())
      assert.deepEqual({ name, errors, faults: await faultsOf(page) }, { name, errors: [], faults: [] })
    }
    await context.close()
    rmSync(folder, { recursive: true })
  })
}

test('the keyboard has one stop for the labels, arrows reach each, and it stays there while figures change', async () => {
  const { page, close } = await opened()
  const isAt = (selector) => page.evaluate((text) => document.activeElement.matches(text), selector)
  await page.focus('#treemap li')
  await later(2500)
  assert.equal(await isAt('#treemap li:first-child'), true)
  await page.keyboard.press('ArrowRight')
  assert.equal(await isAt('#treemap li:nth-child(2)'), true)
  await later(2500)
  assert.equal(await isAt('#treemap li:nth-child(2)'), true)
  await page.keyboard.press('End')
  assert.equal(await isAt('#treemap li:last-child'), true)
  await page.keyboard.press('ArrowUp')
  assert.equal(await isAt('#treemap li:nth-last-child(2)'), true)
  await page.keyboard.press('Tab')
  assert.equal(await isAt('#treemap li'), false)
  await page.keyboard.press('Shift+Tab')
  assert.equal(await isAt('#treemap li:nth-last-child(2)'), true)
  assert.equal(await page.locator('#treemap li[tabindex="0"]').count(), 1)
  await close()
})

for (const width of [360, 1440]) {
  test(`labels too small to be read are one tile, and none lies outside, on a page ${width} wide`, async (t) => {
    const { hold, serve } = ownManager(t)
    const small = Array.from({ length: 30 }, (_, at) => hold(1 / 4, `small ${at}`))
    for (const label of ['weights', 'kv cache']) hold(400, label)
    const its = await serve()
    const { page, close } = await open(browser, its.link(), { viewport: { width, height: 800 } })
    // In one step: an update draws them anew.
    const tiles = await page.evaluate(() => {
      const map = document.getElementById('treemap')
      const box = map.getBoundingClientRect()
      return [...map.children].map((each) => {
        const { left, right, top, bottom } = each.getBoundingClientRect()
        const isWithin =
          left >= box.left - 1 && right <= box.right + 1 && top >= box.top - 1 && bottom <= box.bottom + 1
        const size = each.querySelector('p')
        const isCut = each.scrollHeight > each.clientHeight + 1 || size.scrollWidth > size.clientWidth + 1
        return { text: each.firstChild.textContent, isWithin, isCut }
      })
    })
    assert.deepEqual(
      tiles,
      ['weights', 'kv cache', '30 others'].map((text) => ({ text, isWithin: true, isCut: false })),
    )
    assert.deepEqual(await sizes(page, '#treemap'), [400 * MiB, 400 * MiB, (30 / 4) * MiB])
    // One alone has its own name.
    for (const each of small.slice(1)) each.release()
    await page.waitForFunction(hasLabel, 'small 0')
    assert.deepEqual(await sizes(page, '#treemap'), [400 * MiB, 400 * MiB, MiB / 4])
    const lines = await page.$$eval('#treemap p', (all) => all.map(({ clientHeight }) => clientHeight))
    assert.deepEqual(new Set(lines).size, 1, 'size and share on one line each')
    await close()
  })
}

test('on a phone a long command line leaves the page low, and its cells wide', async (t) => {
  const script = "require('plimsoll'); console.log(); setInterval(() => {}, 2 ** 30)"
  const child = spawn(process.execPath, ['-e', script, 'word '.repeat(600)], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const { page, close } = await opened({ viewport: { width: 375, height: 740 } })
  await page.waitForFunction((pid) => document.getElementById('processes').textContent.includes(pid), `${child.pid}`)
  const { height, narrowest, columns } = await page.evaluate((pid) => {
    const heightOf = (each) => each.getBoundingClientRect().height
    // As many other processes as this machine may have.
    const rows = [...document.querySelectorAll('#processes tbody tr')].filter((row) => !row.textContent.includes(pid))
    const others = rows.reduce((sum, row) => sum + heightOf(row), 0)
    const cells = [...document.querySelectorAll('table[id] td')].map((cell) => cell.getBoundingClientRect().width)
    const columns = new Set([...document.querySelectorAll('#figures > div')].map(({ offsetLeft }) => offsetLeft)).size
    return { height: document.documentElement.scrollHeight - others, narrowest: Math.min(...cells), columns }
  }, `${child.pid}`)
  assert(height < 6 * 740, `expected less than six screens, got ${height}`)
  assert(narrowest >= 60, `expected cells of 60 px at least, got ${narrowest}`)
  assert.equal(columns, 2)
  assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
  await close()
})

test('who shares the ledger is shown with what it holds, and why, where the ledger cannot be read', async (t) => {
  const directory = mkdtempSync(join('/dev/shm', 'plimsoll-'))
  const sharing = new MemoryManager({ shared: { directory, processName: 'a sharing server', force: true } })
  const weights = sharing.budget.allocate(3 * MiB, 'weights')
  weights.commit(3 * MiB)
  const its = await serveDashboard({ manager: sharing, ledger: { directory } })
  t.after(async () => {
    await its.close()
    weights.release()
    await sharing.close()
    rmSync(directory, { recursive: true })
  })
  const { page, errors, close } = await open(browser, its.link())
  const [{ heldBytes, pendingBytes }] = (await its.state()).holders
  assert.equal(heldBytes, 3 * MiB)
  assert.deepEqual(await sizes(page, '#holders'), [heldBytes, pendingBytes])
  assert.match(await page.textContent('#holders tbody'), new RegExp(`^a sharing server${process.pid}.*holds$`))
  chmodSync(directory, 0o777)
  await page.waitForFunction(() => document.getElementById('holders').textContent.includes('mode 0777'))
  assert.match(await page.textContent('#holders tbody'), /^The ledger cannot be read: /)
  chmodSync(directory, 0o700)
  await page.waitForFunction(() => document.getElementById('holders').textContent.includes('a sharing server'))
  assert.deepEqual(errors, [])
  await close()
})

test('more pages of one browser than it opens connections show figures, and go on when the first is closed', async () => {
  const { context, page: first, close } = await opened()
  const pages = []
  for (let at = 0; at < 9; at++) {
    const page = await context.newPage()
    await page.goto(dashboard.url)
    await live(page)
    pages.push(page)
  }
  await first.close()
  assert.throws(() => manager.budget.allocate(2000 * MiB, 'refused late'), { code: 'ERR_INSUFFICIENT_MEMORY' })
  for (const page of pages) {
    await page.waitForFunction(() => document.getElementById('refusals').textContent.includes('refused late'))
  }
  await close()
})

test('a page whose dashboard has ended goes on with the next one, once a link of that was opened in its browser', async (t) => {
  const first = await serveDashboard({ manager })
  t.after(() => first.close())
  const { context, page, close } = await open(browser, first.link())
  await first.close()
  const next = await serveDashboard({ manager, port: first.port })
  t.after(() => next.close())
  await page.waitForFunction(() => document.getElementById('connection').textContent.startsWith('ended'))
  const other = await context.newPage()
  await other.goto(next.link())
  await live(other)
  await live(page)
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

testChart(given)
testLabels(given)
testLate(given)
testSlabs(given)
testWords(given)

test('the pictures of the documentation can be drawn', async () => {
  const folder = values.picture ? join(ROOT, 'docs') : join(ROOT, 'build', 'test-dashboard', 'pictures')
  const pages = mkdtempSync(join(tmpdir(), 'plimsoll-pages-'))
  mkdirSync(folder, { recursive: true })
  const drawn = await pictures(browser, pages)
  rmSync(pages, { recursive: true })
  for (const [name, { png, width, height }] of Object.entries(drawn)) {
    // Width and height of a PNG stand behind its first chunk's length and name.
    assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [width, height])
    assert(png.length < 110_000, `expected ${name} to be small, got ${png.length} bytes`)
    writeFileSync(join(folder, `${name}.png`), png)
  }
  const shown = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.png'))
  const names = Object.keys(drawn).map((name) => `${name}.png`)
  assert.deepEqual(names.sort(), shown.sort(), 'run it with --picture')
})

test('the first paint comes soon', async (t) => {
  const { page, close } = await opened()
  const paints = []
  for (let at = 0; at < 15; at++) {
    await page.reload()
    await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0)
    paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime))
  }
  const median = paints.sort((a, b) => a - b)[7]
  const rounded = paints.map((ms) => ms.toFixed(0)).join(', ')
  t.diagnostic(`first contentful paint: ${median.toFixed(0)} ms, of ${rounded}; load ${loadavg()[0].toFixed(1)}`)
  if (values['assert-latency']) assert(median < 200, `expected less than 200 ms, got ${median}`)
  await close()
})

test('ten pages stay open', async (t) => {
  const minutes = Number(values.minutes)
  const { alonePercent, percent, updatesAMinute, errors, load, ...figures } = await stay(browser, 10, minutes)
  const { rss, heap, page, pages } = figures
  const held = (of) => `${of.before.toFixed(1)} -> ${of.after.toFixed(1)} MiB`
  t.diagnostic(`${minutes} min, load ${load.toFixed(1)}: ${updatesAMinute.toFixed(1)} updates a minute`)
  t.diagnostic(`the server: ${percent.toFixed(2)} % of a core, ${alonePercent.toFixed(2)} % without pages`)
  t.diagnostic(`most in the first half -> in the last quarter: RSS of the server ${held(rss)}, its heap ${held(heap)}`)
  t.diagnostic(
    `the heap of a page ${held(page)}, of the processes of all ten what is resident but of files ${held(pages)}`,
  )
  assert.deepEqual(errors, [])
  assert(updatesAMinute >= 40, `expected an update about every second, got ${updatesAMinute} a minute`)
  for (const [name, of] of Object.entries(figures)) {
    assert(of.after <= of.before * 1.1 + 8, `expected ${name} to be flat, got ${held(of)}`)
  }
  if (!values['assert-latency']) return
  assert(percent < 1, `expected less than 1 % of a core, got ${percent}`)
  // One more or less has come by the end.
  const [least, most] = [58 - 1 / minutes, 63 + 1 / minutes]
  assert(updatesAMinute >= least && updatesAMinute <= most, `expected 60 updates a minute, got ${updatesAMinute}`)
})
