#!/usr/bin/env node
// Installs the tarballs as a user does, from a registry into an empty project, and uses them.
//
//     npm run test:install                                          packs them first
//     node scripts/test-install.mjs [--packages DIR] [--platform NAME]   takes them as they are, from build/packages
//
// NAME is one of the folders in npm/; by default the test runs for each that runs here, those for arm64 under qemu's user-mode
// emulation, and those for musl with a Node.js that is linked against it.
//
// The registry is verdaccio, on loopback and in this process; other packages it takes from the registry that npm is
// configured with. The tools are fetched once into build/test-install, all else lies in a temporary folder that goes at
// the end.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isEmulated, nodeFolder, runnablePlatforms } from './install-test/machine.mjs'
import { Project } from './install-test/project.mjs'
import { startRegistry } from './install-test/registry.mjs'
import { ensure, Failure, run } from './install-test/run.mjs'
import { checkTypes, installTools, lintPackage } from './install-test/tools.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TOOLS = join(ROOT, 'build', 'test-install')

function checkComplete(packages) {
  const found = existsSync(packages)
    ? readdirSync(packages).filter((name) => name.endsWith('.tgz')).length
    : 'no folder'
  const expected = readdirSync(join(ROOT, 'npm')).length + 1
  ensure(
    found === expected,
    `expected ${expected} tarballs in ${packages}, found ${found}; npm run pack:all makes them`,
  )
}

async function lint(packages) {
  const tarballs = readdirSync(packages).map((name) => join(packages, name))
  for (const tarball of tarballs) await lintPackage(TOOLS, tarball)
  const entry = tarballs.find((tarball) => /^plimsoll-\d/.test(basename(tarball)))
  await checkTypes(TOOLS, entry)
  console.log('publint and attw find nothing')
}

/** Twice, as after a failure half-way: the second time there is nothing to do. */
async function publish(packages, publisher) {
  const script = join(ROOT, 'scripts', 'publish-packages.sh')
  await publisher.run('bash', script, packages)
  const again = await publisher.run('bash', script, packages)
  const left = again.split('\n').filter((line) => line.endsWith('is published already')).length
  ensure(left === readdirSync(packages).length, `expected nothing to be published twice, found\n${again}`)
}

/** The same versions as this project is built with. */
function companions() {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return ['typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`)
}

async function testInstall(where) {
  const project = new Project(where)
  await project.install('plimsoll', ...companions())
  await project.checkInstalled()
  console.log(`${project.platform}: npm installs its package only, and npm ls is clean`)
  await project.checkPrograms()
  console.log(`${project.platform}: strict TypeScript runs as an ES module and as CommonJS`)
}

/** The way of the README while no registry has the packages. */
async function testTarballs(where, packages) {
  const project = new Project(where)
  const names = readdirSync(packages).filter((name) => name.includes(project.platform) || /^plimsoll-\d/.test(name))
  await project.install(...names.map((name) => join(packages, name)))
  await project.doctor()
  console.log(`${project.platform}: the tarballs alone install, where no registry has them`)
}

/** With a cold cache of npm. The registry has all packages by now. */
async function timeToDoctor(where) {
  const project = new Project(where)
  const start = performance.now()
  await project.install('plimsoll')
  await project.doctor()
  return (performance.now() - start) / 1000
}

async function testPlatform(where) {
  await testInstall(where)
  // What it takes under emulation says nothing of a board.
  if (isEmulated(where.platform)) return
  const seconds = []
  for (let i = 0; i < 3; i += 1) seconds.push(await timeToDoctor(where))
  const median = seconds.sort((a, b) => a - b)[1].toFixed(1)
  console.log(`${where.platform}: ${median} s from npm install to the first doctor (median of 3)`)
}

async function testIn(scratch, packages, only) {
  checkComplete(packages)
  const platforms = runnablePlatforms()
  ensure(!only || platforms.includes(only), `expected one of ${platforms.join(', ')} to run here, got ${only}`)
  const machines = []
  for (const platform of only ? [only] : platforms) {
    machines.push({ scratch, platform, nodeFolder: await nodeFolder(platform, scratch) })
  }
  await installTools(TOOLS)
  await lint(packages)
  const registry = await startRegistry({
    tools: TOOLS,
    folder: mkdtempSync(join(scratch, 'registry-')),
    uplink: (await run('npm', ['config', 'get', 'registry'])).trim(),
  })
  try {
    await testTarballs({ ...machines[0], registry: registry.host }, packages)
    await publish(packages, new Project({ ...machines[0], registry: registry.host }))
    for (const machine of machines) await testPlatform({ ...machine, registry: registry.host })
  } finally {
    registry.close()
  }
}

async function main() {
  const { values } = parseArgs({ options: { packages: { type: 'string' }, platform: { type: 'string' } } })
  const packages = resolve(values.packages ?? join(ROOT, 'build', 'packages'))
  const scratch = mkdtempSync(join(tmpdir(), 'plimsoll-install-'))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 }))
  await testIn(scratch, packages, values.platform)
}

try {
  await main()
} catch (error) {
  console.error(`test-install: ${error instanceof Failure || error.code ? error.message : error.stack}`)
  process.exitCode = 1
}
