#!/usr/bin/env node
// Asks llama.cpp again what the models of crates/plimsoll/tests/cases/compute-buffers.json take, and prints what is no longer
// so, or is estimated otherwise. Nothing is downloaded but llama.cpp, and nothing allocated: it goes through all of a load by headers
// that this script writes.
//
//     npm run test:estimates [-- NAME...]     all models, or those whose name has one of these in it
//     npm run test:estimates -- --sample 12   so many of them
//     npm run test:estimates -- --library 0.6 asks the library of that version itself (scripts/llama-source.mjs): 0.5 or 0.6
//     npm run test:estimates -- --write       and writes the new figures into the file
//
// Without --library node-llama-cpp is asked, of 0.5. It tells one sum a context: caches, states and compute buffer. Caches and states are
// taken as the file has them, so a difference is written as the compute buffer's. It cannot be asked for limited outputs.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { estimate, GgufFile, llamaCppVersions } from 'plimsoll'
import { headerOf } from './header-model.mjs'
import { ensure, importLlama, run } from './llama-cpp.mjs'
import { CACHE_TYPES, counted } from './llama-source.mjs'

const CASES = fileURLToPath(new URL('../crates/plimsoll/tests/cases/compute-buffers.json', import.meta.url))

/**
 * Somebody who tells what llama.cpp takes.
 *
 * @typedef {object} Teller
 * @property {'0.5' | '0.6'} version
 * @property {(model: object, path: string, folder: string) => Promise<Figures[]>} ask of every run of a model
 * @property {() => Promise<void>} [end]
 *
 * @typedef {{ cacheAndStateBytes?: number, computeBytes: number, limitedComputeBytes?: number }} Figures
 */

/** node-llama-cpp. @returns {Promise<Teller>} */
async function peer() {
  const { getLlama, GgufInsights, readGgufFileInfo } = await importLlama()
  const warnings = []
  const logger = (_level, message) => warnings.push(message)
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'warn', logger })
  const ask = async (model, path) => {
    const insights = await GgufInsights.from(await readGgufFileInfo(path, { logWarnings: false }), llama)
    const all = []
    for (const run of model.runs) {
      const bytes = await contextBytes(insights, run, warnings)
      all.push({ computeBytes: bytes - run.cacheAndStateBytes })
    }
    return all
  }
  return { version: '0.5', ask, end: () => llama.dispose() }
}

/** What llama.cpp takes for one run, but for the weights. */
async function contextBytes(insights, run, warnings) {
  warnings.length = 0
  // The package adds a token to the micro-batch where layers slide.
  const slides = insights.swaSize > 0 && !run.swaFull
  const batchSize = run.ubatch - (slides ? 1 : 0)
  const type = CACHE_TYPES[run.kvType]
  const options = {
    contextSize: run.contextLength,
    modelGpuLayers: 0,
    sequences: run.parallel,
    batchSize,
    flashAttention: run.flashAttention,
    kvCacheKeyType: type,
    kvCacheValueType: type,
    swaFullCache: run.swaFull,
    useMmap: false,
  }
  const { cpuRam } = await insights.estimateContextResourceRequirementsV2(options)
  await new Promise((resolve) => setTimeout(resolve, 1))
  // It falls back to formulas of its own where llama.cpp refuses the model.
  const refusal = warnings.find((warning) => /fall(ing)? back|failed|error/i.test(warning))
  ensure(refusal === undefined, `llama.cpp does not take the model: ${refusal}`)
  return cpuRam
}

/** The library of that version. @returns {Teller} */
function library(version) {
  const ask = async (model, _path, folder) => {
    const runs = model.runs.flatMap((run) => [run, { ...run, outputs: run.parallel }])
    const answers = counted(version, model, join(folder, 'whole.gguf'), runs)
    return model.runs.map((_, index) => {
      const [all, limited] = answers.slice(2 * index, 2 * index + 2)
      return { ...all, limitedComputeBytes: limited.computeBytes }
    })
  }
  return { version, ask }
}

/** Where a run has the figures of a version: those of 0.6 apart. */
const figuresIn = (run, version) => (version === '0.5' ? run : run.llamaCpp06)

