import { resolve } from 'node:path'
import type { Plan, PlanInstance, PlannedInstanceReport } from '../../index.js'
import { type Address, addressOf } from './address.js'

/** How an instance of a plan is run. */
export interface Settings {
  readonly id: string
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly workingDirectory: string
  /** Where its connections are taken, if it is started at the first one. */
  readonly listen: Address | undefined
  /** Where it listens by itself, if that is fixed. */
  readonly upstream: Address | undefined
  readonly healthPath: string | undefined
  /** Whether something says where it listens: else it is ready once it runs. */
  readonly listens: boolean
  readonly priority: number
  readonly idleTimeoutMs: number
  readonly waitTimeoutMs: number
  readonly startTimeoutMs: number
  readonly stopTimeoutMs: number
  readonly restart: 'no' | 'on-failure' | 'always'
  readonly restartDelayMs: number
  readonly maxRestartDelayMs: number
  readonly maxRestarts: number
  /** What it takes once it runs, in bytes. */
  readonly requiredBytes: number
  /** What it takes beyond that while it is loaded, in bytes. */
  readonly loadBytes: number
  /** Whether it is the memory of a device, which no process has resident. */
  readonly usesDevice: boolean
}

/** What stands for the port in a command. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: that is how a plan writes it.
const PORT = '${PORT}'

/** The instances that are started, in the order of their reports. */
export function settingsOf(plan: Plan, reports: readonly PlannedInstanceReport[], folder: string): Settings[] {
  const { instances = {} } = plan
  return reports.flatMap((report) => {
    const instance = Object.hasOwn(instances, report.id) ? instances[report.id] : undefined
    return instance?.command === undefined ? [] : [settingOf(instance, report, folder)]
  })
}

function settingOf(instance: PlanInstance, report: PlannedInstanceReport, folder: string): Settings {
  const { listen, upstream, healthPath, environment = {} } = instance
  const command = instance.command as string[]
  const { requiredBytes } = report
  return {
    id: report.id,
    command,
    environment,
    workingDirectory: resolve(folder, instance.workingDirectory ?? '.'),
    listen: listen === undefined ? undefined : addressOf(listen),
    upstream: upstream === undefined ? undefined : addressOf(upstream),
    healthPath,
    listens:
      [listen, upstream, healthPath].some((each) => each !== undefined) ||
      [...command, ...Object.values(environment)].some((word) => word.includes(PORT)),
    priority: instance.priority ?? 0,
    idleTimeoutMs: ms(instance.idleTimeoutMs, 0),
    waitTimeoutMs: ms(instance.waitTimeoutMs, 30_000),
    startTimeoutMs: ms(instance.startTimeoutMs, 300_000),
    stopTimeoutMs: ms(instance.stopTimeoutMs, 10_000),
    restart: instance.restart ?? 'on-failure',
    restartDelayMs: ms(instance.restartDelayMs, 1000),
    maxRestartDelayMs: ms(instance.maxRestartDelayMs, 60_000),
    maxRestarts: instance.maxRestarts ?? Number.POSITIVE_INFINITY,
    requiredBytes,
    loadBytes: Math.max(report.loadingBytes - requiredBytes, 0),
    usesDevice: instance.device === 'gpu' || instance.device === 'npu' || (instance.gpuLayers ?? 0) > 0,
  }
}

/** A plan that was read has its times as numbers. */
const ms = (value: number | string | undefined, otherwise: number): number =>
  value === undefined ? otherwise : Number(value)

/** A text of a plan with the port of this start. */
export const withPort = (text: string, port: number): string => text.replaceAll(PORT, String(port))
