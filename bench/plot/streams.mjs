import { figure } from '../table.mjs'
import { bar, drawing, text, upright } from './svg.mjs'

const WIDTH = 760
const LEFT = 230
const RIGHT = 70
const TOP = 48
const ROW = 20
const GAP = 14

/**
 * Rates of streams beside their peers and limits.
 *
 * @param {{ machine: object, suites: object[] }} load as bench:load leaves it
 */
export function streamsPlot(load) {
  const { date, loadAverage } = load.suites.find(({ name }) => name === 'raw')
  const groups = groupsOf(load.suites.flatMap(({ results }) => results))
  const rows = groups.flatMap(({ rows }) => rows)
  const most = Math.max(...rows.map(({ value }) => value))
  const step = [1, 2, 5, 10, 20].find((size) => most / size <= 8) ?? 50
  const x = (value) => LEFT + (value / most) * (WIDTH - LEFT - RIGHT)
  const parts = []
  let y = TOP
  for (const { title, rows } of groups) {
    parts.push(text(16, y + 14, title, { kind: 'faint' }))
    y += ROW
    for (const { name, value, kind } of rows) {
      parts.push(text(LEFT - 8, y + 14, name, { anchor: 'end' }), bar(LEFT, y + 3, x(value) - LEFT, ROW - 6, kind))
      parts.push(text(x(value) + 6, y + 14, figure(value)))
      y += ROW
    }
    y += GAP
  }
  const grid = []
  for (let value = 0; value <= most; value += step) {
    grid.push(upright(x(value), TOP, y - GAP, value === 0 ? 'base' : 'grid'))
    grid.push(text(x(value), y + 2, String(value), { kind: 'faint', anchor: 'middle' }))
  }
  parts.push(
    text(WIDTH - 16, y + 24, `${date}, ${load.machine.processor}, load average ${loadAverage.toFixed(0)}`, {
      kind: 'faint',
      anchor: 'end',
    }),
  )
  const about = {
    title: 'Streams out of the page cache, GB/s',
    description: 'Bars of the rates of streams, of the reads of Node.js, and of the limits of the machine.',
  }
  return drawing({ width: WIDTH, height: y + 36, ...about }, [...grid, ...parts])
}

function groupsOf(results) {
  const find = (name) => {
    const result = results.find((result) => result.name === name)
    if (result === undefined) throw new Error(`expected "${name}" among the results`)
    return result
  }
  const ours = (name, result) => ({ name, value: find(result).value, kind: 'ours' })
  const peer = (name, result) => ({ name, value: find(result).peer.value, kind: 'peer' })
  const limit = (name, result) => ({ name, value: find(result).value, kind: 'limit' })
  const raw = (chunks) => ({
    title: `Raw, chunks of ${chunks}`,
    rows: [
      ours('plimsoll, lent', `raw, lent chunks of ${chunks}`),
      peer('fh.read, one buffer', `raw, lent chunks of ${chunks}`),
      ours('plimsoll, own', `raw, own chunks of ${chunks}`),
      peer('fh.read, fresh buffers', `raw, own chunks of ${chunks}`),
      peer('createReadStream', `raw, own chunks of ${chunks}, beside a stream`),
    ],
  })
  const converted = {
    title: 'A Q4_K_M mix as f32, of output',
    rows: [
      ours('plimsoll, one thread', 'f32, lent chunks of 1 MiB'),
      ours('plimsoll, two threads', 'f32, 2 threads'),
      limit('the kernels alone', 'f32, lent chunks of 1 MiB'),
    ],
  }
  converted.rows[2].value = find('f32, lent chunks of 1 MiB').peer.value
  const limits = {
    title: 'What the machine can, one thread',
    rows: [
      limit('the kernel out of the page cache', "the kernel's copy out of the page cache, 1 MiB a call"),
      limit('copying memory', 'copying memory'),
      limit('filling memory', 'filling memory'),
      limit('filling new memory', 'filling memory that is new'),
    ],
  }
  return [...['64 KiB', '1 MiB', '4 MiB'].map(raw), converted, limits]
}
