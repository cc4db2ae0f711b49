import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import { loadedAddon } from 'plimsoll'
import { root, runNode } from './helpers/child'
import { typeCheck } from './helpers/consumer'
import { addon, Installation, platform, version } from './helpers/installation'

const supported = ['linux-x64-gnu', 'linux-arm64-gnu', 'linux-x64-musl', 'linux-arm64-musl']
const otherPlatform = supported.find((name) => !name.includes(process.arch)) as string

/** Only the tests of glibc's versions need it. */
const onGlibc = platform.endsWith('-gnu') ? test : test.skip

let installation: Installation
beforeEach(() => {
  installation = new Installation()
})
afterEach(() => installation.remove())

/** Preloaded, it makes Node.js say that it runs elsewhere. */
const pretend = (values: { platform?: string; arch?: string }): string =>
  Object.entries(values)
    .map(([key, value]) => `Object.defineProperty(process, '${key}', { value: '${value}' })`)
    .join('\n')

/** Preloaded, it shows these files as mapped, and those as what a report tells, in place of the C library of the system. */
const pretendMapped = (mapped: string[], reported: string[] = []): string => `
  const fs = require('node:fs')
  const { readFileSync } = fs
  const maps = ${JSON.stringify(mapped.map((path) => `7f0000000000-7f0000001000 r-xp 00000000 00:1f 42 ${path}\n`).join(''))}
  fs.readFileSync = (path, ...rest) => (path === '/proc/self/maps' ? maps : readFileSync(path, ...rest))
  process.report.getReport = () => ({ header: {}, sharedObjects: ${JSON.stringify(reported)} })`

const pretendMusl = pretendMapped(['/usr/bin/node', '/lib/ld-musl-x86_64.so.1'])
const musl = `linux-${process.arch}-musl`

/** The addon with other text of the same length in place of the first that matches. */
function patched(pattern: RegExp, text: string): Buffer {
  const bytes = Buffer.from(addon)
  const found = pattern.exec(bytes.toString('latin1')) as RegExpExecArray
  expect(found[0]).toHaveLength(text.length)
  bytes.write(text, found.index, 'latin1')
  return bytes
}

/** The lengths at which a file is cut short. Their names are the same for every addon. */
const cuts = [
  ...[0, 10, 63, 64].map((length) => [`${length} bytes`, length] as const),
  ['half of them', addon.length >> 1] as const,
  ['all but one byte', addon.length - 1] as const,
]

test('the addon is of the version of the package and of the crates', () => {
  const cargo = readFileSync(resolve(root, 'Cargo.toml'), 'utf8')
  expect(/^\[workspace\.package\]\nversion = "(.*)"$/m.exec(cargo)?.[1]).toBe(version)
  expect(loadedAddon().version).toBe(version)
})

describe('where the addon comes from', () => {
  test('the package of the platform, of which the size and, on request, the checksum are compared', () => {
    const path = installation.addPackage()
    const loaded = { path: realpathSync(path), platform, version, sizeBytes: addon.length, sha256Verified: false }
    expect(installation.load()).toEqual({ loaded })
    const env = { PLIMSOLL_VERIFY_ADDON: 'sha256' }
    expect(installation.load({ env })).toEqual({ loaded: { ...loaded, sha256Verified: true } })
  })

  test('before that, one that was built beside the entry', () => {
    installation.addPackage()
    const built = installation.addBuilt()
    expect(installation.load().loaded).toMatchObject({ path: realpathSync(built) })
  })

  test('before both, the file that PLIMSOLL_ADDON_PATH names, also by a link or relative to the current folder', () => {
    installation.addPackage()
    installation.addBuilt()
    const own = realpathSync(installation.write('own.node', addon))
    symlinkSync(own, installation.path('link'))
    for (const path of [own, installation.path('link')]) {
      expect(installation.load({ env: { PLIMSOLL_ADDON_PATH: path } }).loaded).toMatchObject({ path: own })
    }
    const relative = `plimsoll.${platform}.node`
    const { loaded } = installation.load({ env: { PLIMSOLL_ADDON_PATH: relative } })
    expect(loaded).toMatchObject({ path: realpathSync(resolve(root, relative)) })
  })

  test('empty variables are unset ones', () => {
    installation.addPackage()
    const { loaded } = installation.load({ env: { PLIMSOLL_ADDON_PATH: '', PLIMSOLL_VERIFY_ADDON: '' } })
    expect(loaded).toMatchObject({ sha256Verified: false })
  })

  test('an ES module gets the same error as require()', () => {
    const script = `import('plimsoll').catch(({ code, reason }) => console.log(code, reason))`
    const main = installation.write('main.mjs', script)
    expect(runNode([main]).stdout).toBe('ERR_ADDON_UNAVAILABLE package-missing\n')
  })
})

