import { execFileSync } from 'node:child_process'
import { childPath, runChild } from '../child.mjs'
import { elapsedMs, paired } from '../measure.mjs'

export const title = "require('plimsoll') beside an empty script"

const ROUNDS = 21

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  note('a process each, in turn; the difference is the median over the pairs')
  const start = (name) => () => elapsedMs(() => execFileSync(process.execPath, [childPath(name)]))
  const { ours, theirs, difference } = await paired(start('require.cjs'), start('empty.cjs'), ROUNDS)
  const threads = runChild('threads.cjs')
  const peer = { name: 'empty script', value: theirs }
  return [
    { name: 'start to exit', unit: 'ms', value: ours, peer, ratio: theirs / ours },
    { name: 'cost of require', unit: 'ms', value: difference, target: { of: 'value', is: 'below', bound: 20 } },
    {
      name: 'threads it starts',
      unit: '',
      value: threads.after - threads.before,
      target: { of: 'value', is: 'atMost', bound: 0 },
    },
  ]
}
