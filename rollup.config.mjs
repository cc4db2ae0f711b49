import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { dts } from 'rollup-plugin-dts'

/** The addon's types become part of the entry's. */
const binding = {
  name: 'binding',
  resolveId: (source) => (source.endsWith('/binding.js') ? resolve('binding.d.ts') : null),
}

/**
 * The command line uses the package as any other program does, but loads it only when something of it is first needed:
 * help does not depend on the addon, and an addon that does not load is told as any other failure is.
 */
const plimsoll = {
  name: 'plimsoll',
  resolveId: (source) => (source.endsWith('/index.js') ? { id: 'plimsoll', syntheticNamedExports: true } : null),
  load: (id) =>
    id === 'plimsoll' ? `export default new Proxy({}, { get: (_, name) => require('./index.js')[name] })` : null,
}

/** Files carried as text: `./profile/page.css?text` in lib/report/profile.ts, from where they lie beside the source. */
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
    output: { file: 'dist/index.js', format: 'cjs', generatedCode: 'es2015' },
    plugins: [text],
    external,
  },
  {
    input: 'build/lib/index.d.ts',
    output: { file: 'index.d.ts', banner: '/// <reference lib="esnext.disposable" />' },
    plugins: [binding, dts()],
    external,
  },
  {
    input: 'build/lib/cli/main.js',
    output: { file: 'dist/cli.js', format: 'cjs', banner: '#!/usr/bin/env node', generatedCode: 'es2015' },
    plugins: [plimsoll],
    external,
  },
]
