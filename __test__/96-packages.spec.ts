import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { Checkout } from './helpers/checkout'
import { root, runNode } from './helpers/child'
import { type Description, platforms, readDescription } from './helpers/descriptions'

const entry = readDescription(root)

/** What Node.js calls the architecture of a Rust target. */
const cpus: Record<string, string> = { x86_64: 'x64', aarch64: 'arm64' }

test('each target of the build has a package, and no other platform has one', () => {
  const expected = entry.napi?.targets.map((target) => {
    const [cpu, , , library] = target.split('-')
    return `linux-${cpus[cpu as string]}-${library}`
  })
  expect(platforms()).toEqual(expected?.sort())
})

describe.each(platforms())('the package for %s', (platform) => {
  const folder = resolve(root, 'npm', platform)
  const description: Description = readDescription(folder)

  test('is named after its platform and is installed there only', () => {
    const [os, cpu, library] = platform.split('-')
    const libc = [library === 'gnu' ? 'glibc' : library]
    expect(description).toMatchObject({ name: `plimsoll-${platform}`, os: [os], cpu: [cpu], libc })
  })

  test('has the version, the licence and the Node.js of the root package', () => {
    const { version, license, engines, type } = entry
    expect(description).toMatchObject({ version, license, engines, type })
  })

  test('ships the addon that it names, with the licences', () => {
    const addon = `${entry.napi?.binaryName}.${platform}.node`
    expect(description.main).toBe(addon)
    expect(description.files).toEqual([addon, 'LICENSE-MIT', 'LICENSE-APACHE', 'LICENSE-GGML'])
  })

  test('says in its README that it is not installed by hand', () => {
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain('no need to install it by hand')
  })
})

test('the root package ships no addon', () => {
  expect(entry.files.filter((name) => name.endsWith('.node'))).toEqual([])
})

test('the root package needs no other, and has the licence of what it took over', () => {
  expect(entry.dependencies).toBeUndefined()
  const files = readdirSync(join(root, 'dist')).map((name) => readFileSync(join(root, 'dist', name), 'utf8'))
  const required = files.flatMap((text) => [...text.matchAll(/\brequire\('([^']+)'\)/g)].map((match) => match[1]))
  expect(required).toContain('node:fs')
  const others = required.filter((name) => !/^node:|^\.\.?\/[\w.]+$/.test(name as string))
  expect(others).toEqual([])
  for (const text of files.filter((text) => /^const distance = /m.test(text)))
    expect(text).toContain('Copyright (c) 2020 Kasper Unn Weihe')
  expect(files.some((text) => /^const distance = /m.test(text))).toBe(true)
})

describe('what cannot be packed', () => {
  let scratch: string
  const addons = () => join(scratch, 'addons')
  const out = () => join(scratch, 'packages')

  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), 'plimsoll-'))
    mkdirSync(addons())
    mkdirSync(out())
    writeFileSync(join(out(), 'earlier.tgz'), 'earlier')
  })
  afterEach(() => rmSync(scratch, { recursive: true }))

  /** Packs, which has to fail: returns what it says. What was packed earlier stays, and nothing is left beside it. */
  function refusal(script = 'scripts/pack-all.mjs'): string {
    const { status, stdout, stderr } = runNode([script, '--addons', addons(), '--out', out()])
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(readFileSync(join(out(), 'earlier.tgz'), 'utf8')).toBe('earlier')
    expect(readdirSync(scratch).sort()).toEqual(['addons', 'packages'])
    return stderr
  }

  test('an addon that was not built is named, with the command that builds it', () => {
    expect(refusal()).toMatch(/^pack-all: expected .*plimsoll\.linux-arm64-gnu\.node, found no file; .*pack:all.*\n$/)
  })

  test('a file that is no addon is named', () => {
    writeFileSync(join(addons(), 'plimsoll.linux-arm64-gnu.node'), 'not a binary')
    expect(refusal()).toContain('plimsoll.linux-arm64-gnu.node: expected a binary for AArch64')
  })

  test('a package with another version than the root is named, with both versions', () => {
    const checkout = new Checkout()
    try {
      checkout.edit('npm/linux-arm64-gnu/package.json', `"version": "${entry.version}"`, '"version": "9.9.9"')
      expect(refusal(join(checkout.folder, 'scripts/pack-all.mjs'))).toBe(
        `pack-all: expected version ${entry.version} in npm/linux-arm64-gnu/package.json, found 9.9.9; \`npm version\` sets all of them\n`,
      )
      expect(existsSync(join(checkout.folder, 'build'))).toBe(false)
    } finally {
      checkout.remove()
    }
  })
})
