import type * as native from '../addon/native.js'
import { formatBytes } from '../addon/units.js'
import type { PlanIssue } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { shows } from '../support/shown.js'
import type { PlanAdvice, PlannedInstanceReport } from './figures.js'
import { IssueList, invalidPlan } from './issues.js'
import { planText } from './page.js'
import type { ResolvedInstance, ResolvedPlan } from './resolved.js'
import type { PlanMode } from './types.js'

/** @internal Makes the report of what was found. */
export let wrapReport: (found: native.NativePlanReport, plan: ResolvedPlan, advice: PlanAdvice[]) => PlanReport

/**
 * Whether a plan passes, and why not. Its `toString()` is the same for people.
 *
 * @example
 * const report = validatePlan({ board: 'orin-nano-8gb', instances: { chat: { limitBytes: '7 GiB' } } })
 * console.log(report.passes) // false
 * console.log(report.advice[0]?.description)
 */
export class PlanReport {
  /** Whether all of it fits, at every moment. */
  readonly passes: boolean
  /** The file that the plan was read from, if it was. */
  readonly path: string | undefined
  /** The mode of the plan, if it has one. */
  readonly mode: PlanMode | undefined
  /** All memory, in bytes. */
  readonly totalBytes: number
  /** The share of it that is left alone. */
  readonly safetyMarginPercent: number
  /** What is left free before each load, in bytes. */
  readonly headroomBytes: number
  /** What keeps the plan from using more: the safety margin, the headroom, or the line of the board or of this machine. */
  readonly bound: 'safety-margin' | 'headroom' | 'line'
  /** The safe threshold: what the plan may use at most, in bytes. */
  readonly usableBytes: number
  /** What all instances require once they run, in bytes. */
  readonly requiredBytes: number
  /** The most that is taken at once, in bytes: while one of them is loaded, or once all run. */
  readonly peakBytes: number
  /** What is usable less the peak, in bytes; negative where it does not fit. */
  readonly marginBytes: number
  /** Each instance, in the order of start. */
  readonly instances: readonly PlannedInstanceReport[]
  /** What is wrong. */
  readonly issues: readonly PlanIssue[]
  /** What would mend it, the least harm first. */
  readonly advice: readonly PlanAdvice[]
  /** The order of start whose peak is the least. */
  readonly bestOrder: readonly string[]
  /** That peak, in bytes. */
  readonly bestOrderPeakBytes: number

  static {
    wrapReport = (found, plan, advice) => new PlanReport(internal, found, plan, advice)
  }

  private constructor(
    token: typeof internal,
    found: native.NativePlanReport,
    plan: ResolvedPlan,
    advice: PlanAdvice[],
  ) {
    expectInternal(token, 'PlanReport', 'validatePlan()')
    const models = plan.instances.map(({ instance }) => instance.model)
    this.passes = found.passes
    this.path = plan.source?.path
    this.mode = plan.plan.mode
    this.totalBytes = found.totalBytes
    this.safetyMarginPercent = found.safetyMarginPercent
    this.headroomBytes = found.headroomBytes
    this.bound = found.bound
    this.usableBytes = found.usableBytes
    this.requiredBytes = found.requiredBytes
    this.peakBytes = found.peakBytes
    this.marginBytes = found.marginBytes
    this.instances = found.instances.map((instance, at) => ({
      ...instance,
      ...(models[at] !== undefined && { model: models[at] }),
    }))
    this.issues = issuesOf(found, plan)
    this.advice = advice
    this.bestOrder = found.bestOrder.map((at) => (plan.instances[at] as ResolvedInstance).id)
    this.bestOrderPeakBytes = found.bestOrderPeakBytes
  }

  /**
   * Throws where the plan does not pass.
   *
   * @throws {@link InvalidPlanError} with the issues.
   */
  throwIfFailed(): void {
    if (!this.passes) throw invalidPlan(this.issues, this.path)
  }

  /** The report for people: verdict, totals, issues, what would mend it, and what each instance is given. */
  toString(): string {
    return planText(this)
  }
}

shows(PlanReport, (report) => ({ ...report }))

/** What the core found wrong, in words and with its lines. */
function issuesOf(found: native.NativePlanReport, { source, instances }: ResolvedPlan): PlanIssue[] {
  const issues = new IssueList(source)
  for (const { kind, instance, neededBytes, usableBytes } of found.issues) {
    const id = instance === undefined || instance === null ? undefined : instances[instance]?.id
    const keys = id === undefined ? ['instances'] : ['instances', id]
    issues.add(kind, keys, issueText(kind, id, neededBytes, usableBytes), { neededBytes, usableBytes })
  }
  return issues.all
}

function issueText(
  kind: native.NativePlanIssue['kind'],
  id: string | undefined,
  needed: number,
  usable: number,
): string {
  const most = `more than the safe threshold of ${formatBytes(usable)}`
  switch (kind) {
    case 'total-too-large':
      return `all instances together require ${formatBytes(needed)}, ${most}`
    case 'peak-too-large':
      return `while ${id} is loaded, it and those before it take ${formatBytes(needed)}, ${most}`
    case 'instance-too-large':
      return `${id} by itself takes ${formatBytes(needed)}, ${most}`
  }
}
