/** A signal that aborts at the first Ctrl-C. The second one ends the process as it would have without us. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort())
  return controller.signal
}
