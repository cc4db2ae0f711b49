import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { GiB, LedgerError, MemoryBudget, MemoryManager, MiB, surveyLedger } from 'plimsoll'
import { root, runNode } from './helpers/child'

let directory: string
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/plimsoll-test-')
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

const shared = () => ({ directory, drainMs: 100 })
const budgetHere = (options = {}) => MemoryBudget.forThisMachine({ shared: { ...shared(), ...options } })

/** The code of the error that a call throws. */
function codeOf(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return (error as LedgerError).code
  }
  return undefined
}

/** A process with a budget of the same ledger, which does what it is told and answers. */
class Other implements AsyncDisposable {
  readonly child: ChildProcess
  readonly #answers: AsyncIterator<string>

  constructor(name = 'other', of = 'shared: options', env: NodeJS.ProcessEnv = {}) {
    const script = `
      const { GiB, MiB, MemoryBudget, MemoryManager } = require('plimsoll')
      const options = ${JSON.stringify({ ...shared(), processName: name })}
      const budget = MemoryBudget.forThisMachine({ ${of} })
      const held = []
      const { createInterface } = require('node:readline')
      createInterface({ input: process.stdin }).on('line', (line) => {
        let answer
        try { answer = eval(line) } catch ({ code, message, availableBytes }) { answer = { code, message, availableBytes } }
        console.log(JSON.stringify(answer ?? null))
      })`
    this.child = spawn(process.execPath, ['--expose-gc', '-e', script], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    if (!this.child.stdout) throw new Error('no stdout')
    this.#answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  async ask(expression: string): Promise<unknown> {
    this.child.stdin?.write(`${expression.replaceAll('\n', ' ')}\n`)
    const { value } = await this.#answers.next()
    return JSON.parse(value)
  }

  async kill(): Promise<void> {
    const exited = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill()
  }
}

test('what one process holds, another has not, and all see who holds it', async () => {
  const budget = budgetHere({ processName: 'here' })
  await using other = new Other()
  const before = budget.availableBytes
  await other.ask("held.push(budget.hold(256 * MiB, 'there'))")
  expect(before - budget.availableBytes).toBeGreaterThan(200 * MiB)
  const holders = budget.ledgerHolders()
  expect(holders).toMatchObject([
    { name: 'here', pid: process.pid, heldBytes: 0 },
    { name: 'other', pid: other.child.pid, heldBytes: 256 * MiB, isSeen: true, isDraining: false },
  ])
  expect(surveyLedger({ directory })?.holders).toHaveLength(2)
  expect(await other.ask('budget.ledgerPath')).toBe(budget.ledgerPath)
  await other.ask('held.pop().release()')
  expect(budget.ledgerHolders()[1]).toMatchObject({ heldBytes: 0 })
})

test('all together stay below the line of the board', async () => {
  const budget = MemoryBudget.forThisMachine({ shared: shared(), headroom: false })
  await using other = new Other('other', 'shared: options, headroom: false')
  const most = budget.boardLineBytes
  const own = budget.allocate(Math.floor(most / 2), 'half')
  expect(await other.ask(`budget.canAllocate(${most - own.sizeBytes + 1})`)).toBe(false)
  expect(await other.ask(`held.push(budget.hold(${most - own.sizeBytes + 1}, 'too much'))`)).toMatchObject({
    code: 'ERR_INSUFFICIENT_MEMORY',
    availableBytes: most - own.sizeBytes,
    message: expect.stringContaining(`others hold`),
  })
  await other.ask(`held.push(budget.hold(${most - own.sizeBytes}, 'the rest'))`)
  expect(codeOf(() => budget.allocate(1, 'one byte more'))).toBe('ERR_INSUFFICIENT_MEMORY')
  own.release()
  expect(await other.ask(`budget.availableBytes`)).toBe(own.sizeBytes)
})

test('what a killed process held drains and is back then', async () => {
  const budget = MemoryBudget.forThisMachine({ shared: { ...shared(), drainMs: 300 }, headroom: false })
  await using other = new Other('dies', 'shared: options, headroom: false')
  await other.ask("held.push(budget.hold(256 * MiB, 'there'))")
  const alive = budget.availableBytes
  await other.kill()
  expect(budget.ledgerHolders()).toMatchObject([{}, { name: 'dies', isDraining: true, heldBytes: 256 * MiB }])
  expect(budget.availableBytes).toBe(alive)
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(budget.ledgerHolders()).toHaveLength(1)
  expect(budget.availableBytes).toBe(alive + 256 * MiB)
})

test('a stopped process holds up nobody', async () => {
  const budget = budgetHere()
  await using other = new Other()
  await other.ask("held.push(budget.hold(64 * MiB, 'there'))")
  other.child.kill('SIGSTOP')
  for (let i = 0; i < 1000; i += 1) budget.allocate(MiB, 'beside it').release()
  expect(budget.ledgerHolders()[1]).toMatchObject({ heldBytes: 64 * MiB, isDraining: false })
  other.child.kill('SIGCONT')
})

test('managers and workers of one process have one place together', async () => {
  const [one, other] = [budgetHere(), new MemoryManager({ shared: shared() })]
  using _held = one.allocate(10 * MiB, 'one')
  using _more = other.budget.allocate(20 * MiB, 'other')
  expect(one.ledgerHolders()).toMatchObject([{ heldBytes: 30 * MiB }])
  expect(one.allocatedBytes).toBe(30 * MiB)
  await other.close()
})

test('a ledger has a name, and another name is another ledger', () => {
  const [board, test] = [budgetHere(), budgetHere({ name: 'test' })]
  using _held = board.allocate(10 * MiB, 'board')
  expect(board.ledgerPath).toBe(join(directory, 'board.ledger'))
  expect(test.ledgerPath).toBe(join(directory, 'test.ledger'))
  expect(test.ledgerHolders()).toMatchObject([{ heldBytes: 0 }])
  expect(statSync(join(directory, 'board.ledger')).mode & 0o777).toBe(0o600)
})

test('a removed ledger loses nothing that is held', async () => {
  const budget = budgetHere()
  await using other = new Other()
  await other.ask("held.push(budget.hold(64 * MiB, 'there'))")
  using held = budget.allocate(32 * MiB, 'here')
  unlinkSync(join(directory, 'board.ledger'))
  held.commit(1)
  await other.ask('held[0].commit(1)')
  expect(
    surveyLedger({ directory })
      ?.holders.map(({ heldBytes }) => heldBytes / MiB)
      .sort(),
  ).toEqual([32, 64])
})

test('a process that plimsoll run has started has its slice, and takes no place of its own', async () => {
  await using other = new Other('inside', 'shared: options', { PLIMSOLL_SLICE_BYTES: String(100 * MiB) })
  expect(await other.ask('[budget.lineBytes, budget.ledgerPath]')).toEqual([100 * MiB, null])
  expect(existsSync(join(directory, 'board.ledger'))).toBe(false)
  for (const text of ['', 'x', '-1', '1e9', '9'.repeat(17)]) {
    await using free = new Other('free', 'shared: false', { PLIMSOLL_SLICE_BYTES: text })
    expect(await free.ask(`budget.lineBytes > ${GiB}`)).toBe(true)
  }
})

test('without sharing there is no ledger, and looking makes none', () => {
  const budget = MemoryBudget.forThisMachine()
  expect([budget.ledgerPath, budget.ledgerHolders(), budget.ledgerDescriptor]).toEqual([undefined, [], undefined])
  expect(surveyLedger({ directory })).toBeUndefined()
  expect(existsSync(join(directory, 'board.ledger'))).toBe(false)
})

describe('a ledger that cannot be trusted is refused, and says why', () => {
  const refusal = (options: object): LedgerError => {
    try {
      MemoryBudget.forThisMachine({ shared: { ...shared(), ...options } })
    } catch (error) {
      if (error instanceof LedgerError) return error
      throw error
    }
    throw new Error('it was not refused')
  }

  test.each<[string, (at: string) => void, string]>([
    ['a folder that is a symbolic link', (at) => symlinkSync('/dev/shm', at), 'symbolic link'],
    [
      'a folder that everybody can write to',
      (at) => {
        mkdirSync(at)
        chmodSync(at, 0o777)
      },
      'not everybody can write to',
    ],
    ['a folder that is a file', (at) => writeFileSync(at, ''), 'expected a folder'],
    [
      'a ledger that is a symbolic link',
      (at) => {
        mkdirSync(at)
        symlinkSync('/etc/passwd', join(at, 'board.ledger'))
      },
      'symbolic link',
    ],
    [
      'a ledger that everybody can read',
      (at) => {
        mkdirSync(at)
        writeFileSync(join(at, 'board.ledger'), '', { mode: 0o644 })
      },
      'mode 0644',
    ],
  ])('%s', (_, make, reason) => {
    const at = join(directory, 'place')
    make(at)
    const error = refusal({ directory: at })
    expect(error).toMatchObject({ code: 'ERR_LEDGER', reason: expect.stringContaining(reason) })
    expect(error.path).toContain(at)
    expect(() => surveyLedger({ directory: at })).toThrow(LedgerError)
  })

  test('a folder in one that is missing, as /dev/shm is in some containers', () => {
    const at = join(directory, 'none/ledgers')
    expect(refusal({ directory: at })).toMatchObject({
      code: 'ERR_LEDGER',
      reason: expect.stringContaining('the folder above it is missing: name a folder on a tmpfs'),
    })
    expect(surveyLedger({ directory: at })).toBeUndefined()
  })

  test('a folder on a disk, unless that is forced', () => {
    const onDisk = mkdtempSync(join(root, 'build/ledger-'))
    try {
      expect(refusal({ directory: onDisk }).reason).toContain('expected a file system in RAM')
      expect(budgetHere({ directory: onDisk, force: true }).ledgerPath).toBe(join(onDisk, 'board.ledger'))
    } finally {
      rmSync(onDisk, { recursive: true })
    }
  })

  test('one of another version while others share it', () => {
    const budget = budgetHere()
    const bytes = Buffer.from([9])
    const { openSync, writeSync, closeSync } = require('node:fs')
    const file = openSync(join(directory, 'board.ledger'), 'r+')
    writeSync(file, bytes, 0, 1, 8)
    closeSync(file)
    expect(() => surveyLedger({ directory })).toThrow(/version 9/)
    expect(budget.ledgerHolders()).toHaveLength(1)
  })
})

test.each([
  [{ shared: 7 }, /expected shared to be true, false, the name of a ledger, or its options, got 7/],
  [{ shared: 'a/b' }, /expected shared to be 1 to 64 letters/],
  [{ shared: { name: '' } }, /expected name to be 1 to 64 letters/],
  [{ shared: { nam: 'x' } }, /nam/],
  [{ shared: { drainMs: -1 } }, /drainMs/],
  [{ shared: { group: 1.5 } }, /group/],
])('%o is refused by name', (options, message) => {
  expect(() => new MemoryManager(options as never)).toThrow(message)
  expect(codeOf(() => new MemoryManager(options as never))).toBe('ERR_INVALID_ARGUMENT')
})

test('who is not root has a ledger of its own in RAM by default, and so has a server that was started as root', () => {
  const name = `test-${process.pid}`
  const script = `
    const { MemoryManager, MiB, surveyLedger } = require('plimsoll')
    const early = ${process.getuid?.() === 0} && new MemoryManager({ isolated: true })
    if (early) process.setuid(65534)
    const { budget } = new MemoryManager({ shared: '${name}' })
    budget.allocate(MiB, 'weights')
    const [{ uid, heldBytes }] = surveyLedger({ name: '${name}' }).holders
    console.log(JSON.stringify({ path: budget.ledgerPath, uid, heldBytes }))`
  const { path, uid, heldBytes } = JSON.parse(
    execFileSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' }),
  )
  rmSync(path, { force: true })
  expect(uid).not.toBe(0)
  // Where an administrator has made one for all users, it is there.
  expect([`/dev/shm/plimsoll-${uid}/${name}.ledger`, `/run/plimsoll/${name}.ledger`]).toContain(path)
  expect(heldBytes).toBe(MiB)
})

test('plimsoll ledger shows who holds, and one document a look', async () => {
  const budget = budgetHere({ processName: 'llama-server' })
  using _held = budget.allocate(64 * MiB, 'weights')
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, ['dist/cli.js', 'ledger', '--directory', directory, ...args], { cwd: root })
    let text = ''
    child.stdout.on('data', (data) => {
      text += data
    })
    const [code] = await once(child, 'close')
    return { code, text }
  }
  const { code, text } = await run()
  expect(code).toBe(0)
  expect(text).toMatch(/64\.00 MiB .* llama-server \(.+\) +holds/)
  const document = JSON.parse((await run('--json')).text)
  expect(document).toMatchObject({
    path: budget.ledgerPath,
    heldBytes: 64 * MiB,
    holders: [{ name: 'llama-server', waiting: null, command: expect.stringContaining('node') }],
  })
  expect(document.holders[0].rssBytes).toBeGreaterThan(10 * MiB)
  const watched = await run('--watch', '--count', '2', '--interval', '10ms', '--json')
  expect(
    watched.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).heldBytes),
  ).toEqual([64 * MiB, 64 * MiB])
  expect((await run('--name', 'none')).text).toContain('no process shares a ledger of that name')
})

