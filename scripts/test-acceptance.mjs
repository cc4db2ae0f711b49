#!/usr/bin/env node
// The acceptance of the whole project. In a memory cgroup four servers are started at once, each with a model of 300 MB, which together
// need half as much again as the cgroup may have: with plimsoll and without, models read into memory and mapped. Counts what the
// kernel kills, what is served, refused and lost, and major faults. As root, on a machine with version 1 of the memory controller.
//
// Every round has each way once, so that what else the machine does bears on all of them alike. What must hold is asserted of each round,
// and of the medians of all; what does not is told below the table, and the code is 1.
//
//     npm run test:acceptance                  20 rounds, some fifteen minutes
//     npm run test:acceptance -- --rounds 2 --seconds 4 --json

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Group } from './guest/inside/group.cjs'
import { writeLlama } from './llama/models.mjs'
import { install, PLACE } from './server-packages.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SAMPLE = join(ROOT, 'examples/models/plimsoll-sample-llama.gguf')
const TOP = '/sys/fs/cgroup/memory'
const MiB = 2 ** 20
const SERVERS = 4
/** As many as have room: two thirds of four. */
const FITTING = Math.floor(SERVERS / 1.5)
const { dropPageCache } = createRequire(import.meta.url)('..')
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
  },
})
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
if (!(Number.isInteger(rounds) && rounds > 0 && seconds >= 2)) {
  console.error('test-acceptance: expected --rounds from 1 and --seconds from 2 up')
  process.exit(2)
}
/** With --json nothing but the document is on stdout. */
const say = values.json ? console.error : console.log
if (process.getuid() !== 0 || !existsSync(`${TOP}/memory.limit_in_bytes`)) {
  console.error('test-acceptance: needs root and the memory controller of version 1')
  process.exit(1)
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]

install()
const folder = mkdtempSync(join(ROOT, 'build/acceptance-'))
const models = Array.from({ length: SERVERS }, (_, at) => {
  const hole = join(folder, 'hole')
  const path = join(folder, `model-${at}.gguf`)
  // Of a type that no processor has llama.cpp copy into another layout: what is mapped stays mapped, then.
  const layers = Array(5).fill('F32')
  writeLlama(hole, SAMPLE, { layers, embedding: 1024, feedForward: 4096, heads: 16, context: 512 })
  // On the disk: what is a hole is read back at no cost.
  assert.equal(spawnSync('cp', ['--sparse=never', hole, path]).status, 0)
  rmSync(hole)
  return path
})
spawnSync('sync')

/** A server in the group, until it is ended. */
function start(group, model, options) {
  const parameters = JSON.stringify({ place: PLACE, model, ...options })
  const script = join(ROOT, 'scripts/acceptance/server.mjs')
  const enter = ['-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', group.folder, process.execPath, script, parameters]
  const child = spawn('sh', enter, { stdio: ['ignore', 'pipe', 'pipe'] })
  const server = { pid: child.pid, errors: '', port: undefined, ended: undefined }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    server.port ??= /port (\d+)/.exec(text)?.[1]
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    server.errors += text
  })
  server.gone = new Promise((resolve) =>
    child.once('exit', (code, signal) => {
      server.ended = { code, signal }
      resolve()
    }),
  )
  return server
}

/** Whether it is a refusal of plimsoll's, with its numbers and when to come again. */
const isTyped = ({ error }, headers) =>
  headers.get('retry-after') !== null &&
  error.type === 'server_error' &&
  (error.code === 'memory_pressure' ? error.pressure.type === 'waiting' : error.code.startsWith('ERR_'))

/** One client of a server: asks again and again until `over` is aborted. */
async function ask(server, over, counts) {
  while (!over.aborted && !server.ended) {
    if (server.port === undefined) {
      await pause(20)
      continue
    }
    try {
      const response = await fetch(`http://127.0.0.1:${server.port}/`, { signal: over })
      const text = await response.text()
      if (response.status === 200) {
        counts.served.push(Date.now())
        server.hasServed = true
      } else if (response.status === 503 && isTyped(JSON.parse(text), response.headers)) {
        counts.refused += 1
        server.hasRefused = true
      } else {
        counts.lost += 1
      }
      if (response.status === 503) await pause(200)
    } catch {
      // What is not answered by the end is neither served nor lost; a connection that breaks is lost.
      if (!over.aborted) counts.lost += 1
      await pause(50)
    }
  }
}

