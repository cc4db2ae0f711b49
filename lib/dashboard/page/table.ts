// Fills the tables of the page.

import { byId, element } from '../../report/page/tools.js'

/** A table's head and rows; its caption stays. An empty one says so. */
export function fill(id: string, titles: readonly string[], rows: readonly (Node | string)[][], nothing: string): void {
  const table = byId(id)
  const heads = titles.map((title) => {
    const head = element('th', '', title)
    head.scope = 'col'
    return head
  })
  const none = element('td', '', nothing)
  none.colSpan = titles.length
  const cells = rows.length > 0 ? rows.map((row) => row.map((cell, at) => cellOf(cell, titles[at]))) : [[none]]
  const made = cells.map((row) => element('tr', '', ...row))
  const parts = [element('thead', '', element('tr', '', ...heads)), element('tbody', '', ...made)]
  table.replaceChildren(...table.querySelectorAll('caption'), ...parts)
}

/** A cell that has its title for where rows are stacked, under no head. */
function cellOf(content: Node | string, title = ''): HTMLElement {
  const cell = element('td', '', content)
  cell.dataset.title = title
  return cell
}
