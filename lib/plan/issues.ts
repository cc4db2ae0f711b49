import * as check from '../support/check.js'
import { type InvalidArgumentError, InvalidPlanError, invalidArgument, type PlanIssue } from '../support/errors.js'

/** Where in a plan something is. */
export type Keys = readonly string[]

/** What a plan was read from. */
interface Lines {
  readonly path: string | undefined
  lineOf(keys: Keys): number | undefined
}

/** What is wrong with a plan, as far as it was read. */
export class IssueList {
  readonly #issues: PlanIssue[] = []
  readonly #source: Lines | undefined
  readonly #what: string
  #first: InvalidArgumentError | undefined

  /** @param what - what is looked at, where it has no name of its own */
  constructor(source: Lines | undefined, what = 'the plan') {
    this.#source = source
    this.#what = what
  }

  get count(): number {
    return this.#issues.length
  }

  /** All of them, in the order in which they were found. */
  get all(): PlanIssue[] {
    return this.#issues
  }

  invalid(keys: Keys, expected: string, value: unknown): void {
    this.#first ??= invalidArgument(this.#nameOf(keys), expected, shown(value))
    this.add('invalid-value', keys, `expected ${this.#nameOf(keys)} to be ${expected}, got ${shown(value)}`)
  }

  unknownKey(keys: Keys, expected: string): void {
    this.#first ??= invalidArgument(
      this.#what,
      `an object with no keys but those that are known, such as ${expected}`,
      `the key ${shown(keys.at(-1))}`,
    )
    const where = keys.length > 1 ? ` in ${this.#nameOf(keys.slice(0, -1))}` : ''
    this.add('unknown-key', keys, `unknown key ${shown(keys.at(-1))}${where}; expected ${expected}`)
  }

  missingCommand(keys: Keys, expected: string, value: unknown): void {
    this.add('missing-command', keys, `expected ${this.#nameOf(keys)} to be ${expected}, got ${shown(value)}`)
  }

  /** Adds one at a place of the plan, with the line that it has in its file. */
  add(kind: PlanIssue['kind'], keys: Keys, message: string, numbers: Partial<PlanIssue> = {}): void {
    const line = this.#source?.lineOf(keys)
    const instance = keys[0] === 'instances' ? keys[1] : undefined
    this.#issues.push({
      kind,
      message,
      ...(keys.length > 0 && { key: keys.join('.') }),
      ...(instance !== undefined && { instance }),
      ...(line !== undefined && { line }),
      ...numbers,
    })
  }

  /** @throws {@link InvalidPlanError} where there is one. */
  throwIfAny(): void {
    if (this.#issues.length > 0) throw invalidPlan(this.#issues, this.#source?.path)
  }

  /** @throws {@link InvalidArgumentError} for the first one, where what was read is no plan but an argument. */
  throwAsArgument(): void {
    if (this.#first) throw this.#first
    this.throwIfAny()
  }

  #nameOf(keys: Keys): string {
    return keys.length > 0 ? keys.join('.') : this.#what
  }
}

/** Issues that a message tells at most; the error has all of them. */
const MAX_TOLD = 20

/** The error for these issues, each with its number and its line. */
export function invalidPlan(issues: readonly PlanIssue[], path: string | undefined): InvalidPlanError {
  const told = issues.slice(0, MAX_TOLD).map(({ line, message }, index) => {
    return `(${index + 1}) ${line === undefined ? '' : `line ${line}: `}${message}`
  })
  const rest = issues.length > MAX_TOLD ? [`and ${issues.length - MAX_TOLD} more`] : []
  const message = `${path ?? 'plan'}: ${[...told, ...rest].join('; ')}`
  return new InvalidPlanError('ERR_INVALID_PLAN', message, { issues, ...(path !== undefined && { path }) })
}

/** Characters of a value that a message shows at most. */
const MAX_SHOWN = 80

/** A value as a reader of a message wants it. */
function shown(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)
  }
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return `${typeof value === 'symbol' ? 'a symbol' : value}`
  return check.isArray(value) ? `a list of ${value.length}` : 'an object'
}
