import type { BlockInfo, SlabInfo } from '../../binding.js'
import { type BlockKind, kindNames, kindOf, wholeSlab } from '../pool/block.js'
import { type PoolSnapshot, poolSnapshots } from '../pool/snapshot.js'
import base from './base.css?text'
import { escaped, filledIn, sourceOf } from './html.js'
import template from './pools/page.html?text'
import slabs from './slabs.css?text'
import { slabFills, slabLegend } from './slabs.js'
import { sizeText, timeText } from './text.js'

/** Units that a slab is wide. */
const WIDTH = 1000

/** Blocks that are narrower are drawn with their neighbours as one. */
const NARROWEST = 1

/** Blocks from this width on have an edge. */
const EDGED = 4

/** Slabs of a pool drawn at most. */
const MAX_SLABS = 100

/** Buffers of a pool listed at most. */
const MAX_BUFFERS = 100

/** Characters of a label shown at most. */
const MAX_LABEL = 120

const style = `${base}\n${slabs}`

/**
 * Snapshots of pools as one page that needs nothing but a browser: every slab with its blocks, and the pools' figures.
 * Nothing outside of it is loaded, and nothing in it is run, whatever the labels say.
 *
 * @throws `InvalidArgumentError` when `snapshots` is not an array of snapshots.
 * @example
 * await writeFile('pool.html', poolsPage([pool.snapshot()]))
 * await writeFile('pools.html', poolsPage([...manager.pools].map((pool) => pool.snapshot())))
 */
export function poolsPage(snapshots: readonly PoolSnapshot[]): string {
  const pools = poolSnapshots('snapshots', snapshots)
  return filledIn(template, {
    policy: `default-src 'none'; style-src ${sourceOf(style)}`,
    style,
    about: aboutOf(pools),
    fills: slabFills,
    pools: pools.map(poolSection).join('\n'),
  })
}

function aboutOf(pools: readonly PoolSnapshot[]): string {
  const sum = (of: (pool: PoolSnapshot) => number) => pools.reduce((all, pool) => all + of(pool), 0)
  const heldBytes = sum(({ stats }) => stats.heldBytes)
  const usedBytes = sum(({ stats }) => stats.usedBytes)
  const number = pools.length === 1 ? '1 pool' : `${pools.length} pools`
  return `${number}, ${sizeText(heldBytes)} held, ${sizeText(usedBytes)} of it used`
}

function poolSection(pool: PoolSnapshot): string {
  const time = `<time datetime="${new Date(pool.timeMs).toISOString()}">${timeText(pool.timeMs, 'UTC')}</time>`
  return [
    '<section>',
    `<div class="bar"><h2><bdi>${shownLabel(pool.label)}</bdi></h2>`,
    `<span class="quiet">on <bdi>${shownLabel(pool.device)}</bdi>, ${time}</span></div>`,
    figuresOf(pool),
    slabLegend,
    slabTable(pool.slabs),
    bufferTable(pool.slabs),
    '</section>',
  ].join('\n')
}

function shownLabel(label: string): string {
  const characters = [...label.slice(0, 2 * MAX_LABEL + 2)]
  return escaped(characters.length > MAX_LABEL ? `${characters.slice(0, MAX_LABEL - 1).join('')}…` : label)
}

function figuresOf({ stats }: PoolSnapshot): string {
  const figures: [string, string][] = [
    ['held', sizeText(stats.heldBytes)],
    ['used', sizeText(stats.usedBytes)],
    ['asked for', sizeText(stats.requestedBytes)],
    ['free', sizeText(stats.freeBytes)],
    ['largest hole', sizeText(stats.largestFreeBytes)],
    ['fragmentation', `${stats.fragmentationPercent.toFixed(1)} %`],
    ['slabs', stats.slabCount.toLocaleString('en-US')],
    ['buffers', stats.bufferCount.toLocaleString('en-US')],
    ['most held', sizeText(stats.peakHeldBytes)],
    ['most used', sizeText(stats.peakUsedBytes)],
    ['moves', stats.movedCount.toLocaleString('en-US')],
    ['metadata', sizeText(stats.metadataBytes)],
  ]
  const items = figures.map(([name, value]) => `<div><dt>${name}</dt><dd class="figure">${value}</dd></div>`)
  return `<dl class="figures">${items.join('')}</dl>`
}

function slabTable(slabs: readonly SlabInfo[]): string {
  const rows = slabs.slice(0, MAX_SLABS).map(slabRow)
  return [
    '<table class="slabs"><thead><tr><th>slab</th><th class="optional">size</th><th class="picture">blocks</th><th>used</th></tr></thead>',
    `<tbody>${rows.join('\n')}</tbody></table>`,
    hidden(slabs.length - MAX_SLABS, 'slabs'),
  ].join('')
}

const hidden = (count: number, what: string): string =>
  count > 0 ? `<p class="quiet">and ${count.toLocaleString('en-US')} more ${what}</p>` : ''

