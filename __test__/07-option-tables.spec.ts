import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
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
import { root } from './helpers/child'

const read = (path: string): string => readFileSync(resolve(root, path), 'utf8')

/** An option as `index.d.ts` has it: its name, and the clause of its comment that tells its default. */
interface Option {
  name: string
  says: string | undefined
}

const declared = new Map(
  ['index.d.ts', 'http.d.ts', 'metrics.d.ts', 'dashboard.d.ts'].flatMap((path) =>
    createSourceFile(path, read(path), ScriptTarget.Latest, true)
      .statements.filter(isInterfaceDeclaration)
      .map((declaration) => [declaration.name.text, declaration] as const),
  ),
)

/** The options of an interface, those that it inherits first. */
function optionsOf(name: string): Option[] {
  const declaration = declared.get(name)
  if (declaration === undefined) throw new Error(`expected index.d.ts to declare ${name}`)
  return [...parents(declaration).flatMap(optionsOf), ...own(declaration)]
}

const parents = ({ heritageClauses }: InterfaceDeclaration): string[] =>
  [...(heritageClauses ?? [])].flatMap(({ types }) => types.map(({ expression }) => expression.getText()))

const own = ({ members }: InterfaceDeclaration): Option[] =>
  members
    .filter((member) => isPropertySignature(member) || isMethodSignature(member))
    .map((member) => {
      const comment = getJSDocCommentsAndTags(member)
        .map((node) => (typeof node.comment === 'object' ? getTextOfJSDocComment(node.comment) : node.comment))
        .join(' ')
        .replaceAll(/\s+/g, ' ')
      return {
        name: member.name.getText(),
        says: comment.split(/(?<=[.;:]) /).find((part) => /\bdefault\b/i.test(part)),
      }
    })

/** A table of options on a page. */
interface Table {
  /** The page and the heading above it. */
  place: string
  rows: { names: string[]; defaults: string[] }[]
}

/** The pages about the package; the options of the command line are those of its help. */
const pages = readdirSync(resolve(root, 'docs')).filter((page) => page.endsWith('.md') && page !== 'command-line.md')

const tables = pages.flatMap((page): Table[] => {
  let heading = page
  const found: Table[] = []
  const lines = read(`docs/${page}`).split('\n')
  for (const [index, line] of lines.entries()) {
    heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
    const head = cells(line)
    const column = head.findIndex((cell) => /^options?$/.test(cell))
    if (column === -1 || !/^\|[-|]+$/.test(lines[index + 1] ?? '')) continue
    const body = lines.slice(index + 2)
    const rows = body
      .slice(
        0,
        body.findIndex((row) => !row.startsWith('|')),
      )
      .map(cells)
    found.push({
      place: `${page}: ${heading.replaceAll('`', '')}`,
      rows: rows.flatMap((row) => {
        const names = [...(row[column] as string).matchAll(/`(\w+)(?:\([\w, ]*\))?`/g)].map(
          ([, name]) => name as string,
        )
        const told = row[head.indexOf('default')] ?? ''
        const each = told.split(', ')
        return names.length === 0
          ? []
          : [{ names, defaults: each.length === names.length ? each : names.map(() => told) }]
      }),
    })
  }
  return found
})

function cells(line: string): string[] {
  return line.startsWith('|')
    ? line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
    : []
}

