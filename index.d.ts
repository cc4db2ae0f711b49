/// <reference lib="esnext.disposable" />
/** One live allocation. */
interface AllocationInfo {
  /** The label it was taken under. */
  label: string
  /** Its size, in bytes. */
  sizeBytes: number
  /** The time since it was granted, in milliseconds. */
  ageMs: number
}

/** A board preset. */
interface BoardPreset {
  /** The id that options and the command line take: `"orin-nano-8gb"`. */
  id: string
  /** The name people know it by. */
  name: string
  /** Who made its system on chip. */
  vendor: string
  /** Its system on chip. */
  soc: string
  /** Whether CPU and accelerator share the RAM. */
  unifiedMemory: boolean
  /** RAM it is sold with, in bytes. */
  totalBytes: number
  /** What is kept for the system, in bytes. */
  reservedBytes: number
  /** What may be used: total less reserve, in bytes. */
  usableBytes: number
}

/** What a pool has done and holds. */
interface BufferPoolStats {
  /** Requests served by an idle buffer. */
  hits: number
  /** Requests that took new memory. */
  misses: number
  /** Bytes held idle for reuse. */
  heldBytes: number
  /** Buffers held idle. */
  heldCount: number
  /** Bytes in the hands of users. */
  inUseBytes: number
  /** Buffers in the hands of users. */
  inUseCount: number
  /** The most bytes, idle and in use, there ever were at once. */
  peakBytes: number
}

/** A memory limit set on a control group. */
interface CgroupLimit {
  /** The process's group, as `/proc/self/cgroup` names it. The limit may be set on it or on an ancestor. */
  path: string
  /** The limit, in bytes. */
  limitBytes: number
}

/** What `general.file_type` says. */
interface GgufFileType {
  /** The id that stands in the file. */
  id: number
  /** The name llama.cpp's tools use, such as `"Q4_K_M"`; absent for an unknown id. */
  name?: string
}

/** Which part of a split model a file is. */
interface GgufSplit {
  /** Position of this file, from 0. */
  number: number
  /** Number of files. */
  count: number
  /** Tensors of all files together, if it is given. */
  tensorCount?: number
}

/** One upper bound on the line. */
interface LineTerm {
  /** Where the bound comes from. */
  kind: 'preset' | 'reserve' | 'safety-margin' | 'cgroup' | 'maximum'
  /** The bound, in bytes. */
  bytes: number
  /** The bound in words. */
  description: string
}

/** The RAM of this machine at one moment. */
interface MachineMemory {
  /** RAM the kernel manages (`MemTotal`), in bytes. */
  totalBytes: number
  /** RAM that programs could take without swapping (`MemAvailable`), in bytes. */
  availableBytes: number
  /** The tightest memory limit over this process's cgroup, if there is one below `totalBytes`. */
  cgroup?: CgroupLimit
}

/** Resident memory of this process. Source: `/proc/self/status`, see `proc_pid_status(5)`. */
interface ProcessMemory {
  /** Resident now, in bytes; the sum of the three parts. */
  rssBytes: number
  /** The most that was ever resident, in bytes. */
  peakRssBytes: number
  /** Heap, stacks and other anonymous memory, in bytes. */
  anonymousBytes: number
  /** Pages of mapped files, in bytes: the kernel can drop the clean ones. */
  fileBytes: number
  /** Shared memory, memfd and tmpfs pages, in bytes. */
  shmemBytes: number
}

/** A tensor of a GGUF file. */
interface TensorInfo {
  /** The name, unique in its file. */
  name: string
  /** The ggml type name, such as `"Q4_K"`. */
  type: string
  /** The ggml type id. */
  typeId: number
  /** Whether it can be read as `'f32'` and `'f16'`; every tensor can be read as `'raw'`. */
  convertible: boolean
  /**
   * Size of each dimension, the fastest-varying first; the reverse of a NumPy shape. None of them is a tensor of
   * one element.
   */
  dimensions: Array<number>
  /** Number of elements: the product of the dimensions. */
  elementCount: number
  /** Elements in a block. */
  blockElements: number
  /** Bytes of a block as stored. */
  blockBytes: number
  /** Bytes the data takes in the file. */
  sizeBytes: number
  /** Where the data starts, in bytes from the start of the file. */
  offsetBytes: number
}

