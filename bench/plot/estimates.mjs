import { cells, figure } from '../table.mjs'
import { markdownRow, markdownTable, placeOf } from './tables.mjs'

/** The tables of bench:estimate by the names of their marks. */
export function estimateTables({ accuracy, speed }) {
  return { ...accuracyTables(accuracy), speed: speedTable(speed), asked: askedText(accuracy) }
}

/** The tables of the accuracy, to be printed. */
export function accuracyText(accuracy) {
  return Object.entries(accuracyTables(accuracy))
    .map(([name, table]) => `${name}\n${table}`)
    .join('\n')
}

function accuracyTables({ tools, sources }) {
  const names = tools.map(({ name }) => name)
  const tables = sources.map(({ name, groups, all }) => {
    const others = sources.filter((source) => source.name !== name)
    const below = others.map((other) => ({ ...other.all, architecture: `the ${other.name}` }))
    const rows = [...groups, all]
    return {
      [`${name}-context`]: toolsTable(names, [...rows, ...below], 'context'),
      [`${name}-whole`]: toolsTable(names, [...rows, ...below], 'whole'),
      [`${name}-parts`]: partsTable(rows),
    }
  })
  return Object.assign({}, ...tables)
}

function toolsTable(names, groups, what) {
  const rows = groups.map(({ architecture, rows, tools }) => {
    const spreads = names.map((name) => tools[name][what])
    return [architecture, String(rows), ...spreads.map((spread) => spreadCell(spread, rows))]
  })
  return `\n${markdownTable(['family', 'rows', ...names], rows)}\n\n`
}

function partsTable(groups) {
  const hasParts = groups.every(({ parts }) => parts.kv !== undefined)
  const columns = hasParts ? ['weights', 'kv', 'state'] : ['weights', 'caches']
  const names = { weights: 'weights', kv: 'KV', state: 'state', caches: 'KV and state' }
  const header = [
    'family',
    ...columns.map((column) => names[column]),
    'replayed',
    'compute',
    'limited outputs',
    'bound',
  ]
  const rows = groups.map(({ architecture, rows, parts }) => [
    architecture,
    ...columns.map((column) => spreadCell(parts[column], rows)),
    parts.exact === rows ? 'all' : `${parts.exact} of ${rows}`,
    spreadCell(parts.compute, rows),
    spreadCell(parts.limited, parts.limited?.count),
    spreadCell(parts.bound, rows),
  ])
  return `\n${markdownTable(header, rows)}\n\n`
}

/** The median and the worst on either side, in percent; and of how many rows, where not of all. */
function spreadCell(spread, rows) {
  if (spread === undefined) return 'no answer'
  const { median, below, above, count } = spread
  const some = count < rows ? `, ${count} of ${rows}` : ''
  if (below === 0 && above === 0) return `exact${some}`
  return `${signed(median)} (${signed(below)}, ${signed(above)})${some}`
}

function signed(percent) {
  if (percent === null) return '∞'
  const size = Math.abs(percent)
  const text = size === 0 || size >= 0.05 ? size.toFixed(size >= 9.95 || size === 0 ? 0 : 1) : '<0.1'
  return percent === 0 ? '0' : `${percent < 0 ? '−' : '+'}${text}`
}

function speedTable({ date, loadAverage, machine, versions, models, results, notes }) {
  const header = [
    'model',
    'estimate',
    'simulation',
    'ratio',
    'from the path',
    'theirs',
    'ratio',
    'fit',
    'search',
    'ratio',
  ]
  const ms = (value) => `${figure(value)} ms`
  const us = (value) => `${figure(1000 * value)} µs`
  const times = (ratio) => `${figure(ratio)}x`
  const rows = models.map(({ model, ratios, ...its }) => [
    model,
    ...[us(its.estimateMs), ms(its.simulationMs), times(ratios.estimate)],
    ...[us(its.openMs), ms(its.headerMs), times(ratios.open)],
    ...[ms(its.fitMs), ms(its.searchMs), times(ratios.fit)],
  ])
  const targets = results.map((result) => markdownRow(cells(result)))
  const table = ['| | plimsoll | peer | ratio | target | |', '|---|---|---|---|---|---|', ...targets].join('\n')
  const taken = `${date}, with a load average of ${loadAverage.toFixed(1)} at the end, ${versionsText(versions)}`
  const below = [taken, placeOf(machine), ...notes].map((note) => `- ${note}`).join('\n')
  return `\n${table}\n\n${markdownTable(header, rows)}\n\n${below}\n\n`
}

/** When and where the accuracy was taken, and how each tool was asked. */
function askedText({ date, machine, versions, tools, sources }) {
  const counts = sources.map(({ title, all }) => `${all.rows} rows of ${all.models} models (${title})`)
  const how = tools.map(({ name, about }) => `- **${name}**: ${about}`)
  return `\n${date}, ${versionsText(versions)}; ${placeOf(machine)}.\nCompared with: ${counts.join(', ')}.\n\n${how.join('\n')}\n\n`
}

function versionsText(versions) {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')
}
