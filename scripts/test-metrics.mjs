#!/usr/bin/env node
// A real Prometheus scrapes what `plimsoll metrics` serves, is asked for it, and checks the rules of docs/alerts.yml and the queries of
// docs/grafana.json. It is Debian's package `prometheus`, which is installed where it is missing and this user may.
//
//     npm run test:metrics

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RULES = join(ROOT, 'docs', 'alerts.yml')
const require = createRequire(join(ROOT, 'package.json'))
const { MemoryManager, MiB } = require('plimsoll')
const { metricsText, readMetrics } = require('plimsoll/metrics')

function installed() {
  if (spawnSync('promtool', ['--version']).status === 0) return
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'prometheus']]) {
    const { status } = spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    assert.equal(status, 0, `expected Debian's package prometheus, but apt-get ${args[0]} failed`)
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

const plimsoll = (...args) => spawnSync(process.execPath, ['dist/cli.js', ...args], { cwd: ROOT, encoding: 'utf8' })

let folder
let base
const children = []

before(() => start().catch(stop))

after(() => stop())

async function start() {
  installed()
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-metrics-'))
  const exporter = spawn(process.execPath, ['dist/cli.js', 'metrics', '--port', '0', '--json'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(exporter)
  const [line] = await once(exporter.stdout, 'data')
  const { host } = new URL(JSON.parse(String(line)).url)
  writeFileSync(
    join(folder, 'prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [RULES],
      scrape_configs: [{ job_name: 'plimsoll', static_configs: [{ targets: [host] }] }],
    }),
  )
  const port = await freePort()
  base = `http://127.0.0.1:${port}`
  const flags = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`]
  const address = `--web.listen-address=127.0.0.1:${port}`
  const prometheus = spawn('prometheus', [...flags, address, '--log.level=error'], { stdio: ['ignore', 2, 2] })
  children.push(prometheus)
  await until(async () => {
    assert.equal(prometheus.exitCode, null, 'expected Prometheus to run on')
    return (await query('up{job="plimsoll"}').catch(() => []))[0]?.value[1] === '1'
  })
}

/** Ends what was started. A test that is not to go on ends by the error. */
async function stop(error) {
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')))
  rmSync(folder, { recursive: true, force: true })
  if (error) throw error
}

async function until(isSo) {
  for (const end = Date.now() + 60_000; ; await later(250)) {
    if (await isSo()) return
    assert(Date.now() < end, 'expected it to be so within a minute')
  }
}

const get = async (path) => (await (await fetch(`${base}/api/v1/${path}`)).json()).data
const query = async (text) => (await get(`query?query=${encodeURIComponent(text)}`)).result

/** What promtool says against a text. */
function faultsIn(input) {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
  return { status, said: stdout + stderr }
}

test('promtool finds no fault in the text of the machine', () => {
  assert.deepEqual(faultsIn(plimsoll('metrics').stdout), { status: 0, said: '' })
})

test('promtool finds no fault in the text of a server, whatever its labels are', async (t) => {
  const manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 64 * MiB })
  t.after(() => manager.close())
  for (const label of ['weights', 'a "label"\\ of\ntwo lines', 'x'.repeat(2 ** 20)]) manager.budget.hold(MiB, label)
  await manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, label: 'kv' })
  await assert.rejects(manager.acquire({ bytes: 128 * MiB, label: 'much' }))
  const metrics = await readMetrics({ manager, processes: true })
  assert(metrics.some(({ name }) => name === 'plimsoll.pool.held'))
  const text = metricsText(metrics)
  assert(text.length < 64 * 1024, `expected a text that does not grow with a label, got ${text.length} bytes`)
  assert.deepEqual(faultsIn(text), { status: 0, said: '' })
})

test('promtool takes the rules', () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /8 rules found/)
})

test('refusals raise an alert for each type, and none where there were none', () => {
  const labels = 'instance="board:9464", job="plimsoll"'
  const series = (type, values) => ({ series: `plimsoll_refusals_total{${labels}, error_type="${type}"}`, values })
  const alert = {
    exp_labels: { severity: 'warning', instance: 'board:9464', job: 'plimsoll', error_type: 'ERR_NEVER_FITS' },
    exp_annotations: {
      summary: 'Requests for memory of board:9464 that were refused with ERR_NEVER_FITS in 5 minutes: 3.',
    },
  }
  const path = join(folder, 'refusals.json')
  const about = { eval_time: '6m', alertname: 'PlimsollRefusals', exp_alerts: [alert] }
  const later = { ...about, eval_time: '12m', exp_alerts: [] }
  const input_series = [series('ERR_NEVER_FITS', '0 0 0 3x12'), series('ERR_TIMEOUT', '7x15')]
  const tests = [{ interval: '1m', input_series, alert_rule_test: [about, later] }]
  writeFileSync(path, JSON.stringify({ rule_files: [RULES], evaluation_interval: '1m', tests }))
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', path], { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
})

test('alerts are raised by scrapes a minute apart, each by what it is about and not by what is as it should be', () => {
  const labels = 'instance="board:9464", job="plimsoll"'
  /** Whether an alert fires by the first values of a series, and not by the second. */
  const raised = (alertname, name, attributes, both, others = []) =>
    both.map((values, at) => ({
      alertname,
      count: 1 - at,
      input_series: [{ series: `${name}{${[labels, ...attributes].join(', ')}}`, values }, ...others],
    }))
  const line = { series: `plimsoll_budget_line_bytes{${labels}}`, values: '1000x20' }
  const cases = [
    ...raised(
      'PlimsollStalled',
      'plimsoll_memory_stalled_seconds_total',
      ['plimsoll_stall="full"'],
      ['0+40x20', '0+1x20'],
    ),
    ...raised('PlimsollHeadroomLow', 'plimsoll_headroom_bytes', [], ['40x20', '60x20'], [line]),
    ...raised('PlimsollLedgerUnreadable', 'plimsoll_ledger_readable', [], ['0x20', '1x20']),
    ...raised('PlimsollLevelCritical', 'plimsoll_level', [], ['2x20', '1x20']),
    ...raised('PlimsollDrainStuck', 'plimsoll_ledger_draining_bytes', [], ['5x20', '0x20']),
  ]
  const tests = cases.map(({ alertname, count, input_series }) => ({
    interval: '1m',
    input_series,
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alertname}", alertstate="firing"}) or vector(0)`,
        eval_time: '12m30s',
        exp_samples: [{ labels: '{}', value: count }],
      },
    ],
  }))
  const path = join(folder, 'alerts.json')
  writeFileSync(path, JSON.stringify({ rule_files: [RULES], evaluation_interval: '15s', tests }))
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', path], { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
})