describe('a platform without an addon is named, beside those that have one', () => {
  test.each([
    ['darwin', 'arm64', 'use one of those'],
    ['darwin', 'x64', 'use one of those'],
    ['win32', 'x64', 'use one of those'],
    ['android', 'arm64', 'use one of those'],
    ['linux', 'ppc64', 'use one of those'],
    ['linux', 'arm', 'install a 64-bit Node.js'],
    ['linux', 'ia32', 'install a 64-bit Node.js'],
  ])('%s on %s', (system, arch, remedy) => {
    installation.addPackage()
    const { error } = installation.load({ preload: pretend({ platform: system, arch }) })
    expect(error).toMatchObject({
      name: 'AddonUnavailableError',
      code: 'ERR_ADDON_UNAVAILABLE',
      reason: 'unsupported-platform',
      platform: `${system}-${arch}`,
      supported,
    })
    expect(error?.message).toContain(`expected one of the platforms ${supported.join(', ')}, found ${system}-${arch}`)
    expect(error?.message).toContain(remedy)
  })

  test('a C library that cannot be told: it is not guessed', () => {
    installation.addPackage()
    const { error } = installation.load({ preload: pretendMapped([]) })
    expect(error).toMatchObject({ reason: 'unsupported-platform', platform: `linux-${process.arch}`, supported })
  })

  test('what PLIMSOLL_ADDON_PATH names may be built for musl', () => {
    const env = { PLIMSOLL_ADDON_PATH: installation.write('own.node', addon) }
    expect(installation.load({ env, preload: pretendMusl }).loaded).toBeDefined()
  })

  onGlibc('a glibc that is too old is named with the one it takes', () => {
    const old = patched(/GLIBC_2\.\d\d/, 'GLIBC_9.99')
    installation.addPackage(old)
    const { error } = installation.load()
    const { glibcVersionRuntime } = (process.report.getReport() as unknown as { header: Record<string, string> }).header
    expect(error).toMatchObject({ reason: 'unsupported-platform', platform })
    expect(error?.message).toContain('expected glibc 9.99 or newer')
    expect(error?.message).toContain(`found ${glibcVersionRuntime}`)
  })
})

describe('musl', () => {
  const toLoad = (preload: string) => {
    const path = installation.addPackage(addon, {}, `plimsoll-${musl}`)
    expect(installation.load({ preload }).loaded).toMatchObject({ path: realpathSync(path), platform: musl })
  }

  test.each([
    ['its linker is mapped', pretendMusl],
    ['its library is mapped by its other name', pretendMapped(['/usr/lib/x86_64-linux-musl/libc.so'])],
    ['the memory map tells nothing, and a report names it', pretendMapped([], ['/lib/ld-musl-aarch64.so.1'])],
  ])('has a package of its own, which is taken where %s', (_, preload) => {
    installation.addPackage(addon.subarray(0, 99), {}, `plimsoll-linux-${process.arch}-gnu`)
    toLoad(preload)
  })

  test.each([
    ['nothing is installed', () => {}],
    ['the package came from a system with glibc', () => installation.addPackage(addon, {}, 'plimsoll-linux-x64-gnu')],
    ['a build for glibc lies beside the entry', () => installation.addBuilt(addon, `linux-${process.arch}-gnu`)],
  ])('is named, with how npm is told of it, where %s', (_, prepare) => {
    prepare()
    const { error } = installation.load({ preload: pretendMusl })
    expect(error).toMatchObject({ reason: 'package-missing', platform: musl, supported })
    for (const text of [`plimsoll-${musl} ${version}`, '--libc=musl']) expect(error?.message).toContain(text)
  })
})

