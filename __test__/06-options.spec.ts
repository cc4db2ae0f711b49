import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MemoryBudget } from 'plimsoll'
import { root, runChild } from './helpers/child'
import { withFakeCuda } from './helpers/fake-cuda'
import { samplePath } from './helpers/models'

/** Every name that options have, of the surface and of the addon, out of their declarations. */
function optionNames(): string[] {
  const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('cli/'))
    .map((name) => join(root, 'lib', name))
  const declared = /interface \w*(?:Options|Numbers|Limits|Range|LoadIntoAny)\b[^{]*\{\n(.*?)\n\}/gs
  const names = [...sources, join(root, 'binding.d.ts')].flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(declared)].flatMap(([, body]) =>
      [...(body as string).matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name as string),
    ),
  )
  return [...new Set(names)].sort()
}

const names = optionNames()

/** Calls that take options, each with as few of them as it needs. */
const calls = `
  const { writeSync } = require('node:fs')
  const sample = ${JSON.stringify(samplePath)}
  const quietly = async (call) => { try { return await call() } catch (error) { return error.code ?? String(error) } }
  const each = async () => {
    const seen = {}
    const see = async (name, call) => { seen[name] = await quietly(call) }
    const budget = MemoryBudget.forThisMachine({})
    await see('line', () => [budget.lineBytes, budget.terms.map(({ kind }) => kind)])
    await see('line without options', () => MemoryBudget.forThisMachine().lineBytes)
    await see('line of a board', () => MemoryBudget.forThisMachine({ board: 'rk3588-8gb' }).terms.map(({ kind }) => kind))
    await see('budget', () => new MemoryBudget({ totalBytes: GiB }).usableBytes)
    await see('headroom', () => budget.headroom({}).terms.map(({ floorBytes }) => floorBytes))
    await see('system', () => [plimsoll.machineMemory({}).totalBytes, plimsoll.detectBoard({}).model, plimsoll.backEnds({}).length])
    await see('signals', () => plimsoll.signals({}).missing.length)
    await see('process', () => typeof plimsoll.processMemory({}).rssBytes)
    for (const choice of ['auto', 'host', 'cuda', 'dma-heap', 'udmabuf', {}, { kind: 'host' }, { kind: 'cuda' }, [], 7, () => {}]) {
      const name = JSON.stringify(choice) ?? 'a function'
      await see('open ' + name, async () => { const { name, limits } = await Device.open(choice); return { name, ...limits } })
    }
    await see('buffers', () => { const pool = new StagingPool({}); pool.get(KiB).release(); pool.close(); return pool.stats().heldBytes })
    await see('pool', async () => {
      const settings = []
      for (const options of [{ device: 'host' }, { device: { kind: 'host' }, autoDefragment: true }]) {
        const pool = await MemoryPool.create(options)
        const a = pool.allocate(KiB, {})
        const b = await pool.allocateAsync(MiB, {})
        await b.write(new Uint8Array(4), {})
        await b.fill(7, { offsetBytes: 1 })
        await b.copyTo(a, { lengthBytes: 4 })
        settings.push([...await a.read({ lengthBytes: 4 })], (await b.read()).length, (await b.read({ into: new Uint8Array(8) })).length)
        await b.withMapping((view) => settings.push(view.length), {})
        a.release()
        settings.push(await pool.defragment({}), await pool.defragment(), await pool.defragment({ maxMoves: 1 }), pool.label)
        pool.startTrace()
        settings.push(JSON.parse(pool.stopTrace().text.split('\\n')[0]))
        settings.push((await quietly(() => pool.allocateAsync(2 ** 50))))
        const { slabCount, heldBytes } = pool.stats()
        settings.push(slabCount, heldBytes)
        await pool.close()
      }
      return settings
    })
    await see('file', async () => {
      const model = plimsoll.GgufFile.open(sample, {})
      const bytes = plimsoll.GgufFile.fromBytes(require('node:fs').readFileSync(sample), {})
      const [{ name }] = model.tensors
      const sizes = [(await model.load(name, {})).length, (await model.load(name)).length, bytes.headerOnly]
      for await (const chunk of model.stream({})) sizes.push(chunk.data.length)
      return sizes
    })
    await see('manager', async () => {
      const manager = new MemoryManager({})
      const told = [manager.board?.id, manager.budget.lineBytes, manager.budget.maxBytes]
      manager.limits = {}
      const monitor = manager.monitor.start({})
      told.push(monitor.limits, manager.limits)
      monitor.limits = {}
      monitor.stop()
      const opened = manager.open(sample, {})
      const { name } = await opened.load('output_norm.weight', {})
      const pooled = await opened.loadAll({ into: await manager.pools.create({}) })
      told.push((await opened.loadAll({})).size, pooled.size)
      told.push(name)
      const buffer = await manager.system.allocate(MiB, {})
      told.push(buffer.device, buffer.label)
      buffer.release()
      const pool = await manager.pools.create({})
      told.push(pool.label, pool.device.name, pool.stats().heldBytes)
      const grant = await manager.acquire({ bytes: MiB, label: 'granted' }, { onRevoke: () => {} })
      told.push(grant.bytes, grant.stretch(KiB), grant.commit().shrink(), manager.admission.waiting())
      manager.admission.maxWaiting = 0
      told.push(await quietly(() => manager.acquire([{ bytes: manager.budget.lineBytes, label: 'too much' }], {})))
      grant.release()
      told.push(manager.profile.start({}).leaks({}).length)
      await manager.close()
      return told
    })
    return seen
  }
`

