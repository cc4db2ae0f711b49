/** Builds the package if it has not been built here. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const addon = `plimsoll.${process.platform}-${process.arch}-`
const hasAddon = readdirSync(root).some((name) => name.startsWith(addon) && name.endsWith('.node'))
const hasBundles = ['index', 'report', 'cli'].every((name) => existsSync(`${root}/dist/${name}.js`))
if (!hasAddon || !hasBundles) {
  const { status } = spawnSync('npm', ['run', 'build'], { cwd: root, stdio: ['ignore', 2, 2] })
  process.exit(status ?? 1)
}