function slabRow(slab: SlabInfo): string {
  const used = `${((slab.usedBytes / slab.sizeBytes) * 100).toFixed(1)} %`
  const name = `slab ${slab.index}, ${sizeText(slab.sizeBytes)}, ${used} used`
  const cells = [
    `<td>${slab.index}</td><td class="optional">${sizeText(slab.sizeBytes)}</td>`,
    `<td class="picture"><svg class="blocks" viewBox="0 0 ${WIDTH} 1" preserveAspectRatio="none" role="img" `,
    `aria-label="${name}">${rectanglesOf(slab).join('')}</svg></td><td>${used}</td>`,
  ]
  return `<tr>${cells.join('')}</tr>`
}

/** A run of blocks that are too narrow to be told apart. */
interface Run {
  blocks: number
  buffers: number
  offsetBytes: number
  sizeBytes: number
  usedBytes: Record<BlockKind, number>
}

/** The blocks of a slab, narrow ones together: no slab takes more rectangles than it has units. */
function rectanglesOf(slab: SlabInfo): string[] {
  const unitBytes = slab.sizeBytes / WIDTH
  const drawn: string[] = []
  let run: Run | undefined
  const flush = () => {
    if (run) drawn.push(runRectangle(run, unitBytes))
    run = undefined
  }
  for (const block of wholeSlab(slab)) {
    if (block.sizeBytes >= NARROWEST * unitBytes) {
      flush()
      drawn.push(rectangle(block, unitBytes, kindOf(block), titleOf(block)))
      continue
    }
    run ??= { blocks: 0, buffers: 0, offsetBytes: block.offsetBytes, sizeBytes: 0, usedBytes: none() }
    extend(run, block)
    if (run.sizeBytes >= NARROWEST * unitBytes) flush()
  }
  flush()
  return drawn
}

const none = (): Run['usedBytes'] => ({ long: 0, transient: 0, pinned: 0, free: 0 })

function extend(run: Run, block: BlockInfo): void {
  const kind = kindOf(block)
  run.blocks += 1
  run.buffers += kind === 'free' ? 0 : 1
  run.sizeBytes += block.sizeBytes
  run.usedBytes[kind] += block.sizeBytes
}

function runRectangle(run: Run, unitBytes: number): string {
  const [kind] = Object.entries(run.usedBytes).reduce((most, each) => (each[1] > most[1] ? each : most))
  const free = sizeText(run.usedBytes.free)
  const title = `${run.blocks} blocks: ${run.buffers} buffers, ${free} free\n${placeOf(run)}`
  return rectangle(run, unitBytes, kind as BlockKind, title)
}

function titleOf(block: BlockInfo): string {
  const kind = kindOf(block)
  if (kind === 'free') return `free\n${placeOf(block)}`
  const label = block.label ? shownLabel(block.label) : 'no label'
  return `${label}\n${kindNames[kind]}, ${sizeText(block.requestedBytes ?? 0)} asked for\n${placeOf(block)}`
}

const placeOf = ({ offsetBytes, sizeBytes }: { offsetBytes: number; sizeBytes: number }): string =>
  `${sizeText(sizeBytes)} at ${sizeText(offsetBytes)}`

/** `title` is HTML. */
function rectangle(
  { offsetBytes, sizeBytes }: { offsetBytes: number; sizeBytes: number },
  unitBytes: number,
  kind: BlockKind,
  title: string,
): string {
  const width = sizeBytes / unitBytes
  const edge = width >= EDGED ? ' edged' : ''
  const place = `x="${units(offsetBytes / unitBytes)}" width="${units(width)}"`
  return `<rect class="${kind}${edge}" ${place} height="1"><title>${title}</title></rect>`
}

const units = (width: number): string => String(Number(width.toFixed(3)))

/** A buffer, and where it lies. */
interface Placed {
  slab: number
  block: BlockInfo
}

function bufferTable(slabs: readonly SlabInfo[]): string {
  const buffers = slabs.flatMap(({ index, blocks }) =>
    blocks.filter((block) => kindOf(block) !== 'free').map((block): Placed => ({ slab: index, block })),
  )
  if (buffers.length === 0) return ''
  const rows = buffers
    .sort((a, b) => b.block.sizeBytes - a.block.sizeBytes)
    .slice(0, MAX_BUFFERS)
    .map(bufferRow)
  return [
    '<h3>Largest buffers</h3>',
    '<table><thead><tr><th>label</th><th>asked for</th><th class="optional">block</th><th>kind</th><th>slab</th>',
    `<th class="optional">offset</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`,
    hidden(buffers.length - MAX_BUFFERS, 'buffers'),
  ].join('')
}

const bufferRow = ({ slab, block }: Placed): string =>
  [
    `<tr><td><bdi>${block.label ? shownLabel(block.label) : '<span class="quiet">no label</span>'}</bdi></td>`,
    `<td>${sizeText(block.requestedBytes ?? 0)}</td><td class="optional">${sizeText(block.sizeBytes)}</td>`,
    `<td>${kindNames[kindOf(block)]}</td><td>${slab}</td><td class="optional">${sizeText(block.offsetBytes)}</td></tr>`,
  ].join('')
