// llama.cpp, prebuilt, through node-llama-cpp: fetched into build/test-llama on the first use (85 MB). It is no dependency
// of the package: only scripts that ask llama.cpp itself need it, and none of its install scripts is run.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const VERSION = '3.22.1'
const PREBUILT = { 'linux-x64': 'linux-x64', 'linux-arm64': 'linux-arm64' }

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const INSTALL = join(ROOT, 'build', 'test-llama')

/** What is wrong with the model, the machine or llama.cpp, not with the script. */
export class Failure extends Error {}

export function ensure(condition, message) {
  if (!condition) throw new Failure(message)
}

function dependencies() {
  const machine = `${process.platform}-${process.arch}`
  const prebuilt = PREBUILT[machine]
  ensure(prebuilt, `llama.cpp is fetched for ${Object.keys(PREBUILT).join(' and ')}; this machine is ${machine}`)
  return { 'node-llama-cpp': VERSION, [`@node-llama-cpp/${prebuilt}`]: VERSION }
}

/** npm writes its hidden lockfile last, so the versions it names are there in full. */
function isInstalled(wanted) {
  try {
    const { packages } = JSON.parse(readFileSync(join(INSTALL, 'node_modules', '.package-lock.json'), 'utf8'))
    return Object.entries(wanted).every(([name, version]) => packages[`node_modules/${name}`]?.version === version)
  } catch {
    return false
  }
}

function install(wanted) {
  if (isInstalled(wanted)) return
  console.log(`Fetching node-llama-cpp ${VERSION} into ${relative(ROOT, INSTALL)} ...`)
  mkdirSync(INSTALL, { recursive: true })
  writeFileSync(join(INSTALL, 'package.json'), JSON.stringify({ private: true, dependencies: wanted }, null, 2))
  // Without --omit=optional the binaries for every operating system and GPU come along, at 725 MB.
  const flags = ['--ignore-scripts', '--omit=optional', '--no-package-lock', '--no-audit', '--no-fund']
  const { status, error } = spawnSync('npm', ['install', ...flags], { cwd: INSTALL, stdio: ['ignore', 2, 2] })
  ensure(!error, `npm could not be started: ${error?.message}`)
  ensure(status === 0, `npm install in ${INSTALL} ended with ${status}; its messages are above`)
}

/** The package node-llama-cpp, fetched if it is not there. */
export function importLlama() {
  install(dependencies())
  return import(pathToFileURL(join(INSTALL, 'node_modules', 'node-llama-cpp', 'dist', 'index.js')))
}

/** Where the libraries of node-llama-cpp's llama.cpp are, fetched if they are not there. */
export function peerLibraries() {
  install(dependencies())
  const name = PREBUILT[`${process.platform}-${process.arch}`]
  return join(INSTALL, 'node_modules', '@node-llama-cpp', name, 'bins', name)
}

/** Runs a script's main function; a failure is one line, an error of the script's own has its stack. */
export async function run(name, main) {
  try {
    await main()
  } catch (error) {
    console.error(`${name}: ${error instanceof Failure ? error.message : (error.stack ?? error)}`)
    process.exitCode = 1
  }
}
