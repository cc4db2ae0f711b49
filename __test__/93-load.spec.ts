import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GgufFile } from 'plimsoll'
import { root, runNode } from './helpers/child'

const sample = 'examples/models/plimsoll-sample-llama.gguf'
const load = (...args: string[]) => runNode(['dist/cli.js', 'load', ...args])
const document = (...args: string[]) => JSON.parse(load('--json', ...args).stdout)

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('streams every tensor and ends with a balance of 0 bytes', () => {
  const { status, stdout, stderr } = load(sample)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  for (const row of [/^ {2}tensors +39$/m, /^ {2}stored +1\.93 MiB$/m, /^ {2}balance +0 bytes after close$/m]) {
    expect(stdout).toMatch(row)
  }
})

test('--json gives what was read, how fast, and what memory it took', () => {
  using model = GgufFile.open(join(root, sample))
  const storedBytes = model.tensors.reduce((sum, tensor) => sum + tensor.sizeBytes, 0)
  expect(document(sample)).toEqual({
    path: sample,
    as: 'raw',
    chunkBytes: 1024 * 1024,
    line: { lineBytes: expect.any(Number), binding: expect.any(String), terms: expect.any(Array) },
    reservedBytes: storedBytes,
    tensorCount: 39,
    chunks: 39,
    storedBytes,
    dataBytes: storedBytes,
    durationMs: expect.any(Number),
    bytesPerSecond: expect.any(Number),
    threads: 1,
    io: 'read',
    ioReason: null,
    dropBehind: false,
    checkTensors: false,
    digests: null,
    startRssBytes: expect.any(Number),
    peakRssBytes: expect.any(Number),
    balanceBytes: 0,
    profilePath: null,
  })
})

test.each([
  ['f32', 4],
  ['f16', 2],
  ['bf16', 2],
])('--as %s reserves and delivers %i bytes an element', (as, elementBytes) => {
  using model = GgufFile.open(join(root, sample))
  const elements = model.tensors.reduce((sum, tensor) => sum + tensor.elementCount, 0)
  const dataBytes = elements * elementBytes
  expect(document(sample, '--as', as)).toMatchObject({ as, reservedBytes: dataBytes, dataBytes })
})

test('reads on threads, by other calls, with checks and digests, as it is told', () => {
  const how = ['--threads', '3', '--io', 'mmap', '--page-cache', 'drop', '--check', '--sha256']
  const told = document(sample, '--as', 'f32', ...how)
  expect(told).toMatchObject({ threads: 3, dropBehind: true, checkTensors: true, chunks: 39 })
  expect(told.io === 'mmap' || told.ioReason !== null).toBe(true)
  expect(told.digests).toHaveLength(39)
  const { stdout } = load(sample, ...how)
  expect(stdout).toMatch(/^ {2}read by +.*3 threads, dropping the page cache behind/m)
  expect(stdout).toMatch(/^[0-9a-f]{64} {2}output\.weight$/m)
  expect(load(sample, '--threads', '65').status).toBe(2)
  expect(load(sample, '--io', 'dirct').stderr).toContain('did you mean "direct"?')
})

test('--chunk bounds the chunks', () => {
  const { chunkBytes, chunks, dataBytes } = document(sample, '--chunk', '4KiB')
  expect(chunkBytes).toBe(4096)
  expect(chunks).toBeGreaterThanOrEqual(dataBytes / 4096)
})

test('--tensor loads the tensors named, each once', () => {
  const names = ['output.weight', 'output_norm.weight', 'output.weight']
  expect(document(sample, ...names.flatMap((name) => ['--tensor', name]))).toMatchObject({
    tensorCount: 2,
    storedBytes: 208_896 + 1024,
  })
})

describe('a model that does not fit under the line', () => {
  test('ends with 1 and the refusal', () => {
    const { status, stdout, stderr } = load(sample, '--max', '1MiB')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('expected at most 1.00 MiB to be asked for "weights", got 1.93 MiB')
  })

  test('with --json gives the numbers of the refusal', () => {
    const { status, stdout } = load(sample, '--max', '1MiB', '--json')
    expect(status).toBe(1)
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'ERR_INSUFFICIENT_MEMORY',
      requestedBytes: 2_022_912,
      availableBytes: 1_048_576,
    })
  })
})

