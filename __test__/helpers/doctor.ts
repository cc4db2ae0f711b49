import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runNode } from './child'
import { jetson, writeTree } from './tree'

/** The verb, as people and as programs read it. */
export const doctor = (...args: string[]) => runNode(['dist/cli.js', 'doctor', ...args], { timeoutMs: 20_000 })
export const document = (...args: string[]) => JSON.parse(doctor('--json', ...args).stdout)

/** Folders for the trees of one test file; gone when its tests are done. */
export function trees() {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  /** A folder that no other test has. */
  let folders = 0
  const newFolder = (): string => {
    folders += 1
    const made = join(folder, String(folders))
    mkdirSync(made)
    return made
  }
  const tree = (files: Readonly<Record<string, string>>): string => writeTree(newFolder(), files)
  return { folder, newFolder, tree }
}

/** The same files without some of them, and others in their place. */
export const without = (paths: RegExp, others: Readonly<Record<string, string>> = {}) => ({
  ...Object.fromEntries(Object.entries(jetson).filter(([path]) => !paths.test(path))),
  ...others,
})

export const codes = (found: { warnings: { code: string }[] }) => found.warnings.map(({ code }) => code)
