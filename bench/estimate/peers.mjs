import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { importLlama } from '../../scripts/llama-cpp.mjs'

/** Peers in JavaScript without a dependency on llama.cpp; which of them is measured is part of the figures. */
const PINNED = { fitllm: '2.18.0', '@huggingface/gguf': '0.4.6' }

const FOLDER = fileURLToPath(new URL('../../build/bench-estimate', import.meta.url))

/** Where a file of a peer lies, fetched on the first use. */
function pathOf(name, file) {
  return join(FOLDER, 'node_modules', name, file)
}

function installedVersion(name) {
  try {
    return JSON.parse(readFileSync(pathOf(name, 'package.json'), 'utf8')).version
  } catch {
    return undefined
  }
}

function install() {
  if (Object.entries(PINNED).every(([name, version]) => installedVersion(name) === version)) return
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'package.json'), JSON.stringify({ private: true, dependencies: PINNED }))
  const flags = ['--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund']
  execFileSync('npm', ['install', ...flags], { cwd: FOLDER, stdio: ['ignore', 2, 2] })
}

/**
 * All peers, fetched into `build/` where they are not there.
 *
 * @returns {Promise<{ fitllm: any, ggufView: string, llamaCpp: any, versions: Record<string, string> }>} `ggufView` is the
 *   path of the command of `@huggingface/gguf`
 */
export async function importPeers() {
  install()
  const llamaCpp = await importLlama()
  const fitllm = await import(pathToFileURL(pathOf('fitllm', 'engine.js')))
  const versions = { 'node-llama-cpp': await llamaCpp.getModuleVersion(), ...PINNED }
  return { fitllm, ggufView: pathOf('@huggingface/gguf', 'dist/cli.mjs'), llamaCpp, versions }
}
