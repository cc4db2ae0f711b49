/// <reference lib="esnext.disposable" />
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
 * powers of two; `KB`, `MB`, `GB` and so on are powers of ten. Upper or lower case, with or without a space. A fraction is
 * exact: of its bytes, only what is less than one is left out.
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

/**
 * A budget with the guards that JavaScript holds over it, each under a key.
 *
 * `lib/budget/budget.ts` gives every key a guard object whose finalizer releases it. When this object and its handle go, at
 * the latest with their worker thread, all guards go with them, so a terminated worker leaves nothing behind.
 */
declare class NativeBudget {
  static ofNumbers(totalBytes: number, reservedBytes: number): NativeBudget
  static ofBoard(id: string): NativeBudget
  static ofThisMachine(options: NativeMachineOptions): NativeBudget
  /**
   * Where a limit may exist that the line does not know of, and figures that stand for others, in words: those that no
   * budget of this process had before.
   */
  get unreportedDoubts(): Array<string>
  /** The line of the board, which bounds all together that share a ledger; in bytes. */
  get boardLineBytes(): number
  /** What `allocateGuard` and `releaseGuard` take. */
  guards(): object
  /** As `allocateGuard`, for a caller who tells its stack. */
  allocateFrom(bytes: number, label: string, stack: string): number
  /** How many frames of the caller's stack are wanted. */
  get stackDepth(): number
  /** Notes that so many bytes of the guard under `key`, in all, have really been taken. */
  commit(key: number, bytes: number): void
  headroom(floorBytes?: number | undefined | null): Headroom
  ageMs(key: number): number
  canAllocate(bytes: number): boolean
  get totalBytes(): number
  get reservedBytes(): number
  get usableBytes(): number
  get allocatedBytes(): number
  get availableBytes(): number
  get lineAvailableBytes(): number
  get peakBytes(): number
  get utilizationPercent(): number
  terms(): Array<LineTerm>
  bindingTerm(): LineTerm
  get maxBytes(): number | null
  setMaxBytes(bytes?: number | undefined | null): void
  allocations(): Array<AllocationInfo>
  /** Counts and keeps what was refused in the end. */
  noteRefused(request: NativeRefusedRequest): void
  refusedRequests(): RefusedRequests
  /** Where the ledger is that it shares; absent where it shares none. */
  get ledgerPath(): string | null
  /** Who shares that ledger, this process too. */
  ledgerHolders(): Array<LedgerHolder>
  /** The number of the descriptor that keeps the slot: a process that inherits it holds the share as long as it lives. */
  get ledgerDescriptor(): number | null
  /** Leaves the share to whoever else has its descriptor open. */
  abandonLedgerShare(): void
  /** Says that the process with that id holds the share: it inherited the descriptor. */
  setLedgerProcess(pid: number): void
}

/** A device that memory can be taken from. */
declare class NativeDevice {
  /** Opens a device; `auto` is the best that is safe here. */
  static open(options: NativeDeviceOptions): Promise<NativeDevice>
  get name(): string
  get kind(): string
  limits(): DeviceLimits
  usage(): DeviceUsage
  /** What the device is, where it is one of CUDA's. */
  cudaInfo(): CudaInfo | null
  /** Which domain of the NPU each further buffer should go to. */
  planDomains(sizes: Array<number>): Array<number>
  remarks(): Array<string>
  passedOver(): Array<PassedOver>
}

/** A buffer that is written in pieces. */
declare class NativeHeldBuffer {
  /** As `NativePool.write`. */
  write(offsetBytes: number, from: Uint8Array, len: number, start: number): Promise<number>
  /** Lets go of it. Where it was released meanwhile its memory goes back now, which may take its time. */
  finish(): Promise<void>
}

/** A part of a buffer that JavaScript sees. */
declare class NativeMapping {
  /** The part as an array buffer; to be called once. */
  arrayBuffer(): Array<ArrayBuffer>
  /** Ends it. `detached` says that no view of it is left; else the memory stays until the last is collected. */
  finish(detached: boolean): Promise<void>
}

/**
 * A pool with the buffers that JavaScript holds out of it.
 *
 * `lib/` gives every buffer an object whose finalizer frees it. When this object goes, at the latest with its worker,
 * all its buffers go with it.
 */
declare class NativePool$1 {
  /** Where `guards` and `key` name a guard, its bytes become the pool's. */
  static create(device: NativeDevice, budget: NativeBudget | undefined | null, options: NativePoolOptions, guards?: object | undefined, key?: number | undefined | null): Promise<NativePool$1>
  /** What `allocateBuffer` and `freeBuffer` take. */
  table(): object
  reserve(bytes: number): Promise<void>
  /** A request for a buffer that the slabs held have no place for. */
  request(bytes: number, alignBytes: number, transient: boolean, label?: string | undefined | null): NativeRequest
  /** Releases slabs that wait for it. */
  collect(): Promise<number>
  /** Releases what is merely kept for what comes next. */
  trimCached(): Promise<number>
  trim(keepBytes: number): Promise<number>
  close(): Promise<void>
  stats(): PoolStats
  counters(): Array<NativeCounter>
  slabs(): Array<SlabInfo>
  pushScope(): void
  popScope(): PoolScope | null
  startTrace(capacity: number): void
  stopTrace(): NativeTrace
  /** Begins a defragmentation within bounds. */
  beginRun(bounds: NativeBounds): NativeRun
  /** What a defragmentation would come to. */
  defragmentDry(bounds: NativeBounds): Promise<DefragmentReport>
  /** Copies bytes out, from `offset_bytes` on, into memory that nobody has seen before. */
  read(key: number, offsetBytes: number, bytes: number): Promise<ArrayBuffer>
  /**
   * Copies a piece of `bytes` bytes out, from `offset_bytes` on, and then into an array from `start` on, which still has to
   * have `len` bytes.
   */
  readPiece(key: number, offsetBytes: number, bytes: number, into: Uint8Array, len: number, start: number): Promise<void>
  /**
   * Copies bytes in, from `offset_bytes` on: those of an array of `len` bytes from `start` on, or the first of them. A
   * promise of how many.
   */
  write(key: number, offsetBytes: number, from: Uint8Array, len: number, start: number): Promise<number>
  /** The buffer for a write in pieces, which goes on to its end whatever is released meanwhile. */
  hold(key: number): NativeHeldBuffer
  fill(key: number, offsetBytes: number, bytes: number, byte: number): Promise<void>
  copy(key: number, offsetBytes: number, bytes: number, to: NativePool$1, toKey: number, toOffsetBytes: number): Promise<void>
  /** Maps a part for the processor. */
  map(key: number, offsetBytes: number, bytes: number, access: string): Promise<NativeMapping>
  pin(key: number): void
  /** Takes one pin off; whether there was one. */
  unpin(key: number): boolean
  exportFd(key: number): Promise<ExportedFd>
}

/** A request for a buffer. */
declare class NativeRequest {
  /** What it wants next. Throws why there is no buffer once nothing is left to be done. */
  step(): NativeStep
  /** Takes a place in a slab that is held, or in a new one. */
  take(): Promise<void>
  /**
   * Releases the pool's own empty slabs for a larger one, and waits for what is on its way back. A promise of the bytes
   * that it released.
   */
  release(): Promise<number>
  /** Others were asked, and have released memory or not. */
  reclaimed(cameBack: boolean): void
  /** Buffers were moved together as far as it went. */
  defragmented(): void
}

/** A defragmentation within bounds, and its report. */
declare class NativeRun {
  /** Goes on within new bounds, with a new report. With `ask_again` moves are found again that were not made before. */
  goOn(bounds: NativeBounds, askAgain: boolean): void
  /** Finds the next move; a promise of whether there is one within the bounds. */
  nextMove(): Promise<boolean>
  /** The move that was found. Nothing, and it is cancelled, where its buffer was released before. */
  found(): NativeMove | null
  /** The move that was found is not wanted. */
  vetoMove(): void
  /** Makes the move that was found; a promise of whether it was made: not where its buffer was freed or pinned since. */
  makeMove(): Promise<boolean>
  /** What has come of it until now. */
  report(): DefragmentReport
  /** Lets go of what it remembers, which the engine knows nothing of, and would not hurry to collect. */
  end(): void
}

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

/** One of the things that happened. */
interface BlackBoxHappening {
  /** When, in milliseconds since 1970. */
  timeMs: number
  /** What. */
  kind: 'grant' | 'release' | 'refusal' | 'wait-begin' | 'wait-end' | 'load-start' | 'load-end' | 'load-failed' | 'load-cancelled' | 'death' | 'command-start' | 'command-end'
  /** Of another process, what that calls itself; empty for the writer's own. */
  name: string
  /** The id of the process. */
  pid: number
  /** The label; of a load, the path of its file. */
  label: string
  /** The bytes it is about. */
  sizeBytes: number
  /** Of a refusal: what there was, in bytes. */
  availableBytes?: number
  /** Of a refusal: the bound that left no more, in words. */
  constraint?: string
}

/** A holder at one moment. */
interface BlackBoxHolder {
  /** What it calls itself. */
  name: string
  /** Its id, in its own PID namespace. */
  pid: number
  /** Whether it is the process that wrote. */
  isWriter: boolean
  /** What it was granted, in bytes. */
  heldBytes: number
  /** What of that it had not taken, in bytes. */
  pendingBytes: number
  /** What of that it could be asked to give back, in bytes. */
  revocableBytes: number
  /** Whether it had died, and its memory was not back yet. */
  isDraining: boolean
  /** What its next request waited for, in bytes; absent where none waited. */
  waitingBytes?: number
  /** The label of that. */
  waitingLabel: string
  /** How long it had waited, in milliseconds. */
  waitingMs: number
  /** How many of its requests waited. */
  waitingCount: number
}

/** What the writer held under a label. */
interface BlackBoxLabel {
  /** The label. */
  label: string
  /** What was held under it, in bytes. */
  sizeBytes: number
  /** Allocations under it. */
  count: number
}

/** The machine's memory at one moment. */
interface BlackBoxMachine {
  /** What the kernel has, in bytes. */
  totalBytes: number
  /** What it calls available, in bytes. */
  availableBytes: number
  /** What it could give: the least room under any bound, whatever was promised; in bytes. */
  roomBytes: number
  /** The same, less what was promised and not taken; in bytes. */
  headroomBytes: number
  /** The bound that left no more, in words. */
  constraint: string
  /** Use in percent of what could be used at most. */
  usedPercent: number
  /** The level of that. */
  level: 'normal' | 'warning' | 'critical'
  /** Share of the last 10 seconds in which some task stood still for want of memory, where the kernel tells. */
  stalledPercent?: number
  /** The same of all tasks at once. */
  fullyStalledPercent?: number
  /** Kills by the OOM killer since the board started, where the kernel counts them. */
  oomKillCount?: number
}

/** The machine, who held what of it, and what happened since the moment before. */
interface BlackBoxMoment {
  /** Why it was written. */
  kind: 'start' | 'regular' | 'urgent' | 'end'
  /** Its number. */
  sequence: number
  /** When, in milliseconds since 1970. A board without a clock starts anywhere. */
  timeMs: number
  /** When, in milliseconds since the board started. */
  sinceBootMs: number
  /** The machine's memory; absent where it could not be read. */
  machine?: BlackBoxMachine
  /** The line of the writer's budget, in bytes. */
  lineBytes: number
  /** What was granted under it, in bytes. */
  allocatedBytes: number
  /** Who held what, those with the most first; the writer alone where it shares no ledger. */
  holders: Array<BlackBoxHolder>
  /** Holders that had no room. */
  otherHolderCount: number
  /** What the writer held by label, the most first. */
  labels: Array<BlackBoxLabel>
  /** Labels that had no room. */
  otherLabelCount: number
  /** What happened since the moment before, oldest first. */
  happenings: Array<BlackBoxHappening>
  /** Happenings that had no room; refusals, waits and the largest are kept. */
  otherHappeningCount: number
}

/** All that a black box holds. */
interface BlackBoxReading {
  /** Its file. */
  path: string
  /** What each of its writers left, in the order in which they wrote last. */
  runs: Array<BlackBoxRun>
  /**
   * The place in `runs` of the one to tell of first: the last that was cut; where none was, the last. Absent where
   * there is none.
   */
  toldIndex?: number
  /** Blocks that are not whole, or not of this version. */
  damagedCount: number
}

/** What one process wrote into a black box, as far as it is still there. */
interface BlackBoxRun {
  /** Which start of the board it was: its boot id, without hyphens. */
  boot: string
  /** Whether the board has not been started again since. */
  isThisBoot: boolean
  /** The id of the process that wrote. */
  pid: number
  /** What it called itself. */
  name: string
  /** When it began, in milliseconds since 1970. */
  beganMs: number
  /** When it wrote its last block, in milliseconds since 1970. */
  endedMs: number
  /** Whether it still writes. */
  isRunning: boolean
  /** Whether it was closed. One that neither was nor runs was killed, or the power went. */
  endedCleanly: boolean
  /** Kills by the OOM killer from its first block that is there to its last, where the kernel counts them. */
  killCount?: number
  /** Kills since its last block, where the board has not been started again. */
  laterKillCount?: number
  /** The blocks, oldest first. */
  moments: Array<BlackBoxMoment>
  /** Who held what at the end, and what was missing. */
  verdict?: BlackBoxVerdict
  /** What there is to say of it, a sentence each. */
  words: Array<string>
}

/** What a black box has written. */
interface BlackBoxStats {
  /** Blocks on the disk. */
  blockCount: number
  /** Their bytes. */
  writtenBytes: number
  /** Blocks that could not be written. */
  failedCount: number
  /** Why the last one could not; absent where it could. */
  trouble?: string
}

/** What the last block of a run comes to. */
interface BlackBoxVerdict {
  /** The holder that had most still to take; where all had taken everything, the one with the most. */
  holder?: BlackBoxHolder
  /** What had been granted to anybody and was still to be taken, in bytes. */
  outstandingBytes: number
  /** What the machine could give, in bytes; absent where it could not be read. */
  roomBytes?: number
  /** What of the first was missing in the second, in bytes. */
  missingBytes: number
  /** What the last refusal lacked, in bytes; absent where nothing was refused. */
  refusedMissingBytes?: number
}

