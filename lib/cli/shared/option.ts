/** An option of a verb, as it is parsed and as the help shows it. */
export interface Option {
  type: 'boolean' | 'string'
  /** A letter for it. */
  short?: string
  /** May be given more than once. */
  multiple?: boolean
  /** What stands for the value in the help; absent for a flag. */
  value?: string
  /** Whether its name ends with a word of the user's, in place of the one in capitals: `ram-limit-ID`. */
  named?: boolean
  /** What the package calls that which it is given, where it is not the name of the option, with or without a unit. */
  argument?: string | readonly string[]
  /** One line for the help. */
  help: string
}

export type Options = Readonly<Record<string, Option>>

/** What a verb takes: of it, all that reading its arguments has to know. */
export interface Signature {
  /** The operand it demands, if it takes one; any number of them, or none, where it stands in brackets. */
  operand?: 'FILE' | '[FILE]' | 'FILE|URL' | '[FILE|URL]' | '[PATH...]'
  /** What may stand behind `--`: a command line, which is not the verb's own. */
  command?: string
  /** Its options, beside those that every verb has. */
  options: Options
}
