import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { root, runNode } from './child'

const { glibcVersionRuntime } = (process.report.getReport() as unknown as { header: Record<string, string> }).header

/** The platform that the tests run on, as files and packages name it. */
export const platform = `linux-${process.arch}-${glibcVersionRuntime ? 'gnu' : 'musl'}`

/** The addon of the checkout, whole. */
export const addon = readFileSync(resolve(root, `plimsoll.${platform}.node`))

export const { version } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')) as { version: string }

/** What loading the package came to: what it says of the addon, or its error's own properties. */
export interface Outcome {
  loaded?: Record<string, unknown>
  error?: Record<string, unknown> & { message: string }
}

const script = (entry: string): string => `
  const { writeSync } = require('node:fs')
  try {
    writeSync(1, JSON.stringify({ loaded: require(${JSON.stringify(entry)}).loadedAddon() }))
  } catch (error) {
    const { name, message, cause } = error
    writeSync(1, JSON.stringify({ error: { ...error, name, message, cause: cause?.message } }))
  }`

/** The package as npm installs it into a project, in a folder of its own. */
export class Installation {
  readonly project = mkdtempSync(join(tmpdir(), 'plimsoll-installed-'))
  readonly package = this.path('node_modules/plimsoll')

  constructor() {
    mkdirSync(this.package, { recursive: true })
    for (const name of ['dist', 'package.json'])
      cpSync(resolve(root, name), join(this.package, name), { recursive: true })
  }

  /** A path in the project. */
  path(name: string): string {
    return join(this.project, name)
  }

  write(name: string, content: string | Buffer): string {
    const path = this.path(name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    return path
  }

  /** Adds a platform package that holds these bytes, and states the size and the checksum of the whole addon. */
  addPackage(bytes: Buffer = addon, description: object = {}, name = `plimsoll-${platform}`): string {
    const main = `plimsoll.${name.slice('plimsoll-'.length)}.node`
    const sha256 = createHash('sha256').update(addon).digest('hex')
    const stated = { name, version, main, addon: { sizeBytes: addon.length, sha256 }, ...description }
    this.write(`node_modules/${name}/package.json`, JSON.stringify(stated))
    return this.write(`node_modules/${name}/${main}`, bytes)
  }

  /** Puts a file where a checkout has what it has built. */
  addBuilt(bytes: Buffer = addon, name = platform): string {
    return this.write(`node_modules/plimsoll/plimsoll.${name}.node`, bytes)
  }

  /** Loads the package in a process of its own, which must end by itself, whatever it finds. */
  load({ env = {}, preload }: { env?: Record<string, string>; preload?: string } = {}): Outcome {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    const flags = preload === undefined ? [] : ['--require', this.write('preload.js', preload)]
    const { status, signal, stdout, stderr } = runNode(['-e', script(this.package)], {
      through: ['env', ...variables],
      flags,
    })
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' })
    return JSON.parse(stdout) as Outcome
  }

  /** Runs the command line. */
  run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const { status, stdout, stderr } = runNode([join(this.package, 'dist/cli.js'), ...args])
    return { status, stdout, stderr }
  }

  remove(): void {
    rmSync(this.project, { recursive: true })
  }
}
