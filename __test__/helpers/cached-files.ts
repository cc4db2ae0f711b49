import { closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The magics of tmpfs and ramfs, as `statfs(2)` has them. */
const inMemory = [0x01021994, 0x858458f6]

/** Whether temporary files lie on a disk, so that their pages are a cache. */
export const isOnDisk = ['/tmp', tmpdir()].every((folder) => !inMemory.includes(statfsSync(folder).type))

/** Writes a file, waits until it is on the disk, and reads it, so that all of it is cached. */
export function writtenToDisk(path: string, sizeBytes: number, start = ''): string {
  const file = openSync(path, 'w')
  const bytes = Buffer.alloc(sizeBytes, 'weights ')
  bytes.write(start)
  writeSync(file, bytes)
  fsyncSync(file)
  closeSync(file)
  readFileSync(path)
  return path
}

/** For the script of a child: it goes on as a user who may do nothing special. */
export const asOrdinaryUser = `
  const fs = require('node:fs')
  if (process.getuid() === 0) {
    process.setgroups([])
    process.setgid(65534)
    process.setuid(65534)
  }
`

/** A folder for each test, gone after it. */
export function folderForTest() {
  const path = mkdtempSync(join(tmpdir(), 'plimsoll-cache-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
