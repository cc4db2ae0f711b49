import { open } from 'node:fs/promises'
import { withRaw } from '../files.mjs'
import { withKernels } from '../kernels.mjs'
import { inTurn } from '../rounds.mjs'

export const title = 'what the machine can, on one thread'

/** The least that `fh.read` can do, so many times. */
const CALLS = 4000

/** @returns {Promise<import('../../result.mjs').Result[]>} */
export async function measure(note, size) {
  note('a program in Rust: 256 MiB of memory, or 1 MiB in the caches, from source to target or target alone')
  return withRaw(size, (path) =>
    withKernels(path, async (ask) => {
      const names = ['copy', 'fill', 'fresh', 'read', 'copy-cached', 'fill-cached']
      const runs = Object.fromEntries(names.map((name) => [name, () => ask(name)]))
      const figures = await inTurn({ ...runs, call: () => calls(path) }, Math.ceil(size.rounds / 2))
      note(figures.describe('all'))
      return [
        figures.result('copying memory', 'copy'),
        figures.result('filling memory', 'fill'),
        figures.result('filling memory that is new', 'fresh'),
        figures.result("the kernel's copy out of the page cache, 1 MiB a call", 'read'),
        figures.result('copying in the caches', 'copy-cached'),
        figures.result('filling in the caches', 'fill-cached'),
        { name: 'a call of fh.read', unit: 'µs', value: 1e-3 / figures.rate('call') },
      ]
    }),
  )
}

/** Reads of one byte each: all that they cost is the call. */
async function calls(path) {
  const file = await open(path)
  const buffer = Buffer.alloc(1)
  for (let i = 0; i < CALLS; i++) await file.read(buffer, 0, 1, 0)
  await file.close()
  return { bytes: CALLS }
}
