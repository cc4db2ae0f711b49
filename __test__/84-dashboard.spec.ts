import { spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import {
  AbortError,
  BusyError,
  InsufficientMemoryError,
  InvalidArgumentError,
  IoError,
  KiB,
  MemoryManager,
  MemoryMonitor,
  MiB,
  machineMemory,
  NeverFitsError,
  processes,
  type RefusalNotice,
  ReleasedError,
  TimeoutError,
} from 'plimsoll'
import { Dashboard, serveDashboard } from 'plimsoll/dashboard'
import { eventsOf, firstEvents, sessionFrom } from './helpers/dashboard'
import { thrownBy } from './helpers/errors'
import { samplePath } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

let manager: MemoryManager
let dashboard: Dashboard
beforeEach(async () => {
  manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 100 * MiB } as never)
  dashboard = await serveDashboard({ manager, intervalMs: 100 })
})
afterEach(async () => {
  await dashboard.close()
  await manager.close()
})

describe('what is shown', () => {
  test('is what the API gives: line, labels, pools, queue, processes', async () => {
    using _weights = manager.budget.allocate(30 * MiB, '<b>weights</b>')
    using _cache = manager.budget.allocate(10 * MiB, 'kv cache')
    const waits = rejectedBy(Error as never, manager.acquire({ bytes: 90 * MiB, label: 'later' }))
    const pool = await manager.pools.create({ device: 'host', slabBytes: 4 * MiB })
    await pool.reserve(4 * MiB)
    using _buffer = pool.allocate(MiB, { label: 'page' })
    const [history, state] = await firstEvents(dashboard)
    expect(history.length).toBeGreaterThan(0)
    expect(history.at(-1)).toMatchObject({ lineBytes: manager.budget.lineBytes })
    expect(state.moment).toMatchObject({
      lineBytes: manager.budget.lineBytes,
      allocatedBytes: manager.budget.allocatedBytes,
      headroomBytes: expect.any(Number),
    })
    expect(state.terms).toEqual(manager.budget.terms.sort((a, b) => a.bytes - b.bytes))
    expect(state.labels).toEqual(
      expect.arrayContaining([
        ['<b>weights</b>', 30 * MiB],
        ['kv cache', 10 * MiB],
      ]),
    )
    expect(state.headroom?.terms.map(({ kind }) => kind)).toEqual(
      manager.budget.headroom().terms.map(({ kind }) => kind),
    )
    expect(state.waiting).toMatchObject([{ label: 'later', bytes: 90 * MiB }])
    const { timeMs: _, ...snapshot } = pool.snapshot()
    expect(state.pools).toMatchObject([snapshot])
    const pids = (await processes({ loaded: true })).map(({ pid }) => pid)
    expect(pids).toContain(process.pid)
    expect(state.processes).toContainEqual(expect.objectContaining({ pid: process.pid, isLoaded: true }))
    expect(state.peakBytes).toBe(manager.budget.peakBytes)
    manager.admission.close()
    await waits
  })

  test('has who else holds much of the memory, and nobody who holds little', async () => {
    const bytes = Math.ceil(machineMemory().totalBytes / 100)
    const holding = `const held = Buffer.alloc(${bytes}, 1); console.log('held'); setInterval(() => held, 2 ** 30)`
    const children = [holding, "console.log('nothing'); setInterval(() => {}, 2 ** 30)"].map((script) =>
      spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] }),
    )
    try {
      for (const { stdout } of children) await once(stdout, 'data')
      await using other = await serveDashboard({ manager })
      const shown = (await other.state()).processes
      const [large, small] = children.map(({ pid }) => shown.find((process) => process.pid === pid))
      expect(large).toMatchObject({ isLoaded: false, command: expect.stringContaining('Buffer.alloc') })
      expect(large?.rssBytes).toBeGreaterThanOrEqual(bytes)
      expect(small).toBeUndefined()
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  })

  test('has every refusal of its budget by itself, with its advice, the latest first', async () => {
    const refused = [
      thrownBy(InsufficientMemoryError, () => manager.budget.allocate(200 * MiB, 'weights')),
      await rejectedBy(InsufficientMemoryError, manager.pools.create({ initialBytes: 200 * MiB, label: 'a pool' })),
      await rejectedBy(InsufficientMemoryError, manager.system.allocate(200 * MiB, { label: 'a buffer' })),
      thrownBy(InsufficientMemoryError, () => manager.allocateInstance('llama', { limitBytes: 200 * MiB })),
    ]
    refused.push(thrownBy(InsufficientMemoryError, () => manager.staging.get(200 * MiB)))
    const stream = manager.open(samplePath).stream({ chunkBytes: 128 * MiB })
    {
      using _all = manager.budget.allocate(manager.budget.availableBytes, 'all')
      refused.push(await rejectedBy(InsufficientMemoryError, stream.next()))
    }
    using grant = await manager.acquire({ bytes: MiB, label: 'cache' }, { onRevoke: () => false })
    refused.push(thrownBy(InsufficientMemoryError, () => grant.stretch(200 * MiB)))
    const { refusals, availableBytes: left } = await dashboard.state()
    expect(left).toBe(manager.budget.availableBytes)
    expect(refusals.map(({ timeMs: _, ...refusal }) => refusal)).toEqual(
      refused.reverse().map(({ code, label, requestedBytes, availableBytes, bindingConstraint, suggestion }) => {
        return { code, label, requestedBytes, availableBytes, bindingConstraint, suggestion }
      }),
    )
    expect(refusals).toEqual(manager.budget.refusedRequests().latest)
  })

  test('has who was refused in the queue: what can never fit, and what was not granted in time', async () => {
    using _some = manager.budget.allocate(30 * MiB, 'some')
    const never = await rejectedBy(NeverFitsError, manager.acquire({ bytes: 200 * MiB, label: 'never' }))
    using _all = manager.budget.allocate(70 * MiB, 'all')
    const late = await rejectedBy(TimeoutError, manager.acquire({ bytes: MiB, label: 'late' }, { timeoutMs: 1 }))
    expect((await dashboard.state()).refusals).toMatchObject([
      { label: 'late', requestedBytes: MiB, availableBytes: 0, suggestion: late.reason },
      { label: 'never', requestedBytes: 200 * MiB, availableBytes: 70 * MiB, suggestion: never.message },
    ])
  })

  test('is bounded, whatever is asked for: a label of any length, and any number of blocks', async () => {
    const label = 'x'.repeat(2 ** 20)
    const pool = await manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, label } as never)
    using _held = manager.budget.allocate(90 * MiB, label)
    const waits = rejectedBy(AbortError, manager.acquire({ bytes: 20 * MiB, label }, { ageMs: 0 }))
    const buffers = Array.from({ length: 64 }, () => pool.allocate(4 * KiB, { label }))
    thrownBy(InsufficientMemoryError, () => manager.budget.allocate(200 * MiB, label))
    while (manager.budget.availableBytes > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const state = await dashboard.state()
    expect(state.moment.binding).toContain('are kept for "xxx')
    expect([state.labels, state.waiting, state.pools, state.refusals].map(({ length }) => length)).toEqual([1, 1, 1, 1])
    expect(state.pools[0]?.slabs[0]?.blocks.length).toBeGreaterThan(64)
    expect(JSON.stringify(state).length).toBeLessThan(256 * KiB)
    for (const buffer of buffers) buffer.release()
    manager.admission.close()
    await waits
  })

  test('has no refusal of another budget, nor one that was got by', async () => {
    await using other = new MemoryManager({ isolated: true, headroom: false, maxBytes: MiB } as never)
    thrownBy(InsufficientMemoryError, () => other.budget.allocate(2 * MiB, 'of another'))
    const pool = await manager.pools.create({ device: 'host', slabBytes: 4 * MiB })
    // What is held has no place for it, until a slab is taken.
    const buffer = await pool.allocateAsync(MiB, { label: 'grows' })
    buffer.release()
    expect((await dashboard.state()).refusals).toEqual([])
  })

  test('has the refusals of budgets that share what is allocated, and what it is told of, once', async () => {
    const shared = [new MemoryManager({ maxBytes: MiB }), new MemoryManager({ maxBytes: MiB })] as const
    await using shown = await serveDashboard({ manager: shared[0] })
    const error = thrownBy(InsufficientMemoryError, () => shared[1].budget.allocate(2 * MiB, 'beside'))
    shown.refused(error)
    expect((await shown.state()).refusals).toMatchObject([{ label: 'beside', suggestion: error.suggestion }])
    const elsewhere = thrownBy(InsufficientMemoryError, () => manager.budget.allocate(200 * MiB, 'elsewhere'))
    shown.refused(elsewhere)
    expect((await shown.state()).refusals.map(({ label }) => label)).toEqual(['elsewhere', 'beside'])
    const throwing = {
      code: 'ERR_TIMEOUT',
      get label(): string {
        throw new Error('no')
      },
    }
    const half = { code: 'ERR_BUSY', requestedBytes: 1 }
    for (const wrong of [undefined, new Error('no'), 7, { code: 'ERR_BUSY', what: 'the NPU' }, half, throwing]) {
      const { expected } = thrownBy(InvalidArgumentError, () => shown.refused(wrong as never))
      expect(expected).toContain('or the BusyError of a queue')
    }
    for (const each of shared) await each.close()
  })

  test('has a request that found the queue full', async () => {
    using _weights = manager.budget.allocate(90 * MiB, 'weights')
    manager.admission.maxWaiting = 0
    await rejectedBy(BusyError, manager.acquire({ bytes: 20 * MiB, label: 'one more' }))
    expect((await dashboard.state()).refusals).toMatchObject([
      {
        label: 'one more',
        requestedBytes: 20 * MiB,
        bindingConstraint: '0 wait in the queue, as many as may',
        suggestion: expect.stringContaining('try again later'),
      },
    ])
  })

  test('is told of refusals as any program is, by a channel of node:diagnostics_channel', () => {
    const notices: RefusalNotice[] = []
    const listener = (notice: unknown) => void notices.push(notice as RefusalNotice)
    subscribe('plimsoll.refusal', listener)
    const error = thrownBy(InsufficientMemoryError, () => manager.budget.allocate(200 * MiB, 'weights'))
    unsubscribe('plimsoll.refusal', listener)
    expect(notices.map((notice) => [notice.error, notice.isOf(manager.budget), notice.isOf({})])).toEqual([
      [error, true, false],
    ])
  })

  test('names what bounds what can be granted: the line, or the queue that keeps what is left', async () => {
    using _weights = manager.budget.allocate(60 * MiB, 'weights')
    const { description } = manager.budget.bindingTerm
    expect((await dashboard.state()).moment.binding).toBe(description)
    const waits = rejectedBy(Error as never, manager.acquire({ bytes: 90 * MiB, label: 'later' }, { ageMs: 0 }))
    while (manager.budget.availableBytes > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const { moment, availableBytes } = await dashboard.state()
    expect(availableBytes).toBe(0)
    expect(moment.binding).toBe('the queue: 40.00 MiB are kept for "later", which waits for 90.00 MiB')
    // One of the budget alone asks its queue itself.
    await using ofBudget = await serveDashboard({ budget: manager.budget })
    expect(await ofBudget.state()).toMatchObject({ waiting: [{ label: 'later' }], moment: { binding: moment.binding } })
    manager.admission.close()
    await waits
  })

  test('has the changes of level', async () => {
    const critical = once(manager.monitor as never, 'critical')
    manager.monitor.start({ intervalMs: 10, warnPercent: 0, criticalPercent: 0, refuseAtCritical: false })
    await critical
    const { events, level } = await dashboard.state()
    expect(level).toBe('critical')
    expect(events[0]).toMatchObject({ kind: 'critical', text: expect.stringContaining('% in use') })
  })

  test('has the level of a monitor without a manager, and tells that no manager is shown', async () => {
    using monitor = new MemoryMonitor(manager.budget)
    await using shown = await serveDashboard({ budget: manager.budget, monitor })
    expect(await shown.state()).not.toHaveProperty('level')
    const critical = once(monitor as never, 'critical')
    monitor.start({ intervalMs: 10, warnPercent: 0, criticalPercent: 0, refuseAtCritical: false })
    await critical
    const state = { hasManager: false, level: 'critical', events: [{ kind: 'critical' }] }
    expect(await shown.state()).toMatchObject(state)
    expect(await dashboard.state()).toMatchObject({ hasManager: true, events: [] })
  })

  test('tells who shares the ledger', async () => {
    const directory = mkdtempSync('/dev/shm/plimsoll-')
    using _folder = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) }
    await using sharing = new MemoryManager({ shared: { directory, processName: 'a server', force: true } } as never)
    using taken = sharing.budget.allocate(MiB, 'weights')
    await using shown = await serveDashboard({ manager: sharing })
    const { holders } = await shown.state()
    expect(holders).toMatchObject([{ name: 'a server', pid: process.pid, heldBytes: taken.sizeBytes }])
  })

  test('goes on in every page that is open, and ends with the dashboard', async () => {
    const { cookie, events } = await sessionFrom(dashboard)
    const pages = await Promise.all(
      Array.from({ length: 10 }, () => fetch(`${dashboard.url}${events.slice(1)}`, { headers: { cookie } })),
    )
    const texts = pages.map(async (page) => {
      let text = ''
      try {
        for await (const piece of page.body as unknown as AsyncIterable<Uint8Array>) text += Buffer.from(piece)
      } catch {
        // The connection was ended.
      }
      return text
    })
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await dashboard.close()
    for (const text of await Promise.all(texts)) {
      expect(text.match(/^event: history$/gm)).toHaveLength(1)
      expect(text.match(/^event: (?:state|change)$/gm)?.length).toBeGreaterThan(2)
    }
  })

  test('is told a page more than may be open that it is, and to come again', async () => {
    const { cookie, events } = await sessionFrom(dashboard)
    const open = () => fetch(`${dashboard.url}${events.slice(1)}`, { headers: { cookie } })
    const pages = await Promise.all(Array.from({ length: 24 }, open))
    // A page counts once it has been sent the state.
    for (const page of pages) {
      const reader = page.body?.getReader()
      for (let text = ''; !text.includes('event: state'); ) text += Buffer.from((await reader?.read())?.value ?? [])
      reader?.releaseLock()
    }
    expect(await (await open()).text()).toBe('retry: 10000\nevent: full\ndata: 24\n\n')
    await Promise.all(pages.map((page) => page.body?.cancel()))
  })

  test('ends with its dashboard: it gives no link any more', async () => {
    await dashboard.close()
    expect(thrownBy(ReleasedError, () => dashboard.link()).message).toContain('the dashboard')
  })

  test('reaches a page as what has changed since it was sent last', async () => {
    const events = eventsOf(dashboard, await sessionFrom(dashboard))
    const seen: string[] = []
    let state: Record<string, unknown> = {}
    const until = async (isSo: () => boolean) => {
      while (!isSo()) {
        const { event, data } = (await events.next()).value as { event: string; data: Record<string, unknown> }
        seen.push(event)
        if (event === 'state') state = data
        else if (event === 'change') {
          // Nothing is said again that is as it was.
          for (const [name, part] of Object.entries(data))
            expect({ name, part }).not.toEqual({ name, part: state[name] })
          Object.assign(state, data)
        }
      }
    }
    await until(() => seen.includes('change'))
    using _taken = manager.budget.allocate(7 * MiB, 'taken')
    await until(() => JSON.stringify(state.labels).includes('taken'))
    expect(seen.slice(0, 3)).toEqual(['history', 'state', 'state'])
    const { processes: _, moment: __, pressure: ___, ...now } = await dashboard.state()
    expect(state).toMatchObject({ labels: now.labels, terms: now.terms, refusals: [], peakBytes: now.peakBytes })
    await events.return(undefined)
  })

  test('of a manager that was closed is its budget', async () => {
    await manager.close()
    expect(await dashboard.state()).toMatchObject({ pools: [], waiting: [] })
  })
})

test('there is no dashboard that was not served, and who makes one is told how', () => {
  const make = () => new (Dashboard as unknown as new () => Dashboard)()
  expect(thrownBy(InvalidArgumentError, make).message).toBe(
    'expected new Dashboard() to be left to serveDashboard(), got a call',
  )
})

test('unfit options are refused by name', async () => {
  for (const options of [{ prot: 1 }, { port: 65_536 }, { intervalMs: 1 }, { manager: {} }, { linkMs: 0 }]) {
    await rejectedBy(InvalidArgumentError, serveDashboard(options as never))
  }
})

test('a port that is taken is an error of this package, which names it', async () => {
  const { code, path, errnoName, syscall } = await rejectedBy(IoError, serveDashboard({ port: dashboard.port }))
  expect({ code, path, errnoName, syscall }).toEqual({
    code: 'ERR_IO',
    path: `127.0.0.1:${dashboard.port}`,
    errnoName: 'EADDRINUSE',
    syscall: 'listen',
  })
})
