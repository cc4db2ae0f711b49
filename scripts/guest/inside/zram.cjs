// A program that grows against swap on compressed RAM: when the monitor tells, when the last available byte is gone, and
// who lives.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { report, swapOnZram } = require('./system.cjs')

const package = '/plimsoll'
const { MemoryManager, signals } = require(package)

const LOOK_MS = 50

/** Runs the program that grows to its end. Unlike this one it may be killed. */
async function grow(...args) {
  const before = signals().oomKillCount
  const fair = ['-c', 'echo 0 >/proc/$$/oom_score_adj && exec "$@"', 'sh']
  const child = spawn('sh', [...fair, process.execPath, join(__dirname, 'grow.cjs'), package, ...args])
  child.stderr.pipe(process.stderr)
  let said = ''
  child.stdout.on('data', (data) => {
    said += data
  })
  const [status, signal] = await once(child, 'close')
  return { status, signal, killCount: signals().oomKillCount - before, ...JSON.parse(said || '{}') }
}

/** One look at what the kernel says, apart from the monitor. */
function look() {
  const { memory, zram, pressure } = signals()
  return {
    atMs: performance.now(),
    availableBytes: memory.availableBytes,
    swapFreeBytes: memory.swapFreeBytes,
    zramBytes: zram.usedBytes,
    pressurePercent: pressure.some.avg10Percent,
  }
}

/** The program that obeys nothing, and beside it one that watches and looks on. */
async function unheard() {
  const { monitor } = new MemoryManager()
  const heard = {}
  for (const event of ['warning', 'critical', 'pressure', 'kill']) {
    monitor.once(event, () => {
      heard[event] = look()
    })
  }
  monitor.start()
  const looks = []
  const looking = setInterval(() => looks.push(look()), LOOK_MS)
  const ended = await grow()
  clearInterval(looking)
  monitor.close()
  return { ...ended, heard, looks }
}

async function main() {
  // Children inherit it.
  writeFileSync('/proc/self/oom_score_adj', '-1000')
  swapOnZram('512M')
  report({ obeyed: await grow('obey'), unheard: await unheard() })
}

main()
