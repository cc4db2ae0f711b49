/**
 * Budgets, the machine, devices and pools, the GGUF reader and its streams, estimates, plans, the monitor: the package itself.
 *
 * @module plimsoll
 */

import './support/disposal.js'
import { Admission } from './admission/admission.js'
import { Grant } from './admission/grant.js'
import { BlackBox } from './blackbox/black-box.js'
import { Allocation } from './budget/allocation.js'
import { MemoryBudget } from './budget/budget.js'
import { DeviceBuffer } from './device/buffer.js'
import { Device } from './device/device.js'
import { ModelMemoryEstimate } from './estimate/model-memory.js'
import { TensorChunk } from './loader/chunk.js'
import { GgufFile } from './loader/gguf-file.js'
import { MemoryManager } from './manager/manager.js'
import { MemoryMonitor } from './monitor/monitor.js'
import { Instances } from './plan/instances.js'
import { PlanReport } from './plan/report.js'
import { MemoryPool } from './pool/memory-pool.js'
import { StagingBuffer, StagingPool } from './pool/staging.js'
import { MemoryProfile } from './profile/profile.js'
import { markCopy } from './support/copy.js'
import { PageStore } from './tokens/page-store.js'
import { TokenBudget } from './tokens/token-budget.js'
import { TokenSequence } from './tokens/token-sequence.js'

