import { setTimeout as sleep } from 'node:timers/promises'
import {
  AbortError,
  BusyError,
  Grant,
  InsufficientMemoryError,
  InvalidArgumentError,
  NeverFitsError,
  ReleasedError,
  TimeoutError,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { misuse } from './helpers/misuse'
import { part, patient, queue, strict, untilWaiting } from './helpers/queues'
import { rejectedBy } from './helpers/rejected-by'

/** The order in which promises settle, by their names. */
function orderOf(promises: Record<string, Promise<Grant>>): { order: string[]; all: Promise<Grant[]> } {
  const order: string[] = []
  const noted = Object.entries(promises).map(async ([name, promise]) => {
    const grant = await promise
    order.push(name)
    return grant
  })
  return { order, all: Promise.all(noted) }
}

describe('acquire()', () => {
  test('grants all of a list together, as real guards', async () => {
    const admission = queue()
    const grant = await admission.acquire([part(60, 'weights'), { ...part(20, 'cache'), device: 'npu' }])
    expect(grant).toBeInstanceOf(Grant)
    expect(grant.allocations.map(({ label, sizeBytes }) => [label, sizeBytes])).toEqual([
      ['weights', 60],
      ['cache (npu)', 20],
    ])
    expect([grant.bytes, grant.label, admission.budget.allocatedBytes]).toEqual([80, 'weights, cache (npu)', 80])
    grant.allocations[0]?.release()
    expect([grant.bytes, grant.released, admission.budget.allocatedBytes]).toEqual([20, false, 20])
    grant.allocations[1]?.release()
    expect([grant.bytes, grant.released]).toEqual([0, true])
    expect(() => grant.release()).not.toThrow()
  })

  test('holds nothing while it waits, and is granted when there is room for all', async () => {
    const admission = queue()
    const [first, second] = [admission.budget.allocate(50, 'first'), admission.budget.allocate(30, 'second')]
    const waiting = admission.acquire([part(40), part(20)], strict)
    await untilWaiting(admission, 1)
    expect(admission.budget.allocatedBytes).toBe(80)
    second.release()
    await sleep(5)
    expect(admission.waiting()).toHaveLength(1)
    first.release()
    const grant = await waiting
    expect(admission.budget.allocatedBytes).toBe(60)
    grant.release()
    grant.release()
    grant[Symbol.dispose]()
    expect([admission.budget.allocatedBytes, grant.released]).toEqual([0, true])
  })

  test('serves the higher priority first, and among equals who came first', async () => {
    const admission = queue()
    const held = admission.budget.allocate(100, 'held')
    const promises: Record<string, Promise<Grant>> = {}
    for (const [name, priority] of [
      ['a', 0],
      ['b', 2],
      ['c', 0],
      ['d', 2],
    ] as const) {
      promises[name] = admission.acquire(part(1, name), { priority, ...strict })
    }
    await untilWaiting(admission, 4)
    expect(admission.waiting().map(({ label, priority }) => [label, priority])).toEqual([
      ['b', 2],
      ['d', 2],
      ['a', 0],
      ['c', 0],
    ])
    const { order, all } = orderOf(promises)
    held.release()
    for (const grant of await all) grant.release()
    expect(order).toEqual(['b', 'd', 'a', 'c'])
  })

  test('lets a small request pass until the first has waited ageMs, and then keeps what is free for that', async () => {
    const admission = queue()
    const { budget } = admission
    const held = budget.allocate(60, 'held')
    const large = admission.acquire(part(80, 'large'), patient)
    await untilWaiting(admission, 1)
    const small = await admission.acquire(part(30), patient)
    small.release()
    budget.allocate(30, 'out of turn').release()
    const urgent = admission.acquire(part(90, 'urgent'), { priority: 1, ...strict })
    await untilWaiting(admission, 2)
    const passed = admission.acquire(part(1), patient)
    const error = thrownBy(InsufficientMemoryError, () => budget.allocate(1, 'out of turn'))
    expect(error).toMatchObject({ availableBytes: 0, bindingConstraint: expect.stringContaining('kept for "urgent"') })
    expect([budget.availableBytes, budget.lineAvailableBytes, budget.canAllocate(1)]).toEqual([0, 40, false])
    await untilWaiting(admission, 3)
    held.release()
    const first = await urgent
    ;(await passed).release()
    first.release()
    ;(await large).release()
    expect(budget.availableBytes).toBe(100)
  })

  test('loads one of a key at a time, and keeps nobody else waiting for it', async () => {
    const admission = queue()
    const load = () => admission.acquire(part(10), { key: 'llama', ...strict })
    const first = await load()
    const [second, third] = [load(), load()]
    await untilWaiting(admission, 2)
    ;(await admission.acquire(part(80), { key: 'qwen', ...strict })).release()
    expect(admission.waiting().map(({ key }) => key)).toEqual(['llama', 'llama'])
    expect(first.ready()).toBe(first)
    ;(await second).release()
    ;(await third).release()
    first.release()
  })

  test('refuses at once what never fits, and who comes when enough wait', async () => {
    const admission = queue()
    const never = await rejectedBy(NeverFitsError, admission.acquire([part(60, 'a'), part(41, 'b')]))
    expect(never).toMatchObject({ code: 'ERR_NEVER_FITS', label: 'a, b', requestedBytes: 101, lineBytes: 100 })
    admission.maxWaiting = 1
    const held = admission.budget.allocate(100, 'held')
    const waiting = admission.acquire(part(1))
    await untilWaiting(admission, 1)
    const busy = await rejectedBy(BusyError, admission.acquire([part(1, 'a'), part(2, 'b')]))
    const figures = { waitingCount: 1, label: 'a, b', requestedBytes: 3, availableBytes: 0 }
    expect(busy).toMatchObject({ code: 'ERR_BUSY', what: 'the queue', ...figures })
    expect(busy.message).toMatch(/1 wait in it, and no more than 1 may; try again later/)
    held.release()
    ;(await waiting).release()
  })

  test('gives up when its time is over, and leaves no trace', async () => {
    const admission = queue()
    using _held = admission.budget.allocate(60, 'held')
    const late = await rejectedBy(TimeoutError, admission.acquire(part(50), { timeoutMs: 20, ...strict }))
    expect(late).toMatchObject({ code: 'ERR_TIMEOUT', timeoutMs: 20, requestedBytes: 50, availableBytes: 40 })
    expect([admission.waiting(), admission.budget.availableBytes]).toEqual([[], 40])
    await rejectedBy(TimeoutError, admission.acquire(part(50), { timeoutMs: 0 }))
  })

  test('waits for a budget that a monitor keeps closed, or whose line is raised', async () => {
    const admission = queue()
    admission.budget.maxBytes = 50
    await rejectedBy(NeverFitsError, admission.acquire(part(60)))
    const held = await admission.acquire(part(50))
    const waiting = admission.acquire(part(40), strict)
    await untilWaiting(admission, 1)
    admission.budget.maxBytes = undefined
    ;(await waiting).release()
    const lowered = admission.acquire(part(60), strict)
    await untilWaiting(admission, 1)
    admission.budget.maxBytes = 55
    await rejectedBy(NeverFitsError, lowered)
    held.release()
  })
})

describe('a signal', () => {
  test('that has aborted ends it before it begins', async () => {
    const admission = queue()
    const reason = new Error('no longer wanted')
    const error = await rejectedBy(AbortError, admission.acquire(part(1), { signal: AbortSignal.abort(reason) }))
    expect([error.name, error.code, error.cause]).toEqual(['AbortError', 'ABORT_ERR', reason])
    expect(admission.budget.allocatedBytes).toBe(0)
  })

  test('ends the wait at whatever moment, and nothing is left behind', async () => {
    const admission = queue()
    for (let round = 0; round < 60; round++) {
      const held = admission.budget.allocate(100, 'held')
      const controller = new AbortController()
      const outcome = admission.acquire(part(50), { signal: controller.signal, ...strict }).then(
        (grant) => grant,
        (error) => error,
      )
      const [release, abort] = [() => held.release(), () => controller.abort()]
      // Before it waits, while it does, and as it is granted.
      const steps = round % 2 === 0 ? [release, abort] : [abort, release]
      if (round % 3 > 0) await untilWaiting(admission, 1)
      steps[0]?.()
      if (round % 5 > 0) await sleep(round % 5 === 1 ? 0 : 1)
      steps[1]?.()
      const settled = await outcome
      if (settled instanceof Grant) settled.release()
      else expect(settled).toBeInstanceOf(AbortError)
      expect([admission.budget.allocatedBytes, admission.waiting()]).toEqual([0, []])
    }
  })

  test('that lies about itself leaves nobody waiting', async () => {
    const admission = queue()
    using _held = admission.budget.allocate(100, 'held')
    const signal = {
      aborted: false,
      addEventListener: () => {
        throw new Error('deaf')
      },
      removeEventListener: () => {},
    }
    await rejectedBy(
      AbortError,
      misuse<Promise<Grant>>((it) => admission.acquire(part(1), { signal: it }), signal),
    )
    expect(admission.waiting()).toEqual([])
  })
})

describe('a grant', () => {
  test('commits its parts in their order', async () => {
    const admission = queue()
    const grant = await admission.acquire([part(30), part(20)])
    const pending = () => admission.budget.allocations().length && 50
    expect(grant.commit(40)).toBe(grant)
    expect(grant.commit()).toBe(grant)
    thrownBy(InvalidArgumentError, () => grant.commit(51))
    expect(pending()).toBe(50)
    grant.release()
  })

  test('is of no use after its release', async () => {
    const grant = await queue().acquire(part(10))
    grant.release()
    for (const use of [
      () => grant.stretch(1),
      () => grant.shrink(),
      () => grant.touch(),
      () => grant.ready(),
      () => grant.commit(),
      () => grant.attach({}),
      () => grant.hold(),
    ]) {
      expect(thrownBy(ReleasedError, use)).toMatchObject({ what: 'the grant' })
    }
    expect([grant.bytes, grant.stretchBytes, grant.allocations[0]?.released]).toEqual([0, 0, true])
  })

  test('that is dropped is released with all its parts, and warned of once', () => {
    const script = `
      const { Admission } = plimsoll
      const warnings = []
      process.on('warning', ({ code, label, sizeBytes }) => warnings.push([code, label, sizeBytes]))
      const budget = new MemoryBudget({ totalBytes: 1000 })
      const admission = new Admission(budget)
      const kept = await (async () => {
        await admission.acquire([{ bytes: 100, label: 'a' }, { bytes: 200, label: 'b' }])
        ;(await admission.acquire({ bytes: 50, label: 'attached' })).attach({})
        ;(await admission.acquire({ bytes: 30, label: 'held' })).hold()
        return (await admission.acquire([{ bytes: 5, label: 'kept' }, { bytes: 6, label: 'with it' }])).allocations[0]
      })()
      const came = await collect(() => budget.allocatedBytes === 41)
      for (let i = 0; i < 20; i++) { gc(); await turn() }
      return [came, budget.allocatedBytes, warnings, kept.released]`
    expect(runChild(script, { flags: ['--expose-gc'] }).value).toEqual([
      true,
      41,
      [['PLIMSOLL_LEAK', 'a, b', 300]],
      false,
    ])
  })

  test('that was collected unreleased comes back for who waits, and before anybody is refused', () => {
    const script = `
      const { Admission } = plimsoll
      process.removeAllListeners('warning')
      const admission = new Admission(new MemoryBudget({ totalBytes: 100 }))
      admission.maxWaiting = 0
      await (async () => { admission.budget.allocate(100, 'dropped') })()
      let granted = 0
      for (let i = 0; i < 100 && granted === 0; i++) {
        gc()
        granted = await admission.acquire({ bytes: 100, label: 'heir' }).then((grant) => grant.bytes, () => 0)
      }
      return granted`
    expect(runChild(script, { flags: ['--expose-gc'] }).value).toBe(100)
  })
})
