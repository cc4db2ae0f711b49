import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { GgufFile, MiB } from 'plimsoll'
import { streamFile } from '../../workloads/stream-file.cjs'
import { withMix } from '../files.mjs'
import { withKernels } from '../kernels.mjs'
import { LAYER_BYTES, LAYER_F32_BYTES } from '../mix-model.mjs'
import { inTurn } from '../rounds.mjs'

export const title = 'a Q4_K_M mix out of the page cache as f32, beside the kernels alone'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PYTHON = fileURLToPath(new URL('../dequantize.py', import.meta.url))

/** @returns {Promise<import('../../result.mjs').Result[]>} */
export async function measure(note, size) {
  const f32Bytes = size.mixLayers * LAYER_F32_BYTES
  note('79 % of the values from Q4_K, 21 % from Q6_K; rates are those of the output')
  note('the kernels convert units of 1 MiB, in the caches, from memory that was read before')
  const stream = (path, options) => async () => {
    const stored = await streamFile(path, { as: 'f32', reuse: true, ...options })
    return { bytes: stored * (LAYER_F32_BYTES / LAYER_BYTES) }
  }
  return withMix(size, (path) =>
    withKernels(path, async (ask) => {
      const kernels = ['kernels', 'kernels-and-read', 'kernels-in-turn', 'kernels-in-turn-and-read']
      const limits = Object.fromEntries(kernels.map((name) => [name, () => ask(name)]))
      const one = { ...limits, 'one thread': stream(path, {}), reader: () => reader(path) }
      const alone = await inTurn(one, size.rounds)
      note(alone.describe('beside the kernels'))
      const runs = {
        'one thread': stream(path, {}),
        two: stream(path, { threads: 2 }),
        own: stream(path, { reuse: false }),
      }
      const figures = await inTurn(runs, size.rounds)
      note(figures.describe('threads'))
      return [
        alone.result('f32, lent chunks of 1 MiB', 'one thread', 'kernels', 0.8),
        alone.result('the kernels with reading, one unit', 'kernels-and-read', 'kernels'),
        alone.result('the kernels, three units in turn', 'kernels-in-turn', 'kernels'),
        alone.result('the kernels with reading, three units in turn', 'kernels-in-turn-and-read', 'kernels'),
        alone.result('f32, beside kernels that read into three units', 'one thread', 'kernels-in-turn-and-read'),
        alone.result('f32, the reading thread alone', 'reader', 'kernels'),
        figures.result('f32, 2 threads', 'two', 'one thread', 1.5),
        figures.result('f32, own chunks of 1 MiB', 'own', 'one thread'),
        ...python(note, path, alone.rate('one thread'), f32Bytes),
      ]
    }),
  )
}

/** What the stream's thread takes of a processor: sampled as chunks come, up to the last at which it still runs. */
async function reader(path) {
  const model = GgufFile.open(path)
  const start = performance.now()
  let bytes = 0
  let sample = { bytes: 0, seconds: 0, processorSeconds: 0 }
  for await (const { data } of model.stream({ as: 'f32', reuse: true })) {
    bytes += data.byteLength
    if ((bytes / MiB) % 32 !== 0) continue
    const processorSeconds = readerSeconds()
    if (processorSeconds > 0) sample = { bytes, seconds: (performance.now() - start) / 1000, processorSeconds }
  }
  model.close()
  return sample
}

/** Seconds that the threads of streams have run. Source: the kernel's scheduler/sched-stats.rst. */
function readerSeconds() {
  const read = (id, file) => {
    try {
      return readFileSync(`/proc/self/task/${id}/${file}`, 'latin1')
    } catch {
      return '0' // It has ended meanwhile.
    }
  }
  return readdirSync('/proc/self/task')
    .filter((id) => read(id, 'comm').startsWith('plimsoll-loader'))
    .reduce((sum, id) => sum + Number(read(id, 'schedstat').split(' ')[0]) / 1e9, 0)
}

/** The Python package, once: it takes long. */
function python(note, path, value, f32Bytes) {
  const shell = (command, ...args) =>
    execFileSync(command, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  try {
    const seconds = Number(shell(shell('bash', 'scripts/python-env.sh').trim(), PYTHON, path))
    const peer = { name: 'gguf for Python', value: f32Bytes / 1e9 / seconds }
    return [{ name: 'f32, beside Python', unit: 'GB/s', value, peer, ratio: value / peer.value }]
  } catch (error) {
    note(`no figure for Python: ${error.message}`)
    return []
  }
}
