import { spawnSync } from 'node:child_process'
import { chmodSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { boardPresets, detectBoard, GiB, KiB, loadedAddon, MiB, machineMemory } from 'plimsoll'
import { runChild, runNode } from './helpers/child'
import { codes, doctor, document, trees, without } from './helpers/doctor'
import { jetson } from './helpers/tree'

const { folder, newFolder, tree } = trees()

test('shows the machine, the line and headroom with their terms, the signals, the devices and the process', () => {
  const { status, stdout, stderr } = doctor()
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const headings = ['Program', 'Machine', 'Board', 'Line', 'Headroom', 'Signals', 'Device memory', 'This process']
  for (const heading of [...headings, 'Warnings']) expect(stdout).toMatch(new RegExp(`^${heading}`, 'm'))
  expect(stdout.match(/▸/g)).toHaveLength(2)
  expect(stdout).toMatch(/^ {2}Node\.js .*, process\.availableMemory\(\)$/m)
})

test('--json gives every figure as a number of bytes, and null for what is not there', () => {
  const numberOrNull = { asymmetricMatch: (value: unknown) => value === null || typeof value === 'number' }
  expect(document()).toEqual({
    version: expect.any(String),
    node: process.versions.node,
    platform: process.platform,
    system: expect.any(String),
    architecture: process.arch,
    instructionSet: expect.any(String),
    addon: loadedAddon(),
    root: null,
    machine: {
      totalBytes: machineMemory().totalBytes,
      availableBytes: expect.any(Number),
      freeBytes: numberOrNull,
      cmaTotalBytes: numberOrNull,
      cmaFreeBytes: numberOrNull,
      shmemBytes: numberOrNull,
      swapTotalBytes: numberOrNull,
      swapFreeBytes: numberOrNull,
      nvmapUsedBytes: numberOrNull,
      mappedFileBytes: numberOrNull,
      hugePagesBytes: numberOrNull,
      scope: machineMemory().scope,
      cgroup: machineMemory().cgroup ?? null,
    },
    detected: expect.objectContaining({ name: expect.any(String), unifiedMemory: detectBoard().unifiedMemory ?? null }),
    board: boardPresets.find(({ id }) => id === detectBoard().preset) ?? null,
    line: { lineBytes: expect.any(Number), binding: expect.any(String), terms: expect.any(Array) },
    headroom: {
      bytes: expect.any(Number),
      pendingBytes: 0,
      largestAllocationBytes: expect.any(Number),
      bindingTerm: expect.objectContaining({ floorBytes: expect.any(Number), roomBytes: expect.any(Number) }),
      terms: expect.any(Array),
    },
    signals: expect.objectContaining({ missing: expect.any(Array) }),
    backEnds: expect.any(Array),
    auto: { kind: expect.any(String), passedOver: expect.any(Array) },
    process: {
      rssBytes: expect.any(Number),
      peakRssBytes: expect.any(Number),
      anonymousBytes: expect.any(Number),
      fileBytes: expect.any(Number),
      shmemBytes: expect.any(Number),
    },
    nodeAvailableBytes: expect.any(Number),
    warnings: expect.any(Array),
  })
})

test('the lowest term comes first and draws the line', () => {
  const { line } = document()
  const bytes: number[] = line.terms.map((term: { bytes: number }) => term.bytes)
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b))
  expect(line.terms[0]).toMatchObject({ kind: line.binding, bytes: line.lineBytes })
})

test('--max moves the line', () => {
  expect(document('--max', '64 MiB').line).toMatchObject({ lineBytes: 64 * 1024 * 1024, binding: 'maximum' })
})

test('--margin moves its term', () => {
  const { machine, line } = document('--margin', '50')
  const term = line.terms.find((each: { kind: string }) => each.kind === 'safety-margin')
  expect(term.bytes).toBe((machine.totalBytes - (machine.hugePagesBytes ?? 0)) / 2)
})

test('--board adds the preset and its term', () => {
  const { board, line } = document('--board', 'orin-nano-8gb')
  expect(board).toEqual(boardPresets.find((preset) => preset.id === 'orin-nano-8gb'))
  expect(line.terms).toContainEqual(expect.objectContaining({ kind: 'preset', bytes: board.usableBytes }))
})

