import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { KiB, MemoryPool, type MemoryPoolOptions, MiB, machineMemory, type PoolBuffer } from 'plimsoll'
import { root, runNode } from './helpers/child'
import { unlessEmulated } from './helpers/emulation'

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const write = (text: string | Buffer): string => {
  files += 1
  const path = join(folder, `${files}.jsonl`)
  writeFileSync(path, text)
  return path
}

const header = { plimsollTrace: 1, device: 'host', label: 'kv cache', settings: { slabBytes: MiB }, droppedCount: 0 }

const linesOf = (lines: object[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('')

/** A trace with these events. */
const trace = (events: object[], head: object = header): string => write(linesOf([head, ...events]))

const allocate = (buffer: number, bytes: number, more: object = {}) => ({
  event: 'allocate',
  atUs: 0,
  buffer: String(buffer),
  bytes,
  ...more,
})
const free = (buffer: number) => ({ event: 'free', atUs: 0, buffer: String(buffer), bytes: 1 })

const replay = (path: string, ...args: string[]) =>
  runNode(['dist/cli.js', 'replay', path, '--device', 'host', ...args])
const document = (path: string, ...args: string[]) => JSON.parse(replay(path, '--json', ...args).stdout)

/** What a pool wrote while this was done to it. */
async function traced(options: MemoryPoolOptions, act: (pool: MemoryPool) => Promise<void>): Promise<string> {
  await using pool = await MemoryPool.create({ device: 'host', label: 'traced', ...options })
  pool.startTrace()
  await act(pool)
  return write(pool.stopTrace().text)
}

const sizes = { slabBytes: MiB, maxBytes: 4 * MiB }

/** Allocates and frees in an order that leaves holes. */
async function churn(pool: MemoryPool): Promise<void> {
  const live: PoolBuffer[] = []
  for (let i = 0; i < 500; i++) {
    live.push(await pool.allocateAsync(((i * 7919) % 9000) + 1, i % 3 === 0 ? { placement: 'transient' } : {}))
    if (i % 2 === 1) live.splice((i * 31) % live.length, 1)[0]?.release()
  }
  for (const buffer of live) buffer.release()
}

test('the trace of a pool runs again, with the settings of that pool', async () => {
  const path = await traced(sizes, churn)
  const { status, stdout, stderr } = replay(path)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  for (const row of [/^ {2}events +\d+,\d+: 500 allocations, 500 frees, /m, /^ {2}failures +0$/m]) {
    expect(stdout).toMatch(row)
  }
  expect(stdout).toContain('replayed on host, slabs of 1.00 MiB, at most 4.00 MiB')
  expect(stdout).toMatch(/^Time {2}on this machine, /m)
})

test('--json gives every figure', async () => {
  const path = await traced(sizes, churn)
  const time = {
    count: expect.any(Number),
    medianNs: expect.any(Number),
    p99Ns: expect.any(Number),
    maxNs: expect.any(Number),
  }
  const found = document(path)
  expect(found).toEqual({
    path,
    device: 'host',
    repeat: 1,
    trace: { device: 'host', label: 'traced', settings: sizes, droppedCount: 0 },
    settings: sizes,
    eventCount: expect.any(Number),
    allocateCount: 500,
    freeCount: 500,
    ignoredCount: found.eventCount - 1000,
    failureCount: 0,
    failures: [],
    peakRequestedBytes: expect.any(Number),
    peakUsedBytes: expect.any(Number),
    peakHeldBytes: expect.any(Number),
    peakSlabCount: expect.any(Number),
    peakMetadataBytes: expect.any(Number),
    utilizationPercent: (found.peakRequestedBytes / found.peakHeldBytes) * 100,
    worstFragmentationPercent: expect.any(Number),
    worstFragmentationEvent: expect.any(Number),
    endFragmentationPercent: found.end.fragmentationPercent,
    movedCount: 0,
    movedBytes: 0,
    end: expect.objectContaining({ allocatedCount: 500, freedCount: 500, requestedBytes: 0 }),
    durationMs: expect.any(Number),
    time: { allocate: time, grow: time, free: time },
  })
  expect(found.peakUsedBytes).toBeGreaterThanOrEqual(found.peakRequestedBytes)
  expect(found.peakHeldBytes).toBeGreaterThanOrEqual(found.peakUsedBytes)
  expect(found.time.allocate.count + found.time.grow.count).toBe(500)
})

describe('a trace whose header asks for most of the machine', () => {
  const { totalBytes } = machineMemory()
  const greedy = (settings: object, events: object[] = []) => trace(events, { ...header, settings })

  test.each([{ initialBytes: totalBytes }, { slabBytes: Math.floor(totalBytes / 2) }])('is refused: %j', (settings) => {
    const { status, stdout, stderr } = replay(greedy(settings, [allocate(0, KiB)]), '--json')
    expect([status, stderr]).toEqual([1, expect.stringContaining('a quarter of what this machine can give now')])
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'ERR_INSUFFICIENT_MEMORY' })
  })

  test('is run where the command line asks for something else, or allows it', () => {
    const slab = greedy({ slabBytes: Math.floor(totalBytes / 2) }, [allocate(0, KiB)])
    expect(document(slab, '--slab', '1MiB')).toMatchObject({ failureCount: 0, peakHeldBytes: MiB })
    expect(document(greedy({ initialBytes: totalBytes }), '--initial', '1MiB')).toMatchObject({ peakHeldBytes: MiB })
    expect(replay(slab, '--max', '1MiB').stderr).not.toContain('a quarter')
  })

  test('and whose first event is none is broken, not too large', () => {
    const { status, stderr } = replay(greedy({ initialBytes: totalBytes }, [{ event: 'leave' }]))
    expect([status, stderr]).toEqual([3, expect.stringContaining('expected line 2')])
  })
})

