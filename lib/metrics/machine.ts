import { DeviceUnavailableError, gpuProcesses, type Headroom, processes, processMemory, signals } from '../index.js'
import { Latest } from '../support/latest.js'
import { measured } from '../support/measured.js'
import type { Points } from './points.js'
import type { Room } from './room.js'

/** What the kernel tells of this machine. */
export function addMachine(points: Points, headroom: Headroom | undefined): void {
  const { memory, pressure, zram, dark, oomKillCount } = signals()
  if (memory) {
    const { totalBytes, availableBytes, swapTotalBytes, swapFreeBytes, mappedFileBytes } = memory
    points.add('system.memory.limit', totalBytes)
    points.add('system.memory.usage', totalBytes - availableBytes, { 'system.memory.state': 'used' })
    points.add('system.memory.usage', availableBytes, { 'system.memory.state': 'available' })
    points.add('system.memory.linux.available', availableBytes)
    if (swapTotalBytes !== undefined && swapFreeBytes !== undefined) {
      points.add('system.paging.usage', swapTotalBytes - swapFreeBytes, { 'system.paging.state': 'used' })
      points.add('system.paging.usage', swapFreeBytes, { 'system.paging.state': 'free' })
    }
    points.add('plimsoll.memory.mapped', mappedFileBytes)
    if (headroom) addHeadroom(points, headroom)
  }
  points.add('plimsoll.memory.dark', dark?.bytes)
  points.add('plimsoll.memory.zram', zram?.usedBytes)
  for (const stall of ['some', 'full'] as const) {
    if (pressure) points.add('plimsoll.memory.stalled', pressure[stall].totalMs / 1000, { 'plimsoll.stall': stall })
  }
  points.add('plimsoll.oom.kills', oomKillCount)
}

function addHeadroom(points: Points, { bytes, pendingBytes, terms }: Headroom): void {
  points.add('plimsoll.headroom', bytes)
  points.add('plimsoll.headroom.pending', pendingBytes)
  for (const { kind, path = '', roomBytes } of terms) {
    points.add('plimsoll.headroom.room', roomBytes, { 'plimsoll.bound': kind, 'plimsoll.path': path })
  }
}

/** How long a reading waits for the processes. */
const PATIENCE_MS = 2000

/** What processes hold. A reading of them that hangs leaves these values out, and no others. */
export class ProcessReadings {
  readonly #loaded = new Latest(PATIENCE_MS, () => processes({ loaded: true }))
  readonly #ofGpus = new Latest(PATIENCE_MS, gpuProcesses)

  /** What is resident: of this process, or of every one that has this package loaded. */
  async add(points: Points, all: boolean): Promise<void> {
    if (!all) {
      points.add('process.memory.usage', measured(() => processMemory())?.rssBytes)
      return
    }
    for (const { pid, name, rssBytes } of (await this.#loaded.get()) ?? []) {
      points.add('process.memory.usage', rssBytes, { 'process.pid': pid, 'process.executable.name': name })
    }
  }

  /** Who holds memory of the GPUs, where a driver tells. */
  async addOfGpus(points: Points): Promise<void> {
    try {
      // A board has one, which its driver does not number.
      for (const { pid, name = '', gpu = '0', bytes } of (await this.#ofGpus.get()) ?? []) {
        points.add('plimsoll.gpu.process.memory', bytes, {
          'hw.id': gpu,
          'process.pid': pid,
          'process.executable.name': name,
        })
      }
    } catch (error) {
      if (!(error instanceof DeviceUnavailableError)) throw error
    }
  }
}

/** Who shares the board. */
export function addLedger(points: Points, { hasLedger, holders, ledgerError }: Room): void {
  if (hasLedger) points.add('plimsoll.ledger.readable', ledgerError === undefined ? 1 : 0)
  for (const { name, pid, heldBytes, pendingBytes, isDraining, waiting } of holders) {
    const holder = { 'plimsoll.holder': name, 'process.pid': pid }
    points.add('plimsoll.ledger.held', heldBytes, holder)
    points.add('plimsoll.ledger.pending', pendingBytes, holder)
    points.add('plimsoll.ledger.draining', isDraining ? heldBytes : 0)
    points.add('plimsoll.ledger.waiting', waiting?.count ?? 0, holder)
    points.add('plimsoll.ledger.wanted', waiting?.bytes, holder)
  }
}
