import {
  Admission,
  estimate,
  GgufFile,
  type Grant,
  InsufficientMemoryError,
  InvalidArgumentError,
  KiB,
  MemoryBudget,
  MemoryMonitor,
  MiB,
  ReleasedError,
  TokenBudget,
  type TokenBudgetOptions,
  TokenSequence,
} from 'plimsoll'
import { runChild, withGarbage } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { pause, samplePath, scratch } from './helpers/models'
import { kept, often } from './helpers/monitors'
import { writeTree } from './helpers/tree'

/** A budget of tokens over an elastic grant of a board of that many bytes. */
async function elastic(totalBytes: number, floorBytes: number, options: Partial<TokenBudgetOptions> = {}) {
  const admission = new Admission(new MemoryBudget({ totalBytes }))
  const grant: Grant = await admission.acquire(
    { bytes: floorBytes, label: 'kv cache' },
    { idleMs: 0, onRevoke: (request) => tokens.revoke(request) },
  )
  const tokens = new TokenBudget({ cost: 1000, grant, ...options })
  return { admission, grant, tokens }
}

describe('a budget of tokens', () => {
  test('checks before each growth, and a refusal changes nothing', () => {
    const budget = new TokenBudget({ cost: 1000, maxCacheTokens: 100 })
    const chat = budget.open('chat')
    using other = budget.open('other')
    chat.extend(80)
    other.extend(15)
    const error = thrownBy(InsufficientMemoryError, () => other.extend(6))
    expect(error.message).toBe(
      'expected at most 4.88 KiB to be asked for "other", got 5.86 KiB: maxCacheTokens is 100, of which 95 are in use, and 6 more ' +
        'were asked for. End a sequence, or raise the limit: "chat" alone has 80 tokens',
    )
    expect(error.requestedBytes).toBe(6000)
    expect(budget.usage()).toMatchObject({ tokens: 95, sequences: 2, usedBytes: 95_000, freeTokens: 5 })
    chat.free()
    other.extend(85)
    expect(budget.usage()).toMatchObject({ tokens: 100, peakTokens: 100, freeTokens: 0 })
  })

  test('counts a shared prefix once, and frees it with its last sequence', () => {
    const budget = new TokenBudget({ cost: 1, maxCacheTokens: 1000 })
    const system = budget.open('system')
    system.extend(600)
    const chats = ['a', 'b', 'c'].map((label) => system.fork(label))
    for (const chat of chats) chat.extend(100)
    expect(budget.usage().tokens).toBe(900)
    expect(budget.sequences()).toContainEqual({ label: 'b', tokens: 700, ownTokens: 100, score: 0 })
    system.free()
    chats[0]?.truncate(500)
    expect(budget.usage().tokens).toBe(800)
    for (const chat of chats) chat.free()
    expect(budget.usage()).toMatchObject({ tokens: 0, usedBytes: 0, sequences: 0 })
  })

  test('takes the cost of a model by its layers', () => {
    using model = GgufFile.open(samplePath)
    const needs = estimate(model, { contextLength: 256 })
    const budget = new TokenBudget({ cost: needs, maxCacheTokens: 256 })
    using chat = budget.open('chat')
    chat.extend(256)
    expect(budget.usage().usedBytes).toBe(needs.kvCacheBytes)
    expect(budget.layerBytes()).toEqual(needs.layers.map(({ keyBytes, valueBytes }) => keyBytes + valueBytes))
  })

  test('ends the growth of layers with a window, and keeps the share of each device', () => {
    const cost = [
      { bytesPerToken: 10, windowTokens: 4, device: 'gpu' as const },
      { bytesPerToken: 10, bytesPerSequence: 7 },
    ]
    const budget = new TokenBudget({ cost, maxCacheTokens: 100, devices: { cpuBytes: 107 } })
    const chat = budget.open('chat')
    chat.extend(10)
    expect(budget.usage()).toMatchObject({ gpuBytes: 40, cpuBytes: 107, usedBytes: 147 })
    expect(thrownBy(InsufficientMemoryError, () => chat.extend(1)).bindingConstraint).toBe('maxCpuBytes is 107 bytes')
    expect(thrownBy(InsufficientMemoryError, () => chat.fork()).bindingConstraint).toBe('maxCpuBytes is 107 bytes')
  })

  test('moves its limit while sequences run', () => {
    const budget = new TokenBudget({ cost: 1, maxCacheTokens: 100 })
    using chat = budget.open('chat')
    chat.extend(80)
    budget.maxCacheTokens = 50
    expect(chat.tokens).toBe(80)
    expect(() => chat.extend(1)).toThrow(InsufficientMemoryError)
    budget.maxCacheTokens = 200
    chat.extend(120)
    expect(budget.freeTokens).toBe(0)
  })
})

