import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { MiB } from 'plimsoll'
import { runNode } from './helpers/child'
import {
  ask,
  fileOf,
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

describe('a plan that is started', () => {
  test('starts one after the other, each with its share, and stops clean', async () => {
    const run = up({
      first: running('100MiB', { healthPath: '/health', environment: { AFTER: '100' } }),
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how a plan writes it.
      second: { limitBytes: '50MiB', command: [node, 'server.js', '--port=${PORT}'] },
      worker: { limitBytes: '10MiB', command: 'sleep 60' },
    })
    await run.until('worker', 'ready')
    const order = run.told
      .filter(({ event }) => event !== 'waiting')
      .map(({ instance, event }) => `${instance} ${event}`)
    expect(order).toEqual(['first', 'second', 'worker'].flatMap((id) => [`${id} starting`, `${id} ready`]))
    expect(heldBytes()).toBe(160 * MiB)
    expect(holders()).toMatchObject([{ name: 'plimsoll up', pid: run.child.pid }])
    expect(run.texts.stderr).toContain('first | listens\n')
    const port = Number(/:(\d+)$/.exec((await run.until('second', 'ready')).message)?.[1])
    expect(JSON.parse((await ask(port)).text)).toMatchObject({ slice: `${50 * MiB}`, args: [`--port=${port}`] })
    const pids = run.told.flatMap(({ pid }) => pid ?? [])
    expect(await run.stop('SIGTERM')).toMatchObject({ code: 0 })
    expect(pids.filter(isAlive)).toEqual([])
    expect(holders()).toEqual([])
    expect(run.told.at(-1)).toMatchObject({ event: 'summary', instances: [{ state: 'stopped' }, {}, {}] })
  })

  test('one that does not end is killed after its time, with all that it has started', async () => {
    const command = ['sh', '-c', `trap '' TERM; sleep 60 & echo left $!; wait; sleep 60`]
    const run = up({ stubborn: { limitBytes: '10MiB', command, stopTimeoutMs: 200 } })
    await until(() => run.texts.stderr.includes('left'))
    const left = Number(/left (\d+)/.exec(run.texts.stderr)?.[1])
    expect(await run.stop('SIGINT')).toMatchObject({ code: 0 })
    expect(isAlive(left)).toBe(false)
    expect(run.of('stubborn').at(-1)).toMatchObject({ event: 'stopped', exitCode: 137 })
    expect(holders()).toEqual([])
  })

  test('one that is killed is started again, and the others go on', async () => {
    const run = up({
      a: running('50MiB', { healthPath: '/', restartDelayMs: 20 }),
      b: running('50MiB', { healthPath: '/' }),
    })
    const { pid } = await run.until('a', 'ready')
    await run.until('b', 'ready')
    process.kill(pid as number, 'SIGKILL')
    expect(await run.until('a', 'restarting')).toMatchObject({ exitCode: 137, ms: 20 })
    const again = await run.until('a', 'ready', 2)
    expect(again.pid).not.toBe(pid)
    expect(run.count('b', 'starting')).toBe(1)
    expect(heldBytes()).toBe(100 * MiB)
  })

  test('one that dies at once waits twice as long each time, and is left alone after its last try', async () => {
    const dying = {
      environment: { DIES: '5' },
      restartDelayMs: 10,
      maxRestartDelayMs: 25,
      maxRestarts: 3,
      healthPath: '/',
    }
    const run = up({ bad: running('50MiB', dying), good: running('50MiB', { healthPath: '/' }) })
    await run.until('bad', 'failed')
    await run.until('good', 'ready')
    expect(run.of('bad').flatMap(({ event, ms }) => (event === 'restarting' ? [ms] : []))).toEqual([10, 20, 25])
    expect((await run.until('bad', 'failed')).message).toBe(
      'has ended with code 5, after 3 restarts; it is left alone now',
    )
    await until(() => heldBytes() === 50 * MiB)
  })

  test('one that never becomes ready is stopped, and the next is started', async () => {
    const run = up({
      never: { limitBytes: '10MiB', command: 'sleep 60', healthPath: '/', startTimeoutMs: 200, restart: 'no' },
      good: running('50MiB', { healthPath: '/' }),
    })
    expect((await run.until('never', 'failed')).message).toBe('is not ready after 200 ms, and was stopped')
    await run.until('good', 'ready')
  })

  test('it ends by itself once nothing can run any more: with 0 where all has ended well, else with 4', async () => {
    const well = up({ a: { limitBytes: '1MiB', command: 'true' }, b: { limitBytes: '1MiB', command: 'true' } })
    expect((await well.ended).code).toBe(0)
    expect(well.told.at(-1)).toMatchObject({ instances: [{ state: 'ended' }, { state: 'ended' }] })
    const ill = up({
      a: { limitBytes: '1MiB', command: 'true' },
      b: { limitBytes: '1MiB', command: 'false', restart: 'no' },
    })
    expect((await ill.ended).code).toBe(4)
    expect(holders()).toEqual([])
  })
})

describe('an instance with a listen address', () => {
  test('is started at the first connection, and passes bytes both ways, streams among them', async () => {
    const port = await freePort()
    const run = up({ chat: running('100MiB', { listen: `127.0.0.1:${port}`, environment: { AFTER: '100' } }) })
    await run.until('chat', 'listening')
    expect(heldBytes()).toBe(0)
    const answers = await Promise.all([ask(port), ask(port), ask(port, '/stream')])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(answers[2]?.text).toBe(Array.from({ length: 20 }, (_, i) => `token ${i}\n`).join(''))
    expect(run.count('chat', 'starting')).toBe(1)
    const large = 'x'.repeat(8 * MiB)
    expect((await ask(port, '/', large)).text === large).toBe(true)
    expect(heldBytes()).toBe(100 * MiB)
  })

  test('a client that has closed its half has its answer, and no more is read for it than it takes', async () => {
    const port = await freePort()
    // Writes without end, as fast as it is read; counts what it could write.
    const source = `require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
      let sent = 0
      const more = () => { while (socket.write(Buffer.alloc(65536))) sent += 65536; sent += 65536; console.log('sent', sent) }
      socket.on('data', (data) => { if (data.includes('flood')) { socket.on('drain', more); more() } })
      socket.on('end', () => socket.end('after your end'))
      socket.on('error', () => {})
    }).listen(process.env.PORT, '127.0.0.1')`
    const run = up({ raw: { limitBytes: '50MiB', command: [node, '-e', source], listen: `:${port}` } })
    await run.until('raw', 'listening')
    const half = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    half.end('hello')
    let text = ''
    for await (const part of half) text += part
    expect(text).toBe('after your end')
    const slow = connect(port, '127.0.0.1')
    slow.write('flood')
    await until(() => run.texts.stderr.includes('sent'))
    let before = -1
    const sent = () => Number(/sent (\d+)\n$/.exec(run.texts.stderr)?.[1] ?? 0)
    while (sent() !== before) {
      before = sent()
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    // What the sockets' buffers take, and no more.
    expect(sent()).toBeLessThan(64 * MiB)
    slow.destroy()
  })

  test('is stopped after its idle time, and started again at the next connection', async () => {
    const port = await freePort()
    const run = up({ chat: running('100MiB', { listen: `127.0.0.1:${port}`, idleTimeoutMs: 100 }) })
    await run.until('chat', 'listening')
    const first = JSON.parse((await ask(port)).text)
    expect((await run.until('chat', 'stopping')).message).toBe('is stopped: had no connection for 0.1 s')
    await run.until('chat', 'stopped')
    await until(() => heldBytes() === 0)
    expect(isAlive(first.pid)).toBe(false)
    expect(JSON.parse((await ask(port)).text).pid).not.toBe(first.pid)
  })

  test('is not stopped while it has a connection, whatever its idle time', async () => {
    const port = await freePort()
    const run = up({ chat: running('100MiB', { listen: `127.0.0.1:${port}`, idleTimeoutMs: 50 }) })
    await run.until('chat', 'listening')
    expect((await ask(port, '/stream')).text).toContain('token 19')
    await run.until('chat', 'stopped')
    expect(run.count('chat', 'starting')).toBe(1)
  })

  test('gives way to one of higher priority, once it has no connection', async () => {
    const [low, high] = [await freePort(), await freePort()]
    const run = up({
      low: running('400MiB', { listen: `127.0.0.1:${low}`, priority: 1 }),
      high: running('400MiB', { listen: `127.0.0.1:${high}`, priority: 5 }),
    })
    await run.until('high', 'listening')
    const held = open(low, '/hold')
    held.asked.end()
    const response = await held.answered
    const asked = ask(high)
    await run.until('high', 'waiting')
    expect(run.count('low', 'stopping')).toBe(0)
    response.destroy()
    expect((await asked).status).toBe(200)
    expect((await run.until('low', 'stopping')).message).toBe('is stopped: makes room for high')
    await run.until('low', 'stopped')
    expect(heldBytes()).toBe(400 * MiB)
  })

  test('is answered for with 503 and the typed error past its time, and leaves the queue', async () => {
    const [low, high] = [await freePort(), await freePort()]
    const run = up({
      busy: running('400MiB', { listen: `127.0.0.1:${high}`, priority: 5 }),
      late: running('400MiB', { listen: `127.0.0.1:${low}`, waitTimeoutMs: 300 }),
    })
    await run.until('late', 'listening')
    await ask(high)
    const { status, headers, text } = await ask(low, '/v1/models')
    expect(status).toBe(503)
    expect(headers).toMatchObject({ 'retry-after': '10', 'content-type': 'application/json; charset=utf-8' })
    expect(JSON.parse(text).error).toMatchObject({
      type: 'server_error',
      code: 'ERR_TIMEOUT',
      param: null,
      what: 'late',
      timeoutMs: 300,
      requestedBytes: 400 * MiB,
    })
    await until(() => holders().every(({ waiting }) => !waiting))
    expect(run.count('late', 'starting')).toBe(0)
  })

  test('that dies again and again is answered for with 503, and when it may be there again', async () => {
    const port = await freePort()
    // Nobody waits for what is not tried before they are told that it was not there.
    const dying = { environment: { DIES: '5' }, restartDelayMs: 900_000, maxRestartDelayMs: 900_000 }
    const run = up({ bad: running('50MiB', { ...dying, waitTimeoutMs: 600_000, listen: `127.0.0.1:${port}` }) })
    await run.until('bad', 'listening')
    for (const { status, headers, text } of [await ask(port), await ask(port)]) {
      expect(status).toBe(503)
      expect(Number(headers['retry-after'])).toBeGreaterThan(800)
      expect(JSON.parse(text).error).toMatchObject({ code: 'ERR_INSTANCE', instance: 'bad' })
    }
    expect(run.count('bad', 'starting')).toBe(1)
  })

  test('whose connection breaks off by its death breaks the connection of the client', async () => {
    const port = await freePort()
    const run = up({ chat: running('50MiB', { listen: `127.0.0.1:${port}`, restartDelayMs: 10 }) })
    await run.until('chat', 'listening')
    const failure = await ask(port, '/die').catch((error: NodeJS.ErrnoException) => error.code)
    expect(failure).toBe('ECONNRESET')
    await run.until('chat', 'restarting')
    expect((await ask(port)).status).toBe(200)
    expect(run.count('chat', 'starting')).toBe(2)
  })

  test('whose port is taken fails, and the others go on', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const run = up({
      blocked: running('50MiB', { listen: `127.0.0.1:${port}` }),
      good: running('50MiB', { healthPath: '/' }),
    })
    expect((await run.until('blocked', 'failed')).message).toMatch(
      /^cannot be reached at 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    )
    await run.until('good', 'ready')
    taken.close()
  })

  test('a connection that waits is answered when all is stopped, and a stream ends with its server', async () => {
    const [a, b] = [await freePort(), await freePort()]
    const run = up({
      slow: running('50MiB', { listen: `127.0.0.1:${a}`, environment: { AFTER: '60000' } }),
      chat: running('50MiB', { listen: `127.0.0.1:${b}` }),
    })
    await run.until('chat', 'listening')
    const waiting = ask(a)
    const held = open(b, '/hold')
    held.asked.end()
    const response = await held.answered
    response.on('error', () => {})
    const closed = new Promise((resolve) => response.once('close', resolve))
    await run.until('slow', 'starting')
    run.child.kill('SIGTERM')
    expect(await waiting).toMatchObject({ status: 503, text: expect.stringContaining('slow is being stopped') })
    await closed
    expect((await run.ended).code).toBe(0)
    expect(holders()).toEqual([])
  })
})

describe('a plan that does not fit', () => {
  const check = (path: string, ...more: string[]) =>
    runNode(['dist/cli.js', 'up', path, '--directory', ledgerFolder(), ...more])

  test('is not started: the report, and 1', () => {
    const path = planOf({ a: running('400MiB'), b: running('400MiB') })
    for (const more of [[], ['--check']]) {
      const { status, stdout } = check(path, ...more)
      expect(status).toBe(1)
      expect(stdout).toContain('PLAN FAILED')
    }
    expect(JSON.parse(check(path, '--json').stdout)).toMatchObject({ passes: false })
    expect(holders()).toEqual([])
  })

  test('is run all the same where those with listen may take turns', () => {
    const path = planOf({
      always: running('200MiB'),
      a: running('400MiB', { listen: ':18080' }),
      b: running('500MiB', { listen: ':18081' }),
    })
    expect(check(path, '--check')).toMatchObject({ status: 0, stdout: expect.stringContaining('take turns') })
    const tooMuch = planOf({
      always: running('250MiB'),
      a: running('400MiB', { listen: ':18080' }),
      b: running('500MiB', { listen: ':18081' }),
    })
    expect(check(tooMuch, '--check').status).toBe(1)
  })

  test('--check starts nothing', () => {
    const path = planOf({ a: { limitBytes: '1MiB', command: ['touch', fileOf('started')] } })
    expect(check(path, '--check')).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(check(path, '--check', '--json').stdout)).toMatchObject({ passes: true, takesTurns: false })
    expect(existsSync(fileOf('started'))).toBe(false)
  })

  test('a command that is not there, a plan without one and no plan are told as what they are', () => {
    const none = check(planOf({ a: { limitBytes: '1MiB', command: 'no-such-program' } }))
    expect(none.status).toBe(1)
    expect(none.stderr).toMatch(/a program that is in PATH.*no-such-program/)
    expect(check(planOf({ a: { limitBytes: '1MiB' } }))).toMatchObject({ status: 2 })
    expect(check(fileOf('none.yaml'))).toMatchObject({ status: 3, stdout: '' })
    expect(runNode(['dist/cli.js', 'up'])).toMatchObject({ status: 2 })
  })
})
