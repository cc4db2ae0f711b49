// The same package as CommonJS: one tensor is loaded as numbers, and its memory comes back.
import assert = require('node:assert/strict')
import plimsoll = require('plimsoll')
import report = require('plimsoll/report')

async function loadFirst(manager: plimsoll.MemoryManager, path: string): Promise<Float32Array> {
  using model = manager.open(path)
  const [tensor] = model.tensors
  assert(tensor)
  using guard = manager.budget.allocate(tensor.elementCount * Float32Array.BYTES_PER_ELEMENT, tensor.name)
  const weights = await model.load(tensor.name, { as: 'f32' })
  assert.equal(weights.byteLength, guard.sizeBytes)
  return weights
}

async function main(): Promise<void> {
  const manager = new plimsoll.MemoryManager({ board: 'orin-nano-8gb' })
  const weights = await loadFirst(manager, 'model.gguf')
  assert(weights.every(Number.isFinite))
  assert.match(report.poolsPage([]), /^<!doctype html>/i)
  await manager.close()
  assert.equal(manager.budget.allocatedBytes, 0)
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
