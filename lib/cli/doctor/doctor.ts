import { statSync } from 'node:fs'
import { release } from 'node:os'
import { relative } from 'node:path'
import {
  backEnds,
  boardPresets,
  detectBoard,
  instructionSet,
  loadedAddon,
  MemoryBudget,
  processMemory,
  type Signals,
  type SystemOptions,
  signals,
} from '../../index.js'
import { version } from '../../support/package.js'
import type { Arguments } from '../arguments.js'
import { Exit } from '../exit.js'
import { TreeError, UsageError } from '../failure.js'
import { autoChoice, likelyChoice, opened } from '../shared/devices.js'
import {
  backEndDocument,
  detectedDocument,
  headroomDocument,
  machineDocument,
  signalsDocument,
} from '../shared/document.js'
import { boardFrom, lineFrom, lineOf, lineOptions } from '../shared/line.js'
import { machineIfMeasured, measured } from '../shared/machine.js'
import type { Report, Verb } from '../verb.js'
import { boardTable, diagnosisPage } from './page.js'
import { warningsOf } from './warnings.js'

export const doctor: Verb = {
  name: 'doctor',
  summary: 'this machine: its board, its memory, how much of it may be used, and why',
  options: {
    ...lineOptions,
    root: { type: 'string', value: 'DIR', help: "read a copy of a board's files under DIR instead of this machine" },
    devices: { type: 'boolean', help: 'open every device but the NPU of a Rockchip, and tell its limits and its use' },
    boards: { type: 'boolean', help: 'list the boards that have a preset, and nothing else' },
  },
  run: (args) => (args.flag('boards') ? presets() : diagnosis(args)),
}

function presets(): Report {
  return { document: { boards: boardPresets }, lines: (page) => boardTable(page, 'Boards', boardPresets) }
}

async function diagnosis(args: Arguments): Promise<Report> {
  const found = await examine(args)
  const warnings = warningsOf(found)
  const exitCode = found.root === undefined ? Exit.trouble : Exit.brokenInput
  return {
    document: { ...documentOf(found), warnings },
    lines: (page) => diagnosisPage(page, found, warnings),
    ...(found.machine === undefined && { exitCode }),
  }
}

/** What a diagnosis is drawn from. */
export type Findings = Awaited<ReturnType<typeof examine>>

async function examine(args: Arguments) {
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
    auto: devices ? await autoChoice() : likelyChoice(found, detected.vendor),
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

const documentOf = ({ isNamed: _, devices: __, ...found }: Findings): object => ({
  ...found,
  root: found.root ?? null,
  machine: found.machine ? machineDocument(found.machine) : null,
  detected: detectedDocument(found.detected),
  board: found.board ?? null,
  line: found.line ?? null,
  headroom: found.headroom ? headroomDocument(found.headroom) : null,
  signals: signalsDocument(found.signals),
  backEnds: found.backEnds.map(backEndDocument),
  process: found.process ?? null,
  nodeAvailableBytes: found.nodeAvailableBytes ?? null,
})
