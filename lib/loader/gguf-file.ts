import { constants } from 'node:buffer'
import { isTypedArray } from 'node:util/types'
import type {
  GgufFileType,
  GgufGap,
  GgufSplit,
  NativeModelInfo,
  NativeStreamOptions,
  TensorInfo,
} from '../../binding.js'
import { NativeModel, type NativeStagingPool, type NativeStream, type NativeUnit } from '../addon/native.js'
import { MiB } from '../addon/units.js'
import { bufferPlace, type DeviceBuffer, inUse } from '../device/buffer.js'
import { nativePool, StagingPool } from '../pool/staging.js'
import { anyBytesOf } from '../support/bytes.js'
import * as check from '../support/check.js'
import { call, invalidArgument, quoted } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'
import type { TensorChunk } from './chunk.js'
import { movedAway, tooLarge, windowOf } from './destination.js'
import { type GgufMetadata, metadataOf } from './metadata.js'
import {
  intoChecks,
  type LoadIntoAny,
  type LoadIntoBufferOptions,
  type LoadIntoOptions,
  type LoadOptions,
  nativeOptions,
  type OpenOptions,
  type ReadStreamOptions,
  readStreamChecks,
  type StreamOptions,
  streamChecks,
} from './options.js'
import { elementBytes, type TensorData, type TensorOutput, tensorDataBytes, view } from './output.js'
import { readStream, type TensorReadStream } from './read-stream.js'
import { chunks, drain, type LoadControl, Loads } from './stream.js'
import { tensorInfos } from './tensor-infos.js'

export type { GgufFileType, GgufGap, GgufSplit, TensorInfo } from '../../binding.js'

/** What a file shares with its owner. */
export interface LoadContext {
  staging: StagingPool
  loads: Loads
}

/** The pool and the loads of files opened without a manager; made when first needed. */
let standalone: LoadContext | undefined

const standaloneContext = (): LoadContext => {
  standalone ??= { staging: new StagingPool({ maxHeldBytes: 8 * MiB }), loads: new Loads() }
  return standalone
}

/** Opens a file for an owner of its own pool and loads. */
export let openWith: (context: LoadContext, path: string | URL, options?: OpenOptions) => GgufFile

/**
 * An open GGUF file: its metadata and tensors, checked against every rule of the format.
 *
 * Opening reads the header and nothing else. The file stays open until {@link close}; a file that was changed in place
 * since it was opened is refused at the next read.
 *
 * @example
 * using model = GgufFile.open('model.gguf')
 * for await (const chunk of model.stream({ as: 'f32' })) {
 *   consume(chunk.tensor, chunk.elementStart, chunk.data)
 * }
 */
export class GgufFile implements Disposable {
  readonly #native: NativeModel
  readonly #info: NativeModelInfo
  readonly #context: LoadContext | undefined
  #tensors: readonly Readonly<TensorInfo>[] | undefined
  /** The metadata, decoded when asked for. */
  readonly metadata: GgufMetadata
  /** Whether it was opened without its data. */
  readonly headerOnly: boolean

  static {
    openWith = (context, path, options) => GgufFile.#open(path, options, context)
  }

  private constructor(token: typeof internal, native: NativeModel, headerOnly: boolean, context?: LoadContext) {
    expectInternal(token, 'GgufFile', 'GgufFile.open()')
    refuseCloning(this)
    this.#native = native
    this.#info = call(() => native.info())
    this.#context = context
    this.metadata = metadataOf(native)
    this.headerOnly = headerOnly
  }

  /**
   * Opens a file and reads its header. No tensor data is read.
   *
   * @throws {@link IoError} when it cannot be opened or read, or is no regular file.
   * @throws {@link InvalidGgufError} when it breaks a rule of the format.
   */
  static open(path: string | URL, options?: OpenOptions): GgufFile {
    return GgufFile.#open(path, options)
  }

