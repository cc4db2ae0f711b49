import {
  type Cgroup,
  type DarkMemory,
  formatBytes,
  type GpuProcess,
  type HugePages,
  type MachineMemory,
  MiB,
  type NvmapClient,
  type Signals,
} from '../../index.js'
import type { Entry } from '../terminal/table.js'
import { visible } from '../terminal/text.js'

/** What a signal is called. */
const names: Record<Exclude<keyof Signals, 'missing'>, string> = {
  memory: 'memory',
  cgroups: 'cgroups',
  pressure: 'pressure',
  zram: 'zram',
  process: 'process',
  largestFreeRunBytes: 'largest free run',
  freeHugeBlockCount: 'blocks of 2 MiB',
  dark: 'dark memory',
  oomKillCount: 'kills',
  hugePages: 'huge pages',
  transparentHugePages: 'transparent huge pages',
  nvmapClients: 'GPU memory',
  npuDriver: 'NPU',
}

/** Every signal with its value in a few words, or with the reason why it is not there. */
export function signalEntries(signals: Signals): Entry[] {
  return Object.entries(names).flatMap(([key, name]) => {
    const reasons = signals.missing.filter(({ signal }) => signal === key)
    // What is there may be known in part alone.
    const state = signals[key as keyof typeof names] === undefined ? 'not available' : 'not certain'
    const missing = reasons.map(({ reason }) => `${state}: ${reason}`)
    const texts = [...wordsOf(signals, key as keyof typeof names), ...missing]
    return texts.map((text, i) => ({ name: i === 0 ? name : '', text: visible(text) }))
  })
}

/** A line or more about a signal; none where it is not there. */
function wordsOf(signals: Signals, key: keyof typeof names): string[] {
  const words: { [K in keyof typeof names]: (value: NonNullable<Signals[K]>) => string | string[] } = {
    memory: memoryWords,
    cgroups: (cgroups) => (cgroups.length > 0 ? cgroups.map(cgroupWords) : 'none has a memory controller'),
    pressure: pressureWords,
    zram: zramWords,
    process: ({ rssBytes }) => `${formatBytes(rssBytes)} resident`,
    largestFreeRunBytes: (bytes) => `${formatBytes(bytes)} in one piece`,
    freeHugeBlockCount: blockWords,
    dark: darkWords,
    oomKillCount: (count) => `${count} by the OOM killer since the start`,
    hugePages: hugePageWords,
    transparentHugePages: (word) => word,
    nvmapClients: nvmapWords,
    npuDriver: ({ version, loadPercent }) =>
      `driver ${version}, cores at ${loadPercent.map((p) => `${p} %`).join(', ')}`,
  }
  const value = signals[key]
  return value === undefined ? [] : [(words[key] as (value: unknown) => string | string[])(value)].flat()
}

function memoryWords(memory: MachineMemory): string[] {
  const { cmaTotalBytes, cmaFreeBytes, shmemBytes, mappedFileBytes, nvmapUsedBytes } = memory
  return [
    `${formatBytes(memory.totalBytes)}, ${formatBytes(memory.availableBytes)} available`,
    swapWords(memory),
    ...(cmaTotalBytes && cmaFreeBytes !== undefined
      ? [`${formatBytes(cmaTotalBytes)} contiguous (CMA), ${formatBytes(cmaFreeBytes)} of it free and not headroom`]
      : []),
    ...(mappedFileBytes === undefined
      ? []
      : [`${formatBytes(mappedFileBytes)} of files that processes have mapped: available, and not headroom`]),
    ...(shmemBytes === undefined ? [] : [`${formatBytes(shmemBytes)} shared: tmpfs, memfd, most driver memory`]),
    ...(nvmapUsedBytes === undefined ? [] : [`${formatBytes(nvmapUsedBytes)} held by the GPU and engines`]),
  ]
}

/** Swap in a few words. */
export function swapWords({ swapTotalBytes, swapFreeBytes }: MachineMemory): string {
  if (swapTotalBytes === undefined) return 'swap unknown'
  if (swapTotalBytes === 0) return 'no swap'
  const free = swapFreeBytes === undefined ? '' : `, ${formatBytes(swapFreeBytes)} free`
  return `${formatBytes(swapTotalBytes)} of swap${free}; it never counts`
}

/** Compressed swap in a few words. */
export const zramWords = ({ storedBytes, usedBytes }: NonNullable<Signals['zram']>): string =>
  `${formatBytes(storedBytes)} swapped out take ${formatBytes(usedBytes)} of RAM`

/** Free blocks for drivers in a few words. */
export const blockWords = (count: number): string => `${count} free, ${formatBytes(count * 2 * MiB)}`

/** What no counter owns, in a few words. */
export function darkWords({ bytes, growthBytesPerSecond: growth }: DarkMemory): string {
  const sign = growth !== undefined && growth < 0 ? '-' : '+'
  const grows = growth === undefined ? '' : `, ${sign}${formatBytes(Math.round(Math.abs(growth)))}/s`
  return `${formatBytes(bytes)} that no counter owns: drivers and the kernel itself${grows}`
}

/** Stalls in a few words. */
export const pressureWords = ({ some, full }: NonNullable<Signals['pressure']>): string =>
  `some tasks stood still ${some.avg10Percent.toFixed(2)} % of the last 10 s, all of them ${full.avg10Percent.toFixed(2)} %`

function cgroupWords({ path, version, usageBytes, inactiveFileBytes, ...cgroup }: Cgroup): string {
  const { limitBytes, highBytes, oomKillCount } = cgroup
  return [
    `${path} (v${version}): ${formatBytes(usageBytes)}, ${formatBytes(inactiveFileBytes)} of it reclaimed first`,
    limitBytes === undefined ? 'no limit' : `limit ${formatBytes(limitBytes)}`,
    ...(highBytes === undefined ? [] : [`slowed above ${formatBytes(highBytes)}`]),
    ...(oomKillCount ? [`${oomKillCount} killed`] : []),
  ].join(', ')
}

function hugePageWords(pools: readonly HugePages[]): string {
  const set = pools.filter(({ totalCount }) => totalCount > 0)
  if (set.length === 0) return `none set aside, of ${pools.map(({ pageBytes }) => formatBytes(pageBytes)).join(' or ')}`
  const words = ({ pageBytes, totalCount, freeCount }: HugePages) =>
    `${totalCount} of ${formatBytes(pageBytes)}, ${freeCount} of them free`
  return set.map(words).join('; ')
}

const nvmapWords = (clients: readonly NvmapClient[]): string =>
  holderWords(clients.map(({ process, pid, bytes }) => ({ name: process, pid, bytes })))

/** The largest holders stand for all of them. */
export function holderWords(holders: readonly GpuProcess[]): string {
  const SHOWN = 3
  const sorted = [...holders].sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0))
  const words = ({ name = 'process', pid, bytes }: GpuProcess) =>
    `${name} (${pid}) ${bytes === undefined ? 'not told' : formatBytes(bytes)}`
  const rest = holders.length > SHOWN ? [`${holders.length - SHOWN} more`] : []
  return holders.length > 0
    ? `held by ${[...sorted.slice(0, SHOWN).map(words), ...rest].join(', ')}`
    : 'held by no process'
}
