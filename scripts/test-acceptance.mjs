#!/usr/bin/env node
// The acceptance of the whole project. In a memory cgroup four servers are started at once, each with a model of 300 MB, which together
// need half as much again as the cgroup may have: with plimsoll and without, models read into memory and mapped. Counts what the
// kernel kills, what is served, refused and lost, and major faults. As root, on a machine with version 1 of the memory controller.
//
//     npm run test:acceptance                  20 rounds of each, some twenty minutes
//     npm run test:acceptance -- --rounds 2

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
const { dropPageCache } = createRequire(import.meta.url)('..')
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '20' }, seconds: { type: 'string', default: '6' } },
})
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
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
  const layers = Array(10).fill('F16')
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

/** One client of a server: asks again and again until the time is up. */
async function ask(server, deadline, counts) {
  while (Date.now() < deadline && !server.ended) {
    if (server.port === undefined) {
      await pause(20)
      continue
    }
    try {
      const signal = AbortSignal.timeout(Math.max(deadline - Date.now(), 1))
      const response = await fetch(`http://127.0.0.1:${server.port}/`, { signal })
      const text = await response.text()
      if (response.status === 200) counts.served.push(Date.now())
      else if (response.status === 503 && JSON.parse(text).error.code.startsWith('ERR_')) counts.refused += 1
      else counts.lost += 1
      if (response.status === 503) await pause(200)
    } catch (error) {
      // What is not answered by the end is neither served nor lost; a connection that breaks is lost.
      if (error.name !== 'TimeoutError') counts.lost += 1
      await pause(50)
    }
  }
}

const figure = (group, file, name) =>
  Number(new RegExp(`^${name} (\\d+)`, 'm').exec(readFileSync(join(group.folder, file), 'utf8'))[1])

/** One round: servers together for some seconds, then all are ended. */
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
    const began = Date.now()
    await Promise.all(servers.map((server) => ask(server, began + seconds * 1000, counts)))
    // The pace of the second half, when all that fits is loaded.
    const half = began + seconds * 500
    return {
      perSecond: counts.served.filter((at) => at > half).length / (seconds / 2),
      served: counts.served.length,
      refused: counts.refused,
      lost: counts.lost,
      killed: servers.filter(({ ended }) => ended?.signal === 'SIGKILL').length,
      oomKills: figure(group, 'memory.oom_control', 'oom_kill'),
      majorFaults: figure(group, 'memory.stat', 'total_pgmajfault'),
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

async function repeat(title, limitBytes, chosen, options) {
  const results = []
  for (let at = 0; at < rounds; at++) results.push(await round(limitBytes, chosen, options))
  const sum = (name) => results.reduce((total, result) => total + result[name], 0)
  const of = (name) => median(results.map((result) => result[name]))
  const figures = {
    perSecond: of('perSecond'),
    served: sum('served'),
    refused: sum('refused'),
    lost: sum('lost'),
    killed: sum('killed'),
    oomKills: sum('oomKills'),
    roundsWithKills: results.filter(({ oomKills }) => oomKills > 0).length,
    majorFaults: of('majorFaults'),
    usedMiB: Math.round(of('usedBytes') / MiB),
  }
  console.log(`${title.padEnd(34)} ${JSON.stringify(figures)}`)
  const errors = [...new Set(results.map((result) => result.errors).filter(Boolean))]
  for (const text of errors.slice(0, 2)) console.log(text.slice(0, 600))
  return figures
}

try {
  // What it has of its own, without the file that it reads.
  const alone = await round(8192 * MiB, models.slice(0, 1), { mmap: false, guarded: false, warm: true })
  const limitBytes = Math.floor((SERVERS * alone.usedBytes) / 1.5 / MiB) * MiB
  console.log(
    `a server alone uses ${Math.round(alone.usedBytes / MiB)} MiB; ${SERVERS} of them in ${limitBytes / MiB} MiB; ${rounds} rounds of ${seconds} s`,
  )
  // As many as have room: two thirds of four.
  const fitting = models.slice(0, Math.floor(SERVERS / 1.5))
  const outcome = {}
  for (const mmap of [false, true]) {
    const way = mmap ? 'mapped' : 'read into memory'
    outcome[way] = {
      alone: await repeat(`${fitting.length} alone, ${way}`, limitBytes, fitting, { mmap, guarded: false }),
      without: await repeat(`${SERVERS} without plimsoll, ${way}`, limitBytes, models, { mmap, guarded: false }),
      with: await repeat(`${SERVERS} with plimsoll, ${way}`, limitBytes, models, { mmap, guarded: true }),
    }
  }
  const { 'read into memory': read, mapped } = outcome
  assert.ok(read.without.oomKills > 0, 'without plimsoll the kernel kills')
  for (const each of [read, mapped]) {
    assert.deepEqual(
      [each.with.oomKills, each.with.killed, each.with.lost],
      [0, 0, 0],
      'with plimsoll nothing is killed or lost',
    )
    const ratio = each.with.perSecond / each.alone.perSecond
    console.log(
      `throughput with plimsoll: ${ratio.toFixed(2)} of that of what fits alone; major faults ${each.with.majorFaults}, ${each.without.majorFaults} without, ${each.alone.majorFaults} alone`,
    )
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
