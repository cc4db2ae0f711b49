import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MiB } from 'plimsoll'
import { makeLargeModel } from '../scripts/make-large-model.mjs'

/**
 * Makes a model of that size in the folder for temporary files, runs `use` with its path, and removes it, at the latest
 * when the process exits.
 *
 * @template T
 * @param {number} sizeBytes
 * @param {(path: string, sizeBytes: number) => Promise<T>} use told the size the file really has
 * @returns {Promise<T>}
 */
export async function withModel(sizeBytes, use) {
  const make = (path) => makeLargeModel(path, { sizeBytes })
  return withFile(sizeBytes, make, (path, model) => use(path, model.sizeBytes))
}

/**
 * The same with a file that `make` writes.
 *
 * @template Made, T
 * @param {number} sizeBytes about as large as it will be
 * @param {(path: string) => Promise<Made>} make
 * @param {(path: string, made: Made) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withFile(sizeBytes, make, use) {
  expectRoom(sizeBytes)
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  try {
    const path = join(folder, 'model.gguf')
    const made = await make(path)
    await settle(path)
    return await use(path, made)
  } finally {
    process.off('exit', remove)
    remove()
  }
}

function expectRoom(sizeBytes) {
  const { bavail, bsize } = statfsSync(tmpdir())
  if (bavail * bsize < sizeBytes + 64 * MiB) {
    throw new Error(`expected room for ${sizeBytes / MiB} MiB in ${tmpdir()}, where ${(bavail * bsize) / MiB} are free`)
  }
}

/** Waits until the file is on disk: else the kernel writes it back while it is being read. */
async function settle(path) {
  const file = await open(path)
  await file.sync()
  await file.close()
}
