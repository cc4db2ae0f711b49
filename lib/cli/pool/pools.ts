import {
  formatBytes,
  type InvalidArgumentError,
  type PoolSnapshot,
  parsePoolSnapshots,
  type SlabInfo,
} from '../../index.js'
import { poolsPage } from '../../report/index.js'
import { replaceFile } from '../../support/replace-file.js'
import type { Arguments } from '../arguments.js'
import { Exit } from '../exit.js'
import { FileError, SnapshotError, UsageError } from '../failure.js'
import { untilInterrupted } from '../shared/interrupt.js'
import type { Page } from '../terminal/page.js'
import { facts, heading } from '../terminal/table.js'
import { clip, grouped, percent, visible } from '../terminal/text.js'
import type { Verb } from '../verb.js'
import { allocatorOptions, poolOf, settingsFrom } from './allocator.js'
import { InputFile } from './input-file.js'
import { Replayer } from './replayer.js'
import { legend, picture } from './shades.js'
import { isTrace, TraceFile } from './trace-file.js'
import { boundedSettings, expectRoom } from './trace-room.js'

/** A snapshot is read whole; half a million blocks take this much. */
const MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024

/** Slabs of a pool shown at most. */
const MAX_SLABS = 100

/** Characters of a name shown at most. */
const MAX_NAME = 80

/** Cells that a slab is drawn in, where there is room. */
const CELLS = 64

export const pools: Verb = {
  name: 'pools',
  operand: 'FILE',
  summary: 'the slabs of pools and what lies in them, from a snapshot or the trace of a pool',
  options: {
    html: { type: 'string', value: 'OUT', help: 'write a page that needs nothing but a browser to OUT' },
    at: { type: 'string', value: 'N', help: 'of a trace: after so many events (all)' },
    ...allocatorOptions,
  },
  run: async (args) => {
    const found = await examine(args)
    const html = args.text('html') ?? null
    if (html !== null) await writePage(html, found.snapshots)
    return { document: { path: args.file, html, ...found }, lines: (page) => lines(page, found, html) }
  },
}

interface FoundPools {
  /** What of a trace was run; `null` for a snapshot. */
  replayed: { eventCount: number; failureCount: number } | null
  snapshots: PoolSnapshot[]
}

async function examine(args: Arguments): Promise<FoundPools> {
  await using file = await InputFile.open(args.file)
  if (isTrace(await file.head())) return await fromTrace(file, args)
  const unfit = ['at', ...Object.keys(allocatorOptions)].find((name) => args.text(name) !== undefined)
  if (unfit !== undefined) throw new UsageError(`expected a trace with --${unfit}, got another file`)
  return { replayed: null, snapshots: await fromSnapshots(file) }
}

async function fromSnapshots(file: InputFile): Promise<PoolSnapshot[]> {
  const text = await wholeText(file)
  try {
    return parsePoolSnapshots(text)
  } catch (error) {
    // The text is that of a file, and the file is what is unfit.
    throw new SnapshotError(error as InvalidArgumentError)
  }
}

async function wholeText(file: InputFile): Promise<string> {
  const chunks: Buffer[] = []
  let readBytes = 0
  for await (const chunk of file.chunks()) {
    chunks.push(chunk)
    readBytes += chunk.length
    if (readBytes > MAX_SNAPSHOT_BYTES) {
      const most = formatBytes(MAX_SNAPSHOT_BYTES)
      throw new FileError(`expected a trace, or a snapshot of at most ${most}, got more`, Exit.brokenInput)
    }
  }
  return Buffer.concat(chunks).toString()
}

/** What a trace comes to, in ordinary RAM. */
async function fromTrace(file: InputFile, args: Arguments): Promise<FoundPools> {
  const signal = untilInterrupted()
  const trace = await TraceFile.read(file)
  const { mostBytes, ...settings } = boundedSettings(args, settingsFrom(args, trace.header.settings))
  await using pool = await poolOf(args, { device: 'host', ...settings })
  using replayer = new Replayer(pool, { signal, atMost: args.count('at'), labelled: true })
  await replayer.run(trace, () => {})
  const { eventCount, failureCount, failures } = replayer.replayed
  for (const { heldBytes, requestedBytes } of failures) expectRoom(mostBytes, heldBytes + requestedBytes)
  const snapshot = { ...pool.snapshot(), label: trace.header.label }
  return { replayed: { eventCount, failureCount }, snapshots: [snapshot] }
}

async function writePage(path: string, snapshots: PoolSnapshot[]): Promise<void> {
  const page = poolsPage(snapshots)
  try {
    await replaceFile(path, [page])
  } catch (error) {
    throw new FileError(`expected to write ${path}, got: ${(error as Error).message}`, Exit.trouble)
  }
}

const lines = (page: Page, { replayed, snapshots }: FoundPools, html: string | null): string[] => [
  ...snapshots.flatMap((pool, i) => [...(i > 0 ? [''] : []), ...section(page, pool)]),
  ...(replayed?.failureCount ? ['', `${grouped(replayed.failureCount)} buffers found no place and are not drawn`] : []),
  ...(html === null ? [] : ['', `The page is in ${visible(html)}`]),
]

/** A name from a file, by its beginning. */
const shown = (name: string): string => clip(visible(name.slice(0, 2 * MAX_NAME)), MAX_NAME)

function section(page: Page, pool: PoolSnapshot): string[] {
  const { label, device, timeMs, stats, slabs } = pool
  return [
    heading(page, shown(label), `on ${shown(device)}, ${new Date(timeMs).toISOString()}`),
    '',
    ...facts(page, [
      ['held', `${formatBytes(stats.heldBytes)} in ${grouped(stats.slabCount)} slabs`],
      ['used', `${formatBytes(stats.usedBytes)} by ${grouped(stats.bufferCount)} buffers`],
      ['asked for', formatBytes(stats.requestedBytes)],
      ['free', `${formatBytes(stats.freeBytes)}, the largest hole ${formatBytes(stats.largestFreeBytes)}`],
      ['fragmentation', percent(stats.fragmentationPercent)],
      ['most held', formatBytes(stats.peakHeldBytes)],
      ['most used', formatBytes(stats.peakUsedBytes)],
    ]),
    ...(slabs.length > 0 ? ['', ...slabLines(page, slabs), '', `  ${legend(page)}`] : []),
  ]
}

function slabLines(page: Page, slabs: readonly SlabInfo[]): string[] {
  const shown = slabs.slice(0, MAX_SLABS)
  const rows = shown.map((slab) => ({
    slab,
    name: `${slab.index}  ${formatBytes(slab.sizeBytes)}`,
    used: percent((slab.usedBytes / slab.sizeBytes) * 100),
  }))
  const width = Math.max(...rows.map(({ name }) => name.length))
  const cells = Math.max(Math.min(CELLS, page.width - width - '    100.0 %'.length - 2), 8)
  const lines = rows.map(
    ({ slab, name, used }) => `  ${name.padStart(width)}  ${picture(page, slab, cells)}  ${used.padStart(7)}`,
  )
  const more = slabs.length - shown.length
  return more > 0 ? [...lines, `  and ${grouped(more)} more`] : lines
}
