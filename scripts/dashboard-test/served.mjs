/** The board of `board.mjs` in a process of its own, so that what it takes is the server's alone. Answers what its parent asks. */

import { setTimeout as later } from 'node:timers/promises'
import { board } from './board.mjs'

const { dashboard, close } = await board()

const cpuMs = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** What collecting garbage took that nobody but this test asked for. */
let collectingMs = 0

/** What the process has used of the processors, in milliseconds, and what is resident of it once its garbage was collected. */
function used() {
  const usedMs = cpuMs()
  global.gc()
  const { rss, heapUsed } = process.memoryUsage()
  const figures = { cpuMs: usedMs - collectingMs, rssBytes: rss, heapBytes: heapUsed }
  collectingMs += cpuMs() - usedMs
  return figures
}

process.on('message', async (question) => {
  if (question === 'end') {
    await close()
    process.disconnect()
    return
  }
  process.send(question === 'link' ? dashboard.link() : used())
})
await later(1000)
process.send('ready')
