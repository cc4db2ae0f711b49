// Draws the page of a memory profile from the data that is in it.

import {
  button,
  byId,
  bytes,
  element,
  figures,
  isolated,
  number,
  percent,
  shape,
  time,
  visible,
} from '../page/tools.js'
import { timeText } from '../text.js'
import type { Figures, PageData } from './data.js'

/** Rows of the flame graph are this high, in pixels. */
const ROW = 26

/** Boxes narrower than this share of the whole are drawn as one. */
const NARROWEST = 0.003

/** A character takes about so much, in pixels. */
const CHARACTER = 7.4

/** More of a label's parts stay together as the last one. */
const MAX_DEPTH = 32

const MAX_ROWS = 200

const data: PageData = JSON.parse(byId('data').textContent ?? '')

/** What sizes may stand for. */
interface Measure {
  name: string
  place: 0 | 1 | 2
  note: string
}

/** A label's sums. */
interface Leaf {
  label: string
  figures: Figures
}

/** A part of labels, with the sums of all that have it. */
interface TreeNode {
  name: string
  parent: TreeNode | undefined
  path: string
  figures: Figures
  children: Map<string, TreeNode>
  /** That of its family. */
  hue: number | undefined
}

/** What sizes may stand for, with the place of each in a label's figures. */
const measures: readonly Measure[] = [
  { name: 'Live', place: 0, note: 'Bytes live when the profile was read.' },
  {
    name: 'Peak',
    place: 1,
    note: 'The most bytes live at once under each label; a box above others shows the sum of theirs, which need not have been at one time.',
  },
  { name: 'Granted', place: 2, note: 'Bytes granted in all, however soon they were released.' },
]

const labels: Leaf[] = data.labels.map(([label, ...figures]) => ({ label, figures }))
const root = treeOf(labels)
let measure = measures[data.allocatedBytes > 0 ? 0 : 1] as Measure
let zoom = root
let order = 2
const filter = byId('filter') as HTMLInputElement

/** The tree that the parts of the labels make; each node has the sums of what is below it. */
function treeOf(leaves: readonly Leaf[]): TreeNode {
  const top = nodeOf('all', undefined, '')
  for (const leaf of leaves) {
    add(top, leaf)
    let node = top
    for (const part of partsOf(leaf.label)) {
      let child = node.children.get(part)
      if (!child) {
        child = nodeOf(part, node, node === top ? part : `${node.path}/${part}`)
        node.children.set(part, child)
      }
      node = child
      add(node, leaf)
    }
  }
  // Neighbours in size get hues far apart: by the golden angle.
  const families = [...top.children.values()].sort((a, b) => b.figures[1] - a.figures[1])
  families.forEach((family, i) => {
    family.hue = (212 + i * 137.5) % 360
  })
  return top
}

function nodeOf(name: string, parent: TreeNode | undefined, path: string): TreeNode {
  return { name, parent, path, figures: [0, 0, 0, 0, 0, 0], children: new Map(), hue: undefined }
}

function add(node: TreeNode, { figures }: Leaf): void {
  node.figures = node.figures.map((sum, at) => sum + (figures[at] ?? 0)) as Figures
}

function partsOf(label: string): string[] {
  const parts = label.split('/').filter((part) => part !== '')
  if (parts.length === 0) return [label]
  return parts.length <= MAX_DEPTH ? parts : [...parts.slice(0, MAX_DEPTH - 1), parts.slice(MAX_DEPTH - 1).join('/')]
}

const sizeOf = (node: TreeNode): number => node.figures[measure.place]

function hueOf(node: TreeNode): number {
  return node.hue ?? (node.parent ? hueOf(node.parent) : 220)
}

function drawAbout(): void {
  const dropped = data.droppedCount > 0 ? `, of which the oldest ${number(data.droppedCount)} are no longer kept` : ''
  byId('about').textContent =
    data.startTimeMs === 0
      ? 'Nothing was recorded.'
      : `Started ${timeText(data.startTimeMs, 'UTC')}, ran ${time(data.durationMs)}, ${number(data.eventCount)} events${dropped}`
}

function drawFigures(): void {
  const [, , granted, live, count, refused] = root.figures
  const named: [string, string][] = [
    ['live', bytes(data.allocatedBytes)],
    ['peak', bytes(data.peakBytes)],
    ['granted in all', bytes(granted)],
    ['live allocations', `${number(live)} of ${number(count)}`],
    ['refusals', number(refused)],
  ]
  byId('figures').append(...figures(named))
}

