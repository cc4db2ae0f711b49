import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { BlackBox, type BlackBoxRun, MemoryBudget, MemoryManager, MiB, readBlackBox } from 'plimsoll'
import { root, runNode } from './helpers/child'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-blackbox-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const file = () => join(folder, 'board.blackbox')
const blackbox = (...args: string[]) => runNode(['dist/cli.js', 'blackbox', ...args])
const document = (...args: string[]) => {
  const { status, stdout, stderr } = blackbox('--json', ...args)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(stdout)
}

/** A budget of numbers, with a black box that writes to the file. */
function recorded(bytes = 1000 * MiB) {
  const budget = new MemoryBudget({ totalBytes: bytes })
  return { budget, blackBox: new BlackBox(budget).start({ path: file(), processName: 'server' }) }
}

/** The run that is told of first. */
function told(path = file()): BlackBoxRun {
  const { runs, toldIndex } = readBlackBox(path)
  return runs[toldIndex as number] as BlackBoxRun
}

/** Reads until that is in it; what cannot wait is written within a quarter of a second. */
async function until(isThere: (run: BlackBoxRun) => boolean): Promise<BlackBoxRun> {
  for (let turn = 0; turn < 400; turn += 1) {
    const run = existsSync(file()) ? told() : undefined
    if (run && isThere(run)) return run
    await after(25)
  }
  throw new Error(`not in time: ${JSON.stringify(readBlackBox(file()).runs.map(({ words }) => words))}`)
}

