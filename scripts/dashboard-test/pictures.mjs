/** The pictures of the documentation: a server at work, on every page there is. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { serveDashboard } from './board.mjs'
import { open } from './chromium.mjs'
import { small } from './png.mjs'

const require = createRequire(new URL('../../package.json', import.meta.url))
const { MemoryManager, MiB, GiB } = require('plimsoll')
const { poolsPage, profilePage } = require('plimsoll/report')

/** How long the server works before it is drawn, in steps of a tenth of a second. */
const STEPS = 100

/** A server that answers, for so many steps: its caches grow and go, and it computes in buffers. What it holds in the end. */
async function work(manager, pool) {
  const [caches, buffers] = [[], []]
  const release = (list, count, from = 0) => {
    for (const each of list.splice(from, count)) each.release()
  }
  for (let step = 0; step < STEPS; step++) {
    if (step % 5 === 0) caches.push(manager.budget.hold((64 + 16 * (step % 7)) * MiB, `kv cache/slot ${step % 4}`))
    if (step % 13 === 0) release(caches, 1)
    if (step === 60) release(caches, 6)
    if (step % 7 === 0) {
      const placement = step % 2 === 0 ? 'transient' : 'long'
      buffers.push(pool.allocate(((step % 5) + 1) * MiB, { label: `scratch ${step % 3}`, placement }))
    }
    if (buffers.length > 7) release(buffers, 2, step % 3)
    if (step === 40) manager.limits = { warnPercent: 1 }
    if (step === 70) manager.limits = { warnPercent: 85 }
    await later(100)
  }
  return [...caches, ...buffers]
}

const NEIGHBOUR = fileURLToPath(new URL('neighbour.mjs', import.meta.url))

/** Another server that shares the ledger, and what ends it. */
async function neighbour(directory) {
  const child = fork(NEIGHBOUR, [directory])
  await once(child, 'message')
  return async () => {
    child.disconnect()
    await once(child, 'exit')
  }
}

/** A page of the width of a desk from its heading `from` to where `to` begins. */
async function part(page, from, to, { width }) {
  const [top, end] = await page.evaluate(
    (ids) => ids.map((id) => document.getElementById(id).closest('section').getBoundingClientRect().top + scrollY),
    [from, to],
  )
  const clip = { x: 0, y: Math.round(top) - 20, width, height: Math.round(end - top) + 20 }
  return { png: small(await page.screenshot({ fullPage: true, clip })), width, height: clip.height }
}

/** Every page as a picture, by its name: `{ png, width, height }`. */
export async function pictures(browser, folder) {
  const directory = mkdtempSync(join('/dev/shm', 'plimsoll-'))
  const shared = { directory, processName: 'chat-server', force: true }
  const manager = new MemoryManager({ shared, maxBytes: 6 * GiB })
  const ends = [() => manager.close(), () => rmSync(directory, { recursive: true })]
  try {
    ends.unshift(await neighbour(directory))
    manager.monitor.start({ refuseAtCritical: false })
    manager.profile.start({ stacks: true })
    const dashboard = await serveDashboard({ manager, intervalMs: 250 })
    ends.unshift(() => dashboard.close())
    const held = [
      manager.budget.hold(2048 * MiB, 'weights'),
      manager.budget.hold(640 * MiB, 'draft model'),
      manager.budget.hold(160 * MiB, 'compute buffers'),
    ]
    const pool = await manager.pools.create({ device: 'host', slabBytes: 16 * MiB, label: 'scratch' })
    await pool.reserve(48 * MiB)
    held.push(...(await work(manager, pool)))
    ends.unshift(() => {
      for (const each of held) each.release()
    })
    // It gets its turn when all is released.
    manager.acquire({ bytes: 4 * GiB, label: 'qwen-2.5-7b' }, { ageMs: 0 }).then(
      (grant) => grant.release(),
      () => {},
    )
    await manager.acquire({ bytes: 8 * GiB, label: 'llama-3.1-70b' }).catch(() => {})
    await later(600)
    const files = { pools: poolsPage([pool.snapshot()]), profile: manager.profile.export(profilePage) }
    const drawn = {}
    const draw = async (name, page, { width, height }) => {
      drawn[name] = { png: small(await page.screenshot()), width, height }
    }
    for (const [name, colorScheme, width, height] of [
      ['dashboard', 'light', 1100, 1280],
      ['dashboard-dark', 'dark', 390, 1100],
    ]) {
      const viewport = { width, height }
      const { page, close } = await open(browser, dashboard.link(), { colorScheme, viewport })
      await later(1000)
      await draw(name, page, viewport)
      if (colorScheme === 'light') drawn['dashboard-more'] = await part(page, 'shared', 'others', viewport)
      await close()
    }
    for (const [name, html] of Object.entries(files)) {
      const path = join(folder, `${name}.html`)
      writeFileSync(path, html)
      const viewport = { width: 1100, height: name === 'pools' ? 560 : 900 }
      const context = await browser.newContext({ viewport })
      const page = await context.newPage()
      await page.goto(`file://${path}`)
      await draw(name, page, viewport)
      await context.close()
    }
    return drawn
  } finally {
    for (const end of ends) await end()
  }
}
