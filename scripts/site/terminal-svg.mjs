// What a program wrote to a terminal, as a picture: light or dark as its reader has it.

const CHARACTER = { width: 8.4, height: 18 }
const MARGIN = 16
const SGR = new RegExp(`${String.fromCharCode(27)}\\[([\\d;]*)m`)

/** The styles of the codes that the command line writes; a code that is none of them ends all. */
const styles = { 1: 'b', 2: 'd', 31: 'r', 32: 'g', 33: 'y' }

/**
 * @param {string} command what was typed
 * @param {string} output what came, with the codes of its colours
 * @param {string} description for who does not see it
 */
export function terminalPicture(command, output, description) {
  const rows = [
    [
      { style: 'd', text: '$ ' },
      { style: 'b', text: command },
    ],
    ...rowsOf(output),
  ]
  const columns = Math.max(...rows.map((row) => row.reduce((sum, { text }) => sum + text.length, 0)))
  const width = Math.ceil(columns * CHARACTER.width + 2 * MARGIN)
  const height = rows.length * CHARACTER.height + 2 * MARGIN
  const texts = rows.map((row, index) => textOf(row, MARGIN + (index + 0.75) * CHARACTER.height)).filter(Boolean)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escaped(description)}</title>
<style>
svg { background: #fff; fill: #1f2328; font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
text { white-space: pre }
.b { font-weight: bold } .d { fill: #59636e } .r { fill: #c0202b } .g { fill: #187733 } .y { fill: #8a5a00 }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; fill: #e6edf3 }
.d { fill: #9198a1 } .r { fill: #ff7b72 } .g { fill: #56d364 } .y { fill: #e3b341 }
}
</style>
<rect width="100%" height="100%" rx="6" fill="none" stroke="#8c959f" stroke-opacity="0.4"/>
${texts.join('\n')}
</svg>
`
}

/** The runs of each line, by their style. */
function rowsOf(output) {
  let style = ''
  return output
    .trimEnd()
    .split('\n')
    .map((line) => {
      const parts = line.split(SGR)
      return parts.flatMap((part, index) => {
        if (index % 2 === 0) return part === '' ? [] : [{ style, text: part }]
        style = styles[part] ?? ''
        return []
      })
    })
}

/** Each run has its place and its length, so that the columns stand whatever font there is. */
function textOf(row, y) {
  let column = 0
  const spans = row.flatMap(({ style, text }) => {
    const start = column + text.length - text.trimStart().length
    column += text.length
    const shown = text.trim()
    if (shown === '') return []
    const [x, length] = [MARGIN + start * CHARACTER.width, shown.length * CHARACTER.width]
    const kind = style === '' ? '' : ` class="${style}"`
    return [`<tspan${kind} x="${figure(x)}" textLength="${figure(length)}">${escaped(shown)}</tspan>`]
  })
  return spans.length === 0 ? undefined : `<text y="${figure(y)}">${spans.join('')}</text>`
}

const figure = (number) => String(Number(number.toFixed(1)))
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
