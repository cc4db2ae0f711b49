import type { CudaInfo, DeviceLimits, DeviceUsage, PassedOver } from '../../binding.js'
import * as native from '../addon/native.js'
import * as check from '../support/check.js'
import { call, fromNative, invalidArgument, quoted } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'

export type {
  CudaAdvice,
  CudaInfo,
  CudaSuitedMemory,
  DeviceLimits,
  DeviceUsage,
  PassedOver,
} from '../../binding.js'

/** The kinds of device memory. */
export type DeviceKind = 'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'

/** Ordinary RAM. */
export interface HostDeviceOptions {
  /** Ordinary RAM. */
  kind: 'host'
  /** Whether slabs are memory files (memfd), which other processes can map. False by default. */
  memoryFile?: boolean
  /**
   * Whether slabs are taken in huge pages: `'transparent'` ones wherever the system finds them; `'explicit'` ones of
   * 2 MiB from the pool set aside for them, else transparent ones; `'explicit-only'` ones of that pool, else a refusal.
   * `'none'` by default: in ordinary pages.
   */
  hugePages?: 'none' | 'transparent' | 'explicit' | 'explicit-only'
  /** Whether slabs are locked in RAM, so that they are never swapped out. False by default. */
  lock?: boolean
}

/** Buffers that the drivers of accelerators import without a copy. */
export interface DmaHeapDeviceOptions {
  /** A dma-heap, whose buffers the drivers of accelerators import without a copy. */
  kind: 'dma-heap'
  /** The heap's name: `'system'` and its kin by default. */
  heap?: string
}

/** The same made from ordinary RAM, and counted like it. */
export interface UdmabufDeviceOptions {
  /** Buffers of the same sort made from ordinary RAM, and counted like it. */
  kind: 'udmabuf'
}

/** Memory by NVIDIA's driver. */
export interface CudaDeviceOptions {
  /** Memory by NVIDIA's driver. */
  kind: 'cuda'
  /** The device's number. 0 by default. */
  ordinal?: number
  /**
   * The kind of its memory: the `'device'`'s own, by default; `'pinned'` RAM that the device works on in place;
   * `'managed'`, which the driver keeps coherent.
   */
  memory?: 'device' | 'pinned' | 'managed'
  /** The driver's library: the usual `libcuda.so.1` by default. */
  library?: string
}

/** Memory by Rockchip's own NPU driver. */
export interface RknpuDeviceOptions {
  /** Rockchip's NPU driver. */
  kind: 'rknpu'
  /** The domain that slabs are taken in, 0 to 15. 0 by default. */
  domain?: number
}

/** Which device. */
export type DeviceOptions =
  | HostDeviceOptions
  | DmaHeapDeviceOptions
  | UdmabufDeviceOptions
  | CudaDeviceOptions
  | RknpuDeviceOptions

/** A device: one that is open, one by kind or with its options, or `'auto'`, the best that is safe here. */
export type DeviceChoice = Device | DeviceKind | 'auto' | DeviceOptions

const kinds = ['host', 'dma-heap', 'udmabuf', 'cuda', 'rknpu'] as const

const oneOf =
  <T extends string>(...allowed: T[]) =>
  (name: string, value: unknown) =>
    check.oneOf(name, value, allowed)

function library(name: string, value: unknown): string {
  if (check.string(name, value) !== '') return value as string
  throw invalidArgument(name, 'a string that is not empty; leave it out for the usual library', quoted(value))
}

/** Checks the options of each kind. */
const checks = {
  host: {
    kind: oneOf('host'),
    memoryFile: check.boolean,
    hugePages: oneOf('none', 'transparent', 'explicit', 'explicit-only'),
    lock: check.boolean,
  },
  'dma-heap': { kind: oneOf('dma-heap'), heap: check.string },
  udmabuf: { kind: oneOf('udmabuf') },
  cuda: {
    kind: oneOf('cuda'),
    ordinal: (name: string, value: unknown) => check.integer(name, value, 0, 0xffff),
    memory: oneOf('device', 'pinned', 'managed'),
    library,
  },
  rknpu: { kind: oneOf('rknpu'), domain: (name: string, value: unknown) => check.integer(name, value, 0, 15) },
} as const

/** The native device behind a public one; `undefined` of anything else. */
export let nativeDevice: (device: unknown) => native.NativeDevice | undefined

/** What a choice of device asks the addon for. */
function deviceOptions(name: string, choice: unknown): native.NativeDeviceOptions {
  if (typeof choice === 'string') return check.own({ kind: check.oneOf(name, choice, [...kinds, 'auto']) })
  const isObject = check.isObject(choice) && check.canBeAsked(choice)
  const kind = isObject && Object.hasOwn(choice, 'kind') ? (choice as { kind: unknown }).kind : undefined
  if (typeof kind !== 'string')
    throw invalidArgument(name, 'a Device, its kind, its options, or "auto"', quoted(choice))
  return check.options(choice, checks[check.oneOf(`${name}.kind`, kind, kinds)] as typeof checks.host)
}

