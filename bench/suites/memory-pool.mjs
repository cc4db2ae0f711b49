import { setImmediate as turn } from 'node:timers/promises'
import { KiB, MemoryPool, MiB } from 'plimsoll'
import { elapsedMs, paired } from '../measure.mjs'

export const title = 'MemoryPool beside Buffer.allocUnsafeSlow'

const ROUNDS = 101
const PER_ROUND = 2_000

/** Sizes of a small model's activations, none of them the size before. */
const bytesOf = (i) => 4 * KiB + (i % 61) * 1280

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  note(`${PER_ROUND} buffers of 4 to 79 KiB, one after the other, with so many others live; memory is not touched`)
  note('the peer releases memory when it is collected; what the collector takes is in the time where it ran')
  const results = []
  for (const live of [0, 1_000, 10_000]) results.push(await measureAmong(live))
  return results
}

async function measureAmong(live) {
  const pool = await MemoryPool.create({ device: 'host', initialBytes: 512 * MiB, slabBytes: 512 * MiB })
  const others = Array.from({ length: live }, (_, i) => pool.allocate(bytesOf(i)))
  const pooled = (bytes) => pool.allocate(bytes).release()
  const plain = (bytes) => Buffer.allocUnsafeSlow(bytes)
  const { ours, theirs, ratio } = await paired(timed(pooled), timed(plain), ROUNDS)
  for (const other of others) other.release()
  await pool.close()
  const peer = { name: 'allocUnsafeSlow', value: theirs }
  const target = { of: 'value', is: 'below', bound: 2 }
  return { name: `allocate, release among ${live}`, unit: 'µs', value: ours, peer, ratio: 1 / ratio, target }
}

const timed = (use) => async () => {
  const ms = await elapsedMs(async () => {
    for (let i = 0; i < PER_ROUND; i++) use(bytesOf(i))
  })
  await turn()
  return (ms * 1000) / PER_ROUND
}
