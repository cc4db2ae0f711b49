import { closeSync } from 'node:fs'
import { type DeviceBuffer, MemoryPool, type MemoryPoolOptions, MiB } from 'plimsoll'

/** A pool of RAM with slabs of 1 MiB, none of them cached unless the options say otherwise. */
export const smallSlabs = (options: MemoryPoolOptions = {}): Promise<MemoryPool> =>
  MemoryPool.create({ device: 'host', slabBytes: MiB, maxCachedBytes: 0, ...options })

/** A pool of RAM that has a slab of 1 MiB to begin with. */
export const oneSlab = (options: MemoryPoolOptions = {}): Promise<MemoryPool> =>
  MemoryPool.create({ device: 'host', slabBytes: MiB, initialBytes: MiB, ...options })

/** RAM in a file that has no name, which others can map. */
export const memoryFile = { kind: 'host', memoryFile: true } as const

/** Where a buffer of a memory file begins in its slab. It is pinned from then on. */
export async function offsetOf(buffer: DeviceBuffer): Promise<number> {
  const { fd, offsetBytes } = await buffer.exportFd()
  closeSync(fd)
  return offsetBytes
}

export const releaseAll = (buffers: Iterable<DeviceBuffer>): void => {
  for (const buffer of buffers) buffer.release()
}
