import type { TensorInfo } from '../../binding.js'
import type { DeviceBuffer } from '../device/buffer.js'
import { isPool, type MemoryPool } from '../pool/memory-pool.js'
import { released } from '../support/errors.js'
import { destination } from './destination.js'
import { expectLoadable, fill, type LoadSource, type Wanted } from './fill.js'
import type { LoadAllAny } from './options.js'
import { type TensorData, type TensorOutput, tensorDataBytes } from './output.js'

/** Loads the tensors that the options choose, in the order and to the places that they say. */
export async function loadAll(
  source: LoadSource,
  tensors: readonly Readonly<TensorInfo>[],
  options: LoadAllAny,
): Promise<Map<string, TensorData | DeviceBuffer>> {
  const { filter, order = byPlace, into } = options
  const chosen = (filter ? tensors.filter((tensor) => filter(tensor)) : [...tensors]).sort(order)
  if (chosen.length === 0) return new Map()
  if (isPool(into)) return inPool(source, chosen, options, into)
  const places = typeof into === 'function' ? into : (tensor: Readonly<TensorInfo>) => into?.get(tensor.name)
  const wanted = chosen.map((info): Wanted => {
    const place: unknown = places(info)
    const into = place === undefined ? undefined : destination(`into of ${JSON.stringify(info.name)}`, place)
    return { info, into, offsetBytes: undefined }
  })
  return named(chosen, await fill(source, wanted, options))
}

const byPlace = (a: Readonly<TensorInfo>, b: Readonly<TensorInfo>): number =>
  a.fileIndex - b.fileIndex || a.offsetBytes - b.offsetBytes

const named = <T>(tensors: readonly Readonly<TensorInfo>[], loaded: T[]): Map<string, T> =>
  new Map(tensors.map(({ name }, i) => [name, loaded[i] as T]))

/** A buffer for each tensor. Either all of them are the caller's, or none is left. */
async function inPool(
  source: LoadSource,
  tensors: readonly Readonly<TensorInfo>[],
  options: LoadAllAny,
  pool: MemoryPool,
): Promise<Map<string, DeviceBuffer>> {
  const { as = 'raw' as TensorOutput, signal } = options
  expectLoadable(source, tensors, options)
  const buffers: DeviceBuffer[] = []
  try {
    for (const info of tensors) {
      // One without elements has a buffer, too.
      const bytes = Math.max(tensorDataBytes(info, as), 1)
      buffers.push(await pool.allocateAsync(bytes, { label: info.name, ...(signal ? { signal } : {}) }))
    }
    await fill(
      source,
      tensors.map((info, i): Wanted => ({ info, into: buffers[i], offsetBytes: undefined })),
      options,
    )
    if (pool.closed) throw released('the memory pool')
  } catch (error) {
    for (const buffer of buffers) buffer.release()
    throw error
  }
  return named(tensors, buffers)
}