test('buffers that were there before are allocated, and what the pool did of its own is left to the new one', () => {
  const path = trace([
    { event: 'present', atUs: 0, buffer: '0', bytes: 1000 },
    { event: 'refuse', atUs: 1, bytes: 5, alignBytes: 256, placement: 'long' },
    { event: 'move', atUs: 2, buffer: '0', bytes: 1000 },
    free(0),
    allocate(0, 2000, { alignBytes: 4096, placement: 'transient' }),
  ])
  expect(document(path)).toMatchObject({
    eventCount: 5,
    allocateCount: 2,
    freeCount: 1,
    ignoredCount: 2,
    peakRequestedBytes: 2000,
    end: { bufferCount: 1, requestedBytes: 2000 },
  })
})

test('options take the place of what the trace says, and can take pages and own slabs away', () => {
  const settings = { slabBytes: MiB, maxBytes: 2 * MiB, pageBytes: 4 * KiB }
  const paged = trace([allocate(0, 100)], { ...header, settings })
  expect(document(paged)).toMatchObject({ settings, peakUsedBytes: 4 * KiB })
  const other = document(paged, '--page', '0', '--slab', '2MiB', '--max', '3 MiB', '--initial', '2MiB')
  expect(other.settings).toEqual({ slabBytes: 2 * MiB, maxBytes: 3 * MiB, initialBytes: 2 * MiB })
  expect(other).toMatchObject({ peakUsedBytes: 256, peakHeldBytes: 2 * MiB })
  const dedicated = trace([allocate(0, 100), allocate(1, 100)], { ...header, settings: { dedicated: true } })
  expect(document(dedicated).peakSlabCount).toBe(2)
  expect(document(dedicated, '--shared')).toMatchObject({ settings: {}, peakSlabCount: 1 })
  const begun = trace([allocate(0, 100)], { ...header, settings: { ...settings, initialBytes: MiB } })
  const { pageBytes: _, ...others } = settings
  expect(document(begun, '--dedicated').settings).toEqual({ ...others, dedicated: true })
})

test('each of several runs has a new pool', () => {
  const path = trace([allocate(0, 1000), allocate(1, 1000), free(0)])
  const found = document(path, '--repeat', '3')
  expect(found).toMatchObject({ repeat: 3, allocateCount: 2, end: { allocatedCount: 2 } })
  expect(found.time.allocate.count + found.time.grow.count).toBe(6)
  expect(found.time.free.count).toBe(3)
})

describe('a request that finds no place', () => {
  const path = trace([
    allocate(0, 700 * KiB),
    allocate(1, 600 * KiB),
    allocate(2, 2 * MiB),
    free(1),
    allocate(3, MiB - 700 * KiB),
  ])

  test('is told with its line, its size and the largest hole; the rest goes on, and the command ends with 1', () => {
    const { status, stdout } = replay(path, '--max', '1MiB', '--json')
    expect(status).toBe(1)
    const found = JSON.parse(stdout)
    expect(found).toMatchObject({ failureCount: 2, allocateCount: 4, freeCount: 1, end: { bufferCount: 2 } })
    const failure = { alignBytes: 256, largestFreeBytes: 324 * KiB, heldBytes: MiB }
    expect(found.failures).toEqual([
      { line: 3, requestedBytes: 600 * KiB, ...failure, reason: expect.stringContaining('1.00 MiB') },
      { line: 4, requestedBytes: 2 * MiB, ...failure, reason: expect.any(String) },
    ])
    expect(replay(path, '--max', '1MiB').stdout).toMatch(/^ +3 +600\.00 KiB +256 bytes +324\.00 KiB +1\.00 MiB {2}\S/m)
  })

  test('is counted, also where the pool has no such buffers', () => {
    const { status, stdout } = replay(path, '--page', '4KiB', '--json')
    expect(status).toBe(1)
    const { failureCount, failures } = JSON.parse(stdout)
    expect(failureCount).toBe(4)
    expect(failures[0]).toMatchObject({ line: 2, reason: expect.stringContaining('at most a page of 4096 bytes') })
  })

  test('of thousands, the first are listed', () => {
    const many = trace(Array.from({ length: 1000 }, (_, i) => allocate(i, 8 * MiB)))
    const { failureCount, failures } = document(many, '--max', '1MiB')
    expect([failureCount, failures.length]).toEqual([1000, 20])
    expect(replay(many, '--max', '1MiB').stdout).toMatch(/^Failures {2}the first 20 of 1,000$/m)
  })

  test('of an absurd size is no different', () => {
    const found = document(trace([allocate(0, Number.MAX_SAFE_INTEGER), allocate(1, 1, { alignBytes: 2 ** 52 })]))
    expect(found).toMatchObject({ failureCount: 2, peakHeldBytes: 0 })
  })
})

