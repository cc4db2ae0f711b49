import { formatBytes, GiB, MiB } from 'plimsoll'
import { runChild } from '../child.mjs'
import { median } from '../measure.mjs'
import { withModel } from '../scratch.mjs'

export const title = 'peak RSS of a script that streams, less that of one that only loads the package'

const MODELS_BYTES = [256 * MiB, GiB, 4 * GiB]
const RUNS = 5
const TARGET = { of: 'value', is: 'below', bound: 8 }

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  const idle = peakMiB('idle')
  note(`the idle script peaks at ${idle.toFixed(1)} MiB; medians of ${RUNS} processes each`)
  note('the loop without a file is the same consumer over one buffer of 1 MiB: mostly what compiling it takes')
  const models = []
  for (const sizeBytes of MODELS_BYTES) models.push(await measureModel(sizeBytes, idle))
  return [...models.flatMap(overIdle), spread(models)]
}

/** Peaks over the idle script, in MiB. */
async function measureModel(sizeBytes, idle) {
  const over = (...args) => peakMiB(...args) - idle
  return withModel(sizeBytes, async (path) => ({
    size: formatBytes(sizeBytes),
    loop: over('loop', String(sizeBytes)),
    read: over('read', path),
    raw: over('stream', path, 'raw', 'lent'),
    f32: over('stream', path, 'f32', 'lent'),
    own: over('stream', path, 'raw', 'own'),
  }))
}

function overIdle({ size, loop, read, raw, f32, own }) {
  const unit = 'MiB'
  const peer = { name: 'fh.read 1 MiB', value: read }
  return [
    { name: `${size} raw`, unit, value: raw, peer, target: TARGET },
    { name: `${size} f32`, unit, value: f32, peer },
    { name: `${size} raw, chunks its own`, unit, value: own, peer },
    { name: `${size} raw, over the loop without a file`, unit, value: raw - loop },
  ]
}

function spread(models) {
  const peaks = models.map(({ raw }) => raw)
  const value = Math.max(...peaks) - Math.min(...peaks)
  return { name: `raw, from ${models[0].size} to ${models.at(-1).size}`, unit: 'MiB', value, target: TARGET }
}

function peakMiB(...args) {
  return median(Array.from({ length: RUNS }, () => runChild('peak.cjs', args).peakMiB))
}
