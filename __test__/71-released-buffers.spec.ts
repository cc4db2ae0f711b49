import { MiB, ReleasedError } from 'plimsoll'
import { runChild, withGarbage } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { oneSlab as make } from './helpers/pools'
import { rejectedBy } from './helpers/rejected-by'
import { steal } from './helpers/steal'

describe('release', () => {
  test('every use is an error from then on; a second release is none', async () => {
    await using pool = await make()
    const buffer = pool.allocate(100, { label: 'gone' })
    buffer.release()
    buffer.release()
    buffer[Symbol.dispose]()
    expect(buffer).toMatchObject({ released: true, sizeBytes: 100, label: 'gone', device: 'host' })
    using other = pool.allocate(100)
    const uses = [
      buffer.read(),
      buffer.write(new Uint8Array(1)),
      buffer.fill(0),
      buffer.copyTo(other),
      other.copyTo(buffer),
      buffer.withMapping(() => {}),
      buffer.exportFd(),
    ]
    for (const use of uses) await rejectedBy(ReleasedError, use)
    thrownBy(ReleasedError, () => buffer.pin())
    buffer.unpin()
    expect(pool.stats()).toMatchObject({ bufferCount: 1, freedCount: 1 })
  })

  test('a stale buffer is not the one that has its place now', async () => {
    await using pool = await make()
    const old = pool.allocate(1000)
    old.release()
    using young = pool.allocate(1000)
    await young.fill(1)
    old.release()
    await rejectedBy(ReleasedError, old.fill(2))
    expect((await young.read()).every((byte) => byte === 1)).toBe(true)
  })

  test('inside withMapping: the view stays, and the memory goes when the map ends', async () => {
    await using pool = await make()
    const buffer = pool.allocate(MiB)
    await buffer.withMapping(async (view) => {
      buffer.release()
      expect(buffer.released).toBe(true)
      view.fill(8)
      expect(() => pool.allocate(1)).toThrow()
      await new Promise(setImmediate)
      expect([view[0], view[MiB - 1]]).toEqual([8, 8])
    })
    expect(pool.stats().usedBytes).toBe(0)
    pool.allocate(MiB)
  })

  test('of the pool inside withMapping: the same', async () => {
    const pool = await make()
    const buffer = pool.allocate(1000)
    await buffer.withMapping(async (view) => {
      view.fill(8)
      await pool.close()
      expect(view.every((byte) => byte === 8)).toBe(true)
    })
    buffer.release()
  })

  test('while it is read, written or copied: that goes on with the bytes that were', async () => {
    await using pool = await make({ slabBytes: 16 * MiB, initialBytes: 48 * MiB })
    const [from, to] = [pool.allocate(16 * MiB), pool.allocate(16 * MiB)]
    await from.fill(3)
    const reads = [from.read(), from.read()]
    const copy = from.copyTo(to)
    const write = to.write(Uint8Array.of(1), { offsetBytes: 16 * MiB - 1 })
    from.release()
    to.release()
    const over = pool.allocate(16 * MiB)
    await over.fill(4)
    for (const bytes of await Promise.all(reads)) expect(bytes.every((byte) => byte === 3)).toBe(true)
    await Promise.all([copy, write])
    expect((await over.read()).every((byte) => byte === 4)).toBe(true)
    expect(pool.stats().bufferCount).toBe(1)
  })

  test('of the pool while it is read: the bytes that were, or an error', async () => {
    const pool = await make({ slabBytes: 16 * MiB, initialBytes: 16 * MiB })
    const buffer = pool.allocate(16 * MiB)
    await buffer.fill(3)
    const reads = Promise.allSettled(Array.from({ length: 8 }, () => buffer.read()))
    await pool.close()
    for (const outcome of await reads) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ReleasedError)
      else expect(outcome.value.every((byte) => byte === 3)).toBe(true)
    }
  })

  test('of what is pinned: the pins go with it', async () => {
    await using pool = await make()
    const buffer = pool.allocate(MiB)
    buffer.pin()
    buffer.pin()
    buffer.release()
    expect(pool.stats()).toMatchObject({ usedBytes: 0, bufferCount: 0 })
    pool.allocate(MiB)
  })
})