/** How long servers may take until each serves, refuses or has ended, in milliseconds: those that thrash never do. */
const SETTLE_MS = 30_000

/** Waits until as many serve as have room, and the others refuse or have ended. */
async function settled(servers, serving) {
  const deadline = Date.now() + SETTLE_MS
  const isSettled = () =>
    servers.every(({ hasServed, hasRefused, ended }) => hasServed || hasRefused || ended) &&
    servers.filter(({ hasServed, ended }) => hasServed || ended).length >= serving
  while (!isSettled() && Date.now() < deadline) await pause(20)
}

const figure = (group, file, name) =>
  Number(new RegExp(`^${name} (\\d+)`, 'm').exec(readFileSync(join(group.folder, file), 'utf8'))[1])

const majorFaults = (group) => figure(group, 'memory.stat', 'total_pgmajfault')

/** One round: servers together, and for some seconds when they have settled; then all are ended. */
async function round(limitBytes, chosen, { warm = false, ...options }) {
  const group = new Group(1, TOP, `/plimsoll-acceptance-${process.pid}`)
  const ledger = { directory: mkdtempSync('/dev/shm/plimsoll-acceptance-'), name: 'acceptance' }
  const servers = []
  try {
    group.bound('limit', limitBytes)
    // So that what is read of them is the group's.
    for (const model of warm ? [] : chosen) await dropPageCache(model)
    const counts = { served: [], refused: 0, lost: 0 }
    for (const model of chosen) servers.push(start(group, model, { ...options, ledger }))
    const over = new AbortController()
    const asked = Promise.all(servers.map((server) => ask(server, over.signal, counts)))
    await settled(servers, Math.min(chosen.length, FITTING))
    // From here on, when all that has room is loaded: the pace, and what is read again.
    const from = Date.now()
    const faultsBefore = majorFaults(group)
    await pause(seconds * 1000)
    over.abort()
    await asked
    return {
      perSecond: counts.served.filter((at) => at >= from).length / seconds,
      served: counts.served.length,
      refused: counts.refused,
      lost: counts.lost,
      killed: servers.filter(({ ended }) => ended?.signal === 'SIGKILL').length,
      oomKills: figure(group, 'memory.oom_control', 'oom_kill'),
      majorFaults: majorFaults(group),
      laterFaults: majorFaults(group) - faultsBefore,
      usedBytes: Number(readFileSync(join(group.folder, 'memory.max_usage_in_bytes'), 'utf8')),
      errors: servers.map(({ errors }) => errors).join(''),
    }
  } finally {
    for (const { pid, ended } of servers) if (!ended) process.kill(pid, 'SIGKILL')
    await Promise.all(servers.map(({ gone }) => gone))
    await pause(200)
    group.remove()
    rmSync(ledger.directory, { recursive: true, force: true })
  }
}

/** What must hold in a round of one mode, in words; and whether it does. */
function ofRound(mode, { alone, without, with: guarded }) {
  return [
    ['alone, something is served', alone.served > 0 && alone.oomKills === 0],
    ...(mode === 'read' ? [['without plimsoll the kernel kills', without.oomKills > 0]] : []),
    ['with plimsoll the kernel kills nothing', guarded.oomKills === 0 && guarded.killed === 0],
    ['with plimsoll every request is served, or refused with a typed error', guarded.lost === 0],
    ['with plimsoll something is served', guarded.served > 0],
    ['with plimsoll what has no room is refused', guarded.refused > 0],
    ['with plimsoll no server has an error', guarded.errors === ''],
  ]
}

/** Major faults of a server that has loaded, which are no thrashing: a page or two of a program that was not read yet. */
const FEW_FAULTS = 10

/** What must hold of the medians of all rounds. */
function ofAll(mode, { alone, without, with: guarded }) {
  const share = `with plimsoll throughput is ${(guarded.perSecond / alone.perSecond).toFixed(2)} of that alone, at least 0.9`
  return [
    [share, guarded.perSecond >= 0.9 * alone.perSecond],
    ...(mode === 'mapped'
      ? [
          [
            `with plimsoll major faults stay flat: ${guarded.laterFaults} later ones`,
            guarded.laterFaults <= FEW_FAULTS,
          ],
          [
            `without plimsoll it thrashes: ${without.laterFaults} later major faults, ${without.perSecond.toFixed(1)}/s of ${alone.perSecond.toFixed(1)}/s`,
            // Each of them reads many pages ahead.
            without.laterFaults > 3 * Math.max(guarded.laterFaults, FEW_FAULTS) && without.perSecond < alone.perSecond,
          ],
        ]
      : []),
  ]
}

