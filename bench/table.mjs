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

/** The cells of a figure's row: name, value, peer, ratio or difference, target, verdict. */
export function cells(result) {
  const { name, unit, value, peer } = result
  return [
    name,
    `${figure(value)} ${unit}`.trimEnd(),
    peer === undefined ? '' : `${`${figure(peer.value)} ${unit}`.trimEnd()} (${peer.name})`,
    comparison(result),
    target(result),
    verdict(result),
  ]
}

function comparison({ ratio, processorRatio, difference, unit }) {
  if (ratio !== undefined)
    return `${figure(ratio)}x${processorRatio === undefined ? '' : ` (${figure(processorRatio)}x)`}`
  return difference === undefined ? '' : `${difference < 0 ? '' : '+'}${figure(difference)} ${unit}`
}

function target({ target, unit }) {
  if (target === undefined) return ''
  const sign = `${SIGNS[target.is]} ${target.of === 'difference' ? '+' : ''}`
  return `${sign}${target.bound}${target.of === 'ratio' ? 'x' : ` ${unit}`.trimEnd()}`
}

function verdict(result) {
  const met = isMet(result)
  if (met === undefined) return ''
  return met ? 'met' : 'MISSED'
}

/** Three digits that mean something, and no more than that. */
export function figure(value) {
  if (value === 0) return '0'
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(decimals, 3))
}
