import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { MiB } from 'plimsoll'
import { root, watchChild } from './helpers/child'
import { HIDE_CURSOR, hasTerminal, Terminal } from './helpers/terminal'

// A process whose files cannot be read for the moment, or a driver that does not answer: the reading of them does not end.

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-hang-'))
const hang = join(folder, 'hang.cjs')
beforeAll(() => {
  writeFileSync(
    hang,
    `const { dlopen } = process
    process.dlopen = (module, ...rest) => {
      dlopen.call(process, module, ...rest)
      for (const name of ['processes', 'gpuProcesses']) {
        if (name in module.exports) module.exports[name] = () => new Promise(() => {})
      }
    }`,
  )
})
afterAll(() => rmSync(folder, { recursive: true }))

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

test('the dashboard goes on with all other figures', async () => {
  const script = `
    const { serveDashboard } = require('./dist/dashboard.js')
    const budget = new MemoryBudget({ totalBytes: 100 * MiB })
    const dashboard = await serveDashboard({ budget, intervalMs: 100 })
    const seen = []
    for (const bytes of [MiB, 2 * MiB]) {
      budget.allocate(bytes, 'weights').hold()
      const { moment, processes } = await dashboard.state()
      seen.push([moment.allocatedBytes, processes.length])
    }
    await dashboard.close()
    return seen`
  expect(await watchChild(script, { flags: ['--require', hang] })).toEqual([
    [MiB, 0],
    [3 * MiB, 0],
  ])
})

test('the metrics have all others, at every scrape', async () => {
  const args = ['--require', hang, 'dist/cli.js', 'metrics', '--port', '0', '--json']
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const { url } = JSON.parse(String((await once(createInterface(child.stdout), 'line'))[0]))
  for (const _ of [1, 2]) {
    const text = await (await fetch(url)).text()
    expect(text).toContain('plimsoll_budget_line_bytes ')
    expect(text).not.toContain('process_memory_usage_bytes{')
  }
})

test('top goes on, and ends when it is told to', async () => {
  const args = ['--require', hang, 'dist/cli.js', 'top', '--json', '--interval', '20ms']
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  for (const _ of [1, 2]) {
    const { machine, processes } = JSON.parse((await lines.next()).value)
    expect([machine.totalBytes > 0, processes]).toEqual([true, []])
  }
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([130, null])
})

const onTerminal = hasTerminal ? test : test.skip
onTerminal('q ends top in a terminal', async () => {
  const terminal = new Terminal(`"${process.execPath}" --require ${hang} dist/cli.js top --interval 20ms`)
  try {
    await terminal.until((text) => text.includes(HIDE_CURSOR))
    terminal.type('q')
    expect(await terminal.ended).toEqual([0, null])
  } finally {
    terminal.kill()
  }
})
