import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'
import { type Outcome, root, startBesideOthers } from './child'
import { samplePath } from './models'

/** An example on a page: all that stands between its fences. */
export interface Example {
  /** The page and the line of the fence. */
  place: string
  language: 'js' | 'ts'
  source: string
}

/** The examples of a page. */
export function examplesOn(page: string): Example[] {
  const text = readFileSync(resolve(root, page), 'utf8')
  return [...text.matchAll(/^```(js|ts)\b.*\n([\s\S]*?)^```$/gm)].map(({ 1: language, 2: source = '', index }) => {
    const place = `${page}:${text.slice(0, index).split('\n').length}`
    return { place, language: language as Example['language'], source }
  })
}

/** What an example says that it prints: the comments behind its `console.log`s. */
export const promised = (source: string): string[] =>
  [...source.matchAll(/console\.log\(.*\) \/\/ (.+)$/gm)].map((match) => match[1] as string)

/** The same example without its types. */
const compiled = ({ language, source }: Example): string => {
  if (language === 'js') return source
  return transpileModule(source, { compilerOptions: { target: ScriptTarget.ES2022, module: ModuleKind.ESNext } })
    .outputText
}

/** A project in that folder that has the package installed, and a model. */
export function projectIn(folder: string): string {
  const project = mkdtempSync(join(folder, 'project-'))
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(root, join(project, 'node_modules/plimsoll'))
  // What a user gives to the bridges of metrics.
  for (const peer of ['prom-client', '@opentelemetry']) {
    symlinkSync(resolve(root, 'node_modules', peer), join(project, 'node_modules', peer))
  }
  symlinkSync(resolve(root, 'examples'), join(project, 'examples'))
  cpSync(samplePath, join(project, 'model.gguf'))
  return project
}

/** Runs an example in a project, to its end. */
export function runExample(example: Example, project: string, env: Record<string, string> = {}): Promise<Outcome> {
  writeFileSync(join(project, 'main.mjs'), compiled(example))
  return startBesideOthers(['main.mjs'], project, 20_000, env)
}

/** What each has come to; some at a time, as most of them wait for something. */
export async function runSome(
  examples: readonly Example[],
  run: (example: Example) => Promise<Outcome>,
): Promise<Map<Example, Outcome>> {
  const outcomes = new Map<Example, Outcome>()
  const left = examples.values()
  const runThem = async () => {
    for (const example of left) outcomes.set(example, await run(example))
  }
  await Promise.all([runThem(), runThem(), runThem()])
  return outcomes
}
