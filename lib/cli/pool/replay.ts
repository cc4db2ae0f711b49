import { basename } from 'node:path'
import type { RecordableHistogram } from 'node:perf_hooks'
import { Device, type DeviceKind, formatBytes, type MemoryPool, type PoolSettings } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { Exit } from '../exit.js'
import { untilInterrupted } from '../shared/interrupt.js'
import type { Page } from '../terminal/page.js'
import { progressOn } from '../terminal/progress.js'
import { facts, heading, table } from '../terminal/table.js'
import { grouped, percent, visible } from '../terminal/text.js'
import type { Verb } from '../verb.js'
import { allocatorOptions, poolOf, settingsFrom } from './allocator.js'
import { InputFile } from './input-file.js'
import { type Failure, newTimings, Replayer, type Timings } from './replayer.js'
import { TraceFile, type TraceHeader } from './trace-file.js'
import { expectFitSettings } from './trace-room.js'

const devices: readonly (DeviceKind | 'auto')[] = ['auto', 'host', 'dma-heap', 'udmabuf', 'cuda', 'rknpu']

export const replay: Verb = {
  name: 'replay',
  operand: 'FILE',
  summary: "run the trace of a pool again, on any device and with any of the allocator's settings",
  options: {
    device: { type: 'string', value: devices.join('|'), help: 'where the memory comes from (auto)' },
    ...allocatorOptions,
    defragment: { type: 'boolean', help: 'where no hole fits, defragment before another slab is taken' },
    repeat: { type: 'string', value: 'N', help: 'run it so many times, each on a new pool (1)' },
  },
  run: async (args) => {
    const report = await replayed(args)
    const exitCode = report.failureCount > 0 ? Exit.doesNotFit : Exit.fine
    return { document: report, lines: (page) => lines(page, report), exitCode }
  },
}

type ReplayReport = Awaited<ReturnType<typeof replayed>>

async function replayed(args: Arguments) {
  const { file: path } = args
  const repeat = args.count('repeat') ?? 1
  const request = {
    args,
    path,
    repeat,
    defragment: args.flag('defragment'),
    timings: newTimings(),
    signal: untilInterrupted(),
  }
  const device = await deviceFor(args)
  const began = performance.now()
  for (let round = 1; ; round++) {
    const run = await oneRun(device, request, round)
    if (round < repeat) continue
    const durationMs = performance.now() - began
    return { path, device: device.name, repeat, ...run, durationMs, time: timesOf(request.timings) }
  }
}

/** The device is opened once: what it gives is then told of all the runs together. */
const deviceFor = (args: Arguments): Promise<Device> => Device.open(args.oneOf('device', devices) ?? 'auto')

interface Request {
  args: Arguments
  path: string
  repeat: number
  defragment: boolean
  timings: Timings
  signal: AbortSignal
}

async function oneRun(device: Device, request: Request, round: number) {
  const { args, path, repeat, ...options } = request
  await using file = await InputFile.open(path)
  const trace = await TraceFile.read(file)
  const settings = settingsFrom(args, trace.header.settings)
  // A GPU's own memory is no part of what this machine can give.
  if (device.limits.systemMemory) expectFitSettings(args, settings)
  await using pool = await poolOf(args, { device, ...settings })
  using replayer = new Replayer(pool, options)
  const progress = progressOn(process.stderr)
  const what = repeat > 1 ? `run ${round} of ${repeat}` : ''
  try {
    await replayer.run(trace, ({ readBytes }) =>
      progress.report({ what, doneBytes: readBytes, totalBytes: Math.max(file.sizeBytes, readBytes) }),
    )
  } finally {
    progress.end()
  }
  return outcome(trace.header, settings, pool, replayer)
}

function outcome(trace: TraceHeader, settings: PoolSettings, pool: MemoryPool, { replayed }: Replayer) {
  const end = pool.stats()
  const { peakHeldBytes, peakUsedBytes, movedCount, movedBytes } = end
  return {
    trace,
    settings,
    ...replayed,
    peakHeldBytes,
    peakUsedBytes,
    utilizationPercent: peakHeldBytes > 0 ? (replayed.peakRequestedBytes / peakHeldBytes) * 100 : 0,
    endFragmentationPercent: end.fragmentationPercent,
    movedCount,
    movedBytes,
    end,
  }
}

const timesOf = ({ allocate, grow, free }: Timings) => ({
  allocate: timeOf(allocate),
  grow: timeOf(grow),
  free: timeOf(free),
})

const timeOf = (histogram: RecordableHistogram) =>
  histogram.count > 0
    ? {
        count: histogram.count,
        medianNs: histogram.percentile(50),
        p99Ns: histogram.percentile(99),
        maxNs: histogram.max,
      }
    : null