/** The native addon that this process has loaded. */
interface LoadedAddon {
    /** The file. */
    path: string;
    /** The platform it was loaded for, such as `"linux-arm64-gnu"`. */
    platform: string;
    /** Its version, which is that of the package. */
    version: string;
    /** Its size, in bytes. */
    sizeBytes: number;
    /** Whether its SHA-256 was compared with the one its package states, as `PLIMSOLL_VERIFY_ADDON=sha256` asks. */
    sha256Verified: boolean;
}

/**
 * A guard over part of a budget. It gives its bytes back once: on {@link release}, at the end of a `using` block, or
 * with the object it is {@link attach | attached} to.
 *
 * A guard that is dropped without any of these is given back when it is collected, on a later turn of the event loop,
 * and a `PlimsollLeakWarning` with its `label` and `sizeBytes` is emitted on `process`.
 *
 * @example
 * {
 *   using cache = budget.allocate(512 * MiB, 'kv cache')
 *   // ...
 * } // given back here
 */
declare class Allocation implements Disposable {
    #private;
    private constructor();
    /** The size of the allocation, in bytes. */
    get sizeBytes(): number;
    /** The label it was taken under. */
    get label(): string;
    /** Whether its bytes have been given back. */
    get released(): boolean;
    /**
     * The time since it was granted, in milliseconds.
     *
     * @throws {@link ReleasedError} after it was released.
     */
    get ageMs(): number;
    /** Gives the bytes back. A second call does nothing. */
    release(): void;
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose](): void;
    /**
     * Lets the allocation live as long as `object`: it is given back, without a warning, once the object is collected.
     * It may still be released before. Returns the allocation.
     *
     * @throws {@link InvalidArgumentError} when `object` is no object or function, or the allocation itself.
     * @throws {@link ReleasedError} after it was released.
     */
    attach(object: object): this;
}

/** The id of a board preset. */
type BoardId = 'orin-nano-4gb' | 'orin-nano-8gb' | 'orin-nx-8gb' | 'orin-nx-16gb' | 'agx-orin-32gb' | 'agx-orin-64gb' | 'agx-thor-128gb' | 'rk3588-4gb' | 'rk3588-8gb' | 'rk3588-16gb' | 'rk3588-32gb';
/** The boards this package knows by name. */
declare const boardPresets: readonly Readonly<BoardPreset>[];
/** The RAM of this machine now. Figures that the system does not give read 0. */
declare function machineMemory(): MachineMemory;
/**
 * What this process holds now: resident memory with its anonymous, file and shared parts, and the peak.
 *
 * @throws {@link IoError} where `/proc` is not mounted.
 */
declare function processMemory(): ProcessMemory;
/** The instruction set that the dequantisers run with on this machine: `"avx2+f16c"`, `"neon"` or `"portable"`. */
declare function instructionSet(): string;
/** The native addon that this process has loaded: which file, for which platform, and how it was checked. */
declare function loadedAddon(): LoadedAddon;

/** A budget of just these numbers. */
interface BudgetNumbers {
    /** Memory of the board, in bytes. */
    totalBytes: number;
    /** What is kept for the system, in bytes. 0 by default. */
    reservedBytes?: number;
}
/** How the line of this machine is drawn. */
interface MachineBudgetOptions {
    /**
     * A board whose preset bounds the line too; `'auto'` (the default) takes the machine as it is, with an eighth of its
     * memory kept for the system, at least 512 MiB and at most half.
     */
    board?: BoardId | 'auto';
    /** Share of the memory left alone, 0 to below 100. 15 by default. */
    safetyMarginPercent?: number;
    /** An upper bound of your own, in bytes. */
    maxBytes?: number;
    /**
     * Whether the budget counts alone. By default all budgets of this process for the same board and cgroup, worker
     * threads included, share what is allocated, each under its own line.
     */
    isolated?: boolean;
}
/**
 * How much of a machine may be used, and who uses it.
 *
 * A budget counts what its user is about to take; it allocates no memory itself. One atomic step takes and one gives
 * back, so the sum of live allocations passes the line in no interleaving of threads.
 *
 * @example
 * const budget = MemoryBudget.forBoard('orin-nano-8gb')   // 8192 MiB, 6144 MiB usable
 * const weights = budget.allocate(2000 * MiB, 'weights')
 * budget.availableBytes                                    // 4144 MiB
 * weights.release()
 */
