import { type BlackBoxReading, type BlackBoxRun, IoError, readBlackBox } from '../../index.js'
import type { Arguments } from '../arguments.js'
import { InputError } from '../failure.js'
import { filled } from '../shared/document.js'
import { visible } from '../terminal/text.js'
import type { Report, Verb } from '../verb.js'
import { blackBoxLines } from './page.js'

export const blackbox: Verb = {
  name: 'blackbox',
  operand: '[FILE]',
  summary: 'what happened before a kill or a power cut: who held what, and what was missing',
  options: {
    name: { type: 'string', value: 'NAME', help: 'the name of the ledger that it is about (board); without FILE' },
    boot: {
      type: 'string',
      value: 'WHICH',
      help: 'of which start of the board: this, previous, or all; by default the run that was cut last',
    },
  },
  run,
}

const boots = ['this', 'previous', 'all'] as const

function run(args: Arguments): Report {
  const boot = args.oneOf('boot', boots)
  const reading = readFrom(args)
  if (typeof reading === 'string') {
    const document = { path: reading, damagedCount: 0, told: null, runs: [] }
    return { document, lines: () => [`no black box was written here: ${visible(reading)}`] }
  }
  const { path, runs, toldIndex, damagedCount } = reading
  const told = toldIndex === undefined ? undefined : runs[toldIndex]
  const chosen = runs.filter((each) => isMeant(each, runs, boot, told))
  // Of several the last that was cut, as the reader chooses among all.
  const shown = chosen.findLast((each) => !each.isRunning && !each.endedCleanly) ?? chosen.at(-1)
  return {
    document: {
      path,
      damagedCount,
      told: shown ? chosen.indexOf(shown) : null,
      runs: chosen.map(runDocument),
    },
    lines: (page) => blackBoxLines(page, { path, damagedCount, runs: chosen, shown, runCount: runs.length }),
  }
}

/** What is read, or the path where nothing is. */
function readFrom(args: Arguments): BlackBoxReading | string {
  const file = args.fileIfGiven
  const name = args.text('name')
  try {
    return readBlackBox(file, name === undefined ? undefined : { name })
  } catch (error) {
    if (!(error instanceof IoError)) throw error
    if (file === undefined && error.errno === 2 && error.path !== undefined) return error.path
    throw new InputError(error)
  }
}

function isMeant(
  run: BlackBoxRun,
  all: readonly BlackBoxRun[],
  boot: (typeof boots)[number] | undefined,
  told: BlackBoxRun | undefined,
): boolean {
  if (boot === 'all') return true
  if (boot === 'this') return run.isThisBoot
  if (boot === 'previous') return !run.isThisBoot && run.boot === all.findLast((each) => !each.isThisBoot)?.boot
  return run === told
}

const runDocument = (run: BlackBoxRun): object => ({
  ...filled(run, { killCount: null, laterKillCount: null, verdict: null }),
  verdict: run.verdict
    ? {
        ...filled(run.verdict, { roomBytes: null, refusedMissingBytes: null, holder: null }),
        holder: run.verdict.holder ? filled(run.verdict.holder, { waitingBytes: null }) : null,
      }
    : null,
  moments: run.moments.map((moment) => ({
    ...moment,
    machine: moment.machine
      ? filled(moment.machine, { stalledPercent: null, fullyStalledPercent: null, oomKillCount: null })
      : null,
    holders: moment.holders.map((holder) => filled(holder, { waitingBytes: null })),
    happenings: moment.happenings.map((each) => filled(each, { availableBytes: null, constraint: null })),
  })),
})
