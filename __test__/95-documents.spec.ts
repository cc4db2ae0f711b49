import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'
import { type Outcome, root, runNode, startBesideOthers, untimedMs } from './helpers/child'
import { typeCheckAll } from './helpers/consumer'
import { withFakeCuda } from './helpers/fake-cuda'
import { samplePath } from './helpers/models'

const read = (path: string): string => readFileSync(resolve(root, path), 'utf8')

/** An example on a page: all that stands between its fences. */
interface Example {
  /** The page and the line of the fence. */
  place: string
  language: 'js' | 'ts'
  source: string
}

const pages = ['README.md', ...readdirSync(resolve(root, 'docs')).map((name) => `docs/${name}`)]

const examples = pages.flatMap((page): Example[] => {
  const text = read(page)
  return [...text.matchAll(/^```(js|ts)\b.*\n([\s\S]*?)^```$/gm)].map(({ 1: language, 2: source = '', index }) => {
    const place = `${page}:${text.slice(0, index).split('\n').length}`
    return { place, language: language as Example['language'], source }
  })
})

/** What an example says that it prints: the comments behind its `console.log`s. */
const promised = (source: string): string[] =>
  [...source.matchAll(/console\.log\(.*\) \/\/ (.+)$/gm)].map((match) => match[1] as string)

/** The same example without its types. */
const compiled = ({ language, source }: Example): string => {
  if (language === 'js') return source
  return transpileModule(source, { compilerOptions: { target: ScriptTarget.ES2022, module: ModuleKind.ESNext } })
    .outputText
}

describe('an example is a program that does what its page says', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** A project that has the package installed, and a model. */
  function makeProject(): string {
    const project = mkdtempSync(join(folder, 'project-'))
    mkdirSync(join(project, 'node_modules'))
    symlinkSync(root, join(project, 'node_modules/plimsoll'))
    // What a user gives to the bridges of metrics.
    for (const peer of ['prom-client', '@opentelemetry']) {
      symlinkSync(resolve(root, 'node_modules', peer), join(project, 'node_modules', peer))
    }
    symlinkSync(resolve(root, 'examples'), join(project, 'examples'))
    cpSync(samplePath, join(project, 'model.gguf'))
    return project
  }

  function run(example: Example): Promise<Outcome> {
    const project = makeProject()
    writeFileSync(join(project, 'main.mjs'), compiled(example))
    const driver = example.place.startsWith('docs/cuda.md') ? withFakeCuda() : {}
    return startBesideOthers(['main.mjs'], project, 20_000, driver)
  }

  /** What each said; some at a time, as most of them wait for something. */
  const outcomes = new Map<Example, Outcome>()
  beforeAll(async () => {
    const left = examples.values()
    const runThem = async () => {
      for (const example of left) outcomes.set(example, await run(example))
    }
    await Promise.all([runThem(), runThem(), runThem()])
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
  const documents = [...packaged, ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]
  const dead = documents
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) => {
      const text = read(path).replace(/^```.*?^```$/gms, '')
      const links = [...text.matchAll(/\]\((?!https?:)([^)\s#]+)/g)].map((match) => match[1] as string)
      return links
        .map((link) => join(dirname(path), link))
        .filter((to) => !isPackaged(to) || !existsSync(join(root, to)))
    })
  expect(dead).toEqual([])
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
