import { parseArgs } from 'node:util'
import { version } from '../support/package.js'
import { optionsOf, parse, suggestion } from './arguments.js'
import { blackbox } from './blackbox/blackbox.js'
import { dashboard } from './dashboard/dashboard.js'
import { doctor } from './doctor/doctor.js'
import { estimate } from './estimate/estimate.js'
import { fit } from './estimate/fit.js'
import { Exit, type ExitCode } from './exit.js'
import { describe, UsageError } from './failure.js'
import { programDocument, programHelp, programOptions, verbDocument, verbHelp } from './help.js'
import { ledger } from './ledger/ledger.js'
import { run as runCommand } from './ledger/run.js'
import { metrics } from './metrics/metrics.js'
import { cache } from './model/cache.js'
import { inspect } from './model/inspect.js'
import { load } from './model/load.js'
import { plan } from './plan/plan.js'
import { pools } from './pool/pools.js'
import { replay } from './pool/replay.js'
import { givenOf } from './shared/flags.js'
import type { Options } from './shared/option.js'
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
    if (verb !== undefined) return await run(verbCalled(verb), rest)
    const { words, options } = read(argv)
    const [word] = words
    if (word !== undefined && word !== 'help') verbCalled(word)
    if (word === 'help' || options.some((option) => ['--help', '-h'].includes(option))) return help(json)
    throw noVerb(options)
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

function verbCalled(name: string): Verb {
  const verb = verbs.find((each) => each.name === name)
  if (verb) return verb
  const names = [...verbs.map((each) => each.name), 'help']
  throw new UsageError(`unknown verb "${name}"; ${suggestion(name, names)}`)
}

/** Words and options of a command line without a verb, whose options may be those of any. */
function read(argv: string[]): { words: string[]; options: string[] } {
  const known: Options = Object.assign({}, ...verbs.map(optionsOf), programOptions)
  const { tokens } = parseArgs({ args: argv, options: known, strict: false, tokens: true })
  return {
    words: tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : [])),
    options: tokens.flatMap((token) => (token.kind === 'option' ? [token.rawName] : [])),
  }
}

/** What is wrong where neither a verb nor help is asked for. */
function noVerb(options: string[]): UsageError {
  const known = Object.entries(programOptions).flatMap(([name, { short }]) => [
    `--${name}`,
    ...(short ? [`-${short}`] : []),
  ])
  const unknown = options.find((option) => !known.includes(option))
  if (unknown === undefined) {
    return new UsageError(`expected a verb: ${verbs.map(({ name }) => name).join(', ')}; plimsoll --help says more`)
  }
  const long = known.filter((option) => option.startsWith('--'))
  return new UsageError(`unknown option "${unknown}"; ${suggestion(unknown, long)}`)
}

/** Tells what went wrong and with which code the process ends. `--json` counts even where the rest is unreadable. */
function fail(error: unknown, argv: string[]): number {
  const [called] = split(argv)
  const verb = verbs.find((each) => each.name === called)
  const described = describe(error, verb ? givenOf(optionsOf(verb), argv) : [])
  if (!described) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    return Exit.trouble
  }
  printError(verb ? `plimsoll ${verb.name}` : 'plimsoll', described.message)
  const print = verb?.lineByLine ? printDocumentLine : printDocument
  if (argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json')) print(described.document)
  return verb?.failureCode === undefined ? described.exitCode : verb.failureCode
}

watchOutput()
main(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode
})
