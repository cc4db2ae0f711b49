import { setImmediate as turn } from 'node:timers/promises'
import { formatBytes, KiB, MiB, StagingPool } from 'plimsoll'
import { elapsedMs, paired } from '../measure.mjs'
import { touch } from '../workloads/touch.cjs'

export const title = 'StagingPool beside Buffer.allocUnsafeSlow'

const SIZES_BYTES = [64 * KiB, MiB, 4 * MiB]
const ROUNDS = 101

/** A buffer is back in its pool on the next turn; so many are taken in between. */
const BUFFERS_PER_TURN = 8

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  note(`${BUFFERS_PER_TURN} buffers one after the other and a turn of the event loop; one byte per page is read`)
  note('the peer releases memory when it is collected; what the collector takes is in the time where it ran')
  const results = []
  for (const bytes of SIZES_BYTES) results.push(await measureSize(bytes))
  return results
}

async function measureSize(bytes) {
  const pool = new StagingPool({ maxHeldBytes: BUFFERS_PER_TURN * bytes })
  const pooled = () => {
    const buffer = pool.get(bytes)
    touch(buffer.data)
    buffer.release()
  }
  const plain = () => touch(Buffer.allocUnsafeSlow(bytes))
  const { ours, theirs, ratio } = await paired(timed(pooled), timed(plain), ROUNDS)
  pool.close()
  const peer = { name: 'allocUnsafeSlow', value: theirs }
  return { name: `get, touch, release ${formatBytes(bytes)}`, unit: 'µs', value: ours, peer, ratio: 1 / ratio }
}

const timed = (use) => async () => {
  const ms = await elapsedMs(async () => {
    for (let i = 0; i < BUFFERS_PER_TURN; i++) use()
    await turn()
  })
  return (ms * 1000) / BUFFERS_PER_TURN
}
