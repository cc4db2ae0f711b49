import * as native from '../addon/native.js'
import { MemoryBudget } from '../budget/budget.js'
import { processorOf } from '../estimate/options.js'
import * as check from '../support/check.js'
import { call, fromNative, PlimsollError } from '../support/errors.js'
import { type BoardId, boardPresets } from '../system/system.js'
import { checkCommands } from './commands.js'
import { type Sized, sizeOf } from './footprint.js'
import { IssueList, type Keys } from './issues.js'
import { checkFiles, modelKeys } from './named.js'
import { SchemaReader } from './schema.js'
import { type PlanSource, sourceOf } from './source.js'
import type { Exact, Plan, PlanInstance, PlanMode } from './types.js'

/** An instance of a plan with all that the plan says of it. */
export interface ResolvedInstance {
  readonly id: string
  readonly instance: Exact<PlanInstance>
  readonly sized: Sized
}

/** A plan that was checked: what it names is there. */
export interface ResolvedPlan {
  readonly source: PlanSource | undefined
  readonly folder: string
  readonly plan: Exact<Plan>
  readonly memory: native.NativePlanMemory
  readonly instances: readonly ResolvedInstance[]
}

/** What the core wants to know of the instances, in the order of start. */
export const nativeInstances = (instances: readonly ResolvedInstance[]): native.NativePlannedInstance[] =>
  instances.map(({ id, sized }) => check.own({ id, ...sized.native }))

/** The names of a mode's instances. */
export const rolesOf = (mode: PlanMode): string[] => call(() => native.planRoles(mode))

/**
 * Checks a plan, and finds out what its models take.
 *
 * @throws {@link InvalidPlanError} with everything that is wrong with it.
 */
export function resolvePlan(value: unknown): ResolvedPlan {
  const source = sourceOf(value)
  const issues = new IssueList(source)
  const plan = new SchemaReader(issues).plan(value)
  issues.throwIfAny()
  const folder = source?.folder ?? '.'
  const memory = memoryOf(plan, issues)
  const named = instancesOf(plan, memory, issues)
  checkCommands(Object.fromEntries(named), folder, issues)
  const instances = named.flatMap(([id, instance]) => {
    const sized = sizedOf(plan, id, instance, folder, issues)
    return sized ? [{ id, instance, sized }] : []
  })
  issues.throwIfAny()
  return { source, folder, plan, memory: memory as native.NativePlanMemory, instances }
}

/** The memory that a plan is for; `undefined` with an issue where it cannot be known. */
function memoryOf(plan: Exact<Plan>, issues: IssueList): native.NativePlanMemory | undefined {
  const { board, totalBytes, safetyMarginPercent, headroomBytes } = plan
  const given = check.own({
    ...(safetyMarginPercent !== undefined && { safetyMarginPercent }),
    ...(headroomBytes !== undefined && { headroomBytes }),
  })
  if (board !== undefined) {
    if (totalBytes !== undefined) issues.invalid(['totalBytes'], 'left out, or board left out', totalBytes)
    const ids = boardPresets.map(({ id }) => id)
    if (!ids.includes(board)) {
      issues.invalid(['board'], `one of ${ids.join(', ')}`, board)
      return undefined
    }
    const budget = MemoryBudget.forBoard(board as BoardId)
    return check.own({ ...given, totalBytes: budget.totalBytes, lineBytes: budget.lineBytes })
  }
  if (totalBytes !== undefined) return check.own({ ...given, totalBytes })
  const line = { isolated: true, headroom: false, ...(safetyMarginPercent !== undefined && { safetyMarginPercent }) }
  const budget = MemoryBudget.forThisMachine(line)
  return check.own({ ...given, totalBytes: budget.totalBytes, lineBytes: budget.lineBytes })
}

/** The instances with what the plan says for all of them; those of a mode have limits that pass where they have none. */
function instancesOf(
  plan: Exact<Plan>,
  memory: native.NativePlanMemory | undefined,
  issues: IssueList,
): [string, Exact<PlanInstance>][] {
  const { mode, instances = {} } = plan
  if (mode === undefined) {
    const all = Object.entries(instances)
    if (all.length === 0) issues.add('missing-value', [], 'expected instances, or a mode, got none')
    return all.map(([id, instance]) => [id, completed(plan, instance)])
  }
  const roles = rolesOf(mode)
  for (const id of Object.keys(instances)) {
    if (roles.includes(id)) continue
    const keys = ['instances', id]
    issues.unknownKey(keys, `one of ${roles.join(', ')}, the instances of the mode ${mode}`)
  }
  // Where the memory is not known, which has been told, no limit is missing.
  const limits = memory
    ? call(() => native.recommendedLimits(mode, memory))
    : roles.map((role) => ({ role, limitBytes: 1 }))
  return roles.map((role) => {
    const instance = Object.hasOwn(instances, role) ? (instances[role] as Exact<PlanInstance>) : undefined
    const limitBytes = instance?.limitBytes ?? limits.find((limit) => limit.role === role)?.limitBytes
    return [role, completed(plan, check.own({ ...instance, ...(limitBytes !== undefined && { limitBytes }) }))]
  })
}

function completed(plan: Exact<Plan>, instance: Exact<PlanInstance>): Exact<PlanInstance> {
  const { model = plan.model, formula = plan.formula } = instance
  return check.own({ ...instance, ...(model !== undefined && { model }), ...(formula !== undefined && { formula }) })
}

/** What an instance takes; `undefined` with an issue where its model is not there or none. */
function sizedOf(
  plan: Exact<Plan>,
  id: string,
  instance: Exact<PlanInstance>,
  folder: string,
  issues: IssueList,
): Sized | undefined {
  const own: Keys = ['instances', id]
  const { model, limitBytes } = instance
  if (model === undefined && limitBytes === undefined) {
    issues.add('missing-value', own, `expected ${own.join('.')} to have a model or limitBytes, got neither`)
    return undefined
  }
  if (!checkFiles(plan, id, instance, folder, issues)) return undefined
  try {
    return sizeOf(instance, folder, processorOf(plan.board))
  } catch (error) {
    const failed = fromNative(error)
    if (!(failed instanceof PlimsollError) && (failed as NodeJS.ErrnoException).code === undefined) throw error
    issues.add('invalid-model', modelKeys(plan, id), `${own.join('.')}: ${(failed as Error).message}`)
    return undefined
  }
}
