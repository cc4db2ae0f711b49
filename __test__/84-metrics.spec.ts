import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { AbortError, InvalidArgumentError, IoError, MemoryBudget, MemoryManager, MiB } from 'plimsoll'
import {
  type Metric,
  metricCatalogue,
  metricsText,
  openTelemetryMetrics,
  prometheusMetrics,
  readMetrics,
  serveMetrics,
} from 'plimsoll/metrics'

import client = require('prom-client')

import { root, runNode } from './helpers/child'
import { rejectedBy } from './helpers/rejected-by'

let manager: MemoryManager
beforeEach(() => {
  manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 100 * MiB } as never)
})
afterEach(() => manager.close())

/** What grows or shrinks by itself between two reads. */
const restless = /^(?:system|process|hw)\.|^plimsoll\.(?:memory|headroom|oom|gpu)/

const still = (metrics: readonly Metric[]) => metrics.filter(({ name }) => !restless.test(name))

const pointsOf = (metrics: readonly Metric[], name: string) => metrics.find((metric) => metric.name === name)?.points

/** The lines of a text about those that stand still, in any order. */
const stillLines = (text: string) =>
  text
    .split('\n')
    .filter((line) => /^(?:# [A-Z]+ )?plimsoll_(?!memory|headroom|oom|gpu)/.test(line))
    .sort()

describe('the catalogue', () => {
  test('names each metric once, for OpenTelemetry and for Prometheus, with help and a known unit', () => {
    const names = metricCatalogue.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, prometheusName, kind, help, unit, attributes } of metricCatalogue) {
      expect(name).toMatch(/^(?:system|process|hw|plimsoll)(?:\.[a-z]+)+$/)
      expect(prometheusName).toMatch(/^[a-z_]+$/)
      expect(prometheusName.endsWith('_total')).toBe(kind === 'counter')
      expect(prometheusName.includes('_bytes')).toBe(unit === 'By')
      expect(help).toMatch(/^[A-Z].*\.$/)
      for (const attribute of attributes)
        expect(attribute).toMatch(/^(?:error|system|process|hw|plimsoll)(?:\.[a-z]+)+$/)
    }
  })

  test('is on the page of the docs, every metric with all that is known of it', () => {
    const page = readFileSync(join(root, 'docs/metrics.md'), 'utf8')
    const lines = page.split('\n').filter((line) => /^\| `[a-z]+\.[a-z.]+` \| `[a-z_]+` \|/.test(line))
    const rows = lines.map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    expect(rows).toEqual(
      metricCatalogue.map(({ name, prometheusName, unit, attributes, kind, help }) => [
        `\`${name}\``,
        `\`${prometheusName}\``,
        unit === '' ? '' : `\`${unit}\``,
        attributes.map((attribute) => `\`${attribute}\``).join(', '),
        kind,
        help,
      ]),
    )
  })
})

