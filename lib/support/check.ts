import { fileURLToPath } from 'node:url'
import { otherCopy } from './copy.js'
import { invalidArgument, quoted } from './errors.js'
import { nearest } from './nearest.js'

/** What a size may be at most: every figure up to it is exact in a JavaScript number. */
const MAX_BYTES = Number.MAX_SAFE_INTEGER

/** Checks a size: a whole number of bytes from `least` to `most`. */
export function bytes(name: string, value: unknown, least = 0, most = MAX_BYTES): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value + 0 // No -0.
  throw invalidArgument(name, `a whole number of bytes from ${least} to ${most}`, quoted(value))
}

export function string(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw invalidArgument(name, 'a string', value)
}

/** A path of a file, as text or as a `file:` URL. */
export function filePath(name: string, value: unknown): string {
  const url = urlText(value)
  const path = url === undefined ? value : urlPath(url)
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path
  // What else an address says may be secret.
  throw invalidArgument(name, 'a path or a file: URL', url === undefined ? quoted(value) : `a URL of ${schemeOf(url)}`)
}

const schemeOf = (url: string): string => url.slice(0, url.indexOf(':') + 1)

/** A `file:` URL, or its text, as a URL. */
export function fileUrl(name: string, value: unknown): URL {
  const text = urlText(value) ?? value
  if (typeof text === 'string' && /^file:/i.test(text) && URL.canParse(text)) return new URL(text)
  throw invalidArgument(
    name,
    'a URL of http:, https: or file:',
    typeof text === 'string' ? 'another text' : quoted(value),
  )
}

/** An address of `http:` or `https:`, as text or as a URL; `undefined` of all else. */
export function webUrl(value: unknown): URL | undefined {
  const text = urlText(value) ?? value
  if (typeof text !== 'string' || !/^https?:\/\//i.test(text)) return undefined
  return URL.canParse(text) ? new URL(text) : undefined
}

/** The text of a URL; `undefined` of what is none, or only looks like one. */
function urlText(value: unknown): string | undefined {
  try {
    return value instanceof URL ? URL.prototype.toString.call(value) : undefined
  } catch {
    return undefined
  }
}

function urlPath(url: string): string | undefined {
  try {
    return fileURLToPath(url)
  } catch {
    return undefined
  }
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalidArgument(name, 'true or false', quoted(value))
}

export function percent(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value < 100) return value
  throw invalidArgument(name, 'a number from 0 to below 100', quoted(value))
}

export function number(name: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && value >= least && value <= most) return value + 0 // No -0.
  throw invalidArgument(name, `a number from ${least} to ${most}`, quoted(value))
}

export function integer(name: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value)) return number(name, value, least, most)
  throw invalidArgument(name, `a whole number from ${least} to ${most}`, quoted(value))
}

export function oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  if (allowed.includes(value as T)) return value as T
  const expected = `one of ${allowed.map((item) => `"${item}"`).join(', ')}`
  const received = typeof value === 'string' ? `${JSON.stringify(value)}${didYouMean(value, allowed)}` : value
  throw invalidArgument(name, expected, received)
}

/** Whether it is an object, which private members can be looked for in. */
export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** An object of any class, whose members can be read. */
export function object<T extends object>(name: string, value: unknown, expected = 'an object'): T {
  if (isObject(value) && canBeAsked(value)) return value as T
  throw invalidArgument(name, expected, quoted(value))
}

/** An object of ours with its native half; one that only looks like it has none. */
export function real<T extends object>(
  name: string,
  value: unknown,
  type: abstract new (...args: never[]) => T,
  native: (object: T) => unknown,
): T {
  if (isObject(value) && native(value as T) !== undefined) return value as T
  throw invalidArgument(name, `a ${type.name}`, quoted(value))
}

/** An object of a class of this package. */
export function instance<T>(name: string, value: unknown, type: { readonly name: string; readonly prototype: T }): T {
  if (canBeAsked(value) && value instanceof (type as unknown as abstract new () => object)) return value as T
  throw invalidArgument(name, `a ${type.name}`, quoted(value))
}

/** The same, of a class whose objects tell whether they were closed; what only inherits from one cannot. */
export function closable<T extends { readonly closed: boolean }>(
  name: string,
  value: unknown,
  type: { readonly name: string; readonly prototype: T },
): T {
  const found = instance(name, value, type)
  try {
    if (typeof found.closed === 'boolean') return found
  } catch {
    // Its private members are not there.
  }
  throw invalidArgument(name, `a ${type.name}`, quoted(value))
}

