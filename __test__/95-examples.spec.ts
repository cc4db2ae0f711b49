import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'
import { type Outcome, root, untimedMs } from './helpers/child'
import { typeCheckAll } from './helpers/consumer'
import { type DocExample, docExamples, exported, exportedClasses } from './helpers/doc-comments'
import { type Example, projectIn, promised, runExample, runSome } from './helpers/examples'
import { fakeCuda, withFakeCuda } from './helpers/fake-cuda'
import { serving } from './helpers/model-server'
import { sampleBytes } from './helpers/models'

/** What stands around an example, by the names that it uses; each may use those before it. */
const surroundings: Record<string, string> = {
  manager: 'await using manager = new MemoryManager({ maxBytes: 3 * GiB })',
  budget: 'const { budget } = manager',
  profile: 'const { profile } = manager',
  model: "using model = GgufFile.open('model.gguf')",
  needs: 'const needs = estimate(model)',
  tokens: 'using tokens = new TokenBudget({ cost: needs, maxCacheTokens: 512 })',
  pool: "await using pool = await MemoryPool.create({ device: 'host' })",
  guarded: 'const guarded = guardLlama(await getLlama(), manager)',
  refuses: 'const refuses = memoryPressure({ manager })',
  dimensions:
    'const dimensions = { layers: 36, embedding: 2048, heads: 16, kvHeads: 2, feedForward: 11008, vocabulary: 151936 }',
  promptTokens: 'const promptTokens = [1, 2, 3]',
  prompt: "const prompt = 'Hello'",
  generate: 'const generate = async (text: string) => text',
  unload: 'const unload = (grant: Grant) => grant.release()',
  loadModel: 'const loadModel = async () => {}',
  consume: 'const consume = (..._: unknown[]) => {}',
  show: 'const show = (_: unknown) => {}',
  serve: 'const serve = (..._: unknown[]) => {}',
  server: 'const server = new EventEmitter()',
  response: 'const response = new PassThrough().resume()',
  runtime: 'const runtime = { drop: (_: string) => {} }',
  log: 'const log = { warn: (..._: unknown[]) => {} }',
  cache: 'const cache = new Map<string, unknown>()',
  bytes: 'const bytes = new Uint8Array(MiB)',
  kept: 'const kept: Float32Array[] = []',
  largest: 'let largest = 0',
  pid: 'const { pid } = process',
  app: `const app = {
    use: (_: unknown) => {},
    get: (_: string, handler: (request: unknown, response: { type(type: string): { send(text: string): void } }) => unknown) =>
      handler({}, { type: () => ({ send: () => {} }) }),
    register: async (plugin: typeof fastifyMemoryPressure, options: Parameters<typeof fastifyMemoryPressure>[1]) =>
      plugin({ decorate: () => {}, addHook: () => {} }, options),
  }`,
}

/** The same for files: what an example reads. */
const files: Record<string, string> = {
  'plan.yaml': "await writeFile('plan.yaml', 'instances: { chat: { model: model.gguf } }')",
  'pool.json': "await writeFile('pool.json', JSON.stringify(pool.snapshot()))",
  'qwen2.5-3b.rkllm': "await writeFile('qwen2.5-3b.rkllm', new Uint8Array(MiB))",
}

/** Where an example finds a model on the web. */
const A_MODEL = 'https://huggingface.co'

/** What else programs import. */
const imported: [name: string, from: string][] = [
  ...exported,
  ...['createServer'].map((name): [string, string] => [name, 'node:http']),
  ...['readFile', 'stat', 'writeFile'].map((name): [string, string] => [name, 'node:fs/promises']),
  ['EventEmitter', 'node:events'],
  ['PassThrough', 'node:stream'],
  ['pipeline', 'node:stream/promises'],
  ['getLlama', 'node-llama-cpp'],
]

const uses = (source: string, name: string): boolean =>
  new RegExp(`(?<![\\w'/]|(?<!\\.\\.)\\.)${name}\\b(?!['/-])`).test(source)

/** What a line says that its value is: `parseBytes('8GB') // 8000000000`. */
const VALUE = /^(?!const |using |await |console\.)(\S.*?\S) +\/\/ ('[^']*'|\d+|true|false|\[[\d, ]*\])$/gm

