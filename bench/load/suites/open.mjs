import { writeFile } from 'node:fs/promises'
import { gguf } from '@huggingface/gguf'
import { formatBytes, GgufFile, MiB } from 'plimsoll'
import { batchedMs, elapsedMs, paired } from '../../measure.mjs'
import { withFile } from '../../scratch.mjs'
import { KEYS, largeHeader, TOKENS } from '../large-header.mjs'

export const title = 'opening a large header'

const ROUNDS = 7

/** @returns {Promise<import('../../result.mjs').Result[]>} */
export async function measure(note, size) {
  const header = largeHeader()
  note(`${TOKENS} tokens and ${KEYS} keys, ${formatBytes(header.length)}`)
  note('open checks everything and keeps arrays packed; the peer makes JavaScript values of all')
  return withFile(
    16 * MiB,
    (path) => writeFile(path, header),
    async (path) => {
      const ours = () => batchedMs(() => GgufFile.open(path).close(), { batches: 9, perBatch: 1 })
      const theirs = () => elapsedMs(() => gguf(path, { allowLocalFile: true }))
      const figures = await paired(ours, theirs, Math.min(ROUNDS, size.rounds))
      const opened = { unit: 'ms', value: figures.ours, ratio: 1 / figures.ratio }
      const peer = { name: '@huggingface/gguf', value: figures.theirs }
      return [
        { ...opened, name: 'open', peer, target: { of: 'value', is: 'below', bound: 20 } },
        { name: 'open, time of the processor', unit: 'ms', value: processorMs(() => GgufFile.open(path).close()) },
        { ...opened, name: 'open, beside the peer', peer, target: { of: 'ratio', is: 'atLeast', bound: 20 } },
      ]
    },
  )
}

/** What one of many calls takes of the processors. */
function processorMs(run) {
  const calls = 40
  const before = process.cpuUsage()
  for (let i = 0; i < calls; i++) run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / calls
}
