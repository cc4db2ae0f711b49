import { type EstimateExtra, formatBytes, GiB, type ModelMemoryEstimate } from '../../index.js'
import { bar } from '../terminal/bar.js'
import type { Page } from '../terminal/page.js'
import { facts, heading, table } from '../terminal/table.js'
import { beginning, grouped, visible } from '../terminal/text.js'
import type { Room } from './budget.js'
import type { Subject } from './run-options.js'

/** Characters of a name that are shown at most. */
const MAX_NAME = 200

/** Cells of a bar. */
const BAR_CELLS = 20

/** What a model needs, for people. */
export function estimatePage(page: Page, { name, estimate, command }: Subject, room: Room, layers: boolean): string[] {
  return [
    heading(page, beginning(visible(name), MAX_NAME)),
    '',
    ...facts(page, [
      [
        'family',
        `${visible(estimate.architecture)}${estimate.known ? '' : ', unknown: taken for a plain transformer'}`,
      ],
      ['context', contextText(estimate)],
    ]),
    '',
    ...partsSection(page, estimate),
    ...devicesSection(page, estimate),
    '',
    ...totalsSection(page, estimate, room),
    ...(layers ? ['', ...layersSection(page, estimate)] : []),
    ...(command ? notUnderstoodSection(page, command.notUnderstood) : []),
  ]
}

/** The family, and whether it is one whose rules are known. */
export const familyText = ({ architecture, known }: ModelMemoryEstimate): string =>
  `${visible(architecture)}${known ? '' : ', unknown: taken for a plain transformer, and no figure is a bound'}`

export const contextText = ({ contextLength, parallel }: { contextLength: number; parallel: number }): string =>
  parallel === 1 ? `${grouped(contextLength)} tokens` : `${grouped(contextLength)} tokens in each of ${parallel} slots`

/** The parts of a model and what comes on top, with their shares. */
export function partsSection(page: Page, estimate: ModelMemoryEstimate): string[] {
  const { weightsBytes, kvCacheBytes, stateBytes, computeBoundBytes, computeBytes, computeExact, outputBytes } =
    estimate
  const all: [string, number, string][] = [
    ['weights', weightsBytes, ''],
    ['keys and values', kvCacheBytes, ''],
    ['recurrent states', stateBytes, ''],
    ['compute buffer', computeBoundBytes, computeExact ? '' : `at most; probably ${formatBytes(computeBytes)}`],
    ['output buffer', outputBytes, ''],
    ...estimate.extras.map((extra): [string, number, string] => [
      extraNames[extra.kind],
      extra.boundBytes,
      noteOf(extra),
    ]),
  ]
  const parts = all.filter(([, bytes]) => bytes > 0)
  const largest = Math.max(...parts.map(([, bytes]) => bytes))
  return [
    heading(page, 'Parts'),
    '',
    ...table(
      page,
      [{ title: 'part' }, { title: 'size', align: 'right' }, { title: '' }, { title: '', style: 'dim' }],
      parts.map(([title, bytes, note]) => [
        title,
        formatBytes(bytes),
        bar((_, text) => text, 'green', bytes / largest, BAR_CELLS),
        note,
      ]),
    ),
  ]
}

const extraNames: Record<EstimateExtra['kind'], string> = {
  repacked: 'weights, repacked',
  'read-buffer': 'read buffer',
  'mapped-weights': 'weights, in the page cache',
  'cuda-overhead': 'CUDA itself',
  projector: 'projector',
  'image-buffer': 'image buffer',
  draft: 'draft model',
  mtp: 'draft of its own blocks',
  adapters: 'adapters',
  'prompt-cache': 'prompt cache',
  checkpoints: 'checkpoints',
}

const phaseNames: Record<EstimateExtra['phase'], string> = {
  loading: 'while it is loaded',
  steady: '',
  full: 'once it is full',
}

const noteOf = ({ phase, bounded }: EstimateExtra): string =>
  [phaseNames[phase], bounded ? '' : 'not a bound'].filter((note) => note !== '').join(', ')

const devicesSection = (page: Page, { devices }: ModelMemoryEstimate): string[] =>
  devices.length < 2
    ? []
    : [
        '',
        heading(page, 'Devices'),
        '',
        ...table(
          page,
          [
            { title: 'device' },
            { title: 'weights', align: 'right' },
            { title: 'caches', align: 'right' },
            { title: 'compute, at most', align: 'right' },
          ],
          devices.map((device) => [
            device.device,
            formatBytes(device.weightsBytes),
            formatBytes(device.kvCacheBytes + device.stateBytes),
            formatBytes(device.computeBoundBytes),
          ]),
        ),
      ]

/** What all of it takes, and whether it is there. */
export function totalsSection(page: Page, { totals, npuDomains }: ModelMemoryEstimate, room: Room): string[] {
  const { loadingBytes, steadyBytes, fullBytes, peakBytes, largestAllocationBytes } = totals
  const fits = peakBytes <= room.availableBytes
  const { board, boundBy } = room
  const whose = boundBy
    ? `${boundBy} leaves`
    : board === undefined
      ? 'this machine can give now'
      : `the board ${board} has`
  const available = formatBytes(room.availableBytes)
  const over = fits ? '' : `, ${formatBytes(peakBytes - room.availableBytes)} too much`
  return [
    heading(page, 'Together'),
    '',
    ...facts(page, [
      ['while it is loaded', formatBytes(loadingBytes)],
      ['with a context', formatBytes(steadyBytes)],
      ['when all is full', fullBytes > steadyBytes ? formatBytes(fullBytes) : undefined],
      ['largest allocation', formatBytes(largestAllocationBytes)],
      [
        'NPU',
        npuDomains > 0
          ? `at least ${npuDomains} ${npuDomains === 1 ? 'domain' : 'domains'} of ${formatBytes(4 * GiB)}`
          : undefined,
      ],
      [
        fits ? 'fits' : 'does not fit',
        page.paint(fits ? 'green' : 'red', `${formatBytes(peakBytes)} of the ${available} that ${whose}${over}`),
      ],
    ]),
  ]
}

const layersSection = (page: Page, { layers }: ModelMemoryEstimate): string[] => [
  heading(page, 'Layers', grouped(layers.length)),
  '',
  ...table(
    page,
    [
      { title: 'layer', align: 'right' },
      { title: 'weights', align: 'right' },
      { title: 'keys', align: 'right' },
      { title: 'values', align: 'right' },
      { title: 'state', align: 'right' },
      { title: 'cells', align: 'right' },
      { title: '' },
    ],
    layers.map((layer, index) => [
      String(index),
      formatBytes(layer.weightsBytes),
      formatBytes(layer.keyBytes),
      formatBytes(layer.valueBytes),
      formatBytes(layer.stateBytes),
      grouped(layer.cells),
      layer.slides ? 'a window' : '',
    ]),
  ),
]

/** Arguments that widen the bound. */
function notUnderstoodSection(page: Page, all: readonly { argument: string; reason: string }[]): string[] {
  if (all.length === 0) return []
  return [
    '',
    heading(page, 'Not understood', 'the bound of the compute buffer is half as much again'),
    '',
    ...facts(
      page,
      all.map(({ argument, reason }) => [visible(argument), reason] as const),
    ),
  ]
}
