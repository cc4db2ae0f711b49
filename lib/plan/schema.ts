import { parseBytes } from '../addon/units.js'
import * as check from '../support/check.js'
import { nearest } from '../support/nearest.js'
import type { IssueList, Keys } from './issues.js'
import text from './plan.schema.json?text'
import type { Exact, Plan, PlanInstance, PlanRun } from './types.js'

/** As much of JSON Schema as the schema of plans has. */
interface Schema {
  $ref?: string
  title?: string
  type?: string
  enum?: readonly string[]
  anyOf?: readonly Schema[]
  pattern?: string
  minLength?: number
  minimum?: number
  maximum?: number
  exclusiveMaximum?: number
  minItems?: number
  maxItems?: number
  items?: Schema
  properties?: Record<string, Schema>
  propertyNames?: Schema
  maxProperties?: number
  additionalProperties?: Schema | false
}

/** Its objects inherit nothing, whatever a script has made of the prototype of objects. */
const withoutPrototype = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? check.own(value) : value

const root = JSON.parse(text, withoutPrototype) as Schema & { $defs: Record<string, Schema> }

/** Keys of an object at most, where the schema does not say it. */
const MAX_KEYS = 1024

const commandSchema = root.$defs.instance?.properties?.command

/** Stands for a value that is not there, or was refused. */
const nothing = Symbol('nothing')

/** What a value becomes by a part of the schema; what is wrong with it is added to the list. */
export class SchemaReader {
  readonly #issues: IssueList

  constructor(issues: IssueList) {
    this.#issues = issues
  }

  plan(value: unknown): Exact<Plan> {
    const read = this.#read(root, value, [])
    return (read === nothing ? Object.create(null) : read) as Exact<Plan>
  }

  /** One instance, or only how its model is run: by the keys of `names`. */
  instance(value: unknown, names: readonly string[]): Exact<PlanRun> {
    const schema = root.$defs.instance as Schema
    const known = Object.entries(schema.properties ?? {}).filter(([name]) => names.includes(name))
    const read = this.#read({ ...schema, properties: Object.fromEntries(known) }, value, [])
    return (read === nothing ? Object.create(null) : read) as Exact<PlanInstance>
  }

  /** A size, or 0. */
  size(name: string, value: unknown): number {
    return this.#read({ $ref: '#/$defs/sizeOrNone' }, value, [name]) as number
  }

  #read(schema: Schema, value: unknown, keys: Keys): unknown {
    const name = schema.$ref?.replace('#/$defs/', '')
    const resolved = name === undefined ? schema : { ...root.$defs[name], ...schema }
    if (resolved.type === 'object') return this.#object(resolved, value, keys)
    const read = schema === commandSchema ? this.#command(resolved, value, keys) : converted(resolved, name, value)
    if (read === nothing) this.#issues.invalid(keys, expectedOf(resolved), value)
    return read
  }

  #object(schema: Schema, value: unknown, keys: Keys): unknown {
    const isPlain = check.canBeAsked(value) && Object.prototype.toString.call(value) === '[object Object]'
    if (!isPlain) {
      this.#issues.invalid(keys, schema.title ?? 'an object', value)
      return nothing
    }
    const entries = Object.entries(value as object)
    const most = schema.maxProperties ?? MAX_KEYS
    if (entries.length > most) {
      this.#issues.invalid(keys, `an object with at most ${most} keys, not ${entries.length}`, value)
      return nothing
    }
    const read = Object.create(null) as Record<string, unknown>
    for (const [key, item] of entries) {
      const part = this.#part(schema, key, [...keys, key])
      // Null is what a key without a value is in YAML; what is undefined is not there.
      if (part === undefined || item === undefined) continue
      const found = this.#read(part, item, [...keys, key])
      if (found !== nothing) read[key] = found
    }
    return read
  }

  /** The schema of a key, unless no such key may be. */
  #part({ properties = {}, propertyNames, additionalProperties }: Schema, key: string, keys: Keys): Schema | undefined {
    if (Object.hasOwn(properties, key)) return properties[key]
    if (!additionalProperties) {
      const known = Object.keys(properties)
      const near = nearest(key, known)
      this.#issues.unknownKey(keys, near === undefined ? `one of ${known.join(', ')}` : `"${near}"`)
      return undefined
    }
    if (propertyNames === undefined || converted(propertyNames, undefined, key) !== nothing) return additionalProperties
    this.#issues.invalid(keys, propertyNames.title ?? 'a name', key)
    return undefined
  }

  /** A line is its words. */
  #command(schema: Schema, value: unknown, keys: Keys): unknown {
    const read = converted(schema, undefined, value)
    const words = typeof read === 'string' ? read.split(/\s+/).filter((word) => word !== '') : read
    if (!check.isArray(words) || (words.length > 0 && words[0] !== '')) return words
    this.#issues.missingCommand(keys, 'a program, and its arguments', value)
    return undefined
  }
}

