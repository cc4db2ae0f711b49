import { constants } from 'node:buffer'
import type { NativeStreamOptions, TensorInfo } from '../../binding.js'
import {
  expectRoomFor,
  type NativeModel,
  NativePlaces,
  type NativeStagingPool,
  type NativeStream,
  type NativeUnit,
} from '../addon/native.js'
import { MiB } from '../addon/units.js'
import { bufferPlace, type DeviceBuffer, inUse } from '../device/buffer.js'
import { nativePool, type StagingPool } from '../pool/staging.js'
import type { Bytes } from '../support/arrays.js'
import { call, invalidArgument, quoted } from '../support/errors.js'
import { movedAway, tooLarge, windowOf } from './destination.js'
import { type LoadOptions, readingOf, type TensorPlace } from './options.js'
import { elementBytes, type TensorData, type TensorOutput, tensorDataBytes, view } from './output.js'
import { type LoadControl, Reporter } from './progress.js'
import { drain, type Loads } from './stream.js'

/** What a file shares with its owner. */
export interface LoadContext {
  staging: StagingPool
  loads: Loads
  /** Whether the page cache is rid of what was read unless an option says otherwise. */
  dropsBehind: boolean
}

/** An open model, as a load uses it. */
export interface LoadSource {
  native: NativeModel
  names: () => (index: number) => string
  context: LoadContext
}

/** A tensor that is wanted, and where. */
export interface Wanted {
  info: Readonly<TensorInfo>
  into: TensorPlace | undefined
  offsetBytes: number | undefined
}

/** The chunks in which a destination is filled straight. */
const CHUNK_BYTES = 4 * MiB

/** New memory of so many bytes is asked of the machine first. */
const LARGE_BYTES = 16 * MiB

/** A tensor on its way. */
interface Target extends Wanted {
  dataBytes: number
  /** An array of the caller's, as far as it is filled. */
  window: Bytes | undefined
  /** Whether it is filled by the reader's threads. */
  straight: boolean
}

export const controlOf = ({ signal, onProgress, onDigest }: LoadOptions): LoadControl => ({
  signal,
  onProgress,
  onDigest,
})

/**
 * Reads tensors whole, each to its place, in the order of the list. What has no place goes to new memory. When it rejects,
 * nothing is written anywhere afterwards.
 */
export async function fill<As extends TensorOutput>(
  source: LoadSource,
  wanted: readonly Wanted[],
  options: LoadOptions<As>,
): Promise<(TensorData<As> | DeviceBuffer)[]> {
  const { staging, loads, dropsBehind } = source.context
  const as = options.as ?? ('raw' as As)
  const through = nativePool(staging) as NativeStagingPool
  const reading = readingOf(options, dropsBehind)
  const all = wanted.map(({ info }) => info)
  expectLoadable(source, all, options)
  const targets = targetsOf(wanted, as)
  const places = placesFor(targets, elementBytes(as))
  const totalBytes = wanted.reduce((sum, { info }) => sum + info.sizeBytes, 0)
  const reporter = new Reporter(totalBytes, controlOf(options))
  const run = (native: NativeStream, deliver?: (unit: NativeUnit) => void): Promise<void> =>
    drain(native, source.names(), reporter, loads, deliver)

  const request = (list: Target[], chunkBytes: number): NativeStreamOptions => {
    return { ...reading, chunkBytes, tensors: list.map(({ info }) => info.name) }
  }
  const straight = targets.filter((target) => target.straight)
  let filled: ArrayBuffer[] = []
  if (straight.length > 0) {
    const native = call(() => source.native.streamInto(through, request(straight, CHUNK_BYTES), places))
    await heldBy(straight, run(native))
    filled = native.takeFilled()
  }
  for (const target of targets) {
    // Memory that a script can move away is filled on the event loop, out of staging buffers.
    if (!target.straight) {
      let done = 0
      const { window, dataBytes } = target
      const native = call(() => source.native.stream(through, request([target], MiB)))
      await run(native, (unit) => {
        done += call(() => unit.copyInto(window as Bytes, dataBytes, done))
      })
    }
  }
  filled.reverse()
  return targets.map(({ into, window, dataBytes }) => {
    if (into === undefined) return view(as, filled.pop() as ArrayBuffer)
    if (!window) return into as DeviceBuffer
    if (window.length !== dataBytes) throw movedAway()
    return view(as, window.buffer as ArrayBuffer, window.byteOffset, window.byteLength / elementBytes(as))
  })
}

