import { formatBytes, KiB, MiB } from 'plimsoll'
import { createReadStream, readFile } from '../../workloads/read-file.cjs'
import { streamFile } from '../../workloads/stream-file.cjs'
import { withRaw } from '../files.mjs'
import { inTurn } from '../rounds.mjs'

export const title = "raw bytes out of the page cache, beside Node's own reads"

const CHUNKS = { '64 KiB': 64 * KiB, '1 MiB': MiB, '4 MiB': 4 * MiB }

/** How many times as fast as a peer. */
const TARGETS = { '64 KiB': { read: 5, stream: 10 }, '4 MiB': { read: 1 } }

/** @returns {Promise<import('../../result.mjs').Result[]>} */
export async function measure(note, size) {
  note(`a file of ${formatBytes(size.rawBytes)}; every consumer reads one byte in 4096`)
  note('lent chunks beside fh.read into one buffer, own chunks beside fh.read into a fresh buffer each')
  return withRaw(size, async (path) => {
    const results = []
    for (const chunks of Object.keys(CHUNKS)) results.push(...(await compare(path, chunks, size.rounds, note)))
    results.push(...(await compareModes(path, size.rounds, note)))
    return results
  })
}

async function compare(path, chunks, rounds, note) {
  const chunkBytes = CHUNKS[chunks]
  const stream = (options) => async () => ({ bytes: await streamFile(path, { ...options, chunkBytes }) })
  const runs = {
    lent: stream({ reuse: true }),
    'fh.read': async () => ({ bytes: await readFile(path, chunkBytes) }),
    own: stream({}),
    'fh.read, fresh': async () => ({ bytes: await readFile(path, chunkBytes, true) }),
    createReadStream: async () => ({ bytes: await createReadStream(path, chunkBytes) }),
  }
  const figures = await inTurn(runs, rounds)
  note(figures.describe(chunks))
  const { read, stream: streamed } = TARGETS[chunks] ?? {}
  return [
    figures.result(`raw, lent chunks of ${chunks}`, 'lent', 'fh.read', read),
    figures.result(`raw, lent chunks of ${chunks}, beside a stream`, 'lent', 'createReadStream', streamed),
    figures.result(`raw, own chunks of ${chunks}`, 'own', 'fh.read, fresh'),
    figures.result(`raw, own chunks of ${chunks}, beside a stream`, 'own', 'createReadStream'),
  ]
}

/** Threads and ways of reading, beside one thread that reads. */
async function compareModes(path, rounds, note) {
  const told = {}
  const stream = (name, options) => async () => {
    const onProgress = ({ io, ioReason }) => {
      told[name] = ioReason ?? io
    }
    return { bytes: await streamFile(path, { ...options, reuse: true, onProgress }) }
  }
  const figures = await inTurn(
    {
      'one thread': stream('one thread', {}),
      two: stream('two', { threads: 2 }),
      four: stream('four', { threads: 4 }),
      mmap: stream('mmap', { io: 'mmap' }),
      direct: stream('direct', { io: 'direct' }),
    },
    rounds,
  )
  note(figures.describe('threads and ways of reading'))
  note(`direct reads come from the disk (${told.direct}); the others from the page cache`)
  return [
    figures.result('raw, 2 threads', 'two', 'one thread'),
    figures.result('raw, 4 threads', 'four', 'one thread'),
    figures.result("raw, io: 'mmap'", 'mmap', 'one thread'),
    figures.result("raw, io: 'direct'", 'direct', 'one thread'),
  ]
}