describe('the package of the platform', () => {
  const missing = { reason: 'package-missing', platform, supported }

  test('is missing: the message has the name, the version and the flags of npm', () => {
    const { error } = installation.load()
    expect(error).toMatchObject(missing)
    for (const text of [`plimsoll-${platform} ${version}`, '--include=optional', 'npm/cli#4828', '--libc=']) {
      expect(error?.message).toContain(text)
    }
    expect(error?.message).toContain(`--cpu=${process.arch}`)
  })

  test('is missing because the files came from a machine of another kind', () => {
    installation.addPackage(addon, {}, `plimsoll-${otherPlatform}`)
    expect(installation.load().error).toMatchObject(missing)
  })

  test('is missing in a checkout: the message says how to build', () => {
    installation.write('node_modules/plimsoll/Cargo.toml', '')
    const { error } = installation.load()
    expect(error).toMatchObject(missing)
    expect(error?.message).toContain('npm run build')
  })

  test('has lost its file', () => {
    rmSync(installation.addPackage())
    expect(installation.load().error).toMatchObject(missing)
  })

  test.each(['{ "version"', 'null', ''])('has %j for a description', (text) => {
    installation.addPackage()
    installation.write(`node_modules/plimsoll-${platform}/package.json`, text)
    expect(installation.load().error).toMatchObject(missing)
  })

  test('is of another version', () => {
    const path = installation.addPackage(addon, { version: '0.0.9' })
    const { error } = installation.load()
    expect(error).toMatchObject({ reason: 'version-mismatch', path: realpathSync(path) })
    expect(error?.message).toContain(`expected version ${version}`)
    expect(error?.message).toContain('found 0.0.9')
  })

  test.each(cuts)('is cut short after %s', (_, length) => {
    const path = realpathSync(installation.addPackage(addon.subarray(0, length)))
    const { error } = installation.load()
    expect(error).toMatchObject({ reason: 'size-mismatch', path })
    expect(error?.message).toContain(`the size of ${path} in bytes to be ${addon.length}, got ${length};`)
  })

  test.each([[{ addon: undefined }], [{ addon: {} }]])('states no size: %j', (description) => {
    installation.addPackage(addon, description)
    const { error } = installation.load()
    expect(error).toMatchObject({ reason: 'size-mismatch' })
    expect(error?.message).toContain('to be stated by its package')
  })

  test('states no checksum, and one is asked for', () => {
    installation.addPackage(addon, { addon: { sizeBytes: addon.length } })
    const { error } = installation.load({ env: { PLIMSOLL_VERIFY_ADDON: 'sha256' } })
    expect(error).toMatchObject({ reason: 'checksum-mismatch' })
    expect(error?.message).toContain('to be stated by its package')
  })

  test('was changed without a change of its size: the checksum tells', () => {
    const changed = Buffer.from(addon)
    changed[addon.length >> 1] = ~(changed[addon.length >> 1] as number) & 0xff
    installation.addPackage(changed)
    const { error } = installation.load({ env: { PLIMSOLL_VERIFY_ADDON: 'sha256' } })
    expect(error).toMatchObject({ reason: 'checksum-mismatch' })
    expect(error?.message).toMatch(/to be [0-9a-f]{64}, got [0-9a-f]{64}; /)
  })
})

