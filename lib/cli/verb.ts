import type { Arguments } from './arguments.js'
import type { ExitCode } from './exit.js'
import type { Paint } from './terminal/style.js'

/** An option of a verb, as it is parsed and as the help shows it. */
export interface Option {
  type: 'boolean' | 'string'
  /** May be given more than once. */
  multiple?: boolean
  /** What stands for the value in the help; absent for a flag. */
  value?: string
  /** One line for the help. */
  help: string
}

export type Options = Readonly<Record<string, Option>>

/** Where a report goes. */
export interface Page {
  paint: Paint
  /** Columns there are for a line. */
  width: number
  /** Whether a picture may be drawn in shades: on a terminal that can. */
  shades: boolean
}

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
export interface Verb {
  name: string
  /** The operand it demands, if it takes one. */
  operand?: 'FILE'
  /** One line for the help. */
  summary: string
  /** Its options, beside those that every verb has. */
  options: Options
  /** Whether its documents stand one on a line, also that of an error. */
  lineByLine?: boolean
  /** Finds out, or shows what it finds while it goes on and says how the command ends. */
  run: (args: Arguments) => Report | Promise<Report | ExitCode>
}
