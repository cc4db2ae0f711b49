import {
  type BackEnd,
  Device,
  type DeviceKind,
  type DeviceLimits,
  type DeviceUsage,
  type PassedOver,
  PlimsollError,
} from '../../index.js'

/** Kinds that are opened at no cost: they take no lock, and no driver's time or memory. */
const cheap: readonly DeviceKind[] = ['host', 'dma-heap', 'udmabuf']

/** A kind of device memory, and its device where that was opened. */
export interface DeviceFinding extends BackEnd {
  device?: OpenDevice
  /** Why it could not be opened, although it is there. */
  refusal?: string
}

export interface OpenDevice {
  name: string
  limits: Readonly<DeviceLimits>
  usage: DeviceUsage
  remarks: string[]
}

/** What `'auto'` takes, and what it does not. */
export interface AutoChoice {
  kind: DeviceKind
  passedOver: readonly Readonly<PassedOver>[]
}

/**
 * Opens what is there and costs nothing; of `all` also CUDA, whose driver takes its time and memory. Rockchip's own
 * driver is never opened: that takes its lock.
 */
export const opened = (backEnds: readonly BackEnd[], all: boolean): Promise<DeviceFinding[]> =>
  Promise.all(
    backEnds.map(async (backEnd) => {
      // Its library may lie where only the driver's own search finds it.
      const asked = backEnd.kind === 'cuda' ? all : backEnd.available && cheap.includes(backEnd.kind)
      return asked ? { ...backEnd, ...(await openedOne(backEnd)) } : backEnd
    }),
  )

async function openedOne({ kind, available }: BackEnd): Promise<Pick<DeviceFinding, 'device' | 'refusal'>> {
  try {
    const device = await Device.open(kind)
    return { device: { name: device.name, limits: device.limits, usage: device.usage(), remarks: device.remarks() } }
  } catch (error) {
    if (!(error instanceof PlimsollError)) throw error
    return available ? { refusal: error.message } : {}
  }
}

/** What `'auto'` takes now. */
export async function autoChoice(): Promise<AutoChoice> {
  const { kind, passedOver } = await Device.open('auto')
  return { kind, passedOver }
}
