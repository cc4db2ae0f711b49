import { type BoardPreset, formatBytes, type LoadedAddon, type MachineMemory, type ProcessMemory } from '../../index.js'
import { boundTable } from '../shared/bounds.js'
import type { Line } from '../shared/line.js'
import { signalEntries } from '../shared/signal-words.js'
import type { Page } from '../terminal/page.js'
import { entries, facts, heading, table } from '../terminal/table.js'
import { visible } from '../terminal/text.js'
import { deviceEntries } from './device-words.js'
import type { Findings } from './findings.js'
import type { Warning } from './warnings.js'

/** A diagnosis for people. */
export function diagnosisPage(page: Page, found: Findings, warnings: readonly Warning[]): string[] {
  const { machine, line, process, board } = found
  const sections = [
    programSection(page, found),
    machine && machineSection(page, machine),
    boardSection(page, found),
    board && boardTable(page, 'Preset', [board]),
    line && lineSection(page, line, machine),
    headroomSection(page, found),
    signalSection(page, found),
    backEndSection(page, found),
    process && processSection(page, process),
    warningSection(page, warnings),
  ]
  return sections
    .filter((section) => section !== undefined)
    .flatMap((section, i) => (i > 0 ? ['', ...section] : section))
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
    ['reads', found.root === undefined ? undefined : `the copy of a machine under ${visible(found.root)}`],
  ]),
]

const addonText = ({ platform, sizeBytes, sha256Verified }: LoadedAddon): string =>
  `${platform}, ${formatBytes(sizeBytes)}${sha256Verified ? ', SHA-256 verified' : ''}`

const machineSection = (page: Page, { totalBytes, availableBytes, hugePagesBytes, scope, cgroup }: MachineMemory) => [
  heading(page, 'Machine'),
  '',
  ...facts(page, [
    ['total', formatBytes(totalBytes)],
    ['available', formatBytes(availableBytes)],
    ['huge pages', hugePagesBytes ? `${formatBytes(hugePagesBytes)} set aside, not in the line` : undefined],
    ['of', scope === 'container' ? 'the container (lxcfs)' : undefined],
    ['cgroup', cgroup ? `${formatBytes(cgroup.limitBytes)}, ${visible(cgroup.path)}` : 'no limit'],
  ]),
]

function boardSection(page: Page, { detected, board, isNamed }: Findings): string[] {
  const { vendor, soc, module, l4t, jetpack, kernelRelease, compatible, unifiedMemory } = detected
  const named = isNamed ? ', named by --board' : ''
  return [
    heading(page, 'Board'),
    '',
    ...facts(page, [
      ['name', visible(detected.name)],
      ['chip', soc && `${vendor} ${soc}`],
      ['module', module && visible(module)],
      ['L4T', l4t && `${visible(l4t)}${jetpack ? `, JetPack ${jetpack}` : ''}`],
      ['kernel', kernelRelease && visible(kernelRelease)],
      [
        'memory',
        unifiedMemory === undefined
          ? 'of a chip whose accelerators are not known to share it, or not to'
          : unifiedMemory
            ? 'shared by the CPU and its accelerators'
            : 'not shared with accelerators',
      ],
      ['preset', board ? board.id + named : 'none'],
      ['compatible', compatible.length > 0 ? visible(compatible.join(', ')) : undefined],
    ]),
  ]
}

/** Presets under a title. */
export const boardTable = (page: Page, title: string, boards: readonly BoardPreset[]): string[] => [
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

const lineSection = (page: Page, { lineBytes, binding, terms }: Line, machine: MachineMemory | undefined): string[] => [
  heading(page, 'Line', `${formatBytes(lineBytes)} may be used; the lowest term draws it`),
  '',
  ...table(
    page,
    [{ title: '', style: 'green' }, { title: 'term' }, { title: 'bytes', align: 'right' }, { title: 'what it is' }],
    terms.map((term, i) => [
      i === 0 && term.kind === binding ? '▸' : '',
      term.kind,
      formatBytes(term.bytes),
      visible(term.description),
    ]),
  ),
  ...(machine && machine.availableBytes < lineBytes ? ['', shortage(page, machine.availableBytes)] : []),
]

const shortage = (page: Page, availableBytes: number): string =>
  `  ${page.paint('yellow', `Less than the line is free now: ${formatBytes(availableBytes)}.`)}`

function headroomSection(page: Page, { headroom, nodeAvailableBytes }: Findings): string[] | undefined {
  if (!headroom) return undefined
  return [
    heading(page, 'Headroom', `${formatBytes(headroom.bytes)} can be given now; the least room decides`),
    '',
    ...boundTable(page, headroom),
    '',
    ...facts(page, [
      ['pending', formatBytes(headroom.pendingBytes)],
      [
        'largest allocation',
        headroom.largestAllocationBytes === undefined
          ? 'not reported by the driver'
          : formatBytes(headroom.largestAllocationBytes),
      ],
      [
        'Node.js',
        nodeAvailableBytes === undefined ? undefined : `${formatBytes(nodeAvailableBytes)}, process.availableMemory()`,
      ],
    ]),
  ]
}

const signalSection = (page: Page, { signals }: Findings): string[] => [
  heading(page, 'Signals', 'what the kernel and its drivers tell of memory'),
  '',
  ...entries(page, 'dim', signalEntries(signals)),
]

const backEndSection = (page: Page, found: Findings): string[] => [
  heading(page, 'Device memory', 'what this user could take for accelerators'),
  '',
  ...entries(page, 'dim', deviceEntries(found)),
]

const processSection = (page: Page, memory: ProcessMemory): string[] => [
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

const warningSection = (page: Page, warnings: readonly Warning[]): string[] => [
  heading(page, 'Warnings', warnings.length > 0 ? 'what to act on' : 'none'),
  ...(warnings.length > 0 ? [''] : []),
  ...entries(
    page,
    'yellow',
    warnings.map(({ code, message, advice, command }) => ({
      name: code,
      text: visible(`${message}. ${advice}.`),
      command: command ?? undefined,
    })),
  ),
]