const medians = ['perSecond', 'majorFaults', 'laterFaults', 'usedBytes']
const sums = ['served', 'refused', 'lost', 'killed', 'oomKills']

/** The rounds of one way together: medians, and sums. */
const together = (results) => ({
  ...Object.fromEntries(medians.map((name) => [name, median(results.map((result) => result[name]))])),
  ...Object.fromEntries(sums.map((name) => [name, results.reduce((sum, result) => sum + result[name], 0)])),
  roundsWithKills: results.filter(({ oomKills }) => oomKills > 0).length,
})

const columns = {
  way: ([mode, way]) => `${way}, ${mode}`,
  'served/s': (_, all) => all.perSecond.toFixed(1),
  served: (_, all) => all.served,
  refused: (_, all) => all.refused,
  lost: (_, all) => all.lost,
  oom_kill: (_, all) => all.oomKills,
  'rounds with kills': (_, all) => all.roundsWithKills,
  pgmajfault: (_, all) => all.majorFaults,
  'of them later': (_, all) => all.laterFaults,
  'most MiB': (_, all) => Math.round(all.usedBytes / MiB),
}

function table(rows) {
  const lines = [
    Object.keys(columns),
    ...rows.map(([key, all]) => Object.values(columns).map((of) => String(of(key, all)))),
  ]
  const widths = lines[0].map((_, at) => Math.max(...lines.map((line) => line[at].length)))
  return lines.map((line) =>
    line.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join('  '),
  )
}

try {
  // What it has of its own, without the file that it reads.
  const single = await round(8192 * MiB, models.slice(0, 1), { mmap: false, guarded: false, warm: true })
  const limitBytes = Math.floor((SERVERS * single.usedBytes) / 1.5 / MiB) * MiB
  const what = `${SERVERS} servers of ${Math.round(single.usedBytes / MiB)} MiB in ${limitBytes / MiB} MiB`
  say(`${what}; ${rounds} rounds of ${seconds} s`)
  const fitting = models.slice(0, FITTING)
  const ways = {
    alone: [fitting, { guarded: false }],
    without: [models, { guarded: false }],
    with: [models, { guarded: true }],
  }
  const results = { read: [], mapped: [] }
  const failures = []
  for (let at = 1; at <= rounds; at++) {
    for (const mode of Object.keys(results)) {
      const found = {}
      for (const [way, [chosen, options]] of Object.entries(ways)) {
        found[way] = await round(limitBytes, chosen, { ...options, mmap: mode === 'mapped' })
      }
      results[mode].push(found)
      for (const [says, holds] of ofRound(mode, found)) if (!holds) failures.push(`round ${at}, ${mode}: ${says}`)
      const { errors } = found.with
      if (errors) say(errors.slice(0, 600))
      const paces = Object.entries(found).map(
        ([way, { perSecond, oomKills }]) => `${way} ${perSecond.toFixed(1)}/s, ${oomKills} killed`,
      )
      say(`round ${at} of ${rounds}, ${mode}: ${paces.join('; ')}`)
    }
  }
  const all = Object.fromEntries(
    Object.entries(results).map(([mode, found]) => [
      mode,
      Object.fromEntries(Object.keys(ways).map((way) => [way, together(found.map((each) => each[way]))])),
    ]),
  )
  for (const mode of Object.keys(all)) {
    for (const [says, holds] of ofAll(mode, all[mode])) {
      say(`${holds ? 'holds' : 'FAILS'}: ${mode}: ${says}`)
      if (!holds) failures.push(`${mode}: ${says}`)
    }
  }
  const rows = Object.entries(all).flatMap(([mode, found]) =>
    Object.entries(found).map(([way, each]) => [[mode, way], each]),
  )
  if (values.json)
    console.log(JSON.stringify({ rounds, seconds, servers: SERVERS, limitBytes, results, all, failures }, null, 2))
  else for (const line of table(rows)) say(line)
  for (const failure of failures) console.error(`test-acceptance: does not hold: ${failure}`)
  process.exitCode = failures.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
