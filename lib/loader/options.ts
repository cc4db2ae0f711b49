import { isMap } from 'node:util/types'
import type { NativeOpenOptions, NativeStreamOptions, TensorInfo } from '../../binding.js'
import type { DeviceBuffer } from '../device/buffer.js'
import { isPool, type MemoryPool } from '../pool/memory-pool.js'
import { nativePool, StagingPool } from '../pool/staging.js'
import * as check from '../support/check.js'
import { invalidArgument, quoted } from '../support/errors.js'
import { destination } from './destination.js'
import { type TensorOutput, tensorOutputs } from './output.js'
import type { IoMode, LoadProgress, TensorDigest } from './progress.js'

/** How a header is read, wherever it is. */
export interface HeaderOptions {
  /**
   * The tensor data is not there, only the header: no range is checked against the size of the file, and nothing can be
   * streamed. All other rules hold. `false` by default.
   */
  headerOnly?: boolean
  /**
   * Tensors must follow each other in order, each at the first aligned byte after the one before, as ggml demands; otherwise
   * any order and any gap is accepted as long as no two overlap, as the specification demands. `false` by default.
   */
  strict?: boolean
  /**
   * The most bytes of a tensor's name, up to 65535: stable-diffusion.cpp and others write longer ones than the specification
   * has. 64 by default, as that demands.
   */
  maxNameBytes?: number
  /** The most dimensions of a tensor, up to 8: five occur in models of video. 4 by default, as many as ggml has. */
  maxDimensions?: number
  /**
   * Opens a file of a split model alone. By default any of its files, `NAME-00002-of-00009.gguf`, opens the whole model: the
   * others are looked for beside it. `false` by default.
   */
  shardOnly?: boolean
}

/** How a file is opened. */
export interface OpenOptions extends HeaderOptions {
  /**
   * Where the model begins, in bytes from the start of the file: that of a GGUF file within a larger one, which may go on
   * behind it. Every offset that the model tells counts from there. 0 by default.
   */
  offsetBytes?: number
}

/** What all ways of reading take. */
export interface LoadOptions<As extends TensorOutput = TensorOutput> {
  /** The form of the data: `'raw'` (default), `'f32'`, `'f16'` or `'bf16'` (both as bits, rounded to nearest even). */
  as?: As
  /**
   * How many threads read and convert, each a unit of its own: so many reads are in flight. What comes is in order all the
   * same. 1 by default, at most 64.
   */
  threads?: number
  /**
   * By which calls the file is read: `'read'` (default), copies out of a map (`'mmap'`), or reads past the page cache
   * (`'direct'`). Where that cannot be it is read by `'read'`, and the progress tells why.
   */
  io?: IoMode
  /**
   * Whether the page cache is rid of what was read, but for what it held before. By default on boards whose processors share
   * the memory, where the cache is taken from the model.
   */
  dropBehind?: boolean
  /** Whether a value that is NaN or infinite ends the load, with an {@link InvalidTensorError}. `false` by default. */
  checkTensors?: boolean
  /**
   * Called with the SHA-256 of each tensor that was read to its end, on the event loop. What it throws ends the load. None by
   * default.
   */
  onDigest?: (digest: TensorDigest) => void
  /** Ends the load: it rejects with an {@link AbortError} whose cause is the signal's reason. None by default. */
  signal?: AbortSignal
  /**
   * Called on the event loop with every chunk; where tensors are loaded whole, with every 4 MiB of data, or every MiB into an
   * array of yours. What it throws ends the load. None by default.
   */
  onProgress?: (progress: LoadProgress) => void
}

/** What {@link GgufFile.stream} takes. */
export interface StreamOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
  /** The tensors by name, in the order they are wanted, each once; all by default, in the order of their data in the file. */
  tensors?: string[]
  /**
   * The most bytes of data in a chunk, after conversion. Chunks end on whole blocks, so they may hold fewer. 1 MiB by default,
   * at most 1 GiB, and no less than one block of every tensor: 1024 bytes for `Q4_K` as `'f32'`.
   */
  chunkBytes?: number
  /**
   * The pool whose buffers the file is read into. The manager's by default; without a manager, one shared by all files of the
   * thread.
   */
  staging?: StagingPool
  /**
   * Whether chunks are lent, in the buffers of that pool: valid until the next one is asked for or until their `release()`,
   * then of length 0. It saves the copy, and memory; every use of a chunk must have ended before the next iteration. `false` by
   * default: chunks are their consumer's own.
   */
  reuse?: boolean
}

/** What {@link GgufFile.createReadStream} takes. */
export interface ReadStreamOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
  /** The most bytes in a chunk, as of {@link StreamOptions}. 1 MiB by default. */
  chunkBytes?: number
  /** Ends the load: it destroys the stream with an {@link AbortError} whose cause is the signal's reason. None by default. */
  signal?: AbortSignal
  /** How many bytes the stream reads ahead of its consumer before it waits, beside its units. `chunkBytes` by default. */
  highWaterMark?: number
  /** The pool whose buffers the file is read into. That of {@link StreamOptions} by default. */
  staging?: StagingPool
}

/** What {@link GgufFile.load} takes. */
export interface LoadIntoOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
  /**
   * Memory to fill from its start, of fixed length, at least as large as the data and aligned to its elements (4 bytes for
   * `'f32'`, 2 for `'f16'` and `'bf16'`). New memory by default.
   *
   * That of a {@link StagingBuffer}, a lent chunk or the view of a map is filled straight, and is the load's until its end even
   * if it is released, or the map's use settles, meanwhile. Any other is filled a mebibyte at a time, on the event loop,
   * through buffers of the file's pool. A load whose memory was moved away rejects.
   */
  into?: ArrayBuffer | ArrayBufferView
}

