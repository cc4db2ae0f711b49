import { setTimeout as after } from 'node:timers/promises'
import { MemoryBudget, surveyLedger } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { Exit, type ExitCode } from '../exit.js'
import { UsageError } from '../failure.js'
import { type Ending, obeyed, onEndingSignal } from '../shared/interrupt.js'
import { ledgerFrom, ledgerOptions } from '../shared/ledger-options.js'
import { ledgerLines } from '../shared/ledger-page.js'
import { heldBytes, holderDocument, holdersIn, type LedgerView, surveyed } from '../shared/ledger-view.js'
import { lineFrom, lineOptions } from '../shared/line.js'
import { pageFor, printDocumentLine, printLines } from '../terminal/output.js'
import { Screen } from '../terminal/screen.js'
import type { Report, Verb } from '../verb.js'

export const ledger: Verb = {
  name: 'ledger',
  summary: 'who holds, waits and drains: the processes that share the board by a ledger',
  options: {
    ...ledgerOptions,
    watch: { type: 'boolean', short: 'w', help: 'go on showing it, until q or Ctrl-C' },
    interval: { type: 'string', value: 'TIME', help: 'time between two looks, 10ms to 60min (1s); with --watch' },
    count: { type: 'string', value: 'N', help: 'end after so many looks; with --watch' },
    ...lineOptions,
    json: { type: 'boolean', help: 'print one JSON document; with --watch one a line, for every look' },
  },
  lineByLine: true,
  run,
}

async function run(args: Arguments): Promise<Report | ExitCode> {
  const { boardLineBytes } = MemoryBudget.forThisMachine(lineFrom(args))
  const options = ledgerFrom(args)
  const viewOf = async (found: Pick<LedgerView, 'survey' | 'reason'>): Promise<LedgerView> => ({
    ...found,
    boardLineBytes,
    processes: await holdersIn(found.survey),
  })
  // One look that fails is an error; who watches is told, and goes on watching.
  if (args.flag('watch')) return obeyed(await watch(args, () => viewOf(surveyed(options))))
  for (const name of ['interval', 'count'] as const) {
    if (args.text(name) !== undefined) throw new UsageError(`expected --${name} with --watch, got it without`)
  }
  const view = await viewOf({ survey: surveyLedger(options) })
  return { document: documentOf(view), lines: (page) => ledgerLines(page, view) }
}

async function watch(args: Arguments, look: () => Promise<LedgerView>): Promise<Ending> {
  const intervalMs = args.duration('interval') ?? 1000
  const count = args.count('count') ?? Number.POSITIVE_INFINITY
  const ended = new AbortController()
  let ending: Ending = Exit.fine
  const end = (how: Ending) => {
    ending = how
    ended.abort()
  }
  using _signals = onEndingSignal((signal) => end(signal === 'SIGINT' ? Exit.interrupted : signal))
  process.stdout.once('error', () => ended.abort())
  const isShown = !args.flag('json') && process.stdout.isTTY && process.env.TERM !== 'dumb'
  let last: LedgerView | undefined
  const onKey = (key: string) => {
    if (key === '\x03') end(Exit.interrupted)
    if (key === 'q' || key === 'Q') end(Exit.fine)
  }
  const draw = () => last && screen?.draw(ledgerLines(pageFor(process.stdout), last))
  using screen = isShown ? new Screen(onKey, draw) : undefined
  for (let shown = 0; shown < count && !ended.signal.aborted; shown += 1) {
    if (shown > 0) await after(intervalMs, undefined, { signal: ended.signal }).catch(() => {})
    if (ended.signal.aborted) break
    const view = await look()
    last = view
    if (screen) draw()
    else if (args.flag('json')) printDocumentLine(documentOf(view))
    else printLines(ledgerLines(pageFor(process.stdout), view))
  }
  return ending
}

function documentOf(view: LedgerView): object {
  const { survey, reason, boardLineBytes } = view
  return {
    path: survey?.path ?? null,
    boardLineBytes,
    heldBytes: survey ? heldBytes(survey) : null,
    holders: survey?.holders.map((holder) => holderDocument(view, holder)) ?? null,
    ledgerError: reason ?? null,
  }
}
