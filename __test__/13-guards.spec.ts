import { InvalidArgumentError, MemoryBudget, ReleasedError } from 'plimsoll'
import { runChild } from './helpers/child'
import { emulatorBytes } from './helpers/emulation'
import { thrownBy } from './helpers/errors'

const fresh = () => new MemoryBudget({ totalBytes: 100 })

test('release() releases the bytes; a second one does nothing', () => {
  const budget = fresh()
  const first = budget.allocate(40, 'first')
  using _second = budget.allocate(20, 'second')
  expect(first.released).toBe(false)
  first.release()
  first.release()
  first[Symbol.dispose]()
  expect(first.released).toBe(true)
  expect(budget.allocatedBytes).toBe(20)
})

test('a guard released twice does not release the one that took its place', () => {
  const budget = fresh()
  const old = budget.allocate(40, 'old')
  old.release()
  using heir = budget.allocate(50, 'heir')
  old.release()
  expect([budget.allocatedBytes, heir.released]).toEqual([50, false])
})

test('`using` releases the bytes at the end of the block, also when it is left by an error', () => {
  const budget = fresh()
  const fail = () => {
    using _guard = budget.allocate(40, 'guard')
    expect(budget.allocatedBytes).toBe(40)
    throw new Error('out of the block')
  }
  expect(fail).toThrow('out of the block')
  expect(budget.allocatedBytes).toBe(0)
})

test('label and size stay readable after release; age and attach() are refused', () => {
  const guard = fresh().allocate(40, 'guard')
  guard.release()
  expect([guard.label, guard.sizeBytes]).toEqual(['guard', 40])
  expect(thrownBy(ReleasedError, () => guard.ageMs)).toMatchObject({ code: 'ERR_RELEASED', what: 'the allocation' })
  thrownBy(ReleasedError, () => guard.attach({}))
})

test('attach() returns the guard, which may still be released before', () => {
  const budget = fresh()
  const guard = budget.allocate(40, 'guard')
  const owner = {}
  expect(guard.attach(owner).attach(owner)).toBe(guard)
  guard.release()
  expect(budget.allocatedBytes).toBe(0)
})

test.each([undefined, null, 5, 'model', true, 1n, Symbol('model')])(
  'attach(%p) is refused: it would live nowhere',
  (value) => {
    const budget = fresh()
    using guard = budget.allocate(40, 'guard')
    expect(thrownBy(InvalidArgumentError, () => guard.attach(value as unknown as object)).argument).toBe('object')
    expect([guard.released, budget.allocatedBytes]).toEqual([false, 40])
  },
)

test('attach() to the guard itself is refused: it would live for ever or not at all', () => {
  using guard = fresh().allocate(40, 'guard')
  thrownBy(InvalidArgumentError, () => guard.attach(guard))
})

test('a guard outlives every reference to its budget', () => {
  let budget: MemoryBudget | undefined = fresh()
  const guard = budget.allocate(40, 'guard')
  budget = undefined
  expect(guard.ageMs).toBeGreaterThanOrEqual(0)
  guard.release()
})

