/** Builds the package if it has not been built here. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const hasAddon = readdirSync(root).some((name) => /^plimsoll\..*\.node$/.test(name))
if (!hasAddon || !existsSync(`${root}/index.js`)) {
  const { status } = spawnSync('npm', ['run', 'build'], { cwd: root, stdio: ['ignore', 2, 2] })
  process.exit(status ?? 1)
}
