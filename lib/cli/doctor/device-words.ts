import { type DeviceLimits, type DeviceUsage, formatBytes } from '../../index.js'
import type { AutoChoice, DeviceFinding, OpenDevice } from '../shared/devices.js'
import type { Entry } from '../terminal/table.js'
import { visible } from '../terminal/text.js'

interface FoundDevices {
  backEnds: readonly DeviceFinding[]
  auto: AutoChoice
  /** Whether everything was opened that is to be. */
  devices: boolean
}

/** What is known of device memory, as texts under the names of its kinds. */
export const deviceEntries = (found: FoundDevices): Entry[] => [
  ...found.backEnds.flatMap((backEnd) => [stateOf(backEnd), ...textsOf(backEnd, found.devices).map(unnamed)]),
  ...autoEntries(found),
]

const unnamed = (text: string): Entry => ({ name: '', text: visible(text) })

function stateOf({ kind, available, paths, reason, remedy, device, refusal }: DeviceFinding): Entry {
  const where = paths.length > 0 ? `: ${paths.join(', ')}` : ''
  const text = available || device ? `available${where}` : `not available: ${reason ?? 'no reason is known'}`
  return { name: kind, text: visible(refusal === undefined ? text : `cannot be opened: ${refusal}`), command: remedy }
}

function textsOf({ kind, device }: DeviceFinding, full: boolean): string[] {
  if (device === undefined) return []
  const name = device.name === kind ? [] : [device.name]
  return [...name, ...(full ? figuresOf(device) : []), ...device.remarks]
}

const figuresOf = ({ limits, usage }: OpenDevice): string[] => {
  const room = roomText(usage)
  return [`${limitText(limits)}; ${traits(limits).join(', ')}`, ...(room ? [room] : [])]
}

const limitText = ({ granuleBytes, slabBytes, largestBytes, powersOfTwo }: DeviceLimits): string =>
  `slabs of ${formatBytes(slabBytes)} or more${largestBytes === undefined ? '' : `, at most ${formatBytes(largestBytes)}`}, ` +
  (powersOfTwo ? 'in powers of two' : `in multiples of ${formatBytes(granuleBytes)}`)

const traits = ({ zeroed, mappable, needsSync, exportable }: DeviceLimits): string[] => [
  zeroed ? 'fresh memory reads zero' : 'fresh memory is not cleared',
  mappable ? `mappable${needsSync ? ', synchronised as maps begin and end' : ''}` : 'not mappable',
  exportable ? 'exportable' : 'not exportable',
]

function roomText({ totalBytes, freeBytes, largestFreeBytes }: DeviceUsage): string {
  const room: [string, number | undefined][] = [
    ['in all', totalBytes],
    ['free', freeBytes],
    ['in one piece', largestFreeBytes],
  ]
  const known = room.filter((each): each is [string, number] => each[1] !== undefined)
  return known.map(([words, bytes]) => `${formatBytes(bytes)} ${words}`).join(', ')
}

/** Of what is not available, the reason is told already. */
function autoEntries({ backEnds, auto: { kind, passedOver }, devices }: FoundDevices): Entry[] {
  const isThere = (kind: string) => backEnds.some((backEnd) => backEnd.kind === kind && backEnd.available)
  const others = passedOver.filter((passed) => isThere(passed.kind))
  return [
    { name: 'auto', text: `${devices ? 'takes' : 'would take'} ${kind}` },
    ...others.map(({ kind: other, reason }) => unnamed(`not ${other}: ${reason}`)),
  ]
}
