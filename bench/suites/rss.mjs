import { formatBytes, GiB, MiB } from 'plimsoll'
import { runChild } from '../child.mjs'
import { median } from '../measure.mjs'
import { withModel } from '../scratch.mjs'

export const title = 'peak RSS of a script that streams, less that of one that only loads the package'

const MODELS_BYTES = [256 * MiB, GiB, 4 * GiB]
const RUNS = 5
const LEAST = { of: 'value', is: 'below', bound: 8 }

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  const idle = peakMiB('idle.mjs')
  const loop = peakMiB('loop.mjs')
  note(`the idle script peaks at ${idle.toFixed(1)} MiB; medians of ${RUNS} processes each`)
  note('the loop is the same consumer over one buffer of 1 MiB, without a file: what it costs is the engine compiling it')
  const results = [{ name: 'no file: the loop over one buffer', unit: 'MiB', value: loop - idle }]
  const streamed = []
  for (const sizeBytes of MODELS_BYTES) {
    const peaks = await withModel(sizeBytes, async (path) => measureModel(path))
    streamed.push(peaks.raw)
    results.push(...overIdle(formatBytes(sizeBytes), peaks, idle))
  }
  const growth = Math.max(...streamed) - Math.min(...streamed)
  const between = `${formatBytes(MODELS_BYTES[0])} to ${formatBytes(MODELS_BYTES.at(-1))}`
  return [...results, { name: `raw, spread from ${between}`, unit: 'MiB', value: growth, target: LEAST }]
}

function measureModel(path) {
  return {
    raw: peakMiB('stream.mjs', [path, 'raw']),
    f32: peakMiB('stream.mjs', [path, 'f32']),
    read: peakMiB('read.mjs', [path]),
  }
}

function overIdle(size, { raw, f32, read }, idle) {
  const peer = { name: 'fh.read 1 MiB', value: read - idle }
  return [
    { name: `${size} raw, over idle`, unit: 'MiB', value: raw - idle, peer, target: LEAST },
    { name: `${size} f32, over idle`, unit: 'MiB', value: f32 - idle, peer },
  ]
}

function peakMiB(child, args = []) {
  return median(Array.from({ length: RUNS }, () => runChild(child, args).peakMiB))
}
