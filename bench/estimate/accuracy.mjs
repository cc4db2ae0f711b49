import { estimate, GgufFile } from 'plimsoll'
import { median } from '../measure.mjs'
import { optionsOf } from './tools.mjs'

/**
 * How far from llama.cpp's figures, in percent of them: the median, and the worst on either side, 0 where nothing is on it.
 *
 * @typedef {{ median: number, below: number, above: number, count: number }} Spread
 *
 * @typedef {object} Group the rows of an architecture, or all of a source
 * @property {string} architecture
 * @property {number} models
 * @property {number} rows
 * @property {Record<string, { context?: Spread, whole?: Spread }>} tools nothing where a tool says nothing of any row
 * @property {Parts} parts of ours
 *
 * @typedef {object} Parts each is exact, or how far it is from exact
 * @property {Spread} weights
 * @property {Spread} [kv] where the figures have keys, values and states apart
 * @property {Spread} [state]
 * @property {Spread} caches keys, values and states
 * @property {Spread} compute the best guess
 * @property {Spread} [limited] the same with the logits of one token of each slot
 * @property {Spread} bound of the compute buffer, where no version of llama.cpp is named: `below` is how far one is under what is taken
 * @property {number} exact rows whose compute buffer is said to be exact
 */

/**
 * Every tool's answer to every row, by architecture and for all rows of each source.
 *
 * @param {import('./truth.mjs').Source[]} sources
 * @param {import('./tools.mjs').Tool[]} tools
 * @param {{ llamaCpp: any, llama: any, warnings: string[] }} peer
 * @returns {Promise<{ name: string, title: string, groups: Group[], all: Group }[]>}
 */
export async function measureAccuracy(sources, tools, peer) {
  const measured = []
  for (const { name, title, rows } of sources) {
    const answers = await answersTo(rows, tools, peer)
    const architectures = [...new Set(rows.map(({ architecture }) => architecture))].sort()
    const of = (architecture) => answers.filter(({ row }) => row.architecture === architecture)
    const groups = architectures.map((architecture) => summary(architecture, of(architecture), tools))
    measured.push({ name, title, groups, all: summary('all', answers, tools) })
  }
  return measured
}

async function answersTo(rows, tools, peer) {
  const models = new Map()
  const answers = []
  for (const row of rows) {
    if (!models.has(row.path)) models.set(row.path, await openModel(row, peer))
    const model = models.get(row.path)
    const said = await Promise.all(tools.map(({ ask }) => ask(row, model)))
    const needs = estimate(model.file, optionsOf(row))
    const limited = estimate(model.file, { ...optionsOf(row), outputs: row.parallel })
    const { computeBoundBytes } = estimate(model.file, { ...optionsOf(row), llamaCppVersion: undefined })
    answers.push({ row, weightsBytes: model.weightsBytes, said, needs, limited, computeBoundBytes })
  }
  for (const { file } of models.values()) file.close()
  return answers
}

/** A model for all tools, with what llama.cpp keeps of its weights: where the figures do not have it, it is asked. */
async function openModel({ path, model, weightsBytes }, { llamaCpp, llama, warnings }) {
  const file = GgufFile.open(path, { headerOnly: true })
  const info = await llamaCpp.readGgufFileInfo(path, { logWarnings: false })
  const insights = await llamaCpp.GgufInsights.from(info, llama)
  if (weightsBytes !== undefined) return { file, insights, weightsBytes }
  warnings.length = 0
  const { cpuRam } = await insights.estimateModelResourceRequirementsV2({ gpuLayers: 0, useMmap: false })
  // Warnings come a turn later.
  await new Promise((resolve) => setTimeout(resolve, 1))
  const refusal = warnings.find((warning) => /fall(ing)? back|failed|error/i.test(warning))
  if (refusal !== undefined) throw new Error(`llama.cpp does not take ${model}: ${refusal}`)
  return { file, insights, weightsBytes: cpuRam }
}

/** @returns {Group} */
function summary(architecture, answers, tools) {
  const spreads = tools.map(({ name }, index) => [name, toolSpreads(answers, index)])
  return {
    architecture,
    models: new Set(answers.map(({ row }) => row.model)).size,
    rows: answers.length,
    tools: Object.fromEntries(spreads),
    parts: partsOf(answers),
  }
}

function toolSpreads(answers, index) {
  const answered = answers.filter(({ said }) => Number.isFinite(said[index]?.contextBytes))
  const context = answered.map(({ row, said }) => percent(said[index].contextBytes, row.cacheBytes + row.computeBytes))
  const whole = answered.map(({ row, said, weightsBytes }) => {
    const { contextBytes, weightsBytes: theirs } = said[index]
    return percent(contextBytes + theirs, row.cacheBytes + row.computeBytes + weightsBytes)
  })
  return { context: spread(context), whole: spread(whole) }
}

/** @returns {Parts} */
function partsOf(answers) {
  const apart = answers.filter(({ row }) => row.caches !== undefined)
  const limited = answers.filter(({ row }) => row.limitedComputeBytes !== undefined)
  const of = (list, part) => spread(list.map(part))
  return {
    weights: of(answers, ({ needs, weightsBytes }) => percent(needs.weightsBytes, weightsBytes)),
    kv: of(apart, ({ needs, row }) => percent(needs.kvCacheBytes, row.caches.kvBytes)),
    state: of(apart, ({ needs, row }) => percent(needs.stateBytes, row.caches.stateBytes)),
    caches: of(answers, ({ needs, row }) => percent(needs.kvCacheBytes + needs.stateBytes, row.cacheBytes)),
    compute: of(answers, ({ needs, row }) => percent(needs.computeBytes, row.computeBytes)),
    limited: of(limited, ({ limited, row }) => percent(limited.computeBytes, row.limitedComputeBytes)),
    bound: of(answers, ({ computeBoundBytes, row }) => percent(computeBoundBytes, row.computeBytes)),
    exact: answers.filter(({ needs }) => needs.computeExact).length,
  }
}

/** How much more than the truth, in percent; of nothing, nothing is right and all else infinitely wrong. */
function percent(value, truth) {
  return value === truth ? 0 : (100 * (value - truth)) / truth
}

/** @returns {Spread | undefined} */
function spread(errors) {
  if (errors.length === 0) return undefined
  const [below, above] = [Math.min(0, ...errors), Math.max(0, ...errors)]
  const [middle, least, most] = [median(errors), below, above].map((error) => Number(error.toPrecision(4)))
  return { median: middle, below: least, above: most, count: errors.length }
}
