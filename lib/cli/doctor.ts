import { release } from 'node:os'
import {
  type BoardPreset,
  boardPresets,
  formatBytes,
  instructionSet,
  type LoadedAddon,
  loadedAddon,
  type MachineMemory,
  MemoryBudget,
  processMemory,
} from '../index.js'
import type { Arguments } from './arguments.js'
import { boardFrom, type Line, lineFrom, lineOf, lineOptions } from './line.js'
import { measuredMachine } from './machine.js'
import { facts, heading, table } from './table.js'
import { visible } from './text.js'
import type { Page, Report, Verb } from './verb.js'
import { packageVersion } from './version.js'

export const doctor: Verb = {
  name: 'doctor',
  summary: 'this machine: its memory, how much of it may be used, and why',
  options: {
    ...lineOptions,
    boards: { type: 'boolean', help: 'list the boards that have a preset, and nothing else' },
  },
  run: (args) => (args.flag('boards') ? presets() : diagnosis(args)),
}

function presets(): Report {
  return { document: { boards: boardPresets }, lines: (page) => boardSection(page, 'Boards', boardPresets) }
}

function diagnosis(args: Arguments): Report {
  const found = examine(args)
  const { board, machine, line } = found
  return {
    document: { ...found, board: board ?? null, machine: { ...machine, cgroup: machine.cgroup ?? null } },
    lines: (page) => [
      ...programSection(page, found),
      '',
      ...machineSection(page, machine),
      '',
      ...(board ? [...boardSection(page, 'Board', [board]), ''] : []),
      ...lineSection(page, line, machine),
      '',
      ...processSection(page, found),
    ],
  }
}

type Findings = ReturnType<typeof examine>

function examine(args: Arguments) {
  return {
    version: packageVersion(),
    node: process.versions.node,
    platform: process.platform,
    system: release(),
    architecture: process.arch,
    instructionSet: instructionSet(),
    addon: loadedAddon(),
    machine: measuredMachine(),
    board: boardFrom(args),
    line: lineOf(MemoryBudget.forThisMachine(lineFrom(args))),
    process: processMemory(),
  }
}

const programSection = (page: Page, found: Findings): string[] => [
  heading(page, 'Program'),
  '',
  ...facts(page, [
    ['plimsoll', found.version],
    ['node', found.node],
    ['system', `${found.platform} ${found.system}, ${found.architecture}`],
    ['instructions', found.instructionSet],
    ['addon', addonText(found.addon)],
    ['file', visible(found.addon.path)],
  ]),
]

const addonText = ({ platform, sizeBytes, sha256Verified }: LoadedAddon): string =>
  `${platform}, ${formatBytes(sizeBytes)}${sha256Verified ? ', SHA-256 verified' : ''}`

const machineSection = (page: Page, { totalBytes, availableBytes, cgroup }: MachineMemory): string[] => [
  heading(page, 'Machine'),
  '',
  ...facts(page, [
    ['total', formatBytes(totalBytes)],
    ['available', formatBytes(availableBytes)],
    ['cgroup', cgroup ? `${formatBytes(cgroup.limitBytes)}, ${visible(cgroup.path)}` : 'no limit'],
  ]),
]

const boardSection = (page: Page, title: string, boards: readonly BoardPreset[]): string[] => [
  heading(page, title),
  '',
  ...table(
    page,
    [
      { title: 'id', style: 'bold' },
      { title: 'total', align: 'right' },
      { title: 'reserved', align: 'right' },
      { title: 'usable', align: 'right' },
      { title: 'system on chip' },
      { title: 'name' },
    ],
    boards.map((board) => [
      board.id,
      formatBytes(board.totalBytes),
      formatBytes(board.reservedBytes),
      formatBytes(board.usableBytes),
      `${board.vendor} ${board.soc}`,
      board.name,
    ]),
  ),
]

const lineSection = (page: Page, { lineBytes, binding, terms }: Line, { availableBytes }: MachineMemory): string[] => [
  heading(page, 'Line', `${formatBytes(lineBytes)} may be used; the lowest term draws it`),
  '',
  ...table(
    page,
    [{ title: '', style: 'green' }, { title: 'term' }, { title: 'bytes', align: 'right' }, { title: 'what it is' }],
    terms.map((term) => [
      term.kind === binding ? '▸' : '',
      term.kind,
      formatBytes(term.bytes),
      visible(term.description),
    ]),
  ),
  ...(availableBytes < lineBytes ? ['', shortage(page, availableBytes)] : []),
]

const shortage = (page: Page, availableBytes: number): string =>
  `  ${page.paint('yellow', `Less than the line is free now: ${formatBytes(availableBytes)}.`)}`

const processSection = (page: Page, { process: memory }: Findings): string[] => [
  heading(page, 'This process'),
  '',
  ...facts(page, [
    ['resident', formatBytes(memory.rssBytes)],
    ['anonymous', formatBytes(memory.anonymousBytes)],
    ['file', formatBytes(memory.fileBytes)],
    ['shared', formatBytes(memory.shmemBytes)],
    ['peak', formatBytes(memory.peakRssBytes)],
  ]),
]
