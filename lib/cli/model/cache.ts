import {
  AbortError,
  type DroppedPages,
  dropPageCache,
  formatBytes,
  IoError,
  type PageCache,
  pageCache,
  processes,
} from '../../index.js'
import type { Arguments } from '../arguments.js'
import { InputError } from '../failure.js'
import { untilInterrupted } from '../shared/interrupt.js'
import { printError } from '../terminal/output.js'
import type { Page } from '../terminal/page.js'
import { type Column, entries, heading, table } from '../terminal/table.js'
import { grouped, percent, visible } from '../terminal/text.js'
import type { Report, Verb } from '../verb.js'
import { beginsAsGguf, type ModelFile, ModelSearch, type PassedOver, usualFolders } from './model-files.js'

export const cache: Verb = {
  name: 'cache',
  operand: '[PATH...]',
  summary: 'which model files hold page cache, and give back what no process has mapped',
  options: {
    drop: { type: 'boolean', help: 'drop what no process has mapped; no more is needed than to read the files' },
  },
  run,
}

/** A process that has a file mapped. */
interface Mapper {
  pid: number
  name: string
}

/** A file as the command tells of it: what is cached now, and what came back. */
interface CachedFile {
  path: string
  sizeBytes: number
  cachedBytes: number | null
  dirtyBytes: number | null
  writebackBytes: number | null
  cachedBeforeBytes: number | null
  droppedBytes: number | null
  inMemory: boolean
  source: string | null
  reason: string | null
  mappedBy: Mapper[] | null
}

async function run(args: Arguments): Promise<Report> {
  const signal = untilInterrupted()
  const search = new ModelSearch(signal)
  for (const path of args.paths) await search.named(path)
  if (args.paths.length === 0) for (const path of ['.', ...usualFolders()]) await search.usual(path)
  const { files: found, passedOver } = search.found
  const measured = await eachOf(found, passedOver, signal, measure)
  const isDrop = args.flag('drop')
  const files = isDrop ? await eachOf(measured, passedOver, signal, drop) : measured.map(({ file }) => file)
  for (const { path, reason } of passedOver) printError('plimsoll cache', `passed over ${path}: ${reason}`)
  files.sort((a, b) => held(b) - held(a) || (a.path < b.path ? -1 : 1))
  const totals = totalsOf(files, isDrop)
  return {
    document: { dropped: isDrop, files, totals, passedOver },
    lines: (page) => lines(page, files, totals, isDrop),
  }
}

/**
 * Does something with each, and leaves out those of which nothing came. One that was found in a folder may be gone or closed to
 * this user, and is passed over.
 */
async function eachOf<T extends { path: string; named: boolean }, R>(
  all: readonly T[],
  passedOver: PassedOver[],
  signal: AbortSignal,
  work: (one: T) => Promise<R | undefined>,
): Promise<R[]> {
  const results: R[] = []
  for (const one of all) {
    if (signal.aborted) throw new AbortError(signal.reason)
    try {
      const result = await work(one)
      if (result !== undefined) results.push(result)
    } catch (error) {
      if (one.named) throw error
      passedOver.push({ path: one.path, reason: (error as Error).message })
    }
  }
  return results
}

/** A file whose cached pages have been counted. */
interface Measured {
  path: string
  named: boolean
  file: CachedFile
}

/** Counts the pages of a file before a byte of it is read. */
async function measure({ path, named, nameless }: ModelFile): Promise<Measured | undefined> {
  const told = await opened(() => pageCache(path))
  // What a file without a name of its own is, is told by reading, which would bring in pages of one that has none.
  if (nameless && (told.cachedBytes === 0 || !(await beginsAsGguf(path)))) return undefined
  return { path, named, file: fileOf(told) }
}

async function drop({ path, file }: Measured): Promise<CachedFile> {
  if (file.cachedBytes === 0) return { ...file, cachedBeforeBytes: 0, droppedBytes: 0, mappedBy: [] }
  const dropped = fileOf(await dropPageCache(path))
  const isLeft = dropped.cachedBytes !== 0 && !dropped.inMemory
  return { ...dropped, mappedBy: isLeft ? await mappersOf(path) : [] }
}

/** A file that cannot be opened is broken input. */
async function opened<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    throw error instanceof IoError ? new InputError(error) : error
  }
}

const fileOf = (told: PageCache & Partial<DroppedPages>): CachedFile => ({
  path: told.path,
  sizeBytes: told.sizeBytes,
  cachedBytes: told.cachedBytes ?? null,
  dirtyBytes: told.dirtyBytes ?? null,
  writebackBytes: told.writebackBytes ?? null,
  cachedBeforeBytes: told.cachedBeforeBytes ?? null,
  droppedBytes: told.droppedBytes ?? null,
  inMemory: told.inMemory,
  source: told.source ?? null,
  reason: told.reason ?? null,
  mappedBy: null,
})

