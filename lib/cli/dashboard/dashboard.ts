import { type Dashboard, serveDashboard } from '../../dashboard/index.js'
import { MemoryBudget, MemoryMonitor } from '../../index.js'
import type { Arguments } from '../arguments.js'
import type { ExitCode } from '../exit.js'
import { untilEnded } from '../shared/interrupt.js'
import { ledgerFrom, ledgerOptions } from '../shared/ledger-options.js'
import { lineFrom, lineOptions } from '../shared/line.js'
import { measuredMachine } from '../shared/machine.js'
import { printDocumentLine, printError, printLines } from '../terminal/output.js'
import type { Verb } from '../verb.js'
import { openInBrowser } from './browser.js'

export const dashboard: Verb = {
  name: 'dashboard',
  summary: 'line and headroom over time, the ledger, and the processes that hold memory, in a browser',
  options: {
    port: { type: 'string', value: 'N', help: 'the port of 127.0.0.1; any that is free by default' },
    open: { type: 'boolean', help: 'open it in your browser, too' },
    interval: { type: 'string', value: 'TIME', help: 'time between two updates, 100ms to 1min (1s)' },
    ...ledgerOptions,
    ...lineOptions,
    json: { type: 'boolean', help: 'print one JSON document: the link, which opens the page once' },
  },
  lineByLine: true,
  run,
}

async function run(args: Arguments): Promise<ExitCode> {
  const port = args.integer('port', 0, 65_535) ?? 0
  const intervalMs = args.duration('interval', '100ms', '1min')
  measuredMachine()
  const ended = untilEnded()
  const budget = MemoryBudget.forThisMachine(lineFrom(args))
  using monitor = new MemoryMonitor(budget)
  monitor.start({ ...(intervalMs !== undefined && { intervalMs }), refuseAtCritical: false, historyCount: 0 })
  await using server = await serveDashboard({
    budget,
    monitor,
    ledger: ledgerFrom(args),
    port,
    ...(intervalMs !== undefined && { intervalMs }),
  })
  if (args.flag('json')) {
    printDocumentLine({ url: server.url, link: server.link() })
    if (args.flag('open')) open(server)
    return await ended
  }
  printLines([`open ${server.link()}`, 'within 10 minutes; it opens once. Enter prints another, Ctrl-C ends.'])
  if (args.flag('open')) open(server)
  using _another = onEnter(server)
  return await ended
}

/** With a link of its own: the one that was printed still opens a page. */
function open(server: Dashboard): void {
  openInBrowser(server.link(), (why) =>
    printError('plimsoll dashboard', `expected a browser to open the page, but ${why}; open the link yourself`),
  )
}

/** Another browser, or another try, needs another link. */
function onEnter(server: Dashboard): Disposable {
  if (!process.stdin.isTTY) return { [Symbol.dispose]: () => {} }
  const listener = () => printLines([`open ${server.link()}`])
  process.stdin.on('data', listener)
  return {
    [Symbol.dispose]: () => {
      process.stdin.off('data', listener)
      process.stdin.pause()
    },
  }
}
