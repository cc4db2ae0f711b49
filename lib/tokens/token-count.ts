import * as check from '../support/check.js'

/** Checks a number of tokens. */
export const tokens = (name: string, value: unknown, least = 0): number =>
  check.integer(name, value, least, Number.MAX_SAFE_INTEGER)
