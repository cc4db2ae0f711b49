import { version } from '../support/package.js'
import { parse, suggestion } from './arguments.js'
import { blackbox } from './blackbox/blackbox.js'
import { dashboard } from './dashboard/dashboard.js'
import { doctor } from './doctor/doctor.js'
import { estimate } from './estimate/estimate.js'
import { fit } from './estimate/fit.js'
import { Exit, type ExitCode } from './exit.js'
import { describe, UsageError } from './failure.js'
import { programDocument, programHelp, verbDocument, verbHelp } from './help.js'
import { ledger } from './ledger/ledger.js'
import { run as runCommand } from './ledger/run.js'
import { metrics } from './metrics/metrics.js'
import { cache } from './model/cache.js'
import { inspect } from './model/inspect.js'
import { load } from './model/load.js'
import { plan } from './plan/plan.js'
import { pools } from './pool/pools.js'
import { replay } from './pool/replay.js'
import { pageFor, printDocument, printDocumentLine, printError, printLines, watchOutput } from './terminal/output.js'
import { top } from './top/top.js'
import { up } from './up/up.js'
import type { Verb } from './verb.js'

/** Every verb of the command line, in the order of the help. */
const verbs: readonly Verb[] = [
  doctor,
  blackbox,
  cache,
  dashboard,
  estimate,
  fit,
  inspect,
  ledger,
  load,
  metrics,
  plan,
  pools,
  replay,
  runCommand,
  top,
  up,
]

async function main(argv: string[]): Promise<number> {
  const json = argv.includes('--json')
  const [first, second] = argv.filter((word) => word !== '--json')
  try {
    if (first === '--version' || first === '-v') return say([version])
    if (first === 'help' && second !== undefined && second !== 'help') return help(json, verbCalled(second))
    const [verb, rest] = split(argv)
    if (verb === undefined && ['--help', '-h', 'help'].includes(first ?? '')) return help(json)
    return await run(verbCalled(verb ?? argv[0]), rest)
  } catch (error) {
    return fail(error, argv)
  }
}

async function run(verb: Verb, argv: string[]): Promise<number> {
  const args = parse(verb, argv)
  if (args.flag('help')) return help(args.flag('json'), verb)
  const report = await verb.run(args)
  if (typeof report === 'number') return report
  if (args.flag('json')) printDocument(report.document)
  else printLines(report.lines(pageFor(process.stdout)))
  return report.exitCode ?? Exit.fine
}

/** The verb, and what it is called with: its options may stand before it. */
function split(argv: string[]): [verb: string | undefined, rest: string[]] {
  const names = new Set(verbs.map((verb) => verb.name))
  const at = argv.findIndex((word) => names.has(word))
  // Behind a word that is no option the operands of a verb have begun, which may be called as a verb is.
  const isFirst = at >= 0 && (at === 0 || argv[0]?.startsWith('-') === true)
  return isFirst ? [argv[at], [...argv.slice(0, at), ...argv.slice(at + 1)]] : [undefined, argv]
}

/** The help of a verb, or of the program, for people or as a document. */
function help(json: boolean, verb?: Verb): ExitCode {
  if (json) printDocument(verb ? verbDocument(verb) : programDocument(verbs))
  else printLines(verb ? verbHelp(pageFor(process.stdout), verb) : programHelp(pageFor(process.stdout), verbs))
  return Exit.fine
}

function say(lines: readonly string[]): ExitCode {
  printLines(lines)
  return Exit.fine
}

function verbCalled(name: string | undefined): Verb {
  const names = verbs.map((verb) => verb.name)
  if (name === undefined) throw new UsageError(`expected a verb: ${names.join(', ')}; plimsoll --help says more`)
  const verb = verbs.find((each) => each.name === name)
  if (verb) return verb
  const isOption = name.startsWith('-')
  const hint = suggestion(name, isOption ? ['--help', '--version'] : [...names, 'help'])
  throw new UsageError(`unknown ${isOption ? 'option' : 'verb'} "${name}"; ${hint}`)
}

/** Tells what went wrong and with which code the process ends. `--json` counts even where the rest is unreadable. */
function fail(error: unknown, argv: string[]): number {
  const described = describe(error)
  if (!described) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    return Exit.trouble
  }
  const [called] = split(argv)
  const verb = verbs.find((each) => each.name === called)
  printError(verb ? `plimsoll ${verb.name}` : 'plimsoll', described.message)
  const print = verb?.lineByLine ? printDocumentLine : printDocument
  if (argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json')) print(described.document)
  return verb?.failureCode === undefined ? described.exitCode : verb.failureCode
}

watchOutput()
main(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode
})
