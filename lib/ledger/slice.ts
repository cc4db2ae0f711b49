import { environment } from '../support/environment.js'

/** The variable by which `plimsoll run` tells its command how much it was granted, in bytes. */
export const sliceVariable = 'PLIMSOLL_SLICE_BYTES'

/** What `plimsoll run` was granted for this process, in bytes; `undefined` where it did not start it. */
export function ownSlice(): number | undefined {
  const text = environment(sliceVariable)
  const bytes = text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined
  return bytes !== undefined && Number.isSafeInteger(bytes) ? bytes : undefined
}
