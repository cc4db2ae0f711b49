// A server as a user writes it, compiled by every TypeScript that is supported.
import {
  type Allocation,
  Device,
  GgufFile,
  InsufficientMemoryError,
  type MemoryBudget,
  MemoryManager,
  type MemoryPool,
  MiB,
  type MonitorSample,
  type TensorChunk,
} from 'plimsoll'
import { profilePage } from 'plimsoll/report'

export async function serve(path: string, signal: AbortSignal): Promise<number> {
  await using manager = new MemoryManager({ board: 'auto', safetyMarginPercent: 15 })
  manager.monitor.start().on('critical', ({ usedPercent, constraint }) => console.warn(usedPercent, constraint))
  manager.monitor.onReclaim('cache', async () => undefined)
  using model = GgufFile.open(path, { strict: true, maxNameBytes: 128 })
  const contextLength: number | undefined = model.metadata.getNumber('llama.context_length')
  using weights: Allocation = manager.budget.allocate(model.dataBytes, 'weights')
  const floats: Float32Array = await model.load('output_norm.weight', { as: 'f32', signal })
  let bytes = floats.byteLength + (contextLength ?? 0) + weights.sizeBytes
  for await (const chunk of model.stream({ as: 'f16', chunkBytes: MiB, reuse: true, signal })) bytes += seen(chunk)
  const pool: MemoryPool = await manager.pools.create({ device: 'host', slabBytes: MiB, from: weights })
  using buffer = await pool.allocateAsync(1000, { label: 'buffer', placement: 'transient' })
  await buffer.write(floats.subarray(0, 4))
  bytes += await buffer.withMapping((view) => view.byteLength, { lengthBytes: 16 })
  for await (const { level } of manager.monitor as AsyncIterable<MonitorSample>) if (level === 'normal') break
  await manager.profile.save('profile.html', profilePage)
  return bytes
}

const seen = ({ tensor, data }: TensorChunk<'f16'>): number => tensor.length + data.byteLength

export function refused(budget: MemoryBudget): number | undefined {
  try {
    budget.allocate(2 ** 40, 'too much')
    return undefined
  } catch (error) {
    return error instanceof InsufficientMemoryError ? error.largestFreeBytes : undefined
  }
}

export const open = (): Promise<Device> => Device.open({ kind: 'cuda', memory: 'pinned' })
