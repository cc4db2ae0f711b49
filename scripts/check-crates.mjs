// What may be linked into the addon: crates of crates.io under these licences, and none that starts threads of its own.
//
//     node scripts/check-crates.mjs

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import satisfies from 'spdx-satisfies'

const root = fileURLToPath(new URL('..', import.meta.url))
const { targets } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')).napi
const licences = ['MIT', 'Apache-2.0', 'Unicode-3.0', 'ISC', 'Zlib']
const registry = 'registry+https://github.com/rust-lang/crates.io-index'
/** No asynchronous runtime: the addon starts no thread until asked. */
const banned = ['tokio']

const platforms = targets.flatMap((target) => ['--filter-platform', target])
const metadata = JSON.parse(
  execFileSync('cargo', ['metadata', '--format-version', '1', '--locked', ...platforms], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  }),
)
const used = new Set(metadata.resolve.nodes.map(({ id }) => id))
const packages = metadata.packages.filter(({ id }) => used.has(id))

/** Old crates write a choice with a slash. */
const isAllowed = (licence) => {
  try {
    return satisfies((licence ?? '').replaceAll('/', ' OR '), licences)
  } catch {
    return false
  }
}

const faults = packages.flatMap(({ name, version, license, source, dependencies }) => [
  ...(isAllowed(license) ? [] : [`${name} ${version}: expected a licence of ${licences.join(', ')}, found ${license}`]),
  ...(source === null || source === registry
    ? []
    : [`${name} ${version}: expected crates.io or this workspace, found ${source}`]),
  ...(banned.includes(name) ? [`${name} ${version}: expected no asynchronous runtime`] : []),
  ...dependencies
    .filter(({ req, path }) => source === null && req === '*' && path === undefined)
    .map((dependency) => `${name}: expected a version of ${dependency.name}, found "*"`),
])
for (const fault of faults) console.error(fault)
if (packages.length < 20) throw new Error(`expected the crates of the workspace, found ${packages.length}`)
console.log(`${packages.length} crates: ${faults.length} faults`)
process.exitCode = faults.length > 0 ? 1 : 0
