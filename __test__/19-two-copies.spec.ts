import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, runChild, runNode } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'

/** Another copy of the package, as npm installs two where two versions are wanted. */
let copy: string

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'plimsoll-copy-'))
  const files = readdirSync(root).filter((name) => /^(dist|package\.json|plimsoll\..*\.node)$/.test(name))
  for (const name of files) cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
})
afterAll(() => rmSync(copy, { recursive: true }))

const prelude = () => `
  const { Worker } = require('node:worker_threads')
  const { once } = require('node:events')
  const folder = ${JSON.stringify(copy)}
  const options = { board: 'rk3588-32gb', maxBytes: 100 * MiB }
  const held = []
  /** A worker that loads the other copy alone, and answers what its body makes of a message. */
  const start = (body) => new Worker(\`const { parentPort } = require('node:worker_threads')
    const { MemoryBudget, MiB } = require(\${JSON.stringify(folder)})
    const held = []
    const options = { board: 'rk3588-32gb', maxBytes: 100 * MiB }
    const budget = MemoryBudget.forThisMachine(options)
    parentPort.on('message', (message) => parentPort.postMessage((\${body})(message)))\`, { eval: true })
  const ask = async (worker, word) => { worker.postMessage(word); return (await once(worker, 'message'))[0] }
`

test('they count into one account, and each lists what the other holds', () => {
  const { value } = runChild<Record<string, unknown>>(`${prelude()}
    const other = require(folder)
    const [here, there] = [plimsoll, other].map(({ MemoryBudget }) => MemoryBudget.forThisMachine(options))
    const first = here.allocate(60 * MiB, 'here')
    const fits = [there.allocatedBytes / MiB, there.canAllocate(41 * MiB), there.lineAvailableBytes / MiB]
    const second = there.allocate(40 * MiB, 'there')
    let refused
    try { here.allocate(1, 'one too many') } catch ({ code }) { refused = code }
    const lists = [here, there].map((budget) => budget.allocations().map(({ label, sizeBytes }) => [label, sizeBytes / MiB]))
    first.release()
    second.release()
    const after = [here, there].map((budget) => [budget.allocatedBytes, budget.allocations().length])
    return { same: plimsoll.MemoryBudget === other.MemoryBudget, fits, refused, lists, after }`)
  const other = (folder: string) =>
    expect.stringMatching(new RegExp(`^another copy of plimsoll \\(${folder}/.*\\.node\\)$`))
  expect(value).toEqual({
    same: false,
    fits: [60, false, 40],
    refused: 'ERR_INSUFFICIENT_MEMORY',
    lists: [
      [
        ['here', 60],
        [other(copy), 40],
      ],
      [
        ['there', 40],
        [other(root), 60],
      ],
    ],
    after: [
      [0, 0],
      [0, 0],
    ],
  })
})

test('what one has promised of the machine, the other does not grant', () => {
  const { value } = runChild(`${prelude()}
    const [here, there] = [plimsoll, require(folder)].map(({ MemoryBudget }) => MemoryBudget.forThisMachine({ isolated: true }))
    const most = Math.floor(here.availableBytes * 0.6)
    held.push(here.allocate(most, 'promised'))
    return [there.allocatedBytes, there.canAllocate(most), there.headroom().pendingBytes > most / 2]`)
  expect(value).toEqual([0, false, true])
})

