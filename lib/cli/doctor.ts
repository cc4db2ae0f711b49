import { release } from 'node:os'
import {
  type BoardPreset,
  boardPresets,
  formatBytes,
  instructionSet,
  type MachineMemory,
  MemoryManager,
  machineMemory,
  type ProcessMemory,
  processMemory,
} from '../index.js'
import type { Arguments } from './arguments.js'
import { SystemTrouble } from './failure.js'
import { boardFrom, type Line, lineFrom, lineOf, lineOptions } from './line.js'
import { facts, heading, table } from './table.js'
import { visible } from './text.js'
import type { Page, Report, Verb } from './verb.js'
import { packageVersion } from './version.js'

export const doctor: Verb = {
  name: 'doctor',
  summary: 'this machine: its memory, the line under it, and what draws the line',
  options: {
    boards: { type: 'boolean', help: 'list the boards that have a preset, and nothing else' },
    ...lineOptions,
  },
  run: (args) => (args.flag('boards') ? boards() : diagnosis(args)),
}

function boards(): Report {
  return { document: { boards: boardPresets }, lines: (page) => boardTable(page, boardPresets) }
}

async function diagnosis(args: Arguments): Promise<Report> {
  const machine = measured()
  const board = boardFrom(args)
  const program = programFacts()
  await using manager = new MemoryManager(lineFrom(args))
  const line = lineOf(manager.budget)
  const memory = processMemory()
  const document = { ...program, machine: { ...machine, cgroup: machine.cgroup ?? null }, board: board ?? null, line, process: memory }
  return {
    document,
    lines: (page) => [
      ...programSection(page, program),
      ...machineSection(page, machine),
      ...(board ? boardSection(page, board) : []),
      ...lineSection(page, line, machine),
      ...processSection(page, memory),
    ],
  }
}
