import { leftTo } from './errors.js'

/** What the constructors of this package's own objects ask for. */
export const internal = Symbol('internal')

/** Refuses a constructor that was called from outside: `new Type()` where only `maker` makes one. */
export function expectInternal(token: unknown, type: string, maker: string): void {
  if (token !== internal) throw leftTo(type, maker)
}