/** What is not as it was, or not as an estimate has it; the run is left with llama.cpp's figures. */
function drifts({ isReplayed = true }, run, file, version, { cacheAndStateBytes, ...figures }) {
  const found = []
  const known = figuresIn(run, version)
  for (const [name, bytes] of Object.entries({ computeBytes: figures.computeBytes, ...limitedOf(figures) })) {
    if (bytes !== known[name]) found.push(`${name} ${known[name]} -> ${bytes}`)
    known[name] = bytes
    const options = { ...optionsOf(run), ...(name !== 'computeBytes' && { outputs: run.parallel }) }
    const needs = estimate(file, { ...options, llamaCppVersion: version })
    const caches = needs.kvCacheBytes + needs.stateBytes
    if (caches !== run.cacheAndStateBytes) found.push(`caches and states are estimated at ${caches}`)
    if (isReplayed && needs.computeBytes !== bytes) found.push(`${name} is estimated at ${needs.computeBytes}`)
    if (needs.computeBoundBytes < bytes) found.push(`the bound of ${name} is ${needs.computeBoundBytes}`)
    const { computeBoundBytes } = estimate(file, options)
    if (computeBoundBytes < bytes) found.push(`the bound of ${name} in all versions is ${computeBoundBytes}`)
  }
  if (cacheAndStateBytes !== undefined && cacheAndStateBytes !== run.cacheAndStateBytes) {
    found.push(`caches and states are ${cacheAndStateBytes}`)
  }
  return found
}

const limitedOf = ({ limitedComputeBytes }) => (limitedComputeBytes === undefined ? {} : { limitedComputeBytes })

function optionsOf({ contextLength, parallel, flashAttention, kvType, ubatch, swaFull }) {
  const type = kvType.toLowerCase()
  return { contextLength, parallel, flashAttention, kvTypeK: type, kvTypeV: type, ubatch, batch: ubatch, swaFull }
}

function describe(model, { contextLength, parallel, flashAttention, kvType, ubatch }) {
  const attention = flashAttention ? 'flash attention' : 'no flash attention'
  return `${model.model} (${model.architecture}), ${parallel} x ${contextLength} tokens, ${attention}, ${kvType}, ubatch ${ubatch}`
}

/** The models that are asked about; of a sample, spread over all. */
function chosen(cases, names, sample) {
  const named = cases.filter(({ model }) => names.length === 0 || names.some((part) => model.includes(part)))
  ensure(named.length > 0, `no model's name has any of ${names.join(', ')} in it`)
  if (sample === undefined) return named
  ensure(/^[1-9]\d*$/.test(sample), `expected --sample with a number of models but received "${sample}"`)
  const count = Math.min(Number(sample), named.length)
  return Array.from({ length: count }, (_, index) => named[Math.floor((index * named.length) / count)])
}

/** The file with these figures, and all else as it was written: `1.0` is another type of a key than `1`. */
function withFigures(text, cases) {
  const figures = cases.flatMap(({ runs }) =>
    runs.flatMap((run) => [run, run.llamaCpp06].flatMap((it) => [it.computeBytes, it.limitedComputeBytes])),
  )
  return text.replaceAll(/("(?:computeBytes|limitedComputeBytes)": )\d+/g, (_, name) => name + figures.shift())
}

async function main() {
  const flag = { type: 'boolean', default: false }
  const options = { write: flag, library: { type: 'string' }, sample: { type: 'string' } }
  const { values, positionals } = parseArgs({ allowPositionals: true, options })
  const text = readFileSync(CASES, 'utf8')
  const cases = JSON.parse(text)
  const models = chosen(cases, positionals, values.sample)
  const { library: named } = values
  ensure(named === undefined || llamaCppVersions.includes(named), `expected --library 0.5 or 0.6, not ${named}`)
  const { version, ask, end } = named === undefined ? await peer() : library(named)
  const folder = mkdtempSync(join(tmpdir(), 'measure-estimates-'))
  let [runs, drifted] = [0, 0]
  try {
    for (const model of models) {
      const path = join(folder, 'model.gguf')
      writeFileSync(path, headerOf(model))
      const file = GgufFile.open(path, { headerOnly: true })
      const figures = await ask(model, path, folder)
      for (const [index, run] of model.runs.entries()) {
        const found = drifts(model, run, file, version, figures[index])
        runs += 1
        if (found.length === 0) continue
        drifted += 1
        console.log(`${describe(model, run)}: ${found.join('; ')}`)
      }
      file.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  await end?.()
  const kept = `are as they were, and as they are estimated for llama.cpp ${version}.`
  console.log(`${runs - drifted} of ${runs} compute buffers of ${models.length} models ${kept}`)
  if (drifted === 0) return
  if (values.write) writeFileSync(CASES, withFigures(text, cases))
  else process.exitCode = 1
}

await run('measure-estimates', main)
