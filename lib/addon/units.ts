import * as check from '../support/check.js'
import { call } from '../support/errors.js'
import * as native from './native.js'

/** 2^10 bytes. */
export const KiB = 1024
/** 2^20 bytes. */
export const MiB = 1024 * KiB
/** 2^30 bytes. */
export const GiB = 1024 * MiB

/**
 * Reads a size as people write it.
 *
 * A bare number, or one with `B`, is bytes; `KiB`, `MiB`, `GiB` and so on, and the bare letters `K`, `M`, `G`, `T`, are
 * powers of two; `KB`, `MB`, `GB` and so on are powers of ten. Upper or lower case, with or without a space. A fraction is
 * exact: of its bytes, only what is less than one is left out.
 *
 * @throws {@link InvalidArgumentError} for anything else.
 * @example
 * parseBytes('6 GiB') // 6442450944
 * parseBytes('8GB')   // 8000000000
 */
export function parseBytes(text: string): number {
  return call(() => native.parseBytes(check.string('text', text)))
}

/**
 * Writes a size for people: the largest binary unit that leaves a number of one or more, two decimals.
 *
 * @example
 * formatBytes(6 * GiB) // '6.00 GiB'
 */
export function formatBytes(bytes: number): string {
  return native.formatBytes(check.bytes('bytes', bytes))
}
