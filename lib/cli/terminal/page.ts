import type { Paint } from './style.js'

/** Where a report goes. */
export interface Page {
  paint: Paint
  /** Columns there are for a line. */
  width: number
  /** Whether a picture may be drawn in shades: on a terminal that can. */
  shades: boolean
}
