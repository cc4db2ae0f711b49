import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { environment } from '../support/environment.js'
import type { AddonUnavailableReason } from '../support/errors.js'
import { ELF_HEADER_BYTES, elfFault } from './elf.js'
import { addonUnavailable } from './unavailable.js'

/** A file that should be the addon. */
export interface AddonFile {
  path: string
  /** What the package that it came in states about it; absent for a file that was built here. */
  stated?: { sizeBytes?: number; sha256?: string }
  /** What to do when it is unfit. */
  remedy: string
}

/** Whether the environment asks for the checksum. */
export function sha256Asked(): boolean {
  const asked = environment('PLIMSOLL_VERIFY_ADDON')
  if (!asked || asked === 'sha256') return asked === 'sha256'
  throw addonUnavailable('invalid-setting', `expected PLIMSOLL_VERIFY_ADDON to be "sha256" or unset, got "${asked}"`)
}

/** Checks all that can be checked without loading the file. Returns its size in bytes. */
export function checkAddonFile(file: AddonFile, verifySha256: boolean): number {
  const { header, sizeBytes } = readHeader(file)
  checkSize(file, sizeBytes)
  if (verifySha256) checkSha256(file)
  const fault = elfFault(header, sizeBytes)
  if (fault !== undefined) throw refusal(file, 'not-an-addon', `expected ${file.path} to be the addon, but ${fault}`)
  return sizeBytes
}

function refusal(file: AddonFile, reason: AddonUnavailableReason, message: string, cause?: unknown): Error {
  return addonUnavailable(reason, `${message}; ${file.remedy}`, { path: file.path, cause })
}

function readHeader(file: AddonFile): { header: DataView; sizeBytes: number } {
  return reading(file, () => {
    const stats = statSync(file.path)
    // Opening a pipe would wait for its writer.
    if (!stats.isFile()) throw new Error('it is no regular file')
    const descriptor = openSync(file.path, 'r')
    try {
      const header = new DataView(new ArrayBuffer(ELF_HEADER_BYTES))
      const length = readSync(descriptor, header)
      return { header: new DataView(header.buffer, 0, length), sizeBytes: stats.size }
    } finally {
      closeSync(descriptor)
    }
  })
}

function reading<T>(file: AddonFile, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw refusal(file, 'unreadable', `expected to read ${file.path}, but ${(cause as Error).message}`, cause)
  }
}

function checkSize(file: AddonFile, sizeBytes: number): void {
  const { path, stated } = file
  if (!stated || stated.sizeBytes === sizeBytes) return
  const expected = stated.sizeBytes ?? 'stated by its package'
  const message = `expected the size of ${path} in bytes to be ${expected}, got ${sizeBytes}`
  throw refusal(file, 'size-mismatch', message)
}

function checkSha256(file: AddonFile): void {
  const { path, stated } = file
  if (!stated) {
    const message = `expected a package to state the SHA-256 of ${path}, but it was built here; unset PLIMSOLL_VERIFY_ADDON`
    throw addonUnavailable('invalid-setting', message, { path })
  }
  const sha256 = reading(file, () => sha256Of(path))
  if (sha256 === stated.sha256) return
  const expected = stated.sha256 ?? 'stated by its package'
  throw refusal(file, 'checksum-mismatch', `expected the SHA-256 of ${path} to be ${expected}, got ${sha256}`)
}

function sha256Of(path: string): string {
  // Loaded here because it takes longer than all other checks together.
  const { createHash } = require('node:crypto') as typeof import('node:crypto')
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
