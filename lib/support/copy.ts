import { packageFolder, version } from './package.js'

/** Under this name every class of every copy of this package tells which copy it is of. */
const key = Symbol.for('plimsoll.copy')

/** Which copy of the package this is. */
const thisCopy = `${version} in ${packageFolder}`

/** Makes objects of a class tell that they are of this copy. */
export function markCopy(type: { prototype: object }): void {
  Object.defineProperty(type.prototype, key, { value: thisCopy })
}

/** What to say of an object of another copy of this package; nothing of all else. */
export function otherCopy(value: unknown): string | undefined {
  try {
    const copy: unknown = (value as Record<symbol, unknown> | null | undefined)?.[key]
    if (typeof copy !== 'string' || copy === thisCopy) return undefined
    return (
      `of another copy of plimsoll, ${copy}, where ${thisCopy} was asked; two are installed: \`npm ls plimsoll\` shows why, ` +
      'and `npm dedupe` makes them one where their versions allow it'
    )
  } catch {
    return undefined // A proxy may throw whatever it likes.
  }
}