test.each(['docs/grafana.json', 'docs/alerts.yml'])('%s asks for metrics of the catalogue alone', (path) => {
  const known = new Set(metricCatalogue.map(({ prometheusName }) => prometheusName))
  const asked =
    readFileSync(join(root, path), 'utf8').match(/\b(?:plimsoll|system|process|hw)_\w+(?=[\s{[)"]|\\|$)/gm) ?? []
  const labels = new Set(
    metricCatalogue.flatMap(({ attributes }) => attributes.map((name) => name.replaceAll('.', '_'))),
  )
  expect(asked.length).toBeGreaterThan(5)
  expect(asked.filter((name) => !known.has(name) && !labels.has(name))).toEqual([])
})

describe('what is read', () => {
  test('is what the API gives: the machine, the budget by label, the queue and the pools', async () => {
    using _weights = manager.budget.allocate(30 * MiB, 'weights')
    using _more = manager.budget.allocate(10 * MiB, 'weights')
    using _cache = manager.budget.allocate(20 * MiB, 'kv "cache"\n')
    const waits = rejectedBy(AbortError, manager.acquire({ bytes: 70 * MiB, label: 'later' }))
    const pool = await manager.pools.create({ device: 'host', slabBytes: 4 * MiB, label: 'kv' } as never)
    await pool.reserve(4 * MiB)
    using _buffer = pool.allocate(MiB)
    const metrics = await readMetrics({ manager })
    expect(pointsOf(metrics, 'system.memory.limit')).toEqual([{ attributes: {}, value: expect.any(Number) }])
    expect(pointsOf(metrics, 'plimsoll.budget.line')).toEqual([{ attributes: {}, value: manager.budget.lineBytes }])
    expect(pointsOf(metrics, 'plimsoll.budget.allocated')?.[0]?.value).toBe(manager.budget.allocatedBytes)
    expect(pointsOf(metrics, 'plimsoll.budget.label')).toEqual(
      expect.arrayContaining([
        { attributes: { 'plimsoll.label': 'weights' }, value: 40 * MiB },
        { attributes: { 'plimsoll.label': 'kv "cache"\n' }, value: 20 * MiB },
      ]),
    )
    expect(pointsOf(metrics, 'plimsoll.queue.waiting')?.[0]?.value).toBe(1)
    expect(pointsOf(metrics, 'plimsoll.queue.wanted')?.[0]?.value).toBe(70 * MiB)
    const of = { 'plimsoll.pool': pool.label, 'plimsoll.device': pool.device.name }
    const { heldBytes, usedBytes, largestFreeBytes } = pool.stats()
    expect(pointsOf(metrics, 'plimsoll.pool.held')).toEqual([{ attributes: of, value: heldBytes }])
    expect(pointsOf(metrics, 'plimsoll.pool.used')).toEqual([{ attributes: of, value: usedBytes }])
    expect(pointsOf(metrics, 'plimsoll.pool.hole')).toEqual([{ attributes: of, value: largestFreeBytes }])
    // Nobody has looked until the monitor runs.
    expect(pointsOf(metrics, 'plimsoll.level')).toBeUndefined()
    manager.monitor.start()
    expect(pointsOf(await readMetrics({ manager }), 'plimsoll.level')?.[0]?.value).toBeGreaterThanOrEqual(0)
    manager.monitor.stop()
    manager.admission.close()
    await waits
  })

  test('counts what the budget refuses, by the code of the error, and nothing that another refuses', async () => {
    const counts = async () =>
      Object.fromEntries(
        (pointsOf(await readMetrics({ manager }), 'plimsoll.refusals') ?? []).map(({ attributes, value }) => [
          attributes['error.type'],
          value,
        ]),
      )
    expect(await counts()).toEqual({ ERR_INSUFFICIENT_MEMORY: 0, ERR_NEVER_FITS: 0, ERR_TIMEOUT: 0, ERR_BUSY: 0 })
    using _weights = manager.budget.allocate(90 * MiB, 'weights')
    const other = MemoryBudget.forThisMachine({ isolated: true, headroom: false, maxBytes: MiB } as never)
    for (const budget of [manager.budget, manager.budget, other]) {
      expect(() => budget.allocate(20 * MiB, 'more')).toThrow()
    }
    await expect(manager.acquire({ bytes: 200 * MiB, label: 'much' })).rejects.toThrow()
    await expect(manager.acquire({ bytes: 20 * MiB, label: 'later' }, { timeoutMs: 1 })).rejects.toThrow()
    manager.admission.maxWaiting = 0
    await expect(manager.acquire({ bytes: 20 * MiB, label: 'full' })).rejects.toThrow()
    expect(await counts()).toEqual({ ERR_INSUFFICIENT_MEMORY: 2, ERR_NEVER_FITS: 1, ERR_TIMEOUT: 1, ERR_BUSY: 1 })
  })

  test('has no more labels than were asked for; the others are one', async () => {
    const all = Array.from({ length: 5 }, (_, at) => manager.budget.allocate((at + 1) * MiB, `label ${at}`))
    const points = pointsOf(await readMetrics({ manager, maxLabels: 2 }), 'plimsoll.budget.label')
    expect(points).toEqual([
      { attributes: { 'plimsoll.label': 'label 4' }, value: 5 * MiB },
      { attributes: { 'plimsoll.label': 'label 3' }, value: 4 * MiB },
      { attributes: { 'plimsoll.label': '(other)' }, value: 6 * MiB },
    ])
    for (const each of all) each.release()
  })

  test('tells who shares the ledger', async () => {
    const directory = mkdtempSync(join('/dev/shm', 'plimsoll-'))
    try {
      await using sharing = new MemoryManager({ shared: { directory, processName: 'a server', force: true } } as never)
      using taken = sharing.budget.allocate(MiB, 'weights')
      const expected = [
        { attributes: { 'plimsoll.holder': 'a server', 'process.pid': `${process.pid}` }, value: taken.sizeBytes },
      ]
      expect(pointsOf(await readMetrics({ manager: sharing }), 'plimsoll.ledger.held')).toEqual(expected)
      expect(pointsOf(await readMetrics({ ledger: { directory } }), 'plimsoll.ledger.held')).toEqual(expected)
      expect(pointsOf(await readMetrics({ manager: sharing, ledger: false }), 'plimsoll.ledger.held')).toBeUndefined()
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('of a manager that was closed is its budget alone', async () => {
    await manager.close()
    const metrics = await readMetrics({ manager })
    expect(pointsOf(metrics, 'plimsoll.budget.line')).toHaveLength(1)
    expect(pointsOf(metrics, 'plimsoll.queue.waiting')).toBeUndefined()
  })

  test('is text only where it is metrics', () => {
    for (const wrong of [undefined, 7, [7], [{}], [{ prometheusName: 'x', help: '', points: [{}] }]]) {
      expect(() => metricsText(wrong as never)).toThrow(InvalidArgumentError)
    }
    expect(metricsText([])).toBe('')
  })

  test('is refused by name for a misspelt or unfit option', async () => {
    for (const options of [
      { manger: manager },
      { manager: {} },
      { budget: 7 },
      { ledger: 7 },
      { ledger: { nam: 'x' } },
    ]) {
      await rejectedBy(InvalidArgumentError, readMetrics(options as never))
    }
  })
})

describe('prom-client', () => {
  test('gives the text that this package gives', async () => {
    using _weights = manager.budget.allocate(30 * MiB, 'a "label"\\ of\ntwo lines')
    const registry = new client.Registry()
    using _metrics = prometheusMetrics(client, { manager, registry })
    const text = await registry.metrics()
    // prom-client also names those that have no values.
    const ours = stillLines(metricsText(await readMetrics({ manager })))
    expect(stillLines(text)).toEqual(expect.arrayContaining(ours))
    expect(stillLines(text).filter((line) => !line.startsWith('#'))).toEqual(
      ours.filter((line) => !line.startsWith('#')),
    )
    expect(text).toContain('plimsoll_budget_label_bytes{plimsoll_label="a \\"label\\"\\\\ of\\ntwo lines"} 31457280')
  })

  test('follows what changes, and lets go when it is disposed of', async () => {
    const registry = new client.Registry()
    const metrics = prometheusMetrics(client, { manager, registry })
    const allocated = async () => (await registry.getSingleMetric('plimsoll_budget_label_bytes')?.get())?.values
    expect(await allocated()).toEqual([])
    const taken = manager.budget.allocate(MiB, 'weights')
    expect(await allocated()).toMatchObject([{ value: MiB, labels: { plimsoll_label: 'weights' } }])
    taken.release()
    expect(await allocated()).toEqual([])
    metrics[Symbol.dispose]()
    expect(registry.getMetricsAsArray()).toEqual([])
  })

  test('registers all or nothing where a name is taken', () => {
    const registry = new client.Registry()
    new client.Gauge({ name: 'plimsoll_headroom_bytes', help: 'mine', registers: [registry] })
    expect(() => prometheusMetrics(client, { manager, registry })).toThrow(/already been registered/)
    expect(registry.getMetricsAsArray()).toHaveLength(1)
  })

  test('what is not prom-client is refused', () => {
    for (const wrong of [undefined, {}, manager, null]) {
      expect(() => prometheusMetrics(wrong as never, { manager })).toThrow(InvalidArgumentError)
    }
  })
})

describe('OpenTelemetry', () => {
  test('collects every metric with its unit, kind and attributes', async () => {
    using _weights = manager.budget.allocate(30 * MiB, 'weights')
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const provider = new MeterProvider({ readers: [reader] })
    const metrics = openTelemetryMetrics(provider.getMeter('test'), { manager })
    await provider.forceFlush()
    const [collected] = exporter.getMetrics()[0]?.scopeMetrics ?? []
    const found = new Map(collected?.metrics.map((metric) => [metric.descriptor.name, metric]))
    for (const { name, unit, help, points } of still(await readMetrics({ manager }))) {
      const metric = found.get(name)
      expect(metric?.descriptor).toMatchObject({ unit, description: help })
      expect(metric?.dataPoints.map(({ attributes, value }) => ({ attributes, value }))).toEqual(points)
    }
    // What was collected last stays with the SDK, but nothing is read any more.
    metrics[Symbol.dispose]()
    exporter.reset()
    using _later = manager.budget.allocate(MiB, 'later')
    await provider.forceFlush()
    expect(JSON.stringify(exporter.getMetrics())).not.toContain('later')
    await provider.shutdown()
  })

  test('what has gone is nothing: labels, pools and processes that come and go do not add up', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const provider = new MeterProvider({ readers: [reader] })
    using _metrics = openTelemetryMetrics(provider.getMeter('test'), { manager })
    const sums = async (): Promise<Record<string, number>> => {
      exporter.reset()
      await provider.forceFlush()
      const all = exporter.getMetrics()[0]?.scopeMetrics[0]?.metrics ?? []
      const sum = (points: readonly { value: unknown }[]) =>
        points.reduce((total, { value }) => total + Number(value), 0)
      return Object.fromEntries(all.map(({ descriptor: { name }, dataPoints }) => [name, sum(dataPoints)]))
    }
    for (let at = 0; at < 5; at++) {
      const grant = manager.budget.allocate(10 * MiB, `request ${at}`)
      const pool = await manager.pools.create({
        device: 'host',
        slabBytes: MiB,
        initialBytes: MiB,
        label: `pool ${at}`,
      })
      pool.allocate(1024).release()
      const { 'plimsoll.budget.label': labels, 'plimsoll.pool.held': heldBytes } = await sums()
      expect([labels, heldBytes]).toEqual([manager.budget.allocatedBytes, MiB])
      grant.release()
      await pool.close()
    }
    expect(await sums()).toMatchObject({
      'plimsoll.budget.label': manager.budget.allocatedBytes,
      'plimsoll.pool.held': 0,
      'plimsoll.pool.allocations': 5,
    })
    await provider.shutdown()
  })

  test('what is no meter is refused', () => {
    for (const wrong of [undefined, {}, manager]) {
      expect(() => openTelemetryMetrics(wrong as never, { manager })).toThrow(InvalidArgumentError)
    }
  })
})

test('what pools have done never shrinks, though they are closed', async () => {
  const counted = async () => {
    const metrics = await readMetrics({ manager })
    return pointsOf(metrics, 'plimsoll.pool.allocations')?.map(({ value }) => value)
  }
  const makePool = () => manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
  const [one, other] = [await makePool(), await makePool()]
  for (const pool of [one, one, other]) pool.allocate(1024).release()
  expect(await counted()).toEqual([3])
  await one.close()
  expect(await counted()).toEqual([3])
  await other.close()
  expect(await counted()).toEqual([3])
  using _buffer = (await makePool()).allocate(1024)
  expect(await counted()).toEqual([4])
})

/** The status and the text that a server answers to who calls it by this name. */
const ask = (port: number, path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, headers, method }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode, text }))
    })
    call.on('error', reject).end()
  })

