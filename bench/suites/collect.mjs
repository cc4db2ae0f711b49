import { runChild } from '../child.mjs'

export const title = 'one million guards dropped to the garbage collector'

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  // A warning per guard is right, and a million of them on the terminal is not.
  const { balanceBytes, earlyRssMiB, finalRssMiB, microsecondsPerGuard } = runChild(
    'collect.mjs',
    [],
    ['--expose-gc', '--no-warnings'],
  )
  note('in batches of 10,000 with a collection and a turn of the event loop between; RSS against that after 100,000')
  return [
    { name: 'balance afterwards', unit: 'bytes', value: balanceBytes, target: { of: 'value', is: 'atMost', bound: 0 } },
    {
      name: 'RSS after 1,000,000',
      unit: 'MiB',
      value: finalRssMiB,
      peer: { name: 'after 100,000', value: earlyRssMiB },
    },
    { name: 'time per guard, collection included', unit: 'µs', value: microsecondsPerGuard },
  ]
}
