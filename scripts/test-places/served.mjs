// What a server does first: the addon is found, and a model streamed.
import assert from 'node:assert/strict'
import { GgufFile, loadedAddon, MemoryBudget, MiB } from 'plimsoll'

export async function serve() {
  const budget = new MemoryBudget({ totalBytes: 64 * MiB })
  const model = GgufFile.open('model.gguf')
  const weights = budget.allocate(model.dataBytes, 'weights')
  let largest = 0
  for await (const chunk of model.stream({ as: 'f32' })) {
    for (const weight of chunk.data) largest = Math.max(largest, Math.abs(weight))
  }
  assert.equal(largest, 1.0997040271759033)
  weights.release()
  model.close()
  assert.equal(budget.allocatedBytes, 0)
  assert.match(loadedAddon().path, /node_modules/)
  return 'every check was run'
}
