import { boardPresets } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { Exit } from '../exit.js'
import {
  backEndDocument,
  detectedDocument,
  headroomDocument,
  machineDocument,
  signalsDocument,
} from '../shared/document.js'
import { lineOptions } from '../shared/line.js'
import type { Report, Verb } from '../verb.js'
import { examine, type Findings } from './findings.js'
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