function lines(page: Page, report: ReplayReport): string[] {
  return [
    heading(page, visible(basename(report.path)), `replayed on ${report.device}${settingsText(report.settings)}`),
    '',
    ...overview(page, report),
    '',
    ...timeSection(page, report),
    ...failureSection(page, report),
  ]
}

function settingsText({ slabBytes, initialBytes, maxBytes, pageBytes, dedicated }: PoolSettings): string {
  const sizes: [string, number | undefined][] = [
    ['slabs of', slabBytes],
    ['initially', initialBytes],
    ['at most', maxBytes],
    ['pages of', pageBytes],
  ]
  const texts = sizes.map(([words, bytes]) => (bytes ? `, ${words} ${formatBytes(bytes)}` : ''))
  return `${texts.join('')}${dedicated ? ', a slab for each buffer' : ''}`
}

const overview = (page: Page, report: ReplayReport): string[] =>
  facts(page, [
    ['trace', `of "${visible(report.trace.label)}" on ${visible(report.trace.device)}`],
    ['events', eventText(report)],
    ['dropped', report.trace.droppedCount > 0 ? `${grouped(report.trace.droppedCount)} later ones` : undefined],
    ['failures', grouped(report.failureCount)],
    ['most asked for', formatBytes(report.peakRequestedBytes)],
    ['most used', formatBytes(report.peakUsedBytes)],
    ['most held', `${formatBytes(report.peakHeldBytes)}, in up to ${grouped(report.peakSlabCount)} slabs`],
    ['utilisation', `${percent(report.utilizationPercent)}, the most asked for of the most held`],
    ['fragmentation', fragmentationText(report)],
    ['moves', `${grouped(report.movedCount)}, ${formatBytes(report.movedBytes)}`],
    ['metadata', `up to ${formatBytes(report.peakMetadataBytes)}`],
  ])

const eventText = ({ eventCount, allocateCount, freeCount, ignoredCount }: ReplayReport): string =>
  `${grouped(eventCount)}: ${grouped(allocateCount)} allocations, ${grouped(freeCount)} frees, ` +
  `${grouped(ignoredCount)} refusals and moves of the traced pool`

const fragmentationText = (report: ReplayReport): string =>
  `${percent(report.endFragmentationPercent)} at the end, ` +
  (report.worstFragmentationPercent > 0
    ? `${percent(report.worstFragmentationPercent)} at its worst, after event ${grouped(report.worstFragmentationEvent)}`
    : 'never any')

function timeSection(page: Page, { time, durationMs, repeat }: ReplayReport): string[] {
  const runs = repeat > 1 ? ` in ${grouped(repeat)} runs` : ''
  const rows = Object.entries(time).flatMap(([name, figures]) =>
    figures
      ? [[timeNames[name] ?? name, grouped(figures.count), ...[figures.medianNs, figures.p99Ns, figures.maxNs].map(ns)]]
      : [],
  )
  return [
    heading(page, 'Time', `on this machine, ${(durationMs / 1000).toFixed(2)} s${runs}, with the reading of the trace`),
    '',
    ...table(
      page,
      [
        { title: 'operation' },
        { title: 'times', align: 'right' },
        { title: 'median', align: 'right' },
        { title: '99 %', align: 'right' },
        { title: 'longest', align: 'right' },
      ],
      rows,
    ),
  ]
}

const timeNames: Record<string, string> = {
  allocate: 'allocate from a slab that is held',
  grow: 'allocate with a new slab, or fail',
  free: 'free',
}

/** A duration in nanoseconds, for people. */
function ns(duration: number): string {
  if (duration < 1e3) return `${duration} ns`
  return duration < 1e6 ? `${(duration / 1e3).toFixed(2)} µs` : `${(duration / 1e6).toFixed(2)} ms`
}

function failureSection(page: Page, { failures, failureCount }: ReplayReport): string[] {
  if (failureCount === 0) return []
  const note = failureCount > failures.length ? `the first ${failures.length} of ${grouped(failureCount)}` : ''
  return ['', heading(page, 'Failures', note), '', ...table(page, failureColumns, failures.map(failureRow))]
}

const failureColumns = [
  { title: 'line', align: 'right' },
  { title: 'asked for', align: 'right' },
  { title: 'aligned to', align: 'right' },
  { title: 'largest hole', align: 'right' },
  { title: 'held', align: 'right' },
  { title: 'why' },
] as const

const failureRow = ({ line, requestedBytes, alignBytes, largestFreeBytes, heldBytes, reason }: Failure): string[] => [
  grouped(line),
  formatBytes(requestedBytes),
  formatBytes(alignBytes),
  formatBytes(largestFreeBytes),
  formatBytes(heldBytes),
  visible(reason),
]
