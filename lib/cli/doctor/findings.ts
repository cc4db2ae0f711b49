import { statSync } from 'node:fs'
import { release } from 'node:os'
import { relative } from 'node:path'
import {
  backEnds,
  boardPresets,
  detectBoard,
  instructionSet,
  likelyDevice,
  loadedAddon,
  MemoryBudget,
  processMemory,
  type Signals,
  type SystemOptions,
  signals,
} from '../../index.js'
import { measured } from '../../support/measured.js'
import { version } from '../../support/package.js'
import type { Arguments } from '../arguments.js'
import { TreeError, UsageError } from '../failure.js'
import { autoChoice, opened } from '../shared/devices.js'
import { boardFrom, lineFrom, lineOf } from '../shared/line.js'
import { machineIfMeasured } from '../shared/machine.js'

/** What a diagnosis is drawn from. */
export type Findings = Awaited<ReturnType<typeof examine>>

/** Looks at this machine, or at the copy of one. */
export async function examine(args: Arguments) {
  const root = rootFrom(args)
  const devices = args.flag('devices')
  if (devices && root !== undefined) throw new UsageError('expected --devices or --root, got both')
  const tree: SystemOptions = root === undefined ? {} : { root }
  const named = boardFrom(args)
  const detected = detectBoard(tree)
  const found = backEnds(tree)
  // With its root named it is for looking: what is not certain is a warning on the page, and none in the log.
  const budget = measured(() => MemoryBudget.forThisMachine({ ...lineFrom(args), root: root ?? '/' }))
  return {
    version,
    node: process.versions.node,
    platform: process.platform,
    system: release(),
    architecture: process.arch,
    instructionSet: instructionSet(),
    addon: loadedAddon(),
    root,
    machine: machineIfMeasured(tree),
    detected,
    /** Whether a preset was named. */
    isNamed: named !== undefined,
    board: named ?? boardPresets.find(({ id }) => id === detected.preset),
    line: budget && lineOf(budget),
    headroom: budget && measured(() => budget.headroom()),
    signals: signalsOf(tree),
    backEnds: root === undefined ? await opened(found, devices) : found,
    auto: devices ? await autoChoice() : likelyDevice(tree),
    /** Whether everything was opened that is to be. */
    devices,
    // Of a copy, only the process that made it could be told.
    process: root === undefined ? measured(processMemory) : undefined,
    nodeAvailableBytes: root === undefined ? process.availableMemory() : undefined,
  }
}

/** The signals, with the files of a copy called as the board called them in the reasons for what is not there. */
function signalsOf(tree: SystemOptions): Signals {
  const read = signals(tree)
  const { root } = tree
  if (root === undefined) return read
  const named = (path: string) => (path.startsWith(root) ? `/${relative(root, path)}` : path)
  const missing = read.missing.map(({ path, reason, ...rest }) => ({
    ...rest,
    path,
    reason: reason.replace(path, () => named(path)),
  }))
  return { ...read, missing }
}

/** The folder named by `--root`, if one is. */
function rootFrom(args: Arguments): string | undefined {
  const root = args.text('root')
  if (root === undefined || statSync(root, { throwIfNoEntry: false })?.isDirectory()) return root
  throw new TreeError(`expected --root to be a folder with a board's files, got "${root}"`)
}