declare class MemoryBudget {
    #private;
    /**
     * A budget of just these numbers: total less reserve.
     *
     * @throws {@link InvalidArgumentError} when a size is no whole number of bytes, or more is reserved than there is.
     */
    constructor(numbers: BudgetNumbers);
    /**
     * A budget of just the board's numbers, whatever machine this is.
     *
     * @throws {@link InvalidArgumentError} for a board that has no preset.
     */
    static forBoard(board: BoardId): MemoryBudget;
    /**
     * The budget of this machine. Its line is the lowest of: the memory less the reserve, the memory less the safety
     * margin, the board's usable memory if a board is given, the cgroup's limit less its floor (3 %, at least 16 MiB),
     * and `maxBytes`.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read.
     */
    static forThisMachine(options?: MachineBudgetOptions): MemoryBudget;
    /** Memory of the board or machine, in bytes. */
    get totalBytes(): number;
    /** What is kept for the system, in bytes. */
    get reservedBytes(): number;
    /** What may be used at most, in bytes: the line. */
    get usableBytes(): number;
    /** The line, in bytes: the lowest of {@link terms}. The same number as {@link usableBytes}. */
    get lineBytes(): number;
    /** Every bound that was weighed to draw the line. */
    get terms(): LineTerm[];
    /** The bound that draws the line. */
    get bindingTerm(): LineTerm;
    /** What live allocations hold, in bytes. */
    get allocatedBytes(): number;
    /** What can still be allocated now, in bytes. */
    get availableBytes(): number;
    /** The most that was ever allocated at once, in bytes. */
    get peakBytes(): number;
    /** Share of the line that is allocated, 0 to 100; above only where a budget with a higher line shares the count. */
    get utilizationPercent(): number;
    /** The live allocations, oldest first; of all budgets that share the count, in all threads. */
    allocations(): AllocationInfo[];
    /**
     * Whether {@link allocate} would grant this many bytes now. Another thread may take them in between: only the
     * allocation is binding.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
     */
    canAllocate(bytes: number): boolean;
    /**
     * Takes bytes off the budget, or refuses and takes nothing. It answers at once: guards that were dropped but are
     * not yet collected still count.
     *
     * @param bytes - a whole number from 0 up
     * @param label - what the bytes are for, as lists and errors will call it
     * @throws {@link InsufficientMemoryError} when that many are not available.
     * @throws {@link InvalidArgumentError} when an argument is unfit.
     */
    allocate(bytes: number, label: string): Allocation;
}

/** How a {@link BufferPool} behaves. */
interface BufferPoolOptions {
    /** Bytes kept idle for reuse at most; a buffer that would pass the cap goes back to the system. 16 MiB by default. */
    maxHeldBytes?: number;
    /** Whether a reused buffer is zeroed before it is handed out; a new one always reads zero. `false` by default. */
    zeroed?: boolean;
    /** The budget that every buffer, idle or in use, counts against. None by default. */
    budget?: MemoryBudget;
}
/**
 * A pool of page-aligned buffers, reused by size class: sizes are rounded up, four classes to every doubling.
 *
 * The loader streams through one. A buffer that is released, or collected, returns to the pool once the memory is no
 * longer seen by any view, on a later turn of the event loop.
 *
 * @example
 * const pool = new BufferPool({ maxHeldBytes: 32 * MiB, budget })
 * using buffer = pool.get(4 * MiB)
 * buffer.data.fill(0)
 */
