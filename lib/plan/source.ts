import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Range,
  visit,
} from 'yaml'
import * as check from '../support/check.js'
import { readError } from '../support/errors.js'
import { IssueList, type Keys } from './issues.js'
import { checkNamed } from './named.js'
import { SchemaReader } from './schema.js'
import type { Plan } from './types.js'

/** More than any plan has, and read in no time. */
const MAX_BYTES = 256 * 1024

/** How deep a plan may nest; the deepest that means something is 4. */
const MAX_DEPTH = 32

/** Faults of a text that are told at most. */
const MAX_TOLD = 100

/** Values that all aliases together may stand for: a few lines of them can stand for billions. */
const MAX_ALIASED = 100

/** The text that a plan was read from. */
export class PlanSource {
  /** The file, if it is one. */
  readonly path: string | undefined
  readonly text: string
  readonly document: Document
  readonly #lines: LineCounter

  constructor(path: string | undefined, text: string, document: Document, lines: LineCounter) {
    this.path = path
    this.text = text
    this.document = document
    this.#lines = lines
  }

  /** The folder that paths are seen from. */
  get folder(): string {
    return this.path === undefined ? '.' : dirname(this.path)
  }

  /** Whether it is written as JSON. */
  get isJson(): boolean {
    return (
      /\.json$/i.test(this.path ?? '') || (this.document.contents?.range?.[0] === 0 && isFlow(this.document.contents))
    )
  }

  /** The line of what is at that place, or of what it would be in. */
  lineOf(keys: Keys): number | undefined {
    let node: unknown = this.document.contents
    let at = isNode(node) ? node.range?.[0] : undefined
    for (const key of keys) {
      const found = entryOf(node, key, this.document)
      if (!found) break
      at = found.at ?? at
      node = found.value
    }
    return at === undefined ? undefined : this.line(at)
  }

  line(offset: number): number {
    return this.#lines.linePos(offset).line
  }
}

const isFlow = (node: Node | null): boolean => (isMap(node) || isSeq(node)) && node.flow === true

/** What a node has under a key, and where. */
function entryOf(
  node: unknown,
  key: string,
  document: Document,
): { value: unknown; at: number | undefined } | undefined {
  const resolved = isAlias(node) ? node.resolve(document) : node
  if (isMap(resolved)) {
    // Of two of one name the last one counts.
    const pair = resolved.items.findLast((item) => isScalar(item.key) && String(item.key.value) === key)
    return pair && { value: pair.value, at: isScalar(pair.key) ? pair.key.range?.[0] : undefined }
  }
  if (!isSeq(resolved)) return undefined
  const value = resolved.items[Number(key)]
  return value === undefined ? undefined : { value, at: isNode(value) ? value.range?.[0] : undefined }
}

/** The texts of plans that were read, by the plan. */
const sources = new WeakMap<object, PlanSource>()

/** What a plan was read from, if it was. */
export const sourceOf = (plan: unknown): PlanSource | undefined =>
  check.isObject(plan) ? sources.get(plan) : undefined

/** What {@link parsePlan} takes. */
export interface ParsePlanOptions {
  /** The file that it comes from: what errors call it, and whose folder paths in it are seen from. None by default. */
  path?: string
}

/**
 * Reads a plan in YAML or JSON, and checks it against the schema. Models and commands are looked for by {@link validatePlan}, which
 * knows the lines of what this returns; and here, too, where something is wrong, so that all is told at once.
 *
 * @throws {@link InvalidPlanError} for what is no YAML or no plan, with all issues and their lines.
 * @throws {@link InvalidArgumentError} for what is no text.
 * @example
 * const plan = parsePlan('instances: { chat: { model: chat.gguf, limitBytes: 6GiB } }')
 */
export function parsePlan(text: string, options?: ParsePlanOptions): Plan {
  const checked = check.string('text', text)
  const { path } = check.options<ParsePlanOptions>(options, { path: check.filePath })
  const issues = new IssueList(undefined)
  if (checked.length > MAX_BYTES) {
    issues.add('syntax', [], `expected a text of at most ${MAX_BYTES} characters, got ${checked.length}`)
    issues.throwIfAny()
  }
  return planOf(parsed(checked, path))
}

/**
 * Reads a plan from a file in YAML or JSON: see {@link parsePlan}.
 *
 * @throws {@link IoError} when the file cannot be read.
 * @throws {@link InvalidPlanError} as of {@link parsePlan}.
 */
export function readPlan(path: string | URL): Plan {
  const file = check.filePath('path', path)
  return parsePlan(textOf(file, 'a plan'), { path: file })
}

/** What a file in YAML or JSON says that is no plan, and where to note what is wrong with it. */
export function readConfiguration(path: string): { content: unknown; issues: IssueList } {
  const { source, issues } = parsed(textOf(path, 'a configuration'), path, 'the configuration')
  const content = contentOf(source, issues)
  issues.throwIfAny()
  return { content, issues }
}