/** Whatever is the matter with the request is told here, before anything is taken. No thread is started by it. */
export function expectLoadable(
  source: LoadSource,
  tensors: readonly Readonly<TensorInfo>[],
  options: LoadOptions,
): void {
  const { staging, dropsBehind } = source.context
  const request = {
    ...readingOf(options, dropsBehind),
    chunkBytes: CHUNK_BYTES,
    tensors: tensors.map(({ name }) => name),
  }
  call(() => source.native.stream(nativePool(staging) as NativeStagingPool, request)).cancel()
}

/** Each tensor with what it takes, checked against its place. */
function targetsOf(wanted: readonly Wanted[], as: TensorOutput): Target[] {
  let newBytes = 0
  const targets = wanted.map((each): Target => {
    const { info, into, offsetBytes } = each
    const dataBytes = tensorDataBytes(info, as)
    if (into !== undefined && bufferPlace(into)) return { ...each, dataBytes, window: undefined, straight: true }
    if (offsetBytes !== undefined) throw invalidArgument('offsetBytes', 'left to a DeviceBuffer', offsetBytes)
    if (into === undefined) {
      if (dataBytes > constants.MAX_LENGTH) throw tooLarge(dataBytes)
      newBytes += dataBytes
      return { ...each, dataBytes, window: undefined, straight: true }
    }
    const window = windowOf(into as ArrayBuffer | ArrayBufferView, dataBytes, elementBytes(as))
    return { ...each, dataBytes, window, straight: false }
  })
  for (const { into, offsetBytes } of targets) {
    if (into !== undefined && bufferPlace(into)) expectAligned(offsetBytes ?? 0, elementBytes(as))
  }
  expectApart(targets)
  if (newBytes >= LARGE_BYTES) call(() => expectRoomFor(newBytes))
  return targets
}

/** Refuses memory that is the place of two tensors: the one loaded last would be in both. */
function expectApart(targets: readonly Target[]): void {
  const taken = new Map<unknown, { name: string; start: number; end: number }[]>()
  for (const { info, into, window, dataBytes, offsetBytes } of targets) {
    if (into === undefined || dataBytes === 0) continue
    const start = window ? window.byteOffset : (offsetBytes ?? 0)
    const range = { name: info.name, start, end: start + dataBytes }
    const memory = window ? window.buffer : into
    const ranges = taken.get(memory)
    if (ranges) ranges.push(range)
    else taken.set(memory, [range])
  }
  for (const ranges of taken.values()) {
    ranges.sort((a, b) => a.start - b.start)
    ranges.forEach(({ name, start }, i) => {
      const before = ranges[i - 1]
      if (before && start < before.end) {
        throw invalidArgument(
          'into',
          'a place for each tensor',
          `memory that ${quoted(before.name)} and ${quoted(name)} share`,
        )
      }
    })
  }
}

/** Makes the places that are filled straight, and marks the targets that have one. */
function placesFor(targets: Target[], alignmentBytes: number): NativePlaces {
  const places = new NativePlaces()
  try {
    for (const target of targets) {
      const { into, window, dataBytes, offsetBytes } = target
      const place = into === undefined ? undefined : bufferPlace(into)
      if (place) call(() => places.addBuffer(place.native, place.key, offsetBytes ?? 0, dataBytes))
      else if (window) target.straight = call(() => places.addLeased(window, dataBytes, alignmentBytes))
      else call(() => places.addNew(dataBytes))
    }
  } catch (error) {
    places.clear() // What it holds would be in use until it is collected.
    throw error
  }
  return places
}

/** The work, which the memory of leases is in use by. */
function heldBy(targets: readonly Target[], work: Promise<void>): Promise<void> {
  const buffers = new Set(targets.flatMap(({ window }) => (window ? [window.buffer] : [])))
  let held = work
  for (const buffer of buffers) held = inUse(buffer, held)
  return held
}

/** Where a tensor begins in a buffer; the buffer itself is aligned to more than any element. */
function expectAligned(offsetBytes: number, alignmentBytes: number): void {
  if (offsetBytes % alignmentBytes === 0) return
  throw invalidArgument('offsetBytes', `a multiple of its elements' ${alignmentBytes} bytes`, offsetBytes)
}