test('--defragment makes room before a slab is taken', () => {
  const full = Array.from({ length: 32 }, (_, i) => allocate(i, 64 * KiB))
  const holes = full.flatMap((_, i) => (i % 2 === 0 ? [free(i)] : []))
  const path = trace([...full, ...holes, allocate(99, 512 * KiB)])
  expect(document(path)).toMatchObject({ movedCount: 0, peakHeldBytes: 3 * MiB, failureCount: 0 })
  const { movedCount, peakHeldBytes } = document(path, '--defragment')
  expect(movedCount).toBeGreaterThan(0)
  expect(peakHeldBytes).toBe(2 * MiB)
})

describe('a line that no pool writes ends with 3, and is named with what was expected and what came', () => {
  test.each<[string, string, number, string, string]>([
    ['an empty file', '', 1, 'the header of a trace', 'the end of the file'],
    ['no header', '\n', 1, 'the header of a trace', 'an empty line'],
    ['text', 'hello\n', 1, 'the header of a trace', 'hello'],
    ['another version', linesOf([{ ...header, plimsollTrace: 2 }]), 1, '1, the version that is known', '2'],
    ['no version', linesOf([{ device: 'host' }]), 1, '"plimsollTrace"', 'nothing'],
    ['no label', linesOf([{ ...header, label: 7 }]), 1, 'an object whose "label" is a text', '7'],
    ['unfit settings', linesOf([{ ...header, settings: [] }]), 1, '"settings" is an object', '[]'],
    ['an unfit size', linesOf([{ ...header, settings: { slabBytes: -1 } }]), 1, '"slabBytes"', '-1'],
    ['a size of nothing', linesOf([{ ...header, settings: { slabBytes: 0 } }]), 1, '"slabBytes"', '0'],
    [
      'settings that do not go together',
      linesOf([{ ...header, settings: { slabBytes: MiB, initialBytes: 3 * MiB, maxBytes: MiB } }]),
      1,
      'the settings of a pool, "initialBytes" at most maxBytes',
      String(3 * MiB),
    ],
    ['an unfit flag', linesOf([{ ...header, settings: { dedicated: 1 } }]), 1, '"dedicated" is true or false', '1'],
    ['a line cut off', `${linesOf([header])}{"event":"fr`, 2, 'an event, a JSON object', '{"event":"fr'],
    ['an empty line', `${linesOf([header, allocate(0, 1)])}\n`, 3, 'an event', 'an empty line'],
    ['an array', `${linesOf([header])}[1]\n`, 2, 'an event, a JSON object', '[1]'],
    ['an unknown event', linesOf([header, { event: 'steal' }]), 2, '"allocate", "free"', '"steal"'],
    ['no number', linesOf([header, { ...allocate(0, 1), buffer: 0 }]), 2, '"buffer" is the number', '0'],
    ['no size', linesOf([header, { event: 'allocate', buffer: '0' }]), 2, '"bytes" is a whole number', 'nothing'],
    ['a size of zero', linesOf([header, allocate(0, 0)]), 2, 'from 1 up', '0'],
    ['a negative size', linesOf([header, allocate(0, -5)]), 2, 'from 1 up', '-5'],
    ['a broken size', linesOf([header, allocate(0, 1.5)]), 2, 'a whole number of bytes', '1.5'],
    [
      'a size beyond all figures',
      `${linesOf([header])}{"event":"present","buffer":"1","bytes":1e300}\n`,
      2,
      '"bytes"',
      '1e+300',
    ],
    ['an odd alignment', linesOf([header, allocate(0, 1, { alignBytes: 3 })]), 2, 'a power of two', '3'],
    ['an unknown placement', linesOf([header, allocate(0, 1, { placement: 'x' })]), 2, '"long" or "transient"', '"x"'],
    ['the free of an unknown buffer', linesOf([header, free(7)]), 2, 'the free of a live buffer', 'buffer 7'],
    ['a second free', linesOf([header, allocate(7, 1), free(7), free(7)]), 4, 'the free of a live buffer', 'buffer 7'],
    ['a duplicate', linesOf([header, allocate(7, 1), allocate(7, 1)]), 3, 'a number that is free', 'buffer 7'],
    ['bytes that are no text', `${linesOf([header])}\xff\xfe\x00\x1b[2J\n`, 2, 'an event', '[2J'],
    ['a line without end', `${linesOf([header])}${'x'.repeat(200_000)}`, 2, 'at most 65536 bytes', 'more'],
  ])('%s', (_what, text, line, expected, received) => {
    const { status, stdout, stderr } = replay(write(Buffer.from(text, 'latin1')), '--json')
    expect(status).toBe(3)
    const { error } = JSON.parse(stdout)
    expect(error).toEqual({
      code: 'ERR_INVALID_TRACE',
      line,
      expected: expect.stringContaining(expected),
      received: expect.stringContaining(received),
      message: `expected line ${line} to be ${error.expected}, got ${error.received}`,
    })
    expect(stderr).toMatch(/^plimsoll replay: expected line \d+ to be /)
    expect(stdout + stderr).not.toMatch(/[^\P{Cc}\n]/u)
  })

  test('a value of any length is shown by its beginning', () => {
    const { stderr } = replay(write(linesOf([header, { event: 'x'.repeat(10_000) }])))
    expect(stderr.length).toBeLessThan(300)
  })
})

