import { setTimeout as sleep } from 'node:timers/promises'
import {
  type AcquireOptions,
  type Admission,
  type Allocation,
  type Grant,
  InsufficientMemoryError,
  InvalidArgumentError,
  type MakeRoomRequest,
  MemoryPool,
  MiB,
} from 'plimsoll'
import { runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { part, patient, queue, until } from './helpers/queues'

/** Notes what a holder is asked for, and has nothing else happen. */
function noting(): { asked: MakeRoomRequest[]; note: (request: MakeRoomRequest) => void } {
  const asked: MakeRoomRequest[] = []
  return { asked, note: (request) => void asked.push(request) }
}

describe('eviction', () => {
  test('asks the lower priority, and gives what it releases to who waits', async () => {
    const admission = queue()
    const { asked, note } = noting()
    const low = await admission.acquire(part(70, 'low'), { ...patient, onEvict: note })
    const middle = await admission.acquire(part(30, 'middle'), { ...patient, priority: 1, onEvict: note })
    const high = admission.acquire(part(50, 'high'), { ...patient, priority: 2 })
    await until(() => asked.length > 0)
    expect(asked).toEqual([{ grant: low, bytes: 70, deadlineMs: 3_600_000, wantedBy: 'high' }])
    low.release()
    const granted = await high
    expect([asked.length, admission.budget.allocatedBytes]).toEqual([1, 80])
    for (const grant of [middle, granted]) grant.release()
  })

  test('leaves alone what is pinned, of a higher priority, in use, or has not said how', async () => {
    const admission = queue()
    const { asked, note } = noting()
    const held = [
      await admission.acquire(part(25), { ...patient, pinned: true, onEvict: note }),
      await admission.acquire(part(25), { ...patient, priority: 6, onEvict: note }),
      await admission.acquire(part(25), { ...patient, priority: 5, onEvict: note }),
      await admission.acquire(part(25), patient),
    ]
    const controller = new AbortController()
    const waiting = admission.acquire(part(10), { ...patient, priority: 5, signal: controller.signal }).catch(() => {})
    await until(() => admission.waiting().length === 1)
    await sleep(60)
    expect(asked).toEqual([])
    controller.abort()
    await waiting
    for (const grant of held) grant.release()
  })

  test('asks an equal one that is idle, and touch() says that it is not', async () => {
    const admission = queue()
    const { asked, note } = noting()
    const used = await admission.acquire(part(50, 'used'), { ...patient, onEvict: note })
    const idle = await admission.acquire(part(50, 'idle'), { ...patient, idleMs: 0, onEvict: note })
    expect(used.touch()).toBe(used)
    const waiting = admission.acquire(part(50), patient)
    await until(() => asked.length > 0)
    expect(asked.map(({ grant }) => grant.label)).toEqual(['idle'])
    idle.release()
    ;(await waiting).release()
    used.release()
  })

  test.each<[string, AcquireOptions]>([
    ['the deadline passes', { evictMs: 20, onEvict: () => {} }],
    ['it says no', { ...patient, onEvict: () => false }],
    ['it says no later', { ...patient, onEvict: async () => false }],
    ['nobody listens any more', { ...patient, evictable: true }],
  ])('passes over a holder when %s, and asks the next', async (_, options) => {
    const admission = queue()
    const { asked, note } = noting()
    admission.onEvict = () => {}
    const first = await admission.acquire(part(50), { ...patient, ...options })
    if (options.evictable) admission.onEvict = undefined
    const second = await admission.acquire(part(50), { ...patient, priority: 1, onEvict: note })
    const waiting = admission.acquire(part(50), { ...patient, priority: 2 })
    await until(() => asked.length > 0)
    second.release()
    ;(await waiting).release()
    first.release()
  })

  test('goes by the callback of the queue for grants that have none', async () => {
    const admission = queue()
    admission.onEvict = ({ grant }) => grant.release()
    const evictable = await admission.acquire(part(100), { evictable: true })
    const granted = await admission.acquire(part(100), { priority: 1 })
    expect([evictable.released, granted.bytes]).toEqual([true, 100])
    granted.release()
  })

  test('does not keep who fits waiting', async () => {
    const admission = queue()
    const { asked, note } = noting()
    const held = await admission.acquire(part(80), { ...patient, onEvict: note })
    const waiting = admission.acquire(part(90), { ...patient, priority: 1 })
    await until(() => asked.length > 0)
    ;(await admission.acquire(part(20), patient)).release()
    held.release()
    ;(await waiting).release()
  })

  test('has what was released kept for the asker, and not for who is quicker', async () => {
    const admission = queue()
    const { asked, note } = noting()
    const held = [
      await admission.acquire(part(40), { ...patient, onEvict: note }),
      await admission.acquire(part(50), { ...patient, onEvict: note }),
    ]
    const waiting = admission.acquire(part(95), { ...patient, priority: 1 })
    await until(() => asked.length === 2)
    held[0]?.release()
    expect([admission.budget.lineAvailableBytes, admission.budget.availableBytes]).toEqual([50, 10])
    held[1]?.release()
    ;(await waiting).release()
  })

  test('works for a grant whose bytes a pool took over', async () => {
    const admission = queue(8 * MiB)
    const grant = await admission.acquire(part(4 * MiB), {
      onEvict: async (candidate) => {
        await pool.close()
        candidate.grant.release()
      },
    })
    const pool = await MemoryPool.create({
      device: 'host',
      slabBytes: 2 * MiB,
      from: grant.allocations[0] as Allocation,
    })
    expect([grant.bytes, grant.released]).toEqual([4 * MiB, false])
    const granted = await admission.acquire(part(8 * MiB), { priority: 1 })
    await until(() => grant.released)
    expect([pool.closed, grant.released, admission.budget.allocatedBytes]).toEqual([true, true, 8 * MiB])
    granted.release()
  })

  test('reaches a holder in another thread', () => {
    const script = `
      const { Worker } = require('node:worker_threads')
      const { once } = require('node:events')
      const options = { board: 'rk3588-32gb', maxBytes: 100 * MiB, headroom: false }
      const manager = new MemoryManager(options)
      const worker = new Worker(\`
        const { parentPort } = require('node:worker_threads')
        const { MiB, MemoryManager } = require('plimsoll')
        const manager = new MemoryManager(\${JSON.stringify(options)});
        (async () => {
          const onEvict = ({ grant, wantedBy }) => { grant.release(); parentPort.postMessage(wantedBy) }
          globalThis.grant = await manager.acquire({ bytes: 80 * MiB, label: 'idle there' }, { onEvict })
          parentPort.on('message', () => {})
          parentPort.postMessage('holds')
        })()\`, { eval: true })
      const said = []
      worker.on('message', (word) => said.push(word))
      await settle(() => said.length === 1)
      const grant = await manager.acquire({ bytes: 90 * MiB, label: 'here' }, { priority: 1 })
      await settle(() => said.length === 2)
      await worker.terminate()
      return [said, grant.bytes / MiB]`
    expect(runChild(script).value).toEqual([['holds', 'here'], 90])
  })

  test('reaches a holder whose queue nobody else refers to', () => {
    const script = `
      const { Admission } = plimsoll
      const budget = new MemoryBudget({ totalBytes: 100 })
      const held = await new Admission(budget).acquire({ bytes: 100, label: 'a' }, { onEvict: ({ grant }) => grant.release() })
      for (let i = 0; i < 20; i++) { gc(); await turn() }
      const grant = await new Admission(budget).acquire({ bytes: 50, label: 'b' }, { priority: 1 })
      return [held.released, grant.bytes]`
    expect(runChild(script, { flags: ['--expose-gc'] }).value).toEqual([true, 50])
  })

  test('lets what a callback throws out, and asks the next', () => {
    const script = `
      const { Admission } = plimsoll
      const admission = new Admission(new MemoryBudget({ totalBytes: 100 }))
      const thrown = []
      process.on('uncaughtException', ({ message }) => thrown.push(message))
      const first = await admission.acquire({ bytes: 50, label: 'a' }, { onEvict: () => { throw new Error('broken') } })
      const second = await admission.acquire({ bytes: 50, label: 'b' }, { priority: 1, onEvict: ({ grant }) => grant.release() })
      const third = await admission.acquire({ bytes: 50, label: 'c' }, { priority: 2 })
      return [thrown, first.released, second.released, third.bytes]`
    expect(runChild(script).value).toEqual([['broken'], false, true, 50])
  })
})

describe('an elastic grant', () => {
  const elastic = (admission: Admission, onRevoke: (request: MakeRoomRequest) => unknown): Promise<Grant> =>
    admission.acquire(part(20, 'cache'), { ...patient, onRevoke })

  test('stretches while there is room, and is refused without waiting', async () => {
    const admission = queue()
    const cache = await elastic(admission, () => {})
    expect([cache.stretch(30), cache.stretch(10), cache.stretchBytes, cache.bytes]).toEqual([30, 10, 40, 60])
    expect(admission.budget.allocations().map(({ label, sizeBytes }) => [label, sizeBytes])).toEqual([
      ['cache', 20],
      ['cache (stretch)', 40],
    ])
    thrownBy(InsufficientMemoryError, () => cache.stretch(41))
    expect([cache.shrink(15), cache.shrink(), cache.shrink(), cache.bytes]).toEqual([15, 25, 0, 20])
    cache.release()
    expect(admission.budget.allocatedBytes).toBe(0)
  })

  test('is asked for no more than is lacking, keeps its floor, and does not stretch meanwhile', async () => {
    const admission = queue()
    const { asked, note } = noting()
    const cache = await elastic(admission, note)
    cache.stretch(60)
    const waiting = admission.acquire(part(50, 'model'), { ...patient, priority: 1 })
    await until(() => asked.length > 0)
    expect(asked).toEqual([{ grant: cache, bytes: 30, deadlineMs: 3_600_000, wantedBy: 'model' }])
    thrownBy(InsufficientMemoryError, () => cache.stretch(1))
    cache.shrink(30)
    const model = await waiting
    expect([cache.bytes, cache.stretchBytes, model.bytes]).toEqual([50, 30, 50])
    model.release()
    expect(cache.stretch(50)).toBe(50)
    cache.release()
  })

  test('does not stretch beside somebody who has waited long enough', async () => {
    const admission = queue()
    const cache = await elastic(admission, () => {})
    const waiting = admission.acquire(part(90), { ...patient, ageMs: 0 })
    await until(() => admission.waiting().length === 1)
    const error = thrownBy(InsufficientMemoryError, () => cache.stretch(1))
    expect(error.bindingConstraint).toContain('kept for "90 bytes"')
    cache.release()
    ;(await waiting).release()
  })

  test('needs a way to shrink', async () => {
    const grant = await queue().acquire(part(1))
    thrownBy(InvalidArgumentError, () => grant.stretch(1))
    thrownBy(InvalidArgumentError, () => grant.stretch(-1))
    grant.release()
  })

  test('keeps the sum below the line, whoever stretches and revokes', async () => {
    const admission = queue(1000)
    const caches = await Promise.all(
      [0, 1, 2].map((priority) =>
        admission.acquire(part(200), { priority, idleMs: 0, onRevoke: ({ grant, bytes }) => void grant.shrink(bytes) }),
      ),
    )
    for (let round = 0; round < 40; round++) {
      for (const cache of caches) {
        try {
          cache.stretch(40 + ((round * 7) % 90))
        } catch (error) {
          expect(error).toBeInstanceOf(InsufficientMemoryError)
        }
      }
      const model = await admission.acquire(part(300), { priority: 5, ageMs: 0 })
      expect(admission.budget.allocatedBytes).toBeLessThanOrEqual(1000)
      expect(caches.every((cache) => cache.bytes >= 200)).toBe(true)
      model.release()
    }
    for (const cache of caches) cache.release()
    expect(admission.budget.allocatedBytes).toBe(0)
  })
})
