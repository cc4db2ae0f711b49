import { closeSync, openSync, writeSync } from 'node:fs'
import {
  Admission,
  type Grant,
  InsufficientMemoryError,
  InvalidArgumentError,
  KiB,
  MemoryBudget,
  MemoryMonitor,
  ReleasedError,
  TokenBudget,
  type TokenBudgetOptions,
  type TokenSequence,
} from 'plimsoll'
import { runChild, withGarbage } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { pause, scratch } from './helpers/models'
import { kept, often } from './helpers/monitors'
import { elastic } from './helpers/tokens'
import { writeTree } from './helpers/tree'

/** A promise that the test fulfils, or breaks. */
function deferred() {
  let fulfil = () => {}
  let fail = (_error: Error) => {}
  const promise = new Promise<void>((resolve, reject) => {
    fulfil = resolve
    fail = reject
  })
  return { promise, fulfil, fail }
}

describe('a runtime that drops what is pruned later', () => {
  test('growth is refused until it has, and prunes nobody else meanwhile', async () => {
    const dropped = deferred()
    const pruned: string[] = []
    const onPrune = ({ label }: TokenSequence) => {
      pruned.push(label)
      return dropped.promise
    }
    const tokens = new TokenBudget({
      cost: 10,
      maxCacheTokens: 100,
      prune: 'idle',
      onPrune,
      devices: { cpuBytes: 1000 },
    })
    const [one, two, three] = [tokens.open('one'), tokens.open('two'), tokens.open('three')]
    for (const sequence of [one, two, three]) sequence.extend(30)
    for (let round = 0; round < 2; round++) {
      const error = thrownBy(InsufficientMemoryError, () => three.extend(20))
      expect([error.bindingConstraint, error.suggestion]).toEqual([
        "30 tokens that were pruned have not left the runtime's cache",
        'Await settle(), and ask again',
      ])
    }
    expect([pruned, tokens.leavingTokens, tokens.usage().tokens, tokens.freeTokens]).toEqual([['one'], 30, 60, 10])
    // What needs no more than there is still grows.
    three.extend(10)
    dropped.fulfil()
    await tokens.settle()
    expect([tokens.leavingTokens, tokens.freeTokens]).toEqual([0, 30])
    three.extend(20)
    expect([pruned, three.tokens, tokens.maxCacheTokens]).toEqual([['one'], 60, 100])
    tokens.close()
  })

  test('nothing is given back to who needs the room before it has', async () => {
    const dropped = deferred()
    const { admission, grant, tokens } = await elastic(400_000, 0, { prune: 'idle', onPrune: () => dropped.promise })
    const [one, two] = [tokens.open('one'), tokens.open('two')]
    one.extend(150)
    two.extend(150)
    let granted = false
    const model = admission.acquire({ bytes: 200_000, label: 'model' }, { priority: 1 }).finally(() => {
      granted = true
    })
    while (tokens.leavingTokens === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect([granted, tokens.usage().tokens, grant.bytes >= 300_000]).toEqual([false, 150, true])
    dropped.fulfil()
    const held = await model
    expect(grant.bytes + held.bytes).toBeLessThanOrEqual(400_000)
    expect(two.tokens).toBe(150)
    for (const each of [held, grant]) each.release()
  })

  test('who asks for room hears later whether it was enough', async () => {
    const { grant, tokens } = await elastic(1_000_000, 0, { prune: 'idle', onPrune: async () => {} })
    for (const label of ['a', 'b', 'c']) tokens.open(label).extend(100)
    tokens.releaseSpare()
    const all = tokens.revoke({ bytes: 250_000 })
    expect([all, grant.bytes]).toEqual([expect.any(Promise), 300_000])
    expect([await all, grant.bytes]).toEqual([true, 50_000])
    expect(await tokens.revoke({ bytes: 60_000 })).toBe(false)
    grant.release()
  })

  test('one that did not drop it keeps the room, and what it failed by is uncaught', () => {
    const script = `
      const uncaught = []
      process.on('uncaughtException', ({ message }) => uncaught.push(message))
      const failing = [() => Promise.reject(new Error('later')), () => { throw new Error('at once') }]
      const left = []
      for (const onPrune of failing) {
        const tokens = new plimsoll.TokenBudget({ cost: 1, maxCacheTokens: 100, prune: 'idle', onPrune })
        const [one, two] = [tokens.open('one'), tokens.open('two')]
        one.extend(60)
        two.extend(40)
        for (let turn = 0; turn < 2; turn++) {
          try {
            two.extend(10)
          } catch ({ code }) {
            left.push(code)
          }
          await tokens.settle()
        }
        left.push(tokens.leavingTokens, tokens.freeTokens)
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
      return [uncaught.sort(), left]`
    const refused = ['ERR_INSUFFICIENT_MEMORY', 'ERR_INSUFFICIENT_MEMORY', 60, 0]
    expect(runChild(script).value).toEqual([
      ['at once', 'later'],
      [...refused, ...refused],
    ])
  })
})

describe('a budget that follows a monitor', () => {
  const file = scratch()

  /** A machine of 1000 MiB with so many of them in use. */
  const machine = (usedMiB: number) => ({
    'proc/meminfo': `MemTotal: 1024000 kB\nMemFree: 0 kB\nMemAvailable: ${String((1000 - usedMiB) * 1024).padStart(8)} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n`,
    'proc/self/status':
      'Name:\tx\nVmHWM:\t300 kB\nVmRSS:\t200 kB\nRssAnon:\t120 kB\nRssFile:\t70 kB\nRssShmem:\t10 kB\n',
  })

  async function watched(options: Partial<TokenBudgetOptions> = {}) {
    const root = file(`board-${Math.random()}`)
    writeTree(root, machine(100))
    // In place, and at once: half a file cannot be read, and counts as critical.
    const use = (usedMiB: number) => {
      const descriptor = openSync(`${root}/proc/meminfo`, 'r+')
      writeSync(descriptor, machine(usedMiB)['proc/meminfo'], 0)
      closeSync(descriptor)
    }
    const budget = kept(MemoryBudget.forThisMachine({ root, isolated: true, safetyMarginPercent: 0 }))
    const monitor = new MemoryMonitor(budget)
    const admission = new Admission(budget)
    const grant: Grant = await admission.acquire(
      { bytes: 0, label: 'kv cache' },
      { idleMs: 0, onRevoke: (request) => tokens.revoke(request) },
    )
    const tokens = new TokenBudget({ cost: KiB, grant, ...options })
    monitor.start(often)
    const until = async (level: string) => {
      for (let turn = 0; turn < 2000 && monitor.level !== level; turn++) await pause(5)
      expect(monitor.level).toBe(level)
    }
    const close = () => {
      grant.release()
      admission.close()
      monitor.close()
    }
    return { monitor, grant, tokens, use, until, close }
  }

  test('gives back what is spare at a warning, prunes and refuses while it is critical, and grows again after', async () => {
    const pruned: string[] = []
    const { monitor, grant, tokens, use, until, close } = await watched({
      prune: 'idle',
      onPrune: async ({ label }) => void pruned.push(label),
    })
    using following = tokens.follow(monitor)
    const chats = ['old', 'young'].map((label) => tokens.open(label))
    for (const chat of chats) chat.extend(100)
    expect(grant.bytes).toBeGreaterThan(200 * KiB)
    use(640) // A floor of 256 MiB is left untouched.
    await until('warning')
    for (let turn = 0; turn < 2000 && grant.bytes > 200 * KiB; turn++) await pause(5)
    expect([grant.bytes, pruned]).toEqual([200 * KiB, []])
    use(1000)
    await until('critical')
    const error = thrownBy(InsufficientMemoryError, () => chats[1]?.extend(3))
    expect(error.requestedBytes).toBe(3 * KiB)
    expect(error.bindingConstraint).toMatch(/^memory is critical: \d+\.\d % are in use of /)
    expect(error.suggestion).toContain('End or truncate a sequence')
    for (let turn = 0; turn < 2000 && pruned.length === 0; turn++) await pause(5)
    expect(pruned[0]).toBe('old')
    use(100)
    await until('normal')
    tokens.open('new').extend(500)
    following[Symbol.dispose]()
    following[Symbol.dispose]()
    expect(monitor.listenerCount('warning')).toBe(0)
    close()
  })

  test('may grow at critical where it is told so, and leaves the monitor when it is closed', async () => {
    const { monitor, use, until, close } = await watched()
    const tokens = new TokenBudget({ cost: KiB, maxCacheTokens: 100 })
    tokens.follow(monitor, { refuseAtCritical: false })
    const chat = tokens.open('chat')
    use(1000)
    await until('critical')
    chat.extend(2)
    using _strict = tokens.follow(monitor)
    expect(() => chat.extend(2)).toThrow(InsufficientMemoryError)
    chat.extend(0)
    tokens.close()
    expect(monitor.listenerCount('warning')).toBe(0)
    expect(() => tokens.follow(monitor)).toThrow(ReleasedError)
    close()
  })

  test('of nothing that is a monitor', () => {
    const tokens = new TokenBudget({ cost: 1, maxCacheTokens: 10 })
    for (const other of [undefined, {}, tokens]) {
      expect(thrownBy(InvalidArgumentError, () => tokens.follow(other as never)).argument).toBe('monitor')
    }
  })

  test('is collected with its grant where both are dropped, though the monitor goes on', () => {
    const script = `
      const budget = new plimsoll.MemoryBudget({ totalBytes: 10 * MiB })
      const monitor = new plimsoll.MemoryMonitor(plimsoll.MemoryBudget.forThisMachine({ isolated: true }))
      const admission = new plimsoll.Admission(budget)
      const drop = async () => {
        let tokens
        const options = { onRevoke: (request) => tokens.revoke(request) }
        const grant = await admission.acquire({ bytes: MiB, label: 'kv cache' }, options)
        tokens = new plimsoll.TokenBudget({ cost: 1, grant })
        tokens.follow(monitor)
      }
      await drop()
      const during = budget.allocatedBytes
      const isCollected = await collect(() => budget.allocatedBytes + monitor.listenerCount('warning') === 0)
      return [during, isCollected]`
    expect(runChild(script, withGarbage).value).toEqual([1024 * KiB, true])
  })
})