const isDevice = (choice: unknown): choice is Device => nativeDevice(choice) !== undefined

/** Checks a choice of device, without opening anything. */
export function deviceChoice(name: string, choice: unknown): DeviceChoice {
  if (isDevice(choice)) return choice
  deviceOptions(name, choice)
  return choice as DeviceChoice
}

/** Checks the sizes of buffers that are to be planned. */
function bufferSizes(name: string, value: unknown): number[] {
  return check.array(name, 'an array of sizes in bytes', value, (size, index) =>
    check.bytes(`${name}[${index}]`, size, 1),
  )
}

/**
 * Which domain of Rockchip's NPU, 0 to 15, each buffer goes to while all are empty: the largest first, each into the
 * lowest domain that has a place for it. Sizes are bytes; a job sees one domain, so what it needs at once is one size.
 * It needs no device, and keeps to the rule of every driver: a buffer starts at a multiple of its size rounded up to a
 * power of two.
 *
 * @throws {@link InsufficientMemoryError} for the first buffer that has no place; with `largestFreeBytes` in its
 * place the same plan is accepted, unless that is 0: then the others alone are too many.
 * @throws {@link InvalidArgumentError} for an invalid size.
 *
 * @example
 * planNpuDomains([1500 * MiB, 1500 * MiB, 1000 * MiB]) // [0, 1, 0]
 */
export function planNpuDomains(sizes: readonly number[]): number[] {
  const checked = bufferSizes('sizes', sizes)
  return call(() => native.planNpuDomains(checked))
}

/**
 * A device that memory can be taken from. Nothing is linked to: what a machine has not got is an error that says why.
 *
 * @example
 * const device = await Device.open('auto')
 * console.log(device.name, device.passedOver)
 */
export class Device {
  readonly #native: native.NativeDevice
  /** Its name, such as `'host'`, `'dma-heap:system'` or `'cuda:0'`. */
  readonly name: string
  /** What kind of memory it gives. */
  readonly kind: DeviceKind
  /** What it can and cannot do. */
  readonly limits: Readonly<DeviceLimits>
  /** The kinds that `'auto'` did not choose, each with its reason; empty where the device was named. */
  readonly passedOver: readonly Readonly<PassedOver>[]
  /** What a device of CUDA's is, and which kind of its memory suits which use; of another device `undefined`. */
  readonly cuda: Readonly<CudaInfo> | undefined

  static {
    nativeDevice = (device) => (check.isObject(device) && #native in device ? device.#native : undefined)
  }

  private constructor(token: typeof internal, of: native.NativeDevice) {
    expectInternal(token, 'Device', 'Device.open()')
    refuseCloning(this)
    this.#native = of
    this.name = of.name
    this.kind = of.kind as DeviceKind
    this.limits = Object.freeze(of.limits())
    this.passedOver = Object.freeze(of.passedOver().map((passed) => Object.freeze(passed)))
    this.cuda = Object.freeze(of.cudaInfo() ?? undefined)
  }

  /**
   * Opens a device, or gives the one that this process has open. `'auto'` takes CUDA where there is a GPU of NVIDIA's, a
   * dma-heap on a board of Rockchip's, and else ordinary RAM; `'rknpu'` is taken by name only.
   *
   * @throws {@link DeviceUnavailableError} with the reason, and the line that mends it where there is one.
   * @throws {@link BusyError} when another process has the NPU.
   * @throws {@link InvalidArgumentError} for an unknown kind, an unknown or unfit option.
   */
  static async open(choice: DeviceChoice = 'auto'): Promise<Device> {
    const checked = deviceChoice('device', choice)
    if (checked instanceof Device) return checked
    try {
      return new Device(internal, await native.NativeDevice.open(deviceOptions('device', checked)))
    } catch (error) {
      throw fromNative(error)
    }
  }

  /** What it has given out in this process, and what it says of itself. Never waits for the device. */
  usage(): DeviceUsage {
    return this.#native.usage()
  }

  /**
   * Which domain of Rockchip's NPU, 0 to 15, each further buffer should go to, beside what this process has there
   * already and as its driver places them; see {@link planNpuDomains}. Then open each domain that is named:
   * `{ kind: 'rknpu', domain }`.
   *
   * @throws {@link DeviceError} of a device without domains: of every kind but `'rknpu'`.
   * @throws as {@link planNpuDomains}.
   */
  planDomains(sizes: readonly number[]): number[] {
    const checked = bufferSizes('sizes', sizes)
    return call(() => this.#native.planDomains(checked))
  }

  /** What its user should know and would not expect, with the line that mends it. Usually nothing. */
  remarks(): string[] {
    return this.#native.remarks()
  }
}

shows(Device, ({ name, kind, limits }) => ({ name, kind, limits }))
