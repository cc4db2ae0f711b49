import { formatBytes, type Headroom } from '../../index.js'
import type { Page } from '../terminal/page.js'
import { table } from '../terminal/table.js'
import { percent, visible } from '../terminal/text.js'

/** What bounds headroom, as a table. The mark stands at the bound with the least room. */
export function boundTable(page: Page, { terms, bindingTerm }: Headroom): string[] {
  const binding = terms.findIndex((term) => term.kind === bindingTerm.kind && term.path === bindingTerm.path)
  return table(
    page,
    [
      { title: '', style: 'green' },
      { title: 'bound' },
      { title: 'room', align: 'right' },
      { title: 'floor', align: 'right', style: 'dim' },
      { title: 'in use', align: 'right' },
      { title: 'what it is' },
    ],
    terms.map((term, i) => [
      i === binding ? '▸' : '',
      term.kind,
      formatBytes(term.roomBytes),
      formatBytes(term.floorBytes),
      percent(term.usedPercent),
      visible(term.description),
    ]),
  )
}
