#!/usr/bin/env node
// Measures streams and loads beside their peers and their limits, in turn, in the same run:
//
//     npm run bench:load [-- [--quick | --full] [--json] [SUITE...]]
//
// Prints tables, or JSON. Figures go to bench/results/load.json, beside those of the suites that were not run; those of a
// quick run to build/bench-load.json. docs/performance.md tells what limits the figures.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { describeMachine, processorNumbers } from '../machine.mjs'
import { isMet } from '../result.mjs'
import { formatResults } from '../table.mjs'
import { SIZES } from './files.mjs'

const SUITES = ['limits', 'raw', 'convert', 'checks', 'open', 'memory', 'delay']

const ROOT = new URL('../../', import.meta.url)

async function main() {
  const flag = { type: 'boolean', default: false }
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: flag, full: flag, json: flag },
  })
  const unknown = positionals.find((name) => !SUITES.includes(name))
  if (unknown !== undefined) throw new Error(`expected suites out of ${SUITES.join(', ')} but received "${unknown}"`)
  if (values.quick && values.full) throw new Error('expected --quick or --full, received both')
  const print = values.json ? () => {} : console.log
  const kind = values.quick ? 'quick' : values.full ? 'full' : 'usual'
  const machine = { ...describeMachine(), ...processorNumbers() }
  print(`${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}\n`)

  const names = positionals.length > 0 ? positionals : SUITES
  const suites = []
  for (const name of names) suites.push(await runSuite(name, SIZES[kind], print))
  const path = values.quick ? 'build/bench-load.json' : 'bench/results/load.json'
  const report = { machine, suites: values.quick ? suites : merged(path, machine, suites) }
  save(report, path, print)
  if (values.json) console.log(JSON.stringify(report, null, 2))
}

/** New figures beside those of suites that were not taken now, if these are of the same machine. */
function merged(path, machine, suites) {
  const file = new URL(path, ROOT)
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { suites: [] }
  const isSame = JSON.stringify(before.machine) === JSON.stringify(machine)
  const find = (list, name) => list.find((suite) => suite.name === name)
  const latest = SUITES.map((name) => find(suites, name) ?? (isSame ? find(before.suites, name) : undefined))
  return latest.filter((suite) => suite !== undefined)
}

/** A suite that cannot run here (no Cargo, a full disk) says so and leaves the others alone. */
async function runSuite(name, size, print) {
  const { title, measure } = await import(`./suites/${name}.mjs`)
  print(`${name}: ${title}`)
  const notes = []
  const results = []
  try {
    results.push(...(await measure((note) => notes.push(note), size)))
  } catch (error) {
    notes.push(`not measured in full: ${error.message}`)
  }
  if (results.length > 0) print(formatResults(results))
  for (const note of notes) print(`  ${note}`)
  print('')
  const taken = { date: new Date().toISOString().slice(0, 10), loadAverage: loadavg()[0] }
  return { name, title, ...taken, results: results.map((result) => ({ ...result, met: isMet(result) })), notes }
}

function save(report, path, print) {
  const file = new URL(path, ROOT)
  mkdirSync(new URL('.', file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  print(`The figures are in ${path}.`)
}

// By way of `exit`, on which scratch files are removed.
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
try {
  await main()
} catch (error) {
  console.error(`bench:load: ${error.message}`)
  process.exitCode = 2
}
