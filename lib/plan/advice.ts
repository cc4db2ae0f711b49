import { resolve } from 'node:path'
import * as native from '../addon/native.js'
import { formatBytes } from '../addon/units.js'
import { fit as bestFit, type FitOptions } from '../estimate/fit.js'
import { type KvType, processorOf } from '../estimate/options.js'
import * as check from '../support/check.js'
import { call, PlimsollError } from '../support/errors.js'
import type { PlanAdvice } from './figures.js'
import { estimateOptions, OpenFiles, sizeOf } from './footprint.js'
import { nativeInstances, type ResolvedInstance, type ResolvedPlan } from './resolved.js'
import type { Exact, PlanInstance } from './types.js'

/** What the core says of instances in a memory. */
export const reportOf = (memory: native.NativePlanMemory, instances: readonly ResolvedInstance[]) =>
  call(() => native.planReport(memory, nativeInstances(instances)))

/** What would mend a plan that does not pass, computed, the least harm first. */
export function adviceOf(found: native.NativePlanReport, plan: ResolvedPlan): PlanAdvice[] {
  if (found.passes) return []
  return [
    ...orderAdvice(found, plan),
    ...limitAdvice(found, plan),
    ...plan.instances.flatMap((_, at) => modelAdvice(found, plan, at)),
    ...withoutAdvice(found),
    ...memoryAdvice(found),
  ]
}

function orderAdvice(
  { bestOrder, bestOrderPeakBytes, usableBytes, peakBytes }: native.NativePlanReport,
  plan: ResolvedPlan,
) {
  if (bestOrderPeakBytes >= peakBytes) return []
  const fits = bestOrderPeakBytes <= usableBytes
  const order = bestOrder.map((at) => plan.instances[at]?.id).join(', ')
  const description = `the order ${order} has a peak of ${formatBytes(bestOrderPeakBytes)}${fits ? ', which would fit' : ''}`
  return [{ kind: 'order', description, fits, bytes: bestOrderPeakBytes } satisfies PlanAdvice]
}

function limitAdvice(found: native.NativePlanReport, { memory, instances }: ResolvedPlan): PlanAdvice[] {
  const single = found.instances.flatMap(({ id, fittingLimitBytes: bytes }): PlanAdvice[] =>
    bytes === undefined
      ? []
      : [{ kind: 'limit', instance: id, description: `${id} at ${formatBytes(bytes)} would fit`, fits: true, bytes }],
  )
  const limits = call(() => native.fittingPlanLimits(memory, nativeInstances(instances)))
  if (!limits || found.instances.filter(({ limitBytes }) => limitBytes !== undefined).length < 2) return single
  const told = found.instances.flatMap(({ id, limitBytes }, at) =>
    limitBytes === undefined ? [] : [`${id} at ${formatBytes(limits[at] ?? 0)}`],
  )
  return [...single, { kind: 'limits', description: `${told.join(', ')} would fit together`, fits: true }]
}

/** What another type of the cache, another context or another model of one instance would do. */
function modelAdvice(found: native.NativePlanReport, plan: ResolvedPlan, at: number): PlanAdvice[] {
  const { id, instance, sized } = plan.instances[at] as ResolvedInstance
  const {
    roomBytes,
    formula,
    footprintBytes,
    loadingBytes,
    limitBytes = 0,
  } = found.instances[at] as native.PlanInstanceReport
  // Where the limit is what counts, a smaller model frees nothing.
  if (formula === 'limit-only' || Math.max(footprintBytes, loadingBytes) <= limitBytes) return []
  if (formula === 'rule-of-thumb') {
    const bytes = Math.floor(roomBytes / 3) * 2
    if (bytes === 0) return []
    const description = `${id} with a model of at most ${formatBytes(bytes)} would fit`
    return [{ kind: 'model', instance: id, description, fits: true, bytes }]
  }
  if (!sized.estimate) return []
  const smaller = withInstance(plan, at, { ...instance, kvType: 'q8_0', kvTypeK: undefined, kvTypeV: undefined })
  return [...kvAdvice(found, plan, at, smaller), ...contextAdvice(plan, at, roomBytes)]
}

