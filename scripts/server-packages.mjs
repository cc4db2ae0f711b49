// What the example server runs on, and what drives it, from npm: fetched into build/test-server on the first use. It is no dependency
// of the package, and none of its install scripts is run.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The folder whose packages they are; `plimsoll` among them is this checkout. */
export const PLACE = join(ROOT, 'build', 'test-server')

const llama = '3.22.1'
const dependencies = {
  express: '5.3.0',
  fastify: '5.12.8',
  'node-llama-cpp': llama,
  [`@node-llama-cpp/linux-${process.arch}`]: llama,
  openai: '7.59.0',
  ai: '7.0.173',
  '@ai-sdk/openai-compatible': '3.0.92',
  autocannon: '9.0.0',
}

/** Fetches them, if they are not there. */
export function install() {
  const wanted = JSON.stringify({ private: true, type: 'module', dependencies }, null, 2)
  const manifest = join(PLACE, 'package.json')
  const isThere = existsSync(join(PLACE, 'node_modules', 'plimsoll')) && readFileSync(manifest, 'utf8') === wanted
  if (isThere) return
  mkdirSync(PLACE, { recursive: true })
  writeFileSync(manifest, wanted)
  const flags = ['--ignore-scripts', '--omit=optional', '--no-package-lock', '--no-audit', '--no-fund']
  const { status } = spawnSync('npm', ['install', ...flags], { cwd: PLACE, stdio: ['ignore', 2, 2] })
  assert.equal(status, 0, 'npm install failed')
  symlinkSync(ROOT, join(PLACE, 'node_modules', 'plimsoll'))
}