test('what Prometheus tells is what the command line tells', async () => {
  const { metrics } = JSON.parse(plimsoll('metrics', '--json').stdout)
  for (const name of ['system.memory.limit', 'plimsoll.budget.line']) {
    const { prometheusName, points } = metrics.find((metric) => metric.name === name)
    const [{ value }] = await query(prometheusName)
    assert.equal(Number(value[1]), points[0].value)
  }
  const known = await get('label/__name__/values')
  for (const { prometheusName } of metrics) assert(known.includes(prometheusName), prometheusName)
})

test('the rules are evaluated, each without an error', async () => {
  await until(async () => (await get('rules')).groups[0]?.rules.every(({ health }) => health === 'ok'))
})

test('every query of the Grafana dashboard is taken', async () => {
  const { panels } = JSON.parse(readFileSync(join(ROOT, 'docs', 'grafana.json'), 'utf8'))
  for (const { expr } of panels.flatMap(({ targets }) => targets)) {
    const text = expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '4m')
    const response = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(text)}`)
    assert.equal((await response.json()).status, 'success', text)
  }
})

test('the exporter ends with 0 when it is asked to', async () => {
  const [exporter] = children
  exporter.kill('SIGTERM')
  const [code] = await once(exporter, 'exit')
  assert.equal(code, 0)
})