export { formatBytes, GiB, KiB, MiB, parseBytes } from './addon/units.js'
export { Admission, type WaitingRequest } from './admission/admission.js'
export { Grant, type MakeRoomRequest, type OnEvict, type OnRevoke } from './admission/grant.js'
export type { AcquireOptions, AcquireRequest } from './admission/options.js'
export { BlackBox, type BlackBoxNoteKind, type BlackBoxOptions, type BlackBoxStats } from './blackbox/black-box.js'
export {
  type BlackBoxHappening,
  type BlackBoxHolder,
  type BlackBoxLabel,
  type BlackBoxMachine,
  type BlackBoxMoment,
  type BlackBoxReading,
  type BlackBoxRun,
  type BlackBoxVerdict,
  type ReadBlackBoxOptions,
  readBlackBox,
} from './blackbox/reading.js'
export { Allocation } from './budget/allocation.js'
export {
  type AllocationInfo,
  type BudgetNumbers,
  type Headroom,
  type HeadroomOptions,
  type HeadroomTerm,
  type LineTerm,
  type MachineBudgetOptions,
  MemoryBudget,
  type RefusalCount,
  type RefusedRequest,
  type RefusedRequests,
} from './budget/budget.js'
export type { RefusalNotice } from './budget/refusals.js'
export {
  type BufferRange,
  DeviceBuffer,
  type ExportedFd,
  type MappingOptions,
  PoolBuffer,
  type ReadOptions,
} from './device/buffer.js'
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
} from './device/device.js'
export { type GpuProcess, gpuProcesses } from './device/gpu-processes.js'
export type { ModelConfig } from './estimate/config.js'
export { type Fit, type FitAxis, type FitConfiguration, type FitOptions, type FitTrade, fit } from './estimate/fit.js'
export {
  contextOfSlot,
  type LlamaArguments,
  type LlamaOptions,
  type LlamaRuntime,
  llamaArguments,
  type NotUnderstood,
} from './estimate/llama-arguments.js'
export { type LlamaRun, openLlamaRun } from './estimate/llama-run.js'
export {
  type ConfigOptions,
  type EstimateExtra,
  type EstimateTotals,
  estimate,
  type LayerBytes,
  type ModelDeviceBytes,
  ModelMemoryEstimate,
  type ParamsOptions,
  type Quantization,
  quantizations,
  quantizedSizeBytes,
  ruleOfThumbBytes,
  type ShapeOptions,
  type TypeBytes,
  type TypicalShape,
  typicalShapes,
  type WeightBytes,
} from './estimate/model-memory.js'
export {
  type CompanionOptions,
  type DraftOptions,
  type EstimateOptions,
  type FixedOptions,
  type KvType,
  kvTypes,
  type LlamaCppVersion,
  llamaCppVersions,
  type MtpOptions,
  type Processor,
  processors,
  type RunOptions,
  type Runtime,
  runtimes,
} from './estimate/options.js'
export type { ModelShape } from './estimate/shape.js'
export {
  type ComponentUse,
  type EstimateVerification,
  type MeasureUseOptions,
  type MemoryUse,
  measureUse,
  type VerifyEstimateOptions,
  verifyEstimate,
} from './estimate/verify.js'
export {
  type LedgerChoice,
  type LedgerHolder,
  type LedgerOptions,
  type LedgerSurvey,
  type LedgerWaiting,
  surveyLedger,
} from './ledger/ledger.js'
export { TensorChunk } from './loader/chunk.js'
export {
  GgufFile,
  type GgufFileType,
  type GgufGap,
  type GgufSplit,
  type TensorInfo,
  type WebAddress,
} from './loader/gguf-file.js'
export { GgufArray, type GgufElements, GgufMetadata, type GgufValue, type GgufValueType } from './loader/metadata.js'
export type {
  HeaderOptions,
  LoadAllIntoOptions,
  LoadAllIntoPoolOptions,
  LoadAllOptions,
  LoadIntoBufferOptions,
  LoadIntoOptions,
  LoadOptions,
  OpenOptions,
  ReadStreamOptions,
  StreamOptions,
  TensorPlace,
} from './loader/options.js'
export { type TensorData, type TensorOutput, tensorDataBytes, tensorOutputs } from './loader/output.js'
export type { IoMode, LoadProgress, TensorDigest } from './loader/progress.js'
export type { TensorReadStream } from './loader/read-stream.js'
export type { OpenUrlOptions } from './loader/remote-options.js'
export {
  type ManagedPoolStats,
  type ManagerLimits,
  MemoryManager,
  type MemoryManagerOptions,
  type MemoryStats,
  type MemoryUsage,
} from './manager/manager.js'
export {
  type MemoryLevel,
  type MemoryLimits,
  MemoryMonitor,
  type MetricDefinition,
  type MonitorEmitter,
  type MonitorEvents,
  type MonitorOptions,
  type MonitorSample,
} from './monitor/monitor.js'
export type { ReclaimRun } from './monitor/reclaim.js'
export type { Component, Stage } from './monitor/stages.js'
export type { PlanAdvice, PlanInstanceReport, PlannedInstanceReport } from './plan/figures.js'
export { fixPlan, type PlanFix } from './plan/fix.js'
export { type AllocatedInstance, Instances } from './plan/instances.js'
export { planModes, type RecommendLimitsOptions, type RoleLimit, recommendLimits } from './plan/limits.js'
export { checkBeforeLoad, type LoadCheck, type LoadCheckOptions } from './plan/load-check.js'
export { type MemoryArgSource, type MemoryArgs, parseMemoryArgs } from './plan/memory-args.js'
export { PlanReport } from './plan/report.js'
export { type ParsePlanOptions, parsePlan, readPlan } from './plan/source.js'
export type {
  Plan,
  PlanDuration,
  PlanFormula,
  PlanInstance,
  PlanMode,
  PlanRun,
  PlanRunOptions,
  PlanSize,
} from './plan/types.js'
export { validatePlan } from './plan/validate.js'
export { DeviceFamily, type FamilyAllocateOptions, type FamilyDevice, type FamilyStats } from './pool/family.js'
export {
  type BlockInfo,
  type DefragmentReport,
  MemoryPool,
  type PoolScope,
  type PoolStats,
  type SlabInfo,
} from './pool/memory-pool.js'
export type {
  AutoDefragmentOptions,
  DefragmentOptions,
  GrowingBufferOptions,
  MemoryPoolOptions,
  MovableBuffer,
  PoolBufferOptions,
} from './pool/options.js'
export { MemoryPools } from './pool/pools.js'
export { type PoolSnapshot, parsePoolSnapshots } from './pool/snapshot.js'
export { StagingBuffer, StagingPool, type StagingPoolOptions, type StagingPoolStats } from './pool/staging.js'
export type { PoolSettings, PoolTrace } from './pool/trace.js'
export { type LeakOptions, MemoryProfile, type ProfileOptions } from './profile/profile.js'
export type {
  LabelTotals,
  LiveAllocation,
  ProfileEvent,
  ProfileEventKind,
  ProfileReport,
  ProfileRows,
  ProfileThread,
} from './profile/record.js'
export type { ProfileFormat, ProfileWriter } from './profile/writers.js'
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
  InvalidModelError,
  InvalidPlanError,
  InvalidTensorError,
  IoError,
  LedgerError,
  NeverFitsError,
  type PlanIssue,
  PlimsollError,
  ReleasedError,
  TimeoutError,
  UnsupportedTypeError,
} from './support/errors.js'
export { type DroppedPages, dropPageCache, type PageCache, pageCache } from './system/page-cache.js'
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
  type LikelyDevice,
  type LoadedAddon,
  likelyDevice,
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
} from './system/system.js'
export type { PrunePolicy, TokenBudgetOptions, TokenLayer } from './tokens/options.js'
export { type PageKey, PageStore, type PageStoreOptions, type PageStoreStats } from './tokens/page-store.js'
export { type FollowOptions, type SequenceUsage, TokenBudget, type TokenUsage } from './tokens/token-budget.js'
export { TokenSequence } from './tokens/token-sequence.js'

const types = [
  Admission,
  BlackBox,
  Allocation,
  StagingPool,
  Device,
  DeviceBuffer,
  GgufFile,
  Grant,
  Instances,
  MemoryBudget,
  MemoryManager,
  MemoryMonitor,
  MemoryPool,
  MemoryProfile,
  ModelMemoryEstimate,
  PageStore,
  PlanReport,
  StagingBuffer,
  TensorChunk,
  TokenBudget,
  TokenSequence,
]
for (const type of types) markCopy(type)