/** One block of a slab. */
interface BlockInfo {
  /** Where it begins in its slab, in bytes. */
  offsetBytes: number
  /** Its size, in bytes. */
  sizeBytes: number
  /** What the buffer in it is for; absent where it is free. */
  label?: string
  /** Bytes that the buffer asked for. */
  requestedBytes?: number
  /** Whether the buffer was placed as a short-lived one. */
  transient?: boolean
  /** Whether the buffer has to stay where it is. */
  pinned?: boolean
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

/** A control group over a process at one moment. */
interface Cgroup {
  /** Its path in the hierarchy. */
  path: string
  /** The version of its interface: 1 or 2. */
  version: number
  /** The limit at which its OOM killer acts, in bytes. */
  limitBytes?: number
  /** The limit above which its processes are slowed down, in bytes. Version 2 only. */
  highBytes?: number
  /** What it holds, page cache included, in bytes. */
  usageBytes: number
  /** Page cache that is reclaimed first, in bytes. */
  inactiveFileBytes: number
  /** Pages of files that its processes have mapped, in bytes. Headroom takes them for used. */
  mappedFileBytes: number
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

/** Which kind of a device's memory suits each use. */
interface CudaAdvice {
  /** Used by kernels alone: weights, KV cache, scratch. */
  device: CudaSuitedMemory
  /** Written on one side and read once on the other: inputs, outputs, tables read once in a pass. */
  shared: CudaSuitedMemory
  /** Large, read by kernels again and again, and touched by the processor between them. */
  sharedOften: CudaSuitedMemory
}

/** A CUDA device, as its driver describes it. */
interface CudaInfo {
  /** What the driver calls it: `'Orin'`, `'NVIDIA H200'`. */
  name: string
  /** The CUDA version of the driver, major and minor: `[12, 6]`. */
  driverVersion: [number, number]
  /** Which library of the driver was opened. */
  library: string
  /** The compute capability, major and minor: `[8, 7]` is Orin. */
  computeCapability: [number, number]
  /** All its memory, in bytes. An integrated GPU's is the machine's RAM. */
  totalBytes: number
  /** Multiprocessors. */
  multiprocessorCount: number
  /** Whether it shares the machine's RAM. */
  integrated: boolean
  /** Whether it can work on pinned memory where that lies. */
  canMapHostMemory: boolean
  /** Whether it has managed memory. */
  managedMemory: boolean
  /** Whether the processor may touch managed memory while the device works. */
  concurrentManagedAccess: boolean
  /** Whether slabs can be put together from chunks (CUDA's virtual memory management). */
  virtualMemoryManagement: boolean
  /** Whether ranges of its memory can be exported as dma-bufs. */
  dmaBuf: boolean
  /** Which kind of memory suits which use on it. */
  advice: CudaAdvice
}

/** A kind of memory, and why it suits. */
interface CudaSuitedMemory {
  /** The kind, as `memory` of the device's options and `kind` of `manager.gpu.allocate()` take it. */
  memory: 'device' | 'pinned' | 'managed'
  /** Why. */
  reason: string
}

/** RAM that no counter owns: what drivers have taken for devices, which stands in no process and no cgroup. */
interface DarkMemory {
  /**
   * All of it, in bytes: the total less everything that `/proc/meminfo` names. A few hundred MiB are the kernel's own; it
   * is the growth that tells.
   */
  bytes: number
  /**
   * How fast it has grown since the sample before, in bytes a second, below 0 where it shrank; absent in the first, and in
   * `signals()`, which has none before it.
   */
  growthBytesPerSecond?: number
}

/** What came of a defragmentation. */
interface DefragmentReport {
  /** Buffers moved. */
  movedCount: number
  /** Bytes moved. */
  movedBytes: number
  /** Moves that the caller did not want. */
  vetoedCount: number
  /** Bytes of slabs that became empty. */
  emptiedBytes: number
  /** The largest hole before, in bytes. */
  largestFreeBytesBefore: number
  /** The largest hole after, in bytes. */
  largestFreeBytesAfter: number
  /** Whether nothing is left that a move would mend. */
  complete: boolean
}

/** What this machine is. */
interface DetectedBoard {
  /** What its device tree calls it, or the firmware where that names a board that is known; else a few words. */
  name: string
  /** The id of the preset that fits it. */
  preset?: string
  /** Who made its system on chip. */
  vendor?: string
  /** Its system on chip: `"Tegra234"`, `"RK3588S"`, `"GB10"`. */
  soc?: string
  /** The number of its module: `"p3767-0005"`. Jetson only. */
  module?: string
  /** Whether CPU and accelerator share the RAM: true of every chip that is known, and absent where it is not known. */
  unifiedMemory?: boolean
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

/** What a device can and cannot do. */
interface DeviceLimits {
  /** Sizes are rounded up to a multiple of this, in bytes. */
  granuleBytes: number
  /** The least size a pool should take at once, in bytes. */
  slabBytes: number
  /** The largest size worth asking for at once, in bytes, where the device has such a bound. */
  largestBytes?: number
  /** Whether slabs are powers of two, so that the device's addresses are used well. */
  powersOfTwo: boolean
  /** Whether fresh memory reads zero. */
  zeroed: boolean
  /** Whether buffers can be mapped for the processor. */
  mappable: boolean
  /** Whether maps are synchronised with the device as they begin and end. */
  needsSync: boolean
  /** Whether buffers can be handed to another driver as a file descriptor. */
  exportable: boolean
  /** Whether it is the machine's RAM, which a budget of the machine counts. A GPU's own memory is not. */
  systemMemory: boolean
}

/** What a device has given out in this process, and what it says of itself. */
interface DeviceUsage {
  /** Bytes of slabs taken now. */
  usedBytes: number
  /** The most there ever were at once. */
  peakBytes: number
  /** Slabs taken now. */
  slabCount: number
  /** Slabs ever taken. */
  allocatedCount: number
  /** Requests that were refused, by the machine's headroom or by the driver. */
  refusedCount: number
  /** All the memory of the device, in bytes, where it says so. */
  totalBytes?: number
  /** What it could still give, in bytes, where it is known. */
  freeBytes?: number
  /** The largest slab it could still give, in bytes, where it is known. */
  largestFreeBytes?: number
}

/** What dropping a file's pages has brought. */
interface DroppedPages {
  /** The file. */
  path: string
  /** Its size, in bytes. */
  sizeBytes: number
  /** What of it was cached before, in bytes; absent where it is not told. */
  cachedBeforeBytes?: number
  /** What came back, in bytes; absent where it is not told. */
  droppedBytes?: number
  /**
   * What is cached still, in bytes: pages that a process has mapped, or that were read again meanwhile. Absent where it is
   * not told.
   */
  cachedBytes?: number
  /** Whether the file lies in memory (tmpfs), where nothing can be dropped. */
  inMemory: boolean
  /** The system call that told it. */
  source?: 'cachestat' | 'mincore'
  /** Why it is not told how much came back, where it is not. The pages were dropped all the same. */
  reason?: string
}

/** Memory that is no part of the model, or is a part a second time. */
interface EstimateExtra {
  /** What it is. */
  kind: 'repacked' | 'read-buffer' | 'mapped-weights' | 'cuda-overhead' | 'projector' | 'image-buffer' | 'draft' | 'mtp' | 'adapters' | 'prompt-cache' | 'checkpoints'
  /** When it is in use: while the model is loaded, from then on, or once contexts and caches are full and an image has come. */
  phase: 'loading' | 'steady' | 'full'
  /** As near as it is known, in bytes. */
  sizeBytes: number
  /** What it takes at most, in bytes, as far as `bounded` says. */
  boundBytes: number
  /** Whether the bound is one. Without, it is the best figure there is. */
  bounded: boolean
  /** Of the bound, what lies on the GPU, in bytes; all else is the processor's. */
  gpuBytes: number
}

/** What a model and all that belongs to its run take together, at most. */
interface EstimateTotals {
  /** While the weights are loaded, before there is a context, in bytes. */
  loadingBytes: number
  /** With a context, before the first token, in bytes. */
  steadyBytes: number
  /** With every context full, every cache at its limit, and an image in work, in bytes. */
  fullBytes: number
  /** The largest of the three, in bytes. */
  peakBytes: number
  /** The largest single allocation, in bytes: a device must have that much in one piece. A mapped file is none. */
  largestAllocationBytes: number
}

/** A file descriptor of the slab that a buffer lies in. It is the caller's to close. */
interface ExportedFd {
  /** The descriptor. */
  fd: number
  /** Where the buffer begins in it, in bytes. */
  offsetBytes: number
  /** The size of the buffer, in bytes. */
  sizeBytes: number
}

/** What is chosen, in the order of the default priorities. */
declare function fitAxes$1(): Array<'parallel' | 'kvType' | 'ubatch' | 'context' | 'mmap'>

/** A choice of everything that is searched. */
interface FitConfiguration {
  /** Tokens of one slot. */
  contextLength: number
  /** Slots. */
  parallel: number
  /** How keys and values are stored. */
  kvType: 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_1' | 'iq4_nl' | 'q5_0' | 'q5_1'
  /** Tokens that are computed at once. */
  ubatch: number
  /** Layers on the GPU, the output matrix among them. */
  gpuLayers: number
  /** Whether the file is mapped. */
  mmap: boolean
  /** Tokens that the cache of all slots holds. */
  cacheTokens: number
}

/** Another choice, and what it is worth. */
interface FitTrade {
  /** What is changed. */
  axis: 'parallel' | 'kvType' | 'ubatch' | 'context' | 'mmap'
  /** The whole configuration, with the longest context that it leaves room for. */
  configuration: FitConfiguration
  /** Tokens of a slot more than in the best; negative for fewer. */
  contextGain: number
  /** Bytes that the best's context takes less so; negative for more. */
  savedBytes: number
  /** In words, such as `q8_0 KV: +9,216 tokens`. */
  description: string
}

/** What `general.file_type` says. */
interface GgufFileType {
  /** The id that stands in the file. */
  id: number
  /** The name llama.cpp's tools use, such as `"Q4_K_M"`; absent for an unknown id. */
  name?: string
}

/** Bytes of a file's data that belong to no tensor. */
interface GgufGap {
  /** Which of the model's files has it: its place among `paths`, 0 for a model of one file. */
  fileIndex: number
  /** Where it begins, in bytes from the beginning of its file, or of the model within that. */
  offsetBytes: number
  /** How long it is, in bytes. */
  sizeBytes: number
  /** The position of the tensor before it among `tensors`; absent before the first of its file. */
  after?: number
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

/** What a process holds on a GPU. */
interface GpuProcess {
  /** Its id. Of NVML, as the machine's first namespace has it: in a container that is another. */
  pid: number
  /** Its name, where the driver tells it. */
  name?: string
  /** The GPU's number, where the driver tells it. */
  gpu?: number
  /** What it holds, in bytes; absent where the driver does not tell. */
  bytes?: number
}

/** What the system can give at one moment, and why not more. */
interface Headroom {
  /** The least room of the terms, less what is pending; in bytes. */
  bytes: number
  /** What was granted and has not yet been taken, in bytes. */
  pendingBytes: number
  /**
   * The largest single allocation the board would accept now, in bytes. On Jetson the driver refuses larger ones; since
   * Linux for Tegra 36.4.7 by a rule that nobody outside it knows, and this is absent: no size is promised.
   */
  largestAllocationBytes?: number
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

/** The types that a cache may be stored in. */
declare function kvTypes$2(): Array<'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_1' | 'iq4_nl' | 'q5_0' | 'q5_1'>

/** What one block of a model takes. */
interface LayerBytes {
  /** Its tensors, in bytes. Those of a block that is not loaded count nothing. */
  weightsBytes: number
  /** Its keys, of all slots, in bytes. */
  keyBytes: number
  /** Its values, of all slots, in bytes. */
  valueBytes: number
  /** Its recurrent state, of all slots, in bytes. */
  stateBytes: number
  /** Tokens that each of its caches holds; 0 where it has none. */
  cells: number
  /** Whether it sees a window of the last tokens only. */
  slides: boolean
  /** Keys and values of one token, in bytes. */
  bytesPerToken: number
  /** Tokens that its caches hold for each slot, where it sees a window only. */
  windowTokens?: number
  /** The recurrent state of one slot, in bytes. */
  bytesPerSequence: number
  /** Where it is computed, and its caches are. */
  device: 'cpu' | 'gpu'
}

/** A process that has a share in a ledger, or had one when it died. */
interface LedgerHolder {
  /** The slot that it has in the file, from 0. */
  slot: number
  /** What it calls itself. */
  name: string
  /** Its id, in its own PID namespace. */
  pid: number
  /** Whether that id is meant here: not in another container. */
  isSeen: boolean
  /** The id of its user. */
  uid: number
  /** How long it has had its share, in milliseconds. */
  ageMs: number
  /** What it was granted, in bytes. */
  heldBytes: number
  /** What of that it has not taken, in bytes. */
  pendingBytes: number
  /** What of that it can be asked to give back, in bytes. */
  revocableBytes: number
  /** How important it is; higher is more. */
  priority: number
  /** Whether it has died, and its memory is not back yet. */
  isDraining: boolean
  /** How much longer that is waited for at most, in milliseconds; 0 where it has not died. */
  drainsForMs: number
  /** The request of it that is next, if any waits. */
  waiting?: LedgerWaiting
  /** The label of that request. */
  waitingLabel: string
  /** How long that has waited, in milliseconds. */
  waitingMs: number
}

/** A request that waits in another process, or in this one. */
interface LedgerWaiting {
  /** What it asks for, in bytes. */
  bytes: number
  /** Its priority; higher comes first. */
  priority: number
  /** What of the free bytes those who come after it must leave, in bytes. */
  keptBytes: number
  /** How many of the same process wait, this one included. */
  count: number
  /** Whether it is in nobody's way in other processes: what keeps it back is a bound or a load of its own process. */
  standsBack: boolean
}

/** What `'auto'` would take, and what it would not. */
interface LikelyDevice {
  /** The kind that it would take. */
  kind: 'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'
  /** The kinds that it would pass over, each with its reason. */
  passedOver: Array<PassedOver>
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

/** The versions of llama.cpp whose compute buffers are known. */
declare function llamaCppVersions$2(): Array<'0.5' | '0.6'>

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
  /**
   * Pages of files that live processes have mapped, in bytes: `Mapped` less shared memory. They count as available,
   * and are not headroom: they are the weights of servers that map their models.
   */
  mappedFileBytes?: number
  /** Swap, compressed RAM included (`SwapTotal`), in bytes. */
  swapTotalBytes?: number
  /** Free swap (`SwapFree`), in bytes. It never counts as headroom. */
  swapFreeBytes?: number
  /** Held by GPU and engines of a Jetson (`NvMapMemUsed`), in bytes. */
  nvmapUsedBytes?: number
  /**
   * Set aside as huge pages of every size (`Hugetlb`), in bytes: in `totalBytes`, and nothing that ordinary allocations
   * get. A line is drawn without them.
   */
  hugePagesBytes?: number
  /** Whose memory it is: in a container with lxcfs the container's, by its control group. */
  scope: 'machine' | 'container'
  /** The tightest memory limit over the process's cgroup, if there is one below `totalBytes`. */
  cgroup?: CgroupLimit
}

/** One metric of the catalogue. */
interface MetricDefinition {
  /** Its name in OpenTelemetry. */
  name: 'system.memory.limit' | 'system.memory.usage' | 'system.memory.linux.available' | 'system.paging.usage' | 'process.memory.usage' | 'hw.gpu.memory.limit' | 'hw.gpu.memory.usage' | 'plimsoll.gpu.process.memory' | 'plimsoll.memory.dark' | 'plimsoll.memory.mapped' | 'plimsoll.memory.zram' | 'plimsoll.memory.stalled' | 'plimsoll.oom.kills' | 'plimsoll.headroom' | 'plimsoll.headroom.room' | 'plimsoll.headroom.pending' | 'plimsoll.budget.line' | 'plimsoll.budget.term' | 'plimsoll.budget.allocated' | 'plimsoll.budget.available' | 'plimsoll.budget.peak' | 'plimsoll.budget.label' | 'plimsoll.refusals' | 'plimsoll.level' | 'plimsoll.queue.waiting' | 'plimsoll.queue.wanted' | 'plimsoll.queue.oldest' | 'plimsoll.pool.held' | 'plimsoll.pool.used' | 'plimsoll.pool.requested' | 'plimsoll.pool.hole' | 'plimsoll.pool.slabs' | 'plimsoll.pool.buffers' | 'plimsoll.pool.allocations' | 'plimsoll.pool.failures' | 'plimsoll.pool.moved' | 'plimsoll.buffers.used' | 'plimsoll.buffers.live' | 'plimsoll.staging.held' | 'plimsoll.staging.used' | 'plimsoll.ledger.readable' | 'plimsoll.ledger.held' | 'plimsoll.ledger.pending' | 'plimsoll.ledger.draining' | 'plimsoll.ledger.waiting' | 'plimsoll.ledger.wanted'
  /** Its name in Prometheus, by the rules with which OpenTelemetry's names are translated. */
  prometheusName: string
  /** Its unit, in UCUM: `By` for bytes, `s` for seconds, `{request}` for things that are counted; `''` where there is none. */
  unit: string
  /** What it counts like: one value, one that adds up over its attributes, or one that only grows. */
  kind: 'gauge' | 'upDownCounter' | 'counter'
  /** What it says, in a sentence. */
  help: string
  /** The attributes that its values may have. */
  attributes: Array<string>
  /** What becomes of the values of several things that go by the same attributes: their sum, or the greatest of them. */
  merge: 'sum' | 'greatest'
}

/**
 * Why a signal is not there, or a part of it: a limit that may exist and cannot be seen, a figure that another stands
 * for.
 */
interface MissingSignal {
  /** The name of the signal: a key of `Signals`. */
  signal: string
  /** The file that would have it. */
  path: string
  /** What is the matter, in words. */
  reason: string
  /** What to do about it, where its cause is known. */
  remedy?: string
}

/** What one device holds of a model. */
interface ModelDeviceBytes {
  /** Which it is. */
  device: 'cpu' | 'gpu'
  /** Weights, in bytes. An output matrix that is the token embeddings' stands on both. */
  weightsBytes: number
  /** Of these, what are pages of the mapped file and no memory of the program's own, in bytes. */
  mappedBytes: number
  /** Keys and values, in bytes. */
  kvCacheBytes: number
  /** Recurrent states, in bytes. */
  stateBytes: number
  /** What its compute buffer takes at most, in bytes. */
  computeBoundBytes: number
  /** The most that it holds at any time, with what comes on top, in bytes. */
  peakBytes: number
}

/** One reading of the memory. */
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
  /** RAM that no counter owns, what drivers have taken, and how fast it grows; where the kernel's lines tell it. */
  dark?: DarkMemory
  /** Free blocks of 2 MiB, up to a second old while there is room, where the kernel counts them. */
  freeHugeBlockCount?: number
  /** Kills by the OOM killer since the start, where the kernel counts them. */
  oomKillCount?: number
}

/** How far a defragmentation goes. */
interface NativeBounds {
  maxBytes?: number
  maxMoves?: number
  maxMs?: number
  /** A hole of so many bytes ends it. */
  enoughBytes?: number
}

interface NativeComponentUse {
  component: 'mapped-weights' | 'buffers' | 'gpu' | 'all'
  estimatedBytes: number
  boundBytes: number
  measured?: NativeMeasuredBytes
  missing?: string
}

/** One of PyTorch's figures. */
interface NativeCounter {
  name: string
  value: number
}

/** Which device. `kind` is checked by `lib/`, and so is which of the others belongs to it. */
interface NativeDeviceOptions {
  kind: string
  memoryFile?: boolean
  hugePages?: string
  lock?: boolean
  heap?: string
  ordinal?: number
  memory?: string
  library?: string
  domain?: number
}

/** Which ledger, and what this process is called in it. */
interface NativeLedgerOptions {
  name?: string
  directory?: string
  group?: number
  force?: boolean
  drainMs?: number
  processName: string
}

/** What a budget of this machine is made from. */
interface NativeMachineOptions {
  board?: string
  safetyMarginPercent?: number
  maxBytes?: number
  isolated: boolean
  headroom: boolean
  root?: string
  pid?: number
  ledger?: NativeLedgerOptions
}

interface NativeMeasuredBytes {
  sizeBytes: number
  signal: 'mapped-file' | 'file-pages' | 'anonymous' | 'gpu-processes' | 'nvmap' | 'headroom'
}

/** A move that was found. */
interface NativeMove {
  /** The key of the buffer. */
  key: number
  /** Its size, in bytes. */
  bytes: number
}

interface NativePoolOptions {
  label: string
  slabBytes?: number
  initialBytes?: number
  maxBytes?: number
  maxCachedBytes?: number
  pageBytes?: number
  dedicated: boolean
  zeroOnFree: boolean
}

/** A request that was refused now. */
interface NativeRefusedRequest {
  code: string
  label: string
  requestedBytes: number
  availableBytes: number
  bindingConstraint: string
  suggestion: string
}

/** What a request wants next. */
type NativeStep =
  | { kind: 'take' }
  | { kind: 'release' }
  | { kind: 'reclaim'; missingBytes: number }
  | { kind: 'defragment'; enoughBytes: number }
  | { kind: 'granted'; key: number }

/** What happened to a pool, an event a line. */
interface NativeTrace {
  lines: string
  eventCount: number
  droppedCount: number
}

interface NativeVerification {
  components: Array<NativeComponentUse>
  verdict: 'within' | 'above' | 'not-measurable'
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

/** What of a file is cached, or why that is not told. */
interface PageCache {
  /** The file. */
  path: string
  /** Its size, in bytes. */
  sizeBytes: number
  /** What of it is cached, in bytes: whole pages, but no more than the file has. Absent where it is not told. */
  cachedBytes?: number
  /** Of that, not yet written to the disk, in bytes; absent where it is not told. */
  dirtyBytes?: number
  /** Of that, being written, in bytes; absent where it is not told. */
  writebackBytes?: number
  /** Whether the file lies in memory (tmpfs): its pages are no cache but the file itself, and are never dropped. */
  inMemory: boolean
  /** The system call that told it. */
  source?: 'cachestat' | 'mincore'
  /** Why it is not told, where it is not. */
  reason?: string
}

/** A kind of device that was not chosen. */
interface PassedOver {
  /** The kind. */
  kind: 'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'
  /** Why. */
  reason: string
}

/** An instance in the report of a plan. */
interface PlanInstanceReport {
  /** Its name. */
  id: string
  /** Its limit, in bytes; absent where it has none. */
  limitBytes?: number
  /**
   * How it was found what its model takes: by the estimate of its file's header, or by the rule of thumb of the file and half
   * of it; without a model the limit alone counts.
   */
  formula: 'estimate' | 'rule-of-thumb' | 'limit-only'
  /** What its model takes while it is loaded, in bytes. */
  loadingBytes: number
  /** What its model takes once it runs, its contexts and caches full, in bytes. */
  footprintBytes: number
  /** What counts once it runs, in bytes: the larger of limit and footprint. */
  requiredBytes: number
  /** What all take together while it is loaded, in bytes: those before it, and it. */
  startPeakBytes: number
  /** What it may require at most for the plan to pass, the others as they are, in bytes; 0 where no size of it would do. */
  roomBytes: number
  /**
   * The highest neat limit with which the plan would pass, the others as they are, in bytes; absent where a limit of this
   * instance mends nothing, or nothing has to be mended.
   */
  fittingLimitBytes?: number
  /** Whether the plan would pass without it. */
  passesWithout: boolean
}

/** The modes that a plan may have. */
declare function planModes$2(): Array<'single' | 'matrix'>

/** What was allocated and freed while a scope lasted, in bytes as asked for. */
interface PoolScope {
  /** What was allocated and not freed again, less what was freed that was there before. */
  currentBytes: number
  /** The most that `currentBytes` ever was. */
  peakBytes: number
  /** All that was allocated. */
  totalBytes: number
  /** Buffers allocated and not freed again. */
  currentCount: number
  /** The most that `currentCount` ever was. */
  peakCount: number
  /** Buffers allocated. */
  totalCount: number
}

/** What a pool holds and has done. */
interface PoolStats {
  /** Bytes of slabs taken from the device. */
  heldBytes: number
  /** Bytes of the blocks that buffers have. */
  usedBytes: number
  /** Bytes that buffers asked for. */
  requestedBytes: number
  /** Bytes held and not used. */
  freeBytes: number
  /** Bytes of slabs without buffers. */
  cachedBytes: number
  /** The largest buffer that would find a place now, in bytes. */
  largestFreeBytes: number
  /** Share of the free bytes that one buffer could not have, 0 to 100: 0 when they lie in one piece. */
  fragmentationPercent: number
  /** The most bytes ever held. */
  peakHeldBytes: number
  /** The most bytes ever used. */
  peakUsedBytes: number
  /** Slabs held. */
  slabCount: number
  /** Buffers handed out. */
  bufferCount: number
  /** Buffers ever handed out. */
  allocatedCount: number
  /** Buffers ever freed. */
  freedCount: number
  /** Requests that found no place in the slabs held. */
  failedCount: number
  /** Requests that needed more than a new slab: other slabs released, reclaim callbacks, defragmentation. */
  retryCount: number
  /** Buffers moved by defragmentation. */
  movedCount: number
  /** Bytes moved by defragmentation. */
  movedBytes: number
  /** What the pool's own map takes, in bytes. */
  metadataBytes: number
}

/** How long work stood still for want of memory. */
interface Pressure {
  /** Some task waited. */
  some: Stall
  /** All tasks waited. */
  full: Stall
}

/** A process at one moment. */
interface ProcessInfo {
  /** Its id. */
  pid: number
  /** The id of the process that started it, where that can be seen. */
  parentPid?: number
  /** The name of its program, at most 15 bytes of it. */
  name: string
  /** Its command line, or the first 4096 bytes of a long one; of a kernel's thread its name. */
  command: string
  /** When it started, in milliseconds since 1970, to the second. */
  startTimeMs: number
  /** What it has resident, in bytes. */
  rssBytes: number
  /** The most that it ever had resident, in bytes, where this user may know. */
  peakRssBytes?: number
  /** Heap, stacks and other anonymous memory of it, in bytes, where this user may know. */
  anonymousBytes?: number
  /** Its pages of mapped files, in bytes, where this user may know. */
  fileBytes?: number
  /** Its shared memory, memfd and tmpfs pages, in bytes, where this user may know. */
  shmemBytes?: number
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

/** The processors whose order of weights is known. */
declare function processors$2(): Array<'x64' | 'x64-amx' | 'arm64'>

/** A level that a model may be quantised to. */
interface Quantization {
  /** The name that llama.cpp's tools have for it, such as `"Q4_K_M"`. */
  name: string
  /** Bits of a parameter, on average. */
  bitsPerWeight: number
  /** How most of its matrices are stored: a ggml type name. */
  type: string
}

/** How many requests were refused for one reason. */
interface RefusalCount {
  /** Why, by the code of their errors. */
  code: 'ERR_INSUFFICIENT_MEMORY' | 'ERR_NEVER_FITS' | 'ERR_TIMEOUT' | 'ERR_BUSY'
  /** How many, since the first budget of that memory was made. */
  count: number
}

/** A request that was refused, with what to do about it. */
interface RefusedRequest {
  /** When it was, in milliseconds since 1970. */
  timeMs: number
  /** Why, by the code of its error. */
  code: 'ERR_INSUFFICIENT_MEMORY' | 'ERR_NEVER_FITS' | 'ERR_TIMEOUT' | 'ERR_BUSY'
  /** What it was for; the beginning where that is long. */
  label: string
  /** What was asked for, in bytes. */
  requestedBytes: number
  /** What there was, in bytes. */
  availableBytes: number
  /** What left no more, in words. */
  bindingConstraint: string
  /** What to do about it. */
  suggestion: string
}

/** What a budget has refused. */
interface RefusedRequests {
  /** How many requests in all, one count for every reason there is. */
  counts: Array<RefusalCount>
  /** The latest 50 of them, the last one first. */
  latest: Array<RefusedRequest>
}

/** A limit for an instance of a mode. */
interface RoleLimit {
  /** What the instance is called. */
  role: string
  /** Its limit, in bytes. */
  limitBytes: number
}

/** The programs whose needs are known. */
declare function runtimes$2(): Array<'llama.cpp' | 'llama-server' | 'rkllm' | 'generic'>

/**
 * Every signal at one moment. What this machine does not give is absent here and listed in `missing` with the reason; what
 * of a signal is not certain is listed there too.
 */
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
  /** Free blocks of 2 MiB: what a driver that maps such blocks could get at once. */
  freeHugeBlockCount?: number
  /** RAM that no counter owns: what drivers have taken. */
  dark?: DarkMemory
  /** Kills by the OOM killer since the start. */
  oomKillCount?: number
  /** Pools of huge pages. */
  hugePages?: Array<HugePages>
  /** When transparent huge pages are used: `"always"`, `"madvise"` or `"never"`. */
  transparentHugePages?: string
  /** Who holds memory of the GPU, by process. Jetson, root only. */
  nvmapClients?: Array<NvmapClient>
  /** The NPU's driver. RK3588 with the vendor's kernel, root only. */
  npuDriver?: NpuDriver
  /** What is not there or not certain, and why. */
  missing: Array<MissingSignal>
}

/** One slab of a pool. */
interface SlabInfo {
  /** Its number. */
  index: number
  /** Its size, in bytes. */
  sizeBytes: number
  /** Bytes of its blocks that buffers have. */
  usedBytes: number
  /** Whether it was taken as the pool was made. */
  initial: boolean
  /** Its blocks, used and free, in the order of their addresses. */
  blocks: Array<BlockInfo>
}

/** What a pool has done and holds. */
interface StagingPoolStats {
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
  /** Whether it can be read as `'f32'`, `'f16'` and `'bf16'`; every tensor can be read as `'raw'`. */
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
  /** Where the data starts, in bytes from the beginning of its file, or of the model within that. */
  offsetBytes: number
  /** Which of the model's files has it: its place among `paths`, 0 for a model of one file. */
  fileIndex: number
}

/** What tokens are in use. */
interface TokenUsage {
  /** Tokens of all sequences, those that are shared counted once. */
  tokens: number
  /** The most that there ever were. */
  peakTokens: number
  /** Sequences that have a token. */
  sequences: number
  /** What they cost, in bytes. */
  usedBytes: number
  /** Of these on the processor, in bytes. */
  cpuBytes: number
  /** Of these on the GPU, in bytes. */
  gpuBytes: number
  /** What is reserved for them, in bytes; absent without a grant. */
  reservedBytes?: number
  /** Tokens that could be added to a sequence now, by the limits and what is reserved; absent where nothing limits them. */
  freeTokens?: number
}

/** What the tensors of one type take. */
interface TypeBytes {
  /** The ggml type name, such as `"Q4_K"`. */
  type: string
  /** How many there are. */
  tensors: number
  /** Bytes of all of them. */
  sizeBytes: number
}

/** A model whose dimensions stand for others of its size. */
interface TypicalShape {
  /** The model that has them. */
  name: string
  /** Its parameters. */
  parameters: number
}

/** One who waits for its turn. */
interface WaitingRequest {
  /** What it waits for: the labels of its requests. */
  label: string
  /** How much, in bytes, all together. */
  bytes: number
  /** Its priority. */
  priority: number
  /** What is to be loaded, if that was said. */
  key?: string
  /** How long it has waited, in milliseconds. */
  sinceMs: number
}

/** What the weights take, divided in two ways. */
interface WeightBytes {
  /** The matrix of token embeddings, in bytes; twice where the family keeps it twice. */
  tokenEmbeddingBytes: number
  /** The output matrix and its bias, in bytes; 0 where the token embeddings serve as it. */
  outputBytes: number
  /** Norms that belong to no layer, in bytes. */
  normsBytes: number
  /** All layers, in bytes. */
  layersBytes: number
  /** What is none of these, in bytes. */
  otherBytes: number
  /** Tensors that stand in the file and are not loaded, in bytes: blocks that predict further tokens. In no other figure. */
  leftOutBytes: number
  /** The same by how the tensors are stored, the largest first; empty where that is not known. */
  byType: Array<TypeBytes>
}

/** What swap on compressed RAM costs. */
interface Zram {
  /** What was swapped out, in bytes. */
  storedBytes: number
  /** RAM it takes all the same, in bytes. */
  usedBytes: number
}

/** Which ledger processes share, where it lies, and what this one is called in it. */
interface LedgerOptions {
    /**
     * Its name: letters, digits, `-` and `_`, at most 64. Servers that eat from one RAM share one. `'board'` by default: one for
     * the whole board.
     */
    name?: string;
    /**
     * The folder that it lies in. It must be in RAM (tmpfs), belong to this user or to root, be no symbolic link, and not be open
     * to everybody. By default `/run/plimsoll` where that may be written to, else `/dev/shm/plimsoll-UID`, which is each user's
     * own.
     */
    directory?: string;
    /** The id of a group whose members share it (mode 0660). None by default: then its owner alone does (0600). */
    group?: number;
    /** Whether a file system that is not in RAM will do; one of a network may lose locks. False by default. */
    force?: boolean;
    /** How long the memory of a process that died may take to come back, in milliseconds, up to 600,000. 2000 by default. */
    drainMs?: number;
    /** What others see of this process; 64 bytes of it are kept. The name of its program by default. */
    processName?: string;
}
/** A ledger and who shares it. */
interface LedgerSurvey {
    /** Where it is. */
    path: string;
    /** Who shares it, in the order of their slots. */
    holders: LedgerHolder[];
}
/** Whether a budget shares a ledger with other processes, and which: by its name, or by its options. */
type LedgerChoice = boolean | string | LedgerOptions;
/**
 * Who shares a ledger, without a share in it. The dead are found first, and those of them whose memory is back are gone.
 *
 * @returns `undefined` where there is no such ledger; none is made.
 * @throws {@link LedgerError} where it lies where it must not, is another user's, damaged or of another version.
 * @throws {@link InvalidArgumentError} for an unfit option.
 * @example
 * for (const { name, pid, heldBytes } of surveyLedger()?.holders ?? []) console.log(name, pid, formatBytes(heldBytes))
 */
declare function surveyLedger(options?: LedgerOptions): LedgerSurvey | undefined;

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

/** The id of a board preset. */
type BoardId = 'orin-nano-4gb' | 'orin-nano-8gb' | 'orin-nx-8gb' | 'orin-nx-16gb' | 'agx-orin-32gb' | 'agx-orin-64gb' | 't4000-64gb' | 'agx-thor-128gb' | 'xavier-nx-8gb' | 'xavier-nx-16gb' | 'agx-xavier-16gb' | 'agx-xavier-32gb' | 'agx-xavier-64gb' | 'gb10-128gb' | 'rk3588-4gb' | 'rk3588-8gb' | 'rk3588-16gb' | 'rk3588-32gb';
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
 * What this machine is: by what its device tree is compatible with, never by its model's name; where there is no tree, by
 * its product's name in DMI. A machine that nothing is known of is a board too, without a preset and without
 * `unifiedMemory`.
 */
declare function detectBoard(options?: SystemOptions): DetectedBoard;
/**
 * The kinds of device memory that this machine could give: each with where it was found, or why it cannot be used and
 * the line that mends it. Nothing is opened for it and no library is loaded.
 */
declare function backEnds(options?: SystemOptions): BackEnd[];
/**
 * What `'auto'` would take if every back end that seems to be there can be opened, and why not each of the others. Nothing is
 * opened, and no library loaded.
 *
 * @example
 * likelyDevice().kind // 'host' on a PC, 'dma-heap' on an RK3588, 'cuda' on a Jetson
 */
declare function likelyDevice(options?: SystemOptions): LikelyDevice;
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

declare const fitAxes: typeof fitAxes$1;
declare const kvTypes$1: typeof kvTypes$2;
declare const llamaCppVersions$1: typeof llamaCppVersions$2;
declare const planModes$1: typeof planModes$2;
declare const processors$1: typeof processors$2;
declare const runtimes$1: typeof runtimes$2;
declare const NativePool: typeof NativePool$1;
type NativePool = NativePool$1;

/**
 * A guard over part of a budget. It releases its bytes once: on {@link release}, at the end of a `using` block, or
 * with the object it is {@link attach | attached} to.
 *
 * A guard that is dropped without any of these is released when it is collected, on a later turn of the event loop,
 * and a `PlimsollLeakWarning` with its `label` and `sizeBytes` is emitted on `process`.
 *
 * @example
 * {
 *   using cache = budget.allocate(512 * MiB, 'kv cache')
 *   // ...
 * } // released here
 */
declare class Allocation implements Disposable {
    #private;
    private constructor();
    /** The size of the allocation, in bytes. */
    get sizeBytes(): number;
    /** The label it was taken under. */
    get label(): string;
    /** Whether its bytes have been released. */
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
    /** Releases the bytes. A second call does nothing. */
    release(): void;
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose](): void;
    /**
     * Lets the allocation live as long as `object`: it is released, without a warning, once the object is collected.
     * It may still be released before. Returns the allocation.
     *
     * @throws {@link InvalidArgumentError} when `object` is no object or function, or the allocation itself.
     * @throws {@link ReleasedError} after it was released.
     */
    attach(object: object): this;
    /**
     * Keeps the allocation until it is {@link release | released}, whether or not anything refers to it: the garbage collector
     * never releases it. Who forgets it has its bytes taken for good; {@link MemoryBudget.allocations} lists it. Returns the
     * allocation.
     *
     * @throws {@link ReleasedError} after it was released.
     */
    hold(): this;
}

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
    /** Share of the memory left alone, in percent, 0 to below 100. 15 by default. */
    safetyMarginPercent?: number;
    /** An upper bound of your own, in bytes. None by default. */
    maxBytes?: number;
    /**
     * Whether the budget counts alone. False by default: all budgets of this process for the same board and cgroup, worker
     * threads included, share what is allocated, each under its own line.
     */
    isolated?: boolean;
    /**
     * Whether the budget shares a ledger with other processes: then all of them together stay below the line of the board, and
     * what others were granted and have not taken comes off headroom. True for that of the board, or a ledger's name or options.
     * False by default. A process that `plimsoll run` started has its share by that, and needs none.
     */
    shared?: LedgerChoice;
    /**
     * Whether every grant is weighed against what the machine can give, too: the {@link MemoryBudget.headroom | headroom} of
     * at most 100 ms ago, less what was granted since, and read anew when a request would use more than a quarter of that.
     * True by default; with `false` the line alone decides.
     */
    headroom?: boolean;
}
/** How headroom is worked out. */
interface HeadroomOptions {
    /** What is left untouched of the machine's memory, in bytes. 3 % of it, at least 256 MiB, by default. */
    floorBytes?: number;
}
/**
 * How much of a machine may be used, and who uses it.
 *
 * A budget counts what its user is about to take; it allocates no memory itself. One atomic step takes and one
 * releases, so the sum of live allocations passes the line in no interleaving of threads.
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
     * It grants what the line leaves *and* the machine can give, so that a granted byte is there: see `headroom` among the
     * options.
     *
     * With a `root` or a `pid` it is the line of that tree or over that process, and so is its headroom and what a
     * {@link MemoryMonitor} of it sees. Such a budget is for looking: it counts alone.
     *
     * Where a limit may exist that cannot be seen, the process warns of it once (`PLIMSOLL_UNSEEN_LIMIT`), and of another
     * copy of the package that counts by itself (`PLIMSOLL_COPY_APART`).
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option.
     * @throws {@link IoError} when the machine's memory cannot be read, or a limit over the process that is there.
     * @throws {@link LedgerError} when the ledger that it shall share cannot be used.
     */
    static forThisMachine(options?: MachineBudgetOptions & ProcessOptions): MemoryBudget;
    /** Memory of the board, or of the machine without what is set aside as huge pages, in bytes. */
    get totalBytes(): number;
    /** What is kept for the system, in bytes. */
    get reservedBytes(): number;
    /** What may be used at most, in bytes: the line. */
    get usableBytes(): number;
    /**
     * The line of the board as a whole, in bytes: without the bounds of this process alone, its cgroups and `maxBytes`. All
     * processes together that share a ledger stay below it.
     */
    get boardLineBytes(): number;
    /** Where the ledger is that this budget shares with other processes; `undefined` where it shares none. */
    get ledgerPath(): string | undefined;
    /**
     * Who shares that ledger, this process too, in the order of their slots; empty where it shares none.
     *
     * @throws {@link LedgerError} when the ledger was removed or spoilt and cannot be made again.
     */
    ledgerHolders(): LedgerHolder[];
    /**
     * The number of the descriptor that keeps this process's share of the ledger; `undefined` where it shares none. A process
     * that inherits it, by `stdio` of `spawn`, holds the share as long as it lives, whatever becomes of this one.
     */
    get ledgerDescriptor(): number | undefined;
    /**
     * Says that the process with that id holds the share, which inherited the {@link ledgerDescriptor}: others see its id, and
     * credit it with what it has resident. Nothing where the budget shares no ledger.
     *
     * @throws {@link InvalidArgumentError} for what is no id of a process.
     * @throws {@link LedgerError} as {@link ledgerHolders}.
     */
    setLedgerProcess(pid: number): void;
    /**
     * Leaves the share in the ledger to whoever else has inherited its {@link ledgerDescriptor}: what is held there stays held
     * until the last of them has ended. From then on this budget grants nothing. Nothing where it shares no ledger.
     */
    abandonLedgerShare(): void;
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
    /**
     * What can still be allocated now, in bytes: what is left of the line, or what the machine can give where that is less.
     * The machine is measured anew; 0 where it cannot be. A budget of numbers or of a preset, or one with
     * `headroom: false`, has its line alone.
     */
    get availableBytes(): number;
    /** What is left of the line, in bytes, whatever the machine can give: {@link usableBytes} less {@link allocatedBytes}. */
    get lineAvailableBytes(): number;
    /** The most that was ever allocated at once, in bytes. */
    get peakBytes(): number;
    /** Share of the line that is allocated, 0 to 100; above only where a budget with a higher line shares the count. */
    get utilizationPercent(): number;
    /**
     * The live allocations, oldest first; of all budgets that share the count, in all threads. What another copy of this
     * package in the process holds is one line, the last.
     */
    allocations(): AllocationInfo[];
    /**
     * What was refused in the end, by this budget and those that share the count, in all threads: how many requests, and the
     * latest 50 with what there was. What a call got by is none of them.
     *
     * @example
     * for (const { label, suggestion } of budget.refusedRequests().latest) console.log(`${label}: ${suggestion}`)
     */
    refusedRequests(): RefusedRequests;
    /**
     * What the system can give now: the least room of the machine and of every cgroup over the process, each less its
     * floor, less files that live processes have mapped, less what was granted in this process and not yet taken. Swap
     * never counts.
     *
     * @throws {@link IoError} where the machine's memory cannot be read.
     */
    headroom(options?: HeadroomOptions): Headroom;
    /**
     * Whether {@link allocate} would grant this many bytes now: whether the line has room for them, the machine can give
     * them, and no {@link MemoryMonitor} refuses. Another thread may take them in between: only the allocation is binding.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
     */
    canAllocate(bytes: number): boolean;
    /**
     * Takes bytes off the budget, or refuses and takes nothing. It answers at once: guards that were dropped but are
     * not yet collected still count. On a budget of this machine the machine is asked, too, by a reading of at most 100 ms
     * ago or a new one; where it cannot be read, nothing is granted.
     *
     * @param bytes - a whole number from 0 up
     * @param label - what the bytes are for, as lists and errors will call it
     * @throws {@link InsufficientMemoryError} when that many are not available; its `bindingConstraint` is the line or the
     *   bound of the headroom, whichever leaves less.
     * @throws {@link InvalidArgumentError} when an argument is unfit.
     */
    allocate(bytes: number, label: string): Allocation;
    /**
     * As {@link allocate}, for an allocation that lives until it is released, whoever refers to it: see
     * {@link Allocation.hold}.
     *
     * @throws as of {@link allocate}.
     * @example
     * const weights = budget.hold(model.dataBytes, 'weights')
     * server.on('close', () => weights.release())
     */
    hold(bytes: number, label: string): Allocation;
    /**
     * Takes bytes off the budget for as long as `use` runs, and releases them when what it returns has settled, whatever it
     * comes to.
     *
     * @returns what `use` returned.
     * @throws as of {@link allocate}, and what `use` threw.
     * @example
     * const answer = await budget.withAllocation(512 * MiB, 'kv cache', () => generate(prompt))
     */
    withAllocation<T>(bytes: number, label: string, use: (allocation: Allocation) => T | PromiseLike<T>): Promise<T>;
}

/** What a holder is asked to make room by. */
interface MakeRoomRequest {
    /** The grant that is asked. */
    grant: Grant;
    /** How much is wanted, in bytes: all of the grant when it is evicted, else a part of its stretch. */
    bytes: number;
    /** How long there is, in milliseconds. After that others are asked. */
    deadlineMs: number;
    /** The label of the request that the room is for. */
    wantedBy: string;
}
/**
 * Releases the grant, now or later. What returns `false`, or a promise of it, says that it will not: others are asked at once.
 */
type OnEvict = (candidate: MakeRoomRequest) => unknown;
/** Releases memory of the stretch and calls {@link Grant.shrink}, now or later; with `false` it says that it will not. */
type OnRevoke = (revocation: MakeRoomRequest) => unknown;
/**
 * Bytes that were granted together, in turn. They are released together: by {@link release}, at the end of a `using` block, or
 * with the object that the grant is {@link attach | attached} to.
 *
 * One acquired with `onRevoke` is elastic: it keeps its floor, what was asked for, and may {@link stretch} above it while
 * nobody needs the room.
 *
 * @example
 * using grant = await manager.acquire({ bytes: 2 * GiB, label: 'llama' }, { key: 'llama', timeoutMs: 30_000 })
 * await loadModel()
 * grant.ready()
 */
declare class Grant implements Disposable {
    #private;
    /** The guards of what was asked for, in that order. Each may be released, committed or given to a pool by itself. */
    get allocations(): readonly Allocation[];
    /** The labels of what was asked for. */
    get label(): string;
    /** What it has, the stretch included, in bytes; 0 after it was released. */
    get bytes(): number;
    /** What of it is stretch, in bytes. */
    get stretchBytes(): number;
    /** Whether it was released, or all of its parts were. */
    get released(): boolean;
    /**
     * Takes `bytes` more above the floor, or refuses and takes nothing: it never waits. Nothing is to be had while somebody has
     * waited long enough to be passed by nobody, nor while this grant has been asked to make room. Returns what was granted, in
     * bytes: all of it.
     *
     * @throws {@link InsufficientMemoryError} when that many are not to be had.
     * @throws {@link InvalidArgumentError} for a grant without `onRevoke`, or when `bytes` is no whole number from 0 up.
     * @throws {@link ReleasedError} after it was released.
     */
    stretch(bytes: number): number;
    /**
     * Gives back `bytes` of the stretch, all of it by default and no more than there are; the memory must be released before.
     * Returns how many.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
     * @throws {@link ReleasedError} after it was released.
     */
    shrink(bytes?: number): number;
    /**
     * Notes that it is in use at this moment, so it is not idle: of grants of the same priority only idle ones are evicted, the
     * longest idle first. Returns the grant.
     *
     * @throws {@link ReleasedError} after it was released.
     */
    touch(): this;
    /**
     * Says that what its `key` names is loaded: the next request of that key may be granted. Returns the grant.
     *
     * @throws {@link ReleasedError} after it was released.
     */
    ready(): this;
    /**
     * Says that `bytes` of it, in all, have really been taken, of its parts in their order, then of the stretch; all of it by
     * default. See {@link Allocation.commit}. Returns the grant.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 to what it has.
     * @throws {@link ReleasedError} after it was released.
     */
    commit(bytes?: number): this;
    /** Releases all of it. A second call does nothing. */
    release(): void;
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose](): void;
    /**
     * Lets the grant live as long as `object`: it is released, without a warning, once the object is collected. It may still be
     * released before. Returns the grant.
     *
     * @throws {@link InvalidArgumentError} when `object` is no object or function, or the grant itself.
     * @throws {@link ReleasedError} after it was released.
     */
    attach(object: object): this;
    /**
     * Keeps the grant until it is {@link release | released}, whether or not anything refers to it. Returns the grant.
     *
     * @throws {@link ReleasedError} after it was released.
     */
    hold(): this;
}

/** A part of what is acquired together. */
interface AcquireRequest {
    /** How much, in bytes. */
    bytes: number;
    /** What it is for, as lists and errors will call it. */
    label: string;
    /** Whose memory it is to be, for the lists: `"npu"`. On a board all of it is the same RAM, and counts alike. */
    device?: string;
}
/** How a request waits, and what may become of its grant. */
interface AcquireOptions {
    /** A whole number: a higher one goes first, and may have grants of a lower one evicted. 0 by default. */
    priority?: number;
    /**
     * What is loaded. Of one key one load at a time: the next waits until {@link Grant.ready} of the first, or its release, and
     * keeps nobody else from going on. None by default.
     */
    key?: string;
    /** How long it waits at most, in milliseconds. Without end by default. */
    timeoutMs?: number;
    /** Ends the wait with an {@link AbortError}. None by default. */
    signal?: AbortSignal;
    /** How long others may pass it while it is the first, in milliseconds; from then on what becomes free is kept for it. 2000 by default. */
    ageMs?: number;
    /** Whether the grant is never evicted. False by default. */
    pinned?: boolean;
    /**
     * Whether the grant may be evicted, by the `onEvict` of the {@link Admission} if it has none of its own. By default where it
     * has one.
     */
    evictable?: boolean;
    /** How long the grant must not have been used to count as idle, in milliseconds; see {@link Grant.touch}. 1000 by default. */
    idleMs?: number;
    /** How long the holder may take to make room before others are asked, in milliseconds. 5000 by default. */
    evictMs?: number;
    /** Is asked to release the grant for somebody who waits. That of the {@link Admission} by default. */
    onEvict?: OnEvict;
    /** Is asked to shrink the stretch. None by default: then the grant has no stretch. */
    onRevoke?: OnRevoke;
}

/**
 * Where callers wait for bytes of a budget, in turn. Every budget of this process that shares the count has the same queue,
 * worker threads included; one of numbers, or an isolated one, has its own.
 *
 * @example
 * const admission = manager.admission
 * admission.onEvict = ({ grant }) => unload(grant)
 * const grant = await admission.acquire([{ bytes: 2 * GiB, label: 'weights' }, { bytes: GiB, label: 'kv cache' }])
 */
declare class Admission implements Disposable {
    #private;
    /** @throws {@link InvalidArgumentError} when `budget` is none. */
    constructor(budget: MemoryBudget);
    /** The budget that is waited for. */
    get budget(): MemoryBudget;
    /** How many may wait at most; a request beyond is refused at once. 512 by default. */
    get maxWaiting(): number;
    set maxWaiting(count: number);
    /** Is asked to release grants that are evictable and have no `onEvict` of their own. */
    get onEvict(): OnEvict | undefined;
    set onEvict(onEvict: OnEvict | undefined);
    /**
     * Takes all that is asked for together, or waits for its turn and for room. It holds nothing while it waits, and keeps the
     * process alive.
     *
     * Higher priorities go first, and within one those who came first. A smaller request may pass those before it while the
     * first has not waited `ageMs`; from then on what becomes free is kept for that one. A turn of the event loop passes before
     * a request waits, so that what was collected is there again.
     *
     * Rejects with {@link NeverFitsError} at once when all of it together is more than the line, {@link BusyError} when
     * {@link maxWaiting} wait already, {@link TimeoutError}, {@link AbortError}, {@link InvalidArgumentError}, and
     * {@link ReleasedError} after {@link close}.
     */
    acquire(requests: AcquireRequest | readonly AcquireRequest[], options?: AcquireOptions): Promise<Grant>;
    /** Who waits, of every budget that shares the count, in the order in which they are to be served. */
    waiting(): WaitingRequest[];
    /**
     * Calls `listener` after somebody came to wait or waits no more; several such changes may be one call. Returns what ends
     * that.
     */
    onChange(listener: () => unknown): Disposable;
    /** Whether it was closed. */
    get closed(): boolean;
    /**
     * Ends the wait of everybody who came by this object: they reject with an {@link AbortError}. Grants belong to their
     * holders and stay, and are not asked to make room any more. Idempotent.
     */
    close(): void;
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose](): void;
}

