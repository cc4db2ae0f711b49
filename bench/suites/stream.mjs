import { formatBytes, KiB, MiB } from 'plimsoll'
import { elapsedMs, paired } from '../measure.mjs'
import { withModel } from '../scratch.mjs'
import { readFile } from '../workloads/read-file.cjs'
import { streamFile } from '../workloads/stream-file.cjs'

export const title = "streaming beside Node's own reads into one reused buffer"

const MODEL_BYTES = 512 * MiB
const ROUNDS = 11

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  note(`a Q4_K_M file of ${formatBytes(MODEL_BYTES)} in the page cache, runs in turn; both sides touch a byte per page`)
  note('f32 is converted on the way: its rate is that of the stored bytes')
  return withModel(MODEL_BYTES, async (path) => [
    await compare(path, { as: 'raw', chunkBytes: MiB }, { target: { of: 'ratio', is: 'atLeast', bound: 0.9 } }),
    await compare(path, { as: 'raw', chunkBytes: 64 * KiB }),
    await compare(path, { as: 'f32', chunkBytes: MiB }),
  ])
}

async function compare(path, options, target = {}) {
  const { as, chunkBytes } = options
  const size = formatBytes(chunkBytes)
  const stream = () => rate(() => streamFile(path, options))
  const read = () => rate(() => readFile(path, chunkBytes))
  const { ours, theirs, ratio } = await paired(stream, read, ROUNDS)
  const peer = { name: `fh.read ${size}`, value: theirs }
  return { name: `${as}, chunks of ${size}`, unit: 'MiB/s', value: ours, peer, ratio, ...target }
}

/** MiB of the file in a second. */
async function rate(run) {
  let bytes = 0
  const ms = await elapsedMs(async () => {
    bytes = await run()
  })
  return bytes / MiB / (ms / 1000)
}
