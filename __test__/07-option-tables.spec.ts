import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import {
  createSourceFile,
  getJSDocCommentsAndTags,
  getTextOfJSDocComment,
  type InterfaceDeclaration,
  isInterfaceDeclaration,
  isMethodSignature,
  isPropertySignature,
  ScriptTarget,
} from 'typescript'
import { root, runNode } from './helpers/child'
import { exported } from './helpers/doc-comments'

const SCRIPT = 'scripts/option-tables.mjs'

const read = (path: string): string => readFileSync(resolve(root, path), 'utf8')

const pages = readdirSync(resolve(root, 'docs'))
  .filter((page) => page.endsWith('.md'))
  .map((page) => [page, read(`docs/${page}`)] as const)

describe('the tables of options in docs/', () => {
  test('are those of the comments and of the help: npm run docs:tables writes them anew', () => {
    const { status, stderr } = runNode([SCRIPT, '--check'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  test('none is written by hand', () => {
    const written = pages.map(([page, text]) => [
      page,
      text.replaceAll(/^<!-- options.*?<!-- end of options -->$/gms, ''),
    ])
    const heads = written.flatMap(([page, text]) =>
      [...(text as string).matchAll(/^(\|.*\|)\n\|[-:| ]+\|$/gm)].map(([, head = '']) => `${page}: ${head}`),
    )
    expect(heads.length).toBeGreaterThan(100)
    expect(heads.filter((head) => /\|\s*`?(?:options?|keys?|defaults?)`?\s*\|/i.test(head))).toEqual([])
  })

  test('what a section says it is about is there', () => {
    const names = pages.flatMap(([, text]) =>
      [...text.matchAll(/^<!-- about: (.+) -->$/gm)].flatMap(([, about = '']) => about.split(' ')),
    )
    expect(names).toContain('LoadOptions.threads')
    const isThere = (name: string): boolean => {
      const [owner = '', option] = name.split('.')
      if (option === undefined) return exported.some(([each]) => each === owner)
      return declared.has(owner) && ownOptions(owner).some((each) => each.name === option)
    }
    expect(names.filter((name) => !isThere(name))).toEqual([])
  })

  test('every verb of the command line has one', () => {
    const { verbs } = JSON.parse(runNode(['dist/cli.js', '--help', '--json']).stdout) as { verbs: { verb: string }[] }
    const tables = [...read('docs/command-line.md').matchAll(/^<!-- options of the command line: (\w+) -->$/gm)]
    expect(tables.map(([, verb]) => verb).sort()).toEqual(verbs.map(({ verb }) => verb).sort())
  })
})

/** The interfaces of the surface, by their names. */
const declared = new Map(
  ['index.d.ts', 'http.d.ts', 'metrics.d.ts', 'dashboard.d.ts', 'report.d.ts', 'node-llama-cpp.d.ts'].flatMap((path) =>
    createSourceFile(path, read(path), ScriptTarget.Latest, true)
      .statements.filter(isInterfaceDeclaration)
      .map((declaration) => [declaration.name.text, declaration] as const),
  ),
)

/** Those of options, and of keys of a plan; limits of a device are told by it, not given. */
const interfaces = [...declared.keys()].filter(
  (name) =>
    /^(?!Native)\w*(?:Options|Limits|Numbers|Range)$|^Plan(?:Run|Instance)?$/.test(name) && name !== 'DeviceLimits',
)

interface Option {
  name: string
  mayBeLeftOut: boolean
  comment: string
}

const optionsIn = ({ members }: InterfaceDeclaration): Option[] =>
  members
    .filter((member) => isPropertySignature(member) || isMethodSignature(member))
    .map((member) => ({
      name: member.name.getText(),
      mayBeLeftOut: member.questionToken !== undefined,
      comment: getJSDocCommentsAndTags(member)
        .map((node) => (typeof node.comment === 'object' ? getTextOfJSDocComment(node.comment) : node.comment))
        .join(' '),
    }))

const ownOptions = (name: string): Option[] => optionsIn(declared.get(name) as InterfaceDeclaration)

/** How a comment tells the unit of an option whose name ends so. */
const units = { Bytes: /\bbytes\b|\b[KMG]iB\b/i, Ms: /\bmilliseconds\b/, Percent: /\bpercent\b/ }

describe('every option of the surface', () => {
  test('has a row in a table of its interface, or is named on a page', () => {
    expect(interfaces).toContain('MachineBudgetOptions')
    const text = pages.map(([, page]) => page).join('\n')
    const inTables = new Set(
      [...text.matchAll(/^<!-- options: ([\w ]+)(?:, .+)? -->$/gm)].flatMap(([, names = '']) => names.split(' ')),
    )
    expect(inTables.size).toBeGreaterThan(20)
    const others = interfaces.filter((name) => !inTables.has(name)).flatMap(ownOptions)
    const missing = others.filter(({ name }) => !new RegExp(`[\`{ ]${name}\\b[^|\\n]*\``).test(text))
    expect(missing).toEqual([])
  })

  // These are what a command line said: what is not there it did not say.
  const told = interfaces.filter((name) => name !== 'LlamaOptions')

  test.each(told)('of %s tells its default and its unit', (name) => {
    const unsaid = ownOptions(name).filter(({ name: option, mayBeLeftOut, comment }) => {
      const [, unit] = Object.entries(units).find(([ending]) => option.endsWith(ending)) ?? []
      return (mayBeLeftOut && !/\bdefault\b/.test(comment)) || unit?.test(comment) === false
    })
    expect(unsaid).toEqual([])
  })
})

describe('the generator', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-tables-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  beforeEach(() => mkdirSync(join(folder, 'docs')))
  afterEach(() => rmSync(join(folder, 'docs'), { recursive: true }))

  const page = (name: string): string => readFileSync(join(folder, 'docs', name), 'utf8')

  /** Writes declarations and pages. A comment belongs to what follows it on a line of its own. */
  function write(declarations: string, pages: Record<string, string> = {}): void {
    writeFileSync(join(folder, 'index.d.ts'), declarations.replaceAll('/**', '\n/**'))
    for (const [name, text] of Object.entries(pages)) writeFileSync(join(folder, 'docs', name), text)
  }

  const run = (...args: string[]) => runNode([SCRIPT, ...args, folder])

  /** The rows that it writes for interfaces, on a page of their own. */
  function rowsOf(names: string, declarations: string, pages: Record<string, string> = {}): string[] {
    const [head, line, ...rows] = linesOf(names, declarations, pages)
    expect([head, line]).toEqual(['| option | type | meaning |', '|---|---|---|'])
    return rows
  }

  /** All lines that it writes for them. */
  function linesOf(names: string, declarations: string, pages: Record<string, string> = {}): string[] {
    const marked = `# A page\n\n<!-- options: ${names} -->\n<!-- end of options -->\n\nThe end.\n`
    write(declarations, { 'page.md': marked, ...pages })
    const { status, stderr } = run()
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const text = page('page.md')
    const [, written = ''] =
      /^# A page\n\n<!-- options: [^\n]* -->\n\n(\|[\s\S]*[|.])\n\n<!-- end of options -->\n\nThe end\.\n$/.exec(
        text,
      ) ?? []
    return written.split('\n')
  }

  test('writes what is inherited behind what is not, and each once', () => {
    const declarations = `
      interface Base { /** The least. 0 by default. */ least?: number }
      interface Left extends Base { /** On the left. */ left: string }
      interface Right extends Base { /** On the right. */ right: string }
      export interface All extends Left, Right {
        /**
         * All of it,
         * however long.
         *
         * And more. None by default.
         */
        all?: boolean
      }`
    expect(rowsOf('All', declarations)).toEqual([
      '| `all` | `boolean` | All of it, however long. And more. None by default. |',
      '| `left` | `string`, must be given | On the left. |',
      '| `least` | `number` | The least. 0 by default. |',
      '| `right` | `string`, must be given | On the right. |',
    ])
  })

  test('has what one says anew in its words', () => {
    const declarations = `
      interface Base { /** The least. 0 by default. */ least?: number; /** The most. */ most: number }
      interface Own extends Base { /** The least, which is chosen. */ least?: 1 | 2 }`
    expect(rowsOf('Own', declarations)).toEqual([
      '| `least` | `1` or `2` | The least, which is chosen. |',
      '| `most` | `number`, must be given | The most. |',
    ])
  })

  test('takes interfaces that are named together for alternatives', () => {
    const declarations = `
      interface Common { /** Whose it is. */ owner: string }
      interface Here extends Common { /** What is filled. */ into?: Uint8Array }
      interface There extends Common { /** What is written. */ into: Place; /** From where on. */ offset?: number }`
    expect(rowsOf('Here There', declarations)).toEqual([
      '| `into` | `Uint8Array` | What is filled. |',
      '| `into` | `Place` | What is written. |',
      '| `offset` | `number` | From where on. |',
      '| `owner` | `string`, must be given | Whose it is. |',
    ])
  })

  test('has one row for which kind is meant, and says which options belong to which', () => {
    const declarations = `
      interface Common { /** Whose it is. */ owner: string }
      interface ByPath extends Common { /** One of a path. */ kind: 'path'; /** Where. */ path: string; /** How. */ mode?: number }
      interface Empty extends Common { /** One of nothing. */ kind: 'empty' }`
    expect(rowsOf('ByPath Empty', declarations)).toEqual([
      "| `kind` | `'path'` or `'empty'`, must be given | `'path'`: One of a path. `'empty'`: One of nothing. |",
      "| `path` | `string`, must be given with `'path'` | Where. |",
      "| `mode` | `number`, with `'path'` | How. |",
      '| `owner` | `string`, must be given | Whose it is. |',
    ])
  })

  test('leaves out those of another interface, with a link to its table and what is missing of it', () => {
    const declarations = `
      interface Fixed { /** One. */ one?: string; /** Two. */ two?: string; /** Three. */ three?: string }
      interface Whole extends Fixed { /** Four. */ four?: string; /** Five. */ five?: string }
      interface Chosen extends Fixed { /** Two, chosen. */ two?: string; /** Six. */ six?: string }`
    const whole = '# A model\n\n## All of it\n\n<!-- options: Whole -->\n<!-- end of options -->\n'
    expect(linesOf('Chosen, but those of Whole', declarations, { 'whole.md': whole })).toEqual([
      '| option | type | meaning |',
      '|---|---|---|',
      '| `two` | `string` | Two, chosen. |',
      '| `six` | `string` | Six. |',
      '',
      'And those of [`Whole`](whole.md#all-of-it), but for `four` and `five`.',
    ])
    const all = '# A model\n\n## All of it\n\n<!-- options: Fixed, as keys -->\n<!-- end of options -->\n'
    expect(linesOf('Whole, but those of Fixed, as keys', declarations, { 'fixed.md': all })).toEqual([
      '| key | type | meaning |',
      '|---|---|---|',
      '| `four` | `string` | Four. |',
      '| `five` | `string` | Five. |',
      '',
      'And those of [`Fixed`](fixed.md#all-of-it).',
    ])
  })

  test('tells the parts of unions, and what stands for a parameter or a short alias', () => {
    const letters = [...'abcdefghi'].map((letter) => `'${letter}'`).join(' | ')
    const declarations = `
      declare const forms: { readonly raw: 1; readonly f32: 2 }
      type Form = keyof typeof forms
      type Mode = 'read' | 'map'
      type Letter = ${letters}
      type Told = (what: string) => unknown
      interface Options<As extends Form = Form> {
        /** The form. */ as?: As
        /** Modes. */ modes?: Mode | readonly Mode[] | false
        /** Letter. */ letter?: Letter
        /** Told. */ told?: Told
        /** Asked. */ asked?(what: string, many?: number): boolean
        /** Limits. */ limits?: { /** In bytes. */ one?: number; /** In bytes. */ two?: number; }
      }`
    expect(rowsOf('Options', declarations)).toEqual([
      "| `as` | `'raw'` or `'f32'` | The form. |",
      "| `modes` | `'read'`, `'map'`, `readonly Mode[]` or `false` | Modes. |",
      '| `letter` | `Letter` | Letter. |',
      '| `told` | `(what: string) => unknown` | Told. |',
      '| `asked` | `(what: string, many?: number) => boolean` | Asked. |',
      '| `limits` | `{ one?: number; two?: number }` | Limits. |',
    ])
  })

  test('keeps pipes out of the way of the table', () => {
    const declarations = 'interface Options { /** `a|b`, or a|b. */ pick: (one: string | number) => void }'
    expect(rowsOf('Options', declarations)).toEqual([
      '| `pick` | `(one: string \\| number) => void`, must be given | `a\\|b`, or a\\|b. |',
    ])
  })

  test('links to the section about a name, or has its code', () => {
    const declarations = `
      interface Options {
        /** By {@link detect}, {@link detect | finding it}, {@link Pool.get}, {@link Pool.size}, {@link Pool.none} or {@link Nobody.knows}. */
        found: string
        /** As of {@link OtherOptions}; see {@link Marked}. */
        pool?: Pool | 'none'
      }`
    const other = `# The system

      ## \`detect([options])\`

      ## \`new Pool([options])\`

      It has a \`size\`.

      ### \`pool.get(bytes)\`

      ## Others

      <!-- options: OtherOptions -->
      <!-- end of options -->

      ## Twice

      ## Twice

      <!-- about: Marked Options.pool -->
    `.replaceAll(/^ +/gm, '')
    const more = `${declarations}\ninterface OtherOptions { /** Other. */ other: string }`
    expect(rowsOf('Options', more, { 'system.md': other })).toEqual([
      '| `found` | `string`, must be given | By [`detect`](system.md#detectoptions), [finding it](system.md#detectoptions), ' +
        '[`Pool.get`](system.md#poolgetbytes), [`Pool.size`](system.md#new-pooloptions), `Pool.none` or `Nobody.knows`. |',
      "| [`pool`](system.md#twice-1) | [`Pool`](system.md#new-pooloptions) or `'none'` | As of [`OtherOptions`](system.md#others); " +
        'see [`Marked`](system.md#twice-1). |',
    ])
    expect(page('system.md')).toContain('| `other` | `string`, must be given | Other. |')
  })

  test('writes the options of a verb, and the list of verbs', () => {
    write('', {
      'page.md': [
        '# Verbs\n\n<!-- verbs of the command line -->\n<!-- end of options -->\n',
        '## `plimsoll load FILE`\n\n<!-- options of the command line: load -->\n<!-- end of options -->\n',
        '## `plimsoll ledger`\n\n<!-- options of the command line: ledger -->\n<!-- end of options -->\n',
      ].join('\n'),
    })
    expect(run()).toMatchObject({ stderr: '' })
    expect(page('page.md')).toContain('| [`load FILE`](#plimsoll-load-file) | stream every tensor')
    expect(page('page.md')).toContain('| `--as raw\\|f32\\|f16\\|bf16` | the form of the data (raw) |')
    expect(page('page.md')).toContain('| `--tensor NAME` ... | load only this tensor')
    expect(page('page.md')).toContain('| `-w`, `--watch` | go on showing it, until q or Ctrl-C |')
  })

  test('with --check it writes nothing, says which page differs and what to run, and fails', () => {
    rowsOf('Options', 'interface Options { /** One. */ one: string }', { 'other.md': '# Nothing\n' })
    expect(run('--check')).toMatchObject({ status: 0, stdout: '', stderr: '' })
    write('interface Options { /** Two. */ one: string }')
    const before = page('page.md')
    const { status, stderr } = run('--check')
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'docs/page.md: a table of options is not as its comments have it: run npm run docs:tables\n',
    })
    expect(page('page.md')).toBe(before)
    expect(run()).toMatchObject({ status: 0, stdout: 'docs/page.md\n' })
    expect(run('--check')).toMatchObject({ status: 0 })
  })

  test.each([
    [
      '<!-- options: Nobody -->\n<!-- end of options -->\n',
      'expected the declarations to have an interface Nobody, got none',
    ],
    [
      '<!-- options: Options, but those of Other -->\n<!-- end of options -->\n',
      'expected Options to have options of Other, got none',
    ],
    [
      '<!-- options: Options, but those of Options -->\n<!-- end of options -->\n',
      'expected a section about Options, got none',
    ],
    [
      '<!-- options: Options, and more -->\n<!-- end of options -->\n',
      'expected names of interfaces, got "Options, and more"',
    ],
    ['<!-- options: Options -->\n', 'expected "<!-- end of options -->" behind "<!-- options: Options -->"'],
    [
      '<!-- options: Options -->\n<!-- options: Options -->\n<!-- end of options -->\n',
      'expected "<!-- end of options -->" behind "<!-- options: Options -->"',
    ],
    [
      '<!-- options of the command line: nothing -->\n<!-- end of options -->\n',
      'expected the command line to have a verb "nothing", got none',
    ],
  ])('refuses %j', (text, message) => {
    const declarations = 'interface Options { /** One. */ one: string }\ninterface Other { /** Two. */ two: string }'
    write(declarations, { 'page.md': text })
    expect(run()).toMatchObject({ status: 1, stderr: `docs/page.md: ${message}\n` })
    expect(page('page.md')).toBe(text)
  })
})