/** Starts a process that loads for ever: it was granted 600 MiB and has taken 200 of them. */
async function loading(): Promise<ChildProcess & { pid: number }> {
  const script = `
    const { BlackBox, MemoryBudget, MiB } = require('.')
    const budget = new MemoryBudget({ totalBytes: 1000 * MiB })
    globalThis.kept = new BlackBox(budget).start({ path: process.argv[1], processName: 'llama-server' })
    globalThis.weights = budget.allocate(600 * MiB, 'weights')
    weights.commit(200 * MiB)
    try { budget.allocate(500 * MiB, 'kv cache') } catch {}
    console.log()
    setInterval(() => {}, 2 ** 30)`
  const child = spawn(process.execPath, ['-e', script, file()], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child as ChildProcess & { pid: number }
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

describe('a process that is killed in the middle of a load', () => {
  test('leaves who held what, what was still to come, and what its last refusal lacked', async () => {
    const child = await loading()
    const running = await until((run) =>
      run.moments.some(({ happenings }) => happenings.some((each) => each.kind === 'refusal')),
    )
    expect(running).toMatchObject({ isRunning: true, endedCleanly: false, isThisBoot: true })
    await killed(child)
    const run = told()
    expect(run).toMatchObject({ isRunning: false, endedCleanly: false, pid: child.pid, name: 'llama-server' })
    expect(run.verdict).toMatchObject({
      holder: { name: 'llama-server', pid: child.pid, heldBytes: 600 * MiB, pendingBytes: 400 * MiB, isWriter: true },
      outstandingBytes: 400 * MiB,
      refusedMissingBytes: 100 * MiB,
    })
    expect(run.words[0]).toMatch(
      `llama-server (process ${child.pid}) was granted 600.00 MiB and had taken 200.00 MiB; 400.00 MiB were still to come`,
    )
    expect(run.words[1]).toMatch(
      /500\.00 MiB for "kv cache" were refused .* 400\.00 MiB were there, 100\.00 MiB were missing/,
    )
    expect(run.moments.at(-1)?.labels).toEqual([{ label: 'weights', sizeBytes: 600 * MiB, count: 1 }])
    expect(run.moments.at(-1)?.machine).toMatchObject({ totalBytes: expect.any(Number), level: expect.any(String) })
  })

  test('is told of by the command line, in words and as a document', async () => {
    const child = await loading()
    await until((run) => run.words.length > 1)
    await killed(child)
    const { status, stdout } = blackbox(file())
    expect(status).toBe(0)
    for (const text of ['llama-server', 'cut: killed, or the power went', 'weights', 'refusal', '400.00 MiB'])
      expect(stdout).toContain(text)
    const { told: index, runs, damagedCount } = document(file())
    expect({ index, damagedCount, count: runs.length }).toEqual({ index: 0, damagedCount: 0, count: 1 })
    expect(runs[0].verdict.refusedMissingBytes).toBe(100 * MiB)
    expect(document(file(), '--boot', 'previous')).toMatchObject({ told: null, runs: [] })
    expect(document(file(), '--boot', 'this').runs).toHaveLength(1)
    expect(document(file(), '--boot', 'all').runs).toHaveLength(1)
    expect(blackbox(file(), '--boot', 'previous').stdout).toContain('no run in it is of that start of the board')
  })

  test('is still told of after another has begun and ended cleanly', async () => {
    await killed(await loading())
    for (let turn = 0; turn < 3; turn += 1) recorded().blackBox.close()
    const { runs, toldIndex } = readBlackBox(file())
    expect(runs[toldIndex as number]?.name).toBe('llama-server')
    expect(runs.at(-1)).toMatchObject({ name: 'server', endedCleanly: true })
  })
})

describe('a black box', () => {
  test('is off until it is started, and says so after it was closed', () => {
    const manager = new MemoryManager({ isolated: true })
    expect(manager.blackBox).toMatchObject({ running: false, path: undefined })
    expect(manager.blackBox.stats()).toBeUndefined()
    manager.blackBox.start({ path: file() })
    expect(manager.blackBox).toMatchObject({ running: true, path: file() })
    expect(manager.blackBox.start()).toBe(manager.blackBox)
    expect(manager.blackBox.stats()).toMatchObject({ failedCount: 0 })
    manager.blackBox.close()
    manager.blackBox.close()
    expect(() => manager.blackBox.start()).toThrow(expect.objectContaining({ code: 'ERR_RELEASED' }))
    expect(told()).toMatchObject({ endedCleanly: true, isRunning: false })
  })

  test('ends with its manager', async () => {
    const manager = new MemoryManager({ isolated: true })
    manager.blackBox.start({ path: file() })
    await manager.close()
    expect(told()).toMatchObject({ endedCleanly: true })
  })

  test.each([
    ['by its work', '', 0],
    ['by process.exit()', 'process.exit(3)', 3],
    ['by an error', 'throw new Error()', 1],
  ])('keeps no process alive, and knows that one ended by itself: %s', (_, end, code) => {
    const script = `const { BlackBox, MemoryBudget } = require('.')
      new BlackBox(new MemoryBudget({ totalBytes: 1 })).start({ path: process.argv[1] })
      ${end}`
    expect(spawnSync(process.execPath, ['-e', script, file()], { cwd: root, timeout: 30_000 }).status).toBe(code)
    expect(told()).toMatchObject({ isRunning: false, endedCleanly: true })
  })

  test('begins anew after it was stopped', () => {
    const { blackBox } = recorded()
    blackBox.stop()
    blackBox.start({ path: file(), processName: 'second' })
    blackBox.close()
    expect(readBlackBox(file()).runs.at(-1)).toMatchObject({ name: 'second', endedCleanly: true })
  })

  test('lies at the default place under the name of its ledger, which the command line reads', () => {
    // Where root writes is not a test's to choose.
    if (process.getuid?.() === 0) return
    const env = { ...process.env, XDG_STATE_HOME: folder }
    const script = `const { BlackBox, MemoryBudget } = require('.')
      new BlackBox(new MemoryBudget({ totalBytes: 1 })).start({ name: 'mine' }).close()`
    expect(spawnSync(process.execPath, ['-e', script], { cwd: root, env }).status).toBe(0)
    expect(existsSync(join(folder, 'plimsoll', 'mine.blackbox'))).toBe(true)
  })

  test('keeps what a program notes, and nothing else', async () => {
    const { blackBox } = recorded()
    blackBox.note('wait-begin', 'draft', 5 * MiB)
    blackBox.note('command-end', 'llama-server')
    for (const wrong of [
      ['grant', 'x'],
      ['wait-begin', 7],
      ['wait-begin', 'x', -1],
    ])
      expect(() => blackBox.note(...(wrong as [never, never, never]))).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
      )
    blackBox.close()
    blackBox.note('wait-end', 'draft')
    const noted = told().moments.flatMap(({ happenings }) => happenings)
    expect(noted.map(({ kind, label, sizeBytes }) => [kind, label, sizeBytes])).toEqual([
      ['wait-begin', 'draft', 5 * MiB],
      ['command-end', 'llama-server', 0],
    ])
  })

  test('names every process that shares the ledger', async () => {
    const directory = mkdtempSync('/dev/shm/plimsoll-blackbox-')
    const shared = (processName: string) => ({ name: 'mine', directory, processName })
    const script = `
      const { MemoryManager, MiB } = require('.')
      globalThis.manager = new MemoryManager({ shared: JSON.parse(process.argv[1]) })
      globalThis.guard = manager.budget.allocate(64 * MiB, 'weights')
      console.log()
      setInterval(() => {}, 2 ** 30)`
    const other = spawn(process.execPath, ['-e', script, JSON.stringify(shared('other'))], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await once(other.stdout, 'data')
      const manager = new MemoryManager({ shared: shared('own') })
      manager.blackBox.start({ path: file() })
      const guard = manager.budget.allocate(32 * MiB, 'cache')
      manager.blackBox.close()
      guard.release()
      const holders = told().moments.at(-1)?.holders ?? []
      expect(holders.map(({ name, pid, heldBytes, isWriter }) => ({ name, pid, heldBytes, isWriter }))).toEqual([
        { name: 'other', pid: other.pid, heldBytes: 64 * MiB, isWriter: false },
        { name: 'own', pid: process.pid, heldBytes: 32 * MiB, isWriter: true },
      ])
      await manager.close()
    } finally {
      await killed(other)
      rmSync(directory, { recursive: true })
    }
  })

  test('takes no more of the disk than it says', () => {
    recorded().blackBox.close()
    expect(statSync(file()).size).toBe(96 * 4096)
  })

  test('is open to its owner alone', () => {
    recorded().blackBox.close()
    expect(statSync(file()).mode & 0o777).toBe(0o600)
  })

  test('has a part of the file for each of eight writers, and refuses the ninth', () => {
    const writers = Array.from({ length: 8 }, () => recorded().blackBox)
    expect(() => recorded()).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
    expect(readBlackBox(file()).runs.filter(({ isRunning }) => isRunning)).toHaveLength(8)
    for (const writer of writers) writer.close()
  })

  test('refuses options that are none', () => {
    const blackBox = new BlackBox(new MemoryBudget({ totalBytes: 1 }))
    for (const options of [{ intervalMs: 10 }, { name: 'a/b' }, { name: '' }, { pth: 'x' }, { path: 7 }, { path: '' }])
      expect(() => blackBox.start(options as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    expect(blackBox.running).toBe(false)
    expect(() => new BlackBox({} as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    expect(() => readBlackBox(file(), { nam: 'x' } as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    )
  })
})

describe('a file that is not as it should be', () => {
  const start = (path: string) => new BlackBox(new MemoryBudget({ totalBytes: 1 })).start({ path })

  test('that is somebody else’s is left as it is', () => {
    writeFileSync(file(), 'remember the milk')
    expect(() => start(file())).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', argument: 'path' }))
    expect(readFileSync(file(), 'utf8')).toBe('remember the milk')
    expect(readBlackBox(file())).toMatchObject({ runs: [], damagedCount: 1 })
    expect(blackbox(file())).toMatchObject({ status: 0, stdout: expect.stringContaining('there is nothing in it') })
  })

  test('that is missing, a folder or no file is an error with its path', () => {
    for (const path of [join(folder, 'none'), folder, '/dev/zero']) {
      expect(() => readBlackBox(path)).toThrow(expect.objectContaining({ code: 'ERR_IO', path }))
      expect(blackbox(path).status).toBe(3)
    }
    expect(() => start(join(folder, 'none', 'x'))).toThrow(expect.objectContaining({ code: 'ERR_IO' }))
  })

  test('that is damaged anywhere gives what is whole', async () => {
    const { budget, blackBox } = recorded()
    const guards = [1, 2, 3].map((n) => budget.allocate(n * MiB, `label ${n}`))
    blackBox.close()
    for (const guard of guards) guard.release()
    const whole = readFileSync(file())
    expect(told().moments.length).toBeGreaterThanOrEqual(2)
    for (let round = 0; round < 40; round += 1) {
      const bytes = Buffer.from(whole)
      // The same places in every run.
      for (let n = 0; n <= round; n += 1) bytes.writeUInt8((round * 31 + n) & 0xff, (round * 7919 + n * 104729) % 9000)
      writeFileSync(file(), bytes)
      const { runs, damagedCount } = readBlackBox(file())
      expect(damagedCount + runs.reduce((sum, { moments }) => sum + moments.length, 0)).toBeLessThanOrEqual(96)
    }
    writeFileSync(file(), whole)
    truncateSync(file(), 4096 + 100)
    expect(readBlackBox(file())).toMatchObject({ damagedCount: 1, runs: [{ endedCleanly: false }] })
    // Who writes next makes it whole again.
    recorded().blackBox.close()
    expect(statSync(file()).size % 4096).toBe(0)
    expect(readBlackBox(file()).runs.at(-1)).toMatchObject({ endedCleanly: true })
  })

  test('reached by a link is followed', () => {
    symlinkSync(join(folder, 'elsewhere'), file())
    recorded().blackBox.close()
    expect(existsSync(join(folder, 'elsewhere'))).toBe(true)
  })

  test('that is removed while it is written is made again', async () => {
    const { blackBox } = recorded()
    rmSync(file())
    await until(() => true)
    blackBox.close()
    expect(told()).toMatchObject({ endedCleanly: true })
  })

  test('that cannot be written any more is warned of once, and counted', () => {
    const script = `
      const { BlackBox, MemoryBudget } = require('.')
      const { mkdirSync, rmSync } = require('node:fs')
      const inner = process.argv[1] + '/inner'
      mkdirSync(inner)
      const blackBox = new BlackBox(new MemoryBudget({ totalBytes: 1 })).start({ path: inner + '/x', intervalMs: 250 })
      rmSync(inner, { recursive: true })
      const timer = setInterval(() => {
        const { failedCount, trouble } = blackBox.stats()
        if (failedCount < 3) return
        clearInterval(timer)
        blackBox.close()
        console.log(trouble)
      }, 20)`
    const { status, stdout, stderr } = runNode(['-e', script, folder])
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${join(folder, 'inner/x')}: No such file or directory\n` })
    expect(stderr.match(/PLIMSOLL_BLACK_BOX.*The black box cannot be written/g)).toHaveLength(1)
  })

  test('on a disk that is full is an error at the start, and leaves nothing there', () => {
    // A small file system of its own needs a mount.
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', folder]).status === 0
    if (!mounted) return
    try {
      expect(() => start(file())).toThrow(
        expect.objectContaining({ code: 'ERR_IO', errnoName: 'ENOSPC', path: file() }),
      )
      expect(statSync(file()).size).toBe(0)
    } finally {
      spawnSync('umount', [folder])
    }
  })
})
