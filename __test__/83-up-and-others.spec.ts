import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { MiB } from 'plimsoll'
import { root } from './helpers/child'
import { HOME, hasTerminal, Terminal } from './helpers/terminal'
import {
  ask,
  freePort,
  heldBytes,
  holders,
  inFoldersOfTheirOwn,
  isAlive,
  ledgerFolder,
  node,
  open,
  planOf,
  running,
  until,
  up,
} from './helpers/up'

inFoldersOfTheirOwn()

const began: { kill(signal: 'SIGKILL'): unknown }[] = []
afterEach(() => {
  for (const each of began.splice(0)) each.kill('SIGKILL')
})

/**
 * A process that is no instance of the plan, with a share of the same ledger: asks for all of the line but `restBytes`, and says so when it
 * has them. Its line is that of the plans here, which have no margin. It does not take them, and what the machine can give is not weighed.
 */
function beside(restBytes: number, priority: number): ChildProcess {
  const script = `const { MemoryManager } = require('./dist/index.js')
    const shared = { directory: ${JSON.stringify(ledgerFolder())}, processName: 'other' }
    const manager = new MemoryManager({ shared, headroom: false, safetyMarginPercent: 0 })
    const bytes = manager.budget.lineBytes - ${restBytes}
    manager.acquire({ bytes, label: 'other' }, { priority: ${priority} }).then((grant) => grant.hold())
    setInterval(() => {}, 1000)`
  const other = spawn(node, ['-e', script], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  began.push(other)
  return other
}

const other = () => holders().find(({ name }) => name === 'other')
/** Whether the process of {@link beside} has its share, or waits for it. */
const holdsBeside = () => (other()?.heldBytes ?? 0) > 0
const waitsBeside = () => Boolean(other()?.waiting)

describe('another process that needs the room', () => {
  test('has an instance stopped that has no connection and a lower priority; the next connection waits for its turn', async () => {
    const port = await freePort()
    const run = up({ chat: running('400MiB', { listen: `127.0.0.1:${port}`, priority: 1, waitTimeoutMs: '60s' }) })
    await run.until('chat', 'listening')
    const { pid } = JSON.parse((await ask(port)).text)
    const another = beside(300 * MiB, 5)
    expect((await run.until('chat', 'stopping')).message).toBe(
      'is stopped: makes room for a request of another process',
    )
    await run.until('chat', 'stopped')
    await until(holdsBeside)
    expect(isAlive(pid)).toBe(false)
    const asked = ask(port)
    await run.until('chat', 'waiting')
    expect(run.count('chat', 'starting')).toBe(1)
    another.kill('SIGKILL')
    expect((await asked).status).toBe(200)
    expect(run.count('chat', 'ready')).toBe(2)
  })

  test('waits until the last connection is closed', async () => {
    const port = await freePort()
    const run = up({ chat: running('400MiB', { listen: `127.0.0.1:${port}`, priority: 1 }) })
    await run.until('chat', 'listening')
    const held = open(port, '/hold')
    held.asked.end()
    const response = await held.answered
    beside(300 * MiB, 5)
    await until(waitsBeside)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(run.count('chat', 'stopping')).toBe(0)
    expect(holdsBeside()).toBe(false)
    response.destroy()
    await run.until('chat', 'stopped')
    await until(holdsBeside)
  })

  test('does not have one stopped that is of higher priority, or always runs', async () => {
    const port = await freePort()
    const run = up({
      always: running('200MiB', { healthPath: '/' }),
      chat: running('200MiB', { listen: `127.0.0.1:${port}`, priority: 9 }),
    })
    await run.until('always', 'ready')
    await ask(port)
    beside(300 * MiB, 5)
    await until(waitsBeside)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(run.told.filter(({ event }) => event === 'stopping')).toEqual([])
    expect(holdsBeside()).toBe(false)
  })
})

describe('where it is killed itself', () => {
  test('its instances are asked to end, and what they hold is free for the next one', async () => {
    const port = await freePort()
    const plan = {
      a: running('300MiB', { healthPath: '/' }),
      b: running('300MiB', { listen: `127.0.0.1:${port}` }),
    }
    const first = up(plan)
    await first.until('a', 'ready')
    await ask(port)
    const pids = first.told.flatMap(({ event, pid }) => (event === 'ready' && pid ? [pid] : []))
    expect(pids).toHaveLength(2)
    await first.stop('SIGKILL')
    await until(() => !pids.some(isAlive))
    await until(() => heldBytes() === 0)
    const second = up(plan)
    await second.until('a', 'ready')
    expect(second.texts.stderr).not.toContain('was killed')
  })

  test('one that does not end is killed after its time, and keeps its share until then, which the next one says', async () => {
    const command = ['sh', '-c', `trap '' TERM; while :; do sleep 0.1; done`]
    const first = up({ stubborn: { limitBytes: '400MiB', command, stopTimeoutMs: 10_000 } })
    const { pid } = await first.until('stubborn', 'ready')
    await first.stop('SIGKILL')
    expect(heldBytes()).toBe(400 * MiB)
    const second = up({ next: running('500MiB', { healthPath: '/' }) })
    await until(() => second.texts.stderr.includes('was killed'))
    const left = `process ${first.child.pid}, which ran a plan, was killed; what it started holds 400.00 MiB of the ledger`
    expect(second.texts.stderr).toContain(left)
    await until(() => !isAlive(pid as number))
    await until(() => heldBytes() === 500 * MiB)
    await second.until('next', 'ready')
  })
})

describe('an instance that says its port itself', () => {
  // After a while, as one that loads a model.
  const server = (port: number) => [
    node,
    '-e',
    `setTimeout(() => require('node:http').createServer((_, response) => response.end('it')).listen(${port}, '127.0.0.1'), 400)`,
    '--',
  ]

  test.each([
    ['--port N', (port: number) => ({ command: [...server(port), '--port', `${port}`] })],
    [
      '--port=N and --host',
      (port: number) => ({ command: [...server(port), `--port=${port}`, '--host', 'localhost'] }),
    ],
    ['PORT', (port: number) => ({ command: server(port), environment: { PORT: `${port}` } })],
  ])('by %s is ready when it accepts connections there, and no sooner', async (_, wayOf) => {
    const port = await freePort()
    const run = up({ fixed: { limitBytes: '50MiB', ...wayOf(port) }, next: running('50MiB', { healthPath: '/' }) })
    const { message, ms } = await run.until('fixed', 'ready')
    expect(message).toContain(`:${port}`)
    expect(ms).toBeGreaterThan(399)
    expect((await ask(port)).text).toBe('it')
    await run.until('next', 'ready')
  })

  test('is reached there by its connections', async () => {
    const [listen, port] = [await freePort(), await freePort()]
    const command = [...server(port), '--port', `${port}`]
    const run = up({ fixed: { limitBytes: '50MiB', command, listen: `127.0.0.1:${listen}` } })
    await run.until('fixed', 'listening')
    expect((await ask(listen)).text).toBe('it')
  })

  test('is ready once it runs where another listens there: it is the port of whom it talks to', async () => {
    const port = await freePort()
    const run = up({
      server: { limitBytes: '50MiB', command: [...server(port), '--port', `${port}`] },
      client: { limitBytes: '10MiB', command: ['sh', '-c', 'sleep 60', 'client', '--port', `${port}`] },
    })
    expect((await run.until('client', 'ready')).ms).toBeLessThan(400)
    expect(run.count('client', 'failed')).toBe(0)
  })
})

test('a client that has gone while its instance took no connection waits for nothing any more, and starts nothing', async () => {
  const port = await freePort()
  // Ready at its health path, and gone then; what is passed on to it finds nobody.
  const source = `const { createServer } = require('node:http')
    const served = createServer((_, response) => response.end('well', () => { served.close(); served.closeAllConnections() }))
    served.listen(process.env.PORT, '127.0.0.1'); setTimeout(() => process.exit(3), 700)`
  const run = up({
    fading: { limitBytes: '50MiB', command: [node, '-e', source], healthPath: '/', listen: `127.0.0.1:${port}` },
  })
  await run.until('fading', 'listening')
  const client = connect(port, '127.0.0.1')
  client.on('error', () => {})
  await once(client, 'connect')
  await run.until('fading', 'ready')
  client.resetAndDestroy()
  await run.until('fading', 'restarting')
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(run.count('fading', 'starting')).toBe(1)
})

;(hasTerminal ? describe : describe.skip)('on a terminal', () => {
  test('there is a live table of the instances with what they last said below, and q stops all', async () => {
    const port = await freePort()
    const path = planOf({
      always: running('100MiB', { healthPath: '/' }),
      chat: running('200MiB', { listen: `127.0.0.1:${port}`, restartDelayMs: '60s' }),
    })
    const terminal = new Terminal(`"${node}" dist/cli.js up "${path}" --directory "${ledgerFolder()}"`)
    began.push(terminal)
    const row = (id: string) =>
      terminal.lastFrame.map((line) => line.trim()).find((line) => line.startsWith(`${id} `)) ?? ''
    await terminal.until(() => /^always +ready/.test(row('always')) && /^chat +stopped/.test(row('chat')))
    expect(terminal.lastFrame[0]).toContain('q stops it')
    expect(row('INSTANCE').split(/ +/)).toEqual([
      'INSTANCE',
      'STATE',
      'SINCE',
      'HELD',
      'RESIDENT',
      'PROCESS',
      'CONNECTIONS',
      'RESTARTS',
      'WHERE',
      'NOTE',
    ])
    // As much of it as there are columns for.
    expect(row('chat')).toContain('127.0.0.1:')
    const held = open(port, '/hold')
    held.asked.end()
    held.answered.then((response) => response.on('error', () => {})).catch(() => {})
    await terminal.until(() => /^chat +ready +\d+ s +200\.00 MiB .* 1 +0 /.test(row('chat')))
    await terminal.until(() => terminal.lastFrame.some((line) => line.includes('chat | listens')))
    const pid = Number(/^chat +ready.* MiB +(\d+) +1 +0 /.exec(row('chat'))?.[1])
    process.kill(pid, 'SIGKILL')
    await terminal.until(() => /^chat +delayed /.test(row('chat')))
    await terminal.until(() => terminal.lastFrame.some((line) => line.includes('chat was killed by signal 9')))
    terminal.type('q')
    expect(await terminal.ended).toEqual([0, null])
    expect(terminal.output.split(HOME).length).toBeGreaterThan(4)
    expect(holders()).toEqual([])
  })
})
