// What the tests of the example server are made with: the server as it is compiled beside the packages that it needs.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { PLACE } from '../server-packages.mjs'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const SAMPLE = join(ROOT, 'examples', 'models', 'plimsoll-sample-llama.gguf')
const EXAMPLE = join(ROOT, 'examples', 'inference-server')

/** Compiles the example beside what it needs. */
export function build() {
  spawnSync('cp', ['-r', join(EXAMPLE, 'src'), join(EXAMPLE, 'tsconfig.json'), PLACE])
  const types = ['--typeRoots', join(ROOT, 'node_modules', '@types')]
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '--project', PLACE, ...types], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
}

/** A module of the example, as it was compiled. */
export const part = (name) => import(pathToFileURL(join(PLACE, 'build', `${name}.js`)))

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export const load = (name) => {
  const require = createRequire(join(PLACE, 'package.json'))
  return import(pathToFileURL(require.resolve(name)))
}

/** A server, until it is stopped. */
export async function start(...args) {
  const child = spawn(process.execPath, [join(PLACE, 'build', 'server.js'), '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text
  })
  const url = await new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      const found = /listening on (\S+)/.exec(output)
      if (found) resolve(found[1])
    })
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${errors}`)))
  })
  return {
    url,
    pid: child.pid,
    rssBytes: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) * 1024,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal, errors })))
      child.kill('SIGTERM')
      return ended
    },
  }
}
