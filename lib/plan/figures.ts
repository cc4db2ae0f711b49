import type { PlanInstanceReport } from '../../binding.js'

export type { PlanInstanceReport } from '../../binding.js'

/** What would mend a plan, computed. */
export interface PlanAdvice {
  /**
   * What is changed: the `'order'` of start, the `'limit'` of an instance, the `'limits'` of all, the type of its cache (`'kv-type'`), its
   * `'context'`, its `'model'`, that it is left out (`'without'`), or the `'memory'`.
   */
  kind: 'order' | 'limit' | 'limits' | 'kv-type' | 'context' | 'model' | 'without' | 'memory'
  /** In words: `observer at 6.50 GiB would fit`. */
  description: string
  /** The instance that is changed, if it is one. */
  instance?: string
  /** Whether the plan passes with that alone. */
  fits: boolean
  /** The limit, the size of a file or of a memory that would do, in bytes. */
  bytes?: number
  /** What is saved at the peak of the instance, in bytes. */
  savedBytes?: number
  /** Tokens of a slot that would do. */
  contextLength?: number
}

/** An instance in a report, with the file of its model. */
export interface PlannedInstanceReport extends PlanInstanceReport {
  /** Its model file, as the plan names it. */
  model?: string
}