describe('the garbage collector is the net', () => {
  const flags = ['--expose-gc']
  const warnings = `const warnings = []
    process.on('warning', ({ name, code, message, label, sizeBytes }) => warnings.push({ name, code, message, label, sizeBytes }))
    const budget = new MemoryBudget({ totalBytes: 1000 })
    const freed = () => budget.allocatedBytes === 0`

  test('a dropped guard is released with exactly one warning, which names its label and size', () => {
    const script = `${warnings}
      ;(() => { budget.allocate(400, 'kv cache of session 7') })()
      return { freed: await collect(freed), warnings: (await collect(() => warnings.length > 1), warnings) }`
    const { value, stderr } = runChild<{ freed: boolean; warnings: object[] }>(script, { flags })
    expect(value.freed).toBe(true)
    expect(value.warnings).toEqual([
      {
        name: 'PlimsollLeakWarning',
        code: 'PLIMSOLL_LEAK',
        message: expect.stringMatching(/400 bytes labelled "kv cache of session 7"/),
        label: 'kv cache of session 7',
        sizeBytes: 400,
      },
    ])
    expect(stderr.match(/PlimsollLeakWarning/g)).toHaveLength(1)
    expect(stderr).toContain('[PLIMSOLL_LEAK] PlimsollLeakWarning: ')
    expect(stderr).not.toContain('GenericFailure')
  })

  test('it warns, and does not crash, in a realm that is not the main one, such as the sandbox of a test runner', () => {
    const script = `
      const warnings = []
      process.on('warning', ({ name, message }) => warnings.push([name, message.includes('"dropped"')]))
      const [{ createRequire, wrap }, { readFileSync }, { dirname }, vm] = ['module', 'fs', 'path', 'vm'].map((name) => require('node:' + name))
      const entry = require.resolve('plimsoll')
      const realm = vm.createContext({ process, setImmediate, setTimeout, AbortSignal, URL })
      const module = { exports: {} }
      const run = vm.runInContext(wrap(readFileSync(entry, 'utf8')), realm)
      run(module.exports, createRequire(entry), module, entry, dirname(entry))
      const budget = new module.exports.MemoryBudget({ totalBytes: 1000 })
      ;(() => { budget.allocate(400, 'dropped') })()
      await collect(() => warnings.length > 0)
      return { warnings, allocated: budget.allocatedBytes }`
    const { value } = runChild(script, { flags })
    expect(value).toEqual({ warnings: [['PlimsollLeakWarning', true]], allocated: 0 })
  })

  test('a warning is one line of bounded length, whatever the label is, and has it whole', () => {
    const label = `first\nFAKE LINE \u001b[31m${'x'.repeat(5000)}`
    const script = `${warnings}
      ;(() => { budget.allocate(400, ${JSON.stringify(label)}) })()
      return (await collect(() => warnings.length > 0), warnings)`
    const { value, stderr } = runChild<{ label: string }[]>(script, { flags })
    expect(value[0]?.label).toBe(label)
    const said = stderr.split('\n').filter((line) => line.includes('FAKE LINE'))
    expect(said).toEqual([expect.stringContaining('labelled "first\\nFAKE LINE \\u001b[31mxxx')])
    expect(said[0]?.length).toBeLessThan(600)
    expect(stderr).not.toContain('\u001b')
  })

  test('a released guard gives no warning and releases nothing twice when it is collected', () => {
    const script = `${warnings}
      ;(() => { for (let i = 0; i < 1000; i++) budget.allocate(1, 'released').release() })()
      const held = budget.allocate(300, 'held')
      await collect(() => false)
      return { warnings, allocated: budget.allocatedBytes, released: held.released }`
    const { value, stderr } = runChild(script, { flags })
    expect(value).toEqual({ warnings: [], allocated: 300, released: false })
    expect(stderr).toBe('')
  })

  test('a live guard is not collected, however often garbage is', () => {
    const script = `${warnings}
      globalThis.guard = budget.allocate(300, 'live')
      await collect(freed)
      return { warnings, allocated: budget.allocatedBytes }`
    expect(runChild(script, { flags }).value).toEqual({ warnings: [], allocated: 300 })
  })

  test('an attached guard lives as long as its object, and goes with it without a warning', () => {
    const script = `${warnings}
      let model = { name: 'model' }
      budget.allocate(300, 'weights').attach(model)
      budget.allocate(200, 'cache').attach(model)
      await collect(freed)
      const during = budget.allocatedBytes
      model = undefined
      return { during, freed: await collect(freed), warnings }`
    expect(runChild(script, { flags }).value).toEqual({ during: 500, freed: true, warnings: [] })
  })

  test('a guard attached to two objects lives as long as the longer-lived', () => {
    const script = `${warnings}
      let [one, other] = [{}, () => {}]
      budget.allocate(300, 'shared').attach(one).attach(other)
      one = undefined
      await collect(freed)
      const during = budget.allocatedBytes
      other = undefined
      return { during, freed: await collect(freed), warnings }`
    expect(runChild(script, { flags }).value).toEqual({ during: 300, freed: true, warnings: [] })
  })

  test('guards attached to each other, or to an object that refers to them, are collected all the same', () => {
    const script = `${warnings}
      ;(() => {
        const [one, other] = [budget.allocate(300, 'one'), budget.allocate(200, 'other')]
        one.attach(other)
        other.attach(one)
        const owner = {}
        owner.guard = budget.allocate(100, 'mine').attach(owner)
      })()
      return { freed: await collect(freed), warnings }`
    expect(runChild(script, { flags }).value).toEqual({ freed: true, warnings: [] })
  })

  test('an object to which guards are attached and released for days does not grow', () => {
    const script = `
      const [budget, server] = [new MemoryBudget({ totalBytes: 1000 }), { name: 'server' }]
      const serve = (requests) => { for (let i = 0; i < requests; i++) budget.allocate(1, 'request').attach(server).release() }
      const heapBytes = async () => { for (let i = 0; i < 5; i++) { gc(); await turn() } return process.memoryUsage().heapUsed }
      serve(20_000)
      const before = await heapBytes()
      serve(100_000)
      return { grown: (await heapBytes()) - before, name: server.name }`
    expect(runChild<{ grown: number }>(script, { flags }).value.grown).toBeLessThan(2 ** 20)
  })

  test('an explicit release after the budget is dropped still counts', () => {
    const script = `
      let budget = MemoryBudget.forThisMachine({ board: 'rk3588-4gb' })
      const guard = budget.allocate(300, 'orphan')
      budget = undefined
      await collect(() => false)
      const look = MemoryBudget.forThisMachine({ board: 'rk3588-4gb' })
      const during = look.allocatedBytes
      guard.release()
      return [during, look.allocatedBytes]`
    expect(runChild(script, { flags }).value).toEqual([300, 0])
  })

  test('a refusal leaves nothing behind: two hundred thousand of them do not grow the process', () => {
    const script = `
      const budget = new MemoryBudget({ totalBytes: 1000 })
      const refuse = async (times) => {
        for (let i = 0; i < times; i++) { try { budget.allocate(1001, 'too much') } catch {} if (i % 10_000 === 0) { gc(); await turn() } }
        gc()
        return rssBytes()
      }
      const before = await refuse(50_000)
      return (await refuse(200_000)) - before`
    expect(runChild<number>(script, { flags }).value).toBeLessThan(8 * 2 ** 20 + emulatorBytes)
  })
})