/** The value, as the package wants it, if it suits the schema. */
function converted(schema: Schema, name: string | undefined, value: unknown): unknown {
  if (schema.anyOf) {
    const found = schema.anyOf.map((each) => converted(each, undefined, value)).find((each) => each !== nothing)
    if (found === undefined || typeof found !== 'string') return found === undefined ? nothing : found
    if (name === 'size' || name === 'sizeOrNone') return sizeOf(found, name === 'size' ? 1 : 0)
    return name === 'duration' ? durationOf(found) : found
  }
  if (schema.enum) return schema.enum.includes(value as string) ? value : nothing
  if (schema.type === 'array') return arrayOf(schema, value)
  if (schema.type === 'boolean') return typeof value === 'boolean' ? value : nothing
  if (schema.type === 'integer' || schema.type === 'number') return numberOf(schema, value)
  const suits =
    typeof value === 'string' &&
    value.length >= (schema.minLength ?? 0) &&
    (schema.pattern === undefined || new RegExp(schema.pattern, 'u').test(value))
  return suits ? value : nothing
}

function numberOf({ type, minimum, maximum, exclusiveMaximum }: Schema, value: unknown): unknown {
  const suits =
    typeof value === 'number' &&
    (type === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
    value >= (minimum ?? value) &&
    value <= (maximum ?? value) &&
    (exclusiveMaximum === undefined || value < exclusiveMaximum)
  return suits ? (value as number) + 0 : nothing // No -0.
}

function arrayOf({ items = {}, minItems = 0, maxItems = 0 }: Schema, value: unknown): unknown {
  if (!check.isArray(value)) return nothing
  // Asked once: a proxy may say another length each time.
  const { length } = value
  if (!(length >= minItems && length <= maxItems)) return nothing
  const name = items.$ref?.replace('#/$defs/', '')
  const schema = { ...(name && root.$defs[name]), ...items }
  const read: unknown[] = []
  for (let index = 0; index < length; index++) read.push(converted(schema, name, value[index]))
  return read.includes(nothing) ? nothing : read
}

function sizeOf(text: string, least: number): unknown {
  try {
    const bytes = parseBytes(text)
    return bytes >= least ? bytes : nothing
  } catch {
    return nothing
  }
}

const unitsMs: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 }

function durationOf(text: string): unknown {
  const [, digits, unit = ''] = /^\s*([\d.]+)\s*(\w+)\s*$/.exec(text) ?? []
  const ms = Math.round(Number(digits) * (unitsMs[unit] ?? Number.NaN))
  return ms <= 2_592_000_000 ? ms : nothing
}

/** What should have been, in words. */
function expectedOf({ title, enum: names, type, minimum, maximum, exclusiveMaximum }: Schema): string {
  if (title !== undefined) return title
  if (names) return `one of ${names.map((name) => `"${name}"`).join(', ')}`
  if (type === 'integer') return `a whole number from ${minimum} to ${maximum}`
  if (type === 'number') return `a number from ${minimum} to below ${exclusiveMaximum}`
  if (type === 'boolean') return 'true or false'
  return 'a text'
}
