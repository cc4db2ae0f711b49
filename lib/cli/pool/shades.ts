import type { SlabInfo } from '../../index.js'
import { type BlockKind, kindOf, wholeSlab } from '../../pool/block.js'
import type { Page } from '../terminal/page.js'
import type { Style } from '../terminal/style.js'

/** What stands for a kind in a cell: on a terminal, and as plain text. */
interface Shade {
  name: string
  drawn: string
  plain: string
  style: Style | undefined
}

const shades: Readonly<Record<BlockKind, Shade>> = {
  long: { name: 'long-lived', drawn: '▓', plain: '#', style: undefined },
  transient: { name: 'transient', drawn: '▒', plain: '+', style: 'yellow' },
  pinned: { name: 'pinned', drawn: '█', plain: '@', style: 'red' },
  free: { name: 'free', drawn: '░', plain: '.', style: 'dim' },
}

function drawn(page: Page, kind: BlockKind, cells: number): string {
  const { drawn, plain, style } = shades[kind]
  const text = (page.shades ? drawn : plain).repeat(cells)
  return style ? page.paint(style, text) : text
}

/** What the cells of a picture stand for. */
export const legend = (page: Page): string =>
  (Object.keys(shades) as BlockKind[]).map((kind) => `${drawn(page, kind, 1)} ${shades[kind].name}`).join('   ')

/** A slab as a row of cells, each of the kind that most of its bytes are. */
export function picture(page: Page, slab: SlabInfo, cells: number): string {
  const kinds = cellsOf(slab, cells)
  let text = ''
  for (let start = 0, end = 0; start < cells; start = end) {
    const kind = kinds[start] as BlockKind
    while (end < cells && kinds[end] === kind) end += 1
    text += drawn(page, kind, end - start)
  }
  return text
}

function cellsOf(slab: SlabInfo, cells: number): BlockKind[] {
  const cellBytes = slab.sizeBytes / cells
  const bytes = Array.from({ length: cells }, () => ({ long: 0, transient: 0, pinned: 0, free: 0 }))
  for (const block of wholeSlab(slab)) {
    const kind = kindOf(block)
    const end = block.offsetBytes + block.sizeBytes
    for (let cell = Math.floor(block.offsetBytes / cellBytes); cell * cellBytes < end && cell < cells; cell++) {
      const shared = Math.min(end, (cell + 1) * cellBytes) - Math.max(block.offsetBytes, cell * cellBytes)
      const counts = bytes[cell]
      if (counts) counts[kind] += shared
    }
  }
  return bytes.map(mostOf)
}

function mostOf(bytes: Record<BlockKind, number>): BlockKind {
  const kinds = Object.keys(bytes) as BlockKind[]
  return kinds.reduce((most, kind) => (bytes[kind] > bytes[most] ? kind : most))
}
