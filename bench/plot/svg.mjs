/** Colours by class, for light and for dark pages: the background is drawn, so that text is readable on either. */
const STYLE = `
    svg { color-scheme: light dark }
    .page { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e }
    .ours { fill: #0969da } .ours-too { fill: none; stroke: #0969da; stroke-width: 1.5 } .peer { fill: #8c959f } .limit { fill: #d1a054 }
    .grid { stroke: #d8dee4 } .base { stroke: #59636e }
    text { font: 12px system-ui, sans-serif } .title { font-size: 14px; font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .text { fill: #e6edf3 } .faint { fill: #9198a1 }
      .ours { fill: #4493f8 } .ours-too { stroke: #4493f8 } .peer { fill: #848d97 } .limit { fill: #9e6a03 }
      .grid { stroke: #30363d } .base { stroke: #9198a1 }
    }
  `

/**
 * A drawing.
 *
 * @param {{ width: number, height: number, title: string, description: string }} about
 * @param {string[]} parts
 */
export function drawing({ width, height, title, description }, parts) {
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<desc>${escaped(description)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${width}" height="${height}" rx="6"/>`,
    text(16, 26, title, { kind: 'text title' }),
    ...parts,
    '</svg>',
  ]
  return `${lines.join('\n')}\n`
}

export function text(x, y, content, { kind = 'text', anchor = 'start' } = {}) {
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(content)}</text>`
}

export function bar(x, y, width, height, kind) {
  return `<rect class="${kind}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="2"/>`
}

export function upright(x, y1, y2, kind = 'grid') {
  return `<line class="${kind}" x1="${round(x)}" y1="${round(y1)}" x2="${round(x)}" y2="${round(y2)}"/>`
}

export function dot(x, y, kind) {
  return `<circle class="${kind}" cx="${round(x)}" cy="${round(y)}" r="4"/>`
}

function round(value) {
  return Math.round(value * 10) / 10
}

function escaped(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
