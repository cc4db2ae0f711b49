import { performance } from 'node:perf_hooks'

/**
 * The middle of the values; of an even number, the upper of the two.
 *
 * @param {number[]} values at least one
 */
export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
}

/**
 * Milliseconds one call of `run` takes: the median over batches, which a passing disturbance does not move.
 *
 * @param {() => unknown} run
 * @param {{ batches: number, perBatch: number }} size
 */
export function batchedMs(run, { batches, perBatch }) {
  const times = []
  for (let batch = 0; batch < batches; batch++) {
    const start = performance.now()
    for (let i = 0; i < perBatch; i++) run()
    times.push((performance.now() - start) / perBatch)
  }
  return median(times)
}

/** Milliseconds until the promise of one call of `run` settles. */
export async function elapsedMs(run) {
  const start = performance.now()
  await run()
  return performance.now() - start
}

/**
 * Takes two figures in turn, A B A B, so that whatever slows the machine down slows both, after one round that only
 * warms up.
 *
 * @param {() => number | Promise<number>} ours
 * @param {() => number | Promise<number>} theirs
 * @param {number} rounds
 * @returns {Promise<{ ours: number, theirs: number, ratio: number, difference: number }>} medians; `ratio` (ours to
 *   theirs) and `difference` (ours less theirs) are medians over the pairs
 */
export async function paired(ours, theirs, rounds) {
  const pairs = []
  for (let round = 0; round <= rounds; round++) pairs.push({ ours: await ours(), theirs: await theirs() })
  const counted = pairs.slice(1)
  return {
    ours: median(counted.map((pair) => pair.ours)),
    theirs: median(counted.map((pair) => pair.theirs)),
    ratio: median(counted.map((pair) => pair.ours / pair.theirs)),
    difference: median(counted.map((pair) => pair.ours - pair.theirs)),
  }
}