/** Where a black box is written, and how often. */
interface BlackBoxOptions {
    /**
     * Its file. By default `NAME.blackbox` in `/var/lib/plimsoll` for root, else in `$XDG_STATE_HOME/plimsoll`, which is
     * `~/.local/state/plimsoll` where that is not set.
     */
    path?: string | URL;
    /** The name in the default path. `'board'` by default, or the name of the ledger that the budget shares. */
    name?: string;
    /** What a reader is told of this process. The name of its program by default. */
    processName?: string;
    /** The longest time between two blocks, in milliseconds, 250 to 60,000. 1000 by default. */
    intervalMs?: number;
}
declare const noteKinds: readonly ["wait-begin", "wait-end", "command-start", "command-end"];
/** What of a program a {@link BlackBox} can be told. */
type BlackBoxNoteKind = (typeof noteKinds)[number];
/**
 * Keeps the last minute of a budget in a small file: the machine's memory, who holds what, what was granted, refused and
 * waited for. {@link readBlackBox} and `plimsoll blackbox` read it after a kill or a power cut. It is off until {@link start}.
 *
 * It writes until it is stopped or the process ends, whoever still refers to it, and keeps no process alive.
 * A thread of its own writes 4 KiB a second, and at once when a request is refused or a large one is granted. No allocation
 * waits for it.
 *
 * @example
 * manager.blackBox.start({ path: 'server.blackbox' })
 */
declare class BlackBox implements Disposable {
    #private;
    /** @throws {@link InvalidArgumentError} when `budget` is none. */
    constructor(budget: MemoryBudget);
    /**
     * Begins to write; the first block is on the disk when it returns. While it runs, nothing is changed. A block that cannot
     * be written later is counted, and told of once by a warning of the process (`PLIMSOLL_BLACK_BOX`). Returns the black box.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option, and a file that is something else.
     * @throws {@link IoError} where the file cannot be made or written, as on a full disk.
     * @throws {@link BusyError} where eight processes write to that file already.
     * @throws {@link ReleasedError} after {@link close}.
     */
    start(options?: BlackBoxOptions): this;
    /**
     * Notes what the budget does not know of: a request that begins to wait or waits no longer, a command that is started or
     * has ended. Nothing happens while it is off.
     *
     * @throws {@link InvalidArgumentError} for another kind, and what is no label or size.
     */
    note(kind: BlackBoxNoteKind, label: string, bytes?: number): void;
    /** Writes the last block, by which a reader knows that it ended cleanly, and ends. Idempotent; {@link start} begins anew. */
    stop(): void;
    /** The same for good: it starts no more. Idempotent. */
    close(): void;
    /** The same as {@link stop}, for `using`. */
    [Symbol.dispose](): void;
    /** Whether it writes. */
    get running(): boolean;
    /** Its file; `undefined` before the first {@link start}. */
    get path(): string | undefined;
    /** What it has written since the last {@link start}; `undefined` before the first. */
    stats(): BlackBoxStats | undefined;
}

/** Which black box is read, where no path is given. */
interface ReadBlackBoxOptions {
    /** The name in the default path. `'board'` by default. */
    name?: string;
}
/**
 * Reads a black box, while it is written to or after: the runs that left something there, each with its blocks and what they
 * come to. What is damaged counts for nothing, whatever it is.
 *
 * @throws {@link IoError} where there is no such file, or it cannot be read.
 * @throws {@link InvalidArgumentError} for an unknown or unfit option.
 * @example
 * const { runs, toldIndex } = readBlackBox()
 * for (const line of runs[toldIndex ?? 0]?.words ?? []) console.log(line)
 */
declare function readBlackBox(path?: string | URL, options?: ReadBlackBoxOptions): BlackBoxReading;

/** The stable codes of this package's errors. */
type ErrorCode = 'ERR_INSUFFICIENT_MEMORY' | 'ERR_INVALID_ARGUMENT' | 'ERR_INVALID_GGUF' | 'ERR_INVALID_MODEL' | 'ERR_UNSUPPORTED_TYPE' | 'ERR_INVALID_TENSOR' | 'ERR_IO' | 'ERR_RELEASED' | 'ERR_DEVICE' | 'ERR_DEVICE_UNAVAILABLE' | 'ERR_LEDGER' | 'ERR_BUSY' | 'ERR_NEVER_FITS' | 'ERR_TIMEOUT' | 'ERR_INTERNAL' | 'ERR_INVALID_PLAN' | 'ERR_ADDON_UNAVAILABLE' | 'ABORT_ERR';
/**
 * What every error of this package is. `code` tells them apart; `message` says what was expected, what came and what
 * to do.
 *
 * @example
 * try {
 *   GgufFile.open('no-such.gguf')
 * } catch (error) {
 *   if (!(error instanceof PlimsollError)) throw error
 *   console.log(error.code) // ERR_IO
 * }
 */
declare class PlimsollError extends Error {
    /** The stable code of the error. */
    readonly code: ErrorCode;
}
/**
 * A budget has not got that much left. Nothing was taken.
 *
 * @example
 * const budget = MemoryBudget.forBoard('orin-nano-8gb')
 * try {
 *   budget.allocate(7 * GiB, 'weights')
 * } catch (error) {
 *   if (!(error instanceof InsufficientMemoryError)) throw error
 *   console.log(formatBytes(error.availableBytes)) // 6.00 GiB
 * }
 */
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
/**
 * An argument or an option is not what the call takes. Nothing was changed.
 *
 * @example
 * try {
 *   parseBytes('6 gigs')
 * } catch (error) {
 *   if (!(error instanceof InvalidArgumentError)) throw error
 *   console.log(error.received) // "6 gigs"
 * }
 */
declare class InvalidArgumentError extends PlimsollError {
    readonly code: 'ERR_INVALID_ARGUMENT';
    /** The argument's name. */
    readonly argument: string;
    /** What it should have been. */
    readonly expected: string;
    /** What came. */
    readonly received: string;
}
/**
 * The bytes are no GGUF file that this package accepts.
 *
 * @example
 * try {
 *   GgufFile.fromBytes(Buffer.from('GGUF'))
 * } catch (error) {
 *   if (!(error instanceof InvalidGgufError)) throw error
 *   console.log(error.rule) // truncated
 * }
 */
declare class InvalidGgufError extends PlimsollError {
    readonly code: 'ERR_INVALID_GGUF';
    /** The file, `<bytes>` for a file in memory. */
    readonly path: string;
    /** The stable name of the broken rule, such as `"truncated"` or `"big-endian"`. */
    readonly rule: string;
    /** Where in the file, in bytes, if the rule belongs to one place. */
    readonly offset?: number;
}
/**
 * What a model file says of its model cannot be: a hyperparameter is missing, zero, absurd, or contradicts another.
 *
 * @example
 * try {
 *   estimate(model).totals.peakBytes
 * } catch (error) {
 *   if (!(error instanceof InvalidModelError)) throw error
 *   console.error(`no estimate: ${error.key} is ${error.received}`)
 * }
 */
declare class InvalidModelError extends PlimsollError {
    readonly code: 'ERR_INVALID_MODEL';
    /** The metadata key. */
    readonly key: string;
    /** What it should have been. */
    readonly expected: string;
    /** What came. */
    readonly received: string;
}
/**
 * A tensor is stored in a type that cannot be converted; it can be read as `'raw'`.
 *
 * @example
 * try {
 *   await model.load('output.weight', { as: 'f32' })
 * } catch (error) {
 *   if (!(error instanceof UnsupportedTypeError)) throw error
 *   await model.load(error.tensor) // as it is stored
 * }
 */
declare class UnsupportedTypeError extends PlimsollError {
    readonly code: 'ERR_UNSUPPORTED_TYPE';
    /** The tensor's name. */
    readonly tensor: string;
    /** The ggml type id. */
    readonly typeId: number;
    /** The ggml type name. */
    readonly typeName: string;
}
/**
 * A tensor has a value that is NaN or infinite, and `checkTensors` was asked for.
 *
 * @example
 * try {
 *   await model.load('output.weight', { as: 'f32', checkTensors: true })
 * } catch (error) {
 *   if (!(error instanceof InvalidTensorError)) throw error
 *   console.error(`${error.tensor}: element ${error.block * error.blockElements} or one behind it is no number`)
 * }
 */
declare class InvalidTensorError extends PlimsollError {
    readonly code: 'ERR_INVALID_TENSOR';
    /** The file. */
    readonly path: string;
    /** The tensor's name. */
    readonly tensor: string;
    /** The block that has the value, counted from 0. */
    readonly block: number;
    /** Elements in a block: the first of this one is `block * blockElements`. */
    readonly blockElements: number;
}
/**
 * The operating system or a server refused, or a file is not what it was when it was opened.
 *
 * @example
 * try {
 *   GgufFile.open('no-such.gguf')
 * } catch (error) {
 *   if (!(error instanceof IoError)) throw error
 *   console.log(error.errnoName, error.syscall) // ENOENT open
 * }
 */
declare class IoError extends PlimsollError {
    readonly code: 'ERR_IO';
    /** The file, or its address without user, query and fragment. */
    readonly path: string;
    /** The tensor being read, if one was. */
    readonly tensor?: string;
    /** Where in the file, in bytes, if known. */
    readonly offset?: number;
    /** The system's error number, as in `os.constants.errno`, if it gave one. */
    readonly errno?: number;
    /** The number's name, which is the `code` of Node.js's own errors: `"ENOENT"`. */
    readonly errnoName?: string;
    /** The system call that failed, such as `"open"` or `"read"`. */
    readonly syscall?: string;
    /** The status that a server answered with, if it refused: 404. */
    readonly status?: number;
}
/**
 * The object was released or closed before this call.
 *
 * @example
 * const weights = budget.allocate(100 * MiB, 'weights')
 * weights.release()
 * try {
 *   weights.commit(MiB)
 * } catch (error) {
 *   if (!(error instanceof ReleasedError)) throw error
 *   console.log(error.what) // the allocation
 * }
 */
declare class ReleasedError extends PlimsollError {
    readonly code: 'ERR_RELEASED';
    /** What was released. */
    readonly what: string;
}
/**
 * A device, or its driver, refused a call.
 *
 * @example
 * try {
 *   await manager.gpu.allocate(64 * MiB)
 * } catch (error) {
 *   if (!(error instanceof DeviceError)) throw error
 *   console.error(`${error.device}: ${error.call} failed: ${error.meaning}`)
 * }
 */
declare class DeviceError extends PlimsollError {
    readonly code: 'ERR_DEVICE';
    /** The device, such as `"cuda:0"` or `"dma-heap:system"`. */
    readonly device: string;
    /** The call that was refused. */
    readonly call: string;
    /** The driver's own code, where it gave one: an errno, or a `CUresult`. */
    readonly errno?: number;
    /** What that means, and what to do. */
    readonly meaning: string;
}
/**
 * The machine has no such device, or this process may not use it.
 *
 * @example
 * try {
 *   await Device.open({ kind: 'cuda', library: '/no/such/libcuda.so.1' })
 * } catch (error) {
 *   if (!(error instanceof DeviceUnavailableError)) throw error
 *   console.log(error.device) // cuda
 * }
 */
declare class DeviceUnavailableError extends PlimsollError {
    readonly code: 'ERR_DEVICE_UNAVAILABLE';
    /** The device, such as `"cuda"`. */
    readonly device: string;
    /** Why not, and the line that mends it where there is one. */
    readonly reason: string;
}
/**
 * The ledger that processes share cannot be used. Nothing was granted.
 *
 * @example
 * try {
 *   new MemoryManager({ shared: { directory: '/no/such/folder' } })
 * } catch (error) {
 *   if (!(error instanceof LedgerError)) throw error
 *   console.log(error.path) // /no/such/folder
 * }
 */
declare class LedgerError extends PlimsollError {
    readonly code: 'ERR_LEDGER';
    /** The ledger's file, or its folder. */
    readonly path: string;
    /** What is wrong with it, and what to do. */
    readonly reason: string;
}
/**
 * Somebody uses it, so that cannot be done now.
 *
 * @example
 * await using manager = new MemoryManager({ maxBytes: GiB })
 * manager.admission.maxWaiting = 0 // nobody may wait
 * using grant = await manager.acquire({ bytes: 600 * MiB, label: 'first' })
 * try {
 *   await manager.acquire({ bytes: 600 * MiB, label: 'second' })
 * } catch (error) {
 *   if (!(error instanceof BusyError)) throw error
 *   console.log(error.waitingCount) // 0
 * }
 */
declare class BusyError extends PlimsollError {
    readonly code: 'ERR_BUSY';
    /** What is in use. */
    readonly what: string;
    /** Where it is a queue in which nobody more may wait: how many do. */
    readonly waitingCount?: number;
    /** Of a queue: the labels of what was asked for. */
    readonly label?: string;
    /** Of a queue: bytes asked for, all together. */
    readonly requestedBytes?: number;
    /** Of a queue: bytes that were free. */
    readonly availableBytes?: number;
}
/**
 * What was asked for is more than could be granted if nobody held anything. Nothing was taken, and nothing waits.
 *
 * @example
 * try {
 *   await manager.acquire({ bytes: 2 * manager.budget.lineBytes, label: 'weights' })
 * } catch (error) {
 *   if (!(error instanceof NeverFitsError)) throw error
 *   console.log(error.requestedBytes > error.lineBytes) // true
 * }
 */
declare class NeverFitsError extends PlimsollError {
    readonly code: 'ERR_NEVER_FITS';
    /** The labels of what was asked for. */
    readonly label: string;
    /** Bytes asked for, all together. */
    readonly requestedBytes: number;
    /** Bytes that were free. */
    readonly availableBytes: number;
    /** The whole line, in bytes. */
    readonly lineBytes: number;
    /** The term that draws the line, in words. */
    readonly bindingConstraint: string;
}
/**
 * It did not come within the time that its caller gave it. Nothing was taken, and nothing waits any more.
 *
 * @example
 * await using manager = new MemoryManager({ maxBytes: GiB })
 * using grant = await manager.acquire({ bytes: 600 * MiB, label: 'first' })
 * try {
 *   await manager.acquire({ bytes: 600 * MiB, label: 'second' }, { timeoutMs: 10 })
 * } catch (error) {
 *   if (!(error instanceof TimeoutError)) throw error
 *   console.log(error.timeoutMs) // 10
 * }
 */
declare class TimeoutError extends PlimsollError {
    readonly code: 'ERR_TIMEOUT';
    /** What was waited for. */
    readonly what: string;
    /** The labels of what was asked for. */
    readonly label: string;
    /** How long, in milliseconds. */
    readonly timeoutMs: number;
    /** Bytes asked for, all together. */
    readonly requestedBytes: number;
    /** Bytes that were free in the end. */
    readonly availableBytes: number;
    /** What stood in the way, and what to do. */
    readonly reason: string;
}
/**
 * This package is wrong, and nobody else: neither the arguments, a file, the system nor a device. Please report it.
 *
 * @example
 * try {
 *   estimate(model)
 * } catch (error) {
 *   if (error instanceof InternalError) console.error(`please report this: ${error.what}`)
 *   throw error
 * }
 */
declare class InternalError extends PlimsollError {
    readonly code: 'ERR_INTERNAL';
    /** What went wrong. */
    readonly what: string;
}
/**
 * The work was aborted. `cause` is the signal's reason, or says who else ended the work.
 *
 * @example
 * try {
 *   await manager.acquire({ bytes: 100 * MiB, label: 'weights' }, { signal: AbortSignal.abort() })
 * } catch (error) {
 *   if (!(error instanceof AbortError)) throw error
 *   console.log(error.code) // ABORT_ERR
 * }
 */