test('a worker that alone loaded the other copy, and loaded it first, leaves nothing when it ends', () => {
  const script = `
    const folder = ${JSON.stringify(copy)}
    const { Worker } = require('node:worker_threads')
    const { once } = require('node:events')
    const worker = () => new Worker(\`const { parentPort } = require('node:worker_threads')
      const { MemoryBudget, MiB } = require(\${JSON.stringify(folder)})
      const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 100 * MiB })
      globalThis.held = budget.allocate(30 * MiB, 'in the worker')
      parentPort.postMessage(budget.allocatedBytes / MiB)
      parentPort.on('message', () => {})\`, { eval: true })
    const main = async () => {
      const seen = []
      const first = worker()
      seen.push((await once(first, 'message'))[0])
      const { MemoryBudget, MiB } = require(${JSON.stringify(root)})
      const budget = MemoryBudget.forThisMachine({ board: 'rk3588-32gb', maxBytes: 100 * MiB })
      const own = budget.allocate(10 * MiB, 'here')
      seen.push(budget.allocatedBytes / MiB)
      for (let round = 0; round < 5; round++) {
        const next = worker()
        seen.push((await once(next, 'message'))[0])
        await next.terminate()
      }
      await first.terminate()
      seen.push(budget.allocatedBytes / MiB, budget.allocations().map(({ label }) => label).join())
      own.release()
      seen.push(budget.allocatedBytes)
      return seen
    }`
  const { stdout, stderr, status } = runNode([
    '-e',
    `${script}\nmain().then((seen) => console.log(JSON.stringify(seen)))`,
  ])
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  expect(JSON.parse(stdout)).toEqual([30, 40, 70, 70, 70, 70, 70, 10, 'here', 0])
})

test('with both at work on two threads, their sum never passes the line', () => {
  const { value } = runChild(`${prelude()}
    const run = \`() => {
      let most = 0
      for (let step = 0; step < 20000; step++) {
        try { held.push(budget.allocate((step * 7919 % 31) * MiB, 'there')) } catch {}
        most = Math.max(most, budget.allocatedBytes)
        if (step % 5 === 0) for (const guard of held.splice(0)) guard.release()
      }
      for (const guard of held.splice(0)) guard.release()
      return most / MiB
    }\`
    const worker = start(run)
    const budget = MemoryBudget.forThisMachine(options)
    await once(worker, 'online')
    const there = ask(worker, 'run')
    const here = eval(run)()
    const most = Math.max(here, await there)
    await worker.terminate()
    return [most <= 100, most > 50, budget.allocatedBytes]`)
  expect(value).toEqual([true, true, 0])
})

const unlessArm = unlessEmulated(test, 'the compiler makes addons for this machine alone')

unlessArm('an addon of a version that counts in another way is told of once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-version-'))
  try {
    const other = join(folder, 'plimsoll.linux-any.node')
    const source = 'void *napi_register_module_v1(void *env, void *exports) { return exports; }'
    execFileSync('cc', ['-shared', '-fPIC', '-x', 'c', '-', '-o', other], { input: source })
    const { value } = runChild<string[]>(`
      plimsoll.MemoryBudget.forThisMachine()
      require(${JSON.stringify(other)})
      const told = []
      process.on('warning', ({ code, message }) => told.push(code, message))
      for (let i = 0; i < 2; i++) plimsoll.MemoryBudget.forThisMachine()
      await new Promise((resolve) => setImmediate(resolve))
      return told`)
    expect(value).toEqual(['PLIMSOLL_COPY_APART', expect.stringContaining(other)])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('an object of the other copy is refused as such, with both places', () => {
  const { value } = runChild<string[]>(`${prelude()}
    const other = require(folder)
    const budget = other.MemoryBudget.forBoard('rk3588-8gb')
    const manager = new MemoryManager({ isolated: true })
    const tries = [
      () => new StagingPool({ budget }),
      () => new plimsoll.MemoryMonitor(budget),
      () => new MemoryBudget(budget),
      () => manager.allocateFromPool(budget, 1),
    ]
    const told = tries.map((attempt) => { try { attempt(); return 'nothing' } catch ({ code, message }) { return code + ': ' + message } })
    told.push(await Device.open(await other.Device.open('host')).then(() => 'nothing', ({ code, message }) => code + ': ' + message))
    await manager.close()
    return told`)
  for (const told of value) {
    expect(told).toMatch(/^ERR_INVALID_ARGUMENT: /)
    expect(told).toContain(`of another copy of plimsoll, 0.1.0 in ${copy}, where 0.1.0 in ${root}`)
    expect(told).toContain('npm ls plimsoll')
  }
  expect(value[0]).toContain('expected budget to be a MemoryBudget, got a MemoryBudget of another copy')
})
