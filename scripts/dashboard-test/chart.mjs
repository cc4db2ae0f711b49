/** The chart of the dashboard, and what it says of a moment. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { MiB, ownManager } from './board.mjs'

/** What the chart says of a moment, and where its cursor and dots are. */
const reading = (page) =>
  page.evaluate(() => {
    const chart = document.getElementById('chart')
    const over = chart.querySelector('.u-over').getBoundingClientRect()
    const centre = (each) => {
      const { left, top, width, height } = each.getBoundingClientRect()
      return { x: left + width / 2 - over.left, y: over.bottom - top - height / 2 }
    }
    const said = document.getElementById('reading')
    return {
      time: said.querySelector('time').dateTime,
      isNow: said.textContent.includes('(now)'),
      sizes: [...said.querySelectorAll('data')].map(({ value }) => Number(value)),
      binding: said.querySelector('bdi').textContent,
      text: said.textContent,
      spoken: chart.getAttribute('aria-valuetext'),
      cursor: chart.querySelector('.u-cursor-x').getBoundingClientRect().left - over.left,
      dots: [...chart.querySelectorAll('.u-cursor-pt')].map(centre),
      width: over.width,
    }
  })

/** Asserts that each dot of the cursor is on its line at the moment that is said. */
function assertOnLines({ sizes, cursor, dots }) {
  assert.equal(dots.length, 3)
  for (const { x } of dots) assert(Math.abs(x - cursor) <= 2, `expected a dot at ${cursor}, got ${x}`)
  // The axis of sizes begins at 0.
  const pixelsAByte = Math.max(...dots.map(({ y }) => y)) / Math.max(...sizes)
  for (const [at, { y }] of dots.entries()) {
    const expected = sizes[at] * pixelsAByte
    assert(Math.abs(y - expected) <= 3, `expected a dot at a height of ${expected}, got ${y}`)
  }
}

/** The moments that the server has kept, as it sends them to a page that is opened. */
const kept = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const source = new EventSource(`/events?key=${localStorage.getItem('plimsoll-key')}`)
        source.addEventListener('history', ({ data }) => {
          source.close()
          resolve(JSON.parse(data))
        })
      }),
  )

export function testChart(given) {
  test('the chart says what was at any moment, and what bound it, to a pointer and to the keyboard', async () => {
    const { page, errors, close } = await given.open(given.dashboard.link())
    const moments = await kept(page)
    const now = await reading(page)
    assert.equal(now.isNow, true)
    assert.match(now.spoken, /\(now\): line .*, headroom .*, granted .*, bound by /)
    assert.equal(await page.getAttribute('#reading', 'aria-live'), 'off')

    await page.focus('#chart')
    await page.keyboard.press('Home')
    const [first, second] = moments
    const isFirst = await reading(page)
    assert.equal(isFirst.isNow, false)
    assert.equal(Date.parse(isFirst.time), first.timeMs)
    assert.deepEqual(isFirst.sizes.filter(Number.isFinite), [
      first.lineBytes,
      first.headroomBytes,
      first.allocatedBytes,
    ])
    assert.equal(isFirst.binding, first.binding)
    for (const said of [first.binding, '1.00 GiB']) assert(isFirst.spoken.includes(said))
    await page.keyboard.press('ArrowRight')
    assert.equal(Date.parse((await reading(page)).time), second.timeMs)
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('ArrowLeft')
    assert.equal((await reading(page)).time, isFirst.time)
    await page.keyboard.press('End')
    const last = await reading(page)
    assert(Date.parse(last.time) >= moments.at(-1).timeMs)
    assert(Math.abs(last.cursor - last.width) <= 2, 'the cursor is at the end')
    await page.keyboard.press('Escape')
    assert.equal((await reading(page)).isNow, true)
    await page.keyboard.press('Home')
    await page.keyboard.press('Tab')
    assert.equal((await reading(page)).isNow, true)

    await page.locator('#chart').scrollIntoViewIfNeeded()
    const { x, y, width, height } = await page.locator('#chart .u-over').boundingBox()
    await page.mouse.move(x + width / 3, y + height / 2)
    const pointed = await reading(page)
    assert.equal(pointed.isNow, false)
    const nearest = moments.find(({ timeMs }) => timeMs === Date.parse(pointed.time)) ?? first
    assert.equal(pointed.binding, nearest.binding)
    await page.mouse.move(x, y - 100)
    assert.equal((await reading(page)).isNow, true)
    assert.deepEqual(errors, [])
    await close()
  })

  for (const how of ['a pointer', 'the keyboard']) {
    test(`the cursor of ${how} and its dots stay at their moment as updates arrive`, async (t) => {
      const { hold, serve } = ownManager(t, { headroom: true })
      hold(700, 'weights')
      const dashboard = await serve(250)
      await later(1000)
      const { page, close } = await given.open(dashboard.link())
      const { x, y, width, height } = await page.locator('#chart .u-over').boundingBox()
      if (how === 'a pointer') await page.mouse.move(x + width * 0.6, y + height / 2)
      else {
        await page.focus('#chart')
        await page.keyboard.press('ArrowLeft')
      }
      const before = await reading(page)
      assert.equal(before.isNow, false)
      assertOnLines(before)
      for (let look = 0; look < 3; look++) {
        // The scale of sizes changes, too.
        if (look === 1) hold(100, 'kv cache')
        await later(700)
        const after = await reading(page)
        assert.equal(after.time, before.time)
        assert.deepEqual(after.sizes, before.sizes)
        assert(after.cursor < before.cursor, 'what was before is further to the left')
        assertOnLines(after)
      }
      // Where the page is another a pointer is somewhere else.
      if (how === 'the keyboard') await page.setViewportSize({ width: 700, height: 900 })
      await later(500)
      const narrow = await reading(page)
      assert.equal(narrow.time, before.time)
      assertOnLines(narrow)
      await close()
    })
  }

  test('the chart marks where something else began to bind, and not where only its figures changed', async (t) => {
    const { manager, hold, keep, serve } = ownManager(t)
    const dashboard = await serve(100)
    const { page, close } = await given.open(dashboard.link())
    const marks = () => page.locator('#chart .mark').count()
    await later(500)
    assert.equal(await marks(), 0)
    assert.equal(await page.isVisible('#mark-meaning'), false)
    // It keeps at once what is left, which becomes more.
    const [weights, cache] = [400, 100].map((size) => hold(size, 'weights'))
    const waits = manager.acquire({ bytes: 1000 * MiB, label: 'llama' }, { ageMs: 0 })
    await page.waitForFunction(() => document.querySelectorAll('#chart .mark').length === 1)
    assert.match((await reading(page)).binding, /^the queue: 524\.00 MiB are kept/)
    cache.release()
    await page.waitForFunction(() => document.getElementById('reading').textContent.includes('624.00 MiB are kept'))
    assert.equal(await marks(), 1)
    assert.equal(await page.isVisible('#mark-meaning'), true)
    weights.release()
    keep(await waits)
    await page.waitForFunction(() => document.querySelectorAll('#chart .mark').length === 2)
    await close()
  })
}
