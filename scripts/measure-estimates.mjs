#!/usr/bin/env node
// Asks llama.cpp again what the models of crates/plimsoll/tests/cases/compute-buffers.json take, and prints what is no longer
// so, or is estimated otherwise. Nothing is downloaded but llama.cpp (scripts/llama-cpp.mjs), and nothing allocated: it goes
// through all of a load by headers that this script writes.
//
//     npm run test:estimates [-- NAME...]     all models, or those whose name has one of these in it
//     npm run test:estimates -- --sample 12   so many of them
//     npm run test:estimates -- --write       and writes the new figures into the file
//
// It tells one sum a context: caches, states and compute buffer. Caches and states are taken as the file has them, so a
// difference is written as the compute buffer's. It cannot be asked for limited outputs: those stay as they are.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { estimate, GgufFile } from 'plimsoll'
import { headerOf } from './header-model.mjs'
import { ensure, importLlama, run } from './llama-cpp.mjs'

const CASES = fileURLToPath(new URL('../crates/plimsoll/tests/cases/compute-buffers.json', import.meta.url))

/** Ids of ggml's types for a cache. */
const CACHE_TYPES = { F32: 0, F16: 1, Q8_0: 8 }

/** What llama.cpp takes for one run. */
async function measured(insights, run, warnings) {
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

/** What is not as it was, or not as an estimate has it; the run is left with llama.cpp's figure. */
function drifts({ isReplayed = true }, run, file, computeBytes) {
  const found = []
  if (computeBytes !== run.computeBytes) found.push(`${run.computeBytes} -> ${computeBytes}`)
  run.computeBytes = computeBytes
  const needs = estimate(file, optionsOf(run))
  const caches = needs.kvCacheBytes + needs.stateBytes
  if (caches !== run.cacheAndStateBytes) found.push(`caches and states are estimated at ${caches}`)
  if (isReplayed && needs.computeBytes !== computeBytes) found.push(`estimated at ${needs.computeBytes}`)
  if (needs.computeBoundBytes < computeBytes) found.push(`the bound is ${needs.computeBoundBytes}`)
  return found
}

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

async function main() {
  const options = { write: { type: 'boolean', default: false }, sample: { type: 'string' } }
  const { values, positionals } = parseArgs({ allowPositionals: true, options })
  const cases = JSON.parse(readFileSync(CASES, 'utf8'))
  const models = chosen(cases, positionals, values.sample)
  const { getLlama, GgufInsights, readGgufFileInfo } = await importLlama()
  const warnings = []
  const logger = (_level, message) => warnings.push(message)
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'warn', logger })
  const folder = mkdtempSync(join(tmpdir(), 'measure-estimates-'))
  let [runs, drifted] = [0, 0]
  try {
    for (const model of models) {
      const path = join(folder, 'model.gguf')
      writeFileSync(path, headerOf(model))
      const file = GgufFile.open(path, { headerOnly: true })
      const insights = await GgufInsights.from(await readGgufFileInfo(path, { logWarnings: false }), llama)
      for (const run of model.runs) {
        const computeBytes = (await measured(insights, run, warnings)) - run.cacheAndStateBytes
        const found = drifts(model, run, file, computeBytes)
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
  await llama.dispose()
  console.log(
    `${runs - drifted} of ${runs} compute buffers of ${models.length} models are as they were, and as they are estimated.`,
  )
  if (drifted === 0) return
  if (values.write) writeFileSync(CASES, `${JSON.stringify(cases, null, 2)}\n`)
  else process.exitCode = 1
}

await run('measure-estimates', main)
