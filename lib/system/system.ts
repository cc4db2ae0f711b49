import type {
  BackEnd,
  BoardPreset,
  DetectedBoard,
  LikelyDevice,
  MachineMemory,
  ProcessMemory,
  Signals,
} from '../../binding.js'
import type { LoadedAddon } from '../addon/load.js'
import * as native from '../addon/native.js'
import * as check from '../support/check.js'
import { call } from '../support/errors.js'

export type {
  BackEnd,
  BoardPreset,
  Cgroup,
  CgroupLimit,
  DarkMemory,
  DetectedBoard,
  HugePages,
  LikelyDevice,
  MachineMemory,
  MissingSignal,
  NpuDriver,
  NvmapClient,
  Pressure,
  ProcessMemory,
  Signals,
  Stall,
  Zram,
} from '../../binding.js'
export type { LoadedAddon } from '../addon/load.js'

/** The id of a board preset. */
export type BoardId =
  | 'orin-nano-4gb'
  | 'orin-nano-8gb'
  | 'orin-nx-8gb'
  | 'orin-nx-16gb'
  | 'agx-orin-32gb'
  | 'agx-orin-64gb'
  | 't4000-64gb'
  | 'agx-thor-128gb'
  | 'xavier-nx-8gb'
  | 'xavier-nx-16gb'
  | 'agx-xavier-16gb'
  | 'agx-xavier-32gb'
  | 'agx-xavier-64gb'
  | 'gb10-128gb'
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

/** Where the system's files are read. */
export interface SystemOptions {
  /** The folder under which `proc`, `sys`, `dev` and `etc` lie: `/` by default, or a copy of a board's tree. */
  root?: string
}

/** Where the system's files are read, and whose they are. */
export interface ProcessOptions extends SystemOptions {
  /** The id of the process whose memory and cgroups are meant: this one by default. */
  pid?: number
}

const processId = (name: string, value: unknown) => check.integer(name, value, 1, 2 ** 31 - 1)

/** Checks the options that name a tree and a process. */
export const processChecks = { root: check.string, pid: processId } as const

const rootOf = (options: SystemOptions | undefined): string | undefined =>
  check.options<SystemOptions>(options, { root: check.string }).root

/**
 * The RAM of this machine now.
 *
 * @throws {@link IoError} where `/proc/meminfo` cannot be read.
 */
export function machineMemory(options?: ProcessOptions): MachineMemory {
  const { root, pid } = check.options<ProcessOptions>(options, processChecks)
  return call(() => native.machineMemory(root, pid))
}

/**
 * Every signal that tells of memory, read anew: the machine, the cgroups over the process, pressure, compressed swap,
 * the process, huge pages, and what drivers of accelerators say. Nothing throws: what is not there is absent, and
 * listed in `missing` with the reason.
 */
export function signals(options?: ProcessOptions): Signals {
  const { root, pid } = check.options<ProcessOptions>(options, processChecks)
  return native.signals(root, pid)
}

/**
 * What this machine is: by what its device tree is compatible with, never by its model's name; where there is no tree, by
 * its product's name in DMI. A machine that nothing is known of is a board too, without a preset and without
 * `unifiedMemory`.
 */
export function detectBoard(options?: SystemOptions): DetectedBoard {
  return native.detectBoard(rootOf(options))
}

/**
 * The kinds of device memory that this machine could give: each with where it was found, or why it cannot be used and
 * the line that mends it. Nothing is opened for it and no library is loaded.
 */
export function backEnds(options?: SystemOptions): BackEnd[] {
  return native.backEnds(rootOf(options))
}

/**
 * What `'auto'` would take if every back end that seems to be there can be opened, and why not each of the others. Nothing is
 * opened, and no library loaded.
 *
 * @example
 * likelyDevice().kind // 'host' on a PC, 'dma-heap' on an RK3588, 'cuda' on a Jetson
 */
export function likelyDevice(options?: SystemOptions): LikelyDevice {
  return native.likelyDevice(rootOf(options))
}

/**
 * What a process holds now, this one by default: resident memory with its anonymous, file and shared parts, and the
 * peak.
 *
 * @throws {@link IoError} where `/proc` is not mounted, and when no such process runs.
 */
export function processMemory(options?: Pick<ProcessOptions, 'pid'>): ProcessMemory {
  const { pid } = check.options<Pick<ProcessOptions, 'pid'>>(options, { pid: processId })
  return call(() => native.processMemory(pid))
}

/** The instruction set that the dequantisers run with on this machine: `"avx2+f16c"`, `"neon"` or `"portable"`. */
export function instructionSet(): string {
  return native.instructionSet()
}

/** The native addon that this process has loaded: which file, for which platform, and how it was checked. */
export function loadedAddon(): LoadedAddon {
  return { ...native.loaded }
}