describe('candidates', () => {
  test('are cut to the best, the best first', () => {
    const budget = new TokenBudget({ cost: 1, maxCacheTokens: 10, maxParallelTokens: 2 })
    const candidates = [{ p: 0.1 }, { p: 0.7 }, { p: 0.2 }, { p: 0.7 }]
    expect(budget.trim(candidates, ({ p }) => p)).toEqual([candidates[1], candidates[3]])
    budget.maxParallelTokens = 10
    expect(budget.trim(candidates, ({ p }) => p).map(({ p }) => p)).toEqual([0.7, 0.7, 0.2, 0.1])
    expect(() => budget.trim(candidates, () => Number.NaN)).toThrow(InvalidArgumentError)
  })

  test('are as many as there are tokens free where nothing else was said', () => {
    const budget = new TokenBudget({ cost: 1, maxCacheTokens: 3 })
    using chat = budget.open('chat')
    chat.extend(1)
    expect(budget.maxParallelTokens).toBe(2)
    expect(budget.trim([1, 2, 3], (score) => score)).toEqual([3, 2])
  })
})

describe('over an elastic grant', () => {
  test('tokens stretch it as they come, and give it back', async () => {
    const { grant, tokens } = await elastic(1_000_000, 10_000)
    const chat = tokens.open('chat')
    chat.extend(10)
    expect(grant.stretchBytes).toBe(0)
    chat.extend(90)
    expect(grant.bytes).toBe(356_000)
    const error = thrownBy(InsufficientMemoryError, () => chat.extend(901))
    expect([error.requestedBytes, chat.tokens, grant.bytes]).toEqual([1_001_000 - 356_000, 100, 356_000])
    chat.extend(900)
    expect([grant.bytes, tokens.freeTokens]).toEqual([1_000_000, 0])
    chat.truncate(500)
    expect([tokens.releaseSpare(1000), tokens.releaseSpare(), grant.bytes]).toEqual([1000, 499_000, 500_000])
    tokens.close()
    expect([grant.bytes, grant.released]).toEqual([10_000, false])
    grant.release()
  })

  test('who needs the room gets what is spare first, and then that of who is pruned', async () => {
    const pruned: string[] = []
    const { admission, grant, tokens } = await elastic(1_000_000, 0, {
      prune: 'idle',
      onPrune: ({ label }) => void pruned.push(label),
    })
    const [old, young] = [tokens.open('old'), tokens.open('young')]
    old.extend(200)
    young.extend(200)
    const first = await admission.acquire({ bytes: 500_000, label: 'model' }, { priority: 1 })
    expect([pruned, tokens.usage().tokens]).toEqual([[], 400])
    const second = await admission.acquire({ bytes: 200_000, label: 'model' }, { priority: 1 })
    expect([pruned, young.tokens, grant.bytes]).toEqual([['old'], 200, 300_000])
    expect(() => old.extend(1)).toThrow(ReleasedError)
    old.free()
    for (const held of [first, second, grant]) held.release()
  })

  test('nobody is pruned where that would not suffice, nor without a policy', async () => {
    const pruned: string[] = []
    const onPrune = ({ label }: TokenSequence) => void pruned.push(label)
    const { grant, tokens } = await elastic(100_000, 0, { prune: 'longest', onPrune })
    const [one, other] = [tokens.open('one'), tokens.open('other')]
    one.extend(60)
    other.extend(30)
    expect(() => other.extend(71)).toThrow(InsufficientMemoryError)
    expect(pruned).toEqual([])
    other.extend(70)
    expect([pruned, other.tokens]).toEqual([['one'], 100])

    const timid = await elastic(100_000, 0)
    const alone = timid.tokens.open('alone')
    alone.extend(100)
    expect(timid.tokens.revoke({ bytes: 1000 })).toBe(false)
    expect(alone.tokens).toBe(100)
    for (const held of [grant, timid.grant]) held.release()
  })
})

