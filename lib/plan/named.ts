import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkCommands } from './commands.js'
import type { IssueList, Keys } from './issues.js'
import type { Exact, Plan, PlanInstance } from './types.js'

/** Where a plan names the model of an instance: there, or for all of them. */
export const modelKeys = (plan: Exact<Plan>, id: string): Keys =>
  Object.hasOwn(plan.instances?.[id] ?? {}, 'model') ? ['instances', id, 'model'] : ['model']

/** Checks that the files of an instance are there; returns whether they are. */
export function checkFiles(
  plan: Exact<Plan>,
  id: string,
  instance: Exact<PlanInstance>,
  folder: string,
  issues: IssueList,
): boolean {
  const own: Keys = ['instances', id]
  const files: [Keys, string | undefined][] = [
    [modelKeys(plan, id), instance.model ?? plan.model],
    [[...own, 'mmproj'], instance.mmproj],
    [[...own, 'draft'], instance.draft],
    ...(instance.loras ?? []).map((path): [Keys, string] => [[...own, 'loras'], path]),
  ]
  const missing = files.filter(([, path]) => path !== undefined && !isFile(resolve(folder, path)))
  for (const [where, path] of missing) {
    issues.add(
      'missing-model',
      where,
      `expected ${where.join('.')} to be a file that is there, got ${JSON.stringify(path)}`,
    )
  }
  return missing.length === 0
}

/** Checks what a plan names, as far as it could be read: whoever mends the rest hears of that, too. */
export function checkNamed(plan: Exact<Plan>, folder: string, issues: IssueList): void {
  const instances = Object.entries(plan.instances ?? {})
  const isRefused = (id: string) => issues.all.some(({ key }) => key?.startsWith(`instances.${id}.command`))
  checkCommands(Object.fromEntries(instances.filter(([id]) => !isRefused(id))), folder, issues)
  for (const [id, instance] of instances) checkFiles(plan, id, instance, folder, issues)
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}
