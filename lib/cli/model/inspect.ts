import { basename } from 'node:path'
import { formatBytes, type GgufFile, type TensorInfo } from '../../index.js'
import { JsonEntries } from '../../support/json.js'
import type { Arguments } from '../arguments.js'
import { addressOptions, headersFrom, openModel, strictnessFrom, strictnessOptions } from '../shared/input.js'
import type { Page } from '../terminal/page.js'
import { facts, heading, table } from '../terminal/table.js'
import { beginning, grouped } from '../terminal/text.js'
import type { Report, Verb } from '../verb.js'
import { documentOf, textOf, typeOf } from './metadata-value.js'

/** Rows of a table shown at most; the document has all. */
const MAX_ROWS = 10_000

/** Characters shown of a name at most. */
const MAX_NAME = 200

export const inspect: Verb = {
  name: 'inspect',
  operand: 'FILE|URL',
  summary: 'what is in a GGUF file: metadata, tensors, totals by type',
  options: {
    ...addressOptions,
    'header-only': {
      type: 'boolean',
      help: 'the tensor data is not there: check no ranges against the size of the file',
    },
    ...strictnessOptions,
  },
  run,
}

async function run(args: Arguments): Promise<Report> {
  const { file } = args
  const options = { headerOnly: args.flag('header-only'), ...strictnessFrom(args) }
  const model = await openModel(file, options, headersFrom(args, file))
  const totals = totalsOf(model.tensors)
  return {
    // Made only when it is asked for: a stranger's file may have a million tensors.
    get document() {
      return documentOfModel(model, totals)
    },
    lines: (page) => [
      ...overview(page, model),
      '',
      ...metadataSection(page, model),
      '',
      ...tensorSection(page, model.tensors),
      '',
      ...totalSection(page, totals),
      ...gapSection(page, model),
    ],
  }
}

/** The tensors of one type together. */
interface TypeTotal {
  type: string
  tensorCount: number
  elementCount: number
  sizeBytes: number
}

/** Totals by type, the largest first. */
function totalsOf(tensors: readonly TensorInfo[]): TypeTotal[] {
  const totals = new Map<string, TypeTotal>()
  for (const { type, elementCount, sizeBytes } of tensors) {
    const total = totals.get(type) ?? { type, tensorCount: 0, elementCount: 0, sizeBytes: 0 }
    total.tensorCount += 1
    total.elementCount += elementCount
    total.sizeBytes += sizeBytes
    totals.set(type, total)
  }
  return [...totals.values()].sort((a, b) => b.sizeBytes - a.sizeBytes)
}

const sumOf = (totals: readonly TypeTotal[]): TypeTotal => ({
  type: 'all',
  tensorCount: sum(totals.map((total) => total.tensorCount)),
  elementCount: sum(totals.map((total) => total.elementCount)),
  sizeBytes: sum(totals.map((total) => total.sizeBytes)),
})

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

const nameOf = (model: GgufFile): string | undefined => {
  const name = model.metadata.get('general.name')
  return typeof name === 'string' ? name : undefined
}

const documentOfModel = (model: GgufFile, types: TypeTotal[]): object => ({
  path: model.path,
  paths: model.paths,
  sizeBytes: model.sizeBytes,
  headerOnly: model.headerOnly,
  version: model.version,
  architecture: model.architecture ?? null,
  name: nameOf(model) ?? null,
  fileType: model.fileType ?? null,
  split: model.split ?? null,
  alignmentBytes: model.alignmentBytes,
  dataOffsetBytes: model.dataOffsetBytes,
  dataBytes: model.dataBytes,
  metadataCount: model.metadata.size,
  tensorCount: model.tensors.length,
  metadata: new JsonEntries(metadataDocuments(model)),
  tensors: model.tensors,
  types,
  gaps: model.gaps,
})

function* metadataDocuments({ metadata }: GgufFile): Generator<[string, object]> {
  for (const [key, value] of metadata) yield [key, { type: metadata.type(key), value: documentOf(value) }]
}

