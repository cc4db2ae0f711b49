import { streamFile } from '../../workloads/stream-file.cjs'
import { withMix } from '../files.mjs'
import { inTurn } from '../rounds.mjs'

export const title = 'what the checks cost, beside a stream without them'

/** @returns {Promise<import('../../result.mjs').Result[]>} */
export async function measure(note, size) {
  note('rates of the stored bytes, of the mix')
  return withMix(size, async (path) => {
    const results = []
    for (const as of ['raw', 'f32']) {
      const stream = (options) => async () => ({ bytes: await streamFile(path, { as, reuse: true, ...options }) })
      const runs = {
        without: stream({}),
        checked: stream({ checkTensors: true }),
        digested: stream({ onDigest: () => {} }),
      }
      const figures = await inTurn(runs, Math.ceil(size.rounds / 2))
      note(figures.describe(as))
      results.push(figures.result(`${as}, checkTensors`, 'checked', 'without'))
      results.push(figures.result(`${as}, onDigest`, 'digested', 'without'))
    }
    return results
  })
}
