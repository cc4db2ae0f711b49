/** Pages that stay open over a server in a process of its own: what both sides hold and use meanwhile. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { open } from './chromium.mjs'

const SERVED = fileURLToPath(new URL('served.mjs', import.meta.url))
const MiB = 2 ** 20

/** How often both sides are looked at while the pages are open. */
const LOOKS = 8

async function serve() {
  const child = fork(SERVED, { execArgv: ['--expose-gc'] })
  await once(child, 'message')
  const ask = async (question) => {
    child.send(question)
    const [answer] = await once(child, 'message')
    return answer
  }
  const end = async () => {
    child.send('end')
    await once(child, 'exit')
  }
  return { ask, end }
}

/** What a page holds once its garbage was collected, and counts the updates that it gets. */
async function watch({ context, page }) {
  const session = await context.newCDPSession(page)
  let updates = 0
  session.on('Network.eventSourceMessageReceived', ({ eventName }) => {
    if (eventName !== 'history') updates += 1
  })
  await session.send('Network.enable')
  await session.send('Performance.enable')
  const heapBytes = async () => {
    await session.send('HeapProfiler.collectGarbage')
    const { metrics } = await session.send('Performance.getMetrics')
    return metrics.find(({ name }) => name === 'JSHeapUsedSize').value
  }
  return { heapBytes, updates: () => updates }
}

/** What is resident of the processes that a browser has for its pages, all together, without the files that they share. */
async function renderers(browser) {
  const session = await browser.newBrowserCDPSession()
  return async () => {
    const { processInfo } = await session.send('SystemInfo.getProcessInfo')
    const ids = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id)
    const kibibytes = ids.map((id) => Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))[1]))
    return kibibytes.reduce((sum, each) => sum + each * 1024, 0)
  }
}

/** The share of a core that a server used while something went on. */
async function shareOf(server, work) {
  const { cpuMs } = await server.ask('used')
  const startMs = performance.now()
  await work()
  const tookMs = performance.now() - startMs
  return ((await server.ask('used')).cpuMs - cpuMs) / (tookMs / 100)
}

const growth = (values) => {
  const half = Math.ceil(values.length / 2)
  const [before, after] = [values.slice(0, half), values.slice(-Math.floor(values.length / 4))]
  return { before: Math.max(...before) / MiB, after: Math.max(...after) / MiB }
}

/**
 * Opens pages, each in a browser of its own, for so long. Says what share of a core the server used with and without them, how many updates a
 * page got a minute, and the most that was held in the first half and in the last quarter, in MiB: by the server, one page's heap, and the
 * processes of all pages.
 */
export async function stay(browser, count, minutes) {
  const server = await serve()
  const alonePercent = await shareOf(server, () => later(Math.min(minutes, 1) * 60_000))
  const pages = []
  for (let at = 0; at < count; at++) pages.push(await open(browser, await server.ask('link')))
  const watched = await watch(pages[0])
  const pagesBytes = await renderers(browser)
  const [rss, heap, pageHeap, pagesRss] = [[], [], [], []]
  const updatesBefore = watched.updates()
  const startMs = performance.now()
  const percent = await shareOf(server, async () => {
    for (let look = 0; look < LOOKS; look++) {
      await later((minutes * 60_000) / LOOKS)
      const { rssBytes, heapBytes } = await server.ask('used')
      rss.push(rssBytes)
      heap.push(heapBytes)
      pageHeap.push(await watched.heapBytes())
      pagesRss.push(await pagesBytes())
    }
  })
  // To look takes a while, too.
  const updatesAMinute = (watched.updates() - updatesBefore) / ((performance.now() - startMs) / 60_000)
  const errors = pages.flatMap((page) => page.errors)
  for (const page of pages) await page.close()
  await server.end()
  const load = loadavg()[0]
  return {
    alonePercent,
    percent,
    updatesAMinute,
    errors,
    load,
    rss: growth(rss),
    heap: growth(heap),
    page: growth(pageHeap),
    pages: growth(pagesRss),
  }
}
