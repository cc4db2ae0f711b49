import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { KiB } from 'plimsoll'
import { codes, doctor, document, trees, without } from './helpers/doctor'
import { jetson, writeTree } from './helpers/tree'

const { newFolder, tree } = trees()

test('a board on which nothing is amiss gets no warning', () => {
  const calm = without(/^proc\/self|vmstat|zram|hugepages|nv_tegra_release/, {
    'etc/nv_tegra_release': '# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n',
    'proc/vmstat': 'oom_kill 0\n',
    'dev/nvmap': '',
    'usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1': '',
  })
  const root = tree(calm)
  expect(document('--root', root).warnings).toEqual([])
  expect(doctor('--root', root).stdout).toMatch(/^Warnings {2}none$/m)
})

test.each<[string, Record<string, string>, string[], string]>([
  ['a kernel without pressure information', without(/pressure/), [], 'no-pressure'],
  [
    'memory that is nearly used up',
    without(/meminfo/, { 'proc/meminfo': 'MemTotal: 7802880 kB\nMemAvailable: 1000000 kB\n' }),
    [],
    'machine-nearly-full',
  ],
  ['a preset of another board', jetson, ['--board', 'rk3588-8gb'], 'preset-mismatch'],
  ['a preset of a board with more memory', without(/device-tree/), ['--board', 'agx-orin-64gb'], 'preset-mismatch'],
  [
    'a cgroup half of which cannot be read',
    without(/none/, { 'sys/fs/cgroup/a/b/memory.stat': 'nonsense\n' }),
    [],
    'cgroup-unreadable',
  ],
])('%s is a warning', (_what, files, args, code) => {
  const calm = document('--root', tree(without(/vmstat/)))
  expect(codes(calm)).not.toContain(code)
  expect(codes(document('--root', tree(files), ...args))).toContain(code)
})

test('what hides the memory is mended by what shows it again, and a mount is advised only where one is missing', () => {
  const mountinfo = '40 30 0:50 / /proc rw - proc proc rw,subset=pid\n'
  const hidden = document('--root', tree(without(/meminfo|mountinfo/, { 'proc/self/mountinfo': mountinfo })))
  const { code, message, advice, command } = hidden.warnings[0]
  expect({ code, command }).toEqual({ code: 'memory-unknown', command: null })
  expect(message).toContain('subset=pid')
  expect(advice).toContain('ProcSubset=all')
})

test('what stands for the memory is a warning with what is the matter with it, and so is a file that is not the kernel’s', () => {
  const node = 'sys/devices/system/node/node0/meminfo'
  const figures = { [node]: 'Node 0 MemTotal: 7802880 kB\nNode 0 MemFree: 5000000 kB\n' }
  const doubtOf = (hidden: RegExp, mountinfo: string, files: Record<string, string>) => {
    const found = document('--root', tree(without(hidden, { 'proc/self/mountinfo': mountinfo, ...files })))
    expect(found.line).not.toBeNull()
    return found.warnings.find(({ code }: { code: string }) => code === 'memory-doubtful')
  }
  const proc = '40 30 0:50 / /proc rw - proc proc rw'
  const subset = doubtOf(/meminfo|mountinfo/, `${proc},subset=pid\n`, figures)
  expect(subset.message).toMatch(/subset=pid.*taken from/)
  expect(subset.advice).toMatch(/ProcSubset=all.*copy it again/)
  const mask = `${proc}\n41 40 0:5 /null /proc/meminfo rw - devtmpfs none rw\n`
  const covered = doubtOf(/meminfo|mountinfo/, mask, { ...figures, 'proc/meminfo': '' })
  expect(covered.message).toMatch(/mounted over it.*taken from/)
  expect(covered.advice).toContain('Take away what is mounted over it')
  const foreign = doubtOf(/mountinfo/, `${proc}\n41 40 8:1 /copy /proc/meminfo rw - ext4 /dev/sda1 rw\n`, {})
  expect(foreign.message).toContain("not the kernel's")
  expect(foreign.advice).toContain('Take away what is mounted over it')
  expect(doubtOf(/mountinfo/, `${proc}\n`, {})).toBeUndefined()
})