declare class BufferPool implements Disposable {
    #private;
    /** @throws {@link InvalidArgumentError} for an unknown or unfit option. */
    constructor(options?: BufferPoolOptions);
    /**
     * Hands out a buffer. Unless the pool is `zeroed`, it may still hold what its last user left in it.
     *
     * @throws {@link InsufficientMemoryError} when the budget, or the system, refuses; idle buffers are freed before.
     * @throws {@link ReleasedError} after {@link close}.
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 1 to `buffer.constants.MAX_LENGTH`.
     */
    get(bytes: number): PooledBuffer;
    /** What the pool has done and holds. */
    stats(): BufferPoolStats;
    /** Gives idle buffers back to the system until at most `keepBytes` (0 by default) are held; returns how many bytes. */
    trim(keepBytes?: number): number;
    /** Gives every idle buffer back and hands out no more. Buffers in use go back when released. Idempotent. */
    close(): void;
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose](): void;
}
/** A buffer out of a {@link BufferPool}. */
declare class PooledBuffer implements Disposable {
    #private;
    /** The buffer's bytes; length 0 after {@link release}. */
    readonly data: Uint8Array;
    private constructor();
    /** Returns the buffer to its pool; every view of it then has length 0. A second call, or one after {@link keep}, does nothing. */
    release(): void;
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose](): void;
    /**
     * Takes the buffer out of the pool for good and returns its bytes: they live until they are collected, and count
     * against the pool's budget until then.
     *
     * @throws {@link ReleasedError} after the buffer was released.
     */
    keep(): Uint8Array;
}

/** The arrays that hold the forms, and the bytes of one of their elements. Half floats come as their bits. */
declare const outputs: {
    readonly raw: {
        readonly array: Uint8ArrayConstructor;
        readonly elementBytes: 1;
    };
    readonly f32: {
        readonly array: Float32ArrayConstructor;
        readonly elementBytes: 4;
    };
    readonly f16: {
        readonly array: Uint16ArrayConstructor;
        readonly elementBytes: 2;
    };
};
/** What tensors come out as: the stored bytes, 32-bit floats, or 16-bit floats. */
type TensorOutput = keyof typeof outputs;
/** The array that holds a tensor's data: 16-bit floats come as their bits. */
type TensorData<As extends TensorOutput = TensorOutput> = {
    raw: Uint8Array;
    f32: Float32Array;
    f16: Uint16Array;
}[As];
/** The forms that tensors come out as. */
declare const tensorOutputs: readonly TensorOutput[];
/**
 * Bytes that a tensor's data takes in this form: what a program that keeps it has to reserve.
 *
 * @throws {@link InvalidArgumentError} for a form that there is none of.
 * @example
 * const bytes = model.tensors.reduce((sum, tensor) => sum + tensorDataBytes(tensor, 'f32'), 0)
 */
declare function tensorDataBytes(tensor: Pick<TensorInfo, 'sizeBytes' | 'elementCount'>, as: TensorOutput): number;

/**
 * A run of whole blocks of one tensor.
 *
 * It is valid until the next one is asked for, or until {@link release}: then its memory goes back to the pool and
 * every view of it, `data` and any made from it, has length 0. An asynchronous operation that was given `data` must be
 * awaited before that, or be given a copy.
 */
declare class TensorChunk<As extends TensorOutput = TensorOutput> implements Disposable {
    #private;
    /** The name of the tensor. */
    readonly tensor: string;
    /** The first element of the tensor that the chunk holds. */
    readonly elementStart: number;
    /** The element after the last one that the chunk holds. */
    readonly elementEnd: number;
    /** Where the chunk's stored bytes start, relative to the tensor's first byte. */
    readonly byteStart: number;
    /** Where the chunk's stored bytes end. */
    readonly byteEnd: number;
    private constructor();
    /** The data: `Uint8Array` of stored bytes, `Float32Array`, or `Uint16Array` of half-float bits. */
    get data(): TensorData<As>;
    /** Gives the memory back before the next chunk is asked for. A second call, or one after {@link keep}, does nothing. */
    release(): void;
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose](): void;
    /**
     * Takes the data out of the pool for good and returns it; it lives until it is collected. A chunk much smaller than
     * the pooled buffer it lies in is copied instead, so that a small array does not hold on to a large buffer.
     *
     * @throws {@link ReleasedError} after the chunk was released.
     */
    keep(): TensorData<As>;
}