test('a budget follows its grant: shrunk, and released', async () => {
  const { grant, tokens } = await elastic(1_000_000, 10_000)
  const chat = tokens.open('chat')
  chat.extend(100)
  grant.shrink()
  expect(tokens.maxParallelTokens).toBeGreaterThan(1000)
  chat.extend(1)
  expect(grant.bytes).toBeGreaterThanOrEqual(101_000)
  expect(() => chat.extend(Number.MAX_SAFE_INTEGER)).toThrow(InsufficientMemoryError)
  expect(tokens.revoke({ bytes: 0 })).toBe(true)
  grant.release()
  expect(() => chat.extend(1)).toThrow(ReleasedError)
})

test('nobody goes for what the floor of a grant has', async () => {
  const { grant, tokens } = await elastic(1_000_000, 50_000, { prune: 'idle' })
  const chat = tokens.open('chat')
  chat.extend(40)
  expect([tokens.revoke({ bytes: 1 }), chat.tokens]).toEqual([false, 40])
  grant.release()
})

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
    'proc/meminfo': `MemTotal: 1024000 kB\nMemFree: 0 kB\nMemAvailable: ${(1000 - usedMiB) * 1024} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n`,
    'proc/self/status':
      'Name:\tx\nVmHWM:\t300 kB\nVmRSS:\t200 kB\nRssAnon:\t120 kB\nRssFile:\t70 kB\nRssShmem:\t10 kB\n',
  })

  async function watched(options: Partial<TokenBudgetOptions> = {}) {
    const root = file(`board-${Math.random()}`)
    const use = (usedMiB: number) => writeTree(root, machine(usedMiB))
    use(100)
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
})

