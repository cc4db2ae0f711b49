import { formatBytes } from '../../index.js'
import { bar } from './bar.js'
import { paintFor } from './style.js'
import { clip, visible } from './text.js'

/** How far the reading of a file has come. */
export interface Step {
  /** What is being read. */
  what: string
  doneBytes: number
  totalBytes: number
}

/** Tells a user who is watching how far it has come. */
export interface Progress {
  report: (step: Step) => void
  /** Wipes the line, so that what follows begins at its start. */
  end: () => void
}

/** Redrawing faster than the eye follows only takes time from the work. */
const INTERVAL_MS = 100

const BAR_CELLS = 24

const ERASE_LINE = '\r\x1b[K'

const silent: Progress = { report: () => {}, end: () => {} }

/** A line on stderr that redraws itself; nothing where stderr is no terminal or one that cannot redraw. */
export function progressOn(stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY || process.env.TERM === 'dumb') return silent
  const paint = paintFor(stream)
  const start = performance.now()
  let drawn = Number.NEGATIVE_INFINITY
  return {
    report: ({ what, doneBytes, totalBytes }) => {
      const now = performance.now()
      if (now - drawn < INTERVAL_MS) return
      drawn = now
      const share = totalBytes > 0 ? doneBytes / totalBytes : 1
      const percent = `${Math.floor(share * 100)} %`.padStart(5)
      const rate = formatBytes(Math.round((doneBytes * 1000) / Math.max(now - start, 1)))
      const figures = `${percent}  ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}, ${rate}/s`
      const left = (stream.columns || 80) - BAR_CELLS - figures.length - 7
      const name = left > 0 ? clip(visible(what), left) : ''
      stream.write(`${ERASE_LINE}  ${bar(paint, 'green', share, BAR_CELLS)} ${figures}  ${paint('dim', name)}`)
    },
    end: () => {
      if (drawn > 0) stream.write(ERASE_LINE)
    },
  }
}
