/**
 * What npm runs after `npm install` in a checkout, and before it packs one: builds the JavaScript, which takes no Rust. An install
 * without the tools for it (`npm install --omit=dev`) stays possible; it has nothing to run.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const missing = ['typescript', 'rollup'].filter((name) => !existsSync(`${root}/node_modules/${name}`))
if (missing.length > 0) {
  console.log(`prepare: dist/ is not built without ${missing.join(' and ')}; npm install --include=dev brings them`)
} else {
  const { status } = spawnSync('npm', ['run', '--silent', 'build:lib'], { cwd: root, stdio: ['ignore', 2, 2] })
  process.exit(status ?? 1)
}
