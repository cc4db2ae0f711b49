import { MemoryBudget } from '../index.js'
import * as check from '../support/check.js'
import { addLedger, addMachine, ProcessReadings } from './machine.js'
import { addBudget, addManager } from './manager.js'
import { type CheckedMetricsOptions, type MetricsOptions, metricsChecks } from './options.js'
import { type Metric, Points } from './points.js'
import { roomOf } from './room.js'

/** Reads the metrics, again and again. */
export type MetricsReader = () => Promise<Metric[]>

/** @internal What reads by these options, of the same budget each time. Reads that overlap are one. */
export function metricsReader(options: MetricsOptions | undefined): MetricsReader {
  const checked = check.options<CheckedMetricsOptions>(options, metricsChecks)
  const budget = checked.budget ?? checked.manager?.budget ?? MemoryBudget.forThisMachine()
  const ofProcesses = new ProcessReadings()
  let reading: Promise<Metric[]> | undefined
  return () => {
    reading ??= read(budget, checked, ofProcesses).finally(() => {
      reading = undefined
    })
    return reading
  }
}

async function read(
  budget: MemoryBudget,
  options: CheckedMetricsOptions,
  ofProcesses: ProcessReadings,
): Promise<Metric[]> {
  const { manager, ledger, processes = false, gpuProcesses = false, maxLabels = 32 } = options
  const points = new Points()
  const room = roomOf(budget, ledger)
  addMachine(points, room.headroom)
  addBudget(points, budget, room.availableBytes, maxLabels)
  if (manager) addManager(points, manager)
  addLedger(points, room)
  await Promise.all([ofProcesses.add(points, processes), gpuProcesses && ofProcesses.addOfGpus(points)])
  return points.metrics()
}

/**
 * Every metric that has a value now, in the order of {@link metricCatalogue}. Rejects with {@link InvalidArgumentError} for an unknown or
 * unfit option.
 *
 * @example
 * for (const { name, points } of await readMetrics({ manager })) console.log(name, points[0].value)
 */
export async function readMetrics(options?: MetricsOptions): Promise<Metric[]> {
  return metricsReader(options)()
}
