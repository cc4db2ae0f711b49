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

/** A kind of device memory on this machine. */
interface BackEnd {
  /** The kind. */
  kind: 'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'
  /** Whether what it needs is there and may be used by this user. */
  available: boolean
  /** Where it was found. */
  paths: Array<string>
  /** Why it cannot be used. */
  reason?: string
  /** The line that mends it, where there is one. */
  remedy?: string
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

/** A control group over a process at one moment. */
interface Cgroup {
  /** Its path in the hierarchy. */
  path: string
  /** The version of its interface: 1 or 2. */
  version: number
  /** The limit at which its killer acts, in bytes. */
  limitBytes?: number
  /** The limit above which its processes are slowed down, in bytes. Version 2 only. */
  highBytes?: number
  /** What it holds, page cache included, in bytes. */
  usageBytes: number
  /** Page cache that is reclaimed first, in bytes. */
  inactiveFileBytes: number
  /** Kills by its own killer so far. */
  oomKillCount?: number
}

/** A memory limit set on a control group. */
interface CgroupLimit {
  /** The group it is set on, as `/proc/self/cgroup` names it. */
  path: string
  /** The limit, in bytes. */
  limitBytes: number
}

/** What this machine is. */
interface DetectedBoard {
  /** What its device tree calls it, else a few words. */
  name: string
  /** The id of the preset that fits it. */
  preset?: string
  /** Who made its system on chip. */
  vendor?: string
  /** Its system on chip: `"Tegra234"`, `"RK3588S"`. */
  soc?: string
  /** The number of its module: `"p3767-0005"`. Jetson only. */
  module?: string
  /** Whether CPU and accelerator share the RAM; false where no such chip is known. */
  unifiedMemory: boolean
  /** What its device tree is compatible with; empty on machines without one. */
  compatible: Array<string>
  /** The release of Linux for Tegra. Jetson only. */
  l4t?: string
  /** The JetPack it belongs to. Jetson only. */
  jetpack?: string
  /** The release of its kernel. */
  kernelRelease?: string
  /** RAM the kernel manages, in bytes; 0 where it does not say. */
  totalBytes: number
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

/** What the system can give at one moment, and why not more. */
interface Headroom {
  /** The least room of the terms, less what is pending; in bytes. */
  bytes: number
  /** What was granted and has not yet been taken, in bytes. */
  pendingBytes: number
  /** The largest single allocation the board would accept now, in bytes. On Jetson the driver refuses larger ones. */
  largestAllocationBytes: number
  /** The bound with the least room. */
  bindingTerm: HeadroomTerm
  /** Every bound that was weighed: the machine, then the cgroups from the process's own upwards. */
  terms: Array<HeadroomTerm>
}

/** One upper bound on headroom. */
interface HeadroomTerm {
  /** Where the bound comes from. */
  kind: 'machine' | 'cgroup'
  /** The cgroup's path. */
  path?: string
  /** All that could be given were nothing in use: the whole less the floor, in bytes. */
  capacityBytes: number
  /** What is left untouched for the system around the model, in bytes. */
  floorBytes: number
  /** What can be given now, the floor left untouched, in bytes. */
  roomBytes: number
  /** Share of the capacity that is in use, 0 to 100. */
  usedPercent: number
  /** The bound in words. */
  description: string
}

/** A pool of huge pages of one size. */
interface HugePages {
  /** The size of one page, in bytes. */
  pageBytes: number
  /** Pages set aside. */
  totalCount: number
  /** Pages of these that are free. */
  freeCount: number
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

/** The RAM of this machine at one moment, in bytes. Source: `/proc/meminfo`, see `proc_meminfo(5)`. */
interface MachineMemory {
  /** RAM the kernel manages (`MemTotal`), in bytes. Less than the board is sold with: firmware keeps a part. */
  totalBytes: number
  /** RAM that programs could take without swapping (`MemAvailable`), in bytes. It counts free CMA pages. */
  availableBytes: number
  /** Unused RAM (`MemFree`), in bytes. */
  freeBytes?: number
  /** Set aside for contiguous allocations (`CmaTotal`), in bytes. */
  cmaTotalBytes?: number
  /** Free in that area (`CmaFree`), in bytes; most allocations cannot use it. */
  cmaFreeBytes?: number
  /** Shared memory, tmpfs and most driver memory (`Shmem`), in bytes. */
  shmemBytes?: number
  /** Swap, compressed RAM included (`SwapTotal`), in bytes. */
  swapTotalBytes?: number
  /** Free swap (`SwapFree`), in bytes. It never counts as headroom. */
  swapFreeBytes?: number
  /** Held by GPU and engines of a Jetson (`NvMapMemUsed`), in bytes. */
  nvmapUsedBytes?: number
  /** The tightest memory limit over the process's cgroup, if there is one below `totalBytes`. */
  cgroup?: CgroupLimit
}

/** Why a signal is not there. */
interface MissingSignal {
  /** The name of the signal: a key of `Signals`. */
  signal: string
  /** The file that would have it. */
  path: string
  /** What is the matter, in words. */
  reason: string
}

/** One look at the memory. */
interface MonitorSample {
  /** When it was taken, in milliseconds since 1970. */
  timeMs: number
  /** The level it led to. */
  level: 'normal' | 'warning' | 'critical'
  /** Use in percent of what could be used at most: the highest among machine, cgroups and line. */
  usedPercent: number
  /** The bound whose use that is, in words. */
  constraint: string
  /** What the system can give now. */
  headroom: Headroom
  /** The line of the budget, in bytes. */
  lineBytes: number
  /** What is granted under it, in bytes. */
  allocatedBytes: number
  /** What the process has resident. */
  process?: ProcessMemory
  /** The machine's memory. */
  memory: MachineMemory
  /** Pressure stall information, where the kernel has it. */
  pressure?: Pressure
  /** What swap on compressed RAM costs, where there is any. */
  zram?: Zram
  /** Kills by the kernel's killer since the start, where the kernel counts them. */
  oomKillCount?: number
}

/** What Rockchip's NPU driver says. No file tells the NPU's use of RAM. */
interface NpuDriver {
  /** The driver's version. */
  version: string
  /** Share of time that each core works, 0 to 100. */
  loadPercent: Array<number>
}

/** Memory of one process in the hands of a Jetson's GPU and engines. */
interface NvmapClient {
  /** The process's id. */
  pid: number
  /** The process's name. */
  process: string
  /** What it holds, in bytes. */
  bytes: number
}

/** How long work stood still for want of memory. */
interface Pressure {
  /** Some task waited. */
  some: Stall
  /** All tasks waited. */
  full: Stall
}

/** Resident memory of a process. Source: `/proc/PID/status`, see `proc_pid_status(5)`. */
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

/** Every signal at one moment. What this machine does not give is absent here and listed in `missing` with the reason. */
interface Signals {
  /** The machine's memory. */
  memory?: MachineMemory
  /** The memory cgroups over the process, its own first. */
  cgroups?: Array<Cgroup>
  /** Pressure stall information. */
  pressure?: Pressure
  /** What swap on compressed RAM costs. */
  zram?: Zram
  /** What the process has resident. */
  process?: ProcessMemory
  /** The largest contiguous run of free pages, in bytes. */
  largestFreeRunBytes?: number
  /** Kills by the kernel's killer since the start. */
  oomKillCount?: number
  /** Pools of huge pages. */
  hugePages?: Array<HugePages>
  /** When transparent huge pages are used: `"always"`, `"madvise"` or `"never"`. */
  transparentHugePages?: string
  /** Who holds memory of the GPU, by process. Jetson, root only. */
  nvmapClients?: Array<NvmapClient>
  /** The NPU's driver. RK3588 with the vendor's kernel, root only. */
  npuDriver?: NpuDriver
  /** What is not there, and why. */
  missing: Array<MissingSignal>
}

/** Shares of time, 0 to 100, over three windows, and their sum since the start. */
interface Stall {
  /** Over the last 10 seconds. */
  avg10Percent: number
  /** Over the last 60 seconds. */
  avg60Percent: number
  /** Over the last 300 seconds. */
  avg300Percent: number
  /** Since the start, in milliseconds. */
  totalMs: number
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

/** What swap on compressed RAM costs. */
interface Zram {
  /** What was swapped out, in bytes. */
  storedBytes: number
  /** RAM it takes all the same, in bytes. */
  usedBytes: number
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
    /**
     * Says that `bytes` of it, in all, have really been taken; the whole of it by default. That much is no longer pending
     * in {@link MemoryBudget.headroom | headroom}. It only rises, and never above the allocation's size. Returns the
     * allocation.
     *
     * Whoever never says so is credited with what the process has grown by since its first grant: right for one load at
     * a time, a guess for several.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 to the allocation's size.
     * @throws {@link ReleasedError} after it was released.
     */
    commit(bytes?: number): this;
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
type BoardId = 'orin-nano-4gb' | 'orin-nano-8gb' | 'orin-nx-8gb' | 'orin-nx-16gb' | 'agx-orin-32gb' | 'agx-orin-64gb' | 'agx-thor-128gb' | 'xavier-nx-8gb' | 'xavier-nx-16gb' | 'agx-xavier-32gb' | 'agx-xavier-64gb' | 'rk3588-4gb' | 'rk3588-8gb' | 'rk3588-16gb' | 'rk3588-32gb';
/** The boards this package knows by name. */
declare const boardPresets: readonly Readonly<BoardPreset>[];
/** Where the system's files are read. */
interface SystemOptions {
    /** The folder under which `proc`, `sys`, `dev` and `etc` lie: `/` by default, or a copy of a board's tree. */
    root?: string;
}
/** Where the system's files are read, and whose they are. */
interface ProcessOptions extends SystemOptions {
    /** The id of the process whose memory and cgroups are meant: this one by default. */
    pid?: number;
}
/**
 * The RAM of this machine now.
 *
 * @throws {@link IoError} where `/proc/meminfo` cannot be read.
 */
declare function machineMemory(options?: ProcessOptions): MachineMemory;
/**
 * Every signal that tells of memory, read anew: the machine, the cgroups over the process, pressure, compressed swap,
 * the process, huge pages, and what drivers of accelerators say. Nothing throws: what is not there is absent, and
 * listed in `missing` with the reason.
 */
declare function signals(options?: ProcessOptions): Signals;
/**
 * What this machine is: by what its device tree is compatible with, never by its model's name. A machine that nothing
 * is known of is a board too, without a preset.
 */
declare function detectBoard(options?: SystemOptions): DetectedBoard;
/**
 * The kinds of device memory that this machine could give: each with where it was found, or why it cannot be used and
 * the line that mends it. Nothing is opened for it and no library is loaded.
 */
declare function backEnds(options?: SystemOptions): BackEnd[];
/**
 * What a process holds now, this one by default: resident memory with its anonymous, file and shared parts, and the
 * peak.
 *
 * @throws {@link IoError} where `/proc` is not mounted, and when no such process runs.
 */
declare function processMemory(options?: Pick<ProcessOptions, 'pid'>): ProcessMemory;
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
     * A board whose preset bounds the line too. `'auto'`, the default, takes the preset of the board that this machine
     * is, see {@link detectBoard}; a machine without one is taken as it is, with an eighth of its memory kept for the
     * system, at least 512 MiB and at most half.
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
/** How headroom is worked out. */
interface HeadroomOptions {
    /** What is left untouched of the machine's memory, in bytes. 3 % of it, at least 256 MiB, by default. */
    floorBytes?: number;
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
     * margin, the board's usable memory if there is a preset, the limit of every cgroup over the process less its floor
     * (3 %, at least 16 MiB), and `maxBytes`.
     *
     * With a `root` or a `pid` it is the line of that tree or over that process, and so is its headroom and what a
     * {@link MemoryMonitor} of it sees. Such a budget is for looking: it counts alone.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read.
     */
    static forThisMachine(options?: MachineBudgetOptions & ProcessOptions): MemoryBudget;
    /** Memory of the board or machine, in bytes. */
    get totalBytes(): number;
    /** What is kept for the system, in bytes. */
    get reservedBytes(): number;
    /** What may be used at most, in bytes: the line. */
    get usableBytes(): number;
    /** The line, in bytes: the lowest of {@link terms}. The same number as {@link usableBytes}. */
    get lineBytes(): number;
    /**
     * An upper bound of your own while the program runs, in bytes; `undefined` for none. It only ever lowers the line, and
     * takes nothing back: what is allocated above it stays.
     *
     * @throws {@link InvalidArgumentError} when it is no whole number of bytes.
     */
    get maxBytes(): number | undefined;
    set maxBytes(bytes: number | undefined);
    /** Every bound that was weighed to draw the line, {@link maxBytes} too. */
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
     * What the system can give now: the least room of the machine and of every cgroup over the process, each less its
     * floor, less what was granted here and not yet taken. Swap never counts.
     *
     * @throws {@link IoError} where the machine's memory cannot be read.
     */
    headroom(options?: HeadroomOptions): Headroom;
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

/** What a run of a relief came to. */
interface Relief {
    /** The label it was registered under. */
    label: string;
    /** How long it ran, in milliseconds. */
    durationMs: number;
    /** What it threw, if it did; the next relief runs all the same. */
    error?: unknown;
}

/** The memory at a stage of a program, and what was added since the stage before. */
interface Stage {
    /** What the stage is called. */
    label: string;
    /** When it was marked, in milliseconds since 1970. */
    timeMs: number;
    /** What the process had resident, in bytes. */
    rssBytes: number;
    /** What programs could take of the machine's memory, in bytes. */
    availableBytes: number;
    /** What was allocated under the budget, in bytes. */
    allocatedBytes: number;
    /** What was allocated under which label, in bytes, most first. */
    components: Component[];
    /** What was added since the stage before, in bytes; negative where something was given back. */
    added: {
        rssBytes: number;
        usedBytes: number;
        allocatedBytes: number;
    };
}
/** What is allocated under one label. */
interface Component {
    /** The label. */
    label: string;
    /** The sum of its allocations, in bytes. */
    bytes: number;
    /** What was added since the stage before, in bytes. */
    addedBytes: number;
}

/** How full the memory is. */
type MemoryLevel = 'normal' | 'warning' | 'critical';
/** Where the levels begin, as shares of what could be used at most, 0 to 100. */
interface MemoryLimits {
    /** Where `warning` begins. 80 by default. */
    warnPercent?: number;
    /** Where `critical` begins. 95 by default. */
    criticalPercent?: number;
    /** How far use must fall below a limit before its level ends. 3 by default. */
    hysteresisPercent?: number;
}
/** How a monitor watches and what it does. */
interface MonitorOptions extends MemoryLimits {
    /** What is left untouched of the machine's memory, in bytes. 3 % of it, at least 256 MiB, by default. */
    floorBytes?: number;
    /** Whether the budget refuses new allocations while the level is critical. True by default. */
    refuseAtCritical?: boolean;
    /** Whether V8 collects its garbage as the level turns critical, before the other reliefs. False by default. */
    collectGarbage?: boolean;
    /**
     * The time between two samples, in milliseconds, from 10 to 3,600,000. By default as long as the memory can be left
     * alone at the fastest growth that is plausible: 50 to 1000 ms.
     */
    intervalMs?: number;
    /** How many samples {@link MemoryMonitor.history} keeps, up to 100,000. 600 by default. */
    historyCount?: number;
}
/** What a monitor tells, with what it passes to the listener. */
interface MonitorEvents {
    /** The level fell back to normal. */
    normal: [sample: MonitorSample];
    /** The level became warning, from below or from above. */
    warning: [sample: MonitorSample];
    /** The level became critical. */
    critical: [sample: MonitorSample];
    /** The kernel told that tasks stand still for want of memory. */
    pressure: [sample: MonitorSample];
    /** The kernel's killer has killed something since the sample before. */
    kill: [sample: MonitorSample, count: number];
    /** A sample was taken. */
    sample: [sample: MonitorSample];
    /** A relief has run. */
    relief: [relief: Relief];
    /**
     * The machine's memory cannot be read; the monitor goes on trying. The level is unknown and nothing is refused for it;
     * if it has changed by the next sample, that tells so.
     */
    unavailable: [reason: string];
}
/**
 * Watches the memory under a budget, and tells of trouble before the kernel acts. It is off until {@link start}.
 *
 * One thread samples for every monitor of the process, and none of them keeps the process alive. Levels are drawn by
 * what is really used: of the machine, of each cgroup over the process, and of the line by this process. What is merely
 * granted raises none; a well-packed budget is full and well.
 *
 * @example
 * manager.monitor.start()
 * manager.monitor.on('warning', ({ usedPercent, constraint }) => log.warn(`${usedPercent.toFixed(0)} %: ${constraint}`))
 * manager.monitor.on('critical', () => cache.clear())
 */
declare class MemoryMonitor implements Disposable, AsyncIterable<MonitorSample> {
    #private;
    /** @throws {@link InvalidArgumentError} when `budget` is none. */
    constructor(budget: MemoryBudget, limits?: MemoryLimits);
    /**
     * Begins to watch; while it already does, nothing is changed. Options that are left out take the limits of the
     * monitor and their defaults. Returns the monitor.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option.
     * @throws {@link ReleasedError} after {@link close}.
     */
    start(options?: MonitorOptions): this;
    /** Stops watching, until {@link start} is called again. The budget grants again. Idempotent. */
    stop(): void;
    /** Stops watching for good: iterations end, listeners and reliefs are forgotten. Idempotent. */
    close(): void;
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose](): void;
    /** Whether it watches. */
    get running(): boolean;
    /** The level of the last sample; `'normal'` before the first, and while the machine's memory cannot be read. */
    get level(): MemoryLevel;
    /** The last sample, if one was taken. */
    get sample(): MonitorSample | undefined;
    /** Where the levels begin, for as much as was set; see {@link MemoryLimits} for the defaults. */
    get limits(): Readonly<MemoryLimits>;
    /** Sets where the levels begin, also while it watches. What is left out takes its default. */
    set limits(limits: MemoryLimits);
    /** The samples since the start, oldest first, as many as `historyCount` keeps. */
    history(): MonitorSample[];
    /** Calls `listener` for every event of that name. What a listener throws is thrown as of any event emitter. */
    on<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    /** Calls `listener` for the next event of that name only. */
    once<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    /** Forgets a listener. */
    off<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    /**
     * Registers what may give memory back while the level is critical. Reliefs run in the order of their registration, one
     * at a time, each awaited, until the level is no longer critical; at most one round a second. Each run is told by the event
     * `relief`. Returns what forgets it again.
     *
     * @param label - what the event calls it
     * @param run - gives memory back; may return a promise
     */
    relieve(label: string, run: (sample: MonitorSample) => unknown): Disposable;
    /**
     * Notes the memory at a stage of the program, watching or not: what the process and the machine have in use, and what
     * is allocated under which label. Returns the stage, with what was added since the one before.
     *
     * @param label - what the stage is called: `'after model load'`
     */
    mark(label: string): Stage;
    /** The stages that were marked, oldest first; the last thousand. */
    stages(): Stage[];
    /**
     * The samples from now on. An iteration that is slower than they come gets the newest 16; it ends with {@link close}.
     * It starts the monitor if it does not watch yet, and does not keep the process alive.
     */
    [Symbol.asyncIterator](): AsyncGenerator<MonitorSample, void, undefined>;
}

/** What happened: see the table in docs/profiling.md. */
type ProfileEventKind = 'held' | 'grant' | 'release' | 'refusal' | 'commit' | 'reuse' | 'return' | 'load-start' | 'load-end' | 'load-failed' | 'load-cancelled';
/** One event of a profile. */
interface ProfileEvent {
    /** When it happened, in milliseconds since the profile was started. Never less than that of the event before. */
    timeMs: number;
    /** What happened. */
    kind: ProfileEventKind;
    /** The number of the allocation, of the request that was refused, or of the load. */
    id: number;
    /** Its label; of a load, the path of its file. At most 1024 bytes of it are kept. */
    label: string;
    /** The bytes it is about. */
    sizeBytes: number;
    /** Bytes of all live allocations after it. */
    allocatedBytes: number;
    /** The system's number of the thread it happened on. */
    threadId: number;
    /** Who asked, innermost frame first, a line each; only with the option `stacks`. */
    stack?: string;
}
/** What the allocations under one label came to. */
interface LabelTotals {
    /** The label. */
    label: string;
    /** Bytes live at last. */
    liveBytes: number;
    /** Allocations live at last. */
    liveCount: number;
    /** The most bytes that were live at once. */
    peakBytes: number;
    /** Bytes granted in all, those live at the start among them. */
    grantedBytes: number;
    /** Allocations granted in all, those live at the start among them. */
    grantedCount: number;
    /** Bytes refused. */
    refusedBytes: number;
    /** Requests refused. */
    refusedCount: number;
}
/** An allocation that is live. */
interface LiveAllocation {
    /** Its number, the `id` of its events. */
    id: number;
    /** The label it was taken under. */
    label: string;
    /** Its size, in bytes. */
    sizeBytes: number;
    /** How much of it has really been taken, as its holder said, in bytes; absent when it never did. */
    committedBytes?: number;
    /** The time since it was granted, in milliseconds. */
    ageMs: number;
    /** The system's number of the thread it was granted on; absent for one granted before a profile was started. */
    threadId?: number;
    /** Who asked, innermost frame first, a line each; only with the option `stacks`. */
    stack?: string;
}
/** A thread that appears in a profile. */
interface ProfileThread {
    /** The system's number of the thread. */
    id: number;
    /** Its name: `main` for the process's first. */
    name: string;
}
/** What a profile tells beside its events. */
interface ProfileReport {
    /** When it was started, in milliseconds since 1970; 0 if it never was. */
    startTimeMs: number;
    /** How long it ran, in milliseconds. */
    durationMs: number;
    /** Events recorded in all. */
    eventCount: number;
    /** Events that made room for newer ones. */
    droppedCount: number;
    /** Bytes of what is live. */
    allocatedBytes: number;
    /** The most bytes that were live at once since the start. */
    peakBytes: number;
    /** The totals by label, most granted first. They cover events that were dropped too. */
    labels: LabelTotals[];
    /** What is live, oldest first. */
    live: LiveAllocation[];
    /** The threads that appear in it. */
    threads: ProfileThread[];
}
/** All of a profile, as it is exported. */
interface ProfileRecord extends ProfileReport {
    /** The events that are kept, oldest first. */
    events: ProfileEvent[];
}

/**
 * The profile as one page: nothing outside of it is loaded, and nothing in it is run but its own script, whatever the
 * labels say: they travel as JSON, and the policy names the script and the style by their hashes.
 */
declare function toPage(record: ProfileRecord): string;

/** The profile in the Trace Event Format. */
declare function toTrace(record: ProfileRecord): string;

/** How a profile is taken. */
interface ProfileOptions {
    /** Events kept; newer ones take the place of older ones. 65,536 by default, at most 1,048,576. */
    capacity?: number;
    /** Whether the JavaScript stack of every request is kept. False by default. */
    stacks?: boolean;
    /** Frames kept of a stack, 1 to 100. 10 by default. */
    stackDepth?: number;
}
/** Which allocations count as leaks. */
interface LeakOptions {
    /** The least age, in milliseconds. 0 by default. */
    olderThanMs?: number;
}
declare const writers: {
    json: (record: ProfileRecord) => string;
    trace: typeof toTrace;
    html: typeof toPage;
};
/** What a profile can be exported as. */
type ProfileFormat = keyof typeof writers;
/**
 * Records what happens to a budget: every grant, release, refusal and commit, and what pools and loads over it do, with
 * label, bytes, time and thread. Budgets that share what is allocated share what is recorded, worker threads included.
 *
 * It is off until {@link start}, and costs nothing while it is off.
 *
 * @example
 * manager.profile.start({ stacks: true })
 * // ... the program's work ...
 * manager.profile.stop()
 * for (const { label, sizeBytes, ageMs, stack } of manager.profile.leaks({ olderThanMs: 60_000 })) log.warn(label, stack)
 * await manager.profile.save('profile.html')
 */
declare class MemoryProfile implements Disposable {
    #private;
    /** @throws {@link InvalidArgumentError} when `budget` is none. */
    constructor(budget: MemoryBudget);
    /**
     * Begins to record, with what is allocated already; what was recorded before is forgotten. While it runs, nothing is
     * changed. Returns the profile.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option.
     */
    start(options?: ProfileOptions): this;
    /** Ends the recording; what was recorded stays until the next {@link start}. Idempotent. */
    stop(): void;
    /** The same as {@link stop}, for `using`. */
    [Symbol.dispose](): void;
    /** Whether it records. */
    get running(): boolean;
    /** The events that are kept, oldest first. */
    events(): ProfileEvent[];
    /** What the allocations under each label came to, most granted first. */
    labels(): LabelTotals[];
    /**
     * What is live, oldest first; after {@link stop}, what was live then. What a program still holds where it should hold
     * nothing, or for longer than it should, is a leak.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option.
     */
    leaks(options?: LeakOptions): LiveAllocation[];
    /** The totals by label, what is live, and the profile's own figures. */
    report(): ProfileReport;
    /**
     * All of it as text: `'json'`, the report and the events; `'trace'`, for Perfetto and chrome://tracing; `'html'`, a
     * page with a flame graph by label that needs nothing but a browser.
     *
     * @throws {@link InvalidArgumentError} for a format that there is none of.
     */
    export(format: ProfileFormat): string;
    /**
     * Writes {@link export | what is exported} to a file, which appears whole or not at all. The format is that of the
     * name, `.html`, `.trace.json` or `.json`, unless one is given.
     *
     * @throws {@link InvalidArgumentError} when the name tells no format and none is given.
     * @throws {@link IoError} when the file cannot be written.
     */
    save(path: string, format?: ProfileFormat): Promise<void>;
}

/** Where the levels of a manager's monitor begin, and how much it may ever use. */
interface ManagerLimits extends MemoryLimits {
    /** An upper bound of your own, in bytes; see {@link MemoryBudget.maxBytes}. */
    maxBytes?: number;
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
    /** The preset that was named, or that fits the board that this machine is, if one does. */
    readonly board: Readonly<BoardPreset> | undefined;
    /** What this machine is, whatever preset was named. */
    readonly machine: Readonly<DetectedBoard>;
    /** The budget of this machine. */
    readonly budget: MemoryBudget;
    /** The pool that streams of this manager's files read through; it counts against the budget. */
    readonly pool: BufferPool;
    /** Watches the memory under the budget; off until its `start()`. At critical it first trims {@link pool}. */
    readonly monitor: MemoryMonitor;
    /** Records what happens to the budget; off until its `start()`. */
    readonly profile: MemoryProfile;
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
    /**
     * Where the levels of {@link monitor} begin, and how much the budget grants at most. What is left out of what is set
     * takes its default: no maximum beside the line.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit limit; nothing is changed then.
     */
    get limits(): Readonly<ManagerLimits>;
    set limits(limits: ManagerLimits);
    /** Whether it was closed. */
    get closed(): boolean;
    /**
     * Ends the monitor and loads in flight (they reject with an {@link AbortError}) and gives the pool's memory back. Allocations belong
     * to their holders and stay; what the profile has recorded can still be read. Resolves when every reader has stopped. Idempotent.
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

export { AbortError, AddonUnavailableError, Allocation, BufferPool, GgufArray, GgufFile, GgufMetadata, GiB, InsufficientMemoryError, InvalidArgumentError, InvalidGgufError, IoError, KiB, MemoryBudget, MemoryManager, MemoryMonitor, MemoryProfile, MiB, PlimsollError, PooledBuffer, ReleasedError, TensorChunk, UnsupportedTypeError, backEnds, boardPresets, detectBoard, formatBytes, instructionSet, loadedAddon, machineMemory, parseBytes, processMemory, signals, tensorDataBytes, tensorOutputs };
export type { AddonUnavailableReason, AllocationInfo, BackEnd, BoardId, BoardPreset, BudgetNumbers, BufferPoolOptions, BufferPoolStats, Cgroup, CgroupLimit, Component, DetectedBoard, ErrorCode, GgufElements, GgufFileType, GgufSplit, GgufValue, GgufValueType, Headroom, HeadroomOptions, HeadroomTerm, HugePages, LabelTotals, LeakOptions, LineTerm, LiveAllocation, LoadIntoOptions, LoadOptions, LoadProgress, LoadedAddon, MachineBudgetOptions, MachineMemory, ManagerLimits, MemoryLevel, MemoryLimits, MemoryManagerOptions, MissingSignal, MonitorEvents, MonitorOptions, MonitorSample, NpuDriver, NvmapClient, OpenOptions, Pressure, ProcessMemory, ProcessOptions, ProfileEvent, ProfileEventKind, ProfileFormat, ProfileOptions, ProfileReport, ProfileThread, Relief, Signals, Stage, Stall, StreamOptions, SystemOptions, TensorData, TensorInfo, TensorOutput, Zram };
