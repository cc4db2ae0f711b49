import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The path of a script under `children/`, each a program of its own so that its figures are those of one process. */
export function childPath(name) {
  return fileURLToPath(new URL(`children/${name}`, import.meta.url))
}

/**
 * Runs a script under `children/` in a process of its own.
 *
 * @param {string} name file name
 * @param {string[]} [args] arguments for the script
 * @param {string[]} [flags] flags for Node
 * @returns {any} what it printed, as JSON
 */
export function runChild(name, args = [], flags = []) {
  const stdout = execFileSync(process.execPath, [...flags, childPath(name), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return JSON.parse(stdout)
}
