import { formatBytes } from '../../index.js'
import type { Page } from '../terminal/page.js'
import type { Style } from '../terminal/style.js'
import { type Column, heading, table } from '../terminal/table.js'
import { visible } from '../terminal/text.js'
import { addressText } from './address.js'
import type { State } from './events.js'
import type { Instance } from './instance.js'

const styles: Partial<Record<State, Style>> = { ready: 'green', failed: 'red', delayed: 'yellow', waiting: 'yellow' }

const columns: readonly Column[] = [
  { title: 'INSTANCE' },
  { title: 'STATE' },
  { title: 'SINCE', align: 'right' },
  { title: 'HELD', align: 'right' },
  { title: 'RESIDENT', align: 'right' },
  { title: 'PROCESS', align: 'right' },
  { title: 'CONNECTIONS', align: 'right' },
  { title: 'RESTARTS', align: 'right' },
  { title: 'WHERE' },
  { title: 'NOTE' },
]

/** All instances as a page of a terminal, and below what was said last. */
export function frame(
  page: Page,
  name: string,
  instances: readonly Instance[],
  isStopping: boolean,
  said: readonly string[],
): string[] {
  const title = isStopping ? 'is being stopped; q again kills what is left' : 'q stops it'
  const [titles = '', ...rows] = table(page, columns, instances.map(row))
  return [
    heading(page, 'plimsoll up', `${visible(name)}; ${title}`),
    '',
    titles,
    ...rows.map((line, at) => {
      const style = styles[instances[at]?.state ?? 'stopped']
      return style === undefined ? line : page.paint(style, line)
    }),
    '',
    ...said,
  ]
}

function row(instance: Instance): string[] {
  const { settings, state, sinceMs, heldBytes, residentBytes, pid, connectionCount, restartCount, problem } = instance
  const where = settings.listen ?? (settings.listens ? instance.upstream : undefined)
  return [
    visible(settings.id),
    state,
    age(Date.now() - sinceMs),
    heldBytes > 0 ? formatBytes(heldBytes) : '',
    residentBytes > 0 ? formatBytes(residentBytes) : '',
    pid === undefined ? '' : String(pid),
    settings.listen === undefined ? '' : String(connectionCount),
    String(restartCount),
    where === undefined ? '' : addressText(where),
    visible(problem ?? ''),
  ]
}

function age(ms: number): string {
  const seconds = Math.max(Math.round(ms / 1000), 0)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
