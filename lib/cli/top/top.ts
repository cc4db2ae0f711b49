import {
  DeviceUnavailableError,
  type GpuProcess,
  gpuProcesses,
  type LedgerOptions,
  MemoryBudget,
  MemoryMonitor,
  type ProcessInfo,
  processes,
  processMemory,
} from '../../index.js'
import { besideHolders } from '../../ledger/beside.js'
import { Latest } from '../../support/latest.js'
import { measured } from '../../support/measured.js'
import type { Arguments } from '../arguments.js'
import { Exit, type ExitCode } from '../exit.js'
import { SystemError } from '../failure.js'
import { darkDocument, filled, headroomDocument, machineDocument } from '../shared/document.js'
import { type Ending, obeyed, onEndingSignal } from '../shared/interrupt.js'
import { ledgerFrom, ledgerOptions } from '../shared/ledger-options.js'
import { holderDocument, holdersIn, type LedgerView, surveyed } from '../shared/ledger-view.js'
import { type Line, lineFrom, lineOf, lineOptions } from '../shared/line.js'
import { measuredMachine, processFrom } from '../shared/machine.js'
import { pageFor, printDocumentLine, printError, printLines } from '../terminal/output.js'
import { Screen } from '../terminal/screen.js'
import type { Verb } from '../verb.js'
import { type Choice, chosen, firstChoice } from './choice.js'
import { frame, plainLine, plainTitles, type View } from './page.js'

export const top: Verb = {
  name: 'top',
  summary: 'live view: line, headroom and its history, pressure, the ledger, and who holds what',
  options: {
    interval: { type: 'string', value: 'TIME', help: 'time between two samples, 10ms to 60min (1s)' },
    count: { type: 'string', value: 'N', help: 'end after so many samples' },
    pid: { type: 'string', value: 'PID', help: 'look at the cgroups and the memory of that process (the tool itself)' },
    ...ledgerOptions,
    ...lineOptions,
    json: { type: 'boolean', help: 'print one JSON document a line, for every sample' },
  },
  lineByLine: true,
  run,
}

async function run(args: Arguments): Promise<ExitCode> {
  return obeyed(await watch(args))
}

async function watch(args: Arguments): Promise<Ending> {
  const samples = new SampleFeed(args)
  let ending: Ending | undefined
  const end = (how: Ending) => {
    ending ??= how
    samples.close()
  }
  using _signals = onEndingSignal((signal) => end(signal === 'SIGINT' ? Exit.interrupted : signal))
  // Whoever read the output has seen enough; other errors end the process elsewhere.
  process.stdout.once('error', () => end(Exit.fine))
  using output = outputOf(args, end, (all) => samples.show(all))
  for await (const view of samples) output.show(view)
  // A reading that hangs would keep this process.
  setTimeout(() => process.exit(), PATIENCE_MS).unref()
  return ending ?? Exit.fine
}

/** Where views are shown. */
interface Output extends Disposable {
  show: (view: View) => void
}

function outputOf(args: Arguments, end: (how: Ending) => void, showAll: (all: boolean) => void): Output {
  if (args.flag('json')) return { show: (view) => printDocumentLine(documentOf(view)), [Symbol.dispose]: () => {} }
  return process.stdout.isTTY && process.env.TERM !== 'dumb' ? terminal(end, showAll) : plainLines()
}

function plainLines(): Output {
  let isFirst = true
  let told: string | undefined
  return {
    show: (view) => {
      const { reason } = view.ledger
      if (reason !== undefined && reason !== told) printError('plimsoll top', reason)
      told = reason
      printLines([...(isFirst ? [plainTitles(view)] : []), plainLine(view)])
      isFirst = false
    },
    [Symbol.dispose]: () => {},
  }
}

/** How long a view waits for the processes, and for who holds memory of the GPUs. */
const PATIENCE_MS = 1000

/** As many samples as the widest terminal has cells for. */
const MAX_HISTORY = 32

const CTRL_C = '\x03'

function terminal(end: (how: Ending) => void, showAll: (all: boolean) => void): Output {
  let last: View | undefined
  let choice: Choice = firstChoice
  const draw = () => {
    if (last) screen.draw(frame(pageFor(process.stdout), last, choice))
  }
  const onKey = (key: string) => {
    if (key === CTRL_C) return end(Exit.interrupted)
    if (!choice.isTyping && (key === 'q' || key === 'Q')) return end(Exit.fine)
    choice = chosen(choice, key)
    showAll(choice.all)
    draw()
  }
  const screen = new Screen(onKey, draw)
  process.stdout.on('resize', draw)
  return {
    show: (view) => {
      last = view
      draw()
    },
    [Symbol.dispose]: () => {
      process.stdout.off('resize', draw)
      screen[Symbol.dispose]()
    },
  }
}

/** Views of the memory as they come, until there have been enough. */
class SampleFeed implements AsyncIterable<View> {
  readonly #pid: number
  readonly #isOther: boolean
  readonly #line: Line
  readonly #monitor: MemoryMonitor
  readonly #intervalMs: number
  readonly #count: number
  readonly #ledger: LedgerOptions
  readonly #boardLineBytes: number
  readonly #history: number[] = []
  #isClosed = false
  #all = false
  #reportsGpus = true
  /** What was read last: a process or a driver that hangs leaves all else alive. */
  #processes: readonly ProcessInfo[] = []
  #ofGpus: GpuProcess[] | undefined
  readonly #latestProcesses = new Latest(PATIENCE_MS, () => processes(this.#all ? {} : { loaded: true }))
  readonly #latestOfGpus = new Latest(PATIENCE_MS, gpuProcesses)

