import { MemoryBudget } from '../../index.js'
import { type MetricsOptions, metricsText, readMetrics, serveMetrics } from '../../metrics/index.js'
import type { Arguments } from '../arguments.js'
import type { ExitCode } from '../exit.js'
import { untilEnded } from '../shared/interrupt.js'
import { ledgerFrom, ledgerOptions } from '../shared/ledger-options.js'
import { surveyed } from '../shared/ledger-view.js'
import { lineFrom, lineOptions } from '../shared/line.js'
import { measuredMachine } from '../shared/machine.js'
import { printDocumentLine, printError, printLines } from '../terminal/output.js'
import type { Report, Verb } from '../verb.js'

export const metrics: Verb = {
  name: 'metrics',
  summary: "the machine's memory and the ledger as Prometheus reads them: printed once, or served",
  options: {
    port: { type: 'string', value: 'N', help: 'serve /metrics at that port of 127.0.0.1 until a signal; 0 is any' },
    ...ledgerOptions,
    ...lineOptions,
    json: { type: 'boolean', help: 'print one JSON document: the metrics, or with --port where they are served' },
  },
  run,
}

async function run(args: Arguments): Promise<Report | ExitCode> {
  const port = args.integer('port', 0, 65_535)
  measuredMachine()
  const ledger = ledgerFrom(args)
  const options: MetricsOptions = {
    budget: MemoryBudget.forThisMachine(lineFrom(args)),
    ledger,
    processes: true,
    gpuProcesses: true,
  }
  const { reason } = surveyed(ledger)
  if (reason !== undefined) printError('plimsoll metrics', reason)
  if (port !== undefined) return serve(args, options, port)
  const read = await readMetrics(options)
  return { document: { metrics: read }, lines: () => metricsText(read).trimEnd().split('\n') }
}

/** Serves until it is asked to end. */
async function serve(args: Arguments, options: MetricsOptions, port: number): Promise<ExitCode> {
  const ended = untilEnded()
  await using server = await serveMetrics({ ...options, port })
  if (args.flag('json')) printDocumentLine({ url: server.url })
  else printLines([`serving ${server.url}`])
  return await ended
}