/** The stable codes of this package's errors. */
type ErrorCode = 'ERR_INSUFFICIENT_MEMORY' | 'ERR_INVALID_ARGUMENT' | 'ERR_INVALID_GGUF' | 'ERR_UNSUPPORTED_TYPE' | 'ERR_IO' | 'ERR_RELEASED' | 'ERR_ADDON_UNAVAILABLE' | 'ABORT_ERR';
/**
 * What every error of this package is. `code` tells them apart; `message` says what was expected, what came and what
 * to do.
 */
declare class PlimsollError extends Error {
    /** The stable code of the error. */
    readonly code: ErrorCode;
}
/** A budget has not got that much left. Nothing was taken. */
declare class InsufficientMemoryError extends PlimsollError {
    readonly code: 'ERR_INSUFFICIENT_MEMORY';
    /** The label of the refused allocation. */
    readonly label: string;
    /** Bytes asked for. */
    readonly requestedBytes: number;
    /** Bytes the budget had left at that moment. */
    readonly availableBytes: number;
    /** The largest single allocation that would have been granted, in bytes. */
    readonly largestFreeBytes: number;
    /** The term that draws the line, in words. */
    readonly bindingConstraint: string;
    /** What to do about it. */
    readonly suggestion: string;
}
/** An argument or an option is not what the call takes. Nothing was changed. */
declare class InvalidArgumentError extends PlimsollError {
    readonly code: 'ERR_INVALID_ARGUMENT';
    /** The argument's name. */
    readonly argument: string;
    /** What it should have been. */
    readonly expected: string;
    /** What came. */
    readonly received: string;
}
/** The bytes are no GGUF file that this package accepts. */
declare class InvalidGgufError extends PlimsollError {
    readonly code: 'ERR_INVALID_GGUF';
    /** The file, `<bytes>` for a file in memory. */
    readonly path: string;
    /** The stable name of the broken rule, such as `"truncated"` or `"big-endian"`. */
    readonly rule: string;
    /** Where in the file, in bytes, if the rule belongs to one place. */
    readonly offset?: number;
}
/** A tensor is stored in a type that cannot be converted; it can be read as `'raw'`. */
declare class UnsupportedTypeError extends PlimsollError {
    readonly code: 'ERR_UNSUPPORTED_TYPE';
    /** The tensor's name. */
    readonly tensor: string;
    /** The ggml type id. */
    readonly typeId: number;
    /** The ggml type name. */
    readonly typeName: string;
}
/** The operating system refused, or a file is not what it was when it was opened. */
declare class IoError extends PlimsollError {
    readonly code: 'ERR_IO';
    /** The file. */
    readonly path: string;
    /** The tensor being read, if one was. */
    readonly tensor?: string;
    /** Where in the file, in bytes, if known. */
    readonly offset?: number;
    /** The system's error number, as in `os.constants.errno`, if it gave one. */
    readonly errno?: number;
}
/** The object was released or closed before this call. */
declare class ReleasedError extends PlimsollError {
    readonly code: 'ERR_RELEASED';
    /** What was released. */
    readonly what: string;
}
/** The work was aborted. `cause` is the signal's reason, or says who else ended the work. */
declare class AbortError extends PlimsollError {
    readonly code: 'ABORT_ERR';
}
/** Why the addon is not available. `docs/platforms.md` has a row for each. */
type AddonUnavailableReason = 'unsupported-platform' | 'package-missing' | 'version-mismatch' | 'unreadable' | 'size-mismatch' | 'checksum-mismatch' | 'not-an-addon' | 'load-failed' | 'invalid-setting';
/**
 * The native addon for this platform is missing, unfit or does not load. It is thrown while the package is loaded, which
 * then exports nothing: compare `code`, and use this class as a type.
 */
