// Draws a treemap of sizes by label, whose tiles are one stop of the keyboard.

import { byId, element, isolated, number, size } from '../../report/page/tools.js'
import { fill } from './table.js'

/** What is granted under a label. */
type Label = readonly [label: string, bytes: number]

const sumOf = (labels: readonly Label[]): number => labels.reduce((all, [, count]) => all + count, 0)

interface Area {
  x: number
  y: number
  width: number
  height: number
}

type Placed = readonly [label: Label, area: Area]

/** Rectangles for sizes in falling order, each as near to a square as it goes: rows along the shorter side. */
function squares(items: readonly Label[], { x, y, width, height }: Area, into: Placed[] = []): Placed[] {
  const sum = sumOf(items)
  if (items.length === 0 || sum <= 0 || width <= 0 || height <= 0) return into
  const isWide = width >= height
  const side = isWide ? height : width
  const area = (width * height) / sum
  const worst = (row: readonly Label[], total: number): number => {
    const depth = (total * area) / side
    return Math.max(...row.map(([, count]) => Math.max((count * area) / depth ** 2, depth ** 2 / (count * area))))
  }
  let taken = 0
  let total = 0
  for (const [, count] of items) {
    const next = total + count
    if (taken > 0 && worst(items.slice(0, taken + 1), next) > worst(items.slice(0, taken), total)) break
    total = next
    taken += 1
  }
  const depth = (total * area) / side
  let at = 0
  for (const item of items.slice(0, taken)) {
    const length = (item[1] * area) / depth
    const across = { x, y: y + at, width: depth, height: length }
    into.push([item, isWide ? across : { x: x + at, y, width: length, height: depth }])
    at += length
  }
  const rest = items.slice(taken)
  const beside = { x: x + depth, y, width: width - depth, height }
  return squares(rest, isWide ? beside : { x, y: y + depth, width, height: height - depth }, into)
}

/** What a tile has room for at least, in pixels: a line of its label, and one of its size. */
const MIN_TILE = { width: 94, height: 44 }

/** The labels that have a tile, and what the others have together, which have one that is large enough to be read. */
function tilesIn(labels: readonly Label[], width: number, height: number): { places: Placed[]; others: Label[] } {
  const sum = sumOf(labels)
  const least = (sum * MIN_TILE.width * MIN_TILE.height) / Math.max(width * height, 1)
  const all = { x: 0, y: 0, width, height }
  const fits = (area: Area): boolean => area.width >= MIN_TILE.width && area.height >= MIN_TILE.height
  const large = labels.filter(([, count]) => count >= least).length
  for (let kept = large; kept > 0; kept--) {
    const others = labels.slice(kept)
    const rest = sumOf(others)
    // What the others have together may be small, too, and a strip along the side needs more than the least.
    for (const times of others.length > 0 ? [1, 2, 4, 8] : [0]) {
      const tile: Label = ['', Math.max(rest, times * least)]
      const places = squares(times > 0 ? [...labels.slice(0, kept), tile] : labels, all)
      if (places.every(([, area]) => fits(area))) return { places, others }
    }
  }
  return { places: [[['', sum], all]], others: [...labels] }
}

/** The tile that the keyboard is at: they are one stop for it, and arrows go from one to the next. */
let tileAt = 0

function moveTo(at: number): void {
  const tiles = [...byId('treemap').children] as HTMLElement[]
  tileAt = Math.min(Math.max(at, 0), Math.max(tiles.length - 1, 0))
  for (const [index, tile] of tiles.entries()) tile.tabIndex = index === tileAt ? 0 : -1
}

byId('treemap').addEventListener('keydown', (event) => {
  const { children } = byId('treemap')
  const steps: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }
  const ends: Readonly<Record<string, number>> = { Home: 0, End: children.length - 1 }
  const step = steps[event.key]
  const to = step === undefined ? ends[event.key] : tileAt + step
  if (to === undefined) return
  event.preventDefault()
  moveTo(to)
  ;(children[tileAt] as HTMLElement).focus()
})

byId('treemap').addEventListener('focusin', ({ target }) => {
  const at = [...byId('treemap').children].indexOf(target as Element)
  if (at >= 0) moveTo(at)
})

/** Draws what was drawn last. */
let drawAgain = (): void => {}

let drawnWidth = 0

// Which labels have room for a tile depends on the width.
new ResizeObserver(() => {
  if (byId('treemap').clientWidth !== drawnWidth) drawAgain()
}).observe(byId('treemap'))

/** Labels without a tile that are listed at most. */
const MAX_LISTED = 50

/** Lists those that have no tile of their own. Where the server has named so many, its last stands for `unnamed` more. */
function drawOthers(others: readonly Label[], unnamed: number, allocatedBytes: number): void {
  byId('in-others').hidden = others.length === 0
  const named = unnamed > 0 ? others.slice(0, -1) : others
  const listed = named.slice(0, MAX_LISTED)
  const rest = others.slice(listed.length)
  const share = (count: number): string => `${((count / Math.max(allocatedBytes, 1)) * 100).toFixed(1)} %`
  const rows = listed.map(([label, count]) => [isolated(label), size(count), share(count)])
  const restCount = rest.length + Math.max(unnamed, 0)
  const last = [`${number(restCount)} more`, size(sumOf(rest)), share(sumOf(rest))]
  fill('labels', ['label', 'granted', 'of all'], restCount > 0 ? [...rows, last] : rows, 'none')
}

/** Draws what is granted by label. Where there are more labels than `labels` has, its last stands for all the others. */
export function drawTreemap(labels: readonly Label[], labelCount: number, allocatedBytes: number): void {
  const map = byId('treemap')
  drawAgain = () => drawTreemap(labels, labelCount, allocatedBytes)
  drawnWidth = map.clientWidth
  const shown = labels.filter(([, count]) => count > 0)
  map.hidden = shown.length === 0
  byId('no-labels').hidden = shown.length > 0
  const isFocused = map.contains(document.activeElement)
  const { places, others } = tilesIn(shown, map.clientWidth, map.clientHeight)
  const otherCount = others.length + Math.max(labelCount - labels.length, 0)
  const boxes = places.map(([[label, granted], { x, y, width, height }], at) => {
    const isOthers = others.length > 1 && at === places.length - 1
    // One alone that is too small for a tile of its size has one that is larger.
    const [own, ownBytes] = (at === places.length - 1 && others[0]) || [label, granted]
    const count = isOthers ? sumOf(others) : ownBytes
    const name = isOthers ? element('span', '', `${number(otherCount)} others`) : isolated(own)
    const share = ((count / Math.max(allocatedBytes, 1)) * 100).toFixed(1)
    const box = element('li', '', name, element('p', '', size(count), ' ', element('span', '', `${share} %`)))
    const [across, down] = [100 / Math.max(map.clientWidth, 1), 100 / Math.max(map.clientHeight, 1)]
    const place = { left: x * across, top: y * down, width: width * across, height: height * down }
    for (const [side, share] of Object.entries(place)) box.style.setProperty(`--${side}`, String(share))
    return box
  })
  map.replaceChildren(...boxes)
  drawOthers(others.length > 1 ? others : [], labelCount - labels.length, allocatedBytes)
  // Whoever stands on one stays there while the figures change.
  moveTo(tileAt)
  if (isFocused) boxes[tileAt]?.focus({ preventScroll: true })
}
