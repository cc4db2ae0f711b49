/** The addon. Everything else in `lib/` reaches it through here. */

export type { NativePooledBuffer, NativeStream, NativeUnit } from '../binding.js'
export {
  boardPresets,
  detach,
  formatBytes,
  instructionSet,
  leakWarning,
  machineMemory,
  NativeBudget,
  NativeBufferPool,
  NativeModel,
  parseBytes,
  processMemory,
} from '../binding.js'
