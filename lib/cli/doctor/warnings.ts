import { type BoardPreset, formatBytes, type HeadroomTerm, type MachineMemory, type Signals } from '../../index.js'
import { percent } from '../terminal/text.js'
import type { Findings } from './findings.js'

/** Something that a user should act on. */
export interface Warning {
  /** A stable name. */
  code: string
  /** What is the matter. */
  message: string
  /** What to do about it. */
  advice: string
  /** A line for the shell that helps. */
  command: string | null
}

/** Where the monitor's warning begins, by default. */
const NEARLY_FULL_PERCENT = 80

const warning = (code: string, message: string, advice: string, command: string | null = null): Warning => ({
  code,
  message,
  advice,
  command,
})

/** What a user should act on, the worst first. */
export const warningsOf = (found: Findings): Warning[] => [
  ...unknownMemory(found),
  ...fullBounds(found),
  ...limit(found),
  ...unreadableCgroups(found),
  ...doubtfulMemory(found),
  ...kills(found),
  ...compressedSwap(found),
  ...unknownAllocation(found),
  ...presets(found),
  ...hugePages(found),
  ...noPressure(found),
  ...backEnds(found),
]

function unknownMemory({ machine, signals, root }: Findings): Warning[] {
  if (machine) return []
  const missing = (name: keyof Signals) => signals.missing.find(({ signal }) => signal === name)
  if (signals.memory) {
    const reason = missing('cgroups')?.reason ?? 'a cgroup changed meanwhile'
    const message = `a limit over this process is there and cannot be read, so there is no line: ${reason}`
    return [warning('limit-unknown', message, 'Until it can be read nothing is granted: see to that file')]
  }
  const { reason, remedy } = missing('memory') ?? { reason: '/proc/meminfo changed meanwhile' }
  const message = `the machine's memory is unknown, so there is no line: ${reason}`
  if (root !== undefined) {
    const copy = "Copy the board's /proc/meminfo to that place"
    return [warning('memory-unknown', message, remedy === undefined ? copy : `${remedy}. Then copy it again`)]
  }
  return [
    remedy === undefined
      ? warning('memory-unknown', message, 'Mount /proc', 'mount -t proc proc /proc')
      : warning('memory-unknown', message, remedy),
  ]
}

/** Figures that others stand for, and those of a container whose host may have less. */
function doubtfulMemory({ machine, signals, root }: Findings): Warning[] {
  const doubt = signals.missing.find(({ signal }) => signal === 'memory')
  if (!machine || !doubt) return []
  const advice =
    machine.scope === 'container'
      ? 'Plan with what the host can spare, or set a limit (maxBytes, --max)'
      : 'Headroom may be less than there is; see that /proc/meminfo is that of the kernel'
  const remedy = doubt.remedy && root !== undefined ? `${doubt.remedy}. Then copy it again` : doubt.remedy
  return [warning('memory-doubtful', doubt.reason, remedy ?? advice)]
}

function fullBounds({ headroom }: Findings): Warning[] {
  const full = headroom?.terms.filter(({ usedPercent }) => usedPercent >= NEARLY_FULL_PERCENT) ?? []
  const words = ({ usedPercent, description }: HeadroomTerm) => `${percent(usedPercent)} in use: ${description}`
  return full.map((term) =>
    term.kind === 'machine'
      ? warning(
          'machine-nearly-full',
          words(term),
          'End what is not needed; these hold the most',
          'ps -eo rss,pid,args --sort=-rss | head',
        )
      : warning('cgroup-nearly-full', words(term), 'Raise the limit, or run less inside the cgroup'),
  )
}

function limit({ machine }: Findings): Warning[] {
  if (!machine?.cgroup) return []
  const { path, limitBytes } = machine.cgroup
  return [
    warning(
      'cgroup-limit',
      `cgroup ${path} allows ${formatBytes(limitBytes)} of the ${formatBytes(machine.totalBytes)} there are`,
      'Plan within it, or raise it: docker run --memory SIZE, systemctl set-property UNIT MemoryMax=SIZE',
    ),
  ]
}

/** Where no cgroup can be read there are none, as on kernels without them; half of them is another matter. */
function unreadableCgroups({ machine, signals }: Findings): Warning[] {
  if (!machine || !signals.cgroups) return []
  const unreadable = signals.missing.filter(({ signal }) => signal === 'cgroups')
  return unreadable.map(({ reason }) =>
    warning(
      'cgroup-unreadable',
      reason,
      'A limit may not be seen: ask who runs the container, and set it as --max (maxBytes) where there is one',
    ),
  )
}

