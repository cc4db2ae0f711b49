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
} from 'plimsoll'
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
      // Of these two a part may be uncertain.
      if (!['memory', 'cgroups'].includes(signal)) expect(found).not.toHaveProperty(signal)
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
      'c/a/memory.max': 'lots',
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
        '/c/a/memory.max',
        '/sys/block/zram0/mm_stat',
      ]),
    )
  })

  test('of a container with lxcfs: its own memory, without what it shows of its host', () => {
    // The figures that lxcfs does not know are the host's: see proc_meminfo_read in its src/proc_fuse.c.
    using guest = tree({
      'proc/meminfo':
        'MemTotal: 2097152 kB\nMemFree: 100 kB\nMemAvailable: 1048576 kB\nCmaTotal: 999999 kB\nCmaFree: 999990 kB\n' +
        'NvMapMemUsed: 1048576 kB\n' +
        'HugePages_Total: 200\nHugepagesize: 2048 kB\nHugetlb: 409600 kB\n',
      'proc/self/mountinfo': '9 8 0:45 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n',
      'proc/device-tree/compatible': 'radxa,rock-5b\0rockchip,rk3588\0',
    })
    const { memory, missing } = signals(guest)
    expect(memory).toMatchObject({ scope: 'container', availableBytes: 1024 * MiB })
    for (const ofHost of ['cmaFreeBytes', 'nvmapUsedBytes']) expect(memory).not.toHaveProperty(ofHost)
    expect(missing).toContainEqual(
      expect.objectContaining({ signal: 'memory', reason: expect.stringContaining('lxcfs') }),
    )
    expect(detectBoard(guest).soc).toBe('RK3588')
    expect(detectBoard(guest)).not.toHaveProperty('preset')
    const budget = MemoryBudget.forThisMachine(guest)
    expect(budget.totalBytes).toBe(2048 * MiB)
    expect(budget.headroom().bytes).toBe((1024 - 256) * MiB)
  })

  test('of compressed RAM: only what is swapped to, as /proc/swaps says', () => {
    const files = {
      'sys/block/zram0/mm_stat': '4096 100 12288 0',
      'sys/block/zram1/mm_stat': '367001600 285212672 289406976 0',
      'proc/swaps': 'Filename\tType\tSize\tUsed\tPriority\n/dev/mmcblk0p3 partition 9 0 -2\n',
    }
    using none = tree(files)
    expect(signals(none)).not.toHaveProperty('zram')
    expect(signals(none).missing.find(({ signal }) => signal === 'zram')?.path).toBe(join(none.root, 'proc/swaps'))
    using one = tree({ ...files, 'proc/swaps': `${files['proc/swaps']}/dev/zram0 partition 9 0 100\n` })
    expect(signals(one).zram).toEqual({ storedBytes: 4096, usedBytes: 12288 })
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

  test('a file that hides behind a mount is an error that says what shows it', () => {
    using hidden = tree({ 'proc/self/mountinfo': '9 8 0:50 / /proc rw - proc proc rw,subset=pid\n' })
    expect(thrownBy(IoError, () => machineMemory(hidden)).message).toContain('ProcSubset=all')
    expect(signals(hidden).missing).toContainEqual(
      expect.objectContaining({ signal: 'memory', remedy: expect.stringContaining('ProcSubset=all') }),
    )
  })

  test('a limit that is there and cannot be believed is an error, and no machine without limits', () => {
    using garbage = tree({
      'proc/meminfo': 'MemTotal: 8000000 kB\nMemFree: 1 kB\nMemAvailable: 7000000 kB\n',
      'proc/self/cgroup': '0::/a\n',
      'proc/self/mountinfo': '9 8 0:26 / /c rw - cgroup2 cgroup2 rw\n',
      'c/a/memory.max': '\0\0',
      'c/a/memory.current': '1\n',
    })
    for (const read of [machineMemory, MemoryBudget.forThisMachine]) {
      expect(thrownBy(IoError, () => read(garbage)).path).toBe(join(garbage.root, 'c/a/memory.max'))
    }
  })

  test('huge pages that are set aside are told, and the line is drawn without them', () => {
    using set = tree({
      'proc/meminfo':
        'MemTotal: 16252928 kB\nMemFree: 2000000 kB\nMemAvailable: 3145728 kB\nHugePages_Total: 6144\n' +
        'Hugepagesize: 2048 kB\nHugetlb: 12582912 kB\n',
      'proc/device-tree/compatible': 'radxa,rock-5b\0rockchip,rk3588\0',
    })
    const ordinary = (16252928 - 12582912) / 1024
    expect(machineMemory(set)).toMatchObject({ totalBytes: 15872 * MiB, hugePagesBytes: 12288 * MiB })
    expect(detectBoard(set).preset).toBe('rk3588-16gb')
    const budget = MemoryBudget.forThisMachine(set)
    expect(budget.totalBytes).toBe(ordinary * MiB)
    expect(budget.lineBytes).toBe(ordinary * MiB - budget.reservedBytes)
    const term = budget.headroom().terms[0]
    expect(term).toMatchObject({ floorBytes: 256 * MiB, capacityBytes: (ordinary - 256) * MiB })
    expect(term?.usedPercent).toBeCloseTo(100 - ((3072 - 256) / (ordinary - 256)) * 100, 6)
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
