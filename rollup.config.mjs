import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { dts } from 'rollup-plugin-dts'

/** The addon's loader stays a file of its own beside the entry; its types become part of the entry's. */
const binding = (types) => ({
  name: 'binding',
  resolveId: (source) =>
    source.endsWith('/binding.js') ? (types ? resolve('binding.d.ts') : { id: './binding.js', external: true }) : null,
})

/** The command line uses the package as any other program does. */
const entry = {
  name: 'entry',
  resolveId: (source) => (source.endsWith('/index.js') ? { id: './index.js', external: true } : null),
}

/** Files carried as text: `./page/page.css?text` in lib/profile/page.ts, from where they lie beside the source. */
const text = {
  name: 'text',
  resolveId: (source, importer) =>
    source.endsWith('?text') ? resolve('lib', relative('build/lib', dirname(importer)), source) : null,
  load: (id) =>
    id.endsWith('?text')
      ? `export default ${JSON.stringify(readFileSync(id.slice(0, -'?text'.length), 'utf8'))}`
      : null,
}

const external = [/^node:/, 'fastest-levenshtein']

export default [
  {
    input: 'build/lib/index.js',
    output: { file: 'index.js', format: 'cjs', generatedCode: 'es2015' },
    plugins: [binding(false), text],
    external,
  },
  {
    input: 'build/lib/index.d.ts',
    output: { file: 'index.d.ts', banner: '/// <reference lib="esnext.disposable" />' },
    plugins: [binding(true), dts()],
    external,
  },
  {
    input: 'build/lib/cli/main.js',
    output: { file: 'cli.js', format: 'cjs', banner: '#!/usr/bin/env node', generatedCode: 'es2015' },
    plugins: [entry],
    external,
  },
]
