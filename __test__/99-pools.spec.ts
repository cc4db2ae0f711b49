import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BlockInfo,
  InvalidArgumentError,
  KiB,
  MemoryManager,
  MemoryPool,
  MiB,
  machineMemory,
  type PoolSnapshot,
  parsePoolSnapshots,
  type SlabInfo,
} from 'plimsoll'
import { poolsPage } from 'plimsoll/report'
import { root, runNode } from './helpers/child'
import { thrownBy } from './helpers/errors'

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
afterAll(() => rmSync(folder, { recursive: true }))

const free = (offsetBytes: number, sizeBytes: number): BlockInfo => ({ offsetBytes, sizeBytes })

const used = (offsetBytes: number, sizeBytes: number, more: Partial<BlockInfo> = {}): BlockInfo => ({
  offsetBytes,
  sizeBytes,
  label: 'weights',
  requestedBytes: sizeBytes,
  transient: false,
  pinned: false,
  ...more,
})

const slabOf = (blocks: BlockInfo[], index = 0, sizeBytes = MiB): SlabInfo => ({
  index,
  sizeBytes,
  usedBytes: blocks.reduce((sum, block) => sum + (block.requestedBytes === undefined ? 0 : block.sizeBytes), 0),
  initial: false,
  blocks,
})

const snapshotOf = (slabs: SlabInfo[], more: Partial<PoolSnapshot> = {}): PoolSnapshot => ({
  plimsollSnapshot: 1,
  device: 'host',
  label: 'a pool',
  timeMs: 1_800_000_000_000,
  stats: {
    heldBytes: slabs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    usedBytes: slabs.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
    requestedBytes: 1000,
    freeBytes: 2000,
    cachedBytes: 0,
    largestFreeBytes: 1500,
    fragmentationPercent: 25,
    peakHeldBytes: 3 * MiB,
    peakUsedBytes: 2 * MiB,
    slabCount: slabs.length,
    bufferCount: 3,
    allocatedCount: 4,
    freedCount: 1,
    failedCount: 0,
    retryCount: 0,
    movedCount: 0,
    movedBytes: 0,
    metadataBytes: 512,
  },
  slabs,
  ...more,
})

/** A quarter of each kind, in the order of the legend. */
const quarters = slabOf([
  used(0, 256 * KiB),
  used(256 * KiB, 256 * KiB, { label: 'scratch', transient: true }),
  used(512 * KiB, 256 * KiB, { label: 'exported', pinned: true }),
  free(768 * KiB, 256 * KiB),
])

const hostile = [
  '</title></svg><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='alert(1)",
  '&lt;b&gt;{{style}}$&$1',
  '\x1b[2J\u202e\u0000\ud800',
  'https://example.org/x.js',
]

