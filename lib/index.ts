export { Allocation } from './allocation.js'
export {
  type AllocationInfo,
  type BudgetNumbers,
  type LineTerm,
  type MachineBudgetOptions,
  MemoryBudget,
} from './budget.js'
export { BufferPool, type BufferPoolOptions, type BufferPoolStats, PooledBuffer } from './buffer-pool.js'
export { TensorChunk } from './chunk.js'
export {
  AbortError,
  AddonUnavailableError,
  type AddonUnavailableReason,
  type ErrorCode,
  InsufficientMemoryError,
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
  type LoadIntoOptions,
  type LoadOptions,
  type OpenOptions,
  type StreamOptions,
  type TensorInfo,
} from './gguf-file.js'
export { MemoryManager, type MemoryManagerOptions } from './manager.js'
export { GgufArray, type GgufElements, GgufMetadata, type GgufValue, type GgufValueType } from './metadata.js'
export { type TensorData, type TensorOutput, tensorDataBytes, tensorOutputs } from './output.js'
export type { LoadProgress } from './stream.js'
export {
  type BoardId,
  type BoardPreset,
  boardPresets,
  type CgroupLimit,
  instructionSet,
  type LoadedAddon,
  loadedAddon,
  type MachineMemory,
  machineMemory,
  type ProcessMemory,
  processMemory,
} from './system.js'
export { formatBytes, GiB, KiB, MiB, parseBytes } from './units.js'
