import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { performance } from 'node:perf_hooks'
import { median } from '../measure.mjs'

/**
 * One run of something.
 *
 * @typedef {object} Run
 * @property {number} [bytes] where a rate is asked for; else runs are compared by their seconds
 * @property {number} [seconds] if it timed itself
 * @property {number} [processorSeconds] of the processors, where not all of what this process used is meant
 * @property {boolean} [isElsewhere] whether another process did the work
 */

/** Rounds end after so long, where a busy machine makes them slow; there are no fewer than a few. */
const LONGEST_MS = 20_000
const FEWEST_ROUNDS = 5

/**
 * Takes runs in turn, A B C A B C, after a round that only warms up, and keeps the third of the rounds in which other
 * processes used the processors least: which third that is does not depend on the figures.
 *
 * @template {string} Name
 * @param {Record<Name, () => Promise<Run>>} runs
 * @param {number} rounds
 */
export async function inTurn(runs, rounds) {
  await takeRound(runs)
  const end = performance.now() + LONGEST_MS
  const all = []
  while (all.length < rounds && (all.length < FEWEST_ROUNDS || performance.now() < end)) all.push(await takeRound(runs))
  const quiet = all.sort((a, b) => a.others - b.others).slice(0, Math.ceil(all.length / 3))
  return new Figures(quiet, all.length)
}

/**
 * What was taken of each run in one round.
 *
 * @typedef {object} Round
 * @property {number} others the share of the processors that other processes had
 * @property {Record<string, number>} seconds
 * @property {Record<string, number>} processorSeconds
 * @property {Record<string, number>} rates
 * @property {Record<string, number>} perProcessor
 */

/** A run without bytes is one piece of work, at the scale of a rate. */
const ONE_PIECE = 1e9

async function takeRound(runs) {
  const round = { others: 0, seconds: {}, processorSeconds: {}, rates: {}, perProcessor: {} }
  const start = { ms: performance.now(), busy: busySeconds() }
  let ours = 0
  for (const [name, run] of Object.entries(runs)) {
    const before = { ms: performance.now(), processor: ownSeconds() }
    const { bytes = ONE_PIECE, isElsewhere, ...timed } = await run()
    const used = ownSeconds() - before.processor
    const { seconds = (performance.now() - before.ms) / 1000, processorSeconds = used } = timed
    ours += used + (isElsewhere ? processorSeconds : 0)
    round.seconds[name] = seconds
    round.processorSeconds[name] = processorSeconds
    round.rates[name] = bytes / 1e9 / seconds
    round.perProcessor[name] = bytes / 1e9 / processorSeconds
  }
  const seconds = ((performance.now() - start.ms) / 1000) * cpus().length
  round.others = Math.max(0, (busySeconds() - start.busy - ours) / seconds)
  return round
}

/** The figures of the rounds that count. */
class Figures {
  #rounds
  #taken

  /**
   * @param {Round[]} rounds
   * @param {number} taken of how many
   */
  constructor(rounds, taken) {
    this.#rounds = rounds
    this.#taken = taken
  }

  /** Milliseconds of a run. */
  ms(name) {
    return 1000 * median(this.#rounds.map(({ seconds }) => seconds[name]))
  }

  /** Milliseconds that a run had of the processors, all threads together. */
  processorMs(name) {
    return 1000 * median(this.#rounds.map(({ processorSeconds }) => processorSeconds[name]))
  }

  /** GB/s of a run. */
  rate(name) {
    return median(this.#rounds.map(({ rates }) => rates[name]))
  }

  /** GB for each second of a processor, of all threads. */
  perProcessor(name) {
    return median(this.#rounds.map(({ perProcessor }) => perProcessor[name]))
  }

  /** How many times as fast one run was as another. */
  ratio(ours, theirs) {
    return median(this.#rounds.map(({ rates }) => rates[ours] / rates[theirs]))
  }

  /** The same by time of the processors. */
  processorRatio(ours, theirs) {
    return median(this.#rounds.map(({ perProcessor }) => perProcessor[ours] / perProcessor[theirs]))
  }

  /** What others had of the processors, in percent. */
  get othersPercent() {
    return 100 * median(this.#rounds.map(({ others }) => others))
  }

  /** As a line below a table. */
  describe(what) {
    const others = `others had ${this.othersPercent.toFixed(0)} % of the processors`
    return `${what}: the quietest ${this.#rounds.length} of ${this.#taken} rounds, in which ${others}`
  }

  /** @returns {import('../result.mjs').Result} */
  result(name, ours, theirs, atLeast) {
    const figure = { name, unit: 'GB/s', value: this.rate(ours) }
    if (theirs === undefined) return figure
    const target = atLeast === undefined ? {} : { target: { of: 'ratio', is: 'atLeast', bound: atLeast } }
    const peer = { name: theirs, value: this.rate(theirs) }
    const ratios = { ratio: this.ratio(ours, theirs), processorRatio: this.processorRatio(ours, theirs) }
    return { ...figure, peer, ...ratios, ...target }
  }
}

function ownSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Seconds that all processors worked for anybody. Source: proc_stat(5); the unit is a hundredth of a second. */
function busySeconds() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)[0]
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq + steal) / 100
}
