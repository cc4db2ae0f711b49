// Draws the slabs of pools, and lists the buffers in them.

import type { PoolSnapshot, SlabInfo } from 'plimsoll'
import type { DashboardState } from 'plimsoll/dashboard'
import { kindNames, kindOfBlock } from '../../pool/block-kind.js'
import { byId, bytes, element, isolated, number, shape, size, title, visible } from '../../report/page/tools.js'
import { fill } from './table.js'

type Pool = Omit<PoolSnapshot, 'timeMs'>

type Shown = Pick<DashboardState, 'buffers' | 'bufferCount'>

/** Slabs of a pool drawn at most. */
const MAX_SLABS = 64

/** What is said where no program is shown that would have any. */
export const OF_SERVERS = 'by serveDashboard({ manager }).'

/** Draws each pool with its slabs, and the largest buffers of all. */
export function drawPools({
  pools,
  hasManager,
  buffers,
  bufferCount,
}: Shown & { pools: readonly Pool[] } & Pick<DashboardState, 'hasManager'>): void {
  const nothing = hasManager
    ? 'This program has no pools.'
    : `None are shown here: a server shows its own ${OF_SERVERS}`
  const sections = pools.map(({ label, device, stats, slabs }) => {
    const place = ['on ', isolated(device), ': ']
    const sums = [size(stats.heldBytes), ' held, ', size(stats.usedBytes), ' used']
    const more = slabs.length > MAX_SLABS ? [`and ${number(slabs.length - MAX_SLABS)} more slabs`] : []
    return element(
      'div',
      'pool',
      element('h3', '', isolated(label)),
      element('p', 'quiet', ...place, ...sums),
      element('p', 'quiet', 'largest hole ', size(stats.largestFreeBytes)),
      ...slabs.slice(0, MAX_SLABS).map(slabPicture),
      ...more.map((text) => element('p', 'quiet', text)),
    )
  })
  byId('pools').replaceChildren(...(sections.length > 0 ? sections : [element('p', 'quiet', nothing)]))
  byId('kinds').hidden = pools.length === 0
  drawBuffers({ buffers, bufferCount })
}

function slabPicture({ index, sizeBytes, usedBytes, blocks }: SlabInfo): HTMLElement {
  const shapes = blocks.map((block) => {
    const kind = kindOfBlock(block)
    const [name, held] = [kindNames[kind], bytes(block.sizeBytes)]
    const text = title(`${block.label === undefined ? '' : `${visible(block.label)}, `}${name}, ${held}`)
    const place = { x: (block.offsetBytes / sizeBytes) * 1000, width: (block.sizeBytes / sizeBytes) * 1000, height: 1 }
    return shape('rect', { ...place, class: `${kind} edged` }, text)
  })
  const name = `slab ${index}, ${bytes(sizeBytes)}, ${((usedBytes / sizeBytes) * 100).toFixed(1)} % used`
  const picture = {
    class: 'blocks',
    viewBox: '0 0 1000 1',
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': name,
  }
  return element('div', 'slab', element('p', 'quiet', name), shape('svg', picture, ...shapes))
}

/** What the pictures say where a pointer rests, for those who have none, and of slabs that are too full for a picture. */
function drawBuffers({ buffers: largest, bufferCount }: Shown): void {
  byId('in-slabs').hidden = largest.length === 0
  const more = bufferCount - largest.length
  byId('buffers-shown').textContent =
    more > 0 ? `Largest buffers, without ${number(more)} smaller ones` : 'Largest buffers'
  fill(
    'buffers',
    ['label', 'size', 'kind', 'slab', 'pool'],
    largest.map(({ pool, slab, block }) => [
      block.label === undefined ? element('span', 'quiet', 'no label') : isolated(block.label),
      size(block.sizeBytes),
      kindNames[kindOfBlock(block)],
      String(slab),
      isolated(pool),
    ]),
    'none',
  )
}
