import { InvalidPlanError, IoError, type Plan, type PlanReport, readPlan } from '../../index.js'
import { Exit } from '../exit.js'
import { InputError } from '../failure.js'
import type { Page } from '../terminal/page.js'
import type { Report } from '../verb.js'
import { filled } from './document.js'

/** A file that is none of a plan's is broken input; a plan that is no good is not. */
export function planFromFile(file: string): Plan {
  try {
    return readPlan(file)
  } catch (error) {
    const isUnreadable =
      error instanceof IoError ||
      (error instanceof InvalidPlanError && error.issues.some(({ kind }) => kind === 'syntax'))
    throw isUnreadable ? new InputError(error) : error
  }
}

/** A report of a plan for people. */
const planLines = (report: PlanReport, { paint }: Page): string[] =>
  `${report}`.split('\n').map((line) => {
    if (/^PLAN (?:PASSED|FAILED)/.test(line)) return paint(report.passes ? 'green' : 'red', line)
    return /^(?:Issues|Recommendations|Allocations):$/.test(line) ? paint('bold', line) : line
  })

/** What a verb says of a plan that was checked. */
export function judged(report: PlanReport): Report {
  return {
    document: planDocument(report),
    lines: (page) => planLines(report, page),
    exitCode: report.passes ? Exit.fine : Exit.doesNotFit,
  }
}

export const planDocument = (report: PlanReport): object => ({
  ...report,
  path: report.path ?? null,
  mode: report.mode ?? null,
  instances: report.instances.map((instance) =>
    filled(instance, { limitBytes: null, fittingLimitBytes: null, model: null }),
  ),
  issues: report.issues.map((issue) =>
    filled(issue, { instance: null, key: null, line: null, neededBytes: null, usableBytes: null }),
  ),
  advice: report.advice.map((advice) =>
    filled(advice, { instance: null, bytes: null, savedBytes: null, contextLength: null }),
  ),
})
