import { createHash } from 'node:crypto'
import { BusyError, type DeviceBuffer, InvalidArgumentError, MemoryManager, MemoryPool, ReleasedError } from 'plimsoll'
import { root, runChild } from './helpers/child'
import { withFakeCuda } from './helpers/fake-cuda'

const path = `${root}/examples/models/plimsoll-sample-llama.gguf`
const name = 'token_embd.weight'

const hash = (bytes: ArrayBufferView) =>
  createHash('sha256')
    .update(new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength))
    .digest('hex')

let manager: MemoryManager
beforeEach(() => {
  manager = new MemoryManager({ isolated: true })
})
afterEach(() => manager.close())

test.each(['raw', 'f32', 'f16', 'bf16'] as const)('a tensor as %s is in the buffer as it is in memory', async (as) => {
  using model = manager.open(path)
  const expected = await model.load(name, { as })
  using buffer = await manager.system.allocate(expected.byteLength + 64, { label: name })
  expect(await model.load(name, { as, into: buffer, offsetBytes: 64 })).toBe(buffer)
  expect(hash(await buffer.read({ offsetBytes: 64 }))).toBe(hash(expected))
})

test('a buffer that is pinned or exported is loaded into, and stays where it is', async () => {
  using model = manager.open(path)
  const expected = await model.load(name)
  using buffer = await manager.system.allocate(expected.byteLength, { kind: 'memory-file' })
  buffer.pin()
  const { fd } = await buffer.exportFd()
  await model.load(name, { into: buffer })
  expect(hash(await buffer.read())).toBe(hash(expected))
  require('node:fs').closeSync(fd)
})

test('a buffer that is mapped is refused, and is free again afterwards', async () => {
  using model = manager.open(path)
  using buffer = await manager.system.allocate(1 << 20)
  await buffer.withMapping(async () => {
    await expect(model.load(name, { into: buffer })).rejects.toBeInstanceOf(BusyError)
  })
  await model.load(name, { into: buffer })
})

test('too small, misaligned, released, or beside something that is no buffer: nothing is written', async () => {
  using model = manager.open(path)
  const small = await manager.system.allocate(100)
  await expect(model.load(name, { into: small })).rejects.toThrow('at least')
  const large = await manager.system.allocate(4 << 20)
  await large.fill(7)
  await expect(model.load(name, { as: 'f32', into: large, offsetBytes: 2 })).rejects.toBeInstanceOf(
    InvalidArgumentError,
  )
  await expect(model.load(name, { into: large, offsetBytes: 5 << 20 })).rejects.toBeInstanceOf(InvalidArgumentError)
  const misplaced = { into: new ArrayBuffer(4 << 20), offsetBytes: 4 } as unknown as { into: DeviceBuffer }
  await expect(model.load(name, misplaced)).rejects.toThrow('left to a DeviceBuffer')
  expect((await large.read({ lengthBytes: 1000 })).every((byte) => byte === 7)).toBe(true)
  large.release()
  await expect(model.load(name, { into: large })).rejects.toBeInstanceOf(ReleasedError)
})

test('an aborted load lets go of the buffer', async () => {
  using model = manager.open(path)
  await using pool = await MemoryPool.create({ device: 'host', initialBytes: 4 << 20, slabBytes: 4 << 20 })
  const buffer = pool.allocate(2 << 20)
  await expect(model.load(name, { into: buffer, signal: AbortSignal.abort() })).rejects.toThrow('aborted')
  await model.load(name, { into: buffer })
})

test('memory that the processor does not see is filled by way of the device', () => {
  const { value } = runChild<{ same: boolean; device: string }>(
    `const manager = new MemoryManager({ isolated: true })
    const model = manager.open(${JSON.stringify(path)})
    const expected = await model.load(${JSON.stringify(name)}, { as: 'f32' })
    const buffer = await manager.gpu.allocate(expected.byteLength)
    await model.load(${JSON.stringify(name)}, { as: 'f32', into: buffer })
    const same = Buffer.from(expected.buffer).equals(Buffer.from(await buffer.read()))
    const { device } = buffer
    await manager.close()
    return { same, device }`,
    { env: withFakeCuda() },
  )
  expect(value).toEqual({ same: true, device: 'cuda:0' })
})