function kvAdvice(
  found: native.NativePlanReport,
  plan: ResolvedPlan,
  at: number,
  smaller: ResolvedInstance[] | undefined,
): PlanAdvice[] {
  const before = plan.instances[at]?.sized.estimate?.totals.peakBytes
  const after = smaller?.[at]?.sized.estimate?.totals.peakBytes
  if (smaller === undefined || before === undefined || after === undefined || after >= before) return []
  const { passes } = reportOf(plan.memory, smaller)
  const id = found.instances[at]?.id as string
  const savedBytes = before - after
  const description = `${id}: q8_0 KV saves ${formatBytes(savedBytes)}${passes ? ', with which it would fit' : ''}`
  return [{ kind: 'kv-type', instance: id, description, fits: passes, savedBytes }]
}

function contextAdvice(plan: ResolvedPlan, at: number, roomBytes: number): PlanAdvice[] {
  const { id, sized } = plan.instances[at] as ResolvedInstance
  const run = sized.estimate
  if (run === undefined || roomBytes === 0) return []
  const best = fitOf(plan, at, roomBytes, {
    kvTypes: [kvTypeOf(plan.instances[at]?.instance)],
    parallel: run.parallel,
    minContext: Math.min(run.contextLength, 256),
  })
  if (!best?.fits || best.configuration.contextLength >= run.contextLength) return []
  const { contextLength } = best.configuration
  const changed = withInstance(plan, at, { ...(plan.instances[at] as ResolvedInstance).instance, contextLength })
  if (!changed || !reportOf(plan.memory, changed).passes) return []
  const description = `${id} with ${contextLength.toLocaleString('en-US')} tokens of context would fit`
  return [{ kind: 'context', instance: id, description, fits: true, contextLength }]
}

/** How keys and values of an instance are stored: keys stand for both. */
export const kvTypeOf = (instance?: Exact<PlanInstance>): KvType => instance?.kvTypeK ?? instance?.kvType ?? 'f16'

/** The best configuration of an instance within so many bytes; `undefined` where it cannot be searched for. */
export function fitOf(plan: ResolvedPlan, at: number, bytes: number, options: FitOptions) {
  const { instance, sized } = plan.instances[at] as ResolvedInstance
  using files = new OpenFiles()
  const model = files.open(resolve(plan.folder, instance.model as string))
  const {
    contextLength,
    parallel,
    kvTypeK,
    kvTypeV,
    ubatch = 512,
    ...run
  } = estimateOptions(instance, plan.folder, files, processorOf(plan.plan.board))
  const all = { ubatches: [ubatch], maxContext: sized.estimate?.contextLength, mmap: true, ...run, ...options }
  try {
    return bestFit(model, bytes, check.own(all) as FitOptions)
  } catch (error) {
    if (error instanceof PlimsollError) return undefined
    throw error
  }
}

/** The instances with another one in a place; `undefined` where its model cannot be run so. */
export function withInstance(
  { instances, folder, plan }: ResolvedPlan,
  at: number,
  other: { [K in keyof Exact<PlanInstance>]?: Exact<PlanInstance>[K] | undefined },
): ResolvedInstance[] | undefined {
  const instance = check.own(
    Object.fromEntries(Object.entries(other).filter(([, value]) => value !== undefined)),
  ) as Exact<PlanInstance>
  try {
    const sized = sizeOf(instance, folder, processorOf(plan.board))
    return instances.map((each, place) => (place === at ? { id: each.id, instance, sized } : each))
  } catch (error) {
    if (error instanceof PlimsollError) return undefined
    throw error
  }
}

const withoutAdvice = ({ instances }: native.NativePlanReport): PlanAdvice[] =>
  instances.length < 2
    ? []
    : instances
        .filter((it) => it.passesWithout)
        .map(({ id }) => ({ kind: 'without', instance: id, description: `without ${id} it would fit`, fits: true }))

function memoryAdvice({ leastTotalBytes: bytes, totalBytes }: native.NativePlanReport): PlanAdvice[] {
  if (bytes === undefined || bytes <= totalBytes) return []
  return [{ kind: 'memory', description: `a memory of ${formatBytes(bytes)} would be enough`, fits: true, bytes }]
}
