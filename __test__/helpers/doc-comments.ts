import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import ts from 'typescript'
import { root } from './child'

/** The types of the package, each file with what a program imports it by. */
const surfaces = {
  'index.d.ts': 'plimsoll',
  'http.d.ts': 'plimsoll/http',
  'metrics.d.ts': 'plimsoll/metrics',
  'dashboard.d.ts': 'plimsoll/dashboard',
  'report.d.ts': 'plimsoll/report',
  'node-llama-cpp.d.ts': 'plimsoll/node-llama-cpp',
}

const files = Object.keys(surfaces).map((path) =>
  ts.createSourceFile(path, readFileSync(resolve(root, path), 'utf8'), ts.ScriptTarget.Latest, true),
)

/** What each entry of the package exports: values, and types where they are asked for. */
export const exported: [name: string, from: string][] = files.flatMap((file) =>
  file.statements
    .filter(ts.isExportDeclaration)
    .flatMap(({ exportClause }) => (exportClause && ts.isNamedExports(exportClause) ? [...exportClause.elements] : []))
    .map((element): [string, string] => [element.name.text, surfaces[file.fileName as keyof typeof surfaces]]),
)

/** The example of a doc comment, with whose it is: `MemoryBudget.hold`. */
export interface DocExample {
  of: string
  source: string
}

const nameOf = (node: ts.Node): string | undefined => {
  const { name } = node as { name?: ts.Node }
  if (ts.isVariableStatement(node)) return node.declarationList.declarations[0]?.name.getText()
  return name?.getText()
}

function examplesIn(node: ts.Node, within: string): DocExample[] {
  const name = nameOf(node)
  const path = name === undefined ? within : within === '' ? name : `${within}.${name}`
  const own = ts
    .getJSDocTags(node)
    .filter((tag) => tag.tagName.text === 'example' && tag.parent.parent === node)
    .map((tag) => ({ of: path, source: sourceOf(tag) }))
  const inner: DocExample[] = []
  ts.forEachChild(node, (child) => void inner.push(...examplesIn(child, path)))
  return [...own, ...inner]
}

/** The code of an example as it stands in its comment: what the compiler makes of it loses its columns. */
function sourceOf(tag: ts.JSDocTag): string {
  const text = tag.getSourceFile().text.slice(tag.pos, tag.end)
  const [, code = ''] = /@example\s*\n([\s\S]*)$/.exec(text) ?? []
  return code.replace(/^ *\* ?/gm, '').replace(/\s*\/?\s*$/, '\n')
}

/** The examples of all doc comments of the surface. */
export const docExamples: DocExample[] = files.flatMap((file) => examplesIn(file, ''))

/** The classes that the package exports. */
export const exportedClasses: string[] = files.flatMap((file) => {
  const names = new Set(
    exported.filter(([, from]) => from === surfaces[file.fileName as keyof typeof surfaces]).map(([name]) => name),
  )
  return file.statements
    .filter(ts.isClassDeclaration)
    .flatMap(({ name }) => (name && names.has(name.text) ? [name.text] : []))
})
