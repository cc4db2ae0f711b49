import { isTypedArray } from 'node:util/types'
import type {
  GgufFileType,
  GgufGap,
  GgufSplit,
  NativeModelInfo,
  NativeStreamOptions,
  TensorInfo,
} from '../../binding.js'
import { NativeModel, type NativeStagingPool } from '../addon/native.js'
import { MiB } from '../addon/units.js'
import type { DeviceBuffer } from '../device/buffer.js'
import { nativePool, StagingPool } from '../pool/staging.js'
import { abortion } from '../support/abort.js'
import { anyBytesOf } from '../support/bytes.js'
import * as check from '../support/check.js'
import { AbortError, call, invalidArgument, quoted } from '../support/errors.js'
import { expectInternal, internal } from '../support/internal.js'
import { refuseCloning, shows } from '../support/shown.js'
import { detectBoard } from '../system/system.js'
import type { TensorChunk } from './chunk.js'
import { controlOf, fill, type LoadContext, type LoadSource } from './fill.js'
import { loadAll } from './load-all.js'
import { type GgufMetadata, metadataOf } from './metadata.js'
import {
  allChecks,
  intoChecks,
  type LoadAllAny,
  type LoadAllIntoOptions,
  type LoadAllIntoPoolOptions,
  type LoadAllOptions,
  type LoadIntoAny,
  type LoadIntoBufferOptions,
  type LoadIntoOptions,
  nativeOptions,
  type OpenOptions,
  type ReadStreamOptions,
  readingOf,
  readStreamChecks,
  type StreamOptions,
  streamChecks,
} from './options.js'
import type { TensorData, TensorOutput } from './output.js'
import { readStream, type TensorReadStream } from './read-stream.js'
import { openRemote } from './remote.js'
import { type OpenUrlOptions, remoteRequest } from './remote-options.js'
import { chunks, Loads } from './stream.js'
import { tensorInfos } from './tensor-infos.js'

export type { GgufFileType, GgufGap, GgufSplit, TensorInfo } from '../../binding.js'

/** The pool and the loads of files opened without a manager; made when first needed. */
let standalone: LoadContext | undefined

const standaloneContext = (): LoadContext => {
  standalone ??= {
    staging: new StagingPool({ maxHeldBytes: 8 * MiB }),
    loads: new Loads(),
    dropsBehind: detectBoard().unifiedMemory ?? false,
  }
  return standalone
}

/** @internal The native half of a file, for what reads its header; `undefined` of anything else. */
export let nativeModel: (file: unknown) => NativeModel | undefined

/** An address that `open` tells from a path by its type. */
export type WebAddress = `http://${string}` | `https://${string}`

/** Opens a file for an owner of its own pool and loads. */
export let openWith: (
  context: LoadContext,
  path: string | URL,
  options?: OpenOptions | OpenUrlOptions,
) => GgufFile | Promise<GgufFile>

