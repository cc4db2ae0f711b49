import * as native from '../addon/native.js'
import { formatBytes } from '../addon/units.js'
import * as check from '../support/check.js'
import { call } from '../support/errors.js'
import { fitOf, kvTypeOf, reportOf, withInstance } from './advice.js'
import { type PlanChange, writePlan } from './plan-text.js'
import type { PlanReport } from './report.js'
import { nativeInstances, type ResolvedInstance, type ResolvedPlan, resolvePlan } from './resolved.js'
import type { Exact, Plan, PlanInstance } from './types.js'
import { reportOfPlan } from './validate.js'

/** A plan that fits, proposed for one that does not. */
export interface PlanFix {
  /** Whether what is proposed passes; where it does not, it is as small as it gets. */
  passes: boolean
  /** What is proposed, with sizes in bytes. */
  plan: Plan
  /** The same as a file: the text that the plan was read from, with its comments, and what is changed in it. */
  text: string
  /** What is changed, in words; empty where nothing has to be. */
  changes: string[]
  /** The report of what is proposed. */
  report: PlanReport
}

/** Tokens that a slot keeps if it has them. */
const MIN_CONTEXT = 2048

/** What part of its limit an instance keeps, of which nobody knows what it needs, as long as caches can be made smaller instead. */
const KEPT_LIMIT = 3 / 4

/**
 * Proposes a plan that fits: another order of start, lower limits, and where these do not do a smaller cache for models whose estimate
 * is known, those with the lowest priority first. A limit without a model, of which nobody knows what it has to hold, keeps three
 * quarters as long as that can do. Nothing is left out.
 *
 * @throws as {@link validatePlan}.
 * @example
 * const { passes, changes, text } = fixPlan(readPlan('plan.yaml'))
 */
export function fixPlan(plan: Plan): PlanFix {
  const resolved = resolvePlan(plan)
  const state = new Proposal(resolved)
  state.search()
  const report = reportOfPlan({ ...resolved, plan: state.plan, instances: state.instances })
  return {
    passes: report.passes,
    plan: state.plan,
    text: writePlan(resolved, state.changed),
    changes: state.changes,
    report,
  }
}

class Proposal {
  readonly #resolved: ResolvedPlan
  /** What is proposed so far, in the order of start. */
  instances: readonly ResolvedInstance[]

  constructor(resolved: ResolvedPlan) {
    this.#resolved = resolved
    this.instances = resolved.instances
  }

  get #passes(): boolean {
    return reportOf(this.#resolved.memory, this.instances).passes
  }

