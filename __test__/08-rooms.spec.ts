import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { preProcessFile } from 'typescript'
import { checkedOut } from './helpers/checkout'
import { root } from './helpers/child'

/** Longer files are not read from the first line to the last. `crates/plimsoll/tests/rooms.rs` has the same of Rust. */
const mostLines = 450

const read = (path: string): string => readFileSync(resolve(root, path), 'utf8')

/** The paths of all files below a folder, from there. */
const filesOf = (folder: string): string[] =>
  readdirSync(resolve(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(resolve(root, folder), join(entry.parentPath, entry.name)))
    .sort()

/** The folders right below a folder that hold files. */
const foldersOf = (folder: string): string[] => [
  ...new Set(filesOf(folder).flatMap((file) => (file.includes('/') ? [file.slice(0, file.indexOf('/'))] : []))),
]

const files = filesOf('lib')

/** What each file of `lib/` imports of `lib/`. An import of types counts: who reads one file has to read the other. */
const imports = new Map(
  files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const specifiers = preProcessFile(read(`lib/${file}`)).importedFiles.map(({ fileName }) => fileName)
      const paths = specifiers
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => join(dirname(file), specifier.replace(/\?(?:text|script)$/, '').replace(/\.js$/, '.ts')))
        // The binding's types, at the root.
        .filter((path) => !path.startsWith('..'))
      return [file, paths] as const
    }),
)

/** A file and all that it reaches by its imports. */
function reachedFrom(start: string): Set<string> {
  const reached = new Set([start])
  for (const file of reached) for (const next of imports.get(file) ?? []) reached.add(next)
  return reached
}

/** The imports from one file of `lib/` to another that a rule forbids. */
const offences = (forbidden: (from: string, to: string) => boolean): string[] =>
  [...imports].flatMap(([from, all]) => all.filter((to) => forbidden(from, to)).map((to) => `${from} -> ${to}`))

