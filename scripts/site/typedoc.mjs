// What the site is made of; see https://typedoc.org/options.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** The pages of a folder in the order in which the first of them, `docs/README.md`, speaks of them. */
function pagesIn(folder) {
  const contents = readFileSync(join(root, 'docs/README.md'), 'utf8')
  const place = (path) => contents.indexOf(`](${relative(join(root, 'docs'), path)})`)
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(root, folder, name))
    .sort((one, other) => place(one) - place(other))
}

/** Names that a comment has no page to link to: what tells the type of an exported one, and a class's own parts. */
const intentionallyNotExported = [
  'lib/addon/native.ts:fitAxes',
  'lib/addon/native.ts:kvTypes',
  'lib/addon/native.ts:llamaCppVersions',
  'lib/addon/native.ts:planModes',
  'lib/addon/native.ts:processors',
  'lib/addon/native.ts:runtimes',
  'lib/blackbox/black-box.ts:noteKinds',
  'lib/device/buffer.ts:BufferState',
  'lib/http/middleware.ts:FastifyLike',
  'lib/llama/llama-types.ts:LlamaContextOptionsLike',
  'lib/llama/llama-types.ts:LlamaModelOptionsLike',
  'lib/loader/output.ts:outputs',
  'lib/metrics/opentelemetry.ts:Create',
  'lib/monitor/events.ts:UsualEvent',
  'lib/support/arrays.ts:Bytes',
  'lib/support/arrays.ts:Floats',
  'lib/support/arrays.ts:HalfFloats',
  'lib/support/arrays.ts:Numbers',
  'lib/support/internal.ts:internal',
]

/** typedoc makes a heading's anchor of its text alone: the code in it is text too. */
function markdownItLoader(parser) {
  parser.core.ruler.push('code-in-headings', ({ tokens, Token }) => {
    const headings = tokens.filter((_, index) => tokens[index - 1]?.type === 'heading_open')
    for (const code of headings.flatMap(({ children }) => children).filter(({ type }) => type === 'code_inline')) {
      code.children = [Object.assign(new Token('text', '', 0), { content: code.content })]
    }
  })
}

/** @type {Partial<import('typedoc').TypeDocOptions>} */
export default {
  name: 'plimsoll',
  entryPoints: ['index', 'http/index', 'metrics/index', 'dashboard/index', 'report/index', 'llama/index'].map((entry) =>
    join(root, `lib/${entry}.ts`),
  ),
  tsconfig: join(root, 'lib/tsconfig.json'),
  plugin: [join(root, 'scripts/site/plugin.mjs')],
  markdownItLoader,
  readme: join(root, 'README.md'),
  projectDocuments: [
    ...pagesIn('docs/guides'),
    ...pagesIn('docs'),
    ...['ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'fuzz/README.md'].map((name) =>
      join(root, name),
    ),
  ],
  router: 'files',
  out: join(root, 'build/site'),
  customCss: join(root, 'scripts/site/site.css'),
  cacheBust: true,
  githubPages: false,
  includeVersion: true,
  disableGit: true,
  highlightLanguages: [
    'bash',
    'c',
    'console',
    'css',
    'html',
    'javascript',
    'json',
    'rust',
    'shellscript',
    'typescript',
    'xml',
    'yaml',
  ],
  ignoredHighlightLanguages: ['rust,no_run'],
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  sort: ['source-order'],
  sortEntryPoints: false,
  searchInDocuments: true,
  navigation: { includeCategories: false, includeGroups: true, includeFolders: false },
  groupOrder: ['Guides', 'Pages', 'Project', 'Modules', '*'],
  intentionallyNotExported,
  // A setter's comment is that of its getter.
  requiredToBeDocumented: [
    'Enum',
    'EnumMember',
    'Variable',
    'Function',
    'Class',
    'Interface',
    'Property',
    'Method',
    'GetSignature',
    'TypeAlias',
  ],
  validation: {
    notExported: true,
    invalidLink: true,
    invalidPath: true,
    rewrittenLink: true,
    notDocumented: true,
    unusedMergeModuleWith: true,
  },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
}
