import { statSync } from 'node:fs'
import type { HeadroomTerm } from '../../binding.js'
import * as native from '../addon/native.js'
import { formatBytes } from '../addon/units.js'
import { type Allocation, isAllocation } from '../budget/allocation.js'
import { MemoryBudget, nativeBudget } from '../budget/budget.js'
import * as check from '../support/check.js'
import { call, invalidArgument, quoted, readError } from '../support/errors.js'
import { runKeys, type Sized, sizeOfWhole } from './footprint.js'
import { IssueList } from './issues.js'
import { SchemaReader } from './schema.js'
import type { Exact, PlanRun, PlanRunOptions, PlanSize } from './types.js'

/** What {@link checkBeforeLoad} takes: how the model is run, and what is left free. */
export interface LoadCheckOptions extends PlanRunOptions {
  /** What is left free, in bytes or as text such as `'2 GiB'`. 2 GiB by default, or an eighth of a memory below 16 GiB. */
  headroomBytes?: PlanSize
  /**
   * The guard that {@link MemoryManager.allocateInstance} returned for this very load, whose bytes are not held against it.
   * None by default.
   */
  allocation?: Allocation
}

/** What was found right before a load. */
export interface LoadCheck {
  /** Whether the model may be loaded. */
  fits: boolean
  /** How it was found what it takes. */
  formula: 'estimate' | 'rule-of-thumb'
  /** What it takes from its start on, in bytes: the largest of its limit and of what its model takes, loaded and running. */
  requiredBytes: number
  /** What the machine can give it now, in bytes, the headroom left free. */
  availableBytes: number
  /** What is left free, in bytes. */
  headroomBytes: number
  /** What is left over, in bytes; negative where it does not fit. */
  marginBytes: number
  /** The bound that leaves least. */
  bindingTerm: HeadroomTerm
  /** All of it in a sentence. */
  message: string
}

/**
 * How a model is run, of an argument.
 *
 * @throws {@link InvalidArgumentError} for what it cannot be.
 */
export function readRun(options: unknown, what: string): Exact<PlanRun> {
  const issues = new IssueList(undefined, what)
  const run = new SchemaReader(issues).instance(options, runKeys)
  issues.throwAsArgument()
  return run
}

function readSize(name: string, value: unknown): number {
  const issues = new IssueList(undefined)
  const bytes = new SchemaReader(issues).size(name, value)
  issues.throwAsArgument()
  return bytes
}

/**
 * What a file takes.
 *
 * @throws {@link IoError} where there is none.
 */
export function sizeOfFile(file: string, run: Exact<PlanRun>): Sized {
  try {
    if (!statSync(file).isFile()) throw new Error('no file')
  } catch (error) {
    throw readError(file, 'a model file that is there', error)
  }
  return call(() => sizeOfWhole(check.own({ ...run, model: file })))
}

/**
 * Whether a model may be loaded right now: what it takes, or its limit where that is more, against what the machine can give, with so
 * much left free. The last of three checks, for what changed since a plan passed and its instance was allocated.
 *
 * @param file - a model file of any format
 * @throws {@link IoError} where the file is not there, or the memory cannot be measured.
 * @throws {@link InvalidGgufError} and {@link InvalidModelError} for a file that is no model, and {@link InvalidArgumentError} for an
 *   unfit option.
 * @example
 * const { fits, message } = checkBeforeLoad('model.gguf', { limitBytes: 8 * GiB })
 * if (!fits) throw new Error(message)
 */
export function checkBeforeLoad(file: string | URL, options?: LoadCheckOptions): LoadCheck {
  return checkLoad(MemoryBudget.forThisMachine(), file, options)
}

/** The same on a budget. */
export function checkLoad(budget: MemoryBudget, file: string | URL, options: LoadCheckOptions = {}): LoadCheck {
  const core = nativeBudget(budget)
  if (core === undefined) throw invalidArgument('budget', 'a MemoryBudget', quoted(budget))
  const path = check.filePath('file', file)
  // What it inherits is none of it.
  const {
    allocation,
    headroomBytes: left,
    ...rest
  } = check.own({ ...check.object<LoadCheckOptions>('options', options) })
  const run = readRun(rest, 'options')
  if (allocation !== undefined && !isAllocation(allocation)) {
    throw invalidArgument('allocation', 'an Allocation', quoted(allocation))
  }
  const headroomBytes = left === undefined ? native.defaultHeadroom(budget.totalBytes) : readSize('headroomBytes', left)
  const sized = sizeOfFile(path, run)
  const ownBytes = allocation === undefined || allocation.released ? 0 : allocation.sizeBytes
  const instance = check.own({ id: path, ...sized.native })
  const found = call(() => native.checkLoad(core, instance, headroomBytes, ownBytes))
  const formula = sized.estimate ? 'estimate' : 'rule-of-thumb'
  const { requiredBytes, availableBytes, fits } = found
  const message =
    `${path} takes ${formatBytes(requiredBytes)}, and the machine can give ${formatBytes(availableBytes)} with ` +
    `${formatBytes(headroomBytes)} left free${fits ? '' : ': free some, lower its limit, or take a smaller model'}`
  return { ...found, formula, headroomBytes, message }
}