test.each([
  [['--device', 'hots'], 'unknown value "hots" of --device; did you mean "host"?'],
  [['--dedicated', '--shared'], 'expected --dedicated or --shared, got both'],
  [['--slab', 'big'], 'expected --slab to be a size'],
  [['--repeat', '0'], 'expected --repeat to be a whole number from 1 up'],
  [['--pages', '4KiB'], 'did you mean "--page"?'],
])('wrong use ends with 2: %j', (args, message) => {
  const { status, stderr } = runNode(['dist/cli.js', 'replay', trace([]), ...args])
  expect(status).toBe(2)
  expect(stderr).toContain(message)
})

test.each(['missing.jsonl', '.'])('a path that leads to no file ends with 3: %s', (path) => {
  const { status, stdout } = replay(path, '--json')
  expect(status).toBe(3)
  expect(JSON.parse(stdout).error).toMatchObject({ code: 'ERR_IO', message: expect.stringContaining(path) })
})

test('a device that is not there ends with 4', () => {
  const { status, stdout } = runNode(['dist/cli.js', 'replay', trace([]), '--device', 'cuda', '--json'], {
    through: ['env', 'PLIMSOLL_CUDA_LIBRARY=/nowhere/libcuda.so'],
  })
  expect(status).toBe(4)
  expect(JSON.parse(stdout).error).toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE', device: 'cuda' })
})

test('Ctrl-C ends it with 130', async () => {
  const path = trace(Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? allocate(0, 1000) : free(0))))
  const args = ['dist/cli.js', 'replay', path, '--device', 'host', '--repeat', '1000000', '--json']
  const child = spawn(process.execPath, args, { cwd: root })
  let stdout = ''
  child.stdout.on('data', (text) => {
    stdout += text
  })
  const ended = new Promise((settle) => child.on('close', settle))
  const open = () =>
    readdirSync(`/proc/${child.pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${child.pid}/fd/${fd}`) === path
      } catch {
        return false
      }
    })
  while (!open()) await sleep(5)
  child.kill('SIGINT')
  expect(await ended).toBe(130)
  expect(JSON.parse(stdout).error.code).toBe('ABORT_ERR')
})

const describeResident = unlessEmulated(describe, 'resident memory is also that of qemu')

describeResident('a trace of many events', () => {
  test('is read as a stream: what the command takes does not grow with it', () => {
    const script = join(folder, 'peak.js')
    writeFileSync(
      script,
      `process.on('exit', () => process.stderr.write('peak ' + process.resourceUsage().maxRSS + '\\n'))`,
    )
    const peakBytes = (path: string) => {
      const { status, stderr } = runNode(['--require', script, 'dist/cli.js', 'replay', path, '--device', 'host'])
      expect(status).toBe(0)
      return Number(/peak (\d+)/.exec(stderr)?.[1]) * KiB
    }
    const round = linesOf([allocate(0, 1000, { alignBytes: 256, placement: 'long' }), free(0)])
    const small = write(linesOf([header]) + round.repeat(100))
    const large = write(linesOf([header]) + round.repeat(250_000))
    expect(peakBytes(large) - peakBytes(small)).toBeLessThan(96 * MiB)
  }, 120_000)
})