describe('a file that nobody has stated a size of', () => {
  test.each(cuts)('is cut short after %s', (_, length) => {
    const path = installation.addBuilt(addon.subarray(0, length))
    const { error } = installation.load()
    expect(error).toMatchObject({ reason: 'not-an-addon', path })
    expect(error?.message).toMatch(length === 0 ? /empty/ : new RegExp(`ends after ${length} `))
  })

  const elf = (offset: number, value: number): Buffer => {
    const bytes = Buffer.from(addon)
    bytes[offset] = value
    return bytes
  }
  // The places are those of elf(5): EI_CLASS, EI_DATA and e_machine.
  const otherMachine = process.arch === 'x64' ? 183 : 62
  test.each([
    ['a text', Buffer.from('#!/usr/bin/env node\n'.repeat(10)), 'no ELF file'],
    ['a program for 32 bits', elf(4, 1), 'no 64-bit'],
    ['a big-endian program', elf(5, 2), 'no 64-bit little-endian'],
    ['for the other processor', elf(18, otherMachine), `built for ${process.arch === 'x64' ? 'arm64' : 'x64'}`],
    ['for a 32-bit processor', elf(18, 40), 'built for arm,'],
    ['for a processor without a name here', elf(18, 243), 'built for ELF machine 243'],
  ])('is %s', (_, bytes, text) => {
    installation.addBuilt(bytes)
    const { error } = installation.load()
    expect(error).toMatchObject({ reason: 'not-an-addon' })
    expect(error?.message).toContain(text)
    expect(error?.message).toContain('npm run build')
  })

  test('needs a library that is not there: the message has what the linker says', () => {
    installation.addBuilt(patched(/libc\.so(?=\.6|\0)/, 'libx.so'))
    const { error } = installation.load()
    expect(error).toMatchObject({ reason: 'load-failed', cause: expect.stringContaining('libx.so') })
    expect(error?.message).toContain('libx.so')
  })

  test('is of another version than the JavaScript', () => {
    installation.addBuilt()
    const description = { ...JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')), version: '9.9.9' }
    installation.write('node_modules/plimsoll/package.json', JSON.stringify(description))
    const { error } = installation.load()
    expect(error).toMatchObject({ reason: 'version-mismatch' })
    expect(error?.message).toContain(`of version 9.9.9, as its JavaScript is, found ${version}; build it again`)
  })

  test('cannot be verified, and that is not passed over', () => {
    installation.addBuilt()
    const { error } = installation.load({ env: { PLIMSOLL_VERIFY_ADDON: 'sha256' } })
    expect(error).toMatchObject({ reason: 'invalid-setting' })
    expect(error?.message).toContain('unset PLIMSOLL_VERIFY_ADDON')
  })
})

describe('PLIMSOLL_ADDON_PATH that leads nowhere is an error, although there is another addon', () => {
  beforeEach(() => installation.addPackage())

  const refusal = (path: string) => installation.load({ env: { PLIMSOLL_ADDON_PATH: path } }).error

  test('to nothing', () => {
    const error = refusal(installation.path('nowhere.node'))
    expect(error).toMatchObject({ reason: 'unreadable', path: installation.path('nowhere.node') })
    expect(error?.message).toContain('unset PLIMSOLL_ADDON_PATH')
  })

  test('to a link to itself', () => {
    symlinkSync('loop.node', installation.path('loop.node'))
    expect(refusal(installation.path('loop.node'))).toMatchObject({ reason: 'unreadable' })
  })

  test('to a folder', () => {
    mkdirSync(installation.path('folder.node'))
    expect(refusal(installation.path('folder.node'))?.message).toContain('no regular file')
  })

  test('to a pipe, which nobody writes to', () => {
    expect(spawnSync('mkfifo', [installation.path('pipe.node')]).status).toBe(0)
    expect(refusal(installation.path('pipe.node'))?.message).toContain('no regular file')
  })

  const asUser = process.getuid?.() === 0 ? test.skip : test
  asUser('to a file that may not be read', () => {
    chmodSync(installation.write('own.node', addon), 0)
    expect(refusal(installation.path('own.node'))).toMatchObject({ reason: 'unreadable' })
  })

  test('to a file by whose name Node.js takes it for JavaScript', () => {
    const error = refusal(installation.write('addon.so', addon))
    expect(error).toMatchObject({ reason: 'invalid-setting' })
    expect(error?.message).toContain('ends in .node')
  })
})

test('an unknown PLIMSOLL_VERIFY_ADDON is an error that names the right one', () => {
  installation.addPackage()
  const { error } = installation.load({ env: { PLIMSOLL_VERIFY_ADDON: 'sha-256' } })
  expect(error).toMatchObject({ reason: 'invalid-setting' })
  expect(error?.message).toBe('expected PLIMSOLL_VERIFY_ADDON to be "sha256" or unset, got "sha-256"')
})

describe('without an addon the command line', () => {
  test.each([[['--help']], [['--version']], [['doctor', '--help']]])('still answers %j', (args) => {
    expect(installation.run(...args)).toMatchObject({ status: 0, stderr: '' })
  })

  test('ends with 4 and says in one line what is the matter', () => {
    const { status, stdout, stderr } = installation.run('doctor')
    expect({ status, stdout }).toEqual({ status: 4, stdout: '' })
    expect(stderr).toMatch(/^plimsoll doctor: expected the package plimsoll-.*\n$/)
  })

  test('prints the error as the document of --json', () => {
    const { status, stdout } = installation.run('load', 'model.gguf', '--json')
    expect(status).toBe(4)
    expect(JSON.parse(stdout)).toEqual({
      error: {
        code: 'ERR_ADDON_UNAVAILABLE',
        reason: 'package-missing',
        platform,
        supported,
        message: expect.stringContaining('--include=optional'),
      },
    })
  })

  test('still tells wrong use', () => {
    const { status, stderr } = installation.run('doctor', '--jsn')
    expect(status).toBe(2)
    expect(stderr).toContain('did you mean "--json"?')
  })
})

test('the types can be used where there is no addon', () => {
  const source = `
import type { AddonUnavailableError, AddonUnavailableReason, GgufFile, LoadedAddon } from 'plimsoll'
export const tensorNames = (model: GgufFile): string[] => model.tensors.map(({ name }) => name)
export const sizeBytes = (addon: LoadedAddon): number => addon.sizeBytes
export async function reason(): Promise<AddonUnavailableReason | undefined> {
  try {
    await import('plimsoll')
    return undefined
  } catch (error) {
    const { code, reason, platform, supported } = error as AddonUnavailableError
    const rows: [string, string, readonly string[]] = [code, platform, supported]
    // @ts-expect-error: no such reason
    return rows.length === 3 && reason !== 'bad-luck' ? reason : undefined
  }
}`
  const compilerOptions = { module: 'nodenext', target: 'es2022', lib: ['es2023'] }
  expect(typeCheck(source, { type: 'module', nodeTypes: true, compilerOptions })).toBe('')
})