describe('a snapshot', () => {
  test('is plain data with every block, and comes back from JSON as it was', async () => {
    await using pool = await MemoryPool.create({ device: 'host', label: 'kv', initialBytes: MiB, slabBytes: MiB })
    using _long = pool.allocate(1000, { label: 'long' })
    using transient = pool.allocate(5000, { label: 'short', placement: 'transient' })
    transient.pin()
    const snapshot = pool.snapshot()
    expect(snapshot).toMatchObject({ plimsollSnapshot: 1, device: 'host', label: 'kv', stats: pool.stats() })
    expect(Math.abs(snapshot.timeMs - Date.now())).toBeLessThan(60_000)
    const [slab] = snapshot.slabs
    expect(slab).toMatchObject({ sizeBytes: MiB, usedBytes: 1024 + 5120, initial: true })
    expect(slab?.blocks).toEqual([
      { offsetBytes: 0, sizeBytes: 1024, label: 'long', requestedBytes: 1000, transient: false, pinned: false },
      { offsetBytes: 1024, sizeBytes: MiB - 1024 - 5120 },
      { offsetBytes: MiB - 5120, sizeBytes: 5120, label: 'short', requestedBytes: 5000, transient: true, pinned: true },
    ])
    expect(parsePoolSnapshots(JSON.stringify(snapshot))).toEqual([snapshot])
    expect(parsePoolSnapshots(JSON.stringify([snapshot, snapshot]))).toEqual([snapshot, snapshot])
    transient.unpin()
  })

  const broken = (change: (snapshot: PoolSnapshot) => unknown) => () => {
    const snapshot = structuredClone(snapshotOf([slabOf([used(0, KiB), free(KiB, KiB)])]))
    return JSON.stringify(change(snapshot) ?? snapshot)
  }
  const put = (path: (snapshot: PoolSnapshot) => object, more: object) =>
    broken((snapshot) => void Object.assign(path(snapshot), more))
  const block = ({ slabs }: PoolSnapshot): object => slabs[0]?.blocks[0] as object
  const second = ({ slabs }: PoolSnapshot): object => slabs[0]?.blocks[1] as object

  test.each<[string, () => string, string]>([
    ['text', () => 'hello', 'text'],
    ['an empty text', () => '', 'text'],
    ['a number', () => '7', 'snapshot'],
    ['null', () => 'null', 'snapshot'],
    ['an array of something else', () => '[1]', 'snapshots[0]'],
    ['another version', put((all) => all, { plimsollSnapshot: 2 }), 'snapshot.plimsollSnapshot'],
    ['a label that is no text', put((all) => all, { label: 5 }), 'snapshot.label'],
    ['a time beyond all dates', put((all) => all, { timeMs: 1e17 }), 'snapshot.timeMs'],
    ['a missing figure', put(({ stats }) => stats, { usedBytes: null }), 'snapshot.stats.usedBytes'],
    ['an absurd figure', put(({ stats }) => stats, { peakHeldBytes: 1e300 }), 'snapshot.stats.peakHeldBytes'],
    [
      'a share beyond 100',
      put(({ stats }) => stats, { fragmentationPercent: 101 }),
      'snapshot.stats.fragmentationPercent',
    ],
    ['slabs that are none', put((all) => all, { slabs: {} }), 'snapshot.slabs'],
    ['a slab of no size', put(({ slabs }) => slabs[0] as object, { sizeBytes: 0 }), 'snapshot.slabs[0].sizeBytes'],
    ['a slab without blocks', put(({ slabs }) => slabs[0] as object, { blocks: 1 }), 'snapshot.slabs[0].blocks'],
    ['a negative offset', put(block, { offsetBytes: -1 }), 'snapshot.slabs[0].blocks[0].offsetBytes'],
    ['a block of no size', put(second, { sizeBytes: 0 }), 'snapshot.slabs[0].blocks[1].sizeBytes'],
    ['a block beyond its slab', put(second, { sizeBytes: 2 * MiB }), 'snapshot.slabs[0].blocks[1].sizeBytes'],
    ['blocks that overlap', put(second, { offsetBytes: 512 }), 'snapshot.slabs[0].blocks[1].offsetBytes'],
    ['more asked for than there is', put(block, { requestedBytes: MiB }), 'snapshot.slabs[0].blocks[0].requestedBytes'],
    ['a buffer without a label', put(block, { label: null }), 'snapshot.slabs[0].blocks[0].label'],
    ['a flag that is none', put(block, { pinned: 'no' }), 'snapshot.slabs[0].blocks[0].pinned'],
  ])('that is unfit is refused by name: %s', (_what, text, argument) => {
    expect(thrownBy(InvalidArgumentError, () => parsePoolSnapshots(text())).argument).toBe(argument)
  })
})

