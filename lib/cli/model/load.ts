import { basename } from 'node:path'
import {
  formatBytes,
  type GgufFile,
  type IoMode,
  type LoadProgress,
  MemoryManager,
  MiB,
  processMemory,
  type TensorDigest,
  type TensorInfo,
  type TensorOutput,
  tensorDataBytes,
  tensorOutputs,
} from '../../index.js'
import { profilePage } from '../../report/index.js'
import { nearest } from '../../support/nearest.js'
import type { Arguments } from '../arguments.js'
import { UsageError } from '../failure.js'
import { isAddress, openInput, strictnessFrom, strictnessOptions } from '../shared/input.js'
import { untilInterrupted } from '../shared/interrupt.js'
import { lineFrom, lineOf, lineOptions } from '../shared/line.js'
import { measuredMachine } from '../shared/machine.js'
import type { Page } from '../terminal/page.js'
import { progressOn } from '../terminal/progress.js'
import { facts, heading } from '../terminal/table.js'
import { grouped, visible } from '../terminal/text.js'
import type { Verb } from '../verb.js'

export const load: Verb = {
  name: 'load',
  operand: 'FILE',
  summary: 'stream every tensor through the loader: progress, throughput, peak memory',
  options: {
    as: { type: 'string', value: 'raw|f32|f16|bf16', help: 'the form of the data (raw)' },
    chunk: { type: 'string', value: 'SIZE', help: 'the most bytes of data in a chunk, up to 1GiB (1MiB)' },
    tensor: {
      type: 'string',
      value: 'NAME',
      multiple: true,
      argument: 'tensors',
      help: 'load only this tensor, in the order given; may be repeated',
    },
    threads: { type: 'string', value: 'N', help: 'how many threads read and convert, up to 64 (1)' },
    io: { type: 'string', value: 'read|mmap|direct', help: 'how the file is read (read)' },
    'page-cache': {
      type: 'string',
      value: 'keep|drop',
      help: 'whether what was read stays cached (keep, but drop where GPU or NPU share the RAM)',
    },
    check: { type: 'boolean', help: 'end with 3 at a value that is NaN or infinite' },
    sha256: { type: 'boolean', help: "list the SHA-256 of each tensor's stored bytes" },
    profile: {
      type: 'string',
      value: 'OUT',
      argument: 'path',
      help: 'write what the budget did to OUT.html, .json or .trace.json',
    },
    ...strictnessOptions,
    ...lineOptions,
  },
  run: async (args) => {
    const loaded = await measuredLoad(args)
    return { document: loaded, lines: (page) => lines(page, loaded) }
  },
}

type Loaded = Awaited<ReturnType<typeof measuredLoad>>

async function measuredLoad(args: Arguments) {
  const { file } = args
  if (isAddress(file))
    throw new UsageError('expected a FILE, got a URL; download it first, or see it with: plimsoll inspect')
  const as = args.oneOf('as', tensorOutputs) ?? 'raw'
  const chunkBytes = args.size('chunk') ?? MiB
  const profilePath = profilePathFrom(args)
  const reading = readingFrom(args)
  const [strictness, bounds] = [strictnessFrom(args), lineFrom(args)]
  measuredMachine()
  const signal = untilInterrupted()
  const startRssBytes = processMemory().rssBytes
  await using manager = new MemoryManager(bounds)
  using model = await openInput(() => manager.open(file, strictness))
  if (profilePath !== undefined) manager.profile.start()
  const names = args.list('tensor')
  const tensors = chosen(model, names)
  const reservedBytes = dataBytesOf(tensors, as)
  const counts = await reservedStream(manager, model, {
    as,
    chunkBytes,
    tensors,
    named: names !== undefined,
    reservedBytes,
    signal,
    dropBehind: manager.machine.unifiedMemory ?? false,
    ...reading,
  })
  await manager.close()
  if (profilePath?.endsWith('.html')) await manager.profile.save(profilePath, profilePage)
  else if (profilePath !== undefined) await manager.profile.save(profilePath)
  return {
    path: file,
    as,
    chunkBytes,
    line: lineOf(manager.budget),
    reservedBytes,
    tensorCount: tensors.length,
    ...counts,
    startRssBytes,
    peakRssBytes: processMemory().peakRssBytes,
    balanceBytes: manager.budget.allocatedBytes,
    profilePath: profilePath ?? null,
  }
}

/** How the file is read, as far as that is said. */
function readingFrom(args: Arguments) {
  const [threads = 1, io = 'read'] = [args.count('threads'), args.oneOf('io', ['read', 'mmap', 'direct'])]
  const pageCache = args.oneOf('page-cache', ['keep', 'drop'])
  return {
    threads,
    io,
    ...(pageCache && { dropBehind: pageCache === 'drop' }),
    checkTensors: args.flag('check'),
    takesDigests: args.flag('sha256'),
  }
}

/** Where the profile goes, if one is wanted; the name tells its format. */
function profilePathFrom(args: Arguments): string | undefined {
  const path = args.text('profile')
  if (path === undefined || /\.(html|json)$/.test(path)) return path
  throw new UsageError(`expected --profile to be a name that ends in .html, .trace.json or .json, got "${path}"`)
}

