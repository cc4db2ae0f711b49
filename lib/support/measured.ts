/**
 * What a call measures; `undefined` where the system does not give it. The error is told by its code: the command line has no copy of the
 * package's classes.
 */
export function measured<T>(measure: () => T): T | undefined {
  try {
    return measure()
  } catch (error) {
    if ((error as { code?: unknown } | undefined)?.code === 'ERR_IO') return undefined
    throw error
  }
}
