import type { Paint, Style } from './style.js'

/** A bar of so many cells, of which a share from 0 to 1 is filled. */
export function bar(paint: Paint, style: Style, share: number, cells: number): string {
  const filled = Math.floor(Math.min(Math.max(share, 0), 1) * cells)
  return paint(style, '━'.repeat(filled)) + paint('dim', '─'.repeat(cells - filled))
}
