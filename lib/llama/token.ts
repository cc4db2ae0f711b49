import { leftTo } from '../support/errors.js'

/** What constructors here ask for. It is no symbol of the package's entry, which would have to give that out. */
export const token = Symbol('node-llama-cpp')

/** Refuses a constructor that was called from outside: `new Type()` where only `maker` makes one. */
export function expectToken(given: unknown, type: string, maker: string): void {
  if (given !== token) throw leftTo(type, maker)
}
