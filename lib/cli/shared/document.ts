import type {
  Cgroup,
  DarkMemory,
  DetectedBoard,
  DeviceLimits,
  DeviceUsage,
  Headroom,
  HeadroomTerm,
  MachineMemory,
  Signals,
} from '../../index.js'
import type { DeviceFinding, OpenDevice } from './devices.js'

/** The names of the fields that may be absent. */
type OptionalKey<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T]

/** The same with `null` for what is absent: a reader of a document finds every name. */
type Filled<T> = { [K in keyof T]-?: undefined extends T[K] ? Exclude<T[K], undefined> | null : T[K] }

/** The nulls are all given, so that a field that comes to a type cannot be forgotten here. */
export function filled<T extends object>(object: T, nulls: Record<OptionalKey<T>, null>): Filled<T> {
  const absent = Object.keys(nulls).filter((key) => object[key as keyof T] === undefined)
  return { ...object, ...Object.fromEntries(absent.map((key) => [key, null])) } as Filled<T>
}

export const machineDocument = (machine: MachineMemory) =>
  filled(machine, {
    freeBytes: null,
    cmaTotalBytes: null,
    cmaFreeBytes: null,
    shmemBytes: null,
    mappedFileBytes: null,
    swapTotalBytes: null,
    swapFreeBytes: null,
    nvmapUsedBytes: null,
    hugePagesBytes: null,
    cgroup: null,
  })

export const detectedDocument = (detected: DetectedBoard) =>
  filled(detected, {
    preset: null,
    vendor: null,
    soc: null,
    module: null,
    unifiedMemory: null,
    l4t: null,
    jetpack: null,
    kernelRelease: null,
  })

const termDocument = (term: HeadroomTerm) => filled(term, { path: null })

export const headroomDocument = (headroom: Headroom) => ({
  ...filled(headroom, { largestAllocationBytes: null }),
  bindingTerm: termDocument(headroom.bindingTerm),
  terms: headroom.terms.map(termDocument),
})

const cgroupDocument = (cgroup: Cgroup) => filled(cgroup, { limitBytes: null, highBytes: null, oomKillCount: null })

export const darkDocument = (dark: DarkMemory) => filled(dark, { growthBytesPerSecond: null })

/** Without the cgroup's limit, which is a signal of its own and is not looked up here. */
const memoryDocument = (memory: MachineMemory) => {
  const { cgroup: _, ...rest } = machineDocument(memory)
  return rest
}

export const signalsDocument = (signals: Signals) => ({
  ...filled(signals, {
    memory: null,
    cgroups: null,
    pressure: null,
    zram: null,
    process: null,
    largestFreeRunBytes: null,
    freeHugeBlockCount: null,
    dark: null,
    oomKillCount: null,
    hugePages: null,
    transparentHugePages: null,
    nvmapClients: null,
    npuDriver: null,
  }),
  memory: signals.memory ? memoryDocument(signals.memory) : null,
  dark: signals.dark ? darkDocument(signals.dark) : null,
  cgroups: signals.cgroups?.map(cgroupDocument) ?? null,
  missing: signals.missing.map((missing) => filled(missing, { remedy: null })),
})

const limitsDocument = (limits: Readonly<DeviceLimits>) => filled(limits, { largestBytes: null })

const usageDocument = (usage: DeviceUsage) =>
  filled(usage, { totalBytes: null, freeBytes: null, largestFreeBytes: null })

const deviceDocument = ({ limits, usage, ...device }: OpenDevice) => ({
  ...device,
  limits: limitsDocument(limits),
  usage: usageDocument(usage),
})

export const backEndDocument = (backEnd: DeviceFinding) => ({
  ...filled(backEnd, { reason: null, remedy: null, device: null, refusal: null }),
  device: backEnd.device ? deviceDocument(backEnd.device) : null,
})