test('--boards lists every preset', () => {
  const { stdout } = doctor('--boards')
  for (const { id, name } of boardPresets) expect(stdout).toMatch(new RegExp(`^  ${id} .* ${name}$`, 'm'))
  expect(document('--boards')).toEqual({ boards: boardPresets })
})

test.each([
  [['--board', 'orin-nano-8g'], 'did you mean "orin-nano-8gb"?'],
  [['--margin', 'half'], 'expected --margin to be a number, got "half"'],
  [['--margin', '100'], 'expected --margin to be a number from 0 to below 100, got 100'],
  [['--max', 'lots'], 'expected --max to be a size'],
])('an unfit value ends with 2: %j', (args, message) => {
  const { status, stderr } = doctor(...args)
  expect(status).toBe(2)
  expect(stderr).toContain(message)
})

describe('of a copy of a board', () => {
  const root = tree(jetson)

  test('the board is the one of the copy, with its software and the preset that fits', () => {
    const { detected, board, root: read } = document('--root', root)
    expect(read).toBe(root)
    expect(detected).toEqual({
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
      totalBytes: 7802880 * KiB,
    })
    expect(board.id).toBe('orin-nano-8gb')
  })

  test('line and headroom are drawn from the copy, and the binding cgroup is named', () => {
    const { line, headroom } = document('--root', root)
    expect(line).toMatchObject({ lineBytes: 496 * MiB, binding: 'cgroup' })
    expect(headroom.bytes).toBe((512 - 450 - 16) * MiB)
    expect(headroom.bindingTerm).toMatchObject({ kind: 'cgroup', path: '/a/b', floorBytes: 16 * MiB })
    expect(headroom.bindingTerm.description).toContain('cgroup /a/b: 512.00 MiB limit')
    expect(headroom.terms.map(({ roomBytes }: { roomBytes: number }) => roomBytes)).toEqual([
      5800000 * KiB - 256 * MiB,
      (512 - 450 - 16) * MiB,
      GiB - 400 * MiB - Math.floor(GiB / 100) * 3,
    ])
  })

  test('the largest allocation is what the driver of that board accepts, and none where that is not told', () => {
    const untold = tree(without(/^proc\/self|cgroup/))
    const { headroom } = document('--root', untold)
    expect(headroom).toMatchObject({ bytes: 5800000 * KiB - 256 * MiB, largestAllocationBytes: null })
    expect(doctor('--root', untold).stdout).toMatch(/^ {2}largest allocation +not reported by the driver$/m)
    const older = without(/^proc\/self|osrelease|meminfo|nv_tegra_release/, {
      'etc/nv_tegra_release': '# R35 (release), REVISION: 6.1, GCID: 39721438, BOARD: t186ref, EABI: aarch64\n',
      'proc/sys/kernel/osrelease': '5.10.104-tegra\n',
      'proc/meminfo': 'MemTotal: 7802880 kB\nMemAvailable: 1600000 kB\n',
    })
    const { bytes, largestAllocationBytes } = document('--root', tree(older)).headroom
    expect(bytes).toBe(1600000 * KiB - 256 * MiB)
    expect(largestAllocationBytes).toBe(Math.min(bytes, (1600000 * KiB * 15) / 16))
  })

  test('this process has no part in it', () => {
    expect(document('--root', root)).toMatchObject({ process: null, nodeAvailableBytes: null })
    expect(doctor('--root', root).stdout).not.toContain('This process')
  })

  test('every signal is listed with its value in a few words', () => {
    const { stdout } = doctor('--root', root)
    for (const row of [
      /^ {2}memory +7\.44 GiB, 5\.72 GiB available$/m,
      /^ +3\.72 GiB of swap, 2\.86 GiB free; it never counts$/m,
      /^ +256\.00 MiB contiguous \(CMA\), 195\.31 MiB of it free and not headroom$/m,
      /^ +878\.91 MiB held by the GPU and engines$/m,
      /^ {2}cgroups +\/a\/b \(v2\): 500\.00 MiB, 50\.00 MiB of it reclaimed first, limit 512\.00 MiB$/m,
      /^ +\/a \(v2\): 500\.00 MiB, 100\.00 MiB of it reclaimed first, limit 1\.00 GiB, 2 killed$/m,
      /^ {2}pressure +some tasks stood still 1\.50 % of the last 10 s, all of them 0\.50 %$/m,
      /^ {2}zram +350\.00 MiB swapped out take 276\.00 MiB of RAM$/m,
      /^ {2}process +200\.00 KiB resident$/m,
      /^ {2}kills +4 by the OOM killer since the start$/m,
      /^ {2}huge pages +8 of 2\.00 MiB, 3 of them free$/m,
      /^ {2}transparent huge pages +madvise$/m,
      /^ {2}GPU memory +held by ollama serve \(4242\) 878\.91 MiB$/m,
      /^ {2}NPU +driver 0\.9\.8, cores at 12 %, 0 %, 100 %$/m,
    ]) {
      expect(stdout).toMatch(row)
    }
  })

  test('what a user should act on comes last, the worst first, each with what to do', () => {
    const { warnings } = document('--root', root)
    expect(warnings.map(({ code }: { code: string }) => code)).toEqual([
      'cgroup-nearly-full',
      'cgroup-limit',
      'kills',
      'kills',
      'zram-swap',
      'largest-allocation',
      'huge-pages',
      'back-end',
    ])
    for (const { message, advice, command } of warnings) {
      expect([message, advice]).toEqual([expect.stringMatching(/.../), expect.stringMatching(/.../)])
      expect(command === null || typeof command === 'string').toBe(true)
    }
    const { stdout } = doctor('--root', root)
    expect(stdout.slice(stdout.indexOf('\nWarnings'))).toContain(
      'cgroup /a/b allows 512.00 MiB of the 7.44 GiB there are',
    )
  })
})

