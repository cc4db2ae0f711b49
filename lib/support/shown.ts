import * as threads from 'node:worker_threads'

/** How `util.inspect` asks an object for its text. */
const inspected = Symbol.for('nodejs.util.inspect.custom')

type Inspect = (value: unknown, options: object) => string

/**
 * Makes the objects of a class show what they are: to `console.log` and `util.inspect`, and to `JSON.stringify`. Their
 * state is private, and would be shown as none.
 */
export function shows<T extends object>(
  type: { readonly name: string; readonly prototype: T },
  describe: (object: T) => object,
): void {
  define(type.prototype, inspected, function (this: T, depth: number, options: object, inspect: Inspect): string {
    const described = depth < 0 ? undefined : descriptionOf(this, describe)
    return described ? `${type.name} ${inspect(described, options)}` : `[${type.name}]`
  })
  define(type.prototype, 'toJSON', function (this: T): object {
    return describe(this)
  })
}

/** Nothing of what only has its prototype. */
function descriptionOf<T extends object>(object: T, describe: (object: T) => object): object | undefined {
  try {
    return describe(object)
  } catch {
    return undefined
  }
}

function define(prototype: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(prototype, key, { value, configurable: true, writable: true })
}

const { markAsUncloneable } = threads as { markAsUncloneable?: (object: object) => void }

/**
 * Has `postMessage` and `structuredClone` refuse an object, whose copy would be an empty one without a word. Node.js can be
 * told so from 22.10 on.
 */
export const refuseCloning: (object: object) => void = markAsUncloneable ?? (() => {})