function kills({ signals }: Findings): Warning[] {
  const { oomKillCount = 0, cgroups = [] } = signals
  const killed = cgroups.find((cgroup) => cgroup.oomKillCount)
  const advice = 'Something took more than there was; the log has its name'
  const command = "journalctl --dmesg --grep 'killed process'"
  return [
    ...(oomKillCount > 0
      ? [warning('kills', `kills for want of memory since the kernel's start: ${oomKillCount}`, advice, command)]
      : []),
    ...(killed
      ? [warning('kills', `kills at the limit of cgroup ${killed.path}: ${killed.oomKillCount}`, advice, command)]
      : []),
  ]
}

/** A device that swaps holds a page at least; one that was only made holds none. */
function compressedSwap({ machine, signals }: Findings): Warning[] {
  if (!machine?.swapTotalBytes || !signals.zram?.storedBytes) return []
  const { storedBytes, usedBytes } = signals.zram
  return [
    warning(
      'zram-swap',
      `${formatBytes(machine.swapTotalBytes)} of swap do not count: they lie on compressed RAM (zram), where ` +
        `${formatBytes(storedBytes)} swapped out still take ${formatBytes(usedBytes)}`,
      'Plan as if there were none, and let a monitor warn before it fills',
    ),
  ]
}

/** Since L4T 36.4.7 the driver refuses pieces that it has room for; a release that is not told may be one of those. */
function unknownAllocation({ headroom, detected }: Findings): Warning[] {
  if (!headroom || headroom.largestAllocationBytes !== undefined) return []
  const release = detected.l4t ? `L4T ${detected.l4t}` : 'an L4T whose release is not told'
  return [
    warning(
      'largest-allocation',
      `on ${release} the driver may refuse one large piece of device memory although there is room for it: since the ` +
        'mend of CVE-2025-33177 in 36.4.7 loads end with "NvMapMemAllocInternalTagged: ... error 12"',
      "Take it in pieces: plimsoll's CUDA slabs are put together from chunks of 64 MiB, and PyTorch does likewise when told",
      'export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True',
    ),
  ]
}

/** A board without a preset that fits is not blamed: there are more boards than presets. */
function presets({ machine, detected, board, isNamed }: Findings): Warning[] {
  // What a container may have is no board's size.
  if (!machine || machine.scope === 'container' || !board || !isNamed) return []
  const better = detected.preset && detected.preset !== board.id ? `--board ${detected.preset}` : undefined
  if (!better && fits(board, machine)) return []
  const found = `${detected.name} with ${formatBytes(machine.totalBytes)}`
  return [
    warning(
      'preset-mismatch',
      `the preset ${board.id} is of a board with ${formatBytes(board.totalBytes)}, and this is ${found}`,
      better ? `Leave --board out, or name ${better}` : 'Leave --board out unless the line is meant for another board',
    ),
  ]
}

/** Firmware takes a part of the memory, never half of it. */
const fits = ({ totalBytes }: BoardPreset, machine: MachineMemory): boolean =>
  machine.totalBytes <= totalBytes && machine.totalBytes > totalBytes / 2

function hugePages({ signals }: Findings): Warning[] {
  const bytes = (signals.hugePages ?? []).reduce((sum, pool) => sum + pool.pageBytes * pool.totalCount, 0)
  if (bytes === 0) return []
  return [
    warning(
      'huge-pages',
      `${formatBytes(bytes)} are set aside as huge pages, which ordinary allocations cannot use; the line is drawn without them`,
      'Free them if nothing needs them',
      'sudo sysctl vm.nr_hugepages=0',
    ),
  ]
}

function noPressure({ signals }: Findings): Warning[] {
  const missing = signals.missing.find(({ signal }) => signal === 'pressure')
  if (!missing) return []
  return [
    warning(
      'no-pressure',
      `the kernel does not tell when tasks stand still for want of memory: ${missing.reason}`,
      'A monitor then sees trouble by its samples alone. A kernel built with CONFIG_PSI tells it, some only when ' +
        'booted with psi=1',
    ),
  ]
}

/** The accelerators' memory on the boards that have them. */
const expected: Record<string, readonly string[]> = { NVIDIA: ['cuda'], Rockchip: ['rknpu', 'dma-heap'] }

function backEnds({ detected, backEnds: all }: Findings): Warning[] {
  if (!detected.unifiedMemory) return []
  const kinds = expected[detected.vendor ?? ''] ?? []
  const lacking = all.filter(({ kind, available }) => kinds.includes(kind) && !available)
  return lacking.map(({ kind, reason, remedy }) =>
    warning(
      'back-end',
      `${kind} cannot be used: ${reason}`,
      remedy ? 'This mends it' : "It takes the kernel and the drivers of the board's vendor",
      remedy ?? null,
    ),
  )
}
