import type { BoardPreset, MachineMemory, ProcessMemory } from '../binding.js'
import type { LoadedAddon } from './addon.js'
import * as check from './check.js'
import { call } from './errors.js'
import * as native from './native.js'

export type { BoardPreset, CgroupLimit, MachineMemory, ProcessMemory } from '../binding.js'
export type { LoadedAddon } from './addon.js'

/** The id of a board preset. */
export type BoardId =
  | 'orin-nano-4gb'
  | 'orin-nano-8gb'
  | 'orin-nx-8gb'
  | 'orin-nx-16gb'
  | 'agx-orin-32gb'
  | 'agx-orin-64gb'
  | 'agx-thor-128gb'
  | 'rk3588-4gb'
  | 'rk3588-8gb'
  | 'rk3588-16gb'
  | 'rk3588-32gb'

/** The boards this package knows by name. */
export const boardPresets: readonly Readonly<BoardPreset>[] = Object.freeze(
  native.boardPresets().map((board) => Object.freeze(board)),
)

const ids = boardPresets.map((board) => board.id as BoardId)

/** Checks the id of a board. */
export const boardId = (name: string, value: unknown): BoardId => check.oneOf(name, value, ids)

/** Checks the id of a board, or `'auto'`. */
export const autoOrBoardId = (name: string, value: unknown): BoardId | 'auto' =>
  check.oneOf(name, value, ['auto', ...ids])

/** The RAM of this machine now. Figures that the system does not give read 0. */
export function machineMemory(): MachineMemory {
  return native.machineMemory()
}

/**
 * What this process holds now: resident memory with its anonymous, file and shared parts, and the peak.
 *
 * @throws {@link IoError} where `/proc` is not mounted.
 */
export function processMemory(): ProcessMemory {
  return call(native.processMemory)
}

/** The instruction set that the dequantisers run with on this machine: `"avx2+f16c"`, `"neon"` or `"portable"`. */
export function instructionSet(): string {
  return native.instructionSet()
}

/** The native addon that this process has loaded: which file, for which platform, and how it was checked. */
export function loadedAddon(): LoadedAddon {
  return { ...native.loaded }
}