test('a limit that is there and cannot be read leaves no line, and that is said of the limit', () => {
  const root = tree(without(/none/, { 'sys/fs/cgroup/a/memory.max': 'lots\n' }))
  expect(doctor('--root', root).status).toBe(3)
  const { line, headroom, signals, warnings } = document('--root', root)
  expect({ line, headroom }).toEqual({ line: null, headroom: null })
  expect(signals.cgroups.map(({ path }: { path: string }) => path)).toEqual(['/a/b'])
  expect(warnings[0]).toMatchObject({ code: 'limit-unknown', message: expect.stringContaining('/a/memory.max') })
})

test('of a container whose memory lxcfs tells there is no board to miss, and its host is a warning', () => {
  const mountinfo = `${jetson['proc/self/mountinfo']}41 20 0:45 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n`
  const root = tree(without(/mountinfo/, { 'proc/self/mountinfo': mountinfo }))
  const found = document('--root', root)
  expect(found.machine).toMatchObject({ scope: 'container', cmaFreeBytes: null })
  expect(codes(found)).toContain('memory-doubtful')
  expect(codes(document('--root', root, '--board', 'rk3588-8gb'))).not.toContain('preset-mismatch')
})

test('a limit that may lie above what a container sees is a warning', () => {
  const top = without(/cgroup$/, { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cgroup.events': 'populated 1\n' })
  const { warnings } = document('--root', tree(top))
  const unseen = warnings.find(({ code }: { code: string }) => code === 'cgroup-unreadable')
  expect(unseen.message).toContain('/sys/fs/cgroup is the topmost control group that can be seen here')
})

test.each([1_802_880, 17_802_880])('a board of %d kB, for which there is no preset, is not blamed', (kilobytes) => {
  const meminfo = `MemTotal: ${kilobytes} kB\nMemAvailable: 1500000 kB\n`
  const root = tree(without(/meminfo/, { 'proc/meminfo': meminfo }))
  const found = document('--root', root)
  expect(found.board).toBeNull()
  expect(codes(found)).not.toContain('preset-mismatch')
  expect(doctor('--root', root).stdout).not.toContain('mem=')
})

test('memory of a driver that may refuse what it has room for is a warning, with a way round it', () => {
  const boards = join(__dirname, '../crates/plimsoll/tests/boards')
  const { warnings, headroom } = document('--root', join(boards, 'jetson-orin-nano-super'))
  expect(headroom.largestAllocationBytes).toBeNull()
  expect(warnings).toContainEqual({
    code: 'largest-allocation',
    message: expect.stringMatching(/^on L4T 36\.4\.7 .*CVE-2025-33177/),
    advice: expect.stringContaining('chunks'),
    command: expect.stringContaining('expandable_segments'),
  })
  expect(codes(document('--root', join(boards, 'jetson-orin-nx-16gb')))).not.toContain('largest-allocation')
  expect(codes(document('--root', join(boards, 'dgx-spark')))).not.toContain('largest-allocation')
})

test('an unused device for compressed swap is no warning', () => {
  const unused = without(/zram|meminfo/, {
    'sys/block/zram0/mm_stat': '0 0 0 0 0 0 0 0\n',
    'proc/meminfo': 'MemTotal: 7802880 kB\nMemAvailable: 6000000 kB\nSwapTotal: 3901440 kB\nSwapFree: 3000000 kB\n',
  })
  expect(codes(document('--root', tree(unused)))).not.toContain('zram-swap')
})

describe('a tree that cannot be believed', () => {
  test('without the memory there is no line, the rest is told, and the command ends with 3', () => {
    const root = tree(without(/meminfo/))
    const { status, stdout, stderr } = doctor('--root', root)
    expect({ status, stderr }).toEqual({ status: 3, stderr: '' })
    expect(stdout).toMatch(/^ {2}memory +not available: \/proc\/meminfo is not there$/m)
    expect(stdout).not.toMatch(/^(Line|Headroom|Machine)/m)
    expect(document('--root', root)).toMatchObject({ machine: null, line: null, headroom: null })
    expect(codes(document('--root', root))[0]).toBe('memory-unknown')
  })

  test.each(['nowhere', '/dev/null', ''])('a root that is no folder ends with 3: %j', (root) => {
    const { status, stdout, stderr } = doctor('--json', '--root', root)
    expect(status).toBe(3)
    expect(stderr).toContain("expected --root to be a folder with a board's files")
    expect(JSON.parse(stdout).error.code).toBe('ERR_IO')
  })

  function writeHuge(path: string): void {
    writeFileSync(path, '')
    truncateSync(path, 2 ** 32)
  }

  const paths = Object.keys(jetson)
  const filled = (fill: (path: string) => void): string => {
    const root = newFolder()
    for (const path of paths) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      fill(join(root, path))
    }
    return root
  }

  test.each<[string, (path: string) => void]>([
    ['empty files', (path) => writeFileSync(path, '')],
    ['folders', (path) => mkdirSync(path)],
    ['pipes that nobody writes to', (path) => spawnSync('mkfifo', [path])],
    ['links that go in circles', (path) => symlinkSync(path, path)],
    ['links that lead out', (path) => symlinkSync('/proc/meminfo', path)],
    ['bytes that are no text', (path) => writeFileSync(path, Buffer.from([0xff, 0xfe, 0, 0x1b, 0x5b, 0x32, 0x4a]))],
    ['commands to a terminal', (path) => writeFileSync(path, '\x1b[2J\x1b]0;title\x07\r\n'.repeat(3))],
    ['huge files', (path) => writeHuge(path)],
  ])('%s: every signal is not available, with a reason, and no figure is made up', (_what, fill) => {
    const root = filled(fill)
    const { status, stdout, stderr } = doctor('--root', root)
    expect({ status, stderr }).toEqual({ status: 3, stderr: '' })
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u)
    const { machine, line, headroom, detected, signals } = document('--root', root)
    expect({ machine, line, headroom }).toEqual({ machine: null, line: null, headroom: null })
    expect(detected).toMatchObject({ preset: null, soc: null, l4t: null, totalBytes: 0 })
    const { missing, ...values } = signals
    for (const [signal, value] of Object.entries(values)) {
      expect({ signal, value }).toEqual({ signal, value: null })
      const reason = expect.stringMatching(/.../)
      expect(missing).toContainEqual({ signal, path: expect.any(String), reason, remedy: null })
    }
  })

  test.each([1, 2, 5, 20, 60])('files that break off after %i bytes give no wrong figure', (length) => {
    const cut = Object.fromEntries(Object.entries(jetson).map(([path, text]) => [path, text.slice(0, length)]))
    const { status, stdout } = doctor('--json', '--root', tree(cut))
    expect([0, 3]).toContain(status)
    const { machine, headroom } = JSON.parse(stdout)
    expect([null, 7802880 * KiB]).toContain(machine?.totalBytes ?? null)
    if (headroom) expect(headroom.bytes).toBeLessThanOrEqual(machine.availableBytes)
  })

  test.each(['9007199254740992', '18446744073709551615', '99999999999999999999', '-1', '1e9', '0x10'])(
    'the figure %s is none',
    (figure) => {
      const files = Object.entries(jetson).map(([path, text]) => [path, text.replaceAll(/\b\d{3,}\b/g, figure)])
      const { status, stdout } = doctor('--root', tree(Object.fromEntries(files)))
      expect(status).toBe(3)
      expect(stdout).toMatch(/^ {2}memory +not available: /m)
      expect(stdout).not.toMatch(/\d [PE]iB/)
    },
  )

  test('names in it are shown, not obeyed', () => {
    const root = join(newFolder(), 'a\x1b[31mred')
    writeTree(
      root,
      without(/cgroup$/, {
        'proc/self/cgroup': '0::/\x1b[2J\u202e\n',
        'sys/fs/cgroup/\x1b[2J\u202e/memory.max': '536870912\n',
        'sys/fs/cgroup/\x1b[2J\u202e/memory.high': 'max\n',
        'sys/fs/cgroup/\x1b[2J\u202e/memory.current': '524288000\n',
        'sys/fs/cgroup/\x1b[2J\u202e/memory.stat': 'inactive_file 0\n',
        'sys/kernel/debug/nvmap/iovmm/clients': 'X\nuser \x1b[5mevil 1 8K\n',
      }),
    )
    const { status, stdout } = doctor('--root', root)
    expect(status).toBe(0)
    expect(stdout).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u)
    expect(stdout).toContain('cgroup /\\u001b[2J\\u202e: 512.00 MiB limit')
    expect(doctor('--json', '--root', root).stdout).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u)
  })

  test('a link to the device tree leads to that of the copy', () => {
    const root = tree(
      without(/device-tree/, { 'sys/firmware/devicetree/base/compatible': jetson['proc/device-tree/compatible'] }),
    )
    symlinkSync('/sys/firmware/devicetree/base', join(root, 'proc/device-tree'))
    expect(document('--root', root).detected.soc).toBe('Tegra234')
  })
})