/** What {@link GgufFile.load} takes for a buffer of a device. */
export interface LoadIntoBufferOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
  /** The buffer to fill. Nobody else may use it while the load runs. */
  into: DeviceBuffer
  /** Where in the buffer the tensor begins, in bytes: a multiple of its elements' size. 0 by default. */
  offsetBytes?: number
}

/** What may be asked for, whatever the destination. */
export interface LoadIntoAny extends LoadOptions {
  into?: ArrayBuffer | ArrayBufferView | DeviceBuffer
  offsetBytes?: number
}

/** Where a tensor goes. */
export type TensorPlace = ArrayBuffer | ArrayBufferView | DeviceBuffer

/** What {@link GgufFile.loadAll} takes. */
export interface LoadAllOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
  /** Which tensors are loaded. All by default. */
  filter?: (tensor: Readonly<TensorInfo>) => boolean
  /** The order in which they are loaded, as of `sort`. By default that of their data in the file, which is the fastest. */
  order?: (a: Readonly<TensorInfo>, b: Readonly<TensorInfo>) => number
}

/** What {@link GgufFile.loadAll} takes to fill places of yours. */
export interface LoadAllIntoOptions<As extends TensorOutput = TensorOutput> extends LoadAllOptions<As> {
  /**
   * Where each tensor goes, by its name: memory as of {@link LoadIntoOptions.into}, or a buffer of a device. New memory for a
   * tensor that has no place, and for all by default.
   */
  into: ReadonlyMap<string, TensorPlace> | ((tensor: Readonly<TensorInfo>) => TensorPlace | undefined)
}

/** What {@link GgufFile.loadAll} takes to fill buffers of a pool. */
export interface LoadAllIntoPoolOptions<As extends TensorOutput = TensorOutput> extends LoadAllOptions<As> {
  /** The pool that gives a buffer for each tensor. When the load fails they are all released. */
  into: MemoryPool
}

/** What may be asked for, wherever the tensors go. */
export interface LoadAllAny extends LoadAllOptions {
  into?: LoadAllIntoOptions['into'] | MemoryPool
}

export const headerChecks = {
  headerOnly: check.boolean,
  strict: check.boolean,
  maxNameBytes: (name: string, value: unknown) => check.bytes(name, value, 1, 65_535),
  maxDimensions: (name: string, value: unknown) => check.integer(name, value, 1, 8),
  shardOnly: check.boolean,
} as const

const openChecks = {
  ...headerChecks,
  offsetBytes: (name: string, value: unknown) => check.bytes(name, value),
} as const

export const nativeOptions = (options: OpenOptions | undefined): NativeOpenOptions =>
  nativeOpenOptions(check.options<OpenOptions>(options, openChecks))

/** Options that were checked, as the addon takes them. */
export function nativeOpenOptions(checked: OpenOptions): NativeOpenOptions {
  const { headerOnly = false, strict = false, offsetBytes = 0, shardOnly = false, ...limits } = checked
  return check.own({ headerOnly, strict, offsetBytes, shardOnly, ...limits })
}

/** The calls that a file can be read by. */
export const ioModes: readonly IoMode[] = Object.freeze(['read', 'mmap', 'direct'] as const)

/** What the addon wants to know of how a file is read. */
export const readingOf = (
  options: LoadOptions,
  dropsBehind: boolean,
): Omit<NativeStreamOptions, 'tensors' | 'chunkBytes'> => ({
  output: options.as ?? 'raw',
  threads: options.threads ?? 1,
  io: options.io ?? 'read',
  dropBehind: options.dropBehind ?? dropsBehind,
  checkTensors: options.checkTensors ?? false,
  digest: options.onDigest !== undefined,
})

export const loadChecks = {
  as: (name: string, value: unknown) => check.oneOf(name, value, tensorOutputs),
  threads: (name: string, value: unknown) => check.integer(name, value, 1, 64),
  io: (name: string, value: unknown) => check.oneOf<IoMode>(name, value, ioModes),
  dropBehind: check.boolean,
  checkTensors: check.boolean,
  onDigest: (name: string, value: unknown) => check.callback<(digest: TensorDigest) => void>(name, value),
  signal: check.signal,
  onProgress: (name: string, value: unknown) => check.callback<(progress: LoadProgress) => void>(name, value),
} as const

export const streamChecks = {
  ...loadChecks,
  tensors: check.strings,
  chunkBytes: (name: string, value: unknown) => check.bytes(name, value, 1),
  staging: (name: string, value: unknown) => check.real(name, value, StagingPool, nativePool),
  reuse: check.boolean,
} as const

const { tensors: _tensors, reuse: _reuse, ...chunkChecks } = streamChecks
export const readStreamChecks = {
  ...chunkChecks,
  highWaterMark: (name: string, value: unknown) => check.bytes(name, value),
} as const

export const intoChecks = {
  ...loadChecks,
  into: destination,
  offsetBytes: (name: string, value: unknown) => check.bytes(name, value),
} as const

export const allChecks = {
  ...loadChecks,
  into: (name: string, value: unknown): NonNullable<LoadAllAny['into']> => {
    if (isPool(value) || isMap(value) || typeof value === 'function') return value as NonNullable<LoadAllAny['into']>
    throw invalidArgument(name, 'a MemoryPool, a Map of places by tensor, or a function that gives one', quoted(value))
  },
  filter: (name: string, value: unknown) => check.callback<(tensor: Readonly<TensorInfo>) => boolean>(name, value),
  order: (name: string, value: unknown) =>
    check.callback<(a: Readonly<TensorInfo>, b: Readonly<TensorInfo>) => number>(name, value),
} as const