/** The tensors named, in the order of their names; all of the file if none is. */
function chosen(model: GgufFile, names: string[] | undefined): readonly TensorInfo[] {
  if (names === undefined) return model.tensors
  return [...new Set(names)].map((name) => {
    const tensor = model.tensor(name)
    if (tensor) return tensor
    // The nearest of a million would take seconds to find.
    const known = model.tensors.slice(0, 10_000).map((each) => each.name)
    const near = nearest(name, known)
    const hint = near === undefined ? '; plimsoll inspect lists them' : `; did you mean "${near}"?`
    throw new UsageError(`unknown tensor "${name}"${hint}`)
  })
}

/** What the tensors take in the form asked for: what a program that keeps them has to reserve. */
const dataBytesOf = (tensors: readonly TensorInfo[], as: TensorOutput): number =>
  tensors.reduce((sum, tensor) => sum + tensorDataBytes(tensor, as), 0)

interface StreamRequest {
  as: TensorOutput
  chunkBytes: number
  tensors: readonly TensorInfo[]
  /** Whether the tensors were named; the loader knows a better order for all of them. */
  named: boolean
  reservedBytes: number
  signal: AbortSignal
  threads: number
  io: IoMode
  dropBehind: boolean
  checkTensors: boolean
  takesDigests: boolean
}

/** Streams the tensors while their bytes are reserved, and counts what came. */
async function reservedStream(manager: MemoryManager, model: GgufFile, request: StreamRequest) {
  const { as, chunkBytes, tensors, named, signal, threads, io, dropBehind, checkTensors, takesDigests } = request
  using _weights = manager.budget.allocate(request.reservedBytes, 'weights')
  const totalBytes = dataBytesOf(tensors, 'raw')
  const progress = progressOn(process.stderr)
  const counts = { chunks: 0, storedBytes: 0, dataBytes: 0 }
  const reading: { io: IoMode; ioReason: string | null } = { io, ioReason: null }
  const digests: TensorDigest[] = []
  const start = performance.now()
  try {
    const names = named ? { tensors: tensors.map((tensor) => tensor.name) } : {}
    const onProgress = ({ tensor, loadedBytes, ...told }: LoadProgress): void => {
      Object.assign(reading, { io: told.io, ioReason: told.ioReason ?? null })
      progress.report({ what: tensor, doneBytes: loadedBytes, totalBytes })
    }
    const onDigest = (digest: TensorDigest): void => void digests.push(digest)
    const options = { as, chunkBytes, threads, io, dropBehind, checkTensors, ...names, signal, onProgress }
    for await (const chunk of model.stream({ ...options, ...(takesDigests && { onDigest }), reuse: true })) {
      counts.chunks += 1
      counts.storedBytes += chunk.byteEnd - chunk.byteStart
      counts.dataBytes += chunk.data.byteLength
    }
  } finally {
    progress.end()
  }
  const durationMs = performance.now() - start
  return {
    ...counts,
    durationMs,
    bytesPerSecond: Math.round((counts.storedBytes * 1000) / durationMs),
    threads,
    ...reading,
    dropBehind,
    checkTensors,
    digests: takesDigests ? digests : null,
  }
}

const lines = (page: Page, loaded: Loaded): string[] => [
  heading(
    page,
    visible(basename(loaded.path)),
    `loaded as ${loaded.as}, in chunks of ${formatBytes(loaded.chunkBytes)}`,
  ),
  '',
  ...facts(page, [
    ['tensors', grouped(loaded.tensorCount)],
    ['chunks', grouped(loaded.chunks)],
    ['stored', formatBytes(loaded.storedBytes)],
    ['data', formatBytes(loaded.dataBytes)],
    ['time', `${(loaded.durationMs / 1000).toFixed(loaded.durationMs < 10_000 ? 3 : 1)} s`],
    ['throughput', `${formatBytes(loaded.bytesPerSecond)}/s of stored data`],
    [
      'peak RSS',
      `${formatBytes(loaded.peakRssBytes)}, ${formatBytes(Math.max(loaded.peakRssBytes - loaded.startRssBytes, 0))} more than at the start`,
    ],
    ['reserved', `${formatBytes(loaded.reservedBytes)} of a line of ${formatBytes(loaded.line.lineBytes)}`],
    ['balance', `${formatBytes(loaded.balanceBytes)} after close`],
    ['read by', readBy(loaded)],
    ['values', loaded.checkTensors ? 'all of them finite numbers' : undefined],
    ['profile', loaded.profilePath === null ? undefined : `written to ${visible(loaded.profilePath)}`],
  ]),
  ...digestSection(page, loaded.digests),
]

/** How the file was read, where it was not by plain reads on one thread. */
function readBy({ threads, io, ioReason, dropBehind }: Loaded): string | undefined {
  const words = [
    ...(io === 'read' ? [] : [io]),
    ...(threads === 1 ? [] : [`${threads} threads`]),
    ...(dropBehind ? ['dropping the page cache behind'] : []),
    ...(ioReason === null ? [] : [`plain reads, for ${visible(ioReason)}`]),
  ]
  return words.length === 0 ? undefined : words.join(', ')
}

const digestSection = (page: Page, digests: TensorDigest[] | null): string[] =>
  digests === null
    ? []
    : ['', ...digests.map(({ tensor, sha256 }) => `${page.paint('dim', sha256)}  ${visible(tensor)}`)]
