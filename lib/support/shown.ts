import { type InspectOptions, inspect } from 'node:util'

/** How `util.inspect` asks an object for its text. */
const inspected = Symbol.for('nodejs.util.inspect.custom')

/**
 * Makes the objects of a class show what they are: to `console.log` and `util.inspect`, and to `JSON.stringify`. Their
 * state is private, and would be shown as none.
 */
export function shows<T extends object>(
  type: { readonly name: string; readonly prototype: T },
  describe: (object: T) => object,
): void {
  define(type.prototype, inspected, function (this: T, depth: unknown, options: unknown): string {
    const described = typeof depth === 'number' && depth < 0 ? undefined : descriptionOf(type, this, describe)
    return described ? `${type.name} ${shown(described, options)}` : `[${type.name}]`
  })
  define(type.prototype, 'toJSON', function (this: T): object {
    return descriptionOf(type, this, describe) ?? {}
  })
}

/** By the options of whoever asks, unless they are none that can be followed. */
function shown(described: object, options: unknown): string {
  try {
    return inspect(described, options as InspectOptions)
  } catch {
    return inspect(described)
  }
}

/**
 * Nothing of what is none of the class, which may be without end where its own are short; nor of what only has its
 * prototype, or is closed and cannot be asked.
 */
function descriptionOf<T extends object>(
  type: { readonly prototype: T },
  object: T,
  describe: (object: T) => object,
): object | undefined {
  try {
    return Object.prototype.isPrototypeOf.call(type.prototype, object) ? describe(object) : undefined
  } catch {
    return undefined
  }
}

function define(prototype: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(prototype, key, { value, configurable: true, writable: true })
}

/**
 * Has `postMessage` and `structuredClone` refuse an object, whose copy would be an empty one without a word. Node.js can be
 * told so from 22.10 on.
 */
export const refuseCloning: (object: object) => void = markAsUncloneable() ?? (() => {})

/** Types for Node.js 20 do not know of it; what is inherited is none of Node.js's. */
function markAsUncloneable(): ((object: object) => void) | undefined {
  const threads: object = process.getBuiltinModule('node:worker_threads')
  const mark = Object.getOwnPropertyDescriptor(threads, 'markAsUncloneable')?.value
  return typeof mark === 'function' ? mark : undefined
}
