import { promises } from 'node:fs'

/** Writes a file that appears whole or not at all: beside it, and then takes its place. */
export async function replaceFile(path: string, text: string): Promise<void> {
  // Asked for when it is needed: loading the package does not wait for it.
  const { randomUUID } = require('node:crypto') as typeof import('node:crypto')
  const beside = `${path}.${randomUUID()}.tmp`
  try {
    const file = await promises.open(beside, 'wx')
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await promises.rename(beside, path)
  } catch (error) {
    await promises.rm(beside, { force: true })
    throw error
  }
}
