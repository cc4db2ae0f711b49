import { GgufArray, type GgufMetadata, type GgufValue } from '../../index.js'
import { beginning } from '../terminal/text.js'

/** How many elements of an array stand for all of them. */
const FIRST = 8

/** Characters of a text shown at most: more than fit on a line. */
const MAX_TEXT = 1000

/** An array for `--json`: what it is and how it begins. */
interface ArraySummary {
  elementType: string
  length: number
  first: unknown[]
}

/** A value for `--json`. What JSON has no number for is a string: big integers, `"NaN"`, `"Infinity"`. */
export function documentOf(value: GgufValue): unknown {
  if (value instanceof GgufArray) return summaryOf(value)
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value)
  return value
}

const summaryOf = (array: GgufArray): ArraySummary => ({
  elementType: array.elementType,
  length: array.length,
  first: firstOf(array).map(documentOf),
})

const firstOf = (array: GgufArray): GgufValue[] => Array.from<GgufValue>(array.slice(0, FIRST) as Iterable<GgufValue>)

/** The type of a value for people: `u32`, `string[768]`. */
export const typeOf = (metadata: GgufMetadata, key: string, value: GgufValue): string =>
  value instanceof GgufArray ? arrayType(value) : String(metadata.type(key))

const arrayType = (array: GgufArray): string => `${array.elementType}[${array.length}]`

/** A value for people, on one line. */
export function textOf(value: GgufValue, type: string | undefined): string {
  if (value instanceof GgufArray) return arrayText(value)
  if (typeof value === 'string') return beginning(value, MAX_TEXT)
  return type === 'f32' ? shortFloat(value as number) : String(value)
}

function arrayText(array: GgufArray): string {
  const elements = firstOf(array).map((element) => elementText(element, array.elementType))
  return [...elements, ...(array.length > FIRST ? ['…'] : [])].join(', ')
}

function elementText(element: GgufValue, type: string): string {
  if (element instanceof GgufArray) return arrayType(element)
  return typeof element === 'string' ? `"${beginning(element, MAX_TEXT)}"` : textOf(element, type)
}

/** The shortest decimal that is read back as the same 32-bit float: 0.00001, not 0.000009999999747378752. */
function shortFloat(value: number): string {
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return String(short)
  }
  return String(Number(value.toPrecision(9)))
}