function overview(page: Page, model: GgufFile): string[] {
  const { fileType, split, architecture, paths } = model
  const isWhole = paths.length > 1
  const name = nameOf(model)
  return [
    heading(page, beginning(basename(model.path), MAX_NAME)),
    '',
    ...facts(page, [
      ['name', name && beginning(name, MAX_NAME)],
      ['architecture', architecture && beginning(architecture, MAX_NAME)],
      ['file type', fileType && (fileType.name ?? `unknown (${fileType.id})`)],
      ['files', isWhole ? grouped(paths.length) : undefined],
      ['part', split && !isWhole ? `${split.number + 1} of ${split.count}` : undefined],
      ['version', String(model.version)],
      [isWhole ? 'in all' : 'file', formatBytes(model.sizeBytes)],
      ['data', `${formatBytes(model.dataBytes)}, from byte ${grouped(model.dataOffsetBytes)}`],
      ['alignment', formatBytes(model.alignmentBytes)],
    ]),
  ]
}

const metadataSection = (page: Page, { metadata }: GgufFile): string[] => [
  heading(page, 'Metadata', grouped(metadata.size)),
  '',
  ...table(
    page,
    [{ title: 'key' }, { title: 'type', style: 'dim' }, { title: 'value' }],
    Array.from(firstRows(metadata), ([key, value]) => [
      beginning(key, MAX_NAME),
      typeOf(metadata, key, value),
      textOf(value, metadata.type(key)),
    ]),
  ),
  ...moreThan(metadata.size),
]

function* firstRows<T>(all: Iterable<T>): Generator<T> {
  let count = 0
  for (const row of all) {
    if (count++ === MAX_ROWS) return
    yield row
  }
}

/** That there are more than those shown, if there are. */
const moreThan = (count: number): string[] =>
  count > MAX_ROWS ? [`  and ${grouped(count - MAX_ROWS)} more; --json has them all`] : []

const tensorSection = (page: Page, tensors: readonly TensorInfo[]): string[] => [
  heading(page, 'Tensors', grouped(tensors.length)),
  '',
  ...table(
    page,
    [
      { title: 'name' },
      { title: 'type', style: 'dim' },
      { title: 'dimensions', align: 'right' },
      { title: 'size', align: 'right' },
      { title: 'offset', align: 'right', style: 'dim' },
    ],
    tensors
      .slice(0, MAX_ROWS)
      .map((tensor) => [
        beginning(tensor.name, MAX_NAME),
        tensor.type,
        tensor.dimensions.map(String).join(' × ') || 'scalar',
        formatBytes(tensor.sizeBytes),
        grouped(tensor.offsetBytes),
      ]),
  ),
  ...moreThan(tensors.length),
]

/** What lies between the tensors of a sound file is padding alone. */
function gapSection(page: Page, { gaps, tensors }: GgufFile): string[] {
  const [first] = gaps
  if (!first) return []
  const bytes = formatBytes(sum(gaps.map((gap) => gap.sizeBytes)))
  const before = first.after === undefined ? undefined : tensors[first.after]
  const place = before ? `behind tensor "${beginning(before.name, MAX_NAME)}"` : 'before the first tensor'
  return [
    '',
    heading(page, 'Gaps', grouped(gaps.length)),
    '',
    `  ${bytes} belong to no tensor, the first of them ${place}, at byte ${grouped(first.offsetBytes)}.`,
    '  Where their writer did not mean to leave room, the tensors are larger than their types say: those of a fork of ggml.',
  ]
}

const totalSection = (page: Page, totals: readonly TypeTotal[]): string[] => [
  heading(page, 'Types'),
  '',
  ...table(
    page,
    [
      { title: 'type' },
      { title: 'tensors', align: 'right' },
      { title: 'elements', align: 'right' },
      { title: 'size', align: 'right' },
      { title: 'bits per element', align: 'right', style: 'dim' },
    ],
    [...totals, sumOf(totals)].map((total) => [
      total.type,
      grouped(total.tensorCount),
      grouped(total.elementCount),
      formatBytes(total.sizeBytes),
      total.elementCount > 0 ? ((total.sizeBytes * 8) / total.elementCount).toFixed(2) : '',
    ]),
  ),
]
