import { performance } from 'node:perf_hooks'
import { estimate, fit as fitModel, GgufFile, GiB } from 'plimsoll'
import { inTurn } from '../load/rounds.mjs'
import { median } from '../measure.mjs'

/** So many calls a round, each timed by itself: short ones are seldom interrupted. */
const ESTIMATES = 20
const FITS = 5

/** The same for both. */
const OPTIONS = { contextLength: 8192, mmap: false }
const PEER_OPTIONS = { contextSize: 8192, modelGpuLayers: 0, sequences: 1, batchSize: 512, flashAttention: true }
const PEER_LOAD = { gpuLayers: 0, useMmap: false }

/** Room for a context, but for most models not for the longest. */
const ROOM = 2 * GiB

/**
 * What estimates and searches of a model take, beside node-llama-cpp: medians of the quiet rounds.
 *
 * @typedef {object} Speed
 * @property {string} model
 * @property {string} architecture
 * @property {number} estimateMs of an open file
 * @property {number} fitMs of an open file
 * @property {{ estimate: number, fit: number }} processorMs of the same, what they had of the processors
 * @property {number} openMs with opening the file and closing it
 * @property {number} simulationMs the peer's, of a header that it has read
 * @property {number} searchMs the peer's search for a context
 * @property {number} headerMs the peer's, with reading the header
 * @property {Ratios} ratios
 * @property {Ratios} processorRatios the same by time of the processors
 *
 * @typedef {{ estimate: number, fit: number, open: number }} Ratios how many times as fast: medians of the rounds' ratios
 */

/**
 * @param {import('./truth.mjs').Row[]} rows
 * @param {number} rounds
 * @param {{ llamaCpp: any, llama: any }} peer
 * @returns {Promise<{ models: Speed[], results: import('../result.mjs').Result[], notes: string[] }>}
 */
export async function measureSpeed(rows, rounds, peer) {
  const models = []
  const others = []
  for (const row of new Map(rows.map((row) => [row.path, row])).values()) {
    const figures = await inTurn(runsOf(row.path, peer), rounds)
    models.push(speedOf(row, figures))
    others.push(figures.othersPercent)
  }
  const quiet = `the quietest third of up to ${rounds} rounds of each model`
  return {
    models,
    results: resultsOf(models),
    notes: [`${quiet}, in which others had ${percents(others)} of the processors`],
  }
}

/** Each run with a file of its own, so that nothing is kept from the last. */
function runsOf(path, { llamaCpp, llama }) {
  const open = () => GgufFile.open(path, { headerOnly: true })
  const readHeader = async () => {
    const info = await llamaCpp.readGgufFileInfo(path, { logWarnings: false })
    return llamaCpp.GgufInsights.from(info, llama)
  }
  const simulate = async (insights) => {
    await insights.estimateModelResourceRequirementsV2(PEER_LOAD)
    await insights.estimateContextResourceRequirementsV2({ ...PEER_OPTIONS, useMmap: false })
  }
  return {
    estimate: async () => withFile(open(), (file) => timed(ESTIMATES, () => estimate(file, OPTIONS))),
    fit: async () => withFile(open(), (file) => timed(FITS, () => fitModel(file, budgetOf(file)))),
    open: async () => timed(ESTIMATES, () => withFile(open(), (file) => estimate(file, OPTIONS))),
    simulation: async () => {
      const insights = await readHeader()
      return timedOnce(() => simulate(insights))
    },
    search: async () => {
      const insights = await readHeader()
      const bytes = withFile(open(), budgetOf)
      return timedOnce(() => insights.configurationResolver.resolveAndScoreConfig(...searchOf(bytes)))
    },
    header: () => timedOnce(async () => simulate(await readHeader())),
  }
}

const budgetOf = (file) => estimate(file, OPTIONS).weightsBytes + ROOM

/** The peer's search for the longest context, on a machine without a GPU that has so many bytes. */
function searchOf(bytes) {
  const none = { total: 0, free: 0 }
  const states = [{ total: bytes, free: bytes }, none, { ...none, unifiedSize: 0 }]
  const [getRamState, getSwapState, getVramState] = states.map((state) => async () => state)
  return [
    { targetGpuLayers: 0, flashAttention: true, useMmap: false },
    { getRamState, getSwapState, getVramState },
  ]
}