describe('of the trees of boards', () => {
  const boards = join(__dirname, '../crates/plimsoll/tests/boards')
  test.each(readdirSync(boards))('%s has a line, headroom below what is available, and its preset', (name) => {
    const found = document('--root', join(boards, name))
    expect(found.board?.id ?? null).toBe(found.detected.preset)
    expect(found.line.lineBytes).toBeLessThan(found.machine.totalBytes)
    expect(found.headroom.bytes).toBeLessThan(found.machine.availableBytes)
    expect(codes(found)).not.toContain('preset-mismatch')
  })
})

test('whether memory is shared is said only of chips that are known', () => {
  const boards = join(__dirname, '../crates/plimsoll/tests/boards')
  for (const [name, unifiedMemory, words] of [
    ['dgx-spark', true, 'shared by the CPU and its accelerators'],
    ['wsl', null, 'not known to share it, or not to'],
  ] as const) {
    expect(document('--root', join(boards, name)).detected.unifiedMemory).toBe(unifiedMemory)
    expect(doctor('--root', join(boards, name)).stdout).toContain(words)
  }
})

describe('device memory', () => {
  test('what stands in the way comes with the line that mends it', () => {
    const { stdout } = doctor('--root', tree({ '.dockerenv': '' }))
    expect(stdout).toMatch(/^ {2}dma-heap +not available: /m)
    expect(stdout).toMatch(/^ +\$ docker run --device \/dev\/dma_heap \.\.\.$/m)
    expect(stdout).toMatch(/^ {2}host +available$/m)
  })

  test.each([
    ['rock-5b-plus-vendor', 'dma-heap', ['rknpu', 'udmabuf', 'cuda', 'host']],
    ['orangepi-5-plus-vendor', 'host', ['rknpu', 'udmabuf', 'cuda', 'dma-heap']],
    ['jetson-orin-nano-8gb', 'cuda', ['rknpu', 'udmabuf', 'dma-heap', 'host']],
    ['pc', 'host', ['rknpu', 'udmabuf', 'cuda', 'dma-heap']],
  ])('of the copy %s, auto would take %s, and there is a reason against %j', (board, kind, others) => {
    const root = `crates/plimsoll/tests/boards/${board}`
    const { auto, backEnds } = document('--root', root)
    expect(auto).toEqual({ kind, passedOver: others.map((other) => ({ kind: other, reason: expect.any(String) })) })
    expect(doctor('--root', root).stdout).toMatch(new RegExp(`^  auto +would take ${kind}$`, 'm'))
    for (const { device, refusal } of backEnds) expect({ device, refusal }).toEqual({ device: null, refusal: null })
  })

  test('what costs nothing is opened, the rest with --devices alone, and the NPU of a Rockchip never', () => {
    const deviceOf = (found: { backEnds: { kind: string; device: unknown }[] }, kind: string) =>
      found.backEnds.find((backEnd) => backEnd.kind === kind)?.device
    const room = expect.any(Number)
    const host = {
      name: 'host',
      limits: expect.objectContaining({ granuleBytes: expect.any(Number), slabBytes: 2 * MiB, largestBytes: null }),
      usage: expect.objectContaining({ usedBytes: 0, totalBytes: room, freeBytes: room, largestFreeBytes: room }),
      remarks: [],
    }
    const found = document()
    expect([deviceOf(found, 'host'), deviceOf(found, 'cuda'), deviceOf(found, 'rknpu')]).toEqual([host, null, null])
    expect(doctor().stdout).not.toContain('slabs of 2.00 MiB or more')
    const all = document('--devices')
    expect([deviceOf(all, 'host'), deviceOf(all, 'rknpu')]).toEqual([host, null])
    expect(doctor('--devices').stdout).toContain('slabs of 2.00 MiB or more')
    expect(doctor('--devices').stdout).toMatch(new RegExp(`^  auto +takes ${all.auto.kind}$`, 'm'))
  })

  test('a driver that does not open is no end of the diagnosis', () => {
    const { status, stdout } = runNode(['dist/cli.js', 'doctor', '--devices', '--json'], {
      through: ['env', 'PLIMSOLL_CUDA_LIBRARY=/nowhere/libcuda.so'],
    })
    expect(status).toBe(0)
    expect(JSON.parse(stdout).backEnds).toContainEqual(
      expect.objectContaining({
        kind: 'cuda',
        available: false,
        reason: 'PLIMSOLL_CUDA_LIBRARY names /nowhere/libcuda.so, which is not there',
        remedy: 'unset PLIMSOLL_CUDA_LIBRARY',
      }),
    )
    expect(JSON.parse(stdout).auto.passedOver).toContainEqual({
      kind: 'cuda',
      reason: expect.stringContaining('/nowhere/libcuda.so'),
    })
  })

  test('a copy has no devices to open', () => {
    const { status, stderr } = doctor('--devices', '--root', newFolder())
    expect(status).toBe(2)
    expect(stderr).toContain('expected --devices or --root, got both')
  })

  const isRoot = process.getuid?.() === 0
  ;(isRoot ? test : test.skip)('a node that this user may not open is mended by a group or a rule', () => {
    const nodes = ['dev/dma_heap/system', 'dev/rknpu']
    const root = tree(Object.fromEntries(nodes.map((node) => [node, ''])))
    for (const node of nodes) chmodSync(join(root, node), 0)
    chmodSync(folder, 0o755)
    const script = `
      process.setgroups([])
      process.setuid(65534)
      return plimsoll.backEnds({ root: ${JSON.stringify(root)} }).map(({ remedy }) => remedy ?? '')`
    const remedies = runChild<string[]>(script).value.join('\n')
    expect(remedies).toContain('sudo usermod -aG render,video "$USER"')
    expect(remedies).toContain('/etc/udev/rules.d/70-dma-heap.rules')
  })
})

const hasTerminal = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0
;(hasTerminal ? test : test.skip)('on a narrow terminal lines are broken or cut, but for what is to be copied', () => {
  const root = tree(without(/pressure/))
  const line = `stty cols 80; "${process.execPath}" dist/cli.js doctor --root ${root}`
  const { stdout } = spawnSync('script', ['-qec', line, '/dev/null'], {
    cwd: join(__dirname, '..'),
    encoding: 'utf8',
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '1' },
  })
  const lines = stdout.split('\r\n')
  for (const each of lines.filter((text) => !text.trim().startsWith('$'))) expect(each.length).toBeLessThanOrEqual(80)
  expect(lines.join(' ').replaceAll(/ +/g, ' ')).toContain('some only when booted with psi=1.')
})
