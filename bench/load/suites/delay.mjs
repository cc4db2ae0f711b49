import { runChild } from '../../child.mjs'
import { median } from '../../measure.mjs'
import { withMix } from '../files.mjs'

export const title = "the event loop's delay while it streams: the 99th percentile, beside a process that sleeps"

const WORKLOADS = {
  raw: { as: 'raw' },
  f32: { as: 'f32' },
  'f32, 2 threads': { as: 'f32', threads: 2 },
  'f32, checkTensors': { as: 'f32', checkTensors: true },
  'f32, onDigest': { as: 'f32', digest: true },
  'raw, own chunks': { as: 'raw', reuse: false },
}

/** What Node.js itself does to its loop. */
const READ = 'fh.read of 1 MiB into one buffer'

/** @returns {Promise<import('../../result.mjs').Result[]>} */
export async function measure(note, size) {
  note(`${size.seconds} s each, in turn, ${size.processes} times; the difference is the median of those of a round`)
  return withMix(size, (path) => {
    const measured = [...Object.keys(WORKLOADS), READ]
    const rounds = Array.from({ length: size.processes }, () => {
      const idle = p99(size.seconds, 'idle')
      const stream = (options) => p99(size.seconds, 'stream', path, JSON.stringify({ reuse: true, ...options }))
      const values = Object.entries(WORKLOADS).map(([name, options]) => [name, stream(options)])
      return { idle, ...Object.fromEntries(values), [READ]: p99(size.seconds, 'read', path) }
    })
    const peer = { name: 'asleep', value: median(rounds.map(({ idle }) => idle)) }
    return measured.map((name) => ({
      name: `p99, ${name}`,
      unit: 'ms',
      value: median(rounds.map((round) => round[name])),
      peer,
      difference: median(rounds.map((round) => round[name] - round.idle)),
      ...(name === READ ? {} : { target: { of: 'difference', is: 'atMost', bound: 5 } }),
    }))
  })
}

function p99(seconds, ...args) {
  return runChild('delay.cjs', [String(seconds), ...args]).p99
}