function withFile(file, use) {
  try {
    return use(file)
  } finally {
    file.close()
  }
}

/**
 * Seconds of a call: the median of so many; what they had of the processors is their mean.
 *
 * @returns {import('../load/rounds.mjs').Run}
 */
function timed(calls, run) {
  const processor = process.cpuUsage()
  const seconds = Array.from({ length: calls }, () => {
    const start = performance.now()
    run()
    return (performance.now() - start) / 1000
  })
  return { seconds: median(seconds), processorSeconds: secondsSince(processor) / calls }
}

/** The same of one call that is waited for. */
async function timedOnce(run) {
  const [start, processor] = [performance.now(), process.cpuUsage()]
  await run()
  return { seconds: (performance.now() - start) / 1000, processorSeconds: secondsSince(processor) }
}

function secondsSince(before) {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** @returns {Speed} */
function speedOf({ model, architecture }, figures) {
  return {
    model,
    architecture,
    estimateMs: figures.ms('estimate'),
    fitMs: figures.ms('fit'),
    processorMs: { estimate: figures.processorMs('estimate'), fit: figures.processorMs('fit') },
    openMs: figures.ms('open'),
    simulationMs: figures.ms('simulation'),
    searchMs: figures.ms('search'),
    headerMs: figures.ms('header'),
    ratios: ratiosBy((ours, theirs) => figures.ratio(ours, theirs)),
    processorRatios: ratiosBy((ours, theirs) => figures.processorRatio(ours, theirs)),
  }
}

const ratiosBy = (ratio) => ({
  estimate: ratio('estimate', 'simulation'),
  fit: ratio('fit', 'search'),
  open: ratio('open', 'header'),
})

/** The median of the models, and the slowest of them, which the targets are for. */
function resultsOf(models) {
  const us = (pick) => (speed) => 1000 * pick(speed)
  const estimates = {
    unit: 'µs',
    ours: us(({ estimateMs }) => estimateMs),
    theirs: us(({ simulationMs }) => simulationMs),
    ratio: ({ ratios }) => ratios.estimate,
    processorRatio: ({ processorRatios }) => processorRatios.estimate,
    atLeast: 5,
    processor: us(({ processorMs }) => processorMs.estimate),
    bound: 1000,
  }
  const opened = {
    unit: 'µs',
    ours: us(({ openMs }) => openMs),
    theirs: us(({ headerMs }) => headerMs),
    ratio: ({ ratios }) => ratios.open,
    processorRatio: ({ processorRatios }) => processorRatios.open,
    atLeast: 5,
  }
  // The peer's searches for a context alone.
  const fits = {
    unit: 'ms',
    ours: ({ fitMs }) => fitMs,
    theirs: ({ searchMs }) => searchMs,
    ratio: ({ ratios }) => ratios.fit,
    processorRatio: ({ processorRatios }) => processorRatios.fit,
    processor: ({ processorMs }) => processorMs.fit,
    bound: 20,
  }
  return [
    ...rowsOf('estimate()', models, estimates),
    ...rowsOf('opening a header, estimate()', models, opened),
    ...rowsOf('fit()', models, fits),
  ]
}

function rowsOf(name, models, { unit, ours, theirs, ratio, processorRatio, atLeast, processor, bound }) {
  const middle = (pick) => median(models.map(pick))
  const most = (pick) => Math.max(...models.map(pick))
  const peer = { name: 'node-llama-cpp', value: middle(theirs) }
  const ratios = { ratio: middle(ratio), processorRatio: middle(processorRatio) }
  const rows = [
    { name: `${name}, the median model`, unit, value: middle(ours), peer, ...ratios },
    { name: `${name}, the slowest model`, unit, value: most(ours), ...aim('below', bound) },
  ]
  if (processor) rows.push({ name: `${name}, the slowest model, time of the processor`, unit, value: most(processor) })
  const least = { name: `${name}, the least ratio of a model`, unit: '', value: Math.min(...models.map(ratio)) }
  return [...rows, { ...least, ...aim('atLeast', atLeast) }]
}

const aim = (is, bound) => (bound === undefined ? {} : { target: { of: 'value', is, bound } })

function percents(values) {
  return `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)} %`
}
