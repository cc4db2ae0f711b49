import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GiB, gpuProcesses, MiB, surveyLedger } from 'plimsoll'
import { root, runNode } from './helpers/child'
import { fakeCuda } from './helpers/fake-cuda'
import { HIDE_CURSOR, HOME, hasTerminal, LEFT, Terminal } from './helpers/terminal'

const top = (...args: string[]) => runNode(['dist/cli.js', 'top', ...args], { timeoutMs: 20_000 })

const samples = (...args: string[]) => {
  const { status, stdout, stderr } = top('--json', '--interval', '20ms', ...args)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

const ANSI = '\x1b['

/** Starts a program that goes on until it is killed, and waits until it has said something. */
async function running(script: string, ...args: string[]): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, ['-e', `${script}; console.log(); setInterval(() => {}, 2 ** 30)`, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child as unknown as ChildProcess & { pid: number }
}

describe('with --json', () => {
  test('every sample is a document on a line of its own', () => {
    const lines = samples('--count', '3')
    expect(lines).toHaveLength(3)
    for (const sample of lines) {
      expect(sample).toEqual({
        timeMs: expect.any(Number),
        level: expect.stringMatching(/^(normal|warning|critical)$/),
        usedPercent: expect.any(Number),
        constraint: expect.any(String),
        pid: expect.any(Number),
        line: { lineBytes: expect.any(Number), binding: expect.any(String), terms: expect.any(Array) },
        headroom: expect.objectContaining({ bytes: expect.any(Number), bindingTerm: expect.anything() }),
        machine: expect.objectContaining({ totalBytes: expect.any(Number), availableBytes: expect.any(Number) }),
        pressure: sample.pressure && { some: expect.anything(), full: expect.anything() },
        zram: sample.zram && { storedBytes: expect.any(Number), usedBytes: expect.any(Number) },
        dark: sample.dark && {
          bytes: expect.any(Number),
          growthBytesPerSecond: sample.dark.growthBytesPerSecond && expect.any(Number),
        },
        freeHugeBlockCount: sample.freeHugeBlockCount && expect.any(Number),
        oomKillCount: sample.oomKillCount && expect.any(Number),
        killCount: sample.oomKillCount === null ? null : 0,
        process: expect.objectContaining({ rssBytes: expect.any(Number) }),
        processes: expect.any(Array),
        gpuProcesses: sample.gpuProcesses && expect.any(Array),
        ledger: sample.ledger && { path: expect.any(String), holders: expect.any(Array) },
        ledgerError: sample.ledgerError && expect.any(String),
      })
    }
    const times = lines.map(({ timeMs }) => timeMs)
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(new Set(times).size).toBe(3)
  })

  test('the options of the line move it', () => {
    const [{ line }] = samples('--count', '1', '--max', '64MiB')
    expect(line).toMatchObject({ lineBytes: 64 * MiB, binding: 'maximum' })
  })

  test('a ledger that cannot be trusted is told, and all else is shown', () => {
    const directory = mkdtempSync('/dev/shm/plimsoll-')
    try {
      chmodSync(directory, 0o777)
      const [{ ledger, ledgerError, machine }] = samples('--count', '1', '--directory', directory)
      expect({ ledger, total: machine.totalBytes > 0 }).toEqual({ ledger: null, total: true })
      expect(ledgerError).toContain('mode 0777')
      // Told once, not with every sample.
      const told = top('--count', '3', '--interval', '10ms', '--directory', directory)
      expect(told.status).toBe(0)
      expect(told.stderr.split('\n')).toEqual([expect.stringMatching(/^plimsoll top: .* mode 0777/), ''])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('a holder of the ledger that has not this package loaded is told with its command and what it has resident', async () => {
    const directory = mkdtempSync('/dev/shm/plimsoll-')
    const runner = ['dist/cli.js', 'run', '--directory', directory, '--memory', '1MiB', '--', 'sleep', '600']
    const child = spawn(process.execPath, runner, { cwd: root, stdio: 'ignore' })
    try {
      const holders = () => surveyLedger({ directory })?.holders ?? []
      while (holders()[0]?.heldBytes !== MiB) await new Promise((resolve) => setTimeout(resolve, 20))
      const [{ ledger }] = samples('--count', '1', '--directory', directory)
      expect(ledger.holders).toMatchObject([{ heldBytes: MiB, command: 'sleep 600' }])
      expect(ledger.holders[0].rssBytes).toBeGreaterThan(0)
    } finally {
      const ended = once(child, 'exit')
      child.kill()
      await ended
      rmSync(directory, { recursive: true })
    }
  })

  test('a reader that leaves early is no error', () => {
    const script = `set -o pipefail; "${process.execPath}" dist/cli.js top --json --interval 20ms | head -n 3`
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: root, encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout.trimEnd().split('\n')).toHaveLength(3)
  })

  test('an error is a document on a line too', () => {
    const { status, stdout } = top('--json', '--count', '0')
    expect(status).toBe(2)
    expect(stdout.trimEnd()).not.toContain('\n')
    expect(JSON.parse(stdout).error.code).toBe('ERR_INVALID_ARGUMENT')
  })
})

describe('processes that have the package loaded', () => {
  test('are listed with what they hold, and no others', async () => {
    const user = await running("require('./dist/index.js')", 'a user', '\x1b[2J')
    const other = await running('')
    try {
      const { status, stdout } = top('--json', '--count', '1')
      expect(status).toBe(0)
      expect(stdout).not.toMatch(/[^\P{Cc}\n]/u)
      const { pid, processes } = JSON.parse(stdout)
      const pids = processes.map((each: { pid: number }) => each.pid)
      expect(pids).toEqual(expect.arrayContaining([user.pid, pid]))
      expect(pids).not.toContain(other.pid)
      expect(processes.find((each: { pid: number }) => each.pid === user.pid)).toEqual({
        pid: user.pid,
        parentPid: process.pid,
        name: expect.stringMatching(/node/i),
        startTimeMs: expect.any(Number),
        command: expect.stringContaining(' a user \u001b[2J'),
        rssBytes: expect.any(Number),
        peakRssBytes: expect.any(Number),
        anonymousBytes: expect.any(Number),
        fileBytes: expect.any(Number),
        shmemBytes: expect.any(Number),
      })
      const sizes = processes.map(({ rssBytes }: { rssBytes: number }) => rssBytes)
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
    } finally {
      user.kill()
      other.kill()
    }
  })

  test('one that has ended is no longer listed, though it was found before', async () => {
    const user = await running("require('./dist/index.js')")
    const view = spawn(process.execPath, ['dist/cli.js', 'top', '--json', '--interval', '20ms'], { cwd: root })
    const has = (text: unknown) => String(text).includes(`"pid":${user.pid},`)
    let seen = ''
    view.stdout.on('data', (text) => {
      seen += text
    })
    const until = async (holds: () => boolean) => {
      while (!holds()) await once(view.stdout, 'data')
    }
    await until(() => has(seen))
    user.kill()
    await once(user, 'close')
    seen = ''
    await until(() =>
      seen
        .split('\n')
        .slice(1, -1)
        .some((line) => !has(line)),
    )
    view.kill('SIGINT')
    expect(await once(view, 'close')).toEqual([130, null])
  })
})

test('who holds memory of a GPU is told by NVML, and what it does not tell is not 0', () => {
  const view = (settings: string) =>
    JSON.parse(
      runNode(['dist/cli.js', 'top', '--json', '--count', '1', '--interval', '20ms'], {
        through: ['env', `PLIMSOLL_NVML_LIBRARY=${fakeCuda}`, `FAKE_CUDA=${settings}`],
      }).stdout,
    ).gpuProcesses
  const of = (pid: number, bytes: number | null) => ({ pid, name: null, gpu: 0, bytes })
  expect(view('nvml.processes=2')).toEqual([of(1000, GiB), of(1001, 2 * GiB)])
  expect(view('nvml.unavailable=1')).toEqual([of(1000, null), of(1001, null)])
  expect(view('nvml.init_code=9')).toBeNull()
})

test('of a copy nvmap alone can tell who holds memory of the GPU, and where it counts nothing that is said', async () => {
  const boards = join(root, 'crates/plimsoll/tests/boards')
  await expect(gpuProcesses({ root: join(boards, 'jetson-agx-thor') })).rejects.toThrow('it counts 0 for each')
  await expect(gpuProcesses({ root: join(boards, 'pc') })).rejects.toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE' })
  await expect(gpuProcesses({ folder: 'x' } as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
})

describe('--pid', () => {
  test('looks at the memory of that process, and ends when it does', async () => {
    const other = await running('')
    const view = spawn(
      process.execPath,
      ['dist/cli.js', 'top', '--json', '--interval', '20ms', '--pid', String(other.pid)],
      {
        cwd: root,
      },
    )
    const [first] = await once(view.stdout, 'data')
    const { pid, process: memory } = JSON.parse(String(first).split('\n')[0] as string)
    expect(pid).toBe(other.pid)
    expect(memory.rssBytes).toBeGreaterThan(0)
    view.stdout.resume()
    other.kill()
    expect(await once(view, 'close')).toEqual([0, null])
  })

  test.each(['0', '4194305', 'x', '1.5', '99999999999'])('an id of no process ends with 2: %s', (pid) => {
    const { status, stdout, stderr } = top('--count', '1', '--pid', pid)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toContain('expected --pid to be')
  })
})

test('where stdout is no terminal every sample is a line, under one line of titles', () => {
  const { status, stdout, stderr } = top('--interval', '20ms', '--count', '3')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const [titles, ...lines] = stdout.trimEnd().split('\n')
  expect(titles).toMatch(/^time +level +in use +headroom +line +available +dark +stalled +kills +plimsoll +constraint$/)
  expect(lines).toHaveLength(3)
  for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\S+Z +(normal|warning|critical) +\d+\.\d % /)
  expect(stdout).not.toContain(ANSI)
})

test.each([
  [['--interval', '5'], 'expected --interval to be a time from 10ms to 60min, such as 500ms or 2s, got "5"'],
  [['--interval', '1ms'], 'expected --interval to be a time'],
  [['--interval', '2h'], 'expected --interval to be a time'],
  [['--interval', '61min'], 'expected --interval to be a time'],
  [['--count', '0'], 'expected --count to be a whole number from 1 up, got "0"'],
  [['--count', '1.5'], 'expected --count to be a whole number'],
  [['--margin', '100'], 'expected --margin to be'],
])('an unfit value ends with 2: %j', (args, message) => {
  const { status, stdout, stderr } = top(...args)
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toContain(message)
})

describe('signals', () => {
  const ended = async (signal: NodeJS.Signals) => {
    const view = spawn(process.execPath, ['dist/cli.js', 'top', '--interval', '20ms'], { cwd: root })
    await once(view.stdout, 'data')
    view.stdout.resume()
    view.kill(signal)
    return once(view, 'close')
  }

  test('SIGINT ends with 130', async () => {
    expect(await ended('SIGINT')).toEqual([130, null])
  })

  test.each(['SIGTERM', 'SIGHUP'] as const)('%s ends as it would have without us', async (signal) => {
    expect(await ended(signal)).toEqual([null, signal])
  })
})

if (!hasTerminal) console.warn('script(1) is missing: the view of top on a terminal is not tested')

;(hasTerminal ? describe : describe.skip)('on a terminal', () => {
  /** The view on a terminal, beside another command on the same one. */
  const topOn = (options: string, beside?: string) => {
    const terminal = new Terminal(`"${process.execPath}" dist/cli.js top --interval 50ms ${options}`, beside)
    terminals.push(terminal)
    return terminal
  }

  const terminals: Terminal[] = []
  afterEach(() => {
    for (const terminal of terminals.splice(0)) terminal.kill()
  })

  const frames = (output: string) => output.split(HOME).length - 1

  test('it is drawn over itself on a screen of its own, with bars for use, line and headroom', async () => {
    const terminal = topOn('--count 3')
    await terminal.ended
    expect(terminal.output).toContain(HIDE_CURSOR)
    expect(terminal.output.indexOf(HIDE_CURSOR)).toBeLessThan(terminal.output.indexOf(HOME))
    expect(frames(terminal.output)).toBe(3)
    expect(terminal.output).not.toContain(`${ANSI}2J`)
    // Behind a line as wide as the terminal the cursor stands on its last character, which must not be erased.
    for (const row of terminal.output.split(HOME).at(-1)?.split(/\r+\n/) ?? []) {
      expect(Math.max(row.lastIndexOf(`${ANSI}K`), row.lastIndexOf(`${ANSI}J`))).toBe(0)
    }
    const page = terminal.lastFrame.join('\n')
    for (const row of [
      /^plimsoll top {2}\w+/m,
      /^ {2}in use +[━─]+ /m,
      /^ {2}line +[━─]+ /m,
      /^ {2}headroom +[━─]+ /m,
    ]) {
      expect(page).toMatch(row)
    }
    expect(terminal.output.trimEnd().endsWith(LEFT)).toBe(true)
  })

  test.each([
    ['q', 0],
    ['\x03', 130],
  ])('the key %j ends it with %i, and leaves the cursor visible', async (key, code) => {
    const terminal = topOn('')
    await terminal.until((output) => frames(output) > 1)
    terminal.type('x')
    terminal.type(key)
    expect(await terminal.ended).toEqual([code, null])
    expect(terminal.output.trimEnd().endsWith(LEFT)).toBe(true)
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s from outside ends it with %i, and leaves the cursor visible', async (signal, code) => {
    const terminal = topOn('')
    await terminal.until((output) => frames(output) > 1)
    process.kill(terminal.pid, signal)
    expect(await terminal.ended).toEqual([code, null])
    expect(terminal.output).toContain(LEFT)
  })

  test('a terminal that changes its size is drawn anew, within its size', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
    const commands = join(folder, 'commands')
    spawnSync('mkfifo', [commands])
    const terminal = topOn('', `read line < "${commands}"; stty cols 50 rows 8 < /dev/tty`)
    await terminal.until((output) => frames(output) > 1)
    const wide = Math.max(...terminal.lastFrame.map((line) => line.length))
    writeFileSync(commands, '\n')
    const narrow = () => terminal.lastFrame.length <= 8 && frames(terminal.output) > 2
    await terminal.until((output) => output.lastIndexOf(`${ANSI}J`) > output.lastIndexOf(HOME) && narrow())
    expect(wide).toBeGreaterThan(50)
    const bars = terminal.lastFrame.filter((line) => line.includes('━'))
    for (const line of bars) expect(line.length).toBeLessThanOrEqual(50)
    terminal.type('q')
    expect(await terminal.ended).toEqual([0, null])
    rmSync(folder, { recursive: true })
  })

  test('a terminal that cannot redraw gets lines', () => {
    const line = `TERM=dumb "${process.execPath}" dist/cli.js top --count 2 --interval 20ms`
    const { stdout } = spawnSync('script', ['-qec', line, '/dev/null'], { cwd: root, encoding: 'utf8' })
    expect(stdout).not.toContain(ANSI)
    expect(stdout.trimEnd().split('\n')).toHaveLength(3)
  })
})