declare class AbortError extends PlimsollError {
    readonly code: 'ABORT_ERR';
}
/** Why the addon is not available. `docs/platforms.md` has a row for each. */
type AddonUnavailableReason = 'unsupported-platform' | 'package-missing' | 'version-mismatch' | 'unreadable' | 'size-mismatch' | 'checksum-mismatch' | 'not-an-addon' | 'load-failed' | 'invalid-setting';
/**
 * The native addon for this platform is missing, unfit or does not load. It is thrown while the package is loaded, which
 * then exports nothing: compare `code`, and use this class as a type.
 *
 * @example
 * try {
 *   await import('plimsoll')
 * } catch (error) {
 *   const { code, reason } = error as AddonUnavailableError
 *   if (code !== 'ERR_ADDON_UNAVAILABLE') throw error
 *   console.error(`runs without memory budgets: ${reason}`)
 * }
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

/** What is wrong with a plan. */
interface PlanIssue {
    /**
     * What it is: of the text (`'syntax'`, `'unknown-key'`, `'invalid-value'`, `'duplicate-name'`, `'missing-value'`), of what it
     * names (`'missing-model'`, `'invalid-model'`, `'missing-command'`), or that it does not fit (`'total-too-large'`,
     * `'peak-too-large'`, `'instance-too-large'`).
     */
    kind: 'syntax' | 'unknown-key' | 'invalid-value' | 'duplicate-name' | 'missing-value' | 'missing-model' | 'invalid-model' | 'missing-command' | 'total-too-large' | 'peak-too-large' | 'instance-too-large';
    /** What was expected, what came, and what to do. */
    message: string;
    /** The instance it is about, if it is about one. */
    instance?: string;
    /** Where in the plan: `instances.subject.limitBytes`. */
    key?: string;
    /** The line of its file, from 1, if it was read from one. */
    line?: number;
    /** What would be needed, in bytes, where it does not fit. */
    neededBytes?: number;
    /** What there is, in bytes, where it does not fit. */
    usableBytes?: number;
}
/**
 * A plan is none, names what is not there, or does not fit. Nothing was started or allocated.
 *
 * @example
 * try {
 *   parsePlan('instances: { chat: { limit: 6GiB } }')
 * } catch (error) {
 *   if (!(error instanceof InvalidPlanError)) throw error
 *   console.log(error.issues[0]?.message) // unknown key "limit" in instances.chat; expected "limitBytes"
 * }
 */
declare class InvalidPlanError extends PlimsollError {
    readonly code: 'ERR_INVALID_PLAN';
    /** Everything that is wrong with it. */
    readonly issues: readonly PlanIssue[];
    /** Its file, if it was read from one. */
    readonly path?: string;
}

/** What is published on the channel `plimsoll.refusal` of `node:diagnostics_channel`, in the thread that was refused. */
interface RefusalNotice {
    /** What its caller gets; one who would wait for its turn gets the latter three. */
    error: InsufficientMemoryError | NeverFitsError | TimeoutError | BusyError;
    /** Whether that budget refused, or one that shares what is allocated with it. */
    isOf: (budget: unknown) => boolean;
}

/**
 * The arrays that this package hands out, over memory that is nobody else's: an `ArrayBuffer`, as `Blob`, `Response` and
 * others demand. TypeScript names that as a parameter of the array from 5.7 on and has none before; what the arrays' own
 * constructors return is right for both.
 */
/** Bytes over an `ArrayBuffer`. */
type Bytes = ReturnType<Uint8ArrayConstructor['of']>;
/** 32-bit floats over an `ArrayBuffer`. */
type Floats = ReturnType<Float32ArrayConstructor['of']>;
/** 16-bit floats as their bits, over an `ArrayBuffer`. */
type HalfFloats = ReturnType<Uint16ArrayConstructor['of']>;
type Int8s = ReturnType<Int8ArrayConstructor['of']>;
type Int16s = ReturnType<Int16ArrayConstructor['of']>;
type Uint32s = ReturnType<Uint32ArrayConstructor['of']>;
type Int32s = ReturnType<Int32ArrayConstructor['of']>;
type Doubles = ReturnType<Float64ArrayConstructor['of']>;
type BigUint64s = ReturnType<BigUint64ArrayConstructor['of']>;
type BigInt64s = ReturnType<BigInt64ArrayConstructor['of']>;
/** Numbers of one type, over an `ArrayBuffer`. */
type Numbers = Bytes | Int8s | HalfFloats | Int16s | Uint32s | Int32s | Floats | Doubles | BigUint64s | BigInt64s;

/** What the constructors of this package's own objects ask for. */
declare const internal: unique symbol;

/** A part of a buffer. */
interface BufferRange {
    /** Where it begins, in bytes. 0 by default. */
    offsetBytes?: number;
    /** How long it is, in bytes. To the end of the buffer by default. */
    lengthBytes?: number;
}
/** How a buffer is mapped. */
interface MappingOptions extends BufferRange {
    /** What is done with the view. `'readwrite'` by default; less lets the driver do less. */
    access?: 'read' | 'write' | 'readwrite';
}
/** How a buffer is read. */
interface ReadOptions extends BufferRange {
    /** Where the bytes go; new memory by default. Its length is how many are read: leave `lengthBytes` out, or give the same. */
    into?: ArrayBufferView;
}
/** What is known of a buffer when it was collected. */
interface BufferState {
    readonly native: NativePool;
    /** The buffers of that pool, as the addon wants them to free one. */
    readonly table: object;
    readonly key: number;
    readonly label: string;
    readonly sizeBytes: number;
    readonly device: string;
    /** Who asked for it, while a profile with stacks ran. */
    readonly stack: string | undefined;
    /** Called when the buffer was freed: whether slabs wait to be released. */
    readonly freed: (key: number, retired: boolean) => void;
    /** Its pool, which frees all its buffers as it is closed. */
    readonly pool: {
        readonly closed: boolean;
        readonly held: Set<object>;
    };
    released: boolean;
}
/**
 * Memory of a device. It is freed once: on {@link release}, at the end of a `using` block, or as it is collected, which
 * emits a `PlimsollLeakWarning`.
 *
 * Reading, writing and mapping are promises, for a device may take its time. Meanwhile, and as long as a map lasts, the
 * memory stays, whatever is released.
 *
 * @example
 * using buffer = await manager.gpu.allocate(64 * MiB, { label: 'activations' })
 * await buffer.write(new Float32Array(1024))
 */
declare class DeviceBuffer implements Disposable {
    #private;
    protected constructor(token: typeof internal, state: BufferState);
    /** Its size, in bytes. */
    get sizeBytes(): number;
    /** What it is for. */
    get label(): string;
    /** The name of its device. */
    get device(): string;
    /** Whether it was released. */
    get released(): boolean;
    /** Frees it. What still reads, writes or maps it keeps the memory until that ends. A second call does nothing. */
    release(): void;
    /**
     * Keeps the buffer until it is {@link release | released}, whether or not anything refers to it: the garbage collector
     * never frees it. Returns the buffer.
     *
     * @throws {@link ReleasedError} after it was released.
     */
    hold(): this;
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose](): void;
    /**
     * Copies bytes out. Into memory of the caller's they come in pieces of at most 4 MiB, with no more memory than that
     * beside it; so more than that is not read at one moment, and not to its end if the buffer is released meanwhile.
     *
     * @returns the bytes, or those of `into`.
     * @throws {@link InvalidArgumentError} for a range beyond the buffer, more than one array can hold, and memory that was
     * moved away while it was filled.
     * @throws {@link DeviceError} as the device says.
     * @throws {@link ReleasedError} after it was released.
     */
    read(options?: ReadOptions): Promise<Bytes>;
    /**
     * Copies bytes in. They must not change until the promise settles. Those of a chunk or a {@link StagingBuffer} go straight
     * to the device, and stay there for it even if they are released meanwhile; others in pieces of at most 4 MiB.
     *
     * @throws as of {@link read}.
     */
    write(data: ArrayBufferView, options?: {
        offsetBytes?: number;
    }): Promise<void>;
    /**
     * Sets bytes to one value, 0 to 255.
     *
     * @throws as of {@link read}.
     */
    fill(value: number, options?: BufferRange): Promise<void>;
    /**
     * Copies bytes to another buffer of the same device, on the device.
     *
     * @throws as of {@link read}; {@link InvalidArgumentError} for a buffer of another device.
     */
    copyTo(target: DeviceBuffer, options?: BufferRange & {
        targetOffsetBytes?: number;
    }): Promise<void>;
    /**
     * Lets `use` see the memory itself. The view has length 0 once what `use` returned has settled and this package's own work
     * on the view, such as a load into it, has ended; nothing else that was begun with it may still be under way then. Until the
     * map has ended the buffer stays where it is.
     *
     * @returns what `use` returned.
     * @throws what `use` threw.
     * @throws {@link DeviceError} where the processor cannot see the memory: {@link read} and {@link write} then.
     * @throws as of {@link read}.
     */
    withMapping<T>(use: (view: Bytes) => T | PromiseLike<T>, options?: MappingOptions): Promise<T>;
    /**
     * A new file descriptor of the memory, for another driver or process. It is the caller's to close, and keeps the memory
     * alive. The buffer begins at `offsetBytes` of it, and is never moved again.
     *
     * @throws {@link DeviceError} where the device exports nothing.
     * @throws {@link ReleasedError} after it was released.
     */
    exportFd(): Promise<ExportedFd>;
    /**
     * Keeps it where it is, until {@link unpin} was called as often. For its address, in use by a device.
     *
     * @throws {@link BusyError} while it is being moved.
     * @throws {@link ReleasedError} after it was released.
     */
    pin(): void;
    /** Takes back one {@link pin}; without one it does nothing. */
    unpin(): void;
}
/**
 * A buffer out of a {@link MemoryPool}: part of a slab. It may be moved while nobody uses it.
 *
 * @example
 * using activations = await pool.allocateAsync(4 * MiB, { label: 'activations' })
 * await activations.fill(0)
 * console.log(activations.sizeBytes) // 4194304
 */
declare class PoolBuffer extends DeviceBuffer {
    /** Which of its pool's live buffers it is. */
    readonly id: number;
    private constructor();
}

/** The kinds of device memory. */
type DeviceKind = 'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu';
/** Ordinary RAM. */
interface HostDeviceOptions {
    /** Ordinary RAM. */
    kind: 'host';
    /** Whether slabs are memory files (memfd), which other processes can map. False by default. */
    memoryFile?: boolean;
    /**
     * Whether slabs are taken in huge pages: `'transparent'` ones wherever the system finds them; `'explicit'` ones of
     * 2 MiB from the pool set aside for them, else transparent ones; `'explicit-only'` ones of that pool, else a refusal.
     * `'none'` by default: in ordinary pages.
     */
    hugePages?: 'none' | 'transparent' | 'explicit' | 'explicit-only';
    /** Whether slabs are locked in RAM, so that they are never swapped out. False by default. */
    lock?: boolean;
}
/** Buffers that the drivers of accelerators import without a copy. */
interface DmaHeapDeviceOptions {
    /** A dma-heap, whose buffers the drivers of accelerators import without a copy. */
    kind: 'dma-heap';
    /** The heap's name: `'system'` and its kin by default. */
    heap?: string;
}
/** The same made from ordinary RAM, and counted like it. */
interface UdmabufDeviceOptions {
    /** Buffers of the same sort made from ordinary RAM, and counted like it. */
    kind: 'udmabuf';
}
/** Memory by NVIDIA's driver. */
interface CudaDeviceOptions {
    /** Memory by NVIDIA's driver. */
    kind: 'cuda';
    /** The device's number. 0 by default. */
    ordinal?: number;
    /**
     * The kind of its memory: the `'device'`'s own, by default; `'pinned'` RAM that the device works on in place;
     * `'managed'`, which the driver keeps coherent.
     */
    memory?: 'device' | 'pinned' | 'managed';
    /** The driver's library: the usual `libcuda.so.1` by default. */
    library?: string;
}
/** Memory by Rockchip's own NPU driver. */
interface RknpuDeviceOptions {
    /** Rockchip's NPU driver. */
    kind: 'rknpu';
    /** The domain that slabs are taken in, 0 to 15. 0 by default. */
    domain?: number;
}
/** Which device. */
type DeviceOptions = HostDeviceOptions | DmaHeapDeviceOptions | UdmabufDeviceOptions | CudaDeviceOptions | RknpuDeviceOptions;
/** A device: one that is open, one by kind or with its options, or `'auto'`, the best that is safe here. */
type DeviceChoice = Device | DeviceKind | 'auto' | DeviceOptions;
/**
 * Which domain of Rockchip's NPU, 0 to 15, each buffer goes to while all are empty: the largest first, each into the
 * lowest domain that has a place for it. Sizes are bytes; a job sees one domain, so what it needs at once is one size.
 * It needs no device, and keeps to the rule of every driver: a buffer starts at a multiple of its size rounded up to a
 * power of two.
 *
 * @throws {@link InsufficientMemoryError} for the first buffer that has no place; with `largestFreeBytes` in its
 * place the same plan is accepted, unless that is 0: then the others alone are too many.
 * @throws {@link InvalidArgumentError} for an invalid size.
 *
 * @example
 * planNpuDomains([1500 * MiB, 1500 * MiB, 1000 * MiB]) // [0, 1, 0]
 */
declare function planNpuDomains(sizes: readonly number[]): number[];
/**
 * A device that memory can be taken from. Nothing is linked to: what a machine has not got is an error that says why.
 *
 * @example
 * const device = await Device.open('auto')
 * console.log(device.name, device.passedOver)
 */
declare class Device {
    #private;
    /** Its name, such as `'host'`, `'dma-heap:system'` or `'cuda:0'`. */
    readonly name: string;
    /** What kind of memory it gives. */
    readonly kind: DeviceKind;
    /** What it can and cannot do. */
    readonly limits: Readonly<DeviceLimits>;
    /** The kinds that `'auto'` did not choose, each with its reason; empty where the device was named. */
    readonly passedOver: readonly Readonly<PassedOver>[];
    /** What a device of CUDA's is, and which kind of its memory suits which use; of another device `undefined`. */
    readonly cuda: Readonly<CudaInfo> | undefined;
    private constructor();
    /**
     * Opens a device, or gives the one that this process has open. `'auto'` takes CUDA where there is a GPU of NVIDIA's, a
     * dma-heap on a board of Rockchip's, and else ordinary RAM; `'rknpu'` is taken by name only.
     *
     * @throws {@link DeviceUnavailableError} with the reason, and the line that mends it where there is one.
     * @throws {@link BusyError} when another process has the NPU.
     * @throws {@link InvalidArgumentError} for an unknown kind, an unknown or unfit option.
     */
    static open(choice?: DeviceChoice): Promise<Device>;
    /** What it has given out in this process, and what it says of itself. Never waits for the device. */
    usage(): DeviceUsage;
    /**
     * Which domain of Rockchip's NPU, 0 to 15, each further buffer should go to, beside what this process has there
     * already and as its driver places them; see {@link planNpuDomains}. Then open each domain that is named:
     * `{ kind: 'rknpu', domain }`.
     *
     * @throws {@link DeviceError} of a device without domains: of every kind but `'rknpu'`.
     * @throws as {@link planNpuDomains}.
     */
    planDomains(sizes: readonly number[]): number[];
    /** What its user should know and would not expect, with the line that mends it. Usually nothing. */
    remarks(): string[];
}

/**
 * What each process holds on NVIDIA's GPUs: as nvmap tells it where it does (root, on a Jetson but for Thor), else as the
 * management library NVML does, which is opened for it when it is there. What a driver does not tell is absent, not 0.
 *
 * @throws {@link DeviceUnavailableError} where neither tells, with what is the matter with each.
 * @throws {@link InvalidArgumentError} for an unknown option.
 *
 * @example
 * for (const { pid, bytes } of await gpuProcesses()) console.log(pid, bytes ?? 'not told')
 */
declare function gpuProcesses(options?: SystemOptions): Promise<GpuProcess[]>;

/** The dimensions of a decoder. */
interface ModelShape {
    /** The model family, as a GGUF file would name it. `'llama'` by default. */
    architecture?: string;
    /** Layers. */
    layers: number;
    /** The width of a token between layers. */
    embedding: number;
    /** Heads of the queries. */
    heads: number;
    /** Heads of keys and values. As many as `heads` by default. */
    kvHeads?: number;
    /** Elements of a head. `embedding / heads` by default. */
    headWidth?: number;
    /** The width of a feed-forward network, or of an expert. */
    feedForward: number;
    /** Tokens that it knows. */
    vocabulary: number;
    /** Tokens of the context that it was trained with. 4096 by default. */
    contextLength?: number;
    /** Experts of a layer. 0 by default. */
    experts?: number;
    /** Experts that a token passes. 0 by default. */
    expertsUsed?: number;
    /** Tokens of a window, for a family that has layers with one. */
    window?: number;
    /** Whether the token embeddings serve as the output matrix. `false` by default. */
    tied?: boolean;
}

/** A model's `config.json`, of Hugging Face's transformers. Of a model with several parts that of the text. */
type ModelConfig = Readonly<Record<string, unknown>>;

/** The arrays that hold the forms, and the bytes of one of their elements. 16-bit floats come as their bits. */
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
    readonly bf16: {
        readonly array: Uint16ArrayConstructor;
        readonly elementBytes: 2;
    };
};
/** What tensors come out as: the stored bytes, 32-bit floats, or one of the two kinds of 16-bit floats. */
type TensorOutput = keyof typeof outputs;
/** The array that holds a tensor's data: 16-bit floats come as their bits. */
type TensorData<As extends TensorOutput = TensorOutput> = {
    /** The bytes as they are stored. */
    raw: Bytes;
    /** A number for each element. */
    f32: Floats;
    /** The bits of each element, half precision. */
    f16: HalfFloats;
    /** The bits of each element, bfloat16. */
    bf16: HalfFloats;
}[As];
/** The forms that tensors come out as. */
declare const tensorOutputs: readonly TensorOutput[];
/**
 * Bytes that a tensor's data takes in this form: what a program that keeps it has to reserve.
 *
 * @throws {@link InvalidArgumentError} for a form that there is none of, and what is no tensor.
 * @example
 * const bytes = model.tensors.reduce((sum, tensor) => sum + tensorDataBytes(tensor, 'f32'), 0)
 */
declare function tensorDataBytes(tensor: Pick<TensorInfo, 'sizeBytes' | 'elementCount'>, as: TensorOutput): number;

/**
 * A run of whole blocks of one tensor.
 *
 * It is its consumer's own: `data` may be kept, queued, written to a response or posted to another thread, and nothing
 * changes it. Its memory is ordinary memory of JavaScript's, collected with the last array over it.
 *
 * A chunk of a stream with `reuse: true` is lent: it is valid until the next one is asked for, or until {@link release}. Then
 * its memory goes back to the pool and every view of it, `data` and any made from it, has length 0. An asynchronous
 * operation that was given `data` must be awaited before that, or be given a copy.
 *
 * @example
 * for await (const chunk of model.stream({ as: 'f32', reuse: true })) {
 *   for (const weight of chunk.data) largest = Math.max(largest, Math.abs(weight))
 *   if (chunk.tensor === 'output_norm.weight') kept.push(chunk.keep()) // it is not lent any more
 * }
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
    /** The data: `Uint8Array` of stored bytes, `Float32Array`, or `Uint16Array` of the bits of 16-bit floats. */
    get data(): TensorData<As>;
    /**
     * Lets go of the data: that of the chunk has length 0 from then on. Lent memory goes back to its pool, and every other view
     * of it has length 0 too. Of a chunk that is its consumer's own, arrays that were taken before stay as they are. A second
     * call, or one after {@link keep}, does nothing.
     */
    release(): void;
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose](): void;
    /**
     * Returns the data for good: it lives until it is collected, whatever is released. Lent memory is taken out of the pool for
     * it; a chunk much smaller than the staging buffer it lies in is copied instead, so that a small array does not hold on to a
     * large buffer.
     *
     * @throws {@link ReleasedError} after the chunk was released, and when lent memory was moved to another array buffer.
     */
    keep(): TensorData<As>;
}

/** How a {@link StagingPool} behaves. */
interface StagingPoolOptions {
    /**
     * Bytes kept idle for reuse at most; a returned buffer that would pass the cap goes back to the system. 16 MiB by default.
     */
    maxHeldBytes?: number;
    /** Whether a reused buffer is zeroed before it is handed out; a new one always reads zero. `false` by default. */
    zeroed?: boolean;
    /** The budget that every buffer, idle or in use, counts against, under the label `staging pool`. None by default. */
    budget?: MemoryBudget;
}
/**
 * A pool of page-aligned buffers, reused by size class: sizes are rounded up, four classes to every doubling.
 *
 * The loader streams through one. A buffer that is released, or collected, returns to the pool once the memory is no
 * longer seen by any view, on a later turn of the event loop.
 *
 * @example
 * const pool = new StagingPool({ maxHeldBytes: 32 * MiB, budget })
 * using buffer = pool.get(4 * MiB)
 * buffer.data.fill(0)
 */
declare class StagingPool implements Disposable {
    #private;
    /** @throws {@link InvalidArgumentError} for an unknown or unfit option. */
    constructor(options?: StagingPoolOptions);
    /**
     * Hands out a buffer. Unless the pool is `zeroed`, it may still hold what its last user left in it.
     *
     * @throws {@link InsufficientMemoryError} when the budget, or the system, refuses; idle buffers are freed before.
     * @throws {@link ReleasedError} after {@link close}.
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 1 to `buffer.constants.MAX_LENGTH`.
     */
    get(bytes: number): StagingBuffer;
    /** What the pool has done and holds. */
    stats(): StagingPoolStats;
    /** Releases idle buffers until at most `keepBytes` (0 by default) are held; returns how many bytes. */
    trim(keepBytes?: number): number;
    /** Releases every idle buffer and hands out no more. Buffers in use go back when released. Idempotent. */
    close(): void;
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose](): void;
}
/**
 * A buffer out of a {@link StagingPool}.
 *
 * @example
 * using buffer = new StagingPool().get(4 * MiB)
 * buffer.data.fill(0)
 * console.log(buffer.data.length) // 4194304
 */
declare class StagingBuffer implements Disposable {
    #private;
    /** The buffer's bytes; length 0 after {@link release}. */
    readonly data: Bytes;
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
    keep(): Bytes;
}

/** When a pool defragments itself. */
interface AutoDefragmentOptions {
    /** From which fragmentation on, in percent, 0 to 100; see {@link PoolStats.fragmentationPercent}. 50 by default. */
    abovePercent?: number;
    /** How long a pass goes on beginning moves, in milliseconds. 10 by default. */
    maxMs?: number;
}
/** How a {@link MemoryPool} behaves. */
interface MemoryPoolOptions {
    /** Where its slabs come from: what {@link Device.open} takes. `'auto'`, the best that is safe here, by default. */
    device?: DeviceChoice;
    /** What the pool is called, in the budget and by drivers that take names. `'memory pool'` by default. */
    label?: string;
    /**
     * Bytes taken from the device at once; a larger buffer gets a slab of its own size. By default the first has what the device
     * wants at least (`limits.slabBytes`: 2 MiB of RAM, 32 MiB of a heap or a GPU), the next as much as the pool holds, up to 64
     * MiB.
     */
    slabBytes?: number;
    /** Bytes taken, every page of them, as the pool is made. None by default. */
    initialBytes?: number;
    /** Bytes held at most; where that is less than the usual slab, slabs are of that size. No bound of its own by default. */
    maxBytes?: number;
    /**
     * Bytes of empty slabs that are kept for what comes next; more go back as they become empty. Those of the beginning stay
     * beside them until `trim()`. One slab by default.
     */
    maxCachedBytes?: number;
    /**
     * The size of a page, in bytes, where each buffer is to be one page, as in a cache of keys and values; rounded up to 256.
     * Pages begin at multiples of it: no stricter `alignBytes` can be asked for. None by default.
     */
    pageBytes?: number;
    /**
     * Whether each buffer has a slab of its own, which goes with it, or with `maxCachedBytes` is kept for another of more than
     * half its size. Not with `pageBytes` or `initialBytes`. False by default.
     */
    dedicated?: boolean;
    /**
     * Whether a buffer's bytes are zeroed as it is freed, its old ones as it is moved, and every slab as the pool is closed.
     * False by default.
     */
    zeroOnFree?: boolean;
    /** Whether, and when, the pool defragments itself while nothing happens. False by default. */
    autoDefragment?: boolean | AutoDefragmentOptions;
    /**
     * The budget that every slab counts against, under the pool's label. One of a machine is about its RAM and does not count a
     * GPU's own memory; one of numbers does. None by default.
     */
    budget?: MemoryBudget;
    /**
     * An allocation whose bytes the pool takes over, instead of charging them again: slabs take them first, and what goes
     * beyond them from its budget. It counts as released from then on. With it go neither `budget` nor `initialBytes`. None by
     * default.
     */
    from?: Allocation;
}
/** How a buffer is placed. */
interface PoolBufferOptions {
    /** What it is for. `''` by default. */
    label?: string;
    /** It begins at a multiple of this, in bytes: a power of two, at most `limits.granuleBytes` of the device. 256 by default. */
    alignBytes?: number;
    /**
     * How long it is likely to live: `'long'`, by default, as weights, from the low end of a slab; `'transient'` as activations,
     * from the high end, so that short lives leave no holes between long ones.
     */
    placement?: 'long' | 'transient';
}
/** How a buffer is placed, and how its request is given up. */
interface GrowingBufferOptions extends PoolBufferOptions {
    /** Gives the request up. None by default. */
    signal?: AbortSignal;
}
/** A buffer that a defragmentation would move. */
interface MovableBuffer {
    /** What it is for. */
    label: string;
    /** Its size, in bytes. */
    sizeBytes: number;
    /** Which it is: the {@link PoolBuffer.id} of one of the pool's live buffers. */
    id: number;
}
/** How far a defragmentation goes. Whatever bound is met first ends it. */
interface DefragmentOptions {
    /** Bytes moved at most, which is looked at between moves. No bound by default. */
    maxBytes?: number;
    /** Buffers moved at most. No bound by default. */
    maxMoves?: number;
    /** How long it goes on copying the pool's map and beginning moves, in milliseconds. Without end by default. */
    maxMs?: number;
    /**
     * Whether nothing is moved, and the report says what would come of it. `veto` is not asked then and `signal` not looked at,
     * the bounds are. False by default.
     */
    dryRun?: boolean;
    /**
     * Asked before each move, with `{ label, sizeBytes, id }`; what it returns `true` for stays where it is. It may pin or
     * release the buffer, which then stays too. None by default.
     */
    veto?: (buffer: MovableBuffer) => boolean;
    /** Told of each move that was made. None by default. */
    onMoved?: (buffer: MovableBuffer) => void;
    /** Ends it before the next move; the report tells what was done. None by default. */
    signal?: AbortSignal;
}

/** What a pool was at one moment: plain data, which survives `JSON.stringify` and is read by {@link parsePoolSnapshots}. */
interface PoolSnapshot {
    /** The version of this form. */
    plimsollSnapshot: 1;
    /** The name of the pool's device. */
    device: string;
    /** What the pool is called. */
    label: string;
    /** When it was taken, in milliseconds since 1970. */
    timeMs: number;
    /** What the pool held and had done. */
    stats: PoolStats;
    /** Its slabs, each with its blocks. */
    slabs: SlabInfo[];
}
/**
 * Reads the text of a {@link PoolSnapshot}, or of an array of them, as `JSON.stringify` writes them.
 *
 * @throws {@link InvalidArgumentError} that names the first thing in it that is unfit.
 * @example
 * // poolsPage is in 'plimsoll/report'.
 * await writeFile('pool.html', poolsPage(parsePoolSnapshots(await readFile('pool.json', 'utf8'))))
 */
declare function parsePoolSnapshots(text: string): PoolSnapshot[];

/** What happened to a pool. */
interface PoolTrace {
    /** Events that were recorded. */
    eventCount: number;
    /** Events beyond the trace's capacity, and those beyond what the text can hold; they are not in it. */
    droppedCount: number;
    /**
     * JSON lines: a header with the pool's device, label and {@link PoolSettings}, then a line for each event: `event` (`"present"`,
     * `"allocate"`, `"free"`, `"refuse"` or `"move"`), `atUs` since the start, `buffer`, `bytes`, and of an allocation
     * `alignBytes` and `placement`. It holds as many whole lines as the longest string of JavaScript's, half a gibibyte: about
     * five million events.
     */
    text: string;
}
/** How the slabs of a pool are taken and divided, as far as the pool was told. */
type PoolSettings = Pick<MemoryPoolOptions, 'slabBytes' | 'initialBytes' | 'maxBytes' | 'maxCachedBytes' | 'pageBytes' | 'dedicated'>;

