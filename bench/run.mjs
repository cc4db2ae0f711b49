#!/usr/bin/env node
// Measures this package beside its peers, in the same run, and prints the ratios.
//
//     node bench/run.mjs [SUITE...]
//
// A target that is missed is printed, not an error: timings belong to the machine they were taken on. The figures also
// go to build/bench.json. docs/benchmarks.md tells what each suite does and what its figures do not mean.

import { mkdirSync, writeFileSync } from 'node:fs'
import { describeMachine } from './machine.mjs'
import { isMet } from './result.mjs'
import { formatResults } from './table.mjs'

/** The suites in the order they run: short ones first. */
const SUITES = ['open', 'guards', 'collect', 'require', 'pool', 'memory-pool', 'stream', 'rss', 'monitor', 'rust']

const OUTPUT = new URL('../build/bench.json', import.meta.url)

async function main(names) {
  const unknown = names.find((name) => !SUITES.includes(name))
  if (unknown !== undefined) {
    console.error(`bench: expected suites out of ${SUITES.join(', ')} but received "${unknown}"`)
    return 2
  }
  const machine = describeMachine()
  console.log(`${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}\n`)
  const suites = []
  for (const name of names.length > 0 ? names : SUITES) suites.push(await runSuite(name))
  save({ date: new Date().toISOString(), machine, suites })
  return 0
}

/** A suite that cannot run here (no Cargo, a full disk) says so and leaves the others alone. */
async function runSuite(name) {
  const { title, measure } = await import(`./suites/${name}.mjs`)
  console.log(`${name}: ${title}`)
  const notes = []
  const results = []
  try {
    results.push(...(await measure((note) => notes.push(note))))
  } catch (error) {
    notes.push(`not measured in full: ${error.message}`)
  }
  if (results.length > 0) console.log(formatResults(results))
  for (const note of notes) console.log(`  ${note}`)
  console.log()
  return { name, title, results: results.map((result) => ({ ...result, met: isMet(result) })), notes }
}

function save(report) {
  mkdirSync(new URL('.', OUTPUT), { recursive: true })
  writeFileSync(OUTPUT, `${JSON.stringify(report, null, 2)}\n`)
  console.log('The figures are in build/bench.json.')
}

// By way of `exit`, on which scratch files are removed.
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
process.exitCode = await main(process.argv.slice(2))