describe('the page', () => {
  test('has a bar for every slab, and in it every block of its kind with its label, sizes and place', () => {
    const page = poolsPage([snapshotOf([quarters, slabOf([free(0, MiB)], 1)])])
    expect(page.match(/<svg class="blocks"/g)).toHaveLength(2)
    const titles = (kind: string) =>
      [...page.matchAll(new RegExp(`<rect class="${kind} edged"[^>]*><title>([^<]*)`, 'g'))].map((match) => match[1])
    expect(titles('long')).toEqual(['weights\nlong-lived, 256.00 KiB asked for\n256.00 KiB at 0 bytes'])
    expect(titles('transient')).toEqual(['scratch\ntransient, 256.00 KiB asked for\n256.00 KiB at 256.00 KiB'])
    expect(titles('pinned')).toEqual(['exported\npinned, 256.00 KiB asked for\n256.00 KiB at 512.00 KiB'])
    expect(titles('free')).toEqual(['free\n256.00 KiB at 768.00 KiB', 'free\n1.00 MiB at 0 bytes'])
    expect(page).toContain('x="250" width="250"')
    for (const figure of ['25.0 %', '1.46 KiB', '2.00 MiB']) expect(page).toContain(`<dd class="figure">${figure}</dd>`)
  })

  test('what lies between and behind the blocks is free', () => {
    const page = poolsPage([snapshotOf([slabOf([used(256 * KiB, 256 * KiB)])])])
    expect(page.match(/<rect class="free edged"/g)).toHaveLength(2)
  })

  test('loads and runs nothing, whatever the labels say', () => {
    const blocks = hostile.map((label, i) => used(i * 64 * KiB, 64 * KiB, { label }))
    const page = poolsPage(hostile.map((label) => snapshotOf([slabOf(blocks)], { label, device: label })))
    const [style = ''] = page.split('<style>')[1]?.split('</style>') ?? []
    const hash = createHash('sha256').update(style).digest('base64')
    expect(page).toContain(`content="default-src 'none'; style-src 'sha256-${hash}'"`)
    expect(page).not.toMatch(/<(?:script|img|link)|<[^>]*\s(?:src|href|style|on\w+)=|@import|url\((?!#)/)
    expect(page).not.toMatch(/[^\P{Cc}\n]|\p{Cf}|\p{Cs}/u)
    expect(page.match(/<style>/g)).toHaveLength(1)
    expect(page).toContain('&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;alert(1)&lt;/script&gt;')
    expect(page).toContain('&amp;lt;b&amp;gt;{{style}}$&amp;$1')
    expect(page).toContain('\\u001b[2J\\u202e\\u0000\\ud800')
  })

  test('stays small: narrow blocks are drawn as one, and a hundred slabs and buffers are shown', () => {
    const many = Array.from({ length: 4096 }, (_, i) => used(i * 256, 256, { label: 'x'.repeat(5000) }))
    const slabs = Array.from({ length: 150 }, (_, i) => slabOf(i === 0 ? many : [free(0, MiB)], i))
    const page = poolsPage([snapshotOf(slabs)])
    expect(page.length).toBeLessThan(MiB)
    expect(page).toMatch(/<title>\d+ blocks: \d+ buffers, 0 bytes free\n/)
    expect(page.match(/<svg class="blocks"/g)).toHaveLength(100)
    expect(page).toContain('and 50 more slabs')
    expect(page).toContain('and 3,996 more buffers')
  })

  test('of a pool, and of all pools of a manager', async () => {
    await using manager = new MemoryManager({ isolated: true })
    const pool = await manager.pools.create({ device: 'host', label: 'first', initialBytes: MiB, slabBytes: MiB })
    await manager.pools.create({ device: 'host', label: 'second' })
    const page = poolsPage([pool.snapshot()])
    expect(page).toContain('<bdi>first</bdi>')
    expect(page).not.toContain('second')
    const all = poolsPage([...manager.pools].map((each) => each.snapshot()))
    for (const label of ['first', 'second']) expect(all).toContain(`<bdi>${label}</bdi>`)
    expect(poolsPage([])).toContain('0 pools, 0 bytes held')
  })

  test('is refused for what is no snapshot', () => {
    const unfit = { ...snapshotOf([]), label: undefined } as unknown as PoolSnapshot
    expect(thrownBy(InvalidArgumentError, () => poolsPage([unfit])).argument).toBe('snapshots[0].label')
    expect(thrownBy(InvalidArgumentError, () => poolsPage({} as PoolSnapshot[])).argument).toBe('snapshots')
  })
})

describe('the command', () => {
  let files = 0
  const write = (text: string): string => {
    files += 1
    const path = join(folder, `${files}.json`)
    writeFileSync(path, text)
    return path
  }
  const saved = (...snapshots: PoolSnapshot[]) =>
    write(JSON.stringify(snapshots.length === 1 ? snapshots[0] : snapshots, null, 2))
  const pools = (path: string, ...args: string[]) => runNode(['dist/cli.js', 'pools', path, ...args])

  /** Three buffers, of which the second is freed again. */
  const trace = write(
    [
      { plimsollTrace: 1, device: 'cuda:0', label: 'traced', settings: { slabBytes: MiB }, droppedCount: 0 },
      { event: 'allocate', buffer: '0', bytes: 256 * KiB },
      { event: 'allocate', buffer: '1', bytes: 512 * KiB, placement: 'transient' },
      { event: 'free', buffer: '1' },
      { event: 'allocate', buffer: '2', bytes: 512 },
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(''),
  )

  test('draws a slab in 64 cells, as plain text where no terminal is, with the totals', () => {
    const { status, stdout, stderr } = pools(saved(snapshotOf([quarters])))
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const cells = ['#', '+', '@', '.'].map((cell) => cell.repeat(16)).join('')
    expect(stdout).toContain(`  0  1.00 MiB  ${cells}   75.0 %\n`)
    expect(stdout).toContain('  # long-lived   + transient   @ pinned   . free\n')
    expect(stdout).toMatch(/^ {2}free +1\.95 KiB, the largest hole 1\.46 KiB$/m)
    expect(stdout).toMatch(/^ {2}fragmentation +25\.0 %$/m)
  })

  test('a cell is what most of its bytes are', () => {
    const cell = MiB / 64
    const blocks = [used(0, 0.6 * cell - ((0.6 * cell) % 256)), free(cell, cell), used(2 * cell, 0.25 * cell)]
    expect(pools(saved(snapshotOf([slabOf(blocks)]))).stdout).toContain(`MiB  #${'.'.repeat(63)}  `)
  })

  test('every pool of an array has its part; --json gives the snapshots', () => {
    const snapshots = [snapshotOf([quarters], { label: 'one' }), snapshotOf([], { label: 'two' })]
    const path = saved(...snapshots)
    const { stdout } = pools(path)
    expect(stdout).toMatch(/^one {2}on host, 2027-01-15T08:00:00\.000Z$/m)
    expect(stdout).toMatch(/^two {2}on host, /m)
    expect(JSON.parse(pools(path, '--json').stdout)).toEqual({ path, html: null, replayed: null, snapshots })
  })

  test('a trace is run to its end, or as far as --at says', () => {
    const end = JSON.parse(pools(trace, '--json').stdout)
    expect(end).toMatchObject({
      replayed: { eventCount: 4, failureCount: 0 },
      snapshots: [{ label: 'traced', device: 'host', stats: { bufferCount: 2, heldBytes: MiB } }],
    })
    const { replayed, snapshots } = JSON.parse(pools(trace, '--at', '2', '--json').stdout)
    expect(replayed).toEqual({ eventCount: 2, failureCount: 0 })
    expect(snapshots[0].stats).toMatchObject({ bufferCount: 2, usedBytes: 768 * KiB })
    expect(snapshots[0].slabs[0].blocks.map(({ label }: BlockInfo) => label)).toEqual([
      'buffer 0',
      undefined,
      'buffer 1',
    ])
    const text = pools(trace, '--at', '2').stdout
    expect(text).toContain(`${'#'.repeat(16)}${'.'.repeat(16)}${'+'.repeat(32)}`)
    const other = JSON.parse(pools(trace, '--slab', '4MiB', '--json').stdout)
    expect(other.snapshots[0].stats.heldBytes).toBe(4 * MiB)
  })

  test('a trace that asks for most of the machine is refused before or as it takes it', () => {
    const header = (settings: object) => JSON.stringify({ plimsollTrace: 1, device: 'host', label: 'p', settings })
    const { totalBytes } = machineMemory()
    const traces = [
      [header({ initialBytes: totalBytes })],
      [header({}), JSON.stringify({ event: 'allocate', atUs: 1, buffer: '1', bytes: Math.floor(totalBytes / 2) })],
      [header({ maxBytes: totalBytes }), JSON.stringify({ event: 'present', atUs: 0, buffer: '1', bytes: totalBytes })],
    ]
    for (const [i, lines] of traces.entries()) {
      const path = join(folder, `greedy-${i}.jsonl`)
      writeFileSync(path, `${lines.join('\n')}\n`)
      const { status, stdout, stderr } = pools(path, '--json')
      expect([status, stderr]).toEqual([1, expect.stringContaining('a quarter of what this machine can give now')])
      expect(JSON.parse(stdout).error).toMatchObject({ code: 'ERR_INSUFFICIENT_MEMORY' })
    }
    // What a user allows is asked of the machine alone.
    const path = join(folder, 'greedy-1.jsonl')
    expect(pools(path, '--max', '1MiB').stdout).toContain('found no place')
  })

  test('what of a trace found no place is told', () => {
    const { status, stdout } = pools(trace, '--max', '512KiB', '--slab', '512KiB')
    expect(status).toBe(0)
    expect(stdout).toContain('\n1 buffers found no place and are not drawn\n')
  })

  test('--html writes the page that the package makes', () => {
    const out = join(folder, 'out.html')
    const snapshot = snapshotOf([quarters])
    const path = saved(snapshot)
    const { status, stdout } = pools(path, '--html', out)
    expect(status).toBe(0)
    expect(stdout).toContain(`The page is in ${out}\n`)
    expect(readFileSync(out, 'utf8')).toBe(poolsPage([snapshot]))
    expect(JSON.parse(pools(path, '--html', out, '--json').stdout).html).toBe(out)
  })

  test('a page that cannot be written ends with 4 and leaves nothing behind', () => {
    const before = readdirSync(folder)
    const { status, stderr } = pools(trace, '--html', join(folder, 'none', 'out.html'))
    expect(status).toBe(4)
    expect(stderr).toContain('expected to write ')
    expect(readdirSync(folder)).toEqual(before)
  })

  test.each([
    ['text', 'hello', 'expected FILE to be the JSON of a snapshot'],
    ['nothing', '', 'expected FILE to be the JSON of a snapshot'],
    ['something else', '{"name":"x"}', 'expected snapshot.plimsollSnapshot to be 1'],
    [
      'another version of a trace',
      '{"plimsollTrace":9}\n',
      'expected line 1 to be an object whose "plimsollTrace" is 1',
    ],
    [
      'a trace with a free of nothing',
      '{"plimsollTrace":1,"device":"","label":""}\n{"event":"free","buffer":"1"}',
      'line 2',
    ],
  ])('a file with %s ends with 3', (_what, text, message) => {
    const { status, stdout, stderr } = pools(write(text), '--json')
    expect(status).toBe(3)
    expect(stderr).toContain(message)
    expect(JSON.parse(stdout).error.code).toMatch(/^ERR_INVALID_(TRACE|SNAPSHOT)$/)
  })

  test.each(['missing.json', '.'])('a path that leads to no file ends with 3: %s', (path) => {
    expect(pools(path)).toMatchObject({ status: 3, stderr: expect.stringContaining('expected to read ') })
  })

  test('a snapshot takes no option of a trace', () => {
    const { status, stderr } = pools(saved(snapshotOf([])), '--at', '5')
    expect(status).toBe(2)
    expect(stderr).toContain('expected a trace with --at')
  })

  test('names in it are shown, not obeyed', () => {
    const label = '\x1b[2J\u202e\x07'
    const { stdout } = pools(saved(snapshotOf([quarters], { label, device: label })))
    expect(stdout).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u)
    expect(stdout).toContain('\\u001b[2J\\u202e\\u0007')
    const long = pools(saved(snapshotOf([], { label: 'x'.repeat(100_000) }))).stdout
    expect(long.length).toBeLessThan(1000)
  })

  const hasTerminal = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0
  ;(hasTerminal ? test : test.skip)('a terminal gets shades, unless it is dumb, and no line is too wide for it', () => {
    const path = saved(snapshotOf([quarters]))
    const onTerminal = (term: string) =>
      spawnSync('script', ['-qec', `stty cols 60; "${process.execPath}" dist/cli.js pools ${path}`, '/dev/null'], {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, TERM: term, NO_COLOR: '1' },
      }).stdout
    expect(onTerminal('xterm')).toMatch(/▓{8,}▒{8,}█{8,}░{8,} {3}75\.0 %/)
    for (const line of onTerminal('xterm').split('\r\n')) expect(line.length).toBeLessThanOrEqual(60)
    expect(onTerminal('dumb')).toMatch(/#{8,}\+{8,}@{8,}\.{8,} {3}75\.0 %/)
  })
})