/** Who has a file mapped, as far as this user may look. */
async function mappersOf(path: string): Promise<Mapper[]> {
  const all = await processes({ mapping: path })
  return all.map(({ pid, name }) => ({ pid, name }))
}

/** What a file holds, or held before it was dropped; less than nothing where that is not told, so that it stands last. */
const held = (file: CachedFile): number => file.cachedBeforeBytes ?? file.cachedBytes ?? -1

interface Totals {
  fileCount: number
  sizeBytes: number
  /** Of the files of which it is told. */
  cachedBytes: number
  droppedBytes: number | null
  /** Files of which it is not told. */
  untoldCount: number
}

const totalsOf = (files: readonly CachedFile[], isDrop: boolean): Totals => ({
  fileCount: files.length,
  sizeBytes: sum(files.map((file) => file.sizeBytes)),
  cachedBytes: sum(files.map((file) => file.cachedBytes ?? 0)),
  droppedBytes: isDrop ? sum(files.map((file) => file.droppedBytes ?? 0)) : null,
  untoldCount: files.filter((file) => file.cachedBytes === null).length,
})

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

function lines(page: Page, files: readonly CachedFile[], totals: Totals, isDrop: boolean): string[] {
  if (files.length === 0) return [heading(page, 'Page cache', 'no model file was found')]
  const shown = files.filter((file) => held(file) !== 0)
  const none = files.length - shown.length
  return [
    heading(page, 'Page cache', summary(totals)),
    ...(shown.length > 0 ? ['', ...(isDrop ? droppedTable : cachedTable)(page, shown)] : []),
    ...(none > 0 ? ['', `  ${emptyFiles(none, shown.length)}`] : []),
    ...noteSection(page, shown, isDrop),
  ]
}

/** That so many files hold nothing, besides others or alone. */
const emptyFiles = (count: number, others: number): string =>
  `${grouped(count)} ${others > 0 ? 'more ' : ''}${count === 1 ? 'file holds' : 'files hold'} none`

const counted = (count: number): string => `${grouped(count)} ${count === 1 ? 'file' : 'files'}`

function summary({ fileCount, sizeBytes, cachedBytes, droppedBytes, untoldCount }: Totals): string {
  const untold = untoldCount > 0 ? `; not told of ${grouped(untoldCount)}` : ''
  const cached = formatBytes(cachedBytes)
  const files = `${counted(fileCount)} of ${formatBytes(sizeBytes)}`
  return droppedBytes === null
    ? `${cached} cached of ${files}${untold}`
    : `${formatBytes(droppedBytes)} came back and ${cached} stay, of ${files}${untold}`
}

const last: Column = { title: 'file' }

const right = (title: string): Column => ({ title, align: 'right' })

const cachedTable = (page: Page, files: readonly CachedFile[]): string[] =>
  table(
    page,
    [right('size'), right('cached'), right('share'), last],
    files.map((file) => [formatBytes(file.sizeBytes), told(file.cachedBytes), share(file), visible(file.path)]),
  )

const droppedTable = (page: Page, files: readonly CachedFile[]): string[] =>
  table(
    page,
    [right('size'), right('cached'), right('came back'), right('stays'), last],
    files.map((file) => [
      formatBytes(file.sizeBytes),
      told(file.cachedBeforeBytes),
      told(file.droppedBytes),
      told(file.cachedBytes),
      visible(file.path),
    ]),
  )

const told = (bytes: number | null): string => (bytes === null ? '?' : formatBytes(bytes))

const share = ({ cachedBytes, sizeBytes }: CachedFile): string =>
  cachedBytes === null ? '?' : percent(sizeBytes > 0 ? (cachedBytes / sizeBytes) * 100 : 0)

/** What a figure cannot say. */
function noteSection(page: Page, files: readonly CachedFile[], isDrop: boolean): string[] {
  const notes = files.flatMap((file) => {
    const text = note(file, isDrop)
    return text === undefined ? [] : [{ name: isDrop ? '!' : '?', text: `${visible(file.path)}: ${text}` }]
  })
  return notes.length > 0 ? ['', ...entries(page, 'yellow', notes)] : []
}

function note(file: CachedFile, isDrop: boolean): string | undefined {
  if (file.inMemory) return 'it lies in memory (tmpfs): its pages are the file itself, and stay until it is removed'
  const mappers = file.mappedBy?.map(({ pid, name }) => `${pid} ${visible(name)}`).join(', ')
  if (file.reason !== null) {
    const outcome = isDrop ? 'dropped, but how much came back is not told' : 'not told'
    return `${outcome}: ${file.reason}${mappers ? `; mapped by ${mappers}` : ''}`
  }
  if (!isDrop || !file.cachedBytes) return undefined
  return mappers
    ? `mapped by ${mappers}; it stays until they let it go`
    : 'what stays is mapped by a process that this user may not look into, or is being read'
}