const [, table = ''] = read('ARCHITECTURE.md').split(/^## The rooms$/m)

/** The rooms as ARCHITECTURE.md lists them: a name, and what holds it in the core, the addon and `lib/`. */
const rooms = [...table.matchAll(/^\| `([a-z]+)` \|[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|$/gm)].map(
  ([, name = '', core = '', addon = '', lib = '']) => ({ name, core, addon, lib }),
)

/** The folders that a column of the table names. */
const named = (column: 'core' | 'addon' | 'lib'): string[] =>
  rooms.flatMap((room) => [...room[column].matchAll(/`([a-z]+)\/`/g)].map((match) => match[1] as string)).sort()

test(`no source has more than ${mostLines} lines, but for those that a build writes`, () => {
  const written = [
    'binding.d.ts',
    'index.d.ts',
    'report.d.ts',
    'http.d.ts',
    'metrics.d.ts',
    'dashboard.d.ts',
    'node-llama-cpp.d.ts',
  ]
  const isSource = (path: string) => /\.(?:[cm]?[jt]s|html|css|sh|py)$|^(?:\.ci|scripts)\//.test(path)
  const sources = checkedOut().filter((path) => isSource(path) && !written.includes(path))
  expect(sources).toEqual(expect.arrayContaining(['.ci/run', 'lib/index.ts', '__test__/08-rooms.spec.ts']))
  // The last line ends with a line feed, too.
  expect(sources.filter((path) => read(path).split('\n').length > mostLines + 1)).toEqual([])
})

describe('the rooms of ARCHITECTURE.md', () => {
  test('are the folders of the core and of lib/', () => {
    expect(named('core')).toEqual(foldersOf('crates/plimsoll/src'))
    expect(named('lib')).toEqual(foldersOf('lib'))
  })

  test('have every folder of the addon', () => {
    expect(named('addon')).toEqual(expect.arrayContaining(foldersOf('src')))
  })

  test('have every file that is in no folder', () => {
    for (const [cell, folder] of [
      ['core', 'crates/plimsoll/src'],
      ['addon', 'src'],
    ] as const) {
      const listed = rooms.flatMap((room) => [...room[cell].matchAll(/`([a-z_]+\.rs)`/g)].map(([, file]) => file))
      const found = filesOf(folder).filter((file) => /^[a-z_]+\.rs$/.test(file) && file !== 'lib.rs')
      expect({ folder, files: listed.sort() }).toEqual({ folder, files: found })
    }
  })

  test('are called the same in all three', () => {
    for (const { name, core, addon, lib } of rooms) {
      const folders = [core, addon, lib].flatMap((cell) => cell.match(/[a-z]+(?=\/`)/g) ?? [])
      expect({ name, folders: [...new Set(folders)] }).toEqual({ name, folders: folders.length > 0 ? [name] : [] })
    }
  })
})

describe('lib/', () => {
  const order = rooms.map(({ name }) => name)
  /** The place of a file's room in the order. The entry knows every room whose classes it exports. */
  const place = (file: string): number =>
    order.indexOf(file === 'index.ts' ? 'manager' : (file.split('/')[0] as string))

  test('finds all that is imported', () => {
    expect(imports.size).toBeGreaterThan(90)
    expect(offences((_from, to) => !files.includes(to))).toEqual([])
  })

  test('has no circle of imports', () => {
    const circles = [...imports.keys()].filter((file) =>
      (imports.get(file) ?? []).some((to) => reachedFrom(to).has(file)),
    )
    expect(circles).toEqual([])
  })

  test('has rooms that know those before them, and none after', () => {
    expect(offences((from, to) => place(to) > place(from) || place(to) < 0)).toEqual([])
  })

  test('has no new file outside of a room', () => {
    expect(files.filter((file) => !file.includes('/'))).toEqual(['index.ts', 'tsconfig.json'])
  })

  test('has no page within reach of the entry', () => {
    expect([...reachedFrom('index.ts')].filter((file) => /^report\/|\.(?:html|css)$/.test(file))).toEqual([])
  })
})

describe('lib/cli/', () => {
  /** The folder of a file of the command line; '' at its top. */
  const folder = (file: string): string => /^cli\/(?:(\w+)\/)?/.exec(file)?.[1] ?? ''
  const ours = (from: string, to: string): boolean => from.startsWith('cli/') && to.startsWith('cli/')

  test('uses the package as any program does, and of the rest only what needs no addon', () => {
    const entries = ['index.ts', 'report/index.ts', 'http/index.ts', 'metrics/index.ts', 'dashboard/index.ts']
    const needsAddon = (file: string) => [...reachedFrom(file)].some((each) => each.startsWith('addon/'))
    const other = (from: string, to: string) =>
      from.startsWith('cli/') && !to.startsWith('cli/') && !entries.includes(to)
    expect(offences((from, to) => other(from, to) && needsAddon(to))).toEqual([])
  })

  test('has groups of verbs that do not know one another', () => {
    const shared = ['', 'terminal', 'shared']
    const groups = foldersOf('lib/cli').filter((name) => !shared.includes(name))
    expect(groups).toEqual([
      'blackbox',
      'dashboard',
      'doctor',
      'estimate',
      'ledger',
      'metrics',
      'model',
      'plan',
      'pool',
      'top',
      'up',
    ])
    const foreign = (from: string, to: string) => groups.includes(folder(to)) && folder(to) !== folder(from)
    expect(offences((from, to) => ours(from, to) && foreign(from, to) && from !== 'cli/main.ts')).toEqual([])
  })

  test('has its terminal below what the groups share, and its program above all of them', () => {
    expect(offences((from, to) => folder(from) === 'terminal' && folder(to) === 'shared')).toEqual([])
    expect(offences((_from, to) => to === 'cli/main.ts')).toEqual([])
    expect(offences((from, to) => to === 'cli/help.ts' && from !== 'cli/main.ts')).toEqual([])
  })

  test('has no verb outside of its group', () => {
    const top = files.filter((file) => file.startsWith('cli/') && folder(file) === '')
    expect(top.filter((file) => /: Verb = \{/.test(read(`lib/${file}`)))).toEqual([])
  })
})
