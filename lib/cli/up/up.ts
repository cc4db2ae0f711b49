import { dirname } from 'node:path'
import { type BoardId, formatBytes, MemoryManager, type Plan, type PlanReport, processes } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { Exit, type ExitCode } from '../exit.js'
import { UsageError } from '../failure.js'
import { onEndingSignal } from '../shared/interrupt.js'
import { ledgerFrom, ledgerOptions } from '../shared/ledger-options.js'
import { judged, planFromFile } from '../shared/plan-report.js'
import { printDocumentLine, printError } from '../terminal/output.js'
import type { Report, Verb } from '../verb.js'
import type { Instance } from './instance.js'
import { documents, lines, type Output, terminal } from './output.js'
import { type Settings, settingsOf } from './settings.js'
import { Supervisor } from './supervisor.js'
import { type Runnable, runnable } from './turns.js'

export const up: Verb = {
  name: 'up',
  operand: 'FILE',
  summary: 'start the instances of a plan under the ledger, keep them running, and take their connections',
  options: {
    check: { type: 'boolean', help: 'only say whether the plan fits' },
    ...ledgerOptions,
    json: { type: 'boolean', help: 'print one JSON document a line, for every event; with --check one in all' },
  },
  lineByLine: true,
  run,
}

/** What its share of a ledger is named. */
const NAME = 'plimsoll up'

async function run(args: Arguments): Promise<Report | number> {
  const { file } = args
  const plan = planFromFile(file)
  const found = runnable(plan)
  if (args.flag('check') || !found.passes) return checked(found, args.flag('json') && !args.flag('check'))
  const settings = settingsOf(plan, inOrder(found.report), dirname(file))
  if (settings.length === 0) throw new UsageError('expected a plan with an instance that has a command, got none')
  await using manager = new MemoryManager({
    ...lineOf(plan, found.report),
    shared: { ...ledgerFrom(args), processName: NAME },
  })
  await tellOfLeft(manager)
  return await supervise(file, settings, manager, args)
}

/** Says which plans were killed and left something that still runs: it keeps their shares. */
async function tellOfLeft({ budget }: MemoryManager): Promise<void> {
  const shares = budget.ledgerHolders().filter((each) => each.name === NAME && each.isSeen && !each.isDraining)
  if (shares.length === 0) return
  const alive = new Set((await processes().catch(() => [])).map(({ pid }) => pid))
  if (alive.size === 0) return
  for (const { pid, heldBytes } of shares) {
    if (alive.has(pid)) continue
    const share = `what it started holds ${formatBytes(heldBytes)} of the ledger until it has ended`
    printError(NAME, `process ${pid}, which ran a plan, was killed; ${share}`)
  }
}

/** The report of a plan; on a line where documents stand one on a line. */
function checked({ report, passes, takesTurns }: Runnable, onLine: boolean): Report | number {
  const { document, lines: linesOf } = judged(report)
  const all = { ...document, takesTurns }
  const exitCode = passes ? Exit.fine : Exit.doesNotFit
  if (onLine) {
    printDocumentLine(all)
    return exitCode
  }
  const turns = 'Those with listen take turns: each of them fits beside those that always run.'
  const order = `It fits in the order ${report.bestOrder.join(', ')}, in which it is started.`
  const told = passes && !report.passes ? [takesTurns ? turns : order] : []
  return { document: all, lines: (page) => [...linesOf(page), ...told], exitCode }
}

/** The instances in an order of start whose peaks fit. */
function inOrder({ passes, instances, bestOrder }: PlanReport) {
  if (passes) return instances
  return bestOrder.flatMap((id) => instances.filter((instance) => instance.id === id))
}

/** The line that all of the plan stays under, whatever this machine has. */
const lineOf = ({ board, safetyMarginPercent }: Plan, { usableBytes }: PlanReport) => ({
  ...(board !== undefined && { board: board as BoardId }),
  ...(safetyMarginPercent !== undefined && { safetyMarginPercent }),
  maxBytes: usableBytes,
})

async function supervise(
  file: string,
  settings: readonly Settings[],
  manager: MemoryManager,
  args: Arguments,
): Promise<ExitCode> {
  let wasAsked = false
  const end = () => {
    if (wasAsked) supervisor.kill()
    wasAsked = true
    void supervisor.stop()
  }
  const shown = () => ({ name: file, instances: supervisor.instances, isStopping: supervisor.isStopping })
  const output = outputOf(args, shown, end)
  const supervisor = new Supervisor(settings, manager, output)
  using _signals = onEndingSignal(end)
  process.stdout.once('error', end)
  try {
    await supervisor.run()
  } finally {
    output[Symbol.dispose]()
  }
  return summedUp(supervisor.instances, wasAsked, args)
}

function outputOf(args: Arguments, shown: Parameters<typeof terminal>[0], end: () => void): Output {
  if (args.flag('json')) return documents()
  return process.stdout.isTTY && process.env.TERM !== 'dumb' ? terminal(shown, end) : lines()
}

/** How it ends: well where it was asked to, or where all that there was to run has ended well. */
function summedUp(instances: readonly Instance[], wasAsked: boolean, args: Arguments): ExitCode {
  const failed = instances.filter(({ state }) => state === 'failed')
  if (args.flag('json')) {
    printDocumentLine({
      timeMs: Date.now(),
      event: 'summary',
      instances: instances.map(({ settings: { id }, state, restartCount, problem }) => ({
        id,
        state,
        restartCount,
        problem: problem ?? null,
      })),
    })
  } else if (process.stdout.isTTY) {
    for (const { settings, problem } of failed) printError(NAME, `${settings.id} ${problem}`)
  }
  return wasAsked || failed.length === 0 ? Exit.fine : Exit.trouble
}
