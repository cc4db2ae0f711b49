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
  /** Whether that is only what its command says, which may mean another's address. */
  readonly isUpstreamGuessed: boolean
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
  const words = [...command, ...Object.values(environment)]
  const takesPort = words.some((word) => word.includes(PORT))
  const said = upstream === undefined && !takesPort ? saidAddress(command, environment) : undefined
  const fixed = upstream === undefined ? said : addressOf(upstream)
  return {
    id: report.id,
    command,
    environment,
    workingDirectory: resolve(folder, instance.workingDirectory ?? '.'),
    listen: listen === undefined ? undefined : addressOf(listen),
    upstream: fixed,
    isUpstreamGuessed: said !== undefined && listen === undefined && healthPath === undefined,
    healthPath,
    listens: [listen, fixed, healthPath].some((each) => each !== undefined) || takesPort,
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

/** Where a command says that it listens: by `--port` and `--host`, as servers have them, or by `PORT` in what it is given. */
function saidAddress(command: readonly string[], environment: Readonly<Record<string, string>>): Address | undefined {
  const port = Number(optionOf(command, '--port') ?? environment.PORT)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined
  return { ...addressOf(`:${port}`), host: optionOf(command, '--host') }
}

/** The value of the last option of that name. */
function optionOf(command: readonly string[], name: string): string | undefined {
  const at = command.findLastIndex((word) => word === name || word.startsWith(`${name}=`))
  return command[at] === name ? command[at + 1] : command[at]?.slice(name.length + 1)
}

/** A plan that was read has its times as numbers. */
const ms = (value: number | string | undefined, otherwise: number): number =>
  value === undefined ? otherwise : Number(value)

/** A text of a plan with the port of this start. */
export const withPort = (text: string, port: number): string => text.replaceAll(PORT, String(port))
