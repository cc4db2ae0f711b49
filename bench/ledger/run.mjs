#!/usr/bin/env node
// What a grant and its release cost through the ledger, and through a table of SQLite that several processes share, in the same run:
// npm run bench:ledger [-- --rounds N] [--milliseconds N] [--processes N]. The figures go to bench/results/ledger.json.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describeMachine, processorNumbers } from '../machine.mjs'
import { isMet } from '../result.mjs'
import { formatResults } from '../table.mjs'

const MANIFEST = fileURLToPath(new URL('Cargo.toml', import.meta.url))
const OUTPUT = new URL('../results/ledger.json', import.meta.url)

/** @typedef {{ name: string, processes: number, medianNs: number, late99Ns: number, perSecond: number }} Row */

/** @returns {Row[]} */
function measure(options) {
  const args = ['run', '--release', '--quiet', '--manifest-path', MANIFEST, '--', '--json', ...options]
  return JSON.parse(execFileSync('cargo', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }))
}

/**
 * Each of ours beside that way of SQLite's which is the faster one.
 *
 * @param {Row[]} rows
 * @returns {import('../result.mjs').Result[]}
 */
function compare(rows) {
  const peers = rows.filter(({ name }) => name.startsWith('SQLite'))
  const own = rows.filter((row) => !peers.includes(row))
  return own.flatMap((row) => {
    const beside = peers.filter(({ processes }) => processes === row.processes)
    const least = beside.reduce((best, peer) => (peer.medianNs < best.medianNs ? peer : best))
    const most = beside.reduce((best, peer) => (peer.perSecond > best.perSecond ? peer : best))
    const isAlone = row.processes === 1
    const title = `${row.name}, ${isAlone ? 'alone' : `${row.processes} processes`}`
    const ratio = { of: 'ratio', is: 'atLeast', bound: 7 }
    return [
      {
        name: `${title}: median`,
        unit: 'ns',
        value: row.medianNs,
        peer: { name: least.name, value: least.medianNs },
        ratio: least.medianNs / row.medianNs,
        target: isAlone ? { of: 'value', is: 'below', bound: 3000 } : ratio,
      },
      {
        name: `${title}: all together`,
        unit: 'a second',
        value: row.perSecond,
        peer: { name: most.name, value: most.perSecond },
        ratio: row.perSecond / most.perSecond,
        ...(isAlone ? {} : { target: ratio }),
      },
    ]
  })
}

const rows = measure(process.argv.slice(2))
const results = compare(rows).map((result) => ({ ...result, met: isMet(result) }))
console.log(formatResults(results))
const machine = { ...describeMachine(), ...processorNumbers() }
const report = { date: new Date().toISOString().slice(0, 10), machine, command: 'npm run bench:ledger', rows, results }
writeFileSync(OUTPUT, `${JSON.stringify(report, null, 2)}\n`)
console.log('The figures are in bench/results/ledger.json.')
