import type * as Binding from '../../binding.js'
import { loadAddon } from './load.js'

const { binding, loaded } = loadAddon()

/** What was loaded, and from where. */
export { loaded }

/** The addon. Everything else in `lib/` reaches it through here. */
export const {
  abandonPool,
  allocateBuffer,
  allocateGuard,
  backEnds,
  boardPresets,
  checkLoad,
  defaultHeadroom,
  detach,
  detectBoard,
  detectPreset,
  dropPageCache,
  estimateDimensions,
  estimateModel,
  estimateParameters,
  eventKinds,
  expectRoomFor,
  fitAxes,
  fitModel,
  fittingPlanLimits,
  formatBytes,
  freeBuffer,
  gpuProcesses,
  instructionSet,
  kvTypes,
  leakWarning,
  likelyDevice,
  llamaCppVersions,
  machineMemory,
  mappedFileBytes,
  metricCatalogue,
  pageCache,
  parseBytes,
  planModes,
  planNpuDomains,
  planReport,
  planRoles,
  processes,
  processMemory,
  processors,
  quantizations,
  quantizedSizeBytes,
  queueClockUs,
  readBlackBoxFile,
  recommendedLimits,
  releaseGuard,
  requiredOf,
  ruleOfThumbBytes,
  runtimes,
  signals,
  surveyLedger,
  tensorTypes,
  topScores,
  typicalShapes,
  unreportedCopies,
  USUAL_ALIGN_BYTES,
  valueTypes,
  verifyUse,
} = binding

export const NativeAdmission = binding.NativeAdmission
export type NativeAdmission = Binding.NativeAdmission
export const NativeBudget = binding.NativeBudget
export type NativeBudget = Binding.NativeBudget
export type NativeLedgerOptions = Binding.NativeLedgerOptions
export const NativeStagingPool = binding.NativeStagingPool
export type NativeStagingPool = Binding.NativeStagingPool
export const NativeDevice = binding.NativeDevice
export type NativeDevice = Binding.NativeDevice
export const NativePool = binding.NativePool
export type NativePool = Binding.NativePool
export const NativePlaces = binding.NativePlaces
export type NativePlaces = Binding.NativePlaces
export const NativeModel = binding.NativeModel
export type NativeModel = Binding.NativeModel
export const NativeRemoteModel = binding.NativeRemoteModel
export type NativeRemoteModel = Binding.NativeRemoteModel

export const NativeMonitor = binding.NativeMonitor
export type NativeMonitor = Binding.NativeMonitor

export const NativeTokens = binding.NativeTokens
export type NativeTokens = Binding.NativeTokens

export const NativeBlackBox = binding.NativeBlackBox
export type NativeBlackBox = Binding.NativeBlackBox

export const NativeProfile = binding.NativeProfile
export type NativeProfile = Binding.NativeProfile

export type {
  NativeAcquireOptions,
  NativeAdmissionNotice,
  NativeBlackBoxOptions,
  NativeBounds,
  NativeCompanions,
  NativeDeviceOptions,
  NativeEstimate,
  NativeEstimateOptions,
  NativeFit,
  NativeFitOptions,
  NativeGranted,
  NativeGrantRequest,
  NativeGrowth,
  NativeMemoryUse,
  NativeMove,
  NativeNotice,
  NativePlanIssue,
  NativePlanMemory,
  NativePlannedInstance,
  NativePlanReport,
  NativePoolOptions,
  NativeRequest,
  NativeRun,
  NativeShape,
  NativeStagingBuffer,
  NativeStep,
  NativeStream,
  NativeTensorType,
  NativeTokenLayer,
  NativeTokenLimits,
  NativeUnit,
  NativeVerification,
  PlanInstanceReport,
} from '../../binding.js'
