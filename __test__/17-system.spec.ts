import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import {
  backEnds,
  boardPresets,
  detectBoard,
  InvalidArgumentError,
  IoError,
  MemoryBudget,
  MiB,
  machineMemory,
  signals,
} from '../index'
import { root as checkout } from './helpers/child'
import { thrownBy } from './helpers/errors'

const boards = resolve(checkout, 'crates/plimsoll/tests/boards')
const board = (name: string) => ({ root: join(boards, name) })

/** A folder with these files, gone after the test. */
function tree(files: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), 'plimsoll-tree-'))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true }) }
}

describe('detectBoard', () => {
  test('knows a board by its tree, with the preset that fits its memory', () => {
    expect(detectBoard(board('jetson-orin-nano-8gb'))).toEqual({
      name: 'NVIDIA Jetson Orin Nano Developer Kit',
      preset: 'orin-nano-8gb',
      vendor: 'NVIDIA',
      soc: 'Tegra234',
      module: 'p3767-0005',
      unifiedMemory: true,
      compatible: ['nvidia,p3768-0000+p3767-0005', 'nvidia,p3767-0005', 'nvidia,tegra234'],
      l4t: '36.4.7',
      jetpack: '6.2.1',
      kernelRelease: '5.15.148-tegra',
      totalBytes: 7620 * MiB,
    })
    expect(detectBoard(board('rock-5b-plus-vendor'))).toMatchObject({ name: 'Radxa ROCK 5B+', preset: 'rk3588-16gb' })
  })

  test('every preset it names is a preset', () => {
    const presets = readdirSync(boards).map((name) => detectBoard(board(name)).preset)
    const ids = boardPresets.map(({ id }) => id)
    expect(presets.filter((preset) => preset !== undefined && !ids.includes(preset))).toEqual([])
    expect(new Set(presets).size).toBeGreaterThan(10)
  })

  test('this machine is what board: "auto" takes', () => {
    const preset = detectBoard().preset
    const auto = MemoryBudget.forThisMachine({ isolated: true })
    const named = preset ? MemoryBudget.forThisMachine({ board: preset as 'rk3588-8gb', isolated: true }) : auto
    expect(auto.terms).toEqual(named.terms)
  })

  test('a machine without a tree is known by its product, or not at all', () => {
    expect(detectBoard(board('dgx-spark'))).toMatchObject({
      name: 'NVIDIA_DGX_Spark',
      soc: 'GB10',
      preset: 'gb10-128gb',
      unifiedMemory: true,
    })
    expect(detectBoard(board('wsl'))).not.toHaveProperty('unifiedMemory')
  })

  test('nonsense in a tree is a board that is not known', () => {
    using nonsense = tree({ 'proc/device-tree/compatible': '\u001b[2J\0', 'proc/meminfo': 'MemTotal: many kB\n' })
    expect(detectBoard(nonsense)).toMatchObject({ compatible: [], totalBytes: 0 })
    expect(detectBoard(nonsense)).not.toHaveProperty('unifiedMemory')
  })
})

describe('signals', () => {
  test('of this machine: every one is there or has a reason', () => {
    const { missing, ...found } = signals()
    expect(found.memory?.totalBytes).toBeGreaterThan(0)
    expect(found.process?.rssBytes).toBeGreaterThan(0)
    for (const { signal, path, reason } of missing) {
      expect(found).not.toHaveProperty(signal)
      expect(reason).toContain(path)
    }
  })

  test('of a board: what its kernel does not have is missing, what its drivers say is there', () => {
    const { npuDriver, memory, missing } = signals(board('rock-5b-plus-vendor'))
    expect(npuDriver).toEqual({ version: '0.9.8', loadPercent: [0, 12, 0] })
    expect(memory?.totalBytes).toBe(15945 * MiB)
    expect(missing.map(({ signal }) => signal)).toEqual(expect.arrayContaining(['cgroups', 'pressure', 'nvmapClients']))
  })

  test('of a tree full of nonsense: no figure at all, and each file is named', () => {
    using nonsense = tree({
      'proc/meminfo': 'MemTotal: 10 kB\nMemAvailable: 11 kB\n',
      'proc/pressure/memory': 'some avg10=NaN',
      'proc/self/status': 'Name:\tx\n',
      'proc/buddyinfo': 'Node 0, zone DMA one two',
      'proc/vmstat': 'oom_kill -1',
      'proc/self/cgroup': '0::/a\n',
      'proc/self/mountinfo': '1 1 0:1 / /c rw - cgroup2 c rw\n',
      'c/a/memory.current': '12 apples',
      'sys/block/zram0/mm_stat': '1 2',
    })
    const { missing, cgroups, ...found } = signals(nonsense)
    expect(found).toEqual({})
    expect(cgroups).toEqual([])
    const files = missing.map(({ path }) => path.slice(nonsense.root.length))
    expect(files).toEqual(
      expect.arrayContaining([
        '/proc/meminfo',
        '/proc/pressure/memory',
        '/proc/self/status',
        '/proc/buddyinfo',
        '/proc/vmstat',
        '/c/a/memory.current',
        '/sys/block/zram0/mm_stat',
      ]),
    )
  })

  test('a root that is no path is refused by name', () => {
    expect(thrownBy(InvalidArgumentError, () => signals({ root: 5 as unknown as string })).argument).toBe('root')
    expect(thrownBy(InvalidArgumentError, () => detectBoard({ rot: '/' } as object)).message).toContain('"root"')
  })
})

describe('machineMemory', () => {
  test('names the tightest limit over the process', () => {
    expect(machineMemory(board('container-on-orin')).cgroup).toEqual({ path: '/', limitBytes: 2048 * MiB })
    expect(machineMemory(board('pc')).cgroup).toBeUndefined()
  })

  test('a machine that does not say what it has is an error that names the file', () => {
    using empty = tree({ 'proc/uptime': '1' })
    expect(thrownBy(IoError, () => machineMemory(empty)).path).toBe(join(empty.root, 'proc/meminfo'))
  })
})

describe('backEnds', () => {
  test('says what each board could give, and the line that mends the rest', () => {
    const usable = (name: string) => backEnds(board(name)).flatMap(({ kind, available }) => (available ? [kind] : []))
    expect(usable('jetson-agx-thor')).toEqual(['host', 'cuda'])
    expect(usable('rock-5b-plus-vendor')).toEqual(['host', 'dma-heap', 'rknpu'])
    const cuda = backEnds(board('container-on-orin')).find(({ kind }) => kind === 'cuda')
    expect(cuda).toMatchObject({ available: false, paths: [], remedy: expect.stringContaining('nvidia') })
  })
})
