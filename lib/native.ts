import type * as Binding from '../binding.js'
import { loadAddon } from './addon.js'

const { binding, loaded } = loadAddon()

/** What was loaded, and from where. */
export { loaded }

/** The addon. Everything else in `lib/` reaches it through here. */
export const {
  boardPresets,
  detach,
  formatBytes,
  instructionSet,
  leakWarning,
  machineMemory,
  parseBytes,
  processMemory,
} = binding

export const NativeBudget = binding.NativeBudget
export type NativeBudget = Binding.NativeBudget
export const NativeBufferPool = binding.NativeBufferPool
export type NativeBufferPool = Binding.NativeBufferPool
export const NativeModel = binding.NativeModel
export type NativeModel = Binding.NativeModel

export type { NativePooledBuffer, NativeStream, NativeUnit } from '../binding.js'
