/** Which errors a call may end with: those of the package, and what code of the caller's threw. */

export class Judge {
  #exported
  /** What the fuzzer's own callbacks, getters and signals threw. */
  #ours = new Set()
  /** What did not hold, each once. */
  findings = []

  constructor(exported) {
    this.#exported = exported
  }

  /** Something to throw; whoever gets it again got it from a caller. */
  userError(random) {
    const error = random.pick([
      () => new Error('of the caller'),
      () => new TypeError('of the caller'),
      () => 'a string of the caller',
      () => Symbol('of the caller'),
      () => Object.freeze(new RangeError('of the caller, frozen')),
      () => ({ code: 'ERR_OF_THE_CALLER' }),
      () => null,
      () => undefined,
    ])()
    this.#ours.add(error)
    return error
  }

  /** Notes an error of the caller's that was made elsewhere. */
  own(error) {
    this.#ours.add(error)
    return error
  }

  /** Whether it is what the caller's own code threw. */
  isOwn(error) {
    return this.#ours.has(error)
  }

  /** Lets go of them: an error holds on to what was called while it was made. */
  forget() {
    this.#ours.clear()
  }

  /** Looks at what a call threw, or its promise rejected with. */
  threw(id, error) {
    if (this.isOwn(error)) return
    if (isRevokedAnswer(id, error)) return
    if (isTheLanguages(id, error) || isTaken(id, error)) return
    const { PlimsollError } = this.#exported
    // A subclass tells its code by its class, too.
    const isTyped = error instanceof PlimsollError && error.constructor !== PlimsollError
    if (isTyped && /^(ERR_[A-Z_]+|ABORT_ERR)$/.test(error.code) && error.message !== '') return
    this.fault('raw-error', `${id} ended with ${describe(error)}`)
  }

  fault(kind, text) {
    if (this.findings.length < 20 && !this.findings.some((finding) => finding.kind === kind && finding.text === text)) {
      this.findings.push({ kind, text })
    }
  }
}

/** What a callback returned is awaited, or asked for what it rejects with: a revoked proxy ends that as if the callback had thrown. */
function isRevokedAnswer(id, error) {
  if (!(error instanceof TypeError) || !error.message.endsWith('has been revoked')) return false
  return /#with(Allocation|Mapping)$/.test(id) || /^\s+at Function\.resolve /m.test(error.stack.split('\n')[1])
}

/** A port that is taken is told by the system's error, as of any server. */
const isTaken = (id, error) => /^serve[A-Z]|^Dashboard\.open$/.test(id) && error?.syscall === 'listen'

/** What no package can mend: a class that was given as a callback, and a method of one that closes another object in vain. */
function isTheLanguages(id, error) {
  if (!(error instanceof TypeError)) return false
  if (/^Class constructors? .*cannot be invoked without 'new'$/.test(error.message)) return true
  return id === 'an unhandled rejection' && / private member /.test(error.message) && /#wrongReceiver/.test(error.stack)
}

export function describe(error) {
  try {
    return error instanceof Error ? String(error.stack).split('\n').slice(0, 6).join('\n') : String(error)
  } catch {
    return 'something that cannot be shown'
  }
}
