import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'

/** The addon's types become part of the entry's. */
const binding = {
  name: 'binding',
  resolveId: (source) => (source.endsWith('/binding.js') ? resolve('binding.d.ts') : null),
}

/** What the types of a subpath take from the rooms of `lib/` is in those of the entry, beside which they lie. */
const entry = {
  name: 'entry',
  resolveId: (source) => (source.startsWith('../') ? { id: './index.js', external: 'relative' } : null),
}

/** An entry of the package that is loaded when something of it is first needed. */
const lazily = (name) => `export default new Proxy({}, { get: (_, key) => require('./${name}.js')[key] })`

/**
 * The command line uses the package as any other program does, but loads it only when something of it is first needed:
 * help does not depend on the addon, and an addon that does not load is told as any other failure is.
 */
const plimsoll = {
  name: 'plimsoll',
  resolveId: (source) => {
    const [, room] = /\/(report|http|metrics|dashboard)\/index\.js$/.exec(source) ?? []
    if (room) return { id: `plimsoll/${room}`, syntheticNamedExports: true }
    return source.endsWith('/index.js') ? { id: 'plimsoll', syntheticNamedExports: true } : null
  },
  load: (id) => {
    if (id === 'plimsoll') return lazily('index')
    const [, room] = /^plimsoll\/(report|http|metrics|dashboard)$/.exec(id) ?? []
    return room ? lazily(room) : null
  },
}
/** Files carried as text: `./profile/page.css?text` in lib/report/profile.ts, from where they lie beside the source. */
const text = {
  name: 'text',
  resolveId: (source, importer) => {
    if (source.startsWith('uplot/')) return resolve('node_modules', source)
    return source.endsWith('?text') ? resolve('lib', relative('build/lib', dirname(importer)), source) : null
  },
  load: (id) =>
    id.endsWith('?text')
      ? `export default ${JSON.stringify(readFileSync(id.slice(0, -'?text'.length), 'utf8'))}`
      : null,
}

/** The examples of doc comments are in the types, where editors look; a program that loads the package reads past none. */
const EXAMPLE = /(?:\n *\*)?\n *\* @example\n(?: *\*(?!\/| @).*\n)*/g
const examples = { name: 'examples', transform: (code) => ({ code: code.replace(EXAMPLE, '\n'), map: null }) }

/** TypeScript that runs in a browser, as JavaScript; `lib/report/page/tsconfig.json` has it checked. */
const transpiled = {
  name: 'transpiled',
  resolveId: (source, importer) => importer && resolve(dirname(importer), source.replace(/\.js$/, '.ts')),
  transform: (text) => {
    const compilerOptions = { target: ScriptTarget.ES2022, module: ModuleKind.ESNext, removeComments: true }
    return { code: transpileModule(text, { compilerOptions }).outputText, map: null }
  },
}

/** The script of a page as text: `./profile/page.js?script` is what `page.ts` beside the source becomes, with all it imports. */
const script = {
  name: 'script',
  resolveId: (source, importer) =>
    source.endsWith('.js?script') ? resolve('lib', relative('build/lib', dirname(importer)), source) : null,
  load: async (id) => {
    if (!id.endsWith('.js?script')) return null
    const bundle = await rollup({ input: id.replace(/\.js\?script$/, '.ts'), plugins: [transpiled] })
    const { output } = await bundle.generate({ format: 'es' })
    return `export default ${JSON.stringify(output[0].code)}`
  },
}

/** A library that becomes part of the package, with its licence, so that installing one fetches nothing else. */
const library = resolve('node_modules/fastest-levenshtein/esm/mod.js')
const bundled = {
  name: 'bundled',
  resolveId: (source) => (source === 'fastest-levenshtein' ? library : null),
}

/** Another, in a file of its own: it is larger than the entry, and only plans in files need it. */
const yaml = resolve('node_modules/yaml/browser/index.js')
const yamlWhenNeeded = {
  name: 'yaml',
  resolveId: (source) => (source === 'yaml' ? { id: 'plimsoll/yaml', syntheticNamedExports: true } : null),
  load: (id) => (id === 'plimsoll/yaml' ? lazily('yaml') : null),
}

/** The schema of plans as a file, for editors. */
const schema = {
  name: 'schema',
  generateBundle() {
    const source = readFileSync('lib/plan/plan.schema.json', 'utf8')
    this.emitFile({ type: 'asset', fileName: 'plan.schema.json', source })
  },
}

/** What a file of `dist/` took over, and its licence. */
const libraries = [
  { name: 'fastest-levenshtein', entry: library, file: 'node_modules/fastest-levenshtein/LICENSE.md' },
  { name: 'yaml', entry: yaml, file: 'node_modules/yaml/LICENSE' },
]
const licence = ({ moduleIds }) =>
  libraries
    .filter(({ entry }) => moduleIds.includes(entry))
    .map(({ name, file }) => `/*! ${name}\n${readFileSync(file, 'utf8')}*/`)
    .join('\n')

/** What is needed by the package's entry and by another is in one file: so loading the entry loads two, whatever others need. */
function withTheEntry(id, { getModuleInfo }) {
  const [seen, entries] = [new Set(), new Set()]
  const climb = (id) => {
    if (seen.has(id)) return
    seen.add(id)
    const { isEntry, importers } = getModuleInfo(id)
    if (isEntry) entries.add(id)
    else importers.forEach(climb)
  }
  if (!getModuleInfo(id).isEntry) climb(id)
  return entries.size > 1 && entries.has(resolve('build/lib/index.js')) ? 'shared' : undefined
}

const external = [/^node:/]

export default [
  {
    // What both need, the errors above all, is there once: in a file of its own.
    input: {
      index: 'build/lib/index.js',
      report: 'build/lib/report/index.js',
      http: 'build/lib/http/index.js',
      metrics: 'build/lib/metrics/index.js',
      dashboard: 'build/lib/dashboard/index.js',
      'node-llama-cpp': 'build/lib/llama/index.js',
    },
    output: {
      dir: 'dist',
      chunkFileNames: 'shared.js',
      manualChunks: withTheEntry,
      format: 'cjs',
      banner: licence,
      generatedCode: 'es2015',
    },
    plugins: [text, script, yamlWhenNeeded, bundled, schema, examples],
    external,
  },
  {
    input: yaml,
    output: { file: 'dist/yaml.js', format: 'cjs', banner: licence, exports: 'named', generatedCode: 'es2015' },
  },
  {
    input: 'build/lib/index.d.ts',
    output: { file: 'index.d.ts', banner: '/// <reference lib="esnext.disposable" />' },
    plugins: [binding, dts()],
    external,
  },
  ...['report', 'http', 'llama', 'metrics', 'dashboard'].map((room) => ({
    input: `build/lib/${room}/index.d.ts`,
    output: { file: `${room === 'llama' ? 'node-llama-cpp' : room}.d.ts` },
    plugins: [entry, dts()],
    external,
  })),
  {
    input: 'build/lib/cli/main.js',
    output: {
      file: 'dist/cli.js',
      format: 'cjs',
      banner: (chunk) => `#!/usr/bin/env node\n${licence(chunk)}`,
      generatedCode: 'es2015',
    },
    plugins: [plimsoll, bundled, examples],
    external,
  },
]
