import { cpSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ensure, run } from './run.mjs'

const ROOT = join(import.meta.dirname, '..', '..')
const PROGRAMS = join(import.meta.dirname, 'programs')
const SAMPLE = join(ROOT, 'examples', 'models', 'plimsoll-sample-llama.gguf')

/** What the npm that started this script has set for its own scripts says nothing of a user's shell. */
const ownEnvironment = () => Object.entries(process.env).filter(([name]) => !/^(npm_|PLIMSOLL_)/i.test(name))

/** A user's empty project, with a home folder and an npm cache of its own. */
export class Project {
  constructor({ scratch, platform, nodeFolder, registry }) {
    this.platform = platform
    this.home = mkdtempSync(join(scratch, 'home-'))
    this.folder = join(this.home, 'project')
    mkdirSync(this.folder)
    writeFileSync(join(this.folder, 'package.json'), '{ "private": true }\n')
    // npm sends no package to a registry without a token; this one takes any.
    // Of the C library it asks the system's `ldd` first, which knows nothing of a Node.js for another one.
    const libc = platform.endsWith('-musl') ? 'musl' : 'glibc'
    writeFileSync(
      join(this.home, '.npmrc'),
      `registry=http://${registry}/\n//${registry}/:_authToken=any\nnoproxy=127.0.0.1\nlibc=${libc}\n`,
    )
    this.environment = {
      ...Object.fromEntries(ownEnvironment()),
      HOME: this.home,
      PATH: `${nodeFolder}${delimiter}${process.env.PATH}`,
    }
  }

  run(command, ...args) {
    return run(command, args, { cwd: this.folder, env: this.environment })
  }

  install(...packages) {
    return this.run('npm', 'install', ...packages)
  }

  async checkInstalled() {
    const installed = readdirSync(join(this.folder, 'node_modules')).filter((name) => name.startsWith('plimsoll'))
    const expected = ['plimsoll', `plimsoll-${this.platform}`]
    ensure(
      installed.sort().join() === expected.join(),
      `expected ${expected.join(' and ')} to be installed, found ${installed}`,
    )
    await this.run('npm', 'ls', '--all')
  }

  /** Compiles the programs as strictly as TypeScript can, and runs them. */
  async checkPrograms() {
    cpSync(PROGRAMS, this.folder, { recursive: true })
    cpSync(SAMPLE, join(this.folder, 'model.gguf'))
    await this.run('npx', 'tsc', '--project', '.')
    for (const program of ['module.mjs', 'required.cjs']) await this.run('node', join('built', program))
  }

  /** The file that was loaded, as the command line tells it. */
  async doctor() {
    const { addon, architecture } = JSON.parse(await this.run('npx', 'plimsoll', 'doctor', '--json'))
    const expected = join(this.folder, 'node_modules', `plimsoll-${this.platform}`, `plimsoll.${this.platform}.node`)
    ensure(addon?.path === expected, `doctor names ${addon?.path} as the addon, expected ${expected}`)
    ensure(this.platform.includes(architecture), `doctor runs on ${architecture}, expected ${this.platform}`)
  }
}
