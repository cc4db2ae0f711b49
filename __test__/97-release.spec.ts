import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import { Checkout } from './helpers/checkout'
import { root } from './helpers/child'
import { platforms, readDescription } from './helpers/descriptions'

/** Every version that the files of a checkout state, by where it stands. */
function statedVersions(checkout: string): Record<string, string | undefined> {
  const read = (name: string): string => readFileSync(resolve(checkout, name), 'utf8')
  const found: Record<string, string | undefined> = { 'package.json': readDescription(checkout).version }
  const { version, packages } = JSON.parse(read('package-lock.json'))
  Object.assign(found, { 'package-lock.json': version, 'package-lock.json, root': packages[''].version })
  for (const platform of platforms()) found[platform] = readDescription(resolve(checkout, 'npm', platform)).version
  found['Cargo.toml'] = /^\[workspace\.package\]\nversion = "(.*)"$/m.exec(read('Cargo.toml'))?.[1]
  for (const [, crate, required] of read('Cargo.toml').matchAll(/^(.*) = \{ path = .*, version = "(.*)" \}$/gm)) {
    found[`Cargo.toml, ${crate}`] = required
  }
  for (const lock of ['Cargo.lock', 'fuzz/Cargo.lock']) {
    for (const [, crate, locked] of read(lock).matchAll(
      /^name = "(gguf-file|gguf-dequant|plimsoll.*)"\nversion = "(.*)"$/gm,
    )) {
      found[`${lock}, ${crate}`] = locked
    }
  }
  return found
}

/** The same places, all with one version. */
const allOf = (places: Record<string, unknown>, version: string) =>
  Object.fromEntries(Object.keys(places).map((place) => [place, version]))

test('every file that states the version states the same', () => {
  const found = statedVersions(root)
  expect(Object.keys(found).length).toBeGreaterThan(12)
  expect(found).toEqual(allOf(found, readDescription(root).version))
})

describe('package-lock.json', () => {
  type Entry = Record<string, unknown> & Record<'dependencies' | 'optionalDependencies', Record<string, string>>
  const { packages }: { packages: Record<string, Entry> } = JSON.parse(
    readFileSync(resolve(root, 'package-lock.json'), 'utf8'),
  )

  /** Where Node.js would look for a package that another asks for. */
  const places = (from: string, name: string): string[] => {
    const parents = from
      .split('/node_modules/')
      .map((_, i, parts) => parts.slice(0, parts.length - i).join('/node_modules/'))
    return [...parents, ''].map((parent) => `${parent}/node_modules/${name}`.replace(/^\//, ''))
  }

  // npm leaves out those of other platforms when it writes the file beside packages that are installed, and then `npm ci`
  // of npm 11 refuses it.
  test('has every package that one of its packages asks for, those of other platforms too', () => {
    const missing = Object.entries(packages).flatMap(([from, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !places(from, name).some((place) => place in packages))
        .map((name) => `${name}, for ${from}`),
    )
    expect(missing).toEqual([])
  })

  // npm 11 adds `libc` and npm 10 takes it away; and where a package was fetched from is each machine's own affair.
  test('holds nothing that npm 10 and 11 write differently, and no host', () => {
    const fields = new Set(Object.values(packages).flatMap((entry) => Object.keys(entry)))
    expect([...fields]).toEqual(expect.not.arrayContaining(['libc']))
    expect([...fields]).toEqual(expect.not.arrayContaining(['resolved']))
  })
})

describe('npm version', () => {
  let checkout: Checkout
  beforeEach(() => {
    checkout = new Checkout()
  })
  afterEach(() => checkout.remove())

  const bump = () => checkout.run('npm', ['version', '9.9.9'])

  test('sets every version, dates the changes, commits all of it and makes the tag', () => {
    expect(bump()).toMatchObject({ status: 0 })
    const found = statedVersions(checkout.folder)
    expect(found).toEqual(allOf(found, '9.9.9'))
    expect(checkout.read('CHANGELOG.md')).toMatch(
      /^## \[Unreleased\]\n\n## \[9\.9\.9\] - \d{4}-\d\d-\d\d\n\n### Added\n\n- /m,
    )
    expect(checkout.changes()).toBe('')
    expect(checkout.run('git', ['tag', '--points-at', 'HEAD']).stdout).toBe('v9.9.9\n')
  })

  test('refuses a checkout with changes, and leaves it as it is', () => {
    checkout.edit('README.md', 'plimsoll', 'Plimsoll')
    const { status, stderr } = bump()
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('not clean') })
    expect(checkout.changes()).toBe(' M README.md\n')
  })

  test('refuses a release in which nothing changed, and makes no commit', () => {
    checkout.edit('CHANGELOG.md', '## [Unreleased]\n', '## [Unreleased]\n\n## [0.0.1] - 2020-01-01\n')
    checkout.run('git', ['commit', '--all', '--quiet', '--message', 'Release'])
    const { status, stderr } = bump()
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('found none') })
    expect(checkout.run('git', ['log', '-1', '--format=%s']).stdout).toBe('Release\n')
  })
})