  search(): void {
    if (this.#passes) return
    this.#reorder()
    if (this.#passes || this.#lowerLimits(KEPT_LIMIT)) return
    const before = this.instances
    // Where the models alone are too much, no limit is in the way of their search.
    this.instances = before.map((it) => this.#withoutSlack(it))
    this.#shrinkModels()
    const smaller = this.instances
    // Then limits may be as high as there is room for.
    this.instances = smaller.map((it, at) => withLimit(it, before[at]?.instance.limitBytes))
    if (!this.#passes && !this.#lowerLimits()) this.instances = smaller
  }

  /** The order with the least peak, where the one of the plan is what does not fit. */
  #reorder(): void {
    const { bestOrder, bestOrderPeakBytes, peakBytes } = reportOf(this.#resolved.memory, this.instances)
    if (bestOrderPeakBytes < peakBytes) this.instances = bestOrder.map((at) => this.instances[at] as ResolvedInstance)
  }

  /** Lowers limits as far as has to be; not where an instance without a model would keep less than that part of its limit. */
  #lowerLimits(keptPart = 0): boolean {
    const limits = call(() => native.fittingPlanLimits(this.#resolved.memory, nativeInstances(this.instances)))
    if (!limits) return false
    const isTooLow = ({ instance: { model, limitBytes = 0 } }: ResolvedInstance, at: number) =>
      model === undefined && (limits[at] ?? 0) < limitBytes * keptPart
    if (this.instances.some(isTooLow)) return false
    this.instances = this.instances.map((it, at) => withLimit(it, limits[at] || undefined))
    return true
  }

  #withoutSlack(it: ResolvedInstance): ResolvedInstance {
    const { fullBytes } = it.sized.native
    const { limitBytes } = it.instance
    return fullBytes === undefined || limitBytes === undefined ? it : withLimit(it, Math.min(limitBytes, fullBytes))
  }

  /** Makes the caches of one after the other as small as has to be, who gives way first. */
  #shrinkModels(): void {
    const order = this.instances
      .map(({ instance, sized }, at) => ({ at, priority: instance.priority ?? 0, bytes: sized.native.fullBytes ?? 0 }))
      .filter(({ at }) => this.instances[at]?.sized.estimate)
      .sort((one, other) => one.priority - other.priority || other.bytes - one.bytes)
    for (const { at } of order) {
      if (this.#passes) return
      const smaller = this.#smaller(at)
      if (smaller) this.instances = smaller
    }
  }

  #smaller(at: number): ResolvedInstance[] | undefined {
    const state = { ...this.#resolved, instances: this.instances }
    const { instance, sized } = this.instances[at] as ResolvedInstance
    const { contextLength, parallel } = sized.estimate ?? { contextLength: 1, parallel: 1 }
    const { roomBytes } = reportOf(state.memory, this.instances).instances[at] ?? { roomBytes: 0 }
    const kvType = kvTypeOf(instance)
    const found = fitOf(state, at, roomBytes, {
      kvTypes: ['f32', 'f16', 'bf16'].includes(kvType) ? [kvType, 'q8_0'] : [kvType],
      parallel: [...new Set([parallel, Math.ceil(parallel / 2), 1])],
      minContext: Math.min(contextLength, MIN_CONTEXT),
    })
    if (!found) return undefined
    const { contextLength: context, parallel: slots, kvType: type } = found.configuration
    const changed = {
      ...instance,
      ...(context !== contextLength && { contextLength: context }),
      ...(slots !== parallel && { parallel: slots }),
      ...(type !== kvType && { kvType: type, kvTypeK: undefined, kvTypeV: undefined }),
      limitBytes: undefined,
    }
    return withInstance(state, at, changed)
  }

  /** Each key that is changed, of each instance, and the order if that is another. */
  get changed(): { order: string[] | undefined; changes: PlanChange[] } {
    const order = this.instances.map(({ id }) => id)
    const before = this.#resolved.instances
    const moved = order.some((id, at) => id !== before[at]?.id)
    const keys = ['limitBytes', 'contextLength', 'parallel', 'kvType', 'kvTypeK', 'kvTypeV'] as const
    const changes = this.instances.flatMap(({ id, instance }): PlanChange[] => {
      const old = before.find((it) => it.id === id)?.instance
      return keys
        .filter((key) => instance[key] !== old?.[key])
        .map((key) => ({ id, key, from: old?.[key], to: instance[key] }))
    })
    return { order: moved ? order : undefined, changes }
  }

  get changes(): string[] {
    const { order, changes } = this.changed
    return [
      ...(order ? [`start in the order ${order.join(', ')}`] : []),
      ...changes.map(({ id, key, from, to }) => {
        const text = (value: string | number | undefined) =>
          value === undefined ? 'none' : key === 'limitBytes' ? formatBytes(value as number) : String(value)
        return `${id}: ${key} ${text(to)}, was ${text(from)}`
      }),
    ]
  }

  get plan(): Exact<Plan> {
    const { plan } = this.#resolved
    const instances = this.instances.map(({ id, instance }): [string, Exact<PlanInstance>] => {
      const own = plan.instances?.[id]
      // What the plan says for all stays there.
      const said = Object.entries(instance).filter(([key]) => key !== 'model' && key !== 'formula')
      const { model, formula } = check.own(own ?? {})
      return [
        id,
        {
          ...(model !== undefined && { model }),
          ...(formula !== undefined && { formula }),
          ...Object.fromEntries(said),
        },
      ]
    })
    return check.own({ ...plan, instances: Object.fromEntries(instances) })
  }
}

function withLimit(it: ResolvedInstance, limitBytes: number | undefined): ResolvedInstance {
  const { limitBytes: _, ...instance } = it.instance
  const { limitBytes: __, ...counted } = it.sized.native
  const limit = limitBytes === undefined ? {} : { limitBytes }
  return {
    ...it,
    instance: check.own({ ...instance, ...limit }),
    sized: { ...it.sized, native: check.own({ ...counted, ...limit }) },
  }
}
