// What is handed out is over ArrayBuffers, which TypeScript tells apart from 5.7 on.
import type { DeviceBuffer, GgufFile, StagingPool } from 'plimsoll'

export async function handOut(model: GgufFile, pool: StagingPool, buffer: DeviceBuffer): Promise<Blob> {
  const floats = await model.load('output_norm.weight', { as: 'f32' })
  const raw = await model.load('output_norm.weight')
  for await (const { data } of model.stream()) new Response(data)
  structuredClone(raw, { transfer: [raw.buffer] })
  const kept: Uint8Array<ArrayBuffer> = pool.get(4096).keep()
  return new Blob([floats, raw, kept, await buffer.read()])
}