declare class AddonUnavailableError extends PlimsollError {
    readonly code: 'ERR_ADDON_UNAVAILABLE';
    /** What is the matter. */
    readonly reason: AddonUnavailableReason;
    /** What this process runs on, such as `"linux-x64-musl"` or `"darwin-arm64"`. */
    readonly platform: string;
    /** The platforms that there are addons for. */
    readonly supported: readonly string[];
    /** The file that was refused, if one was found. */
    readonly path?: string;
}

/** The type of a metadata value, as GGUF names it. */
type GgufValueType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'bool' | 'string' | 'array' | 'u64' | 'i64' | 'f64';
/**
 * A metadata value. Integers are numbers when exact as such, else bigints; text that is not UTF-8 has its bad bytes
 * replaced by U+FFFD.
 */
type GgufValue = number | bigint | boolean | string | GgufArray;
/** The elements of an array: a typed array for numbers, else an array of values. */
type GgufElements = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array | BigUint64Array | BigInt64Array | boolean[] | string[] | GgufArray[];
/** An array in the metadata. It is kept as the bytes of the file; elements are decoded when asked for. */
declare class GgufArray implements Iterable<unknown> {
    #private;
    /** The type all elements have. */
    readonly elementType: GgufValueType;
    /** Number of elements. */
    readonly length: number;
    private constructor();
    /** Decodes the elements from `start` to `end` (all by default), with the meaning of `Array.prototype.slice`. */
    slice(start?: number, end?: number): GgufElements;
    /** Decodes every element. */
    toArray(): GgufElements;
    /** Decodes one element; negative indices count from the end. Strings and arrays are walked from the start. */
    at(index: number): number | bigint | boolean | string | GgufArray | undefined;
    /** Walks the elements, a batch at a time. */
    [Symbol.iterator](): Generator<number | bigint | boolean | string | GgufArray>;
}
/** The metadata of a GGUF file, in file order, with the methods of a read-only `Map`. */
declare class GgufMetadata implements Iterable<[string, GgufValue]> {
    #private;
    private constructor();
    /** Number of entries. */
    get size(): number;
    /** The value under `key`, `undefined` if there is none. */
    get(key: string): GgufValue | undefined;
    /** Whether there is a value under `key`. */
    has(key: string): boolean;
    /** The type of the value under `key` as the file declares it, `undefined` if there is none. */
    type(key: string): GgufValueType | undefined;
    /** The keys, in file order. */
    keys(): IterableIterator<string>;
    /** Keys and values, in file order. */
    entries(): Generator<[string, GgufValue]>;
    /** The same as {@link entries}. */
    [Symbol.iterator](): Generator<[string, GgufValue]>;
}

/** How far a load has come. */
interface LoadProgress {
    /** The tensor just read. */
    tensor: string;
    /** Chunks delivered so far. */
    chunks: number;
    /** Stored bytes read so far. */
    loadedBytes: number;
    /** Stored bytes to be read in all. */
    totalBytes: number;
}

