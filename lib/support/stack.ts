/**
 * The frames of whoever called `callee`, innermost first: a line each, as V8 writes them, without what stands before the
 * frame's name.
 */
export function callersOf(callee: (...args: never[]) => unknown, depth: number): string {
  const limit = Error.stackTraceLimit
  const site: { stack?: unknown } = {}
  // Not by assignment, which throws where a program has frozen the intrinsics.
  Reflect.set(Error, 'stackTraceLimit', depth)
  Error.captureStackTrace(site, callee)
  Reflect.set(Error, 'stackTraceLimit', limit)
  // A program's own Error.prepareStackTrace may have made something else of it.
  const frames = typeof site.stack === 'string' ? site.stack.split('\n').slice(1) : []
  return frames.map((frame) => frame.trim().replace(/^at /, '')).join('\n')
}
