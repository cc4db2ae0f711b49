import { isMet } from './result.mjs'

const SIGNS = { atLeast: '≥', atMost: '≤', below: '<' }

/**
 * Lays results out as an aligned table.
 *
 * @param {import('./result.mjs').Result[]} results
 * @returns {string}
 */
export function formatResults(results) {
  const header = ['', 'plimsoll', 'peer', 'ratio', 'target', '']
  const rows = [header, ...results.map(cells)]
  const widths = header.map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i])).join('  ')}`.trimEnd()).join('\n')
}

function cells(result) {
  const { name, unit, value, peer, ratio } = result
  return [
    name,
    `${figure(value)} ${unit}`.trimEnd(),
    peer === undefined ? '' : `${`${figure(peer.value)} ${unit}`.trimEnd()} (${peer.name})`,
    ratio === undefined ? '' : `${figure(ratio)}x`,
    target(result),
    verdict(result),
  ]
}

function target({ target, unit }) {
  if (target === undefined) return ''
  return `${SIGNS[target.is]} ${target.bound}${target.of === 'ratio' ? 'x' : ` ${unit}`.trimEnd()}`
}

function verdict(result) {
  const met = isMet(result)
  if (met === undefined) return ''
  return met ? 'met' : 'MISSED'
}

/** Three digits that mean something, and no more than that. */
function figure(value) {
  if (value === 0) return '0'
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(decimals, 3))
}