describe('what is wrong', () => {
  const budget = () => new TokenBudget({ cost: 1, maxCacheTokens: 10 })

  test.each([
    ['no cost', {}, 'cost'],
    ['a cost of nothing', { cost: 0, maxCacheTokens: 1 }, 'cost'],
    ['layers without a cost', { cost: [{ bytesPerToken: 0 }], maxCacheTokens: 1 }, 'cost'],
    ['a window without a token', { cost: [{ bytesPerToken: 1, windowTokens: 0 }], maxCacheTokens: 1 }, 'windowTokens'],
    ['a misspelt option', { cost: 1, maxCacheToken: 1 }, 'options'],
    ['no limit', { cost: 1 }, 'maxCacheTokens'],
    ['a limit below one', { cost: 1, maxCacheTokens: -1 }, 'maxCacheTokens'],
    ['a grant that is none', { cost: 1, grant: {} }, 'grant'],
    ['a policy that is none', { cost: 1, maxCacheTokens: 1, prune: 'oldest' }, 'prune'],
  ])('%s is refused by its name', (_what, options, argument) => {
    expect(thrownBy(InvalidArgumentError, () => new TokenBudget(options as TokenBudgetOptions)).argument).toBe(argument)
  })

  test('a grant that cannot be stretched', async () => {
    const grant = await new Admission(new MemoryBudget({ totalBytes: 100 })).acquire({ bytes: 1, label: 'a' })
    expect(() => new TokenBudget({ cost: 1, grant })).toThrow('an elastic one, which was acquired with onRevoke')
    grant.release()
    expect(() => new TokenBudget({ cost: 1, grant })).toThrow(ReleasedError)
  })

  test('tokens below zero, half a token, more than there are', () => {
    using chat = budget().open('chat')
    chat.extend(5)
    for (const count of [-1, 0.5, Number.NaN, 2 ** 60, '1' as never]) {
      expect(() => chat.extend(count)).toThrow(InvalidArgumentError)
      expect(() => chat.truncate(count)).toThrow(InvalidArgumentError)
    }
    expect(() => chat.truncate(6)).toThrow('at most the 5 that the sequence has')
    expect(chat.tokens).toBe(5)
    expect(() => chat.touch(Number.NaN)).toThrow(InvalidArgumentError)
  })

  test('a sequence that is freed twice', () => {
    const tokens = budget()
    const chat = tokens.open('chat')
    chat.extend(5)
    const branch = chat.fork()
    chat.free()
    expect(() => chat.free()).toThrow(ReleasedError)
    chat[Symbol.dispose]()
    expect(tokens.usage().tokens).toBe(5)
    for (const use of [() => chat.tokens, () => chat.extend(1), () => chat.fork(), () => chat.truncate(0)]) {
      expect(use).toThrow(ReleasedError)
    }
    branch.free()
    tokens.close()
    tokens.close()
    expect(() => tokens.open('another')).toThrow(ReleasedError)
    expect(() => new (TokenSequence as never as new () => unknown)()).toThrow(InvalidArgumentError)
  })

  test('a sequence that is dropped is freed when it is collected', () => {
    const script = `
      const tokens = new plimsoll.TokenBudget({ cost: 1, maxCacheTokens: 10 })
      const drop = () => void tokens.open('dropped').extend(10)
      drop()
      for (let turn = 0; turn < 100 && tokens.usage().tokens > 0; turn++) {
        gc()
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      return tokens.usage().tokens`
    expect(runChild(script, withGarbage).value).toBe(0)
  })
})

test('limits come from what fits: the context of all slots, and the micro-batch', () => {
  using model = GgufFile.open(samplePath)
  const { maxCacheTokens, maxParallelTokens, fit } = TokenBudget.limitsOf(model, 512 * MiB, { parallel: 2 })
  expect([maxCacheTokens, maxParallelTokens]).toEqual([fit.configuration.contextLength * 2, fit.configuration.ubatch])
  const given = TokenBudget.limitsOf(model, 512 * MiB, { maxCacheTokens: 99, maxParallelTokens: 64, minContext: 10 })
  expect([given.maxCacheTokens, given.maxParallelTokens, given.fit.configuration.ubatch]).toEqual([99, 64, 64])
  const shared = TokenBudget.limitsOf(model, 512 * MiB, { maxCacheTokens: 300, parallel: 2, minContext: 10 })
  expect(shared.fit.configuration).toMatchObject({ contextLength: 150, parallel: 2 })
  const error = thrownBy(InsufficientMemoryError, () => TokenBudget.limitsOf(model, MiB))
  expect(error.availableBytes).toBe(MiB)
  expect(error.requestedBytes).toBeGreaterThan(MiB)
})

test('what computes the limits reads its own options alone, and names a misspelt one', () => {
  using model = GgufFile.open(samplePath)
  const names = ['parallel', 'maxCacheTokens', 'maxParallelTokens', 'minContext']
  for (const name of names) Object.defineProperty(Object.prototype, name, { value: 7, configurable: true })
  try {
    const { maxCacheTokens, fit } = TokenBudget.limitsOf(model, 512 * MiB, { maxCacheTokens: 300 })
    expect([maxCacheTokens, fit.configuration.contextLength, fit.configuration.parallel]).toEqual([300, 300, 1])
  } finally {
    for (const name of names) delete (Object.prototype as Record<string, unknown>)[name]
  }
  const misspelt = { maxCacheToken: 300 } as object
  expect(() => TokenBudget.limitsOf(model, MiB, misspelt)).toThrow('did you mean "maxCacheTokens"')
  expect(() => TokenBudget.limitsOf(model, MiB, null as never)).toThrow('a plain object')
})