function textOf(file: string, what: string): string {
  try {
    const stats = statSync(file)
    if (!stats.isFile()) throw new Error('no file')
    if (stats.size > MAX_BYTES) throw new Error(`${stats.size} bytes, more than ${MAX_BYTES}`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw readError(file, `${what} in YAML or JSON that can be read`, error)
  }
}

function planOf({ source, issues }: Parsed): Plan {
  const plan = new SchemaReader(issues).plan(contentOf(source, issues))
  // All that is wrong is told at once.
  if (issues.count > 0) checkNamed(plan, source.folder, issues)
  issues.throwIfAny()
  sources.set(plan, source)
  return plan
}

/** A text that was read, and what is wrong with it that need not end its reading. */
interface Parsed {
  readonly source: PlanSource
  readonly issues: IssueList
}

/** The document of a text; what is no YAML is told with its lines. */
function parsed(text: string, path: string | undefined, what?: string): Parsed {
  const lines = new LineCounter()
  const failed = (message: string, line?: number): never => {
    const issues = new IssueList(path === undefined ? undefined : new PlanSource(path, '', parseDocument(''), lines))
    issues.add('syntax', [], message, line === undefined ? {} : { line })
    issues.throwIfAny()
    throw new Error(message)
  }
  if (depthOf(text) > MAX_DEPTH) return failed(`expected brackets of at most ${MAX_DEPTH} in each other, got more`)
  let document: Document
  try {
    const options = { prettyErrors: false, stringKeys: true, merge: true, logLevel: 'error' } as const
    // Names that come twice are looked for here: the library compares each with each.
    document = parseDocument(text, { ...options, lineCounter: lines, uniqueKeys: false })
  } catch (error) {
    return failed(`expected YAML or JSON, got: ${(error as Error).message}`)
  }
  const source = new PlanSource(path, text, document, lines)
  const issues = new IssueList(source, what)
  for (const { message, pos } of document.errors.slice(0, MAX_TOLD)) {
    issues.add('syntax', [], `expected YAML or JSON, got: ${message}`, { line: source.line(pos[0]) })
  }
  checkNodes(source, issues)
  if (issues.all.some(({ kind }) => kind === 'syntax')) issues.throwIfAny()
  return { source, issues }
}

/** Names that come twice in one place, aliases and merges of what is not there, and more aliases than a plan has. */
function checkNodes(source: PlanSource, issues: IssueList): void {
  let aliasCount = 0
  const lineAt = ({ range }: { range?: Range | null | undefined }) => (range ? { line: source.line(range[0]) } : {})
  visit(source.document, {
    Map: (_, map) => {
      const names = new Set<string>()
      for (const { key, value } of map.items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        const line = lineAt(key)
        if (key.source === '<<' && !isMerged(value, source.document))
          issues.add(
            'syntax',
            [],
            'expected << to have an alias of a map, or several in a list, got something else',
            line,
          )
        if (names.has(name))
          issues.add('duplicate-name', [], `expected each name once, got ${JSON.stringify(name)} twice`, line)
        names.add(name)
      }
      return issues.count < MAX_TOLD ? undefined : visit.BREAK
    },
    Alias: (_, alias) => {
      aliasCount += 1
      if (!alias.resolve(source.document))
        issues.add('syntax', [], `expected an anchor &${alias.source} before its alias, got none`, lineAt(alias))
      if (aliasCount <= MAX_ALIASED) return issues.count < MAX_TOLD ? undefined : visit.BREAK
      issues.add('syntax', [], `expected at most ${MAX_ALIASED} aliases, got more`)
      return visit.BREAK
    },
  })
}

/** Whether it is what a key `<<` takes; an alias of nothing is told of as such. */
function isMerged(value: unknown, document: Document): boolean {
  const found = (node: unknown) => (isAlias(node) ? (node.resolve(document) ?? node) : node)
  const isOne = (node: unknown) => isMap(found(node)) || isAlias(found(node))
  const resolved = found(value)
  return isOne(resolved) || (isSeq(resolved) && resolved.items.every(isOne))
}

/** How deep the brackets of a text lie in each other at most, and how deep its lists in lists: parsing takes the stack for each. */
function depthOf(text: string): number {
  let [depth, deepest] = [0, 0]
  for (const letter of text) {
    if (letter === '[' || letter === '{') deepest = Math.max(deepest, ++depth)
    else if (letter === ']' || letter === '}') depth = Math.max(depth - 1, 0)
  }
  const dashes = /(?:[-?] ){33}/.test(text) ? MAX_DEPTH + 1 : 0
  return Math.max(deepest, dashes)
}

function contentOf(source: PlanSource, issues: IssueList): unknown {
  try {
    return source.document.toJS({ maxAliasCount: MAX_ALIASED })
  } catch (error) {
    issues.add(
      'syntax',
      [],
      `expected aliases that stand for at most ${MAX_ALIASED} values, got: ${(error as Error).message}`,
    )
    issues.throwIfAny()
    throw error
  }
}
