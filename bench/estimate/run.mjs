#!/usr/bin/env node
// Measures estimates of memory beside other tools, against llama.cpp's own figures:
//
//     npm run bench:estimate [-- [--quick] [--json] [accuracy | speed]]
//
// Prints tables, or JSON. Figures go to bench/results/estimate.json, a part that was not taken stays as it is; those of a
// quick run, or one without the figures of models in full, go to build/bench-estimate.json. npm run bench:plot puts the tables into docs/estimation.md. Peers are fetched
// into build/ once, 90 MB.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine, processorNumbers } from '../machine.mjs'
import { accuracyText } from '../plot/estimates.mjs'
import { isMet } from '../result.mjs'
import { formatResults } from '../table.mjs'
import { measureAccuracy } from './accuracy.mjs'
import { importPeers } from './peers.mjs'
import { measureSpeed } from './speed.mjs'
import { tools } from './tools.mjs'
import { readSources } from './truth.mjs'

const PARTS = ['accuracy', 'speed']
const ROUNDS = { quick: 5, usual: 24 }
const ROOT = new URL('../../', import.meta.url)

async function main() {
  const flag = { type: 'boolean', default: false }
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: flag, json: flag } })
  const unknown = positionals.find((name) => !PARTS.includes(name))
  if (unknown !== undefined) throw new Error(`expected parts out of ${PARTS.join(', ')} but received "${unknown}"`)
  const wanted = positionals.length > 0 ? positionals : PARTS
  const print = values.json ? () => {} : console.log
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-estimates-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const notes = []
  const sources = readSources(folder, (note) => notes.push(note))
  const isPublished = !values.quick && sources.length === 2
  const path = isPublished ? 'bench/results/estimate.json' : 'build/bench-estimate.json'
  const rounds = values.quick ? ROUNDS.quick : ROUNDS.usual
  const taken = await measure({ wanted, sources, folder, rounds, print })
  const report = { ...before(path), ...taken }
  for (const note of notes) print(note)
  save(report, path, print)
  if (values.json) console.log(JSON.stringify(report, null, 2))
}

/** The parts that are wanted, each with where and when it was taken. */
async function measure({ wanted, sources, folder, rounds, print }) {
  const peers = await importPeers()
  const warnings = []
  const logger = (_level, message) => warnings.push(message)
  const llama = await peers.llamaCpp.getLlama({ gpu: false, build: 'never', logLevel: 'warn', logger })
  const peer = { llamaCpp: peers.llamaCpp, llama, warnings }
  const { version } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8'))
  const versions = { plimsoll: version, ...peers.versions, 'llama.cpp': llama.llamaCppRelease.release }
  const machine = { ...describeMachine(), ...processorNumbers() }
  const taken = () => ({ date: new Date().toISOString().slice(0, 10), machine, versions })
  const parts = {}
  if (wanted.includes('accuracy')) {
    const asked = tools(peers, folder)
    const measured = await measureAccuracy(sources, asked, peer)
    const about = asked.map((tool) => ({ name: tool.name, about: tool.about }))
    parts.accuracy = { ...taken(), tools: about, sources: measured }
    print(accuracyText(parts.accuracy))
  }
  if (wanted.includes('speed')) {
    const { models, results, notes } = await measureSpeed(sources[0].rows, rounds, peer)
    const judged = results.map((result) => ({ ...result, met: isMet(result) }))
    parts.speed = { ...taken(), loadAverage: loadavg()[0], models, results: judged, notes }
    print(formatResults(results))
    for (const note of notes) print(`  ${note}`)
  }
  await llama.dispose()
  return parts
}

function before(path) {
  const file = new URL(path, ROOT)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
}

function save(report, path, print) {
  const file = new URL(path, ROOT)
  mkdirSync(new URL('.', file), { recursive: true })
  // Spreads are many: each on one line.
  const text = JSON.stringify(report, null, 2).replaceAll(/\{\s+("median"[^{}]+?)\s+\}/g, (_, inner) => {
    return `{ ${inner.replaceAll(/\s+/g, ' ')} }`
  })
  writeFileSync(file, `${text}\n`)
  print(`The figures are in ${path}.`)
}

// By way of `exit`, on which scratch files are removed.
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
try {
  await main()
} catch (error) {
  console.error(`bench:estimate: ${error.message}`)
  process.exitCode = 2
}
