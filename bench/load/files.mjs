import { GiB, MiB, pageCache } from 'plimsoll'
import { withFile, withModel } from '../scratch.mjs'
import { streamFile } from '../workloads/stream-file.cjs'
import { LAYER_BYTES, makeMixModel } from './mix-model.mjs'

/**
 * How much is measured.
 *
 * @typedef {object} Size
 * @property {number} rawBytes of the file that is streamed as it is
 * @property {number} mixLayers of the file that is converted
 * @property {number} memoryBytes of the file whose streaming is weighed
 * @property {number} rounds
 * @property {number} processes for each figure that is one of a process
 * @property {number} seconds that the event loop is watched
 */

/** @type {Record<'quick' | 'usual' | 'full', Size>} */
export const SIZES = {
  quick: { rawBytes: 64 * MiB, mixLayers: 8, memoryBytes: 64 * MiB, rounds: 5, processes: 1, seconds: 0.5 },
  usual: { rawBytes: 256 * MiB, mixLayers: 32, memoryBytes: GiB, rounds: 45, processes: 5, seconds: 2 },
  full: { rawBytes: 256 * MiB, mixLayers: 32, memoryBytes: 8 * GiB, rounds: 45, processes: 5, seconds: 2 },
}

/** A Q4_K_M file of {@link Size.rawBytes}, cached. */
export async function withRaw({ rawBytes }, use) {
  return withModel(rawBytes, async (path) => use(await cached(path)))
}

/** A file of the mix, cached. */
export async function withMix({ mixLayers }, use) {
  const make = (path) => makeMixModel(path, mixLayers)
  return withFile(mixLayers * LAYER_BYTES, make, async (path) => use(await cached(path)))
}

/** The kernel may have let pages go since they were written: it is read until all are there. */
async function cached(path) {
  for (let tries = 0; tries < 5; tries++) {
    await streamFile(path, { reuse: true, dropBehind: false })
    const { sizeBytes, cachedBytes } = await pageCache(path)
    if (cachedBytes >= sizeBytes) return path
  }
  throw new Error(`expected the page cache to keep ${path}: has this machine too little free memory?`)
}