test('the names of all options are found', () => {
  expect(names.length).toBeGreaterThan(50)
  expect(names).toEqual(
    expect.arrayContaining(['library', 'root', 'maxBytes', 'board', 'headerOnly', 'chunkBytes', 'wantsAll', 'veto']),
  )
})

test('no option is ever asked of Object.prototype, by JavaScript or by the addon', () => {
  const { value } = runChild<string[]>(
    `${calls}
    await each() // What Node.js loads on first use has its own options.
    const asked = new Set()
    for (const name of ${JSON.stringify(names)}) {
      Object.defineProperty(Object.prototype, name, {
        configurable: true,
        get() {
          const [, , caller = ''] = new Error().stack.split('\\n')
          if (caller.includes('/dist/') && !caller.includes('node:')) asked.add(name + caller)
          return undefined
        },
      })
    }
    await each()
    for (const name of ${JSON.stringify(names)}) delete Object.prototype[name]
    return [...asked]`,
    { env: withFakeCuda() },
  )
  expect(value).toEqual([])
})

const hostile: Record<string, unknown> = {
  root: '/nowhere',
  pid: 1,
  board: 'orin-nano-4gb',
  maxBytes: 4096,
  safetyMarginPercent: 99,
  isolated: true,
  floorBytes: 2 ** 40,
  library: '/nowhere/libcuda.so.1',
  ordinal: 7,
  heap: 'none',
  memoryFile: true,
  kind: 'cuda',
  domain: 3,
  lock: true,
  hugePages: 'explicit-only',
  headerOnly: true,
  strict: true,
  slabBytes: 12345,
  initialBytes: 2 ** 50,
  alignBytes: 2 ** 20,
  dedicated: true,
  dryRun: true,
  offsetBytes: 4,
  lengthBytes: 1,
  access: 'none',
  maxMoves: 0,
  warnPercent: 0,
  criticalPercent: 0,
  intervalMs: 3_600_000,
  historyCount: 0,
  zeroed: true,
  label: 'polluted',
  as: 'f32',
  tensors: [],
  priority: -5,
  timeoutMs: 0,
  ageMs: 0,
  pinned: true,
  evictable: true,
  device: 'npu',
  key: 'polluted',
}

test('what stands in Object.prototype changes nothing', () => {
  const { value } = runChild<[unknown, unknown]>(
    `${calls}
    const plain = JSON.stringify(await each())
    for (const [name, value] of Object.entries(${JSON.stringify(hostile)})) {
      Object.defineProperty(Object.prototype, name, { configurable: true, writable: true, value })
    }
    const seen = await each()
    for (const name of ${JSON.stringify(Object.keys(hostile))}) delete Object.prototype[name]
    return [JSON.parse(plain), JSON.parse(JSON.stringify(seen))]`,
    { env: withFakeCuda() },
  )
  expect(value[1]).toEqual(value[0])
})

test('an option that is inherited is none, and one of its own counts', () => {
  expect(new MemoryBudget(Object.assign(Object.create({ reservedBytes: 1 }), { totalBytes: 10 })).usableBytes).toBe(10)
  expect(new MemoryBudget(Object.assign(Object.create(null), { totalBytes: 10, reservedBytes: 1 })).usableBytes).toBe(9)
})
