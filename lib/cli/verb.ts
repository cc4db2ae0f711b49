import type { Arguments } from './arguments.js'
import type { ExitCode } from './exit.js'
import type { Signature } from './shared/option.js'
import type { Page } from './terminal/page.js'

/** What a verb has found out. */
export interface Report {
  /** What `--json` prints: sizes as numbers of bytes, what is not there as `null`. */
  document: object
  /** The same for people, as lines. */
  lines: (page: Page) => string[]
  /** How the command ends; 0 if it is not said. */
  exitCode?: ExitCode
}

/** A verb of the command line. */
export interface Verb extends Signature {
  name: string
  /** One line for the help. */
  summary: string
  /** Whether its documents stand one on a line, also that of an error. */
  lineByLine?: boolean
  /** The code with which it ends whenever it fails itself; where it passes on the codes of another program. */
  failureCode?: number
  /** Finds out, or shows what it finds while it goes on and says how the command ends. */
  run: (args: Arguments) => Report | Promise<Report | number>
}
