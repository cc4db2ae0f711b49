/** Why work is to end. */
export interface Abortion {
  readonly reason: unknown
}

/**
 * Why a signal ends its work; `undefined` while it does not. Never throws: a signal that cannot be asked ends the work,
 * with what it threw for a reason.
 */
export function abortion(signal: AbortSignal | undefined): Abortion | undefined {
  if (signal === undefined) return undefined
  try {
    if (!signal.aborted) return undefined
  } catch (reason) {
    return { reason }
  }
  return { reason: reasonOf(signal) }
}

function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason
  } catch (error) {
    return error
  }
}

/**
 * Calls `end` with the reason when the signal aborts, and at once if it has or cannot be listened to. Neither this nor
 * what it returns, which stops listening, ever throws, whatever the signal does.
 */
export function onAbort(signal: AbortSignal, end: (reason: unknown) => void): () => void {
  const listener = () => end(reasonOf(signal))
  let failed: Abortion | undefined
  try {
    absorb(signal.addEventListener('abort', listener))
  } catch (reason) {
    failed = { reason }
  }
  const ended = failed ?? abortion(signal)
  if (ended) end(ended.reason)
  return () => {
    try {
      absorb(signal.removeEventListener('abort', listener))
    } catch {
      // The work has its outcome by now.
    }
  }
}

/** Takes note of what a callback returned that should return nothing: should it be a promise, its rejection is handled. */
export function absorb(returned: unknown, rejected: (error: unknown) => void = () => {}): void {
  if ((typeof returned === 'object' && returned !== null) || typeof returned === 'function') {
    Promise.resolve(returned).catch(rejected)
  }
}
