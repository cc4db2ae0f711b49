import { formatBytes, KiB, MiB } from 'plimsoll'
import { elapsedMs, paired } from '../measure.mjs'
import { withModel } from '../scratch.mjs'
import { createReadStream, readFile } from '../workloads/read-file.cjs'
import { streamFile } from '../workloads/stream-file.cjs'

export const title =
  "streaming beside Node's own reads: lent chunks beside one reused buffer, own chunks beside fresh ones"

const MODEL_BYTES = 512 * MiB
const ROUNDS = 11

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  note(`a Q4_K_M file of ${formatBytes(MODEL_BYTES)} in the page cache, runs in turn; both sides touch a byte per page`)
  note('f32 is converted on the way: its rate is that of the stored bytes')
  return withModel(MODEL_BYTES, async (path) => [
    await compare(path, { as: 'raw', chunkBytes: MiB, reuse: true }, reused, 0.9),
    await compare(path, { as: 'raw', chunkBytes: 64 * KiB, reuse: true }, reused),
    await compare(path, { as: 'raw', chunkBytes: 4 * MiB, reuse: true }, reused),
    await compare(path, { as: 'f32', chunkBytes: MiB, reuse: true }, reused),
    await compare(path, { as: 'raw', chunkBytes: MiB }, fresh, 0.7),
    await compare(path, { as: 'raw', chunkBytes: 64 * KiB }, streamed, 2),
    await compare(path, { as: 'raw', chunkBytes: 4 * MiB }, fresh),
    await compare(path, { as: 'f32', chunkBytes: MiB }, fresh),
  ])
}

/** Node's own ways. */
const reused = { name: 'fh.read', run: (path, chunkBytes) => readFile(path, chunkBytes) }
const fresh = { name: 'fh.read into fresh buffers', run: (path, chunkBytes) => readFile(path, chunkBytes, true) }
const streamed = { name: 'fs.createReadStream', run: createReadStream }

async function compare(path, options, { name, run }, atLeast) {
  const { as, chunkBytes, reuse } = options
  const size = formatBytes(chunkBytes)
  const stream = () => rate(() => streamFile(path, options))
  const read = () => rate(() => run(path, chunkBytes))
  const { ours, theirs, ratio } = await paired(stream, read, ROUNDS)
  const result = { name: `${as}, ${reuse ? 'lent' : 'own'} chunks of ${size}`, unit: 'MiB/s', value: ours, ratio }
  const target = atLeast === undefined ? {} : { target: { of: 'ratio', is: 'atLeast', bound: atLeast } }
  return { ...result, peer: { name: `${name} ${size}`, value: theirs }, ...target }
}

/** MiB of the file in a second. */
async function rate(run) {
  let bytes = 0
  const ms = await elapsedMs(async () => {
    bytes = await run()
  })
  return bytes / MiB / (ms / 1000)
}
