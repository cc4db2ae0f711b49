import { formatBytes, MemoryManager } from 'plimsoll'

/** The largest weight of a model. Whatever happens on the way, `using` releases everything in the reverse order. */
async function largestWeight(path: string): Promise<number> {
  await using manager = new MemoryManager()
  using model = manager.open(path)
  using weights = manager.budget.allocate(model.dataBytes, 'weights')
  console.log(`${formatBytes(weights.sizeBytes)} of ${formatBytes(manager.budget.lineBytes)} reserved`)

  let largest = 0
  for await (const chunk of model.stream({ as: 'f32', reuse: true })) {
    for (const weight of chunk.data) largest = Math.max(largest, Math.abs(weight))
  }
  return largest
}

const path = process.argv[2] ?? 'examples/models/plimsoll-sample-llama.gguf'
largestWeight(path).then((largest) => console.log(`largest weight: ${largest}`))