describe('the net under release', () => {
  test('frees a buffer that was dropped, with one warning that has its label', () => {
    const script = `
      const warnings = []
      process.on('warning', ({ name, message, code, label, sizeBytes }) => warnings.push({ name, message, label, sizeBytes }))
      const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
      ;(() => { pool.allocate(1000, { label: 'dropped' }); pool.allocate(2000, { label: 'released' }).release() })()
      const freed = await collect(() => pool.stats().usedBytes === 0)
      await turn()
      pool.allocate(MiB).release()
      return { freed, warnings }`
    const { value } = runChild<{ freed: boolean; warnings: Record<string, unknown>[] }>(script, withGarbage)
    expect(value.freed).toBe(true)
    expect(value.warnings).toHaveLength(1)
    expect(value.warnings[0]).toMatchObject({
      name: 'PlimsollLeakWarning',
      message: expect.stringMatching(/1000 bytes on host labelled "dropped"/),
    })
  })

  test('holds under a buffer that is collected while it is mapped or read: not before that ends', () => {
    const script = `
      const pool = await MemoryPool.create({ device: 'host', slabBytes: 8 * MiB, initialBytes: 8 * MiB })
      const [mapped, read] = (() => {
        const buffer = pool.allocate(4 * MiB), other = pool.allocate(4 * MiB)
        return [
          buffer.withMapping(async (view) => { view.fill(1); for (let i = 0; i < 20; i++) { gc(); await turn() } ; return view[view.length - 1] }),
          other.fill(2).then(() => other.read()),
        ]
      })()
      const seen = [await mapped, (await read)[0]]
      return [seen, await collect(() => pool.stats().usedBytes === 0)]`
    expect(runChild(script, withGarbage).value).toEqual([[1, 2], true])
  })

  test('memory that garbage holds makes the engine collect it', () => {
    const script = `
      process.on('warning', () => {})
      const pool = await MemoryPool.create({ device: 'host', slabBytes: 512 * MiB, maxBytes: 2048 * MiB })
      let most = 0
      for (let index = 0; index < 400; index++) {
        await pool.allocateAsync(16 * MiB)
        most = Math.max(most, pool.stats().usedBytes)
        await turn()
      }
      return most / MiB`
    expect(runChild<number>(script, { flags: ['--no-warnings'] }).value).toBeLessThan(2048)
  })
})

