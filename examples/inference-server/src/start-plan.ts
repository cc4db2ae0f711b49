import { fit, GgufFile, type MemoryManager, type PlanInstance, type PlanReport, validatePlan } from 'plimsoll'

/** How models are served. */
export interface Serving {
  /** Conversations at the same time. */
  parallel: number
  /** Tokens of one at most. */
  maxContext: number
  device: 'cpu' | 'gpu'
}

/** What was found before anything is loaded. */
export interface StartPlan {
  /** Of each model that does not fit even alone, with its shortest context: it never can be served here. */
  failures: PlanReport[]
  /** What to tell whoever starts the server. */
  notes: string[]
}

/** Whether each of the models fits below the line, whether all do together, and whether each could be loaded right now. */
export function startPlan(models: ReadonlyMap<string, string>, manager: MemoryManager, serving: Serving): StartPlan {
  // The line has what is left to the system off already.
  const memory = { totalBytes: manager.budget.lineBytes, safetyMarginPercent: 0, headroomBytes: 0 }
  const failures: PlanReport[] = []
  const notes: string[] = []
  const instances: Record<string, PlanInstance> = {}
  for (const [id, path] of models) {
    const instance = instanceOf(path, memory.totalBytes, serving)
    // A plan's names have no slashes.
    const name = `model-${Object.keys(instances).length + 1}`
    instances[name] = instance
    const report = validatePlan({ ...memory, instances: { [name]: instance } })
    if (!report.passes) {
      failures.push(report)
      continue
    }
    const { model: _, ...run } = instance
    const { fits, message } = manager.checkBeforeLoad(path, { ...run, headroomBytes: 0 })
    notes.push(`${id}: ${instance.contextLength} tokens x ${instance.parallel}${fits ? '' : `; not now: ${message}`}`)
  }
  if (failures.length === 0 && models.size > 1) {
    const { passes } = validatePlan({ ...memory, instances })
    notes.push(passes ? 'all models fit together' : 'not all models fit together: an idle one goes for another')
  }
  return { failures, notes }
}

/** A model with the longest context that fits when it is alone. */
function instanceOf(path: string, budgetBytes: number, { parallel, maxContext, device }: Serving): PlanInstance {
  using file = GgufFile.open(path, { headerOnly: true })
  const gpuLayers = device === 'gpu' ? {} : { gpuLayers: 0 }
  const { configuration } = fit(file, budgetBytes, {
    parallel,
    maxContext,
    kvTypes: ['f16'],
    ubatches: [512],
    ...gpuLayers,
  })
  return { model: path, contextLength: configuration.contextLength, parallel, device }
}
