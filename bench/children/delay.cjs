// How late the event loop is while one workload runs: node delay.cjs SECONDS idle | SECONDS read FILE | SECONDS stream FILE OPTIONS
// OPTIONS are those of `stream`, as JSON; `digest` stands for an `onDigest`.

const { monitorEventLoopDelay, performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { readFile } = require('../workloads/read-file.cjs')
const { streamFile } = require('../workloads/stream-file.cjs')

const WORKLOADS = {
  idle: sleep,
  read: async (ms, path) => {
    for (const end = performance.now() + ms; performance.now() < end; ) await readFile(path, 1024 * 1024)
  },
  stream: async (ms, path, options) => {
    const { digest, ...rest } = JSON.parse(options)
    const onDigest = digest ? () => {} : undefined
    for (const end = performance.now() + ms; performance.now() < end; ) await streamFile(path, { ...rest, onDigest })
  },
}

async function main([seconds, workload, ...args]) {
  const run = WORKLOADS[workload]
  await run(200, ...args) // Compiles it.
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await run(Number(seconds) * 1000, ...args)
  delay.disable()
  const ms = (nanoseconds) => nanoseconds / 1e6
  console.log(JSON.stringify({ p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) }))
}

main(process.argv.slice(2))
