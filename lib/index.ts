import { Allocation } from './allocation.js'
import { MemoryBudget } from './budget.js'
import { BufferPool, PooledBuffer } from './buffer-pool.js'
import { TensorChunk } from './chunk.js'
import { Device } from './device.js'
import { DeviceBuffer } from './device-buffer.js'
import { GgufFile } from './gguf-file.js'
import { MemoryManager } from './manager.js'
import { MemoryPool } from './memory-pool.js'
import { MemoryMonitor } from './monitor.js'
import { MemoryProfile } from './profile.js'
import { markCopy } from './support/copy.js'

export { Allocation } from './allocation.js'
export {
  type AllocationInfo,
  type BudgetNumbers,
  type Headroom,
  type HeadroomOptions,
  type HeadroomTerm,
  type LineTerm,
  type MachineBudgetOptions,
  MemoryBudget,
} from './budget.js'
export { BufferPool, type BufferPoolOptions, type BufferPoolStats, PooledBuffer } from './buffer-pool.js'
export { TensorChunk } from './chunk.js'
export { type GpuProcess, gpuProcesses } from './device/gpu-processes.js'
export {
  type CudaAdvice,
  type CudaDeviceOptions,
  type CudaInfo,
  type CudaSuitedMemory,
  Device,
  type DeviceChoice,
  type DeviceKind,
  type DeviceLimits,
  type DeviceOptions,
  type DeviceUsage,
  type DmaHeapDeviceOptions,
  type HostDeviceOptions,
  type PassedOver,
  planNpuDomains,
  type RknpuDeviceOptions,
  type UdmabufDeviceOptions,
} from './device.js'
export {
  type BufferRange,
  DeviceBuffer,
  type ExportedFd,
  type MappingOptions,
  PoolBuffer,
  type ReadOptions,
} from './device-buffer.js'
export { DeviceFamily, type FamilyAllocateOptions, type FamilyDevice, type FamilyStats } from './device-family.js'
export {
  AbortError,
  AddonUnavailableError,
  type AddonUnavailableReason,
  BusyError,
  DeviceError,
  DeviceUnavailableError,
  type ErrorCode,
  InsufficientMemoryError,
  InternalError,
  InvalidArgumentError,
  InvalidGgufError,
  IoError,
  PlimsollError,
  ReleasedError,
  UnsupportedTypeError,
} from './errors.js'
export {
  GgufFile,
  type GgufFileType,
  type GgufSplit,
  type LoadIntoBufferOptions,
  type LoadIntoOptions,
  type LoadOptions,
  type OpenOptions,
  type ReadStreamOptions,
  type StreamOptions,
  type TensorInfo,
} from './gguf-file.js'
export type { TensorReadStream } from './loader/read-stream.js'
export {
  type ManagedPoolStats,
  type ManagerLimits,
  MemoryManager,
  type MemoryManagerOptions,
  type MemoryStats,
  type MemoryUsage,
} from './manager.js'
export {
  type BlockInfo,
  type DefragmentReport,
  MemoryPool,
  type PoolScope,
  type PoolStats,
  type SlabInfo,
} from './memory-pool.js'
export { GgufArray, type GgufElements, GgufMetadata, type GgufValue, type GgufValueType } from './metadata.js'
export {
  type MemoryLevel,
  type MemoryLimits,
  MemoryMonitor,
  type MonitorEvents,
  type MonitorOptions,
  type MonitorSample,
} from './monitor.js'
export { type TensorData, type TensorOutput, tensorDataBytes, tensorOutputs } from './output.js'
export type {
  AutoDefragmentOptions,
  DefragmentOptions,
  GrowingBufferOptions,
  MemoryPoolOptions,
  MovableBuffer,
  PoolBufferOptions,
} from './pool-options.js'
export { poolsPage } from './pool-page.js'
export { type PoolSnapshot, parsePoolSnapshots } from './pool-snapshot.js'
export type { PoolSettings, PoolTrace } from './pool-trace.js'
export { MemoryPools } from './pools.js'
export type {
  LabelTotals,
  LiveAllocation,
  ProfileEvent,
  ProfileEventKind,
  ProfileReport,
  ProfileThread,
} from './profile/record.js'
export {
  type LeakOptions,
  MemoryProfile,
  type ProfileFormat,
  type ProfileOptions,
} from './profile.js'
export type { Relief } from './relief.js'
export type { Component, Stage } from './stages.js'
export type { LoadProgress } from './stream.js'
export { type ProcessesOptions, type ProcessInfo, processes } from './system/processes.js'
export {
  type BackEnd,
  type BoardId,
  type BoardPreset,
  backEnds,
  boardPresets,
  type Cgroup,
  type CgroupLimit,
  type DarkMemory,
  type DetectedBoard,
  detectBoard,
  type HugePages,
  instructionSet,
  type LoadedAddon,
  loadedAddon,
  type MachineMemory,
  type MissingSignal,
  machineMemory,
  type NpuDriver,
  type NvmapClient,
  type Pressure,
  type ProcessMemory,
  type ProcessOptions,
  processMemory,
  type Signals,
  type Stall,
  type SystemOptions,
  signals,
  type Zram,
} from './system.js'
export { formatBytes, GiB, KiB, MiB, parseBytes } from './units.js'

const types = [
  Allocation,
  BufferPool,
  Device,
  DeviceBuffer,
  GgufFile,
  MemoryBudget,
  MemoryManager,
  MemoryMonitor,
  MemoryPool,
  MemoryProfile,
  PooledBuffer,
  TensorChunk,
]
for (const type of types) markCopy(type)