/** The same by an address. */
export let openUrlWith: (context: LoadContext, url: string | URL, options?: OpenUrlOptions) => Promise<GgufFile>

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

  static {
    nativeModel = (file) => (check.isObject(file) && #native in file ? file.#native : undefined)
    openWith = (context, path, options) => GgufFile.#openAny(path, options, context)
    openUrlWith = (context, url, options) => GgufFile.#openUrl(url, options, context)
  }

  private constructor(token: typeof internal, native: NativeModel, context?: LoadContext) {
    expectInternal(token, 'GgufFile', 'GgufFile.open()')
    refuseCloning(this)
    this.#native = native
    this.#info = call(() => native.info())
    this.#context = context
    this.metadata = metadataOf(native)
  }

  /**
   * Opens a file and reads its header. No tensor data is read.
   *
   * An address of `http:` or `https:` is opened as by {@link openUrl}, and is a promise. TypeScript tells one from a path only
   * where it sees its beginning: for one in a variable take {@link openUrl}.
   *
   * @throws {@link IoError} when it cannot be opened or read, or is no regular file.
   * @throws {@link InvalidGgufError} when it breaks a rule of the format.
   */
  static open(url: WebAddress, options?: OpenUrlOptions): Promise<GgufFile>
  static open(path: string | URL, options?: OpenOptions): GgufFile
  static open(path: string | URL, options?: OpenOptions | OpenUrlOptions): GgufFile | Promise<GgufFile> {
    return GgufFile.#openAny(path, options)
  }

  /**
   * Opens a model on a server by its header alone, which is fetched by range requests: before a download. No tensor data is
   * fetched, and none can be read: streams and loads throw {@link InvalidArgumentError}. All files of a split model are asked
   * for, unless `shardOnly`. A `file:` URL opens the file.
   *
   * Rejects with {@link IoError} when the server does not send it, with its `status` where it refused; with
   * {@link InvalidGgufError} when it breaks a rule of the format, which a web page does too; with {@link AbortError}.
   *
   * @example
   * using model = await GgufFile.openUrl('https://huggingface.co/OWNER/REPOSITORY/resolve/main/FILE.gguf')
   * console.log(model.architecture, model.dataBytes)
   */
  static async openUrl(url: string | URL, options?: OpenUrlOptions): Promise<GgufFile> {
    return GgufFile.#openUrl(url, options)
  }

  static #openAny(path: string | URL, options: OpenOptions | OpenUrlOptions | undefined, context?: LoadContext) {
    const url = check.webUrl(path)
    if (url && typeof path === 'string') return GgufFile.#openUrl(url, options as OpenUrlOptions, context)
    // By its type it could be a file: whoever expects one must not get a promise.
    if (url)
      throw invalidArgument('path', 'a path or a file: URL (this is one for openUrl)', `a URL of ${url.protocol}`)
    return GgufFile.#open(path, options, context)
  }

  static async #openUrl(url: string | URL, options: OpenUrlOptions | undefined, context?: LoadContext) {
    const request = remoteRequest(options)
    const address = check.webUrl(url)
    if (address) return new GgufFile(internal, await openRemote(address, request), context)
    const path = check.fileUrl('url', url)
    const ended = abortion(request.signal)
    if (ended) throw new AbortError(ended.reason)
    return GgufFile.#open(path, request.open, context)
  }

  static #open(path: string | URL, options: OpenOptions | undefined, context?: LoadContext): GgufFile {
    const checked = nativeOptions(options)
    const native = call(() => NativeModel.open(check.filePath('path', path), checked))
    return new GgufFile(internal, native, context)
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
    )
  }

  /** Whether it was opened without its data: with `headerOnly`, or by an address. */
  get headerOnly(): boolean {
    return this.#info.headerOnly
  }

  /**
   * The path it was opened under, `<bytes>` for bytes; of a split model that of its first file. An address is without user,
   * query and fragment, which may be secret.
   */
  get path(): string {
    return this.#info.path
  }

  /** The paths of its files: one, or those of a split model in their order. */
  get paths(): readonly string[] {
    return this.#info.paths
  }

  /**
   * The size of the model when it was opened, all its files together, in bytes. Of a file on a server that does not tell it, the
   * least that it can be.
   */
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

  /** Where the data section of the first file starts, in bytes from the beginning of the model in it. */
  get dataOffsetBytes(): number {
    return this.#info.dataOffsetBytes
  }

  /** Bytes of the data sections, each from its start to the end of its last tensor, gaps included. */
  get dataBytes(): number {
    return this.#info.dataBytes
  }

  /** Which part of a split model the file is, if it is one; of a whole split model, what its first file says. */
  get split(): GgufSplit | undefined {
    return this.#info.split
  }

  /** The tensors, in file order; of a split model those of its first file, then those of the next. */
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
   * about a megabyte ahead and waits. Each chunk is its consumer's own, unless they are lent by `reuse: true`. All work happens
   * on threads of the stream's own, one unless its options say more, which start with the first chunk asked for and end with
   * the stream.
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
    const context = this.#context ?? standaloneContext()
    const request = { ...readingOf(checked, context.dropsBehind), chunkBytes, tensors } as NativeStreamOptions
    const pool = nativePool(staging ?? context.staging) as NativeStagingPool
    const native = call(() => this.#native.stream(pool, request))
    const totalBytes = call(() => this.#native.storedBytes(tensors))
    return chunks(native, as as As, reuse, this.#names(), totalBytes, context.loads, controlOf(checked))
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
   * const output = model.tensor('output.weight')
   * if (output) await model.load(output.name, { into: await manager.gpu.allocate(output.sizeBytes) })
   */
  load<As extends TensorOutput = 'raw'>(name: string, options: LoadIntoBufferOptions<As>): Promise<DeviceBuffer>
  load<As extends TensorOutput = 'raw'>(name: string, options?: LoadIntoOptions<As>): Promise<TensorData<As>>
  async load<As extends TensorOutput = 'raw'>(
    name: string,
    options?: LoadIntoOptions<As> | LoadIntoBufferOptions<As>,
  ): Promise<TensorData<As> | DeviceBuffer> {
    const { into, offsetBytes, ...checked } = check.options<LoadIntoAny>(options, intoChecks)
    const info = this.tensor(name)
    if (!info) throw invalidArgument('name', 'the name of a tensor of this file', quoted(name))
    const [loaded] = await fill(this.#source(), [{ info, into, offsetBytes }], check.own(checked) as LoadAllOptions<As>)
    return loaded as TensorData<As> | DeviceBuffer
  }

  /**
   * Reads all tensors whole, or those of a filter, and gives them by name: as arrays in new memory, in places of yours, or in
   * buffers of a pool, one for each tensor. A few staging buffers are all that it takes beside. When it rejects, nothing is
   * written to any place afterwards, and buffers that it took from a pool are released.
   *
   * Rejects with what {@link load} rejects with; with {@link InsufficientMemoryError}, before anything is taken, when the machine
   * has not got the new memory.
   *
   * @example
   * const weights = await model.loadAll({ into: pool, threads: 2, onProgress: ({ remainingMs }) => show(remainingMs) })
   * weights.get('output.weight')?.sizeBytes
   */
  loadAll<As extends TensorOutput = 'raw'>(options: LoadAllIntoPoolOptions<As>): Promise<Map<string, DeviceBuffer>>
  loadAll<As extends TensorOutput = 'raw'>(
    options: LoadAllIntoOptions<As>,
  ): Promise<Map<string, TensorData<As> | DeviceBuffer>>
  loadAll<As extends TensorOutput = 'raw'>(options?: LoadAllOptions<As>): Promise<Map<string, TensorData<As>>>
  async loadAll(options?: LoadAllAny): Promise<Map<string, TensorData | DeviceBuffer>> {
    const checked = check.options<LoadAllAny>(options, allChecks)
    return loadAll(this.#source(), this.tensors, checked)
  }

  /** The file as its loads use it. */
  #source(): LoadSource {
    return { native: this.#native, names: () => this.#names(), context: this.#context ?? standaloneContext() }
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

shows(GgufFile, ({ path, sizeBytes, architecture, fileType, dataBytes, headerOnly }) => {
  return { path, sizeBytes, architecture, fileType: fileType?.name, dataBytes, headerOnly }
})