describe('publishing by accident', () => {
  // As one who is logged in, but where nothing listens: should npm ever try, nothing is published. `prepare` would write to the
  // bundles that other tests are running.
  const nowhere = [
    '--ignore-scripts',
    '--fetch-retries=0',
    '--registry=http://127.0.0.1:9',
    '--//127.0.0.1:9/:_authToken=any',
  ]

  test.each(['', ...platforms().map((platform) => `npm/${platform}`)])('npm refuses to publish "./%s"', (folder) => {
    const { status, stderr } = spawnSync('npm', ['publish', ...nowhere], {
      cwd: resolve(root, folder),
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('EPRIVATE') })
  })

  // `npm publish --dry-run` runs such scripts too, and what they do is no dry run.
  test.each(['prepublishOnly', 'prepublish', 'prepack', 'publish', 'postpublish'])('there is no script %s', (name) => {
    expect(readDescription(root).scripts).not.toHaveProperty(name)
  })

  test('the one that npm runs before it packs, and after each install of a checkout, does no more than build the JavaScript', () => {
    expect(readDescription(root).scripts).toMatchObject({ prepare: 'node scripts/prepare.mjs' })
    const commands = readFileSync(resolve(root, 'scripts/prepare.mjs'), 'utf8').match(/spawnSync\(.*?\]/g)
    expect(commands).toEqual(["spawnSync('npm', ['run', '--silent', 'build:lib']"])
  })
})

describe('the workflows', () => {
  const read = (name: string): string => readFileSync(resolve(root, '.github/workflows', name), 'utf8')

  /** The jobs of the release, by their names. */
  const jobs = new Map(
    [...read('release.yml').matchAll(/^ {2}([a-z-]+):\n((?: {4}.*\n|\n)+)/gm)].map(([, name, text]) => [name, text]),
  )
  const jobsWith = (pattern: RegExp) =>
    [...jobs].filter(([, text]) => pattern.test(text as string)).map(([name]) => name)

  test('nothing but a pushed tag reaches the job that publishes', () => {
    expect([...jobs.keys()]).toEqual(expect.arrayContaining(['pack', 'test', 'dry-run', 'publish']))
    expect(jobsWith(/^ {4}if: github.event_name == 'push' && startsWith\(github.ref, 'refs\/tags\/v'\)$/m)).toEqual([
      'publish',
    ])
    expect(jobsWith(/publish-packages\.sh(?!.* --dry-run --ignore-scripts)|npm publish/)).toEqual(['publish'])
  })

  test('only that job has a token, or the right to ask for one', () => {
    expect(jobsWith(/secrets\.|: write/)).toEqual(['publish'])
    for (const name of ['ci.yml', 'release.yml']) expect(read(name)).toMatch(/^permissions:\n {2}contents: read\n\n/m)
  })

  test.each(['ci.yml', 'release.yml'])('%s uses actions by their commits', (name) => {
    const uses = read(name).match(/uses: .*/g) ?? []
    expect(uses.length).toBeGreaterThan(0)
    for (const use of uses) expect(use).toMatch(/^uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })
})