  static #open(path: string | URL, options: OpenOptions | undefined, context?: LoadContext): GgufFile {
    const checked = nativeOptions(options)
    const native = call(() => NativeModel.open(check.filePath('path', path), checked))
    return new GgufFile(internal, native, checked.headerOnly, context)
  }

  /**
   * Takes a copy of the bytes of a whole file, or of its header alone with `headerOnly`.
   *
   * @throws {@link InvalidGgufError} when they break a rule of the format.
   */
  static fromBytes(bytes: Uint8Array, options?: OpenOptions): GgufFile {
    const checked = nativeOptions(options)
    const view = isTypedArray(bytes) ? anyBytesOf(bytes) : undefined
    if (!view) throw invalidArgument('bytes', 'a Uint8Array, of memory that was not moved away', quoted(bytes))
    return new GgufFile(
      internal,
      call(() => NativeModel.fromBytes(view, checked)),
      checked.headerOnly,
    )
  }

  /** The path it was opened under, `<bytes>` for bytes. */
  get path(): string {
    return this.#info.path
  }

  /** The size of the file when it was opened, in bytes. */
  get sizeBytes(): number {
    return this.#info.sizeBytes
  }

  /** The version of the container: 2 or 3. */
  get version(): number {
    return this.#info.version
  }

  /** The model family (`general.architecture`), such as `"llama"`, if it is given. */
  get architecture(): string | undefined {
    return this.#info.architecture
  }

  /** The mixture of tensor types the model was quantised to (`general.file_type`), if it is given. */
  get fileType(): GgufFileType | undefined {
    return this.#info.fileType
  }

  /** What tensor offsets are multiples of, in bytes. */
  get alignmentBytes(): number {
    return this.#info.alignmentBytes
  }

  /** Where the data section starts, in bytes from the start of the file. */
  get dataOffsetBytes(): number {
    return this.#info.dataOffsetBytes
  }

  /** Bytes of the data section from its start to the end of the last tensor, gaps included. */
  get dataBytes(): number {
    return this.#info.dataBytes
  }

  /** Which part of a split model the file is, if it is one. */
  get split(): GgufSplit | undefined {
    return this.#info.split
  }

  /** The tensors, in file order. */
  get tensors(): readonly Readonly<TensorInfo>[] {
    this.#tensors ??= Object.freeze(tensorInfos(this.#native, this.#info.tensorCount))
    return this.#tensors
  }

  /**
   * Bytes of the data that belong to no tensor and are no padding: of a sound file none, unless its writer left room. Many of
   * them mean that the tensors are larger than their types say, as those of a fork of ggml's are.
   */
  get gaps(): GgufGap[] {
    return call(() => this.#native.gaps())
  }

  /** The tensor of that name, `undefined` if there is none. */
  tensor(name: string): TensorInfo | undefined {
    return call(() => this.#native.tensor(check.string('name', name))) ?? undefined
  }

  /**
   * Streams tensors in chunks of whole blocks, through a few staging buffers, at the consumer's pace: the reader stays
   * about a megabyte ahead and waits. Each chunk is its consumer's own, unless they are lent by `reuse: true`. All work happens on a thread of the stream's own, which starts with the first
   * chunk asked for and ends with the stream.
   *
   * Leaving the loop ends the stream. Errors of the file reject the iteration: {@link IoError} when it cannot be read
   * or was changed since it was opened, {@link InsufficientMemoryError} when the pool's budget has no room.
   *
   * @throws {@link InvalidArgumentError} for an unfit option, an unknown tensor, and a file opened `headerOnly`.
   * @throws {@link UnsupportedTypeError} for a tensor that does not convert.
   * @throws {@link ReleasedError} after {@link close}.
   */
  stream<As extends TensorOutput = 'raw'>(
    options?: StreamOptions<As>,
  ): AsyncGenerator<TensorChunk<As>, void, undefined> {
    const checked = check.options<StreamOptions>(options, streamChecks)
    const { as = 'raw', tensors, chunkBytes = MiB, staging, reuse = false } = checked
    const { staging: ownStaging, loads } = this.#context ?? standaloneContext()
    const request = { output: as, chunkBytes, tensors } as NativeStreamOptions
    const native = call(() => this.#native.stream(nativePool(staging ?? ownStaging) as NativeStagingPool, request))
    const totalBytes = call(() => this.#native.storedBytes(tensors))
    return chunks(native, as as As, reuse, this.#names(), totalBytes, loads, control(checked))
  }

  /**
   * The bytes of one tensor as a `Readable` of Node.js's, for `pipeline`, a response, or any other consumer of streams. Numbers
   * are in the byte order of this machine.
   *
   * Destroying it, by itself or by its signal, ends the reading. It is destroyed with the errors that {@link stream} rejects
   * with.
   *
   * @throws as of {@link stream}.
   * @example
   * await pipeline(model.createReadStream('output.weight', { as: 'f16' }), response)
   */
  createReadStream(tensor: string, options?: ReadStreamOptions): TensorReadStream {
    const checked = check.options<ReadStreamOptions>(options, readStreamChecks)
    const { highWaterMark, signal, ...rest } = checked
    const { chunkBytes = MiB } = checked
    const chunks = this.stream({ ...rest, tensors: [check.string('tensor', tensor)] })
    return readStream(chunks, highWaterMark ?? chunkBytes, signal)
  }

  /**
   * Reads one tensor whole, into new memory or into yours, and returns an array over exactly its data. When it
   * rejects, nothing is written to the destination afterwards.
   *
   * Into a {@link DeviceBuffer} it goes straight: through the buffer's map where the processor sees it, through pinned
   * staging memory of CUDA's where not. Nobody else may use the buffer meanwhile; it is what is returned.
   *
   * Rejects with what {@link stream} throws and rejects with, and with {@link InvalidArgumentError}, before a byte is
   * written, when the destination is too small or misaligned; with {@link BusyError} when the buffer is in use, and with
   * {@link DeviceError} as its device says.
   *
   * @example
   * const norm = await model.load('output_norm.weight', { as: 'f32' }) // Float32Array
   * await model.load('output.weight', { into: await manager.gpu.allocate(model.tensor('output.weight').sizeBytes) })
   */
  load<As extends TensorOutput = 'raw'>(name: string, options: LoadIntoBufferOptions<As>): Promise<DeviceBuffer>
  load<As extends TensorOutput = 'raw'>(name: string, options?: LoadIntoOptions<As>): Promise<TensorData<As>>
  async load<As extends TensorOutput = 'raw'>(
    name: string,
    options?: LoadIntoOptions<As> | LoadIntoBufferOptions<As>,
  ): Promise<TensorData<As> | DeviceBuffer> {
    const checked = check.options<LoadIntoAny>(options, intoChecks)
    const { as = 'raw', into, offsetBytes } = checked
    const info = this.tensor(name)
    if (!info) throw invalidArgument('name', 'the name of a tensor of this file', quoted(name))
    const dataBytes = tensorDataBytes(info, as)
    const { staging, loads } = this.#context ?? standaloneContext()
    const through = nativePool(staging) as NativeStagingPool
    const request = { output: as, chunkBytes: 4 * MiB, tensors: [name] }
    const run = (native: NativeStream, deliver?: (unit: NativeUnit) => void) =>
      drain(native, this.#names(), info.sizeBytes, loads, control(checked), deliver)
    const place = bufferPlace(into)
    if (place) {
      const offset = alignedOffset(offsetBytes ?? 0, elementBytes(as))
      await run(call(() => this.#native.streamIntoBuffer(through, request, place.native, place.key, offset)))
      return into as DeviceBuffer
    }
    if (offsetBytes !== undefined) throw invalidArgument('offsetBytes', 'left to a DeviceBuffer', offsetBytes)
    if (into === undefined) {
      if (dataBytes > constants.MAX_LENGTH) throw tooLarge(dataBytes)
      const native = call(() => this.#native.streamIntoNew(through, request, dataBytes))
      await run(native)
      return view(as as As, native.takeFilled() as ArrayBuffer)
    }
    const target = windowOf(into as ArrayBuffer | ArrayBufferView, dataBytes, elementBytes(as))
    const leased = call(() => this.#native.streamIntoLeased(through, request, target))
    if (leased) await inUse(target.buffer, run(leased))
    else await this.#loadInPieces(through, { ...request, chunkBytes: MiB }, target, run)
    if (target.length !== dataBytes) throw movedAway()
    return over(as as As, target)
  }

  /** Fills memory that a script can move away: on the event loop, out of staging buffers. */
  async #loadInPieces(
    through: NativeStagingPool,
    request: NativeStreamOptions,
    target: Uint8Array,
    run: (native: NativeStream, deliver: (unit: NativeUnit) => void) => Promise<void>,
  ): Promise<void> {
    const { length } = target
    let done = 0
    await run(
      call(() => this.#native.stream(through, request)),
      (unit) => {
        done += call(() => unit.copyInto(target, length, done))
      },
    )
  }

  /**
   * Closes the file. Streams already begun go on, and the header's fields stay readable; tensors, metadata, streams
   * and loads throw {@link ReleasedError}. Idempotent.
   */
  close(): void {
    this.#tensors = undefined
    this.#native.close()
  }

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** Names by index; a stream that outlives the file takes them along. */
  #names(): (index: number) => string {
    const names = call(() => this.#native.tensorNames())
    // The chunks of a tensor come one after the other.
    let last = -1
    let name = ''
    return (index) => {
      if (index !== last) name = names.at(index)
      last = index
      return name
    }
  }
}

const control = ({ signal, onProgress }: LoadOptions): LoadControl => ({ signal, onProgress })

/** Where a tensor begins in a buffer; the buffer itself is aligned to more than any element. */
function alignedOffset(offsetBytes: number, alignmentBytes: number): number {
  if (offsetBytes % alignmentBytes === 0) return offsetBytes
  throw invalidArgument('offsetBytes', `a multiple of its elements' ${alignmentBytes} bytes`, offsetBytes)
}

function over<As extends TensorOutput>(as: As, bytes: Uint8Array): TensorData<As> {
  return view(as, bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / elementBytes(as))
}

shows(GgufFile, ({ path, sizeBytes, architecture, fileType, dataBytes, headerOnly }) => {
  return { path, sizeBytes, architecture, fileType: fileType?.name, dataBytes, headerOnly }
})