/**
 * A pool of real device memory: slabs from a device, buffers out of slabs.
 *
 * What is where is kept outside of the memory. Buffers of any size find a place in constant time, an empty slab serves
 * any size up to its own, and slabs without buffers go back to the device.
 *
 * @example
 * await using pool = await MemoryPool.create({ device: 'host', initialBytes: 64 * MiB })
 * using buffer = pool.allocate(4 * MiB, { label: 'activations' })
 * await buffer.withMapping((view) => view.fill(1))
 */
declare class MemoryPool implements AsyncDisposable {
    #private;
    /** Where its memory comes from. */
    readonly device: Device;
    /** What it is called. */
    readonly label: string;
    private constructor();
    /**
     * Makes a pool, and takes its `initialBytes`.
     *
     * @throws {@link DeviceUnavailableError} when the machine has no such device, or this process may not use it.
     * @throws {@link InsufficientMemoryError} when the budget or the machine has not `initialBytes`.
     * @throws {@link InvalidArgumentError} for an unknown or unfit option, or one that does not fit the device.
     */
    static create(options?: MemoryPoolOptions): Promise<MemoryPool>;
    /**
     * Hands out a buffer from the slabs that are held; it asks no device and waits for nothing. Its bytes are those of the
     * last user unless the pool is `zeroOnFree`.
     *
     * @throws {@link InsufficientMemoryError} when no hole fits; `largestFreeBytes` is the largest. {@link reserve} first,
     * or use {@link allocateAsync}.
     * @throws {@link InvalidArgumentError} for an unfit size or option.
     * @throws {@link ReleasedError} after {@link close}.
     */
    allocate(bytes: number, options?: PoolBufferOptions): PoolBuffer;
    /**
     * Hands out a buffer, and does what it can before it refuses, in this order: a fitting hole, a cached slab, a new slab,
     * cached slabs of other sizes released, {@link onReclaim}, defragmentation.
     *
     * @throws {@link AbortError} when `signal` aborts.
     * @throws as of {@link allocate}, and {@link DeviceError} as the device says.
     */
    allocateAsync(bytes: number, options?: GrowingBufferOptions): Promise<PoolBuffer>;
    /**
     * Registers what may release memory when {@link allocateAsync} finds none. It is told how many bytes are missing, and
     * returns `true`, or a promise of it, when it has released some: it is asked again until it has not. Returns what
     * forgets it again.
     */
    onReclaim(reclaim: (missingBytes: number) => unknown): Disposable;
    /**
     * Makes sure that one buffer of `bytes` could be handed out now, and takes a slab for it where none has room.
     *
     * @throws {@link InsufficientMemoryError} when the pool's maximum, the budget or the machine has not that much.
     * @throws {@link DeviceError} as the device says.
     * @throws {@link ReleasedError} after {@link close}.
     */
    reserve(bytes: number): Promise<void>;
    /**
     * Releases slabs without buffers until at most `keepBytes` (0 by default) are held; resolves to the bytes released.
     * By then what was released before is back, too.
     */
    trim(keepBytes?: number): Promise<number>;
    /**
     * Moves buffers together, one after the other, so that whole slabs become empty and go back. Buffers in use, mapped,
     * pinned or exported stay; content survives.
     *
     * @throws {@link DeviceError} when a copy failed: that buffer stays as it was, and those before it stay moved.
     * @throws {@link ReleasedError} after {@link close}.
     */
    defragment(options?: DefragmentOptions): Promise<DefragmentReport>;
    /** What it holds and has done. */
    stats(): PoolStats;
    /**
     * The same in depth: every slab with its blocks, and the counts under the names of PyTorch's `memory_stats`.
     *
     * It walks over everything; {@link stats} is kept up to date as it goes.
     */
    detailedStats(): PoolStats & {
        slabs: SlabInfo[];
        counters: Record<string, number>;
    };
    /** What it is at this moment, down to every block, as plain data: `JSON.stringify` it to keep it. */
    snapshot(): PoolSnapshot;
    /** Begins a scope: what is allocated and freed counts apart until {@link popScope}. Scopes nest. */
    pushScope(): void;
    /** Ends the innermost scope and says what was allocated and freed within; `undefined` when there is none. */
    popScope(): PoolScope | undefined;
    /**
     * Records what happens from now on, for {@link stopTrace}: at most `capacity` events, a million by default. A trace that
     * runs is begun anew. Of more than about five million events the text has the first ones alone: see
     * {@link PoolTrace.text}.
     */
    startTrace(capacity?: number): void;
    /** Ends the recording; `plimsoll replay` runs its text again on any device. Empty when there was none. */
    stopTrace(): PoolTrace;
    /** Whether it was closed. */
    get closed(): boolean;
    /**
     * Releases every slab. Buffers that are left are stale: every use of them is a {@link ReleasedError}. What is mapped,
     * or being copied, stays until that ends. Idempotent.
     */
    close(): Promise<void>;
    /** The same as {@link close}, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
}

/** By which calls a file is read. */
type IoMode = 'read' | 'mmap' | 'direct';
/** The digest of a tensor that was read. */
interface TensorDigest {
    /** The tensor's name. */
    tensor: string;
    /** The SHA-256 of its bytes as the file holds them, in hexadecimal. */
    sha256: string;
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
    /** Milliseconds since the load began. */
    elapsedMs: number;
    /** Stored bytes a second, since the load began. 0 before there is a figure. */
    bytesPerSecond: number;
    /** Milliseconds until the load ends at that rate. Absent before there is one. */
    remainingMs?: number;
    /** The calls that the file is read by. */
    io: IoMode;
    /** Why these are not those that were asked for. */
    ioReason?: string;
}

/** How a header is read, wherever it is. */
interface HeaderOptions {
    /**
     * The tensor data is not there, only the header: no range is checked against the size of the file, and nothing can be
     * streamed. All other rules hold. `false` by default.
     */
    headerOnly?: boolean;
    /**
     * Tensors must follow each other in order, each at the first aligned byte after the one before, as ggml demands; otherwise
     * any order and any gap is accepted as long as no two overlap, as the specification demands. `false` by default.
     */
    strict?: boolean;
    /**
     * The most bytes of a tensor's name, up to 65535: stable-diffusion.cpp and others write longer ones than the specification
     * has. 64 by default, as that demands.
     */
    maxNameBytes?: number;
    /** The most dimensions of a tensor, up to 8: five occur in models of video. 4 by default, as many as ggml has. */
    maxDimensions?: number;
    /**
     * Opens a file of a split model alone. By default any of its files, `NAME-00002-of-00009.gguf`, opens the whole model: the
     * others are looked for beside it. `false` by default.
     */
    shardOnly?: boolean;
}
/** How a file is opened. */
interface OpenOptions extends HeaderOptions {
    /**
     * Where the model begins, in bytes from the start of the file: that of a GGUF file within a larger one, which may go on
     * behind it. Every offset that the model tells counts from there. 0 by default.
     */
    offsetBytes?: number;
}
/** What all ways of reading take. */
interface LoadOptions<As extends TensorOutput = TensorOutput> {
    /** The form of the data: `'raw'` (default), `'f32'`, `'f16'` or `'bf16'` (both as bits, rounded to nearest even). */
    as?: As;
    /**
     * How many threads read and convert, each a unit of its own: so many reads are in flight. What comes is in order all the
     * same. 1 by default, at most 64.
     */
    threads?: number;
    /**
     * By which calls the file is read: `'read'` (default), copies out of a map (`'mmap'`), or reads past the page cache
     * (`'direct'`). Where that cannot be it is read by `'read'`, and the progress tells why.
     */
    io?: IoMode;
    /**
     * Whether the page cache is rid of what was read, but for what it held before. By default on boards whose processors share
     * the memory, where the cache is taken from the model.
     */
    dropBehind?: boolean;
    /** Whether a value that is NaN or infinite ends the load, with an {@link InvalidTensorError}. `false` by default. */
    checkTensors?: boolean;
    /**
     * Called with the SHA-256 of each tensor that was read to its end, on the event loop. What it throws ends the load. None by
     * default.
     */
    onDigest?: (digest: TensorDigest) => void;
    /** Ends the load: it rejects with an {@link AbortError} whose cause is the signal's reason. None by default. */
    signal?: AbortSignal;
    /**
     * Called on the event loop with every chunk; where tensors are loaded whole, with every 4 MiB of data, or every MiB into an
     * array of yours. What it throws ends the load. None by default.
     */
    onProgress?: (progress: LoadProgress) => void;
}
/** What {@link GgufFile.stream} takes. */
interface StreamOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
    /** The tensors by name, in the order they are wanted, each once; all by default, in the order of their data in the file. */
    tensors?: string[];
    /**
     * The most bytes of data in a chunk, after conversion. Chunks end on whole blocks, so they may hold fewer. 1 MiB by default,
     * at most 1 GiB, and no less than one block of every tensor: 1024 bytes for `Q4_K` as `'f32'`.
     */
    chunkBytes?: number;
    /**
     * The pool whose buffers the file is read into. The manager's by default; without a manager, one shared by all files of the
     * thread.
     */
    staging?: StagingPool;
    /**
     * Whether chunks are lent, in the buffers of that pool: valid until the next one is asked for or until their `release()`,
     * then of length 0. It saves the copy, and memory; every use of a chunk must have ended before the next iteration. `false` by
     * default: chunks are their consumer's own.
     */
    reuse?: boolean;
}
/** What {@link GgufFile.createReadStream} takes. */
interface ReadStreamOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
    /** The most bytes in a chunk, as of {@link StreamOptions}. 1 MiB by default. */
    chunkBytes?: number;
    /** Ends the load: it destroys the stream with an {@link AbortError} whose cause is the signal's reason. None by default. */
    signal?: AbortSignal;
    /** How many bytes the stream reads ahead of its consumer before it waits, beside its units. `chunkBytes` by default. */
    highWaterMark?: number;
    /** The pool whose buffers the file is read into. That of {@link StreamOptions} by default. */
    staging?: StagingPool;
}
/** What {@link GgufFile.load} takes. */
interface LoadIntoOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
    /**
     * Memory to fill from its start, of fixed length, at least as large as the data and aligned to its elements (4 bytes for
     * `'f32'`, 2 for `'f16'` and `'bf16'`). New memory by default.
     *
     * That of a {@link StagingBuffer}, a lent chunk or the view of a map is filled straight, and is the load's until its end even
     * if it is released, or the map's use settles, meanwhile. Any other is filled a mebibyte at a time, on the event loop,
     * through buffers of the file's pool. A load whose memory was moved away rejects.
     */
    into?: ArrayBuffer | ArrayBufferView;
}
/** What {@link GgufFile.load} takes for a buffer of a device. */
interface LoadIntoBufferOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
    /** The buffer to fill. Nobody else may use it while the load runs. */
    into: DeviceBuffer;
    /** Where in the buffer the tensor begins, in bytes: a multiple of its elements' size. 0 by default. */
    offsetBytes?: number;
}
/** Where a tensor goes. */
type TensorPlace = ArrayBuffer | ArrayBufferView | DeviceBuffer;
/** What {@link GgufFile.loadAll} takes. */
interface LoadAllOptions<As extends TensorOutput = TensorOutput> extends LoadOptions<As> {
    /** Which tensors are loaded. All by default. */
    filter?: (tensor: Readonly<TensorInfo>) => boolean;
    /** The order in which they are loaded, as of `sort`. By default that of their data in the file, which is the fastest. */
    order?: (a: Readonly<TensorInfo>, b: Readonly<TensorInfo>) => number;
}
/** What {@link GgufFile.loadAll} takes to fill places of yours. */
interface LoadAllIntoOptions<As extends TensorOutput = TensorOutput> extends LoadAllOptions<As> {
    /**
     * Where each tensor goes, by its name: memory as of {@link LoadIntoOptions.into}, or a buffer of a device. New memory for a
     * tensor that has no place, and for all by default.
     */
    into: ReadonlyMap<string, TensorPlace> | ((tensor: Readonly<TensorInfo>) => TensorPlace | undefined);
}
/** What {@link GgufFile.loadAll} takes to fill buffers of a pool. */
interface LoadAllIntoPoolOptions<As extends TensorOutput = TensorOutput> extends LoadAllOptions<As> {
    /** The pool that gives a buffer for each tensor. When the load fails they are all released. */
    into: MemoryPool;
}

/** The type of a metadata value, as GGUF names it. */
type GgufValueType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'bool' | 'string' | 'array' | 'u64' | 'i64' | 'f64';
/**
 * A metadata value. Integers are numbers when exact as such, else bigints; text that is not UTF-8 has its bad bytes
 * replaced by U+FFFD.
 */
type GgufValue = number | bigint | boolean | string | GgufArray;
/** The elements of an array: a typed array for numbers, else an array of values. */
type GgufElements = Numbers | boolean[] | string[] | GgufArray[];
/**
 * An array in the metadata. It is kept as the bytes of the file; elements are decoded when asked for. Where those of
 * strings and arrays stand is found in one walk, the first time that one of a large array is asked for.
 *
 * @example
 * const tokens = model.metadata.get('tokenizer.ggml.tokens')
 * if (tokens instanceof GgufArray) console.log(tokens.elementType, tokens.length) // string 768
 */
declare class GgufArray implements Iterable<unknown> {
    #private;
    /** The type all elements have. */
    readonly elementType: GgufValueType;
    /** Number of elements. */
    readonly length: number;
    private constructor();
    /**
     * Decodes the elements from `start` to `end` (all by default), with the meaning of `Array.prototype.slice`.
     *
     * @throws {@link InvalidArgumentError} when one of them is no number, and for more than 4,194,304 elements at once that
     * are no numbers: go over them, or take them in parts.
     */
    slice(start?: number, end?: number): GgufElements;
    /**
     * Decodes every element.
     *
     * @throws as of {@link slice}.
     */
    toArray(): GgufElements;
    /**
     * Decodes one element; negative indices count from the end.
     *
     * @throws {@link InvalidArgumentError} when the index is no number.
     */
    at(index: number): number | bigint | boolean | string | GgufArray | undefined;
    /** Walks the elements, a batch at a time. */
    [Symbol.iterator](): Generator<number | bigint | boolean | string | GgufArray>;
}
/**
 * The metadata of a GGUF file, in file order, with the methods of a read-only `Map`.
 *
 * @example
 * console.log(model.metadata.get('general.architecture')) // llama
 * for (const [key, value] of model.metadata) console.log(key, typeof value)
 */
declare class GgufMetadata implements Iterable<[string, GgufValue]> {
    #private;
    private constructor();
    /** Number of entries. */
    get size(): number;
    /** The value under `key`, `undefined` if there is none. */
    get(key: string): GgufValue | undefined;
    /**
     * The text under `key`, `undefined` if there is none.
     *
     * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no string.
     */
    getString(key: string): string | undefined;
    /**
     * The number under `key`, `undefined` if there is none.
     *
     * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no number, or an integer beyond
     * 2^53 - 1: {@link getBigInt} then.
     */
    getNumber(key: string): number | undefined;
    /**
     * The integer under `key`, however large, `undefined` if there is none.
     *
     * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no integer.
     */
    getBigInt(key: string): bigint | undefined;
    /**
     * The boolean under `key`, `undefined` if there is none.
     *
     * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no boolean.
     */
    getBoolean(key: string): boolean | undefined;
    /**
     * The array under `key`, `undefined` if there is none.
     *
     * @throws {@link InvalidGgufError} with the rule `wrong-value-type` for a value that is no array.
     */
    getArray(key: string): GgufArray | undefined;
    /** Whether there is a value under `key`. */
    has(key: string): boolean;
    /** The type of the value under `key` as the file declares it, `undefined` if there is none. */
    type(key: string): GgufValueType | undefined;
    /** The keys, in file order. */
    keys(): IterableIterator<string>;
    /** The values, in file order. */
    values(): Generator<GgufValue>;
    /** Calls `callback` for every entry, in file order. */
    forEach(callback: (value: GgufValue, key: string, metadata: GgufMetadata) => void, thisArg?: unknown): void;
    /** Keys and values, in file order. */
    entries(): Generator<[string, GgufValue]>;
    /** The same as {@link entries}. */
    [Symbol.iterator](): Generator<[string, GgufValue]>;
}

/**
 * A `Readable` of Node.js's. Its members are named here, for programs without Node.js's types; to those with them it is
 * a `NodeJS.ReadableStream`.
 */
interface TensorReadStream extends AsyncIterable<Bytes> {
    readonly readable: boolean;
    readonly readableEnded: boolean;
    readonly readableFlowing: boolean | null;
    readonly readableHighWaterMark: number;
    readonly readableLength: number;
    readonly destroyed: boolean;
    readonly closed: boolean;
    readonly errored: Error | null;
    destroy(error?: Error): this;
    read(size?: number): any;
    setEncoding(encoding?: any): this;
    pause(): this;
    resume(): this;
    isPaused(): boolean;
    pipe<T>(destination: T, options?: {
        end?: boolean | undefined;
    }): T;
    unpipe(destination?: any): this;
    unshift(chunk: any, encoding?: any): void;
    wrap(stream: any): this;
    addListener(event: string | symbol, listener: (...args: any[]) => void): this;
    on(event: string | symbol, listener: (...args: any[]) => void): this;
    once(event: string | symbol, listener: (...args: any[]) => void): this;
    removeListener(event: string | symbol, listener: (...args: any[]) => void): this;
    off(event: string | symbol, listener: (...args: any[]) => void): this;
    removeAllListeners(event?: string | symbol): this;
    setMaxListeners(count: number): this;
    getMaxListeners(): number;
    listeners(event: string | symbol): any[];
    rawListeners(event: string | symbol): any[];
    emit(event: string | symbol, ...args: any[]): boolean;
    listenerCount(event: string | symbol): number;
    prependListener(event: string | symbol, listener: (...args: any[]) => void): this;
    prependOnceListener(event: string | symbol, listener: (...args: any[]) => void): this;
    eventNames(): (string | symbol)[];
    [Symbol.asyncIterator](): AsyncIterator<any>;
}

/** How a model on a server is opened. */
interface OpenUrlOptions extends HeaderOptions {
    /**
     * Whether a file that a `file:` URL names is opened by its header alone: as a model on a server always is, whatever is said here.
     * `false` by default.
     */
    headerOnly?: boolean;
    /**
     * Fields that are sent along, such as `authorization: 'Bearer TOKEN'`: to the server of the URL (scheme, host and port), and
     * to none that it redirects to. User and password in the URL are sent as such a field. `range` and `if-range` are the
     * requests' own. None by default.
     */
    headers?: Readonly<Record<string, string>>;
    /**
     * The most that is fetched of all headers together, in bytes, from 4 KiB to 256 MiB; beyond, the rule is `header-too-large`.
     * 64 MiB by default, four times the largest header of a model that is published.
     */
    maxHeaderBytes?: number;
    /** How long all of it may take, redirects and all files together, in milliseconds. 60,000 by default. */
    timeoutMs?: number;
    /** Ends it: it rejects with an {@link AbortError} whose cause is the signal's reason. None by default. */
    signal?: AbortSignal;
}

/** An address that `open` tells from a path by its type. */
type WebAddress = `http://${string}` | `https://${string}`;
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
    private constructor();
    /**
     * Opens a file and reads its header. No tensor data is read.
     *
     * An address of `http:` or `https:` is opened as by {@link openUrl}, and is a promise. TypeScript tells one from a path only
     * where it sees its beginning: for one in a variable take {@link openUrl}.
     *
     * @throws {@link IoError} when it cannot be opened or read, or is no regular file.
     * @throws {@link InvalidGgufError} when it breaks a rule of the format.
     */
    static open(url: WebAddress, options?: OpenUrlOptions): Promise<GgufFile>;
    static open(path: string | URL, options?: OpenOptions): GgufFile;
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
    static openUrl(url: string | URL, options?: OpenUrlOptions): Promise<GgufFile>;
    /**
     * Takes a copy of the bytes of a whole file, or of its header alone with `headerOnly`.
     *
     * @throws {@link InvalidGgufError} when they break a rule of the format.
     */
    static fromBytes(bytes: Uint8Array, options?: OpenOptions): GgufFile;
    /** Whether it was opened without its data: with `headerOnly`, or by an address. */
    get headerOnly(): boolean;
    /**
     * The path it was opened under, `<bytes>` for bytes; of a split model that of its first file. An address is without user,
     * query and fragment, which may be secret.
     */
    get path(): string;
    /** The paths of its files: one, or those of a split model in their order. */
    get paths(): readonly string[];
    /**
     * The size of the model when it was opened, all its files together, in bytes. Of a file on a server that does not tell it, the
     * least that it can be.
     */
    get sizeBytes(): number;
    /** The version of the container: 2 or 3. */
    get version(): number;
    /** The model family (`general.architecture`), such as `"llama"`, if it is given. */
    get architecture(): string | undefined;
    /** The mixture of tensor types the model was quantised to (`general.file_type`), if it is given. */
    get fileType(): GgufFileType | undefined;
    /** What tensor offsets are multiples of, in bytes. */
    get alignmentBytes(): number;
    /** Where the data section of the first file starts, in bytes from the beginning of the model in it. */
    get dataOffsetBytes(): number;
    /** Bytes of the data sections, each from its start to the end of its last tensor, gaps included. */
    get dataBytes(): number;
    /** Which part of a split model the file is, if it is one; of a whole split model, what its first file says. */
    get split(): GgufSplit | undefined;
    /** The tensors, in file order; of a split model those of its first file, then those of the next. */
    get tensors(): readonly Readonly<TensorInfo>[];
    /**
     * Bytes of the data that belong to no tensor and are no padding: of a sound file none, unless its writer left room. Many of
     * them mean that the tensors are larger than their types say, as those of a fork of ggml's are.
     */
    get gaps(): GgufGap[];
    /** The tensor of that name, `undefined` if there is none. */
    tensor(name: string): TensorInfo | undefined;
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
    stream<As extends TensorOutput = 'raw'>(options?: StreamOptions<As>): AsyncGenerator<TensorChunk<As>, void, undefined>;
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
    createReadStream(tensor: string, options?: ReadStreamOptions): TensorReadStream;
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
    load<As extends TensorOutput = 'raw'>(name: string, options: LoadIntoBufferOptions<As>): Promise<DeviceBuffer>;
    load<As extends TensorOutput = 'raw'>(name: string, options?: LoadIntoOptions<As>): Promise<TensorData<As>>;
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
    loadAll<As extends TensorOutput = 'raw'>(options: LoadAllIntoPoolOptions<As>): Promise<Map<string, DeviceBuffer>>;
    loadAll<As extends TensorOutput = 'raw'>(options: LoadAllIntoOptions<As>): Promise<Map<string, TensorData<As> | DeviceBuffer>>;
    loadAll<As extends TensorOutput = 'raw'>(options?: LoadAllOptions<As>): Promise<Map<string, TensorData<As>>>;
    /**
     * Closes the file. Streams already begun go on, and the header's fields stay readable; tensors, metadata, streams
     * and loads throw {@link ReleasedError}. Idempotent.
     */
    close(): void;
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose](): void;
}

/** How the keys or values of a cache may be stored, by llama.cpp's names. */
type KvType = ReturnType<typeof kvTypes$1>[number];
/** A program whose needs are known. */
type Runtime = ReturnType<typeof runtimes$1>[number];
/** A version of llama.cpp whose compute buffers are known. */
type LlamaCppVersion = ReturnType<typeof llamaCppVersions$1>[number];
/** A processor whose order of weights is known. */
type Processor = ReturnType<typeof processors$1>[number];
/** The types that a cache may be stored in, by llama.cpp's names. */
declare const kvTypes: readonly KvType[];
/** The programs whose needs are known. */
declare const runtimes: readonly Runtime[];
/** The versions of llama.cpp whose compute buffers are known. */
declare const llamaCppVersions: readonly LlamaCppVersion[];
/** The processors whose order of weights is known. */
declare const processors: readonly Processor[];
/** What of a run is told and never searched. */
interface FixedOptions {
    /** Whether attention is computed without keeping its scores. `true` by default. */
    flashAttention?: boolean;
    /** Tokens that are given at once. 2048 by default. */
    batch?: number;
    /** Tokens of a batch whose logits are wanted. All by default; one a slot for llama-server. */
    outputs?: number;
    /** Whether layers with a window keep the whole context. `false` by default, as the command line has it. */
    swaFull?: boolean;
    /** Whether all slots share one cache. `false` by default. */
    unifiedKv?: boolean;
    /** Whether embeddings are wanted, not logits. `false` by default. */
    embeddings?: boolean;
    /**
     * The program that runs the model: `'llama.cpp'` (default), which node-llama-cpp is too; `'llama-server'`, with its cache of
     * prompts and checkpoints; `'rkllm'`; or `'generic'`, which has the weights in memory once and maps nothing.
     */
    runtime?: Runtime;
    /**
     * The version of llama.cpp, `'0.5'` or `'0.6'`. None by default: then `computeBytes` is that of `'0.5'`, which node-llama-cpp
     * 3.22 has, and `computeBoundBytes` covers every version that is known.
     */
    llamaCppVersion?: LlamaCppVersion;
    /**
     * Layers on the GPU, from the last on; the output matrix counts as one, and goes there first. More than there are means all.
     * 0 by default.
     */
    gpuLayers?: number;
    /** The first layers, whose experts stay with the processor though the rest of them is on the GPU. 0 by default. */
    cpuMoeLayers?: number;
    /** Whether the processor's weights are pages of the mapped file. `true` by default. */
    mmap?: boolean;
    /** Whether weights that the processor has a faster order for are kept a second time in it. `true` by default. */
    repack?: boolean;
    /**
     * The processor whose order `repack` means: `'x64'`, `'x64-amx'` (with tiles for whole numbers) or `'arm64'`. That of this
     * machine by default.
     */
    processor?: Processor;
    /** Bytes that a server's cache of prompts may take. 8 GiB for llama-server, 0 for others by default. */
    promptCacheBytes?: number;
    /**
     * Checkpoints that a server keeps of each slot, where the model has a window or a state. 32 for llama-server, 0 for others by
     * default.
     */
    checkpoints?: number;
    /**
     * Whether something is asked of the run that no option says: the bound of the compute buffer is half as much again then.
     * `false` by default.
     */
    widened?: boolean;
}
/** What an estimate is made for, beside the files. */
interface RunOptions extends FixedOptions {
    /**
     * Tokens of one slot; the whole cache holds `contextLength x parallel` of them. By default as many as the model was trained
     * with.
     */
    contextLength?: number;
    /** Slots: sequences that are worked on at the same time. 1 by default, at most 256. */
    parallel?: number;
    /** How keys are stored: one of {@link kvTypes}. `'f16'` by default. */
    kvTypeK?: KvType;
    /** How values are stored: one of {@link kvTypes}; blocks of them need flash attention. `'f16'` by default. */
    kvTypeV?: KvType;
    /** Tokens that are computed at once, at most `batch`. 512 by default. */
    ubatch?: number;
}
/** What is loaded beside the model. */
interface CompanionOptions {
    /** A projector for images or sound. None by default. */
    mmproj?: GgufFile;
    /**
     * A draft model: its file, or an object with what is different for it. Its slots, batches and attention are those of the run.
     * None by default.
     */
    draft?: GgufFile | DraftOptions;
    /**
     * Whether the model drafts for itself, with the blocks of its file that predict further tokens; how, where it is no `true`. Not with
     * a `draft`. `false` by default.
     */
    mtp?: boolean | MtpOptions;
    /** Adapters (LoRA). None by default. */
    loras?: readonly GgufFile[];
    /**
     * Tensors that stay with the processor though their layer is on the GPU: regular expressions, one of which is found in the name. None
     * by default.
     */
    cpuTensors?: readonly string[];
}
/** A draft model and how it is run. */
interface DraftOptions {
    /** Its file. */
    model: GgufFile;
    /** Tokens of its slots. As many as the run's by default. */
    contextLength?: number;
    /** How its keys are stored. `'f16'` by default. */
    kvTypeK?: KvType;
    /** How its values are stored. `'f16'` by default. */
    kvTypeV?: KvType;
    /** Its layers on the GPU. As many as the `gpuLayers` of the run say by default. */
    gpuLayers?: number;
}
/** How a model drafts for itself. */
interface MtpOptions {
    /** Tokens that are drafted at once. 3 by default. */
    draftTokens?: number;
    /** How the keys of those blocks are stored. `'f16'` by default. */
    kvTypeK?: KvType;
    /** How the values of those blocks are stored. `'f16'` by default. */
    kvTypeV?: KvType;
}
/** What {@link estimate} takes. */
interface EstimateOptions extends RunOptions, CompanionOptions {
}

