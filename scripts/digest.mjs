/** What a run of tests proves something of: everything that is under version control, and the addon of this machine. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A digest of it, by contents: tools write some files anew as they were. */
export function digestOf(root) {
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean)
  const digest = createHash('sha256')
  for (const path of [...tracked, `plimsoll.linux-${process.arch}-gnu.node`].filter((path) =>
    existsSync(join(root, path)),
  )) {
    const bytes = readFileSync(join(root, path))
    digest.update(`${path}\0${bytes.length}\0`).update(bytes)
  }
  return digest.digest('hex')
}