/** How a file is opened. */
interface OpenOptions {
    /**
     * The tensor data is not there, only the header: no range is checked against the size of the file, and nothing can
     * be streamed. `false` by default.
     */
    headerOnly?: boolean;
    /**
     * Tensors must follow each other in order and without gaps, as ggml demands; otherwise any order is accepted as long
     * as no two overlap, as the specification demands. `false` by default.
     */
    strict?: boolean;
}
/** What both ways of reading take. */
interface LoadOptions<As extends TensorOutput = TensorOutput> {
    /** The form of the data: `'raw'` (default), `'f32'` or `'f16'` (as bits, rounded to nearest even). */
    as?: As;
    /** Ends the load: it rejects with an {@link AbortError} whose cause is the signal's reason. */
    signal?: AbortSignal;
    /** Called with every chunk, on the event loop. What it throws ends the load. */
    onProgress?: (progress: LoadProgress) => void;
}
/** What {@link GgufFile.stream} takes. */
interface StreamOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
    /** The tensors by name, in the order they are wanted; all by default, in the order of their data in the file. */
    tensors?: string[];
    /**
     * The most bytes of data in a chunk. Chunks end on whole blocks, so they may hold fewer. 1 MiB by default, at most
     * 1 GiB, and no less than one block of every tensor: 1024 bytes for `Q4_K` as `'f32'`.
     */
    chunkBytes?: number;
    /** The pool whose buffers carry the chunks. The manager's, or one shared by the files of this thread, by default. */
    pool?: BufferPool;
}
/** What {@link GgufFile.load} takes. */
interface LoadIntoOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
    /**
     * Memory to fill, of fixed length, at least as large as the data and aligned to its elements. It must not be
     * transferred away while the load runs, as with the buffers given to `fs.read`. New memory by default.
     */
    into?: ArrayBuffer | ArrayBufferView;
}
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
declare class GgufFile implements Disposable {
    #private;
    /** The metadata, decoded when asked for. */
    readonly metadata: GgufMetadata;
    /** Whether it was opened without its data. */
    readonly headerOnly: boolean;
    private constructor();
    /**
     * Opens a file and reads its header. No tensor data is read.
     *
     * @throws {@link IoError} when it cannot be opened or read, or is no regular file.
     * @throws {@link InvalidGgufError} when it breaks a rule of the format.
     */
    static open(path: string | URL, options?: OpenOptions): GgufFile;
    /**
     * Takes a copy of the bytes of a whole file, or of its header alone with `headerOnly`.
     *
     * @throws {@link InvalidGgufError} when they break a rule of the format.
     */
    static fromBytes(bytes: Uint8Array, options?: OpenOptions): GgufFile;
    /** The path it was opened under, `<bytes>` for bytes. */
    get path(): string;
    /** The size of the file when it was opened, in bytes. */
    get sizeBytes(): number;
    /** The version of the container: 2 or 3. */
    get version(): number;
    /** The model family (`general.architecture`), such as `"llama"`, if it is given. */
    get architecture(): string | undefined;
    /** The mixture of tensor types the model was quantised to (`general.file_type`), if it is given. */
    get fileType(): GgufFileType | undefined;
    /** What tensor offsets are multiples of, in bytes. */
    get alignmentBytes(): number;
    /** Where the data section starts, in bytes from the start of the file. */
    get dataOffsetBytes(): number;
    /** Bytes of the data section from its start to the end of the last tensor, gaps included. */
    get dataBytes(): number;
    /** Which part of a split model the file is, if it is one. */
    get split(): GgufSplit | undefined;
    /** The tensors, in file order. */
    get tensors(): readonly Readonly<TensorInfo>[];
    /** The tensor of that name, `undefined` if there is none. */
    tensor(name: string): TensorInfo | undefined;
    /**
     * Streams tensors in chunks of whole blocks, through a few pooled buffers, at the consumer's pace: the reader stays
     * about a megabyte ahead and waits. All work happens on a thread of the stream's own, which starts with the first
     * chunk asked for and ends with the stream.
     *
     * Leaving the loop ends the stream. Errors of the file reject the iteration: {@link IoError} when it cannot be read
     * or was changed since it was opened, {@link InsufficientMemoryError} when the pool's budget has no room.
     *
     * @throws {@link InvalidArgumentError} for an unfit option, an unknown tensor, and a file opened `headerOnly`.
     * @throws {@link UnsupportedTypeError} for a tensor that does not convert.
     * @throws {@link ReleasedError} after {@link close}.
     */
    stream<As extends TensorOutput = 'raw'>(options?: StreamOptions<As>): AsyncGenerator<TensorChunk<As>, void, undefined>;
    /**
     * Reads one tensor whole, into new memory or into yours, and returns an array over exactly its data. When it
     * rejects, nothing is written to the destination afterwards.
     *
     * Rejects with what {@link stream} throws and rejects with, and with {@link InvalidArgumentError}, before a byte is
     * written, when the destination is too small or misaligned.
     *
     * @example
     * const norm = await model.load('output_norm.weight', { as: 'f32' }) // Float32Array
     */
    load<As extends TensorOutput = 'raw'>(name: string, options?: LoadIntoOptions<As>): Promise<TensorData<As>>;
    /**
     * Closes the file. Streams already begun go on, and the header's fields stay readable; tensors, metadata, streams
     * and loads throw {@link ReleasedError}. Idempotent.
     */
    close(): void;
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose](): void;
}