/** What {@link ModelMemoryEstimate.fromParams} takes. */
interface ParamsOptions extends RunOptions {
    /** Tokens of one slot; the whole cache holds `contextLength x parallel` of them. 2048 by default. */
    contextLength?: number;
    /** The level that the weights are quantised to, by llama.cpp's name in capitals or not. `'F16'` by default. */
    quant?: string;
    /** The model whose dimensions it has: one of {@link typicalShapes}. By default the one that stands for its size. */
    shape?: string;
}
/** What {@link ModelMemoryEstimate.fromConfig} takes. */
interface ConfigOptions extends RunOptions {
    /** The level that the weights are quantised to. `'F16'` by default. */
    quant?: string;
    /** Bytes of the weights, as they are stored: the size of a `.rkllm` file. By default as many as `quant` has for the shape. */
    weightsBytes?: number;
}
/** What {@link ModelMemoryEstimate.fromShape} takes. */
interface ShapeOptions extends ConfigOptions {
}
/**
 * What a model needs, part by part, in bytes.
 *
 * Weights, caches and states are what llama.cpp counts, to the byte. The compute buffer is that, too, where `computeExact` says so;
 * else it has a best guess and a bound.
 *
 * @example
 * const model = GgufFile.open('model.gguf', { headerOnly: true })
 * const needs = estimate(model, { contextLength: 8192, parallel: 2, kvTypeK: 'q8_0', kvTypeV: 'q8_0' })
 * if (!needs.fitsIn(budget)) console.error(`${formatBytes(needs.totals.peakBytes)} are not there`)
 */
declare class ModelMemoryEstimate {
    #private;
    /** The model family, as the file names it. */
    readonly architecture: string;
    /**
     * Whether the rules of that family are known. Where they are not, those of a plain transformer were taken: then no figure but
     * that of the weights is exact, and none is a bound.
     */
    readonly known: boolean;
    /** Tokens of one slot. */
    readonly contextLength: number;
    /** Slots. */
    readonly parallel: number;
    /** All weights that are loaded, on all devices. */
    readonly weightsBytes: number;
    /** Keys and values of all slots. */
    readonly kvCacheBytes: number;
    /** Recurrent states of all slots. */
    readonly stateBytes: number;
    /** The compute buffer of one device, as near as it is known. */
    readonly computeBytes: number;
    /** What the compute buffers of all devices take at most. */
    readonly computeBoundBytes: number;
    /** Whether both are what llama.cpp takes on the CPU, to the byte. */
    readonly computeExact: boolean;
    /** The logits, and embeddings where they are asked for, that a caller may read. */
    readonly outputBytes: number;
    /** The weights in parts. */
    readonly weights: WeightBytes;
    /** The same by layer, and its caches: one for each block of the file. */
    readonly layers: readonly LayerBytes[];
    /** What each device holds: the processor, and the GPU where layers are given to it. */
    readonly devices: readonly ModelDeviceBytes[];
    /** What the run needs beside the model. */
    readonly extras: readonly EstimateExtra[];
    /** All of it together. */
    readonly totals: EstimateTotals;
    /**
     * With `'rkllm'`: how many of the NPU's domains all of it takes at least once there is a context, each a window of 4 GiB. A driver has
     * sixteen of them, older ones have one. 0 for other programs.
     */
    readonly npuDomains: number;
    private constructor();
    /**
     * A model of so many parameters, without its file: weights by the true bits of a level of quantisation, caches and compute buffer
     * by the dimensions of a typical model of its size. `contextLength` is 2048 by default.
     *
     * @throws {@link InvalidArgumentError} for an unfit number or option.
     * @example
     * ModelMemoryEstimate.fromParams(7e9, { quant: 'Q4_K_M' }).fitsIn(MemoryBudget.forBoard('orin-nano-8gb'), 8192)
     */
    static fromParams(parameters: number, options?: ParamsOptions): ModelMemoryEstimate;
    /**
     * A model by the `config.json` of its repository: of Hugging Face's transformers. Caches are exact for a family that is known.
     *
     * @throws {@link InvalidArgumentError} for a configuration that lacks a dimension, or has a kind of attention that only the file
     * tells enough of.
     */
    static fromConfig(config: ModelConfig, options?: ConfigOptions): ModelMemoryEstimate;
    /**
     * A model by its dimensions, its weights at a level of quantisation or of so many bytes: for a file that is no GGUF, such as
     * one of RKLLM.
     *
     * @throws {@link InvalidArgumentError} for a dimension or an option that cannot be.
     * @example
     * const { size } = await stat('qwen2.5-3b.rkllm')
     * ModelMemoryEstimate.fromShape(dimensions, { weightsBytes: size, runtime: 'rkllm', contextLength: 4096 })
     */
    static fromShape(shape: ModelShape, options?: ShapeOptions): ModelMemoryEstimate;
    /**
     * Whether all of it, at its peak, could be allocated now: from a budget, or of so many bytes. Another `contextLength` than that
     * of the estimate may be asked for.
     *
     * @throws {@link InvalidArgumentError} for what is no budget and no size, and a context that cannot be.
     * @throws {@link ReleasedError} for another context of a file that was closed.
     */
    fitsIn(budget: MemoryBudget | number, contextLength?: number): boolean;
}
/**
 * What a model needs, by its header alone: open it with `headerOnly` before it is there whole.
 *
 * @throws {@link InvalidModelError} with the key of the metadata that is missing, zero, absurd or contradicts another.
 * @throws {@link InvalidArgumentError} for an unfit option, and a type of the cache that the model cannot have.
 * @throws {@link ReleasedError} for a file that was closed.
 * @example
 * using model = GgufFile.open('model.gguf')
 * const { weightsBytes, kvCacheBytes, computeBoundBytes, totals } = estimate(model, { contextLength: 4096 })
 */
declare function estimate(model: GgufFile, options?: EstimateOptions): ModelMemoryEstimate;
/** Every level of quantisation, the largest first. */
declare const quantizations: readonly Readonly<Quantization>[];
/** The models whose dimensions stand for others of their size. */
declare const typicalShapes: readonly Readonly<TypicalShape>[];
/**
 * Bytes of so many parameters at a level of quantisation.
 *
 * @throws {@link InvalidArgumentError} for an unfit number, and a level that is none.
 * @example
 * quantizedSizeBytes(7e9, 'Q4_0') // 4077675000
 */
declare function quantizedSizeBytes(parameters: number, quant: string): number;
/**
 * The bytes that a file is said to need in memory by the rule of thumb of older tools: its size and half of it. It knows nothing of
 * the context; for files whose header nobody can read.
 *
 * @throws {@link InvalidArgumentError} when the size is no whole number of bytes.
 */
declare const ruleOfThumbBytes: (fileBytes: number) => number;

/** What is chosen. */
type FitAxis = ReturnType<typeof fitAxes>[number];
/** What {@link fit} takes. */
interface FitOptions extends FixedOptions, CompanionOptions {
    /** Tokens that a slot must have. 2048 by default, or as many as the model was trained with. */
    minContext?: number;
    /** The most tokens that a slot may have. As many as the model was trained with by default. */
    maxContext?: number;
    /** Slots: one number, or several with the best first. 1 by default. */
    parallel?: number | readonly number[];
    /**
     * Types of the cache, for keys and values alike, the best first; those that the model cannot have are passed over.
     * `['f16', 'q8_0']` by default.
     */
    kvTypes?: readonly KvType[];
    /** Micro-batches, the best first. `[512, 256, 128]` by default. */
    ubatches?: readonly number[];
    /**
     * What is decided first. `['parallel', 'kvType', 'ubatch', 'context', 'mmap']` by default: the longest context of the best of all
     * else. With `['context']` the longest context that any choice allows, layers on a GPU with a limit apart. Those that are not named come behind.
     */
    priorities?: readonly FitAxis[];
    /** Whether the processor's weights are pages of the mapped file. It is chosen by default, mapped being the better. */
    mmap?: boolean;
    /** Tokens that are given at once. 2048 by default; no fewer than the micro-batch that is chosen, whatever is said. */
    batch?: number;
    /**
     * Layers on the GPU, from the last on; the output matrix counts as one, and goes there first. 0 by default. With a limit of the GPU in
     * `devices` as many as it has room for are chosen: at most so many, where a number other than 0 is given.
     */
    gpuLayers?: number;
    /** Bytes that a server's cache of prompts may take. 0 by default: `spareBytes` is what there is for it. */
    promptCacheBytes?: number;
    /** Checkpoints that a server keeps of each slot, where the model has a window or a state. 0 by default, as with the cache of prompts. */
    checkpoints?: number;
    /** The most that one allocation may have, in bytes, such as the largest hole of a device. No limit by default. */
    largestAllocationBytes?: number;
    /**
     * Limits of devices, in bytes, for all that lies there. With one of the GPU as many layers go there as it has room for with
     * the shortest context, at most `gpuLayers` if that is given; without, `gpuLayers` of them. A refusal names the device. No
     * limits but the budget by default.
     */
    devices?: {
        /** Of main memory, in bytes. */
        cpuBytes?: number;
        /** Of the GPU's, in bytes. */
        gpuBytes?: number;
    };
}
/** What {@link fit} has found. */
interface Fit {
    /** Whether it stays within every limit. */
    fits: boolean;
    /** The best configuration that fits; where none does, the one with the smallest needs. */
    configuration: FitConfiguration;
    /** What it needs. */
    estimate: ModelMemoryEstimate;
    /** Why it is no larger, or why it does not fit: sentences. */
    reasons: string[];
    /** What else could be had, the largest gain first; empty where nothing fits. */
    trades: FitTrade[];
    /** What the budget has left beside it: room for a server's cache of prompts and checkpoints. */
    spareBytes: number;
}
/**
 * The best configuration of a model that a budget, or a number of bytes, has room for: slots, type of the cache, micro-batch and
 * context, by exact search. That nothing fits is no error: `fits` is false then.
 *
 * The peak counts: contexts full and, with files beside the model, an image in work. A server's cache of prompts and its checkpoints count
 * only if their sizes are given; `spareBytes` is what there is for them.
 *
 * @throws {@link InvalidModelError} with the key of the metadata that is missing, zero, absurd or contradicts another.
 * @throws {@link InvalidArgumentError} for an unfit option.
 * @throws {@link ReleasedError} for a file that was closed.
 * @example
 * const { fits, configuration, trades } = fit(model, budget, { parallel: 4, minContext: 256 })
 * // Such as "q8_0 KV: +9,216 tokens, or saves 240.00 MiB".
 * for (const { description } of trades) console.log(description)
 */
declare function fit(model: GgufFile, budget: MemoryBudget | number, options?: FitOptions): Fit;

/** An argument that bears on memory, or may, and that an estimate does not follow. */
interface NotUnderstood {
    /** The argument as it was given, with its value where it is known to have one. */
    readonly argument: string;
    /** What an estimate lacks. */
    readonly reason: string;
}

/** The programs that an estimate tells apart: the server, the chat that is a server within, and all others. */
type LlamaRuntime = 'llama-server' | 'llama-cli' | 'llama.cpp';

/** The options of an estimate that a command line stands for. What it does not say is not there, and has its default. */
interface LlamaOptions {
    /** Tokens of one slot. Not there when the model says it: see {@link LlamaArguments.contextFromModel}. */
    contextLength?: number;
    /** Slots. */
    parallel: number;
    /** How keys are stored. */
    kvTypeK?: KvType;
    /** How values are stored. */
    kvTypeV?: KvType;
    /** Not there for `auto`, which is on wherever the device can. */
    flashAttention?: boolean;
    /** Tokens that are given at once. */
    batch?: number;
    /** Tokens that are computed at once. */
    ubatch?: number;
    /** Tokens of a batch whose logits are wanted; not there for all of them. */
    outputs?: number;
    /** Whether layers with a window keep the whole context. */
    swaFull?: boolean;
    /** Whether all slots share one cache. */
    unifiedKv: boolean;
    /** Whether embeddings are wanted, not logits. */
    embeddings?: boolean;
    /** Layers on the GPU; more than any model has for all of them, and for `auto`. */
    gpuLayers?: number;
    /** The first layers, whose experts stay with the CPU; more than any model has for all of them. */
    cpuMoeLayers?: number;
    /** Tensors that stay with the CPU, whatever is said of their layer: regular expressions. */
    cpuTensors?: string[];
    /** Whether the file is mapped. Not there for `auto`: it is, unless a device cannot. */
    mmap?: boolean;
    /** Whether weights of the CPU are repacked. */
    repack?: boolean;
    /** The file of the projector. */
    mmprojPath?: string;
    /** The file of the draft model. */
    draftPath?: string;
    /** Tokens of one slot of the draft model. As many as the model's when it is not there. */
    draftContextLength?: number;
    /** How the draft model's keys are stored. */
    draftKvTypeK?: KvType;
    /** How the draft model's values are stored. */
    draftKvTypeV?: KvType;
    /** The draft model's layers on the GPU. As many as the model's when it is not there. */
    draftGpuLayers?: number;
    /** Whether the model drafts for itself, with its blocks that predict further tokens. */
    mtp?: boolean;
    /** Tokens that are drafted at once, where it does. */
    draftTokens?: number;
    /** The files of LoRA adapters. */
    loraPaths?: string[];
    /** Limit of the server's cache of prompts, in bytes. */
    promptCacheBytes: number;
    /** States of its context that each slot may keep. */
    checkpoints: number;
    /** The program, of which estimates know three. */
    runtime: LlamaRuntime;
}
/** What a command line of llama.cpp says about memory. */
interface LlamaArguments {
    /** The program's name, without its folder. */
    program: string;
    /** The file of the model; none when the command line names none, or has one downloaded. */
    modelPath?: string;
    /**
     * Whether the context is as long as the model was trained with. Then that is the context of all slots together: the
     * option is `contextOfSlot(trained, options.parallel)`.
     */
    contextFromModel: boolean;
    /** The options of the estimate. */
    options: LlamaOptions;
    /** What bears on memory, or may, and is not followed: each widens the bound of the estimate. */
    notUnderstood: NotUnderstood[];
    /** The arguments and variables that bear no memory, by their names. */
    ignored: string[];
}
/**
 * Tokens of one slot, of a context that all slots divide between them: `-c` is the whole of it, rounded up to cells of 256 at
 * a time. With one cache for all slots, it is the share of a slot.
 *
 * @throws {@link InvalidArgumentError} for what are no such numbers.
 */
declare function contextOfSlot(tokens: number, slots: number): number;
/**
 * Reads the command line of llama-server, llama-cli or another program with llama.cpp's common arguments, as version 0.6.0 of
 * llama.cpp does. Nothing is opened. `argv` begins with the program; `env` is its environment, none by default.
 *
 * @throws {InvalidArgumentError} an argument has no value, or one that llama.cpp refuses
 */
declare function llamaArguments(argv: readonly string[], env?: Readonly<Record<string, string | undefined>>): LlamaArguments;

/** The files that a command line names, open, and the options that it stands for. */
interface LlamaRun extends Disposable {
    /** What the command line says. */
    command: LlamaArguments;
    /** The model's header. */
    model: GgufFile;
    /** What {@link estimate} takes. */
    options: EstimateOptions;
    /** Closes all files. Idempotent. */
    close(): void;
}
/**
 * Opens what a command line of llama.cpp names, headers alone, and gives the options of its estimate. What was not understood widens
 * the bound. `argv` begins with the program; `env` is its environment, none by default.
 *
 * @throws {@link InvalidArgumentError} as of {@link llamaArguments}, and for a command line that names no model.
 * @throws {@link IoError} and {@link InvalidGgufError} as of {@link GgufFile.open}.
 * @example
 * const { model, options } = openLlamaRun(['llama-server', '-m', 'model.gguf', '-c', '8192'])
 * estimate(model, options).totals.peakBytes
 */
declare function openLlamaRun(argv: readonly string[], env?: Readonly<Record<string, string | undefined>>): LlamaRun;

type NativeComponent = NativeVerification['components'][number];
/** What {@link measureUse} takes. */
interface MeasureUseOptions {
    /** The id of the process: this one by default. */
    pid?: number;
    /**
     * The model that it runs, so that pages of its files are told from those of libraries; its header is enough. None by default:
     * then those of all files count.
     */
    model?: GgufFile;
}
/** What a process, and the machine it runs on, have in use at one moment, in bytes. What nobody tells is absent, not 0. */
interface MemoryUse {
    /** The id of the process. */
    pid: number;
    /** Resident memory of the process, in bytes: the sum of its three parts. */
    rssBytes: number;
    /** Heap, stacks and other anonymous memory, in bytes. */
    anonymousBytes: number;
    /** Pages of mapped files, in bytes: those of programs and libraries too. */
    fileBytes: number;
    /** Shared memory, in bytes. */
    shmemBytes: number;
    /** Resident pages of the model's files, in bytes. */
    mappedBytes?: number;
    /** What the process holds on GPUs, in bytes. */
    gpuBytes?: number;
    /** What all processes together hold of a Jetson's GPU and engines (`NvMapMemUsed`), in bytes. */
    nvmapBytes?: number;
    /** What the machine can give to that process, in bytes: {@link MemoryBudget.headroom}, whatever is pending. */
    headroomBytes?: number;
    /** What of these could not be measured, and why. */
    missing: {
        /** What it is. */
        signal: 'mappedBytes' | 'gpuBytes' | 'headroomBytes';
        /** Why it could not be. */
        reason: string;
    }[];
}
/** What {@link verifyEstimate} takes. */
interface VerifyEstimateOptions {
    /**
     * When the use was measured: `'loading'`, with the weights and no context; `'steady'` (default), with a context; `'full'`, with
     * caches full and an image in work.
     */
    phase?: 'loading' | 'steady' | 'full';
    /**
     * Bytes that the program takes beside the model: its heap, the vocabulary, stacks of threads. By default 64 MiB on top of what it
     * had before, 128 MiB without a measurement from before.
     */
    programBytes?: number;
}
/** One component of an estimate, and what it takes. */
interface ComponentUse {
    /**
     * Which it is: weights that are pages of the mapped file; memory of the process's own, which is caches, compute and output
     * buffers, weights that are read or repacked, and what comes on top; what is on a GPU; all of it.
     */
    component: NativeComponent['component'];
    /** As near as the estimate knows it, in bytes. */
    estimatedBytes: number;
    /** What it may take at most, in bytes: its bound, and `programBytes` where the signal shows the program too. */
    boundBytes: number;
    /** What it takes, in bytes. */
    measuredBytes?: number;
    /** How far that is from the estimate, in percent of it; negative for less. */
    differencePercent?: number;
    /**
     * What says so: pages of the model's files, or of all files; anonymous and shared memory; what a driver says of the process, or
     * of all of them; how far the machine's headroom fell, whoever took it.
     */
    from?: NonNullable<NativeComponent['measured']>['signal'];
    /** Why it was not measured. */
    missing?: string;
}
/** What {@link verifyEstimate} found. */
interface EstimateVerification {
    /** The components of which the model has something; `'all'` comes last. */
    components: ComponentUse[];
    /**
     * Whether the process uses no more than the bounds say. What is on a GPU and told by no driver is judged by the machine's headroom;
     * without a figure from before it is `'not-measurable'`.
     */
    verdict: NativeVerification['verdict'];
}
/**
 * Measures what a process uses, for {@link verifyEstimate}: take one before its model is loaded, and one after.
 *
 * @throws {@link IoError} where `/proc` is not mounted, and when no such process runs.
 * @throws {@link InvalidArgumentError} for an unfit option.
 * @example
 * const before = await measureUse({ pid, model })
 */
declare function measureUse(options?: MeasureUseOptions): Promise<MemoryUse>;
/**
 * Compares an estimate with what a process uses now. With what it used `before` the model was loaded, growth is compared, else all that
 * it has.
 *
 * The kernel gives pages when they are touched: of the compute buffer all shows once a whole micro-batch was computed at the end of
 * a full context. The verdict is about more than the bound, not about less than the estimate.
 *
 * @throws {@link InvalidArgumentError} for what is no estimate and no measurement, and an unfit option.
 * @example
 * const before = await measureUse({ pid, model })
 * // ... the process loads the model, and makes its context ...
 * const { verdict, components } = verifyEstimate(needs, before, await measureUse({ pid, model }))
 */
declare function verifyEstimate(estimate: ModelMemoryEstimate, before: MemoryUse | undefined, after: MemoryUse, options?: VerifyEstimateOptions): EstimateVerification;

/** What a run of a reclaim callback came to. */
interface ReclaimRun {
    /** The label it was registered under. */
    label: string;
    /** How long it ran, in milliseconds. */
    durationMs: number;
    /** What it threw, if it did; the next reclaim callback runs all the same. */
    error?: unknown;
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
    /** The OOM killer has killed something since the sample before. */
    kill: [sample: MonitorSample, count: number];
    /** A sample was taken. */
    sample: [sample: MonitorSample];
    /** A reclaim callback has run. */
    reclaim: [run: ReclaimRun];
    /**
     * The machine's memory, or a limit over the process that is there, cannot be read; the monitor goes on trying. Nobody
     * can tell that it is not critical, so it counts as that and the budget refuses. The next sample tells its level,
     * whatever it is.
     */
    unavailable: [reason: string];
}
/** What any emitter of Node.js's has besides. */
type UsualEvent = 'error' | 'newListener' | 'removeListener';
/**
 * An `EventEmitter` of Node.js's: `events.once` and `events.on` take it. Its members are named here, for programs without
 * Node.js's types. An event that there is none of is an {@link InvalidArgumentError}, which names the nearest.
 */
interface MonitorEmitter {
    /** Calls `listener` for every event of that name. What a listener throws is thrown as of any event emitter. */
    on<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    on(event: UsualEvent | symbol, listener: (...args: any[]) => void): this;
    /** The same as `on`. */
    addListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    addListener(event: UsualEvent | symbol, listener: (...args: any[]) => void): this;
    /** Calls `listener` for the next event of that name only. */
    once<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    once(event: UsualEvent | symbol, listener: (...args: any[]) => void): this;
    prependListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    prependListener(event: UsualEvent | symbol, listener: (...args: any[]) => void): this;
    prependOnceListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    prependOnceListener(event: UsualEvent | symbol, listener: (...args: any[]) => void): this;
    /** Forgets a listener. */
    off<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    off(event: UsualEvent | symbol, listener: (...args: any[]) => void): this;
    /** The same as `off`. */
    removeListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
    removeListener(event: UsualEvent | symbol, listener: (...args: any[]) => void): this;
    /** Forgets every listener, or those of one event. */
    removeAllListeners(event?: string | symbol): this;
    emit(event: string | symbol, ...args: any[]): boolean;
    eventNames(): (string | symbol)[];
    listenerCount(event: string | symbol, listener?: any): number;
    listeners(event: string | symbol): any[];
    rawListeners(event: string | symbol): any[];
    setMaxListeners(count: number): this;
    getMaxListeners(): number;
}
/** What a monitor is besides. */
declare const Emitter: abstract new () => MonitorEmitter;

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
    /** What was added since the stage before, in bytes; negative where something was released. */
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
    /** Where `warning` begins, in percent, 0 to 100. 80 by default. */
    warnPercent?: number;
    /** Where `critical` begins, in percent, 0 to 100. 95 by default. */
    criticalPercent?: number;
    /** How far use must fall below a limit before its level ends, in percent, 0 to 100. 3 by default. */
    hysteresisPercent?: number;
}
/** How a monitor watches and what it does. */
interface MonitorOptions extends MemoryLimits {
    /** What is left untouched of the machine's memory, in bytes. 3 % of it, at least 256 MiB, by default. */
    floorBytes?: number;
    /** Whether the budget refuses new allocations while the level is critical. True by default. */
    refuseAtCritical?: boolean;
    /**
     * Whether V8 collects its garbage as the level turns critical, before the other reclaim callbacks. Best effort: V8 does not
     * promise that the flag for it counts after the start. False by default.
     */
    collectGarbage?: boolean;
    /**
     * The longest time between two samples, in milliseconds, from 10 to 3,600,000. All monitors of a process are sampled
     * together, by the shortest. By default as long as the memory can be left alone at the fastest growth that is plausible: room
     * / 6000 MiB per second, between 50 and 1000 ms.
     */
    intervalMs?: number;
    /** How many samples {@link MemoryMonitor.history} keeps, 0 to 100,000. 600 by default. */
    historyCount?: number;
}
/**
 * Watches the memory under a budget, and tells of trouble before the kernel acts. It is off until {@link start}.
 *
 * It watches until it is stopped, or nothing refers to it, its budget or its manager any longer and no iteration waits for
 * it. One thread samples for every monitor of the process, and none of them keeps the process alive. Levels are drawn by
 * what is really used: of the machine, of each cgroup over the process, and of the line by this process. What is merely
 * granted raises none; a well-packed budget is full and well.
 *
 * @example
 * manager.monitor.start()
 * manager.monitor.on('warning', ({ usedPercent, constraint }) => log.warn(`${usedPercent.toFixed(0)} %: ${constraint}`))
 * manager.monitor.on('critical', () => cache.clear())
 */
declare class MemoryMonitor extends Emitter implements Disposable, AsyncIterable<MonitorSample> {
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
    /** Stops watching, until {@link start} is called again: iterations end, and the budget grants again. Idempotent. */
    stop(): void;
    /** Stops watching for good: listeners and reclaim callbacks are forgotten, too. Idempotent. */
    close(): void;
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose](): void;
    /** Whether it watches. */
    get running(): boolean;
    /** The level of the last sample; `'normal'` before the first, `'critical'` while the memory or a limit cannot be read. */
    get level(): MemoryLevel;
    /** The last sample, if one was taken. */
    get sample(): MonitorSample | undefined;
    /** Where the levels begin, for as much as was set; see {@link MemoryLimits} for the defaults. */
    get limits(): Readonly<MemoryLimits>;
    /** Sets where the levels begin, also while it watches. What is left out takes its default. */
    set limits(limits: MemoryLimits);
    /** The samples since the start, oldest first, as many as `historyCount` keeps. */
    history(): MonitorSample[];
    /**
     * Registers what may release memory while the level is critical. Reclaim callbacks run in the order of their registration, one
     * at a time, each awaited, until the level is no longer critical; at most one round a second. Each run is told by the event
     * `reclaim`. Returns what forgets it again.
     *
     * @param label - what the event calls it
     * @param run - releases memory; may return a promise
     */
    onReclaim(label: string, run: (sample: MonitorSample) => unknown): Disposable;
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
     * The samples from now on. An iteration that is slower than they come gets the newest 16; it ends with {@link stop} and
     * {@link close}. It starts the monitor if it does not watch yet, and does not keep the process alive. A monitor whose next
     * sample is waited for goes on though nothing else refers to it.
     */
    [Symbol.asyncIterator](): AsyncGenerator<MonitorSample, void, undefined>;
}

