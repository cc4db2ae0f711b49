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
  detach,
  detectBoard,
  detectPreset,
  eventKinds,
  formatBytes,
  freeBuffer,
  gpuProcesses,
  instructionSet,
  leakWarning,
  likelyDevice,
  machineMemory,
  parseBytes,
  planNpuDomains,
  processes,
  processMemory,
  releaseGuard,
  signals,
  tensorTypes,
  unreportedCopies,
  USUAL_ALIGN_BYTES,
  valueTypes,
} = binding

export const NativeBudget = binding.NativeBudget
export type NativeBudget = Binding.NativeBudget
export const NativeStagingPool = binding.NativeStagingPool
export type NativeStagingPool = Binding.NativeStagingPool
export const NativeDevice = binding.NativeDevice
export type NativeDevice = Binding.NativeDevice
export const NativePool = binding.NativePool
export type NativePool = Binding.NativePool
export const NativeModel = binding.NativeModel
export type NativeModel = Binding.NativeModel

export const NativeMonitor = binding.NativeMonitor
export type NativeMonitor = Binding.NativeMonitor

export const NativeProfile = binding.NativeProfile
export type NativeProfile = Binding.NativeProfile

export type {
  NativeBounds,
  NativeDeviceOptions,
  NativeMove,
  NativeNotice,
  NativePoolOptions,
  NativeRequest,
  NativeRun,
  NativeStagingBuffer,
  NativeStep,
  NativeStream,
  NativeTensorType,
  NativeUnit,
} from '../../binding.js'
