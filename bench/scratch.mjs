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
  expectRoom(sizeBytes)
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  try {
    const model = await makeLargeModel(join(folder, 'model.gguf'), { sizeBytes })
    await settle(model.path)
    return await use(model.path, model.sizeBytes)
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
