import { KiB, type MemoryPool, type MemoryPoolOptions, MiB, type PoolBuffer } from 'plimsoll'
import { smallSlabs as make } from './pools'

/** A pool of four slabs with one buffer of 200 KiB in each, which one slab would hold. */
export async function scattered(options?: MemoryPoolOptions): Promise<{ pool: MemoryPool; buffers: PoolBuffer[] }> {
  const pool = await make({ initialBytes: 4 * MiB, ...options })
  const all = Array.from({ length: 20 }, (_, index) => pool.allocate(200 * KiB, { label: `buffer ${index}` }))
  const buffers = all.filter((_, index) => index % 5 === 2)
  for (const buffer of all) if (!buffers.includes(buffer)) buffer.release()
  await Promise.all(buffers.map((buffer, index) => buffer.fill(index + 1)))
  expect(pool.stats()).toMatchObject({ bufferCount: 4, cachedBytes: 0, slabCount: 4 })
  return { pool, buffers }
}

/** Whether each of these buffers has its own bytes still. */
export const intact = async (buffers: PoolBuffer[]): Promise<boolean> => {
  const all = await Promise.all(buffers.map((buffer) => buffer.read()))
  return all.every((bytes, index) => bytes.every((byte) => byte === index + 1))
}
