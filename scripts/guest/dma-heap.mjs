// What a guest runs from JavaScript: a pool of a real dma-heap as a program of a user's would have it.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, fstatSync } from 'node:fs'
import {
  DeviceUnavailableError,
  GgufFile,
  InsufficientMemoryError,
  KiB,
  MemoryBudget,
  MemoryManager,
  MemoryPool,
  MiB,
  machineMemory,
} from 'plimsoll'

const device = { kind: 'dma-heap', heap: 'system' }
const hash = (bytes) => createHash('sha256').update(bytes).digest('hex')
const pattern = (bytes, seed) => Uint8Array.from({ length: bytes }, (_, at) => (at * 31 + seed) % 251)

async function buffers() {
  const budget = new MemoryBudget({ totalBytes: 16 * MiB })
  const pool = await MemoryPool.create({ device, slabBytes: MiB, initialBytes: MiB, budget })
  const buffer = pool.allocate(100 * KiB, { label: 'input' })
  const bytes = pattern(buffer.sizeBytes, 1)
  await buffer.write(bytes)
  assert.equal(hash(await buffer.read()), hash(bytes))
  assert.equal(await buffer.withMapping((view) => hash(view), { access: 'read' }), hash(bytes))
  await buffer.withMapping((view) => view.fill(9), { access: 'write', lengthBytes: KiB })
  assert.deepEqual([...(await buffer.read({ lengthBytes: 2, offsetBytes: KiB - 1 }))], [9, bytes[KiB]])
  const { fd, offsetBytes, sizeBytes } = await buffer.exportFd()
  assert.deepEqual([fstatSync(fd).size, offsetBytes, sizeBytes], [MiB, 0, 100 * KiB])
  closeSync(fd)
  assert.equal(budget.allocatedBytes, MiB)
  await pool.close()
  assert.equal(budget.allocatedBytes, 0)
  return 'written, read, mapped, exported'
}

async function moves() {
  const pool = await MemoryPool.create({ device, slabBytes: MiB, initialBytes: 2 * MiB, maxCachedBytes: 0 })
  const all = Array.from({ length: 8 }, () => pool.allocate(250 * KiB))
  const contents = all.map((_, index) => pattern(250 * KiB, index))
  for (const [index, buffer] of all.entries()) await buffer.write(contents[index])
  for (const index of [0, 2, 5, 6]) all[index].release()
  const { movedCount, emptiedBytes } = await pool.defragment()
  assert.ok(movedCount > 0 && emptiedBytes === MiB)
  for (const index of [1, 3, 4, 7]) assert.equal(hash(await all[index].read()), hash(contents[index]))
  await pool.close()
  return `${movedCount} moved, ${emptiedBytes / MiB} MiB emptied, content survives`
}

async function loads(path) {
  const model = GgufFile.open(path)
  const [tensor] = [...model.tensors].sort((a, b) => b.sizeBytes - a.sizeBytes)
  const manager = new MemoryManager({ device, isolated: true })
  const pool = await manager.pools.create({ slabBytes: 2 * MiB })
  const buffer = await pool.allocateAsync(tensor.sizeBytes)
  await model.load(tensor.name, { into: buffer })
  assert.equal(hash(await buffer.read()), hash(await model.load(tensor.name)))
  await manager.close()
  return `${tensor.name} loaded into ${buffer.device}`
}

async function refusals() {
  const { totalBytes } = machineMemory()
  const over = await MemoryPool.create({ device, initialBytes: totalBytes }).catch((error) => error)
  assert.ok(over instanceof InsufficientMemoryError, String(over))
  const none = await MemoryPool.create({ device: { kind: 'dma-heap', heap: 'nowhere' } }).catch((error) => error)
  assert.ok(none instanceof DeviceUnavailableError, String(none))
  return 'more than the machine has, and a heap that is none, are refused'
}

for (const part of [buffers, moves, () => loads(process.argv[2]), refusals]) console.log(`ok: ${await part()}`)