describe('the server', () => {
  test('serves /metrics to who calls it by the name of this machine, and to nobody else', async () => {
    await using server = await serveMetrics({ manager })
    const { status, text } = await ask(server.port, '/metrics')
    expect(status).toBe(200)
    expect(text).toContain(`plimsoll_budget_line_bytes ${manager.budget.lineBytes}\n`)
    for (const host of ['attacker.example', `attacker.example:${server.port}`, '127.0.0.1.attacker.example']) {
      const refused = await ask(server.port, '/metrics', { host })
      expect(refused.status).not.toBe(200)
      expect(refused.text).not.toContain('plimsoll_')
    }
    expect((await rejectedBy(IoError, serveMetrics({ port: server.port }))).errnoName).toBe('EADDRINUSE')
    expect(await ask(server.port, '/')).toMatchObject({ status: 404 })
    expect(await ask(server.port, '/metrics', {}, 'POST')).toMatchObject({ status: 405 })
    expect(await ask(server.port, '/metrics', { host: `localhost:${server.port}` })).toMatchObject({ status: 200 })
  })
})

describe('plimsoll metrics', () => {
  test('has all else where the ledger cannot be trusted, and tells that nothing can be granted by it', () => {
    const directory = mkdtempSync('/dev/shm/plimsoll-')
    try {
      chmodSync(directory, 0o777)
      const { status, stdout, stderr } = runNode(['dist/cli.js', 'metrics', '--directory', directory])
      expect({ status, ofHolders: stdout.includes('plimsoll_ledger_held') }).toEqual({ status: 0, ofHolders: false })
      for (const line of ['plimsoll_ledger_readable 0', 'plimsoll_budget_available_bytes 0']) {
        expect(stdout).toContain(`\n${line}\n`)
      }
      expect(stdout).toContain('system_memory_limit_bytes ')
      expect(stderr).toMatch(/^plimsoll metrics: .* mode 0777/)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('prints the text once, and with --json the same as a document', () => {
    const plain = runNode(['dist/cli.js', 'metrics', '--max', '64MiB'])
    expect(plain).toMatchObject({ status: 0, stderr: '' })
    expect(plain.stdout).toContain(`plimsoll_budget_line_bytes ${64 * MiB}\n`)
    expect(plain.stdout).toMatch(
      /^process_memory_usage_bytes\{process_pid="\d+",process_executable_name="node"\} \d+$/m,
    )
    const { metrics } = JSON.parse(runNode(['dist/cli.js', 'metrics', '--json']).stdout) as { metrics: Metric[] }
    expect(pointsOf(metrics, 'system.memory.limit')?.[0]?.value).toBe(MemoryBudget.forThisMachine().totalBytes)
  })

  test.each([
    ['SIGTERM', 0],
    ['SIGINT', 130],
  ] as const)('serves until %s and ends with %i', async (signal, code) => {
    const child = spawn(process.execPath, ['dist/cli.js', 'metrics', '--port', '0', '--json'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const [line] = await once(child.stdout, 'data')
      const { url } = JSON.parse(String(line))
      expect(await (await fetch(url)).text()).toContain('system_memory_limit_bytes ')
      child.kill(signal)
      expect(await once(child, 'exit')).toEqual([code, null])
    } finally {
      child.kill('SIGKILL')
    }
  })

  test('a port that is taken ends with 4', async () => {
    await using server = await serveMetrics({ manager })
    const { status, stderr } = runNode(['dist/cli.js', 'metrics', '--port', `${server.port}`])
    expect(status).toBe(4)
    expect(stderr).toContain('EADDRINUSE')
  })
})

test('the package itself loads none of it', () => {
  const script = `require('plimsoll'); console.log(JSON.stringify(Object.keys(require.cache)))`
  const loaded = JSON.parse(runNode(['-e', script]).stdout) as string[]
  expect(loaded.filter((path) => /metrics|prom-client|opentelemetry|dashboard|uplot/.test(path))).toEqual([])
})
