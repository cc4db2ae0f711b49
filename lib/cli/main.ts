import { version } from '../support/package.js'
import { nearest, parse } from './arguments.js'
import { doctor } from './doctor/doctor.js'
import { Exit, type ExitCode } from './exit.js'
import { describe, UsageError } from './failure.js'
import { programHelp, verbHelp } from './help.js'
import { inspect } from './model/inspect.js'
import { load } from './model/load.js'
import { pools } from './pool/pools.js'
import { replay } from './pool/replay.js'
import { pageFor, printDocument, printDocumentLine, printError, printLines, watchOutput } from './terminal/output.js'
import { top } from './top/top.js'
import type { Verb } from './verb.js'

/** Every verb of the command line, in the order of the help. */
const verbs: readonly Verb[] = [doctor, inspect, load, pools, replay, top]

async function main(argv: string[]): Promise<ExitCode> {
  const [first, ...rest] = argv
  try {
    if (first === '--help') return say(programHelp(pageFor(process.stdout), verbs))
    if (first === '--version') return say([version])
    return await run(verbCalled(first), rest)
  } catch (error) {
    return fail(error, argv)
  }
}

async function run(verb: Verb, argv: string[]): Promise<ExitCode> {
  const args = parse(verb, argv)
  if (args.flag('help')) return say(verbHelp(pageFor(process.stdout), verb))
  const report = await verb.run(args)
  if (typeof report === 'number') return report
  if (args.flag('json')) printDocument(report.document)
  else printLines(report.lines(pageFor(process.stdout)))
  return report.exitCode ?? Exit.fine
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
  const hint = nearest(name, isOption ? ['--help', '--version'] : names)
  throw new UsageError(`unknown ${isOption ? 'option' : 'verb'} "${name}"; did you mean "${hint}"?`)
}

/** Tells what went wrong and with which code the process ends. `--json` counts even where the rest is unreadable. */
function fail(error: unknown, argv: string[]): ExitCode {
  const described = describe(error)
  if (!described) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    return Exit.trouble
  }
  const verb = verbs.find((each) => each.name === argv[0])
  printError(verb ? `plimsoll ${verb.name}` : 'plimsoll', described.message)
  const print = verb?.lineByLine ? printDocumentLine : printDocument
  if (argv.includes('--json')) print(described.document)
  return described.exitCode
}

watchOutput()
main(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode
})