  constructor(args: Arguments) {
    const pid = processFrom(args, 'pid')
    this.#intervalMs = args.duration('interval') ?? 1000
    this.#count = args.count('count') ?? Number.POSITIVE_INFINITY
    measuredMachine()
    const budget = MemoryBudget.forThisMachine({ ...lineFrom(args), ...(pid !== undefined && { pid }) })
    this.#isOther = pid !== undefined
    this.#pid = pid ?? process.pid
    this.#line = lineOf(budget)
    this.#boardLineBytes = budget.boardLineBytes
    this.#ledger = ledgerFrom(args)
    this.#monitor = new MemoryMonitor(budget)
    this.#monitor.start({ intervalMs: this.#intervalMs, refuseAtCritical: false, historyCount: 0 })
  }

  close(): void {
    this.#isClosed = true
    this.#monitor.close()
  }

  /** Whether the views from now on have every process, not those alone that have this package loaded. */
  show(all: boolean): void {
    this.#all = all
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<View, void, undefined> {
    // The monitor alone keeps no process alive.
    const awake = setInterval(() => {}, 2 ** 30)
    try {
      yield* this.#views()
    } finally {
      clearInterval(awake)
      this.close()
    }
  }

  /** Who holds memory of the GPUs. A machine that does not tell is not asked again: its libraries would be looked for. */
  async #gpuProcesses(): Promise<GpuProcess[] | undefined> {
    if (!this.#reportsGpus) return undefined
    try {
      this.#ofGpus = (await this.#latestOfGpus.get()) ?? this.#ofGpus
      return this.#ofGpus
    } catch (error) {
      if (!(error instanceof DeviceUnavailableError)) throw error
      this.#reportsGpus = false
      return undefined
    }
  }

  async #ledgerView(processes: readonly ProcessInfo[]): Promise<LedgerView> {
    const found = surveyed(this.#ledger)
    return {
      ...found,
      boardLineBytes: this.#boardLineBytes,
      processes: await holdersIn(found.survey, processes),
    }
  }

  #remember(headroomBytes: number): number[] {
    this.#history.push(headroomBytes)
    if (this.#history.length > MAX_HISTORY) this.#history.shift()
    return [...this.#history]
  }

  async *#views(): AsyncGenerator<View, void, undefined> {
    let failure: string | undefined
    this.#monitor.on('unavailable', (reason) => {
      failure = reason
      this.close()
    })
    let firstKillCount: number | undefined
    let shown = 0
    for await (const sample of this.#monitor) {
      // The process that was looked at has ended.
      if (this.#isOther && !sample.process) return
      firstKillCount ??= sample.oomKillCount
      const [latest, ofGpus] = await Promise.all([this.#latestProcesses.get(), this.#gpuProcesses()])
      // Samples may have come since then.
      if (this.#isClosed) break
      this.#processes = latest ?? this.#processes
      const read = this.#processes
      const ledger = await this.#ledgerView(read)
      const headroom = besideHolders(sample.headroom, ledger.survey?.holders ?? [])
      yield {
        sample: { ...sample, headroom },
        pid: this.#pid,
        isOther: this.#isOther,
        line: this.#line,
        killCount: Math.max((sample.oomKillCount ?? 0) - (firstKillCount ?? 0), 0),
        processes: read,
        ledger,
        history: this.#remember(headroom.bytes),
        gpuProcesses: ofGpus,
        intervalMs: this.#intervalMs,
      }
      shown += 1
      if (shown >= this.#count) return
    }
    // Of one that has ended no limit is known either.
    if (this.#isOther && !measured(() => processMemory({ pid: this.#pid }))) return
    if (failure !== undefined) throw new SystemError(`expected to read the machine's memory, but ${failure}`)
  }
}

const processDocument = (process: ProcessInfo) =>
  filled(process, {
    parentPid: null,
    peakRssBytes: null,
    anonymousBytes: null,
    fileBytes: null,
    shmemBytes: null,
  })

const gpuProcessDocument = (process: GpuProcess) => filled(process, { name: null, gpu: null, bytes: null })

const documentOf = ({ sample, pid, line, killCount, processes, gpuProcesses, ledger }: View): object => ({
  timeMs: sample.timeMs,
  level: sample.level,
  usedPercent: sample.usedPercent,
  constraint: sample.constraint,
  pid,
  line,
  headroom: headroomDocument(sample.headroom),
  machine: machineDocument(sample.memory),
  pressure: sample.pressure ?? null,
  zram: sample.zram ?? null,
  dark: sample.dark ? darkDocument(sample.dark) : null,
  freeHugeBlockCount: sample.freeHugeBlockCount ?? null,
  oomKillCount: sample.oomKillCount ?? null,
  killCount: sample.oomKillCount === undefined ? null : killCount,
  process: sample.process ?? null,
  processes: processes.map(processDocument),
  gpuProcesses: gpuProcesses?.map(gpuProcessDocument) ?? null,
  ledger: ledger.survey
    ? { path: ledger.survey.path, holders: ledger.survey.holders.map((holder) => holderDocument(ledger, holder)) }
    : null,
  ledgerError: ledger.reason ?? null,
})
