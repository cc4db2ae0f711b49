import { dot, drawing, text, upright } from './svg.mjs'

const WIDTH = 760
const LEFT = 100
const RIGHT = 24
const TOP = 72
const ROW = 18
const TICKS = [0.5, 1, 2, 4, 8, 16, 32, 64]

/** Each series: its mark, its name, and where its ratios are. */
const SERIES = [
  { kind: 'ours', name: 'ggml, in the cache', part: 'inCache', ratio: 'besideGgml' },
  { kind: 'ours-too', name: 'ggml, in memory', part: 'inMemory', ratio: 'besideGgml' },
  { kind: 'peer', name: 'candle, in the cache', part: 'inCache', ratio: 'besideCandle' },
]

/** How many times as fast as its peers each format becomes `f32`. */
export function kernelsPlot(dequant) {
  const formats = dequant.inCache.formats
    .map(({ format }) => format)
    .filter((format) => SERIES.some((series) => ratioOf(dequant, series, format)))
  const bottom = TOP + formats.length * ROW
  const span = Math.log2(TICKS.at(-1) / TICKS[0])
  const x = (ratio) => LEFT + (Math.log2(ratio / TICKS[0]) / span) * (WIDTH - LEFT - RIGHT)
  const parts = TICKS.flatMap((tick) => [
    upright(x(tick), TOP, bottom, tick === 1 ? 'base' : 'grid'),
    text(x(tick), bottom + 16, `${tick}x`, { kind: 'faint', anchor: 'middle' }),
  ])
  for (const [index, { kind, name }] of SERIES.entries()) {
    const left = LEFT + index * 200
    parts.push(dot(left, 50, kind), text(left + 10, 54, `beside ${name}`, { kind: 'faint' }))
  }
  for (const [index, format] of formats.entries()) {
    const y = TOP + (index + 0.5) * ROW
    parts.push(text(LEFT - 10, y + 4, format, { anchor: 'end' }))
    for (const series of [...SERIES].reverse()) {
      const ratio = ratioOf(dequant, series, format)
      if (ratio) parts.push(dot(x(ratio), y, series.kind))
    }
  }
  const about = {
    title: 'Blocks to f32 on one thread: how many times as fast',
    description:
      'For each format, the ratio of the rate of plimsoll to those of ggml and candle, on a logarithmic scale.',
  }
  const place = `${dequant.date}, ${dequant.processor}`
  parts.push(text(WIDTH - 16, bottom + 36, place, { kind: 'faint', anchor: 'end' }))
  return drawing({ width: WIDTH, height: bottom + 48, ...about }, parts)
}

function ratioOf(dequant, { part, ratio }, format) {
  return dequant[part].formats.find((row) => row.format === format)?.[ratio]
}