test.each([
  [['--as', 'f23'], 'did you mean "f32"?'],
  [['--tensor', 'outptu.weight'], 'unknown tensor "outptu.weight"; did you mean "output.weight"?'],
  [['--chunk', 'big'], 'expected --chunk to be a size'],
  [['--chunk', '0'], 'expected --chunk to be a whole number of bytes from 1'],
  [['--chunk', '10', '--as', 'f32'], 'expected --chunk to be at least 1024, one Q4_K block as f32, got 10'],
])('an unfit option ends with 2: %j', (args, message) => {
  const { status, stderr } = load(sample, ...args)
  expect(status).toBe(2)
  expect(stderr).toContain(message)
})

/** Writes a file with one tensor of zeros; the system stores no blocks for them. */
function writeSparse(path: string, typeId: number, elements: number, dataBytes: number): void {
  const header = Buffer.alloc(64)
  header.write('GGUF')
  header.writeUInt32LE(3, 4)
  header.writeBigUInt64LE(1n, 8)
  header.writeBigUInt64LE(6n, 24)
  header.write('zeros!', 32)
  header.writeUInt32LE(1, 38)
  header.writeBigUInt64LE(BigInt(elements), 42)
  header.writeUInt32LE(typeId, 50)
  writeFileSync(path, header)
  truncateSync(path, 64 + dataBytes)
}

test('a tensor type that does not convert ends with 3, and loads raw', () => {
  const path = join(folder, 'i32.gguf')
  writeSparse(path, 26, 16, 64)
  expect(load(path, '--as', 'f32')).toMatchObject({ status: 3, stderr: expect.stringContaining('I32') })
  expect(load(path).status).toBe(0)
})

describe('a load that takes its time', () => {
  const path = join(folder, 'large.gguf')
  const bytes = 2 ** 30
  beforeAll(() => writeSparse(path, 0, bytes / 4, bytes))

  /** The name of a thread; none if it has ended meanwhile. */
  function threadName(pid: number | undefined, thread: string): string {
    try {
      return readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trimEnd()
    } catch {
      return ''
    }
  }

  /** Starts a load of the large file and waits until its loader runs: the header is read by then. */
  async function started() {
    const child = spawn(process.execPath, ['dist/cli.js', 'load', path, '--json', '--chunk', '512'], { cwd: root })
    let stdout = ''
    child.stdout.on('data', (text) => {
      stdout += text
    })
    const ended = new Promise<{ status: number | null; stdout: string }>((settle) => {
      child.on('close', (status) => settle({ status, stdout }))
    })
    const threads = () => readdirSync(`/proc/${child.pid}/task`).map((thread) => threadName(child.pid, thread))
    while (!threads().includes('plimsoll-loader')) await sleep(5)
    return { child, ended }
  }

  test('ends with 130 at Ctrl-C', async () => {
    const { child, ended } = await started()
    child.kill('SIGINT')
    const { status, stdout } = await ended
    expect(status).toBe(130)
    expect(JSON.parse(stdout).error.code).toBe('ABORT_ERR')
  })

  test('ends with 4 when the file is cut off under it', async () => {
    const { ended } = await started()
    truncateSync(path, 4096)
    const { status, stdout } = await ended
    expect(status).toBe(4)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'ERR_IO', path })
  })
})

test.each(['html', 'trace.json', 'json'])('--profile writes what the budget did to OUT.%s', (ending) => {
  const path = join(folder, `profile.${ending}`)
  const { status, stdout, stderr } = load(sample, '--profile', path)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain(`written to ${path}`)
  const text = readFileSync(path, 'utf8')
  for (const label of ['weights', 'staging pool']) expect(text).toContain(label)
  if (ending.endsWith('json')) expect(JSON.parse(text)).toBeInstanceOf(Object)
})

test('--profile to a name that tells no format, or to where nothing can be written, fails', () => {
  expect(load(sample, '--profile', 'profile.txt')).toMatchObject({ status: 2, stdout: '' })
  const { status, stdout, stderr } = load(sample, '--profile', join(folder, 'none/profile.json'))
  expect({ status, stdout }).toEqual({ status: 4, stdout: '' })
  expect(stderr).toMatch(/^plimsoll load: expected to write .*none\/profile\.json, got: ENOENT/)
})
