import { setTimeout as sleep } from 'node:timers/promises'
import { AbortError, Admission, Grant, InvalidArgumentError, MemoryManager, MiB, ReleasedError } from 'plimsoll'
import { runChild, threadNames } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { misuse } from './helpers/misuse'
import { part, queue, strict, untilWaiting } from './helpers/queues'
import { rejectedBy } from './helpers/rejected-by'

describe('the queue', () => {
  test('is told of, and says when it changes', async () => {
    const admission = queue()
    let count = 0
    using _listening = admission.onChange(() => {
      count += 1
    })
    const held = admission.budget.allocate(100, 'held')
    const waiting = admission.acquire(part(10, 'weights'), { priority: -3, key: 'llama' })
    await untilWaiting(admission, 1)
    expect(admission.waiting()).toEqual([
      { label: 'weights', bytes: 10, priority: -3, key: 'llama', sinceMs: expect.any(Number) },
    ])
    while (count === 0) await sleep(1)
    held.release()
    const grant = await waiting
    while (count < 2) await sleep(1)
    grant.release()
  })

  test('is one for all managers that share a line, and another for one that is isolated', async () => {
    const options = { board: 'rk3588-32gb', maxBytes: 64 * MiB, headroom: false } as const
    const [one, other, apart] = [{}, {}, { isolated: true }].map((more) => new MemoryManager({ ...options, ...more }))
    if (!one || !other || !apart) throw new Error('three managers')
    const held = one.budget.allocate(64 * MiB, 'held')
    const waiting = other.acquire(part(MiB), strict)
    await untilWaiting(one.admission, 1)
    ;(await apart.acquire(part(MiB))).release()
    held.release()
    ;(await waiting).release()
    for (const manager of [one, other, apart]) await manager.close()
  })

  test('closes with its manager: who waits rejects, who holds keeps', async () => {
    const manager = new MemoryManager({ board: 'rk3588-32gb', maxBytes: 64 * MiB, isolated: true, headroom: false })
    const grant = await manager.acquire(part(64 * MiB))
    const waiting = rejectedBy(AbortError, manager.acquire(part(1)))
    await untilWaiting(manager.admission, 1)
    await manager.close()
    expect((await waiting).cause).toBeInstanceOf(ReleasedError)
    await rejectedBy(ReleasedError, manager.acquire(part(1)))
    expect([manager.budget.allocatedBytes, manager.admission.waiting()]).toEqual([64 * MiB, []])
    grant.release()
  })

  test('starts its thread when somebody waits, ends it when nobody does, and keeps the process alive only then', () => {
    const script = `${threadNames}
      const { Admission } = plimsoll
      const admission = new Admission(new MemoryBudget({ totalBytes: 10 }))
      const runs = () => threadNames().includes('plimsoll-queue')
      const held = await admission.acquire({ bytes: 10, label: 'held' })
      const before = runs()
      const waiting = admission.acquire({ bytes: 10, label: 'waits' })
      await settle(() => admission.waiting().length === 1)
      const during = await settle(runs)
      held.release()
      ;(await waiting).release()
      await settle(() => !runs())
      // Nothing but the wait itself keeps this process alive from here on.
      const last = admission.acquire({ bytes: 10, label: 'kept alive' })
      await last
      const late = await admission.acquire({ bytes: 1, label: 'late' }, { timeoutMs: 20 }).catch(({ code }) => code)
      await settle(() => !runs())
      return [before, during, runs(), late]`
    expect(runChild(script).value).toEqual([false, true, false, 'ERR_TIMEOUT'])
  })
})

const workers = `
  const { Worker } = require('node:worker_threads')
  const { once } = require('node:events')
  const options = { board: 'rk3588-32gb', maxBytes: 100 * MiB, headroom: false }
  const start = (body) => new Worker(
    \`const { parentPort } = require('node:worker_threads')
     const { MiB, MemoryManager } = require('plimsoll')
     const manager = new MemoryManager(\${JSON.stringify(options)});
     \` + body, { eval: true })
  const manager = new MemoryManager(options)
  const waiting = () => manager.admission.waiting().map(({ label }) => label)`