test('plimsoll ledger --watch goes on where a look fails, and has why', async () => {
  using _held = budgetHere({ processName: 'llama-server' }).allocate(64 * MiB, 'weights')
  const args = ['dist/cli.js', 'ledger', '--watch', '--json', '--interval', '10ms', '--directory', directory]
  const child = spawn(process.execPath, args, { cwd: root })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const until = async (isSo: (document: { heldBytes: number | null; ledgerError: string | null }) => boolean) => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error('expected it to go on')
      if (isSo(JSON.parse(value))) return
    }
  }
  await until(({ heldBytes, ledgerError }) => heldBytes === 64 * MiB && ledgerError === null)
  chmodSync(directory, 0o777)
  await until(({ heldBytes, ledgerError }) => heldBytes === null && /mode 0777/.test(ledgerError ?? ''))
  chmodSync(directory, 0o700)
  await until(({ heldBytes }) => heldBytes === 64 * MiB)
  child.kill()
  await once(child, 'close')
})

test.each([
  [['--interval', '10ms'], 'expected --interval with --watch, got it without'],
  [['--watch', '--interval', '0'], 'expected --interval to be a time'],
])('plimsoll ledger %j is wrong use, in one line', (args, expected) => {
  const { status, stdout } = runNode(['dist/cli.js', 'ledger', '--json', ...args])
  expect(status).toBe(2)
  expect(stdout.trimEnd()).not.toContain('\n')
  expect(JSON.parse(stdout).error.message).toContain(expected)
})

test.each([
  ['SIGINT', [130, null]],
  ['SIGTERM', [null, 'SIGTERM']],
  ['SIGHUP', [null, 'SIGHUP']],
] as const)('plimsoll ledger --watch ends by %s as %j', async (signal, ending) => {
  const args = ['dist/cli.js', 'ledger', '--watch', '--json', '--interval', '10ms', '--name', 'none']
  const child = spawn(process.execPath, args, { cwd: root })
  await once(child.stdout, 'data')
  child.stdout.resume()
  child.kill(signal)
  expect(await once(child, 'close')).toEqual(ending)
})
