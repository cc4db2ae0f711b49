import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { type Outcome, root, runNode, untimedMs } from './helpers/child'
import { typeCheckAll } from './helpers/consumer'
import { anchorsOf, documentsIn, linksOf } from './helpers/documents'
import { type Example, examplesOn, projectIn, promised, runExample, runSome } from './helpers/examples'
import { withFakeCuda } from './helpers/fake-cuda'

const read = (path: string): string => readFileSync(resolve(root, path), 'utf8')

/** All that is written for people. */
const pages = ['README.md', ...documentsIn('docs')]

const examples = pages.flatMap(examplesOn)

describe('an example is a program that does what its page says', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  function run(example: Example): Promise<Outcome> {
    const driver = example.place.startsWith('docs/cuda.md') ? withFakeCuda() : {}
    return runExample(example, projectIn(folder), driver)
  }

  const outcomes = new Map<Example, Outcome>()
  beforeAll(async () => {
    for (const [example, outcome] of await runSome(examples, run)) outcomes.set(example, outcome)
  }, untimedMs)

  test('there are examples to run', () => {
    expect(examples.length).toBeGreaterThan(20)
  })

  test.each(examples.map((example) => [example.place, example] as const))('%s', (_place, example) => {
    const { stdout = '', ...ended } = outcomes.get(example) ?? {}
    expect(ended).toEqual({ status: 0, stderr: '' })
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(promised(example.source)))
  })

  test('the first program of the README is the one in the folder of examples, and prints what is shown', () => {
    const [first] = examples
    expect(first?.source).toBe(read('examples/first-program.mjs'))
    const alone = outcomes.get(first as Example)?.stdout ?? ''
    const { stdout } = runNode(['examples/first-program.mjs', 'examples/models/plimsoll-sample-llama.gguf'])
    for (const printed of [alone, stdout]) {
      const [line, ...results] = printed.trimEnd().split('\n')
      expect(line).toMatch(/^the line: /)
      for (const result of results) expect(read('README.md')).toContain(`    ${result}\n`)
    }
    expect(stdout.trimEnd().split('\n')).toHaveLength(3)
  })
})

test('every example in TypeScript passes strict type-checking', () => {
  const typed = examples.filter(({ language }) => language === 'ts')
  expect(typed.length).toBeGreaterThan(5)
  // Each is a module, and the compiler names the file.
  const sources = typed.map(({ place, source }) => [`${place.replace(/\W/g, '-')}.ts`, `${source}\nexport {}\n`])
  const compilerOptions = { module: 'nodenext', target: 'es2022', lib: ['es2023'] }
  expect(typeCheckAll(Object.fromEntries(sources), { type: 'module', nodeTypes: true, compilerOptions })).toBe('')
})

test('no link of a document that npm has leads out of the package', () => {
  const { files } = JSON.parse(read('package.json')) as { files: string[] }
  const packaged = ['README.md', 'package.json', ...files]
  const isPackaged = (path: string) => packaged.some((each) => path === each || path.startsWith(`${each}/`))
  const documents = [...packaged, ...documentsIn('docs')].filter((path) => path.endsWith('.md'))
  const dead = documents.flatMap((path) =>
    linksOf(path)
      .map(([link]) => join(dirname(path), link as string))
      .filter((to) => !isPackaged(to) || !existsSync(join(root, to))),
  )
  expect(dead).toEqual([])
})

test('a link to a heading leads to one', () => {
  const written = [...pages, 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
  const links = written.flatMap((path) =>
    linksOf(path).map(([to, heading]) => ({ path, to: to === '' ? path : join(dirname(path), to), heading })),
  )
  const toHeadings = links.filter(({ heading }) => heading !== undefined)
  expect(toHeadings.length).toBeGreaterThan(100)
  expect(toHeadings.filter(({ to, heading }) => !anchorsOf(to).has(heading as string))).toEqual([])
})

test('every verb of the command line has its section, its row and its line in the README', () => {
  const verbs = [
    ...runNode(['dist/cli.js', '--help']).stdout.matchAll(/^ {2}([a-z]+(?: [A-Z[\].|]+)*) {2,}\S.*$/gm),
  ].map((match) => match[1] as string)
  expect(verbs).toEqual(expect.arrayContaining(['inspect FILE|URL', 'cache [PATH...]']))
  for (const verb of verbs) {
    expect(read('docs/command-line.md')).toContain(`\n## \`plimsoll ${verb}\`\n`)
    expect(read('docs/command-line.md')).toContain(`| [\`${verb.replace('|', '\\|')}\`](#plimsoll-`)
    expect(read('README.md')).toContain(`\n    plimsoll ${verb} `)
  }
})

test('the page about GGUF has every rule by which a file is refused, and no other', () => {
  const described = read('crates/gguf-file/src/error.rs').matchAll(/^ {4}\/\/\/ `([a-z0-9-]+)`:/gm)
  const [, rules = ''] = read('docs/gguf.md').split(/^## (?:Rules|Limits)$/m)
  const rows = rules.matchAll(/^\| `([a-z0-9-]+)` \|/gm)
  const [, others = ''] = /^The Rust crate has three names more: ([^.]*)/m.exec(rules) ?? []
  const names = [...rows, ...others.matchAll(/`([a-z-]+)`/g)].map((match) => match[1])
  expect(names.sort()).toEqual([...described].map((match) => match[1]).sort())
})

test('the page about platforms has every reason for which the addon is not available, and no other', () => {
  const [, union = ''] = /^type AddonUnavailableReason = (.*);$/m.exec(read('index.d.ts')) ?? []
  const reasons = [...union.matchAll(/'([a-z0-9-]+)'/g)].map((match) => match[1])
  expect(reasons).toContain('package-missing')
  const [, table = ''] = read('docs/platforms.md').split(/^## When it does not load$/m)
  expect([...table.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map((match) => match[1])).toEqual(reasons)
})