describe('workers', () => {
  test('wait in one queue with the main thread', () => {
    const script = `${workers}
      const held = await manager.acquire({ bytes: 100 * MiB, label: 'main' })
      const worker = start(\`(async () => {
        const grant = await manager.acquire({ bytes: 60 * MiB, label: 'worker' })
        parentPort.postMessage(grant.bytes / MiB)
        parentPort.once('message', () => grant.release())
      })()\`)
      await settle(() => waiting().length === 1)
      const later = manager.acquire({ bytes: 60 * MiB, label: 'main again' })
      await settle(() => waiting().length === 2)
      const seen = waiting()
      held.release()
      const [granted] = await once(worker, 'message')
      worker.postMessage('release')
      const own = await later
      own.release()
      await worker.terminate()
      return [seen, granted, manager.budget.allocatedBytes]`
    expect(runChild(script).value).toEqual([['worker', 'main again'], 60, 0])
  })

  test.each(['terminated', 'process.exit()'])('that end while they wait or hold leave no trace: %s', (how) => {
    const script = `${workers}
      const held = await manager.acquire({ bytes: 50 * MiB, label: 'main' })
      const worker = start(\`(async () => {
        globalThis.held = await manager.acquire({ bytes: 20 * MiB, label: 'held there' }, { onEvict: () => {} })
        manager.acquire({ bytes: 90 * MiB, label: 'worker' }, { ageMs: 0, priority: 5 })
        parentPort.on('message', () => process.exit())
      })()\`)
      await settle(() => waiting().length === 1)
      const seen = [waiting(), manager.budget.allocatedBytes / MiB]
      if (${JSON.stringify(how)} === 'terminated') await worker.terminate()
      else { worker.postMessage('end'); await once(worker, 'exit') }
      await settle(() => waiting().length === 0)
      const all = await manager.acquire({ bytes: 50 * MiB, label: 'main again' }, { timeoutMs: 10_000 })
      return [seen, waiting(), (held.bytes + all.bytes) / MiB, manager.budget.allocatedBytes / MiB]`
    expect(runChild(script).value).toEqual([[['worker'], 70], [], 100, 100])
  })
})

describe('misuse', () => {
  test.each<[string, unknown, unknown]>([
    ['no request', undefined, undefined],
    ['a number', 5, undefined],
    ['a request without bytes', { label: 'a' }, undefined],
    ['a request without a label', { bytes: 1 }, undefined],
    ['a negative size', part(-1), undefined],
    ['a misspelt key', { ...part(1), lable: 'a' }, undefined],
    ['a hole', [part(1), undefined], undefined],
    ['a priority that is none', part(1), { priority: 1.5 }],
    ['a timeout that is none', part(1), { timeoutMs: -1 }],
    ['a callback that is none', part(1), { onEvict: 'yes' }],
    ['a misspelt option', part(1), { timeout: 5 }],
    ['an eviction that nobody does', part(1), { evictable: true }],
  ])('%s is refused', async (_, requests, options) => {
    const admission = queue()
    await rejectedBy(
      InvalidArgumentError,
      misuse<Promise<Grant>>((it) => admission.acquire(it, options as never), requests),
    )
    expect(admission.budget.allocatedBytes).toBe(0)
  })

  test('an empty list is refused: nothing is asked for', async () => {
    const admission = queue()
    await rejectedBy(InvalidArgumentError, admission.acquire([]))
  })

  test('a queue is of a budget, and a grant is made by it', () => {
    thrownBy(InvalidArgumentError, () => misuse((it) => new Admission(it), {}))
    thrownBy(InvalidArgumentError, () => misuse((it) => Reflect.construct(Grant, [it]), {}))
    thrownBy(InvalidArgumentError, () => {
      queue().maxWaiting = -1
    })
    thrownBy(InvalidArgumentError, () => {
      queue().onEvict = 5 as never
    })
  })
})