/** A size in bytes, or as people write it: `'6 GiB'`, `'512MiB'`, `'8G'`. */
type PlanSize = number | string;
/** A time in milliseconds, or as people write it: `'500ms'`, `'30s'`, `'5min'`, `'2h'`. */
type PlanDuration = number | string;
/** A set of instances with names of its own: `'single'` has a subject, `'matrix'` a subject, an observer and a god. */
type PlanMode = ReturnType<typeof planModes$1>[number];
/** How it is found what a model takes: by the estimate of its header, or as its file and half of it. */
type PlanFormula = 'estimate' | 'rule-of-thumb';
/** How a model is run, as far as its memory depends on it. */
interface PlanRunOptions {
    /** How much memory it may use, in bytes or as text such as `'6 GiB'`. What its model takes by default; in a mode what is recommended. */
    limitBytes?: PlanSize;
    /**
     * How it is found what its model takes. By default the estimate where the header of a GGUF file can be read, else the rule of
     * thumb.
     */
    formula?: PlanFormula;
    /**
     * What computes: the processor, the GPU with all layers unless `gpuLayers` says fewer, or the NPU, whose runtime is `'rkllm'`.
     * `'cpu'` by default.
     */
    device?: 'cpu' | 'gpu' | 'npu';
    /**
     * Tokens of one slot; the whole cache holds `contextLength x parallel` of them. As many as the model was trained with by
     * default.
     */
    contextLength?: number;
    /** Slots: sequences that are worked on at the same time. 1 by default. */
    parallel?: number;
    /** How keys and values are stored. `'f16'` by default. */
    kvType?: KvType;
    /** How keys are stored. `kvType` by default. */
    kvTypeK?: KvType;
    /** How values are stored. `kvType` by default. */
    kvTypeV?: KvType;
    /** Tokens that are given at once. 2048 by default. */
    batch?: number;
    /** Tokens that are computed at once. 512 by default. */
    ubatch?: number;
    /** Whether attention is computed without keeping its scores. `true` by default. */
    flashAttention?: boolean;
    /** Whether layers with a window keep the whole context. `false` by default. */
    swaFull?: boolean;
    /** Whether all slots share one cache. `false` by default. */
    unifiedKv?: boolean;
    /** Whether embeddings are wanted, not logits. `false` by default. */
    embeddings?: boolean;
    /** Layers on the GPU, from the last on. All with the device `'gpu'`, 0 by default else. */
    gpuLayers?: number;
    /** The first layers, whose experts stay with the processor. 0 by default. */
    cpuMoeLayers?: number;
    /** Whether the processor's weights are pages of the mapped file. `true` by default. */
    mmap?: boolean;
    /** Whether weights are kept a second time in the processor's order. `true` by default. */
    repack?: boolean;
    /** The program that runs the model. `'llama.cpp'` by default; `'rkllm'` with the device `'npu'`. */
    runtime?: Runtime;
    /**
     * What a server's cache of prompts may take, in bytes or as text such as `'8 GiB'`. 8 GiB for llama-server, 0 for others by
     * default.
     */
    promptCacheBytes?: PlanSize;
    /** Checkpoints that a server keeps of each slot. 32 for llama-server, 0 for others by default. */
    checkpoints?: number;
    /** The file of a projector for images or sound. None by default. */
    mmproj?: string;
    /** The file of a draft model. None by default. */
    draft?: string;
    /** The files of adapters (LoRA). None by default. */
    loras?: readonly string[];
}
/** A model, and how it is run. */
interface PlanRun extends PlanRunOptions {
    /** The model file: a GGUF file, the first of a split model, or one of any other format. That of the plan by default, if it has one. */
    model?: string;
}
/** An instance of a plan: its model, and how a supervisor runs it. */
interface PlanInstance extends PlanRun {
    /** The program that runs it, with its arguments: a list, or a line without quotes. None by default: it is started elsewhere. */
    command?: string | readonly string[];
    /** Variables for the command, beside those that it inherits. None by default. */
    environment?: Record<string, string>;
    /** The folder that the command starts in. That of the plan by default. */
    workingDirectory?: string;
    /**
     * An address at which connections for it are taken, such as `'127.0.0.1:8080'` or `':8080'`: it is started at the first one. None by
     * default: it runs from the start on.
     */
    listen?: string;
    /**
     * The address at which the command listens by itself. By default that of `--port` and `--host` in its command, or of `PORT` in its
     * environment, where these are numbers; else a free port of 127.0.0.1, which it finds in `$PORT` and in place of `${PORT}`.
     */
    upstream?: string;
    /**
     * A path that answers 2xx once it is ready. By default it is ready when it accepts connections; once it runs, where nothing says at
     * which address: no `listen`, `upstream` or `healthPath`, no `${PORT}` in its command or environment, and neither `--port N` nor `PORT`.
     */
    healthPath?: string;
    /** Who gives way to whom: the lower first. 0 by default. */
    priority?: number;
    /** How long after its last connection it is stopped, in milliseconds or as text such as `'10min'`; 0 for never, the default. */
    idleTimeoutMs?: PlanDuration;
    /** How long a connection waits for its start before it is answered with 503, in milliseconds or as text. 30 s by default. */
    waitTimeoutMs?: PlanDuration;
    /** How long it may take to be ready, in milliseconds or as text. 5 min by default. */
    startTimeoutMs?: PlanDuration;
    /** How long it may take to end after SIGTERM before it is killed, in milliseconds or as text. 10 s by default. */
    stopTimeoutMs?: PlanDuration;
    /** When it is started again after it has ended by itself. `'on-failure'` by default. */
    restart?: 'no' | 'on-failure' | 'always';
    /** How long the first restart waits, in milliseconds or as text; each further one twice as long. 1 s by default. */
    restartDelayMs?: PlanDuration;
    /** How long a restart waits at most, in milliseconds or as text. 1 min by default. */
    maxRestartDelayMs?: PlanDuration;
    /** How often it is started again at most, until it has run for longer than `maxRestartDelayMs`. No limit by default. */
    maxRestarts?: number;
}
/** Everything that shall run on a board together, as a file in YAML or JSON has it too. */
interface Plan {
    /** Where the schema is, for editors. None by default. */
    $schema?: string;
    /** A set of instances with names of its own: `'single'` or `'matrix'`. None by default. */
    mode?: PlanMode;
    /**
     * The board that it is for: the id of a preset, as `plimsoll doctor --boards` lists them. Models are estimated for its processor. This
     * machine by default.
     */
    board?: BoardId;
    /**
     * The memory that it is for, instead of a board's or this machine's, in bytes or as text such as `'16 GiB'`. That of the board by
     * default.
     */
    totalBytes?: PlanSize;
    /** Share of the memory that is left alone, in percent, 0 to below 100. 15 by default. */
    safetyMarginPercent?: number;
    /**
     * What is left free before each load, in bytes or as text such as `'2 GiB'`. 2 GiB by default, or an eighth of a memory below 16 GiB.
     */
    headroomBytes?: PlanSize;
    /** How it is found what a model takes, of all instances that do not say it. None by default: each as its file allows. */
    formula?: PlanFormula;
    /** The model file of all instances that name none. None by default. */
    model?: string;
    /**
     * What shall run, by name, in the order of start; a name begins with a letter. Each has its {@link PlanRun | model} and
     * {@link PlanInstance | how it is started}. None by default, or those of the mode.
     */
    instances?: Record<string, PlanInstance>;
}

/** An instance that was allocated. */
interface AllocatedInstance {
    /** Its name. */
    id: string;
    /** Its model file, if it has one. */
    model?: string;
    /** Its limit, in bytes, if it has one. */
    limitBytes?: number;
    /** How it was found what its model takes. */
    formula: 'estimate' | 'rule-of-thumb' | 'limit-only';
    /** What it holds of the budget, in bytes: the larger of its limit and of what its model takes. */
    requiredBytes: number;
}
/**
 * The instances that a manager has allocated, by name. Its `toString()` is a report for people.
 *
 * @example
 * manager.allocateInstance('chat', { limitBytes: 512 * MiB })
 * console.log(manager.instances.size) // 1
 * for (const { id, requiredBytes } of manager.instances) console.log(id, formatBytes(requiredBytes)) // chat 512.00 MiB
 * manager.deallocateInstance('chat')
 */
declare class Instances implements Iterable<AllocatedInstance> {
    #private;
    /** How many there are. */
    get size(): number;
    /**
     * Takes what an instance requires off the budget, before it is made. It is refused, too, where there is no room for what its model
     * takes while it is loaded. The guard is held until {@link deallocate}, or the end of the manager.
     *
     * @throws {@link InsufficientMemoryError} when there is not that much.
     * @throws {@link InvalidArgumentError} for a name that a live instance has, without a model and a limit, and for an unfit request.
     * @throws {@link IoError}, {@link InvalidGgufError} and {@link InvalidModelError} for a model that is not there or none.
     * @throws {@link ReleasedError} after the manager was closed.
     */
    allocate(id: string, request: PlanRun): Allocation;
    /** Releases what an instance holds. Returns whether there was one of that name. */
    deallocate(id: string): boolean;
    /** Releases all of them, and takes no more. */
    close(): void;
    /** What each of them holds, in the order of allocation. */
    [Symbol.iterator](): Iterator<AllocatedInstance>;
    /** The allocations for people. */
    toString(): string;
}

/** What {@link checkBeforeLoad} takes: how the model is run, and what is left free. */
interface LoadCheckOptions extends PlanRunOptions {
    /** What is left free, in bytes or as text such as `'2 GiB'`. 2 GiB by default, or an eighth of a memory below 16 GiB. */
    headroomBytes?: PlanSize;
    /**
     * The guard that {@link MemoryManager.allocateInstance} returned for this very load, whose bytes are not held against it.
     * None by default.
     */
    allocation?: Allocation;
}
/** What was found right before a load. */
interface LoadCheck {
    /** Whether the model may be loaded. */
    fits: boolean;
    /** How it was found what it takes. */
    formula: 'estimate' | 'rule-of-thumb';
    /** What it takes from its start on, in bytes: the largest of its limit and of what its model takes, loaded and running. */
    requiredBytes: number;
    /** What the machine can give it now, in bytes, the headroom left free. */
    availableBytes: number;
    /** What is left free, in bytes. */
    headroomBytes: number;
    /** What is left over, in bytes; negative where it does not fit. */
    marginBytes: number;
    /** The bound that leaves least. */
    bindingTerm: HeadroomTerm;
    /** All of it in a sentence. */
    message: string;
}
/**
 * Whether a model may be loaded right now: what it takes, or its limit where that is more, against what the machine can give, with so
 * much left free. The last of three checks, for what changed since a plan passed and its instance was allocated.
 *
 * @param file - a model file of any format
 * @throws {@link IoError} where the file is not there, or the memory cannot be measured.
 * @throws {@link InvalidGgufError} and {@link InvalidModelError} for a file that is no model, and {@link InvalidArgumentError} for an
 *   unfit option.
 * @example
 * const { fits, message } = checkBeforeLoad('model.gguf', { limitBytes: 8 * GiB })
 * if (!fits) throw new Error(message)
 */
declare function checkBeforeLoad(file: string | URL, options?: LoadCheckOptions): LoadCheck;

/** How a buffer of a family is taken. */
interface FamilyAllocateOptions<Kind extends string> {
    /** What it is for. `''` by default. */
    label?: string;
    /** The kind of memory: see the family for its own, and for the one by default. */
    kind?: Kind;
    /** Gives the request up. None by default. */
    signal?: AbortSignal;
}
/** A device that a family has used. */
interface FamilyDevice {
    /** What the device has given out in this process, to whomever, and what it says of itself. */
    usage: DeviceUsage;
    /** What the family holds of it: a slab for each buffer. */
    pool: PoolStats;
}
/**
 * What a family has given out, all its kinds together. What the memory is like is told of one device, as kinds of one
 * processor may share memory, so that their figures do not add up: the first of the family's kinds that was used.
 */
interface FamilyStats {
    /** Bytes that live buffers asked for. */
    usedBytes: number;
    /** The most there ever were at once. */
    peakBytes: number;
    /** Live buffers. */
    count: number;
    /** Buffers ever taken. */
    allocatedCount: number;
    /** All the memory of that device, in bytes, where it says so; else 0. */
    totalBytes: number;
    /** What it could still give, in bytes, where it is known; else 0. */
    freeBytes: number;
    /** The largest buffer it could still give, in bytes, where it is known; else 0. */
    largestFreeBytes: number;
    /** Share of its free bytes that one buffer could not have, 0 to 100. */
    fragmentationPercent: number;
    /** The devices that were used, by name. */
    devices: Record<string, FamilyDevice>;
}
/**
 * Buffers of one kind of processor, each taken from the device by itself, on a manager's account.
 *
 * @example
 * // Of a kind that other processes can map; so are all kinds of `manager.npu`.
 * using input = await manager.system.allocate(640 * 640 * 3, { label: 'input', kind: 'memory-file' })
 * const { fd } = await input.exportFd()
 * manager.system.stats().count // 1
 */
declare class DeviceFamily<Kind extends string> {
    #private;
    /**
     * Takes a buffer from the device, with the machine's headroom and the manager's budget asked before. Before it refuses,
     * it waits for what the manager's families and pools have on its way back, and the pools release what they merely keep
     * for what comes next.
     *
     * @throws {@link DeviceUnavailableError} when there is no such device, or this process may not use it.
     * @throws {@link InsufficientMemoryError} when the budget or the machine has not that much.
     * @throws {@link DeviceError} as the device says.
     * @throws {@link InvalidArgumentError} for an unfit size or option; {@link ReleasedError} after the manager was closed.
     */
    allocate(bytes: number, options?: FamilyAllocateOptions<Kind>): Promise<DeviceBuffer>;
    /** What was given out. Never waits for a device. */
    stats(): FamilyStats;
}

/**
 * The pools of a manager: they count against its budget, release what they hold idle at critical, and end with it.
 *
 * @example
 * await using pool = await manager.pools.create({ device: 'host', initialBytes: 16 * MiB })
 * using buffer = pool.allocate(4 * MiB)
 * console.log(manager.pools.size) // 1
 */