/** What each table is about. */
const subjects: Record<string, string[]> = {
  'admission.md: manager.acquire(requests, [options])': ['AcquireOptions'],
  'blackbox.md: blackBox.start([options])': ['BlackBoxOptions'],
  'budgets.md: MemoryBudget.forThisMachine([options])': ['MachineBudgetOptions', 'ProcessOptions'],
  'staging.md: new StagingPool([options])': ['StagingPoolOptions'],
  'estimation.md: estimate(model, [options])': ['EstimateOptions'],
  'estimation.md: fit(model, budget, [options])': ['FitOptions'],
  'ledger.md: shared': ['LedgerOptions'],
  'gguf.md: GgufFile.open(path, [options])': ['OpenOptions'],
  'gguf.md: GgufFile.openUrl(url, [options])': ['OpenUrlOptions'],
  'loading.md: model.stream([options])': ['StreamOptions'],
  'loading.md: model.createReadStream(tensor, [options])': ['ReadStreamOptions'],
  'loading.md: model.load(name, [options])': ['LoadIntoOptions'],
  'loading.md: model.loadAll([options])': ['LoadAllIntoOptions'],
  'manager.md: new MemoryManager([options])': ['MemoryManagerOptions'],
  'adapters.md: memoryPressure(options)': ['MemoryPressureOptions'],
  'tokens.md: new TokenBudget(options)': ['TokenBudgetOptions'],
  'tokens.md: PageStore.create(options)': ['PageStoreOptions'],
  'dashboard.md: serveDashboard([options])': ['DashboardOptions'],
  'metrics.md: What is read': ['MetricsOptions'],
  'monitor.md: monitor.start([options])': ['MonitorOptions'],
  'plans.md: checkBeforeLoad(file, [options])': ['LoadCheckOptions'],
  'pools.md: Device.open([choice])': [
    'HostDeviceOptions',
    'DmaHeapDeviceOptions',
    'UdmabufDeviceOptions',
    'CudaDeviceOptions',
    'RknpuDeviceOptions',
  ],
  'pools.md: MemoryPool.create([options])': ['MemoryPoolOptions'],
  'pools.md: pool.allocate(bytes, [options])': ['PoolBufferOptions'],
  'pools.md: Defragmentation': ['DefragmentOptions'],
  'process-memory.md: processes([options])': ['ProcessesOptions'],
  'profiling.md: Starting and stopping': ['ProfileOptions'],
  'system.md: budget.headroom([options])': ['HeadroomOptions'],
}

/** Options of the Rust crate. */
const ofRust = ['devices.md: host']

/** Stand for no default: there is none of it, or nothing happens. */
const nothing = ['none', 'no', 'false', '0', "''"]

/** What of a default can be compared: code, words of JavaScript's, numbers with their units. */
function values(text: string): string[] {
  const found = text.match(/`[^`]+`|\b(?:true|false|none|no)\b|\d[\d,]*(?: (?:[KMG]iB|%))?/gi) ?? []
  return found.map((value) => plain(value)).map((value) => (nothing.includes(value) ? 'nothing' : value))
}

const plain = (text: string): string => text.replaceAll(/[`,]/g, '').toLowerCase()

/** The default by the clause of a comment: what stands before the word, as in "15 by default". */
const defaultSaid = (says: string | undefined): string => (says ?? 'none').replace(/\bdefault\b.*$/i, '')

test('every table of options is about one of the surface, and is found', () => {
  const places = tables.map(({ place }) => place).filter((place) => !ofRust.includes(place))
  expect(places.sort()).toEqual(Object.keys(subjects).sort())
})

describe.each(tables.filter(({ place }) => place in subjects).map(({ place, rows }) => [place, rows] as const))(
  '%s',
  (place, rows) => {
    const options = (subjects[place] as string[]).flatMap(optionsOf).filter(({ name }) => name !== 'kind')

    test('has every option, and no other', () => {
      expect(rows.flatMap(({ names }) => names).sort()).toEqual(options.map(({ name }) => name).sort())
    })

    const told = rows.flatMap(({ names, defaults }) =>
      names.map((name, index) => [name, defaults[index] as string] as const),
    )

    test.each(told.filter(([, cell]) => cell !== ''))(
      'says the default of %s as its comment does: %s',
      (name, cell) => {
        const said = defaultSaid(options.find((option) => option.name === name)?.says)
        const [onPage, inComment] = [values(cell), values(said)]
        // One of them may tell in words what the other tells as a value.
        const known = onPage.length > 0 && inComment.length > 0
        if (known) expect(onPage.sort()).toEqual(inComment.sort())
      },
    )
  },
)

test('every option of the surface is named on a page', () => {
  const text = pages.map((page) => read(`docs/${page}`)).join('\n')
  const interfaces = [...declared.keys()].filter((name) => /^(?!Native)\w*(?:Options|Limits|Numbers|Range)$/.test(name))
  expect(interfaces).toContain('MachineBudgetOptions')
  const names = interfaces
    .filter((name) => name !== 'DeviceLimits')
    .flatMap((name) => optionsOf(name).map((option) => option.name))
  expect(names.filter((name) => !new RegExp(`[\`{ ]${name}\\b[^|\\n]*\``).test(text))).toEqual([])
})
