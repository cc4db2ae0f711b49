import { shortened } from '../support/shortened.js'
import { leakWarning } from './native.js'
import { formatBytes } from './units.js'

/** What was collected without having been released. */
export interface Leak {
  /** What it was: `'An allocation of 2.00 GiB'`. */
  readonly what: string
  /** What should have become of it: `'released'`, `'closed'`. */
  readonly expected: string
  /** What became of it, and what to do. */
  readonly advice: string
  readonly label: string
  readonly sizeBytes: number
  /** Where it was taken, if a profile with stacks ran then. */
  readonly stack?: string | undefined
}

/**
 * Releases what an object held that was collected without being released, and warns of it. What it is told of the object
 * must not refer to the object, or that would never be collected.
 */
export class LeakGuard<State extends object> {
  readonly #registry: FinalizationRegistry<State>

  /** @param collected releases what the object held; the leak that it was, if it was one. */
  constructor(collected: (state: State) => Leak | undefined | Promise<Leak | undefined>) {
    this.#registry = new FinalizationRegistry((state) => {
      const leak = collected(state)
      if (leak instanceof Promise) leak.then(warn, () => {})
      else warn(leak)
    })
  }

  watch(object: object, state: State): void {
    this.#registry.register(object, state, state)
  }

  /** The object was released. */
  unwatch(state: State): void {
    this.#registry.unregister(state)
  }
}

/** Leaks of one label within this time are one warning more. */
const TOGETHER_MS = 1000

/** Labels that are told apart at most; they may be made up for each allocation. */
const MOST_LABELS = 64

/** What stands for all labels beyond those. */
const OTHERS = '\0'

/** Characters of a label that a warning has; the whole of it is the warning's `label`. */
const MAX_LABEL = 200

/** On one line, and without what acts on a terminal: it may come from a request. */
const named = (label: string): string =>
  label === '' ? '' : ` labelled ${JSON.stringify(shortened(label, MAX_LABEL))}`

/** What has come under a label since its last warning. */
interface Since {
  count: number
  sizeBytes: number
}

const recent = new Map<string, Since>()

/** The first of a label is told at once, those that follow it within a second together at its end. */
function warn(leak: Leak | undefined): void {
  if (!leak) return
  const { what, expected, advice, label, sizeBytes, stack } = leak
  const key = recent.has(label) || recent.size < MOST_LABELS ? label : OTHERS
  const since = recent.get(key)
  if (since) {
    since.count += 1
    since.sizeBytes += sizeBytes
    return
  }
  recent.set(key, { count: 0, sizeBytes: 0 })
  emit(`${what}${named(label)} was collected without being ${expected}. ${advice}`, label, sizeBytes, stack)
  setTimeout(() => summarise(key, label), TOGETHER_MS).unref()
}

function summarise(key: string, label: string): void {
  const { count, sizeBytes } = recent.get(key) as Since
  recent.delete(key)
  if (count === 0) return
  const which = key === OTHERS ? ' of other labels' : named(label)
  const message = `${count} more${which} were collected without being released within a second, ${formatBytes(sizeBytes)} in all.`
  emit(message, label, sizeBytes)
}

function emit(message: string, label: string, sizeBytes: number, stack?: string): void {
  const warning = leakWarning(message, label, sizeBytes) as Error & { detail?: string }
  // Node.js prints it below the message.
  if (stack) warning.detail = `It was taken\n${stack}`
  process.emitWarning(warning)
}
