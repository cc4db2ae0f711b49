import { cells } from '../table.mjs'

/** The tables of bench:load, by the names of its suites, and a line that says where they were taken. */
export function loadTables({ machine, suites }) {
  const tables = Object.fromEntries(suites.map((suite) => [suite.name, suiteTable(suite)]))
  return { machine: `\nTaken on ${placeOf(machine)}.\n\n`, ...tables }
}

/** A machine in words. */
export function placeOf({ processor, family, model, cores, kernel, node }) {
  const kind = family === undefined ? '' : ` (family ${family}, model ${model})`
  return `${processor}${kind}, ${cores} processors, Linux ${kernel}, Node.js ${node}`
}

function suiteTable({ date, loadAverage, results, notes }) {
  const rows = results.map((result) => markdownRow(cells(result)))
  const table = ['| | plimsoll | peer | ratio | target | |', '|---|---|---|---|---|---|', ...rows]
  const taken = `${date}, with a load average of ${loadAverage.toFixed(1)} at the end`
  return `\n${table.join('\n')}\n\n${[taken, ...notes].map((note) => `- ${note}`).join('\n')}\n\n`
}

/** The formats as bench:dequant found them. */
export function kernelsTable({ inMemory, inCache }) {
  const rows = inMemory.formats.map((row) => {
    const cached = inCache.formats.find(({ format }) => format === row.format)
    return markdownRow([row.format, ...threeOf(row), ...threeOf(cached)])
  })
  const means = [inMemory, inCache].flatMap(({ geometricMean: { ggml, candle } }) => ['', times(ggml), times(candle)])
  const mixes = [inMemory, inCache].flatMap(({ mixBesideGgml }) => ['', times(mixBesideGgml), ''])
  const table = [
    '| format | memory | ggml | candle | cache | ggml | candle |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    markdownRow(['geometric mean', ...means]),
    markdownRow(['a Q4_K_M mix: 79 % Q4_K, 21 % Q6_K', ...mixes]),
  ]
  return `\n${table.join('\n')}\n\n`
}

function threeOf({ gigabytesPerSecond, besideGgml, besideCandle }) {
  return [String(Number(gigabytesPerSecond.plimsoll.toPrecision(3))), times(besideGgml), times(besideCandle)]
}

/** Nothing where the peer has no such format. */
function times(ratio) {
  return ratio === null ? '' : `${ratio.toPrecision(3)}x`
}

/** A table by the cells of its rows. */
export function markdownTable(header, rows) {
  return [markdownRow(header), `|${'---|'.repeat(header.length)}`, ...rows.map(markdownRow)].join('\n')
}

export function markdownRow(cells) {
  return `| ${cells.join(' | ')} |`.replaceAll(/ {2,}/g, ' ')
}
