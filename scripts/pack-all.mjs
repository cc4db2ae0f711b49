#!/usr/bin/env node
// Packs what is published: the tarballs of plimsoll and of its package for each platform.
//
//     npm run pack:all                                       builds the addons first
//     node scripts/pack-all.mjs [--addons DIR] [--out DIR]   takes them as they are; build/addons, build/packages
//
// It works on a copy below OUT, so the checkout stays as it is, and OUT changes only when all tarballs are good.
// Nothing here publishes. The copies lose `private`, which keeps `npm publish` from publishing a checkout.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NAPI = join(ROOT, 'node_modules', '.bin', 'napi')
/** By their names in the packages; the last is of tables that the addon carries. */
const LICENCES = {
  'LICENSE-MIT': 'LICENSE-MIT',
  'LICENSE-APACHE': 'LICENSE-APACHE',
  'LICENSE-GGML': 'crates/gguf-dequant/LICENSE-GGML',
}

class Failure extends Error {}

function ensure(condition, message) {
  if (!condition) throw new Failure(message)
}

/** Runs a command and returns what it prints; what it says when it fails becomes the failure's message. */
function run(command, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  ensure(!error, `${command} could not be started: ${error?.message}`)
  ensure(status === 0, `${basename(command)} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`.trimEnd())
  return stdout
}

const readDescription = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/** npm gives provenance only to a package that names the repository it was built from; GitHub Actions knows which. */
function repository({ GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env) {
  return server && name ? { repository: { type: 'git', url: `git+${server}/${name}.git` } } : {}
}

function publishable(folder, additions) {
  const { private: _, ...description } = readDescription(folder)
  const text = JSON.stringify({ ...description, ...repository(), ...additions }, null, 2)
  writeFileSync(join(folder, 'package.json'), `${text}\n`)
}

/** What the entry compares before it loads the file. */
function fingerprint(file) {
  const bytes = readFileSync(file)
  return { addon: { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') } }
}

function checkWritable(folder) {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
  } catch (error) {
    throw new Failure(`expected to write into ${folder}; is the checkout read-only? (${error.code})`)
  }
}

function checkInput(platforms, addons) {
  const { version } = readDescription(ROOT)
  for (const platform of platforms) {
    const found = readDescription(join(ROOT, 'npm', platform)).version
    const mend = '`npm version` sets all of them'
    ensure(found === version, `expected version ${version} in npm/${platform}/package.json, found ${found}; ${mend}`)
    const addon = join(addons, `plimsoll.${platform}.node`)
    ensure(existsSync(addon), `expected ${relative(ROOT, addon)}, found no file; \`npm run pack:all\` builds it`)
    process.stdout.write(run('bash', ['scripts/check-addon.sh', relative(ROOT, addon)], ROOT))
  }
}

/** Copies what the packages are made of, and turns the copies into what is published. */
function stage(folder, platforms, addons) {
  const { files, main, bin } = readDescription(ROOT)
  for (const name of ['package.json', 'README.md', 'npm', ...files, main, ...Object.values(bin)]) {
    ensure(
      existsSync(join(ROOT, name)),
      `expected ${name}, found no such file; \`npm run build\` makes what is generated`,
    )
    cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  }
  run(NAPI, ['artifacts', '--output-dir', relative(folder, addons)], folder)
  publishable(folder)
  for (const platform of platforms) {
    const home = join(folder, 'npm', platform)
    for (const [name, path] of Object.entries(LICENCES)) cpSync(join(ROOT, path), join(home, name))
    publishable(home, fingerprint(join(home, `plimsoll.${platform}.node`)))
  }
  // Of the three things the command can do, only the exact optionalDependencies are wanted: no publishing, no release.
  run(NAPI, ['pre-publish', '--tag-style', 'npm', '--skip-optional-publish', '--no-gh-release'], folder)
}

function pack(folder, destination) {
  const printed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', destination], folder)
  return Object.values(JSON.parse(printed))[0]
}

function checkContents({ name, files }, description) {
  const addons = files.filter(({ path }) => path.endsWith('.node'))
  const expected = description.addon ? 1 : 0
  ensure(addons.length === expected, `expected ${expected} addons in ${name}, found ${addons.length}`)
}

function packAll(addons, out) {
  const platforms = readdirSync(join(ROOT, 'npm')).sort()
  checkWritable(dirname(out))
  checkInput(platforms, addons)
  const work = `${out}.partial`
  const [staged, packed] = [join(work, 'stage'), join(work, 'packages')]
  // A pack that was interrupted may have left it.
  rmSync(work, { recursive: true, force: true })
  try {
    for (const folder of [staged, packed]) mkdirSync(folder, { recursive: true })
    stage(staged, platforms, addons)
    for (const folder of [...platforms.map((platform) => join(staged, 'npm', platform)), staged]) {
      const tarball = pack(folder, packed)
      checkContents(tarball, readDescription(folder))
      const { filename, size, unpackedSize } = tarball
      console.log(`${join(relative(ROOT, out), filename)}: ${size} bytes, ${unpackedSize} unpacked`)
    }
    rmSync(out, { recursive: true, force: true })
    renameSync(packed, out)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

try {
  const { values } = parseArgs({ options: { addons: { type: 'string' }, out: { type: 'string' } } })
  packAll(resolve(values.addons ?? join(ROOT, 'build/addons')), resolve(values.out ?? join(ROOT, 'build/packages')))
} catch (error) {
  console.error(`pack-all: ${error instanceof Failure || error.code ? error.message : error.stack}`)
  process.exitCode = 1
}