/** An example as a program: what it imports, what stands around it, and itself. */
function programOf({ source }: DocExample): string {
  const own = source.match(/^import .*$/gm) ?? []
  const body = source.replace(/^import .*$/gm, '').replace(VALUE, 'assert.deepStrictEqual($1, $2)')
  const around: string[] = []
  let used = body
  const wants = (text: string) => {
    around.unshift(text)
    used += text
  }
  for (const [file, text] of Object.entries(files)) if (body.includes(`'${file}'`)) wants(text)
  for (const [name, text] of Object.entries(surroundings).reverse()) if (uses(used, name)) wants(text)
  const imports = imported
    .filter(([name]) => uses(used, name) && !own.some((line) => uses(line, name)))
    .map(([name, from]) => `import { ${name} } from '${from}'`)
  return [...own, ...imports, "import assert from 'node:assert'", ...around, `{\n${body}\n}`, ''].join('\n')
}

const programs = docExamples.map((example): Example & { of: string } => ({
  of: example.of,
  place: example.of,
  language: 'ts',
  source: programOf(example),
}))

/** A stand-in for node-llama-cpp, which no test has: its types, and what it does. */
const llamaTypes = `
declare module 'node-llama-cpp' {
  import type { LlamaContextLike, LlamaLike, LlamaModelLike, LlamaSequenceLike } from 'plimsoll/node-llama-cpp'
  interface LlamaContext extends LlamaContextLike { getSequence(): LlamaSequenceLike }
  interface LlamaModel extends LlamaModelLike {
    createContext(options?: { contextSize?: number; sequences?: number }): Promise<LlamaContext>
  }
  interface Llama extends LlamaLike { loadModel(options: { modelPath: string }): Promise<LlamaModel> }
  function getLlama(): Promise<Llama>
}
`

function installLlama(project: string): void {
  const folder = join(project, 'node_modules/node-llama-cpp')
  mkdirSync(folder)
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'node-llama-cpp', type: 'module', main: 'index.js' }),
  )
  const source = readFileSync(resolve(root, '__test__/helpers/fake-llama.ts'), 'utf8')
  const compilerOptions = { target: ScriptTarget.ES2022, module: ModuleKind.ESNext }
  const { outputText } = transpileModule(source, { compilerOptions })
  writeFileSync(join(folder, 'index.js'), `${outputText}\nexport const getLlama = async () => new FakeLlama()\n`)
}

test('every class has an example', () => {
  expect(exportedClasses.length).toBeGreaterThan(40)
  const shown = new Set(docExamples.map(({ of }) => of))
  expect(exportedClasses.filter((name) => !shown.has(name))).toEqual([])
})

test(
  'every example passes strict type-checking',
  () => {
    const sources = programs.map(({ of, source }, index) => [
      `${index}-${of.replace(/\W/g, '-')}.ts`,
      `${source}\nexport {}\n`,
    ])
    const compilerOptions = { module: 'nodenext', target: 'es2022', lib: ['es2023'] }
    const packages = ['prom-client', '@opentelemetry']
    const written = typeCheckAll(
      { 'node-llama-cpp.d.ts': llamaTypes, ...Object.fromEntries(sources) },
      { type: 'module', nodeTypes: true, packages, compilerOptions },
    )
    expect(written).toBe('')
  },
  untimedMs,
)

describe('an example runs, and what it says of its values holds', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  let outcomes = new Map<Example, Outcome>()
  beforeAll(async () => {
    const env = { ...withFakeCuda(), PLIMSOLL_NVML_LIBRARY: fakeCuda }
    await using server = await serving(sampleBytes())
    outcomes = await runSome(programs, (example) => {
      const project = projectIn(folder)
      installLlama(project)
      return runExample({ ...example, source: example.source.replace(A_MODEL, server.origin) }, project, env)
    })
  }, untimedMs)

  test.each(programs.map((program) => [program.of, program] as const))('%s', (_of, program) => {
    const { stdout = '', ...ended } = outcomes.get(program) ?? {}
    expect(ended).toEqual({ status: 0, stderr: '' })
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(promised(program.source)))
  })
})
