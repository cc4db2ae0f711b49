/** The frames that a profile wants of each request while it runs. */
export interface WantedFrames {
  readonly depth: number
}

/** What the profiles of this thread want. They are not kept for it: one that was dropped wants nothing. */
const wanted = new Set<WeakRef<WantedFrames>>()

/** Has {@link stackOf} tell so many frames, until what is returned is called or `frames` is collected. */
export function wantFrames(frames: WantedFrames): () => void {
  const reference = new WeakRef(frames)
  wanted.add(reference)
  return () => void wanted.delete(reference)
}

/** The frames of whoever called `callee`, as many as a profile wants; `undefined` while none does. */
export function stackOf(callee: (...args: never[]) => unknown): string | undefined {
  if (wanted.size === 0) return undefined
  let depth = 0
  for (const reference of wanted) {
    const frames = reference.deref()
    if (frames) depth = Math.max(depth, frames.depth)
    else wanted.delete(reference)
  }
  return depth === 0 ? undefined : callersOf(callee, depth)
}

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
