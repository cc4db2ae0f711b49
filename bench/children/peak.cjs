// Prints the peak RSS of one workload:
// node peak.cjs idle | loop BYTES | read FILE | stream FILE raw|f32 lent|own | load-all FILE pool|new THREADS

// Loaded by `require`: for `import`, Node first runs a WebAssembly lexer over the package, whose megabytes would hide
// part of what is measured.
const { MiB } = require('plimsoll')
const { readFileSync } = require('node:fs')

const WORKLOADS = {
  idle: () => {},
  loop: (bytes) => require('../workloads/loop.cjs').loop(Number(bytes), MiB),
  read: (path) => require('../workloads/read-file.cjs').readFile(path, MiB),
  stream: (path, as, how) =>
    require('../workloads/stream-file.cjs').streamFile(path, { as, chunkBytes: MiB, reuse: how === 'lent' }),
  'load-all': (path, where, threads) => require('../workloads/load-all.cjs').loadAll(path, where, Number(threads)),
}

/** The most this process ever had resident: `VmHWM` of `/proc/self/status`, see proc_pid_status(5). */
function peakMiB() {
  const [, kibibytes] = readFileSync('/proc/self/status', 'latin1').match(/^VmHWM:\s+(\d+) kB$/m)
  return Number(kibibytes) / 1024
}

async function main([workload, ...args]) {
  const outcome = await WORKLOADS[workload](...args)
  console.log(JSON.stringify({ peakMiB: peakMiB(), outcome }))
}

main(process.argv.slice(2))
