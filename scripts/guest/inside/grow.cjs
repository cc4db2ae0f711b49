// Takes 64 MiB of memory a second without end: `node grow.cjs PACKAGE`. With `obey` behind it, it watches the memory,
// takes no more at critical, and ends by itself some seconds later with a line about what it holds.

const { MemoryManager, MiB, signals } = require(process.argv[2])
const obeys = process.argv[3] === 'obey'

const RATE_BYTES_PER_MS = (64 * MiB) / 1000
const STEP_BYTES = MiB
/** What was missed while the process stood still is caught up at twice the rate, not at once. */
const MOST_STEPS = 8
const TURN_MS = 62.5
const HOLD_MS = 10_000

/** Pages of which a half compresses: memory that swap on compressed RAM takes, but not for nothing. */
const pattern = Buffer.alloc(STEP_BYTES)
for (let at = 0; at < STEP_BYTES; at += 8) {
  if (at % 4096 < 2048) pattern.writeDoubleLE(Math.random(), at)
}

/** Memory is asked for in large regions and taken in steps, as a loader does. */
const REGION_BYTES = 64 * MiB
const regions = []
let heldBytes = 0
const start = performance.now()

function take() {
  const at = heldBytes % REGION_BYTES
  if (at === 0) regions.push(Buffer.allocUnsafeSlow(REGION_BYTES))
  pattern.copy(regions.at(-1), at)
  heldBytes += STEP_BYTES
}

function grow() {
  const dueBytes = (performance.now() - start) * RATE_BYTES_PER_MS - heldBytes
  for (let step = 0; step < Math.min(dueBytes / STEP_BYTES, MOST_STEPS); step++) take()
}

const growth = setInterval(grow, TURN_MS)

function obey() {
  const { monitor } = new MemoryManager()
  monitor.once('critical', () => {
    clearInterval(growth)
    setTimeout(() => {
      const { availableBytes } = signals().memory
      console.log(JSON.stringify({ heldBytes, availableBytes, level: monitor.level }))
      monitor.close()
    }, HOLD_MS)
  })
  monitor.start()
}

if (obeys) obey()