/** An AbortSignal, of any realm. */
export function signal(name: string, value: unknown): AbortSignal {
  if (isSignal(value)) return value
  throw invalidArgument(name, 'an AbortSignal', quoted(value))
}

function isSignal(value: unknown): value is AbortSignal {
  const candidate = value as Partial<AbortSignal> | null
  try {
    const listens =
      typeof candidate?.addEventListener === 'function' && typeof candidate.removeEventListener === 'function'
    return listens && typeof candidate.aborted === 'boolean'
  } catch {
    return false
  }
}

export function callback<T extends (...args: never[]) => unknown>(name: string, value: unknown): T {
  if (typeof value === 'function') return value as T
  throw invalidArgument(name, 'a function', quoted(value))
}

export function strings(name: string, value: unknown): string[] {
  return array(name, 'an array of strings', value, (item) => {
    if (typeof item === 'string') return item
    throw invalidArgument(name, 'an array of strings', quoted(value))
  })
}

/** More than any list that a caller has need of: every tensor of the largest file that is opened. */
const MOST_ELEMENTS = 2 ** 20

/** The elements of an array, each by its check; a hole is an element. Read once, so that what is checked is what is used. */
export function array<T>(
  name: string,
  expected: string,
  value: unknown,
  element: (value: unknown, index: number) => T,
  mostElements = MOST_ELEMENTS,
): T[] {
  if (!isArray(value)) throw invalidArgument(name, expected, quoted(value))
  // A proxy may have as many as it says, and each takes its time and memory.
  const { length } = value as { length: unknown }
  if (typeof length !== 'number') throw invalidArgument(name, expected, quoted(value))
  if (length > mostElements) throw invalidArgument(name, `${expected}, of at most ${mostElements}`, `${length} of them`)
  const checked: T[] = []
  // One at a time: an array may say that it is much longer than it is.
  for (let index = 0; index < length; index++) checked.push(element(value[index], index))
  return checked
}

export const isArray = (value: unknown): value is unknown[] => canBeAsked(value) && Array.isArray(value)

/** Whether anything can be asked of a value: a proxy that was revoked fails at every touch. */
export function canBeAsked(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return true
  try {
    Reflect.getPrototypeOf(value)
    return true
  } catch {
    return false
  }
}

/** What an object has under a name, whatever the object may have beside it; `undefined` of what is no object, and of a revoked proxy. */
export const member = (value: unknown, key: string): unknown =>
  canBeAsked(value) ? (value as Record<string, unknown> | null | undefined)?.[key] : undefined

/** Reads one option with its check; an option that is absent or `undefined` is left out. */
type Checks<T> = { readonly [K in keyof T]-?: (name: string, value: unknown) => NonNullable<T[K]> }

/**
 * Checks an options object: every key must be known, every value pass its check. A misspelt option is an error that
 * names the nearest right one.
 */
export function options<T extends object>(value: unknown, checks: Checks<T>, name = 'options'): T {
  if (value === undefined) return Object.create(null) as T
  const isPlain = canBeAsked(value) && Object.prototype.toString.call(value) === '[object Object]'
  if (!isPlain || otherCopy(value) !== undefined) {
    throw invalidArgument(name, 'a plain object', quoted(value))
  }
  const known = Object.keys(checks)
  const checked = Object.create(null) as Partial<T> // Nothing comes in through a prototype.
  for (const [key, item] of Object.entries(value as object)) {
    if (!known.includes(key)) {
      const expected = known.length > 0 ? `an object with no keys but ${known.join(', ')}` : 'an object without keys'
      throw invalidArgument(name, expected, `the key "${key}"${didYouMean(key, known)}`)
    }
    if (item !== undefined) checked[key as keyof T] = checks[key as keyof T](key, item)
  }
  return checked as T
}

/**
 * A part of checked options, or what is made of them, for functions that read it by name, the addon's among them: what
 * it does not hold itself is not there, whatever `Object.prototype` holds.
 */
export const own = <T extends object>(part: T): T => Object.assign(Object.create(null) as T, part)

function didYouMean(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  return near === undefined ? '' : ` (did you mean "${near}"?)`
}
