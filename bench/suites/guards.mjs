import { MemoryBudget, MemoryProfile } from 'plimsoll'
import { batchedMs } from '../measure.mjs'

export const title = 'allocate and release from JavaScript'

const SIZE = { batches: 301, perBatch: 1000 }
const BYTES = 4096

/** @returns {Promise<import('../result.mjs').Result[]>} */
export async function measure(note) {
  const budget = new MemoryBudget({ totalBytes: 2 ** 40 })
  note('the peer counts nothing: an object registered for its finalizer and unregistered, the least a guard can cost')
  const floor = microseconds(() => new BareGuard().release())
  const ways = {
    'allocate, release': () => budget.allocate(BYTES, 'bench').release(),
    'allocate, end of `using`': () => useOnce(budget),
    'allocate, attach, release': () => budget.allocate(BYTES, 'bench').attach({}).release(),
  }
  const guards = Object.entries(ways).map(([name, run], index) => {
    const value = microseconds(run)
    const peer = { name: 'FinalizationRegistry', value: floor }
    const target = index === 0 ? { target: { of: 'value', is: 'below', bound: 1.5 } } : {}
    return { name, unit: 'µs', value, peer, ratio: floor / value, ...target }
  })
  return [...guards, ...machine(ways['allocate, release']), ...profiles(budget, ways['allocate, release'])]
}

/** The same on a budget of this machine, which weighs headroom too; the peer is the guard that does not. */
function machine(plain) {
  const target = { target: { of: 'value', is: 'below', bound: 1.5 } }
  const options = { 'of this machine': {}, 'of this machine, headroom: false': { headroom: false } }
  return Object.entries(options).map(([name, chosen], index) => {
    const budget = MemoryBudget.forThisMachine(chosen)
    const off = microseconds(plain)
    const value = microseconds(() => budget.allocate(BYTES, 'bench').release())
    return {
      name,
      unit: 'µs',
      value,
      peer: { name: 'a budget of numbers', value: off },
      ratio: off / value,
      ...(index === 0 && target),
    }
  })
}

/** The same while a profile records it; the peer is the same guard in the same run while none does. */
function profiles(budget, run) {
  const profile = new MemoryProfile(budget)
  const options = { 'profiled, allocate, release': {}, 'profiled with stacks': { stacks: true } }
  return Object.entries(options).map(([name, chosen]) => {
    const off = microseconds(run)
    profile.start(chosen)
    const value = microseconds(run)
    profile.stop()
    return { name, unit: 'µs', value, peer: { name: 'not profiled', value: off }, ratio: off / value }
  })
}

const microseconds = (run) => batchedMs(run, SIZE) * 1000

/** What `using` compiles to; the keyword itself needs a newer Node than this package does. */
function useOnce(budget) {
  const guard = budget.allocate(BYTES, 'bench')
  try {
    return guard.sizeBytes
  } finally {
    guard[Symbol.dispose]()
  }
}

const registry = new FinalizationRegistry(() => {})

class BareGuard {
  #state = { released: false }

  constructor() {
    registry.register(this, this.#state, this.#state)
  }

  release() {
    this.#state.released = true
    registry.unregister(this.#state)
  }
}
