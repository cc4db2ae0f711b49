import { dropPageCache, formatBytes, MiB, pageCache } from 'plimsoll'
import { runChild } from '../../child.mjs'
import { median } from '../../measure.mjs'
import { withModel } from '../../scratch.mjs'
import { streamFile } from '../../workloads/stream-file.cjs'

export const title = 'memory: peak RSS over a script that only loads the package, and what stays in the page cache'

const TARGET = { of: 'value', is: 'atMost', bound: 16 }

/** @returns {Promise<import('../../result.mjs').Result[]>} */
export async function measure(note, { memoryBytes, processes }) {
  const runs = (...args) => Array.from({ length: processes }, () => runChild('peak.cjs', args))
  const peak = (...args) => median(runs(...args).map(({ peakMiB }) => peakMiB))
  const idle = peak('idle')
  note(`a file of ${formatBytes(memoryBytes)}; the script that does nothing else peaks at ${idle.toFixed(1)} MiB`)
  note(`processes for each figure: ${processes}; their median`)
  return withModel(memoryBytes, async (path) => {
    const peer = { name: 'fh.read 1 MiB', value: peak('read', path) - idle }
    const row = (name, ...args) => ({ name, unit: 'MiB', value: peak(...args) - idle })
    const loadAll = (where, threads) => {
      const all = runs('load-all', path, where, String(threads))
      const over = median(all.map(({ peakMiB, outcome }) => peakMiB - idle - outcome.heldBytes / MiB))
      const name = `peak RSS over the destination, loadAll into ${where === 'pool' ? 'a pool' : 'new memory'}`
      if (where === 'pool' && threads === 1)
        note(`slabs of the pool beyond the tensors: ${slackMiB(all[0].outcome).toFixed(1)} MiB`)
      return [{ name: `${name}, threads: ${threads}`, unit: 'MiB', value: over, target: TARGET }]
    }
    return [
      { ...row('peak RSS, raw, lent chunks', 'stream', path, 'raw', 'lent'), peer, target: TARGET },
      { ...row('peak RSS, f32, lent chunks', 'stream', path, 'f32', 'lent'), peer, target: TARGET },
      { ...row('peak RSS, raw, own chunks', 'stream', path, 'raw', 'own'), peer },
      ...loadAll('pool', 1),
      ...loadAll('pool', 2),
      ...loadAll('new', 1),
      ...(await left(path, note)),
    ]
  })
}

function slackMiB({ heldBytes, tensorBytes }) {
  return (heldBytes - tensorBytes) / MiB
}

/** What is cached of the file after it was streamed, in MiB. */
async function left(path, note) {
  const cachedMiB = async () => (await pageCache(path)).cachedBytes / MiB
  const results = []
  for (const options of [
    { dropBehind: true },
    { dropBehind: true, threads: 2 },
    { io: 'direct' },
    { dropBehind: false },
  ]) {
    await dropPageCache(path)
    const before = await cachedMiB()
    if (before > 1) note(`${before.toFixed(0)} MiB of the file could not be dropped beforehand`)
    await streamFile(path, { ...options, reuse: true })
    const name = `left in the page cache, ${JSON.stringify(options).replaceAll('"', '').slice(1, -1)}`
    const target = options.dropBehind === false ? {} : { target: TARGET }
    results.push({ name, unit: 'MiB', value: await cachedMiB(), ...target })
  }
  return results
}
