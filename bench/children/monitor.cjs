// What a monitor takes of a processor, and what a million of its samples leave behind: node monitor.cjs SECONDS SAMPLES
const { readdirSync, readFileSync } = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')
const { MemoryBudget, MemoryMonitor } = require('../..')

const [seconds, samples] = process.argv.slice(2).map(Number)

/** Nanoseconds that each thread has run, by its name. Source: the kernel's scheduler/sched-stats.rst. */
function runNs() {
  const task = '/proc/self/task'
  const read = (id, file) => readFileSync(`${task}/${id}/${file}`, 'utf8').trim()
  return readdirSync(task).map((id) => ({ name: read(id, 'comm'), ns: Number(read(id, 'schedstat').split(' ')[0]) }))
}

const sum = (threads, wanted) => threads.filter(wanted).reduce((all, { ns }) => all + ns, 0)
const isMonitor = ({ name }) => name.startsWith('plimsoll-monito')
const start = (options) => new MemoryMonitor(MemoryBudget.forThisMachine({ isolated: true })).start(options)

/** Shares of one core: the monitor's thread, and all that the rest of the process does for it. */
async function share(run) {
  const monitor = run ? start({ intervalMs: 100 }) : undefined
  await sleep(500)
  const before = runNs()
  await sleep(seconds * 1000)
  const after = runNs()
  monitor?.close()
  const percent = (wanted) => (100 * (sum(after, wanted) - sum(before, wanted))) / (seconds * 1e9)
  return { thread: percent(isMonitor), rest: percent((thread) => !isMonitor(thread)) }
}

/** Resident memory after an eighth of the samples and after all, from many monitors at once, since one is not that fast. */
async function growth(samples) {
  const monitors = Array.from({ length: 20 }, () => start({ intervalMs: 10, historyCount: 100 }))
  const alive = setInterval(() => {}, 1000)
  let seen = 0
  for (const monitor of monitors) {
    monitor.on('sample', () => {
      seen += 1
    })
  }
  const rssAfter = async (count) => {
    while (seen < count) await sleep(20)
    globalThis.gc()
    return process.memoryUsage().rss
  }
  const early = await rssAfter(samples / 8)
  const late = await rssAfter(samples)
  for (const monitor of monitors) monitor.close()
  clearInterval(alive)
  return late - early
}

async function main() {
  const [idle, watching] = [await share(false), await share(true)]
  const grownBytes = await growth(samples)
  console.log(JSON.stringify({ thread: watching.thread, rest: watching.rest - idle.rest, grownBytes }))
}

main()
