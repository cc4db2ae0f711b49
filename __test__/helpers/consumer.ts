import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { root } from './child'
import { toolNode } from './emulation'

/** What an installed package holds that the compiler looks at. */
const shipped = [
  'package.json',
  'dist',
  'index.d.ts',
  'report.d.ts',
  'http.d.ts',
  'metrics.d.ts',
  'dashboard.d.ts',
  'node-llama-cpp.d.ts',
]

export interface Consumer {
  /** Compiler options over `strict`, `noEmit` and `skipLibCheck: false`. */
  compilerOptions: Record<string, unknown>
  /** `package.json`'s `type`. */
  type: 'module' | 'commonjs'
  /** Whether the project has `@types/node`. */
  nodeTypes: boolean
  /** Other packages that it has, of those of the checkout. */
  packages?: string[]
}

/** Type-checks a source file in a project of its own that has the package installed; returns the compiler's output. */
export const typeCheck = (source: string, consumer: Consumer): string => typeCheckAll({ 'main.ts': source }, consumer)

/** As `typeCheck`, for several files at once, by their names: the compiler starts once. */
export function typeCheckAll(
  sources: Record<string, string>,
  { compilerOptions, type, nodeTypes, packages = [] }: Consumer,
): string {
  const project = mkdtempSync(join(tmpdir(), 'plimsoll-types-'))
  try {
    const installed = join(project, 'node_modules/plimsoll')
    mkdirSync(installed, { recursive: true })
    for (const name of shipped) cpSync(resolve(root, name), join(installed, name), { recursive: true })
    if (nodeTypes) {
      mkdirSync(join(project, 'node_modules/@types'))
      symlinkSync(resolve(root, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'))
    }
    for (const name of packages) {
      symlinkSync(resolve(root, 'node_modules', name), join(project, 'node_modules', name))
    }
    const types = nodeTypes ? ['node'] : []
    const options = { strict: true, noEmit: true, skipLibCheck: false, types, ...compilerOptions }
    writeFileSync(join(project, 'package.json'), JSON.stringify({ type }))
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: Object.keys(sources) }),
    )
    for (const [name, source] of Object.entries(sources)) writeFileSync(join(project, name), source)
    const compiler = resolve(root, 'node_modules/typescript/bin/tsc')
    const { stdout, stderr, error } = spawnSync(toolNode, [compiler, '-p', project], { encoding: 'utf8' })
    // A compiler that did not run has nothing to say on stdout.
    return `${stdout}${stderr}${error ?? ''}`
  } finally {
    rmSync(project, { recursive: true })
  }
}
