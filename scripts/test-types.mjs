// Compiles a strict program against the package's types, without skipLibCheck, by each TypeScript that is supported.
//
//     npm run test:types [-- VERSION...]
//
// The compilers are fetched once into build/test-types.

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'build/test-types')
const supported = ['5.2', '5.4', '5.6', '5.7', '5.9', '6.0']
const asked = process.argv.slice(2)
const versions = asked.length > 0 ? asked : supported

const aliasOf = (version) => `typescript-${version}`
const wanted = JSON.stringify({
  private: true,
  dependencies: {
    '@types/node': '^20',
    ...Object.fromEntries(versions.map((version) => [aliasOf(version), `npm:typescript@~${version}.0`])),
  },
})

function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' })
  return { status, output: `${stdout}${stderr}` }
}

function fetchCompilers() {
  const description = join(folder, 'package.json')
  const isThere = existsSync(description) && readFileSync(description, 'utf8') === wanted
  if (isThere && versions.every((version) => existsSync(join(folder, 'node_modules', aliasOf(version))))) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(description, wanted)
  const { status, output } = run('npm', ['install', '--no-audit', '--no-fund', '--silent'])
  if (status !== 0) throw new Error(`expected npm to fetch the compilers, got:\n${output}`)
}

/** The types of the package as they are here. */
function install() {
  const installed = join(folder, 'node_modules/plimsoll')
  rmSync(installed, { recursive: true, force: true })
  mkdirSync(installed, { recursive: true })
  for (const name of [
    'package.json',
    'index.d.ts',
    'report.d.ts',
    'http.d.ts',
    'metrics.d.ts',
    'dashboard.d.ts',
    'node-llama-cpp.d.ts',
  ])
    cpSync(join(root, name), join(installed, name))
  for (const name of ['program.ts', 'handed-out.ts']) cpSync(join(root, 'scripts/test-types', name), join(folder, name))
}

const isAtLeast = (version, least) => version.localeCompare(least, 'en', { numeric: true }) >= 0

/** Both ways in which a program finds the package's types, the second by the newest compiler alone. */
const resolutionsFor = (version) => [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  ...(version === versions.at(-1) ? [{ module: 'esnext', moduleResolution: 'bundler' }] : []),
]

function compile(version) {
  const files = isAtLeast(version, '5.7') ? ['program.ts', 'handed-out.ts'] : ['program.ts']
  for (const resolution of resolutionsFor(version)) {
    const compilerOptions = {
      ...resolution,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
      target: 'es2022',
      lib: ['es2022', 'esnext.disposable', ...(files.length > 1 ? ['dom'] : [])],
      types: ['node'],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
    const { status, output } = run(process.execPath, [`node_modules/${aliasOf(version)}/bin/tsc`, '-p', '.'])
    console.log(
      `TypeScript ${version}, ${resolution.moduleResolution}: ${status === 0 ? 'compiles' : `fails\n${output}`}`,
    )
    if (status !== 0) process.exitCode = 1
  }
}

fetchCompilers()
install()
for (const version of versions) compile(version)