describe('worker threads', () => {
  const worker = (body: string) => `
    const { Worker } = require('node:worker_threads')
    const { once } = require('node:events')
    const worker = new Worker(\`
      const { parentPort } = require('node:worker_threads')
      const { MiB, MemoryBudget, MemoryPool } = require('plimsoll')
      const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 1000 * MiB })
      ;(async () => {
        const pool = await MemoryPool.create({ device: 'host', slabBytes: 16 * MiB, initialBytes: 64 * MiB, budget })
        const buffers = Array.from({ length: 4 }, () => pool.allocate(16 * MiB))
        ${body}
      })()\`, { eval: true })
    const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 1000 * MiB })
    `

  test.each([
    ['holds buffers', "parentPort.postMessage('ready'); setInterval(() => {}, 1000)"],
    [
      'has a buffer mapped',
      "await buffers[0].withMapping((view) => { view.fill(1); parentPort.postMessage('ready'); return new Promise(() => setInterval(() => {}, 1000)) })",
    ],
    [
      'reads, fills and moves buffers',
      "buffers[1].release(); parentPort.postMessage('ready'); for (;;) await Promise.all([...buffers.filter((buffer) => !buffer.released).flatMap((buffer) => [buffer.read(), buffer.fill(1)]), pool.defragment()])",
    ],
  ])('one that %s is terminated: the process lives, and the budget has all back', (_, body) => {
    const script = `${worker(body)}
      await once(worker, 'message')
      const during = budget.allocatedBytes / MiB
      await worker.terminate()
      return [during, await settle(() => budget.allocatedBytes === 0)]`
    expect(runChild(script).value).toEqual([64, true])
  })

  test.each(["{ kind: 'host' }", "{ kind: 'host', memoryFile: true }", "{ kind: 'host', hugePages: 'transparent' }"])(
    'one that is terminated with a small part of a large slab of %s mapped leaves none of it resident',
    (device) => {
      const script = `
        const { Worker } = require('node:worker_threads')
        const { once } = require('node:events')
        const run = async (toDo) => {
          const worker = new Worker(\`
            const { parentPort } = require('node:worker_threads')
            const { MiB, MemoryPool } = require('plimsoll')
            ;(async () => {
              const pool = await MemoryPool.create({ device: ${device}, slabBytes: 128 * MiB, initialBytes: 128 * MiB })
              const buffer = pool.allocate(1024)
              const wait = () => { parentPort.postMessage('ready'); return new Promise(() => setInterval(() => {}, 1000)) }
              await \${toDo}
            })()\`, { eval: true })
          await once(worker, 'message')
          await worker.terminate()
        }
        await run('wait()')
        const before = rssBytes()
        for (let round = 0; round < 3; round++) await run('buffer.withMapping((view) => { view.fill(1); return wait() })')
        await settle(() => rssBytes() - before < 64 * MiB)
        return (rssBytes() - before) / MiB`
      expect(runChild<number>(script).value).toBeLessThan(64)
    },
  )

  test('a view that one transferred to this thread is copied or moved, as Node.js has it, and safe after its end', () => {
    const script = `${worker(
      'await buffers[0].fill(7); await buffers[0].withMapping((view) => parentPort.postMessage(view, [view.buffer])); setTimeout(() => process.exit(), 20)',
    )}
      const [view] = await once(worker, 'message')
      await once(worker, 'exit')
      await turn()
      return [view.length, view.every((byte) => byte === 7) || view.every((byte) => byte === 0)]`
    expect(runChild(script).value).toEqual([16 * MiB, true])
  })

  test('a view that one moved to this thread is safe to use after its end, and reads zero then', () => {
    const script = `${worker(
      `${steal}
        await buffers[0].fill(7)
        await buffers[0].withMapping(async (view) => {
          const moved = await steal(view)
          parentPort.postMessage(moved, [moved.buffer])
        })
        parentPort.on('message', () => process.exit())`,
    )}
      const [view] = await once(worker, 'message')
      const before = view.every((byte) => byte === 7)
      worker.postMessage('end')
      await once(worker, 'exit')
      await turn()
      const after = view.every((byte) => byte === 0)
      view.fill(1)
      return [view.length, before, after, view.every((byte) => byte === 1), budget.allocatedBytes]`
    expect(runChild(script).value).toEqual([16 * MiB, true, true, true, 0])
  })

  test('many that come and go leave nothing', () => {
    const script = `
      const { Worker } = require('node:worker_threads')
      const { once } = require('node:events')
      const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 1000 * MiB })
      const seen = []
      for (let round = 0; round < 10; round++) {
        const worker = new Worker(\`
          const { parentPort } = require('node:worker_threads')
          const { MiB, MemoryManager } = require('plimsoll')
          ;(async () => {
            const manager = new MemoryManager({ board: 'rk3588-32gb', maxBytes: 1000 * MiB })
            const buffer = await manager.system.allocate(MiB)
            const pool = await manager.pools.create({ device: 'host', slabBytes: MiB, initialBytes: MiB })
            pool.allocate(1000)
            parentPort.postMessage(manager.budget.allocatedBytes / MiB)
          })()\`, { eval: true })
        seen.push((await once(worker, 'message'))[0])
        await worker.terminate()
        seen.push(await settle(() => budget.allocatedBytes === 0))
      }
      return seen`
    const seen = runChild<unknown[]>(script).value
    expect(seen).toEqual(Array.from({ length: 10 }, () => [2, true]).flat())
  })
})

test.each([
  ['in the middle of reads', 'for (let index = 0; index < 20; index++) buffer.read()'],
  ['in the middle of a map', 'await buffer.withMapping(() => process.exit(0))'],
  ['in the middle of a defragmentation', 'pool.allocate(1000).release(); pool.defragment(); buffer.read()'],
  ['while slabs are taken', 'for (let index = 0; index < 20; index++) pool.allocateAsync(16 * MiB)'],
  ['while the pool is closed', 'buffer.fill(1); pool.close()'],
])('process.exit() %s ends the process, and nothing else', (_, body) => {
  const script = `
    const pool = await MemoryPool.create({ device: 'host', slabBytes: 16 * MiB, initialBytes: 32 * MiB })
    const buffer = pool.allocate(15 * MiB)
    process.on('exit', () => require('node:fs').writeSync(1, '\\n"ended"'))
    ${body}
    process.exit(0)`
  expect(runChild(script).value).toBe('ended')
})

test('a process with a pool, a held buffer and a timer of its own ends by itself', () => {
  const script = `
    const pool = await MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, autoDefragment: true })
    globalThis.kept = [pool, pool.allocate(1000)]
    pool.allocate(10).release()
    return 'ends'`
  expect(runChild(script).value).toBe('ends')
})
