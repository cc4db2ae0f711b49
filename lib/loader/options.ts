import type { NativeOpenOptions } from '../../binding.js'
import type { DeviceBuffer } from '../device/buffer.js'
import { nativePool, StagingPool } from '../pool/staging.js'
import * as check from '../support/check.js'
import { destination } from './destination.js'
import { type TensorOutput, tensorOutputs } from './output.js'
import type { LoadProgress } from './stream.js'

/** How a file is opened. */
export interface OpenOptions {
  /**
   * The tensor data is not there, only the header: no range is checked against the size of the file, and nothing can
   * be streamed. `false` by default.
   */
  headerOnly?: boolean
  /**
   * Tensors must follow each other in order and without gaps, as ggml demands; otherwise any order is accepted as long
   * as no two overlap, as the specification demands. `false` by default.
   */
  strict?: boolean
  /**
   * The most bytes of a tensor's name: 64 by default, as the specification demands, at most 65535. Models of images and video
   * are published with longer ones.
   */
  maxNameBytes?: number
  /** The most dimensions of a tensor: 4 by default, as many as ggml has, at most 8. */
  maxDimensions?: number
}

/** What both ways of reading take. */
export interface LoadOptions<As extends TensorOutput = TensorOutput> {
  /** The form of the data: `'raw'` (default), `'f32'`, `'f16'` or `'bf16'` (both as bits, rounded to nearest even). */
  as?: As
  /** Ends the load: it rejects with an {@link AbortError} whose cause is the signal's reason. */
  signal?: AbortSignal
  /** Called with every chunk, on the event loop. What it throws ends the load. */
  onProgress?: (progress: LoadProgress) => void
}

/** What {@link GgufFile.stream} takes. */
export interface StreamOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
  /** The tensors by name, in the order they are wanted; all by default, in the order of their data in the file. */
  tensors?: string[]
  /**
   * The most bytes of data in a chunk. Chunks end on whole blocks, so they may hold fewer. 1 MiB by default, at most
   * 1 GiB, and no less than one block of every tensor: 1024 bytes for `Q4_K` as `'f32'`.
   */
  chunkBytes?: number
  /** The pool whose buffers the file is read into. The manager's, or one shared by the files of this thread, by default. */
  staging?: StagingPool
  /**
   * Whether chunks are lent: valid until the next one is asked for or until their `release()`, then of length 0. It saves the
   * copy, and memory; every use of a chunk must have ended before the next iteration. `false` by default: chunks are their
   * consumer's own.
   */
  reuse?: boolean
}

/** What {@link GgufFile.createReadStream} takes. */
export interface ReadStreamOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
  /** The most bytes in a chunk, as of {@link StreamOptions}. 1 MiB by default. */
  chunkBytes?: number
  /** How many bytes the stream reads ahead of its consumer before it waits, beside its units. `chunkBytes` by default. */
  highWaterMark?: number
  /** The pool whose buffers the file is read into, as of {@link StreamOptions}. */
  staging?: StagingPool
}

/** What {@link GgufFile.load} takes. */
export interface LoadIntoOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
  /**
   * Memory to fill, of fixed length, at least as large as the data and aligned to its elements. New memory by default.
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

const openChecks = {
  headerOnly: check.boolean,
  strict: check.boolean,
  maxNameBytes: (name: string, value: unknown) => check.bytes(name, value, 1, 65_535),
  maxDimensions: (name: string, value: unknown) => check.integer(name, value, 1, 8),
} as const

export const nativeOptions = (options: OpenOptions | undefined): NativeOpenOptions => {
  const { headerOnly = false, strict = false, ...limits } = check.options<OpenOptions>(options, openChecks)
  return check.own({ headerOnly, strict, ...limits })
}

export const loadChecks = {
  as: (name: string, value: unknown) => check.oneOf(name, value, tensorOutputs),
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