function drawChart(): void {
  byId('range').textContent = `${time(data.durationMs)}, at most ${bytes(data.peakBytes)}`
  const [width, height] = [1000, 100]
  const x = (ms: number): string => ((Math.min(ms, data.durationMs) / (data.durationMs || 1)) * width).toFixed(2)
  const y = (count: number): string => (height - (count / (data.peakBytes || 1)) * (height - 2)).toFixed(2)
  let path = ''
  let last = data.steps[0]?.[1] ?? 0
  for (const [from, highest, end] of data.steps) {
    path += `${path ? 'L' : 'M'}${x(from)} ${y(last)}L${x(from)} ${y(highest)}L${x(from + data.stepMs)} ${y(end)}`
    last = end
  }
  if (path) path += `L${width} ${y(last)}`
  const first = data.steps[0]?.[0] ?? 0
  const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' })
  if (path) {
    svg.append(shape('path', { class: 'area', d: `${path}V${height}H${x(first)}Z` }))
    svg.append(shape('path', { class: 'edge', d: path }))
  }
  byId('chart').append(svg)
}

function drawMeasures(): void {
  const made = measures.map((each) => {
    const choice = button('option', () => choose(each), each.name)
    choice.setAttribute('role', 'radio')
    choice.setAttribute('aria-checked', String(each === measure))
    return choice
  })
  byId('measures').replaceChildren(...made)
}

function choose(chosen: Measure): void {
  measure = chosen
  drawMeasures()
  drawFlame()
}

function zoomTo(node: TreeNode): void {
  zoom = node
  drawFlame()
}

/** The way from the root down to the node. */
function lineage(node: TreeNode): TreeNode[] {
  const line: TreeNode[] = []
  for (let each: TreeNode | undefined = node; each; each = each.parent) line.unshift(each)
  return line
}

function drawFlame(): void {
  hideTip()
  const boxes: HTMLElement[] = []
  const above = lineage(zoom)
  above.forEach((node, depth) => {
    boxes.push(boxOf(node, 0, 1, depth))
  })
  const deepest = layOut(zoom, 0, 1, above.length, boxes)
  byId('flame').style.height = `${Math.max(deepest, 1) * ROW}px`
  byId('flame').replaceChildren(...boxes)
  byId('note').textContent =
    sizeOf(root) === 0
      ? 'Nothing to show for this choice.'
      : `${measure.note} Click a box to zoom in, Escape to zoom out.`
  drawTrail(above)
}

/** Lays out what is below a node, largest first, and returns how many rows that takes in all. */
function layOut(node: TreeNode, left: number, width: number, depth: number, boxes: HTMLElement[]): number {
  const children = [...node.children.values()]
    .filter((child) => sizeOf(child) > 0)
    .sort((a, b) => sizeOf(b) - sizeOf(a))
  let deepest = depth
  let at = left
  for (const [i, child] of children.entries()) {
    const share = (sizeOf(child) / sizeOf(node)) * width
    if (share < NARROWEST && i < children.length - 1) {
      const rest = children.slice(i)
      const sum = rest.reduce((total, each) => total + sizeOf(each), 0)
      boxes.push(restOf(rest.length, sum, at, (sum / sizeOf(node)) * width, depth))
      return Math.max(deepest, depth + 1)
    }
    boxes.push(boxOf(child, at, share, depth))
    deepest = Math.max(deepest, depth + 1, layOut(child, at, share, depth + 1, boxes))
    at += share
  }
  return deepest
}

function boxOf(node: TreeNode, left: number, width: number, depth: number): HTMLElement {
  const text = visible(node.name)
  const room = roomIn(width)
  const name = room < Math.min(text.length, 4) ? [] : [text]
  const size = room < text.length + 10 ? [] : [' ', element('span', '', bytes(sizeOf(node)))]
  const target = node === zoom && node.parent ? node.parent : node
  const box = button('box', () => zoomTo(target), ...name, ...size)
  place(box, left, width, depth)
  box.classList.toggle('narrow', size.length === 0)
  box.classList.toggle('root', node === root)
  box.style.setProperty('--hue', String(hueOf(node)))
  box.style.setProperty('--shade', `${node.hue === undefined ? (depth % 2 ? 5 : 2) : 0}%`)
  box.setAttribute('aria-label', `${visible(node.path || node.name)}: ${bytes(sizeOf(node))}`)
  const show = (event: Event) => showTip(node, box, event)
  box.addEventListener('pointermove', show)
  box.addEventListener('focus', show)
  box.addEventListener('pointerleave', hideTip)
  box.addEventListener('blur', hideTip)
  return box
}

/** How many characters fit in a box. */
const roomIn = (width: number): number => (width * byId('flame').clientWidth - 8) / CHARACTER