/** What a {@link MemoryManager} is made from. */
interface MemoryManagerOptions extends MachineBudgetOptions {
    /** Bytes the manager's pool keeps idle for reuse at most. 8 MiB by default. */
    maxHeldBytes?: number;
}
/**
 * The front door: the line of this machine, the budget under it, files opened on its account, and a pool for their
 * streams.
 *
 * @example
 * await using manager = new MemoryManager({ safetyMarginPercent: 15 })
 * const model = manager.open('model.gguf')
 * using weights = manager.budget.allocate(model.dataBytes, 'weights')
 */
declare class MemoryManager implements AsyncDisposable {
    #private;
    /** The preset of the board, if one was named. */
    readonly board: Readonly<BoardPreset> | undefined;
    /** The budget of this machine. */
    readonly budget: MemoryBudget;
    /** The pool that streams of this manager's files read through; it counts against the budget. */
    readonly pool: BufferPool;
    /** @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read. */
    constructor(options?: MemoryManagerOptions);
    /**
     * Opens a file whose streams read through this manager's pool and end with it. See {@link GgufFile.open}.
     *
     * @throws {@link ReleasedError} after {@link close}.
     */
    open(path: string | URL, options?: OpenOptions): GgufFile;
    /** What this process holds now. See {@link processMemory}. */
    processMemory(): ProcessMemory;
    /** Whether it was closed. */
    get closed(): boolean;
    /**
     * Ends loads in flight (they reject with an {@link AbortError}) and gives the pool's memory back. Allocations belong
     * to their holders and stay. Resolves when every reader has stopped. Idempotent.
     */
    close(): Promise<void>;
    /** The same as {@link close}, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
}

/** 2^10 bytes. */
declare const KiB = 1024;
/** 2^20 bytes. */
declare const MiB: number;
/** 2^30 bytes. */
declare const GiB: number;
/**
 * Reads a size as people write it.
 *
 * A bare number, or one with `B`, is bytes; `KiB`, `MiB`, `GiB` and so on, and the bare letters `K`, `M`, `G`, `T`, are
 * powers of two; `KB`, `MB`, `GB` and so on are powers of ten. Upper or lower case, with or without a space.
 *
 * @throws {@link InvalidArgumentError} for anything else.
 * @example
 * parseBytes('6 GiB') // 6442450944
 * parseBytes('8GB')   // 8000000000
 */
declare function parseBytes(text: string): number;
/**
 * Writes a size for people: the largest binary unit that leaves a number of one or more, two decimals.
 *
 * @example
 * formatBytes(6 * GiB) // '6.00 GiB'
 */
declare function formatBytes(bytes: number): string;

export { AbortError, AddonUnavailableError, Allocation, BufferPool, GgufArray, GgufFile, GgufMetadata, GiB, InsufficientMemoryError, InvalidArgumentError, InvalidGgufError, IoError, KiB, MemoryBudget, MemoryManager, MiB, PlimsollError, PooledBuffer, ReleasedError, TensorChunk, UnsupportedTypeError, boardPresets, formatBytes, instructionSet, loadedAddon, machineMemory, parseBytes, processMemory, tensorDataBytes, tensorOutputs };
export type { AddonUnavailableReason, AllocationInfo, BoardId, BoardPreset, BudgetNumbers, BufferPoolOptions, BufferPoolStats, CgroupLimit, ErrorCode, GgufElements, GgufFileType, GgufSplit, GgufValue, GgufValueType, LineTerm, LoadIntoOptions, LoadOptions, LoadProgress, LoadedAddon, MachineBudgetOptions, MachineMemory, MemoryManagerOptions, OpenOptions, ProcessMemory, StreamOptions, TensorData, TensorInfo, TensorOutput };
