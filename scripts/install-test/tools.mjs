import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ensure, run } from './run.mjs'

/** The tools of the install test. Nothing else needs them, so they are fetched here and are no dependencies. */
const DESCRIPTION = {
  private: true,
  dependencies: {
    '@arethetypeswrong/cli': '0.18.5',
    publint: '0.3.25',
    // Newer ones need a newer Node.js than 20.
    verdaccio: '6.8.0',
  },
  // verdaccio asks for it by a tag, which not every registry mirrors.
  overrides: { 'node-fetch': '2.7.0' },
}

/** npm writes its hidden lockfile last. */
function isInstalled(folder, description) {
  if (!existsSync(join(folder, 'node_modules', '.package-lock.json'))) return false
  return readFileSync(join(folder, 'package.json'), 'utf8') === description
}

/** Installs the tools into a folder, unless they are there. */
export async function installTools(folder) {
  const description = JSON.stringify(DESCRIPTION, null, 2)
  if (isInstalled(folder, description)) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), description)
  const flags = ['--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund']
  await run('npm', ['install', ...flags], { cwd: folder })
}

/** verdaccio's server, to be told where to listen. */
export async function registryServer(folder, configuration) {
  const { runServer } = createRequire(join(folder, 'package.json'))('verdaccio')
  return runServer(configuration)
}

/** publint on any tarball. Its suggestions count too. */
export async function lintPackage(folder, tarball) {
  const load = (path) => import(pathToFileURL(join(folder, 'node_modules', 'publint', 'src', path)))
  const [{ publint }, { formatMessage }] = await Promise.all([load('index-node.js'), load('utils.js')])
  const { messages, pkg } = await publint({ pack: { tarball: readFileSync(tarball) } })
  const found = messages.map((message) => `\n  ${message.type}: ${formatMessage(message, pkg, { color: false })}`)
  ensure(found.length === 0, `publint expected nothing to say about ${tarball}, found${found.join('')}`)
}

/** Are the types wrong? Asked of every way to import the package; a schema has none. */
export async function checkTypes(folder, tarball) {
  await run(join(folder, 'node_modules', '.bin', 'attw'), [
    tarball,
    '--no-color',
    '--no-emoji',
    '--exclude-entrypoints',
    './plan.schema.json',
  ])
}