function restOf(count: number, sum: number, left: number, width: number, depth: number): HTMLElement {
  const text = `${number(count)} smaller`
  const box = element('div', 'box rest', roomIn(width) < text.length + 10 ? '' : `${text}: ${bytes(sum)}`)
  place(box, left, width, depth)
  box.title = `${text}: ${bytes(sum)}`
  return box
}

function place(box: HTMLElement, left: number, width: number, depth: number): void {
  box.style.left = `${left * 100}%`
  box.style.width = `${width * 100}%`
  box.style.top = `${depth * ROW}px`
}

function drawTrail(above: readonly TreeNode[]): void {
  const trail = above.flatMap((node, i) => [
    i > 1 ? ' / ' : ' ',
    button('step', () => zoomTo(node), isolated(node.name)),
  ])
  byId('trail').replaceChildren(...(above.length > 1 ? trail : []))
}

function showTip(node: TreeNode, of: HTMLElement, event: Event): void {
  const [, , , live, count, refused] = node.figures
  const share = sizeOf(root) > 0 ? ` (${percent(sizeOf(node) / sizeOf(root))})` : ''
  const rows = measures.map((each) => {
    const value = bytes(node.figures[each.place]) + (each === measure ? share : '')
    return element('tr', '', element('td', 'tip-cell', each.name.toLowerCase()), element('td', 'tip-cell', value))
  })
  const counts = `${number(count)} allocations, ${number(live)} live${refused ? `, ${number(refused)} refused` : ''}`
  const tip = byId('tip')
  tip.replaceChildren(
    element('b', '', isolated(node.path || 'all labels')),
    element('table', 'tip-table', ...rows),
    element('div', 'quiet', counts),
  )
  tip.hidden = false
  const box = of.getBoundingClientRect()
  const [x, y] = event instanceof PointerEvent ? [event.clientX + 14, event.clientY + 16] : [box.left, box.bottom]
  tip.style.left = `${Math.max(8, Math.min(x, innerWidth - tip.offsetWidth - 8))}px`
  tip.style.top = `${Math.max(8, Math.min(y, innerHeight - tip.offsetHeight - 8))}px`
}

function hideTip(): void {
  byId('tip').hidden = true
}

function drawLabels(): void {
  const columns = ['live', 'peak', 'granted', 'live count', 'count', 'refused']
  const wanted = filter.value.toLowerCase()
  const found = labels.filter(({ label }) => label.toLowerCase().includes(wanted))
  const rows = found.sort((a, b) => (b.figures[order] ?? 0) - (a.figures[order] ?? 0)).slice(0, MAX_ROWS)
  const head = columns.map((name, i) => {
    const choice = button('order', () => orderBy(i), name)
    choice.setAttribute('aria-pressed', String(i === order))
    return element('th', i > 2 ? 'optional' : '', choice)
  })
  byId('labels').replaceChildren(
    element('thead', '', element('tr', '', element('th', '', 'label'), ...head)),
    element('tbody', '', ...rows.map(rowOf)),
  )
  const hidden = found.length - rows.length
  byId('more').textContent = hidden > 0 ? `${number(hidden)} more; filter or sort to see them.` : ''
}

function rowOf({ label, figures }: Leaf): HTMLElement {
  const cells = figures.map((figure, i) =>
    element('td', i > 2 ? 'optional' : '', i > 2 ? number(figure) : bytes(figure)),
  )
  const name = isolated(label)
  name.title = visible(label)
  return element('tr', '', element('td', '', name), ...cells)
}

function orderBy(column: number): void {
  order = column
  drawLabels()
}

function drawPlaces(): void {
  const made: HTMLElement[] = data.places.map(({ label, stack, count, bytes: held, oldestMs }) => {
    const facts = `${count > 1 ? `${number(count)} allocations, the oldest ` : ''}${time(oldestMs)} old`
    const summary = element(
      'summary',
      '',
      isolated(label),
      element('span', 'quiet', facts),
      element('b', 'held', bytes(held)),
    )
    const details = element('details', stack ? '' : 'without', summary)
    if (stack) details.append(element('pre', '', stack.split('\n').map(visible).join('\n')))
    return details
  })
  if (data.hiddenPlaceCount > 0)
    made.push(element('p', 'quiet', `${number(data.hiddenPlaceCount)} smaller places more.`))
  if (made.length === 0) made.push(element('p', 'quiet', 'Nothing is live.'))
  byId('places').append(...made)
}

drawAbout()
drawFigures()
drawChart()
drawMeasures()
drawFlame()
drawLabels()
drawPlaces()
filter.addEventListener('input', drawLabels)
addEventListener('resize', drawFlame)
addEventListener('keydown', ({ key }) => key === 'Escape' && zoomTo(root))
