// An ES module as a user writes it: a budget refuses and grants, a model is opened, every tensor of it is streamed.
import assert from 'node:assert/strict'
import { GgufFile, InsufficientMemoryError, MemoryBudget, MemoryProfile, MiB } from 'plimsoll'
import { profilePage } from 'plimsoll/report'

/** Of the sample model; see examples/models. */
const LARGEST_WEIGHT = 1.0997040271759033

const budget = new MemoryBudget({ totalBytes: 64 * MiB })

async function largestWeight(path: string): Promise<number> {
  using model = GgufFile.open(path)
  using weights = budget.allocate(model.dataBytes, 'weights')
  assert.equal(budget.allocatedBytes, weights.sizeBytes)

  let largest = 0
  for await (const chunk of model.stream({ as: 'f32' })) {
    for (const weight of chunk.data) largest = Math.max(largest, Math.abs(weight))
  }
  return largest
}

assert.throws(
  () => budget.allocate(budget.lineBytes + 1, 'too much'),
  (error) => error instanceof InsufficientMemoryError && error.requestedBytes === budget.lineBytes + 1,
)
assert.equal(await largestWeight('model.gguf'), LARGEST_WEIGHT)
assert.equal(budget.allocatedBytes, 0)

assert.match(new MemoryProfile(budget).export(profilePage), /^<!doctype html>/i)