declare class MemoryPools implements Iterable<MemoryPool> {
    #private;
    /**
     * Makes a pool on the manager's account; see {@link MemoryPool.create}. Its device is that of the manager unless it
     * names one. Before {@link MemoryPool.allocateAsync} refuses, it waits for what buffers of the families and the manager's
     * other pools have on its way back, and those pools release the slabs that they keep for what comes next, but neither
     * their `initialBytes` nor what was reserved.
     *
     * @throws {@link ReleasedError} after the manager was closed.
     */
    create(options?: MemoryPoolOptions): Promise<MemoryPool>;
    /** Pools that were not closed. */
    get size(): number;
    /** The pools that were not closed, oldest first. */
    [Symbol.iterator](): Iterator<MemoryPool>;
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
/** All of a profile, as a {@link ProfileWriter} gets it: what is listed is made as it is gone over, as often as that is. */
interface ProfileRows extends Omit<ProfileReport, 'labels' | 'live'> {
    /** The totals by label, most granted first. */
    labels: Iterable<LabelTotals>;
    /** What is live, oldest first. */
    live: Iterable<LiveAllocation>;
    /** The events that are kept, oldest first. */
    events: Iterable<ProfileEvent>;
}

/**
 * Writes a profile as text, in pieces; `profilePage` of `plimsoll/report` is one. Between the pieces of a file the event loop goes
 * on, also at a piece that is empty.
 */
type ProfileWriter = (rows: ProfileRows) => Iterable<string>;
/** The forms in which a profile is data: all of it as JSON, or a trace for Perfetto and chrome://tracing. */
type ProfileFormat = 'json' | 'trace';

/** How a profile is taken. */
interface ProfileOptions {
    /**
     * Events kept; newer ones take the place of older ones. Totals, peaks and leaks do not depend on it. 65,536 by default, at
     * most 1,048,576.
     */
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
 * await manager.profile.save('profile.html', profilePage) // from 'plimsoll/report'
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
     * @throws {@link ReleasedError} after {@link close}.
     */
    start(options?: ProfileOptions): this;
    /** Ends the recording; what was recorded stays until the next {@link start}. Idempotent. */
    stop(): void;
    /** Ends the recording for good: what was recorded is forgotten, and it starts no more. Idempotent. */
    close(): void;
    /** The same as {@link stop}, for `using`: what was recorded in the block is to be read behind it. */
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
     * All of it as text: `'json'`, the report and the events; `'trace'`, for Perfetto and chrome://tracing; or what a writer
     * makes of it, as `profilePage` of `plimsoll/report` makes a page. A hundred thousand events take a good part of a
     * second, during which nothing else runs: {@link save} lets the event loop go on.
     *
     * @throws {@link InvalidArgumentError} for a format that there is none of, and for a text that is longer than a string
     * can be: {@link save} it then.
     */
    export(format: ProfileFormat | ProfileWriter): string;
    /**
     * Writes {@link export | what is exported} to a file, which appears whole or not at all, with the mode and owner of the
     * file that was there. Links are followed; a device or a pipe is written through, and a pipe is waited for until
     * somebody reads it. It is written in pieces, between which the event loop goes on. The format is that of the name,
     * `.trace.json` or `.json`, unless one is given.
     *
     * @throws {@link InvalidArgumentError} for what is no path, and when the name tells no format and none is given.
     * @throws {@link IoError} when the file cannot be written.
     * @example
     * await profile.save('profile.html', profilePage) // from 'plimsoll/report'
     */
    save(path: string | URL, format?: ProfileFormat | ProfileWriter): Promise<void>;
}

/** Where the levels of a manager's monitor begin, and how much it may ever use. */
interface ManagerLimits extends MemoryLimits {
    /** An upper bound of your own, in bytes; see {@link MemoryBudget.maxBytes}. None by default. */
    maxBytes?: number;
}
/** What a {@link MemoryManager} is made from. */
interface MemoryManagerOptions extends MachineBudgetOptions {
    /** Bytes the manager's staging pool keeps idle for reuse at most. 8 MiB by default. */
    maxHeldBytes?: number;
    /** Where {@link MemoryManager.pools} take their memory unless they name a device. `'auto'` by default. */
    device?: DeviceChoice;
}
/** Everything that a manager has in use. */
interface MemoryUsage {
    /** What is granted under the budget, in bytes. */
    allocatedBytes: number;
    /** The line of the budget, in bytes. */
    lineBytes: number;
    /** What live buffers of the NPU asked for, in bytes. */
    npuBytes: number;
    /** What live buffers of the GPU asked for, in bytes. */
    gpuBytes: number;
    /** What live buffers of ordinary RAM asked for, in bytes. */
    systemBytes: number;
    /** What the slabs of the pools take, in bytes. */
    poolBytes: number;
    /** What the process has resident. Memory of some devices is no part of it. */
    process: ProcessMemory;
}
/** The statistics of one of a manager's pools. */
interface ManagedPoolStats extends PoolStats {
    /** What the pool is called. */
    label: string;
    /** The name of its device. */
    device: string;
}
/** The statistics of everything that a manager has. */
interface MemoryStats {
    /** Buffers of the NPU. */
    npu: FamilyStats;
    /** Buffers of the GPU. */
    gpu: FamilyStats;
    /** Buffers of ordinary RAM. */
    system: FamilyStats;
    /** The pools, oldest first. */
    pools: ManagedPoolStats[];
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
    /** Where {@link acquire} waits; every manager over the same board and cgroup has the same queue. */
    readonly admission: Admission;
    /** The pool that streams of this manager's files read through; it counts against the budget. */
    readonly staging: StagingPool;
    /** Pools of device memory; they count against the budget. */
    readonly pools: MemoryPools;
    /** Buffers for the NPU: dma-bufs that its runtime imports, or by `kind` its driver's own. */
    readonly npu: DeviceFamily<'dma-heap' | 'udmabuf' | 'rknpu'>;
    /** Buffers of the GPU, by `kind` its own, pinned or managed. */
    readonly gpu: DeviceFamily<'device' | 'pinned' | 'managed'>;
    /** Buffers of ordinary RAM, by `kind` of this process alone or in a memory file. */
    readonly system: DeviceFamily<'anonymous' | 'memory-file'>;
    /** What {@link allocateInstance} has taken, by name. */
    readonly instances: Instances;
    /** Watches the memory under the budget; off until its `start()`. At critical it first trims {@link staging}. */
    readonly monitor: MemoryMonitor;
    /** Records what happens to the budget; off until its `start()`. */
    readonly profile: MemoryProfile;
    /** Keeps the last minute in a file that outlives a kill or a power cut; off until its `start()`. */
    readonly blackBox: BlackBox;
    /** @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read. */
    constructor(options?: MemoryManagerOptions);
    /**
     * Opens a file whose streams read through this manager's staging pool and end with it. See {@link GgufFile.open}.
     *
     * @throws {@link ReleasedError} after {@link close}.
     */
    open(url: WebAddress, options?: OpenUrlOptions): Promise<GgufFile>;
    open(path: string | URL, options?: OpenOptions): GgufFile;
    /** Opens a model on a server by its header alone. See {@link GgufFile.openUrl}; rejects as {@link open} throws. */
    openUrl(url: string | URL, options?: OpenUrlOptions): Promise<GgufFile>;
    /** Takes bytes of the budget in turn, all that is asked for together or nothing: `admission.acquire()`. */
    acquire(requests: AcquireRequest | readonly AcquireRequest[], options?: AcquireOptions): Promise<Grant>;
    /** Takes what an instance requires off the budget, before it is made: `instances.allocate()`. */
    allocateInstance(id: string, request: PlanRun): Allocation;
    /** Releases what an instance holds: `instances.deallocate()`. */
    deallocateInstance(id: string): boolean;
    /** Whether a model may be loaded right now. See {@link checkBeforeLoad}; the machine is that of {@link budget}. */
    checkBeforeLoad(file: string | URL, options?: LoadCheckOptions): LoadCheck;
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
    /** Takes a buffer for the NPU: `npu.allocate()`. */
    allocateNPUMemory(bytes: number, options?: FamilyAllocateOptions<'dma-heap' | 'udmabuf' | 'rknpu'>): Promise<DeviceBuffer>;
    /** Takes a buffer of the GPU: `gpu.allocate()`. */
    allocateGPUMemory(bytes: number, options?: FamilyAllocateOptions<'device' | 'pinned' | 'managed'>): Promise<DeviceBuffer>;
    /** Takes a buffer of ordinary RAM: `system.allocate()`. */
    allocateSystemMemory(bytes: number, options?: FamilyAllocateOptions<'anonymous' | 'memory-file'>): Promise<DeviceBuffer>;
    /** Frees a buffer, whichever family it is of: `buffer.release()`. */
    deallocateNPUMemory(buffer: DeviceBuffer): void;
    /** Frees a buffer, whichever family it is of: `buffer.release()`. */
    deallocateGPUMemory(buffer: DeviceBuffer): void;
    /** Frees a buffer, whichever family it is of: `buffer.release()`. */
    deallocateSystemMemory(buffer: DeviceBuffer): void;
    /** What was given out for the NPU: `npu.stats()`. */
    getNPUMemoryStats(): FamilyStats;
    /** What was given out of the GPU: `gpu.stats()`. */
    getGPUMemoryStats(): FamilyStats;
    /** What was given out of ordinary RAM: `system.stats()`. */
    getSystemMemoryStats(): FamilyStats;
    /** Makes a pool: `pools.create()`. */
    createMemoryPool(options?: MemoryPoolOptions): Promise<MemoryPool>;
    /** Hands out a buffer from what a pool, this manager's or not, holds: `pool.allocate()`. */
    allocateFromPool(pool: MemoryPool, bytes: number, options?: PoolBufferOptions): PoolBuffer;
    /** Releases all of a pool, this manager's or not: `pool.close()`. */
    destroyMemoryPool(pool: MemoryPool): Promise<void>;
    /** Everything in use, in a few numbers. */
    getMemoryUsage(): MemoryUsage;
    /** The statistics of everything. */
    getMemoryStats(): MemoryStats;
    /** Sets {@link MemoryManager.limits | limits}. */
    setMemoryLimits(limits: ManagerLimits): void;
    /** Starts {@link profile}, and returns it. */
    enableMemoryProfiling(options?: ProfileOptions): MemoryProfile;
    /** Whether it was closed. */
    get closed(): boolean;
    /**
     * Ends the monitor, loads in flight and whoever waits for a turn (they reject with an {@link AbortError}), closes the pools,
     * releases every buffer of a device and deallocates every instance. Other allocations and grants of the budget belong to their holders and stay; what the profile has recorded can still be read. Resolves when every reader has stopped. Idempotent.
     */
    close(): Promise<void>;
    /** The same as {@link close}, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
}

/** What would mend a plan, computed. */
interface PlanAdvice {
    /**
     * What is changed: the `'order'` of start, the `'limit'` of an instance, the `'limits'` of all, the type of its cache (`'kv-type'`), its
     * `'context'`, its `'model'`, that it is left out (`'without'`), or the `'memory'`.
     */
    kind: 'order' | 'limit' | 'limits' | 'kv-type' | 'context' | 'model' | 'without' | 'memory';
    /** In words: `observer at 6.50 GiB would fit`. */
    description: string;
    /** The instance that is changed, if it is one. */
    instance?: string;
    /** Whether the plan passes with that alone. */
    fits: boolean;
    /** The limit, the size of a file or of a memory that would do, in bytes. */
    bytes?: number;
    /** What is saved at the peak of the instance, in bytes. */
    savedBytes?: number;
    /** Tokens of a slot that would do. */
    contextLength?: number;
}
/** An instance in a report, with the file of its model. */
interface PlannedInstanceReport extends PlanInstanceReport {
    /** Its model file, as the plan names it. */
    model?: string;
}

/**
 * Whether a plan passes, and why not. Its `toString()` is the same for people.
 *
 * @example
 * const report = validatePlan({ board: 'orin-nano-8gb', instances: { chat: { limitBytes: '7 GiB' } } })
 * console.log(report.passes) // false
 * console.log(report.advice[0]?.description)
 */
declare class PlanReport {
    /** Whether all of it fits, at every moment. */
    readonly passes: boolean;
    /** The file that the plan was read from, if it was. */
    readonly path: string | undefined;
    /** The mode of the plan, if it has one. */
    readonly mode: PlanMode | undefined;
    /** All memory, in bytes. */
    readonly totalBytes: number;
    /** The share of it that is left alone. */
    readonly safetyMarginPercent: number;
    /** What is left free before each load, in bytes. */
    readonly headroomBytes: number;
    /** What keeps the plan from using more: the safety margin, the headroom, or the line of the board or of this machine. */
    readonly bound: 'safety-margin' | 'headroom' | 'line';
    /** The safe threshold: what the plan may use at most, in bytes. */
    readonly usableBytes: number;
    /** What all instances require once they run, in bytes. */
    readonly requiredBytes: number;
    /** The most that is taken at once, in bytes: while one of them is loaded, or once all run. */
    readonly peakBytes: number;
    /** What is usable less the peak, in bytes; negative where it does not fit. */
    readonly marginBytes: number;
    /** Each instance, in the order of start. */
    readonly instances: readonly PlannedInstanceReport[];
    /** What is wrong. */
    readonly issues: readonly PlanIssue[];
    /** What would mend it, the least harm first. */
    readonly advice: readonly PlanAdvice[];
    /** The order of start whose peak is the least. */
    readonly bestOrder: readonly string[];
    /** That peak, in bytes. */
    readonly bestOrderPeakBytes: number;
    private constructor();
    /**
     * Throws where the plan does not pass.
     *
     * @throws {@link InvalidPlanError} with the issues.
     */
    throwIfFailed(): void;
    /** The report for people: verdict, totals, issues, what would mend it, and what each instance is given. */
    toString(): string;
}

/** A plan that fits, proposed for one that does not. */
interface PlanFix {
    /** Whether what is proposed passes; where it does not, it is as small as it gets. */
    passes: boolean;
    /** What is proposed, with sizes in bytes. */
    plan: Plan;
    /** The same as a file: the text that the plan was read from, with its comments, and what is changed in it. */
    text: string;
    /** What is changed, in words; empty where nothing has to be. */
    changes: string[];
    /** The report of what is proposed. */
    report: PlanReport;
}
/**
 * Proposes a plan that fits: another order of start, lower limits, and where these do not do a smaller cache for models whose estimate
 * is known, those with the lowest priority first. A limit without a model, of which nobody knows what it has to hold, keeps three
 * quarters as long as that can do. Nothing is left out.
 *
 * @throws as {@link validatePlan}.
 * @example
 * const { passes, changes, text } = fixPlan(readPlan('plan.yaml'))
 */
declare function fixPlan(plan: Plan): PlanFix;

/** What {@link recommendLimits} takes. */
interface RecommendLimitsOptions {
    /** Share of the memory that is left alone, in percent, 0 to below 100. 15 by default. */
    safetyMarginPercent?: number;
    /** What is left free before each load, in bytes. 2 GiB by default, or an eighth of a memory below 16 GiB. */
    headroomBytes?: number;
}
/** The modes that a plan may have. */
declare const planModes: readonly PlanMode[];
/**
 * Limits for the roles of a mode that pass on a memory of so many bytes: together they are at most what is usable.
 *
 * @throws {@link InvalidArgumentError} for an unfit argument.
 * @example
 * recommendLimits('matrix', 32 * GiB) // 7, 9 and 10.5 GiB for subject, observer and god
 */
declare function recommendLimits(mode: PlanMode, totalBytes: number, options?: RecommendLimitsOptions): RoleLimit[];

/** Limits of memory and tokens, as a command line and a file have them. What is absent is to be computed. */
interface MemoryArgs {
    /** For `new MemoryManager({ maxBytes })`: how much may be used, in bytes. */
    maxBytes?: number;
    /** Tokens that are evaluated together at most. */
    maxParallelTokens?: number;
    /** Tokens of all caches at most. */
    maxCacheTokens?: number;
    /** Where each of them was said. */
    from: {
        maxBytes?: MemoryArgSource;
        maxParallelTokens?: MemoryArgSource;
        maxCacheTokens?: MemoryArgSource;
    };
    /** What else the file says. */
    file: Record<string, unknown>;
    /** The other arguments, in their order. */
    rest: string[];
}
/** A flag goes before the file. */
type MemoryArgSource = 'flag' | 'file';
/**
 * Takes `--max-memory-gb`, `--max-parallel-tokens`, `--max-cache-tokens` and `--config FILE` off a command line. The file, in YAML or JSON,
 * has `max_memory_gb`, `max_parallel_tokens` and `max_cache_tokens`, and what else its program wants. A flag goes before the file; what
 * neither says is absent: {@link TokenBudget.limitsOf} computes it.
 *
 * @throws {@link InvalidArgumentError} for a flag without a fit value, or twice.
 * @throws {@link InvalidPlanError} for a file that is no YAML, and for an unfit value in it, with the line.
 * @throws {@link IoError} for a file that cannot be read.
 * @example
 * const { maxBytes, maxCacheTokens, maxParallelTokens, rest } = parseMemoryArgs(process.argv.slice(2))
 * const manager = new MemoryManager({ maxBytes })
 * const limits = TokenBudget.limitsOf(model, manager.budget, { maxCacheTokens, maxParallelTokens })
 */
declare function parseMemoryArgs(args: readonly string[]): MemoryArgs;

/** What {@link parsePlan} takes. */
interface ParsePlanOptions {
    /** The file that it comes from: what errors call it, and whose folder paths in it are seen from. None by default. */
    path?: string;
}
/**
 * Reads a plan in YAML or JSON, and checks it against the schema. Models and commands are looked for by {@link validatePlan}, which
 * knows the lines of what this returns; and here, too, where something is wrong, so that all is told at once.
 *
 * @throws {@link InvalidPlanError} for what is no YAML or no plan, with all issues and their lines.
 * @throws {@link InvalidArgumentError} for what is no text.
 * @example
 * const plan = parsePlan('instances: { chat: { model: chat.gguf, limitBytes: 6GiB } }')
 */
declare function parsePlan(text: string, options?: ParsePlanOptions): Plan;
/**
 * Reads a plan from a file in YAML or JSON: see {@link parsePlan}.
 *
 * @throws {@link IoError} when the file cannot be read.
 * @throws {@link InvalidPlanError} as of {@link parsePlan}.
 */
declare function readPlan(path: string | URL): Plan;

/**
 * Whether everything that a plan has fits together, before anything of it starts: the sum of what is required, and every peak while one
 * of them is loaded, against the safe threshold. That it does not fit is no error: `passes` is false then, with the issues and what
 * would mend them.
 *
 * A path in a plan is seen from the folder of the file that it was read from by {@link readPlan}, else from the working directory.
 *
 * @throws {@link InvalidPlanError} with everything that is wrong where it is no plan, or names a model or a command that is not there.
 * @throws {@link IoError} where the memory of this machine cannot be read, if the plan is for it.
 * @example
 * const report = validatePlan({ mode: 'matrix', totalBytes: '32 GiB', instances: { god: { limitBytes: '12 GiB' } } })
 * if (!report.passes) console.log(`${report}`)
 */
declare function validatePlan(plan: Plan): PlanReport;

/**
 * How much of a file lies in the page cache. Nothing of the file is read.
 *
 * The kernel tells only who owns the file or may write to it; for others `cachedBytes` is absent, and `reason` says so.
 *
 * @throws {@link IoError} when the file cannot be opened or is no regular file.
 * @throws {@link InvalidArgumentError} for a path that is none.
 *
 * @example
 * const { sizeBytes, cachedBytes, reason } = await pageCache('model.gguf')
 * console.log(cachedBytes === undefined ? reason : `${cachedBytes} of ${sizeBytes} bytes are cached`)
 */
declare function pageCache(path: string | URL): Promise<PageCache>;
/**
 * Drops what of a file lies in the page cache and no process has mapped, after writing what of it is dirty to the disk. Nothing
 * of the file is changed: who reads it next reads it from the disk.
 *
 * No permission is needed but to read the file. How much came back is told as by {@link pageCache}.
 *
 * @throws {@link IoError} when the file cannot be opened or is no regular file, and when what is dirty cannot be written.
 * @throws {@link InvalidArgumentError} for a path that is none.
 *
 * @example
 * const { droppedBytes, cachedBytes } = await dropPageCache('model.gguf')
 * console.log(`${droppedBytes} bytes came back; ${cachedBytes} stay, which a process has mapped`)
 */
declare function dropPageCache(path: string | URL): Promise<DroppedPages>;

/** Which processes are meant. */
interface ProcessesOptions {
    /**
     * Those alone that have this package loaded. One that has just loaded it may be found 5 seconds late. False by
     * default.
     */
    loaded?: boolean;
    /**
     * Those alone that have this file mapped, by its path or a `file:` URL: its {@link pageCache | cached pages} stay as long.
     * The map has to have the path that the file has here, links followed. Only processes that this user may look into are found.
     * None by default: all processes.
     */
    mapping?: string | URL;
}
/**
 * The processes of this machine, the largest first, as far as this user may look: names, parents, start times, command
 * lines and memory. There are none of a copy of a board's files.
 *
 * A buffer of a dma-heap, of CUDA or of an NPU is in no process's memory.
 *
 * @throws {@link IoError} where `/proc` is not mounted.
 * @throws {@link InvalidArgumentError} for an unknown option.
 *
 * @example
 * const [largest] = await processes()
 * console.log(largest?.command, largest?.rssBytes)
 */
declare function processes(options?: ProcessesOptions): Promise<ProcessInfo[]>;

/**
 * A sequence of tokens under a {@link TokenBudget}: one conversation, or one branch of it. It is freed by {@link free}, at the end of a
 * `using` block, or when it is collected.
 *
 * @example
 * using chat = tokens.open('chat')
 * chat.extend(100)
 * using branch = chat.fork('branch') // what they share counts once
 * branch.extend(20)
 * console.log(tokens.usage().tokens) // 120
 */
declare class TokenSequence implements Disposable {
    #private;
    /** What its owner calls it. */
    get label(): string;
    /** Whether it was freed. */
    get freed(): boolean;
    /**
     * Its tokens, those that it shares among them.
     *
     * @throws {@link ReleasedError} after it was freed or pruned, as all methods here.
     */
    get tokens(): number;
    /**
     * Adds tokens to its end, all of them or none: to be asked before the runtime evaluates them. Where room is lacking the grant is
     * stretched, then others are pruned if the budget has a policy.
     *
     * @throws {@link InsufficientMemoryError} when a limit, or the grant, is in the way.
     * @throws {@link InvalidArgumentError} when `count` is no whole number from 0 up.
     */
    extend(count: number): void;
    /**
     * Another sequence that begins with the same tokens, which go on counting once.
     *
     * @throws {@link InsufficientMemoryError} when a sequence more costs a state or a window that there is no room for.
     */
    fork(label?: string): TokenSequence;
    /**
     * Keeps the first `count` tokens; the others are freed where no other sequence has them.
     *
     * @throws {@link InvalidArgumentError} when it has not that many.
     */
    truncate(count: number): void;
    /**
     * Notes that it is in use, and, if that is given, what it is worth: by the policy `'score'` one with a lower score is pruned earlier.
     * A fork begins with the score of what it was forked from; 0 at first.
     *
     * @throws {@link InvalidArgumentError} for a score that is no number.
     */
    touch(score?: number): void;
    /**
     * Frees it, and its tokens where no other sequence has them.
     *
     * @throws {@link ReleasedError} when it was freed before. `[Symbol.dispose]()` does nothing then.
     */
    free(): void;
    /** Frees it unless it was freed. */
    [Symbol.dispose](): void;
}

/** What one layer keeps for tokens and sequences. {@link ModelMemoryEstimate.layers} has these of a model. */
interface TokenLayer {
    /** Keys and values of one token, in bytes. */
    bytesPerToken: number;
    /** Tokens of a sequence that it keeps at most. All of them by default. */
    windowTokens?: number;
    /** What it keeps of each sequence, however long that is: a recurrent state, in bytes. 0 by default. */
    bytesPerSequence?: number;
    /** Where it is kept. `'cpu'` by default. */
    device?: 'cpu' | 'gpu';
}
/**
 * By what a sequence is chosen to go: the one that was neither extended nor touched for longest, that with the lowest score, or
 * that whose end frees most tokens.
 */
type PrunePolicy = 'idle' | 'score' | 'longest';
/** What a {@link TokenBudget} takes. */
interface TokenBudgetOptions {
    /** What tokens cost: by a model's estimate, in bytes of one token, or by layer. */
    cost: ModelMemoryEstimate | number | readonly TokenLayer[];
    /**
     * Tokens of all sequences at most, from 1; those that are shared are counted once. With a grant, by default, as many as it
     * can be stretched to hold; without one it must be given.
     */
    maxCacheTokens?: number;
    /**
     * Tokens that are evaluated together at most, from 1: what {@link TokenBudget.trim} cuts to. As many as are free by default;
     * with a grant any number.
     */
    maxParallelTokens?: number;
    /** The share of each device, in bytes, for the layers that it has. No limits by default. */
    devices?: {
        cpuBytes?: number;
        gpuBytes?: number;
    };
    /**
     * What the tokens are charged to, whole: an elastic grant, which is stretched as they come, 256 of them at a time where there
     * is room. None by default: then they are counted, and charged to nothing.
     */
    grant?: Grant;
    /**
     * Who is pruned when there is no room: who was not extended or touched for longest (`'idle'`), who has the lowest score
     * (`'score'`), or whose end frees most (`'longest'`). Nobody by default: then growth is refused.
     */
    prune?: PrunePolicy;
    /**
     * Is told who was pruned, and drops it from the runtime's cache. Its room is given to others when that returns, or when the
     * promise that it returns is fulfilled. What it throws, or rejects with, is uncaught, and the room stays taken: the runtime
     * may still have it. None by default.
     */
    onPrune?: (sequence: TokenSequence) => unknown;
}

/** What {@link PageStore.create} takes. */
interface PageStoreOptions {
    /** Where pages live that are in use. */
    pool: MemoryPool;
    /** The size of a page at most, in bytes, up to 1 GiB. */
    pageBytes: number;
    /** Pages in memory at most. As many as the pool gives by default. */
    maxResidentPages?: number;
    /**
     * The folder of the file that cold pages go to, on a disk: one in RAM (tmpfs) is refused. The system's folder for temporary
     * files by default.
     */
    folder?: string | URL;
    /** The size of that file at most, in bytes. 1 GiB by default. */
    maxFileBytes?: number;
}
/** What a {@link PageStore} holds. */
interface PageStoreStats {
    /** Pages in memory. */
    residentPages: number;
    /** Pages in the file. */
    spilledPages: number;
    /** Bytes of the buffers of the pages in memory. */
    residentBytes: number;
    /** Bytes of the pages in the file. */
    spilledBytes: number;
    /** The size of the file, in bytes. */
    fileBytes: number;
    /** What it may have at most, in bytes. */
    maxFileBytes: number;
    /** Pages that were written to the file since the store was made. */
    spills: number;
    /** Pages that were read back from it. */
    loads: number;
}
/** By what a page is known. */
type PageKey = string | number;
/**
 * Pages of a cache of keys and values: those in use in a pool, cold ones in a file of bounded size, from which they come back when
 * they are asked for. What comes back is what was put, or an error.
 *
 * The file has no name: it is gone with the store, and with the process however that ends. The page cache is emptied of it, so what is
 * spilled is really out of RAM. What is done at the same time is done one after the other.
 *
 * @example
 * await using store = await PageStore.create({ pool, pageBytes: MiB, maxFileBytes: 8 * GiB })
 * await store.put('chat 7, page 3', bytes)
 * await store.spill(64 * MiB) // somebody needs the room: the coldest pages go first
 * const same = await store.get('chat 7, page 3')
 */
declare class PageStore implements AsyncDisposable {
    #private;
    private constructor();
    /**
     * Makes a store, and its file.
     *
     * Rejects with {@link IoError} when the file cannot be made, {@link InvalidArgumentError} for an unfit option: a folder in RAM, or a file
     * that is smaller than a page.
     */
    static create(options: PageStoreOptions): Promise<PageStore>;
    /**
     * Keeps a page under a key, in place of what it had. Where the pool has no room, the coldest page goes to the file for it.
     *
     * Rejects with {@link InsufficientMemoryError} where there is room in neither, {@link IoError} where the file cannot be written: then
     * every page is what and where it was. {@link ReleasedError} after {@link close}.
     */
    put(key: PageKey, data: ArrayBufferView): Promise<void>;
    /**
     * A page as it was put, as bytes of the caller's own; `undefined` of one that is not there. One from the file is in memory from then on,
     * where there is room.
     *
     * Rejects with {@link IoError} when the file does not have it as it was written, and {@link ReleasedError} after {@link close}.
     */
    get(key: PageKey): Promise<Bytes | undefined>;
    /** Whether there is a page of that key, in memory or in the file. */
    has(key: PageKey): boolean;
    /** Drops a page. Resolves to whether there was one. Rejects with {@link ReleasedError} after {@link close}. */
    delete(key: PageKey): Promise<boolean>;
    /**
     * Moves the coldest pages to the file, `bytes` of them at least, all by default, and gives empty slabs back. Resolves to the bytes of the
     * buffers that were released: fewer where the file is full or there are no more.
     *
     * Rejects with {@link IoError} when the file cannot be written: pages that did not go are where they were.
     */
    spill(bytesAtLeast?: number): Promise<number>;
    /** What it holds. */
    stats(): PageStoreStats;
    /** Whether it was closed. */
    get closed(): boolean;
    /** Drops every page, and the file, after what is under way. The pool is its owner's. Idempotent. */
    close(): Promise<void>;
    /** The same as {@link close}, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
}

/** How a {@link TokenBudget} follows a monitor. */
interface FollowOptions {
    /** Whether nothing grows while the level is critical: past 95 %, unless the limits of the monitor say otherwise. `true` by default. */
    refuseAtCritical?: boolean;
}

/** A sequence as its budget sees it. */
interface SequenceUsage {
    /** What its owner calls it. */
    label: string;
    /** Its tokens, those that it shares among them. */
    tokens: number;
    /** Tokens that no other sequence has: what its end frees. */
    ownTokens: number;
    /** What it is worth. */
    score: number;
}
/**
 * How many tokens may be kept and evaluated, checked before they are.
 *
 * It counts what is in the caches of an inference runtime, whose memory it does not touch: {@link TokenSequence.extend} before tokens
 * are evaluated, {@link TokenSequence.fork} where a prefix is shared, {@link TokenSequence.truncate} and {@link TokenSequence.free}
 * when they leave the cache. With an elastic grant the bytes are the board's: the grant is stretched as tokens come, and shrinks when
 * somebody else needs the room.
 *
 * @example
 * const needs = estimate(model, { contextLength: 8192 })
 * const budget = new TokenBudget({ cost: needs, maxCacheTokens: 8192 })
 * using chat = budget.open('chat')
 * chat.extend(promptTokens.length) // or ERR_INSUFFICIENT_MEMORY, before anything is evaluated
 */
declare class TokenBudget implements Disposable {
    #private;
    /**
     * @throws {@link InvalidArgumentError} for an unfit option: nothing that a token costs, or neither a grant nor `maxCacheTokens`.
     * @throws {@link ReleasedError} for a grant that was released.
     */
    constructor(options: TokenBudgetOptions);
    /**
     * The limits that a model has under a budget, or a number of bytes: the best configuration that {@link fit} finds, whose cache is
     * `maxCacheTokens` and whose micro-batch `maxParallelTokens`. What is given of these stays as it is, and the other is found for it.
     *
     * @throws {@link InsufficientMemoryError} where no configuration fits.
     * @throws {@link InvalidArgumentError} for an unfit option. What else {@link fit} throws.
     */
    static limitsOf(model: GgufFile, budget: MemoryBudget | number, options?: FitOptions & {
        maxCacheTokens?: number;
        maxParallelTokens?: number;
    }): {
        maxCacheTokens: number;
        maxParallelTokens: number;
        fit: Fit;
    };
    /** A sequence without a token. It costs nothing yet. */
    open(label: string): TokenSequence;
    /**
     * Tokens of all sequences at most. It may be moved while sequences run: below what is in use nothing goes, but nothing grows until
     * enough was freed. `undefined` where the grant alone draws the line.
     *
     * @throws {@link InvalidArgumentError} when it is no whole number from 1 up, or `undefined` without a grant.
     */
    get maxCacheTokens(): number | undefined;
    set maxCacheTokens(count: number | undefined);
    /** Tokens that are evaluated together at most. If that was not given, as many as are free; with a grant, which stretches, any number. */
    get maxParallelTokens(): number;
    set maxParallelTokens(count: number);
    /** What is in use. What was pruned is not, and is no room for others either before the runtime has dropped it: {@link leavingTokens}. */
    usage(): TokenUsage;
    /** Tokens that were pruned and that the runtime still has: the promise of their `onPrune` is not fulfilled. */
    get leavingTokens(): number;
    /** Resolves when what was pruned has left the runtime's cache, as far as it is on its way: then growth that was refused may have room. */
    settle(): Promise<void>;
    /** What the tokens in use cost in each layer, in bytes. */
    layerBytes(): number[];
    /** The sequences that were neither freed nor pruned. */
    sequences(): SequenceUsage[];
    /** Tokens that could be added to a sequence now without stretching the grant; `Infinity` where nothing limits them. */
    get freeTokens(): number;
    /**
     * The candidates with the highest scores, the highest first: all of them, or as many as {@link maxParallelTokens} allows. Of equal
     * scores those stay that come first.
     *
     * @throws {@link InvalidArgumentError} when a score is no number.
     */
    trim<T>(candidates: readonly T[], score: (candidate: T) => number): T[];
    /**
     * Gives the grant's stretch back as far as no token needs it; at most `bytes`, all of it by default. Returns how much, in bytes; 0
     * without a grant.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
     */
    releaseSpare(bytes?: number): number;
    /**
     * What to give as `onRevoke` of the grant: gives back what no token needs, then prunes by the policy, as long as more is wanted.
     * Returns `false` where that was not enough, so that others are asked; a promise of the answer where `onPrune` returns promises, and
     * nothing of a sequence is given back before its promise is fulfilled.
     *
     * @example
     * const grant = await manager.acquire({ bytes: 64 * MiB, label: 'kv cache' }, { onRevoke: (request) => tokens.revoke(request) })
     * const tokens = new TokenBudget({ cost: needs, grant, prune: 'idle', onPrune: ({ label }) => runtime.drop(label) })
     */
    revoke(request: Pick<MakeRoomRequest, 'bytes'>): boolean | Promise<boolean>;
    /**
     * Follows a monitor until the result is disposed of, or the budget closed. At `'warning'` what no token needs goes back to the board;
     * while the level is critical, past 95 % by default, one sequence after the other is pruned by the policy, and nothing grows:
     * {@link TokenSequence.extend} throws an {@link InsufficientMemoryError} with the figures and what to do. When it is normal again the tokens
     * grow as before.
     *
     * @throws {@link InvalidArgumentError} for a monitor that is none, and for an unfit option.
     * @example
     * manager.monitor.start()
     * using _following = tokens.follow(manager.monitor)
     */
    follow(monitor: MemoryMonitor, options?: FollowOptions): Disposable;
    /** Frees every sequence and gives the stretch back. The grant is its owner's. Idempotent. */
    close(): void;
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose](): void;
}

export { AbortError, AddonUnavailableError, Admission, Allocation, BlackBox, BusyError, Device, DeviceBuffer, DeviceError, DeviceFamily, DeviceUnavailableError, GgufArray, GgufFile, GgufMetadata, GiB, Grant, Instances, InsufficientMemoryError, InternalError, InvalidArgumentError, InvalidGgufError, InvalidModelError, InvalidPlanError, InvalidTensorError, IoError, KiB, LedgerError, MemoryBudget, MemoryManager, MemoryMonitor, MemoryPool, MemoryPools, MemoryProfile, MiB, ModelMemoryEstimate, NeverFitsError, PageStore, PlanReport, PlimsollError, PoolBuffer, ReleasedError, StagingBuffer, StagingPool, TensorChunk, TimeoutError, TokenBudget, TokenSequence, UnsupportedTypeError, backEnds, boardPresets, checkBeforeLoad, contextOfSlot, detectBoard, dropPageCache, estimate, fit, fixPlan, formatBytes, gpuProcesses, instructionSet, kvTypes, likelyDevice, llamaArguments, llamaCppVersions, loadedAddon, machineMemory, measureUse, openLlamaRun, pageCache, parseBytes, parseMemoryArgs, parsePlan, parsePoolSnapshots, planModes, planNpuDomains, processMemory, processes, processors, quantizations, quantizedSizeBytes, readBlackBox, readPlan, recommendLimits, ruleOfThumbBytes, runtimes, signals, surveyLedger, tensorDataBytes, tensorOutputs, typicalShapes, validatePlan, verifyEstimate };
export type { AcquireOptions, AcquireRequest, AddonUnavailableReason, AllocatedInstance, AllocationInfo, AutoDefragmentOptions, BackEnd, BlackBoxHappening, BlackBoxHolder, BlackBoxLabel, BlackBoxMachine, BlackBoxMoment, BlackBoxNoteKind, BlackBoxOptions, BlackBoxReading, BlackBoxRun, BlackBoxStats, BlackBoxVerdict, BlockInfo, BoardId, BoardPreset, BudgetNumbers, BufferRange, Cgroup, CgroupLimit, CompanionOptions, Component, ComponentUse, ConfigOptions, CudaAdvice, CudaDeviceOptions, CudaInfo, CudaSuitedMemory, DarkMemory, DefragmentOptions, DefragmentReport, DetectedBoard, DeviceChoice, DeviceKind, DeviceLimits, DeviceOptions, DeviceUsage, DmaHeapDeviceOptions, DraftOptions, DroppedPages, ErrorCode, EstimateExtra, EstimateOptions, EstimateTotals, EstimateVerification, ExportedFd, FamilyAllocateOptions, FamilyDevice, FamilyStats, Fit, FitAxis, FitConfiguration, FitOptions, FitTrade, FixedOptions, FollowOptions, GgufElements, GgufFileType, GgufGap, GgufSplit, GgufValue, GgufValueType, GpuProcess, GrowingBufferOptions, HeaderOptions, Headroom, HeadroomOptions, HeadroomTerm, HostDeviceOptions, HugePages, IoMode, KvType, LabelTotals, LayerBytes, LeakOptions, LedgerChoice, LedgerHolder, LedgerOptions, LedgerSurvey, LedgerWaiting, LikelyDevice, LineTerm, LiveAllocation, LlamaArguments, LlamaCppVersion, LlamaOptions, LlamaRun, LlamaRuntime, LoadAllIntoOptions, LoadAllIntoPoolOptions, LoadAllOptions, LoadCheck, LoadCheckOptions, LoadIntoBufferOptions, LoadIntoOptions, LoadOptions, LoadProgress, LoadedAddon, MachineBudgetOptions, MachineMemory, MakeRoomRequest, ManagedPoolStats, ManagerLimits, MappingOptions, MeasureUseOptions, MemoryArgSource, MemoryArgs, MemoryLevel, MemoryLimits, MemoryManagerOptions, MemoryPoolOptions, MemoryStats, MemoryUsage, MemoryUse, MetricDefinition, MissingSignal, ModelConfig, ModelDeviceBytes, ModelShape, MonitorEmitter, MonitorEvents, MonitorOptions, MonitorSample, MovableBuffer, MtpOptions, NotUnderstood, NpuDriver, NvmapClient, OnEvict, OnRevoke, OpenOptions, OpenUrlOptions, PageCache, PageKey, PageStoreOptions, PageStoreStats, ParamsOptions, ParsePlanOptions, PassedOver, Plan, PlanAdvice, PlanDuration, PlanFix, PlanFormula, PlanInstance, PlanInstanceReport, PlanIssue, PlanMode, PlanRun, PlanRunOptions, PlanSize, PlannedInstanceReport, PoolBufferOptions, PoolScope, PoolSettings, PoolSnapshot, PoolStats, PoolTrace, Pressure, ProcessInfo, ProcessMemory, ProcessOptions, ProcessesOptions, Processor, ProfileEvent, ProfileEventKind, ProfileFormat, ProfileOptions, ProfileReport, ProfileRows, ProfileThread, ProfileWriter, PrunePolicy, Quantization, ReadBlackBoxOptions, ReadOptions, ReadStreamOptions, ReclaimRun, RecommendLimitsOptions, RefusalCount, RefusalNotice, RefusedRequest, RefusedRequests, RknpuDeviceOptions, RoleLimit, RunOptions, Runtime, SequenceUsage, ShapeOptions, Signals, SlabInfo, Stage, StagingPoolOptions, StagingPoolStats, Stall, StreamOptions, SystemOptions, TensorData, TensorDigest, TensorInfo, TensorOutput, TensorPlace, TensorReadStream, TokenBudgetOptions, TokenLayer, TokenUsage, TypeBytes, TypicalShape, UdmabufDeviceOptions, VerifyEstimateOptions, WaitingRequest, WebAddress, WeightBytes, Zram };
