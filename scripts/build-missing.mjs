/** Builds the package if it has not been built here. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const library = process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'
const hasAddon = existsSync(`${root}/plimsoll.${process.platform}-${process.arch}-${library}.node`)
const hasBundles = ['index', 'report', 'http', 'metrics', 'dashboard', 'node-llama-cpp', 'cli'].every((name) =>
  existsSync(`${root}/dist/${name}.js`),
)
if (!hasAddon || !hasBundles) {
  const { status } = spawnSync('npm', ['run', 'build'], { cwd: root, stdio: ['ignore', 2, 2] })
  process.exit(status ?? 1)
}
