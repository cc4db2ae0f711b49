import { formatBytes, MemoryManager } from 'plimsoll'

// The line of this machine, and the budget under it.
const manager = new MemoryManager()
const { budget } = manager
console.log(`the line: ${formatBytes(budget.lineBytes)} (${budget.bindingTerm.description})`)

const [path] = process.argv.slice(2)
if (path) {
  // Opening reads and checks the header; the weights stay on disk.
  const model = manager.open(path)
  const weights = budget.allocate(model.dataBytes, 'weights') // refused here, or never

  let largest = 0
  for await (const chunk of model.stream({ as: 'f32', reuse: true })) {
    for (const weight of chunk.data) largest = Math.max(largest, Math.abs(weight))
  }
  console.log(`${model.tensors.length} tensors of ${formatBytes(weights.sizeBytes)}, largest weight ${largest}`)
  weights.release()
}

await manager.close()
console.log(`still allocated: ${budget.allocatedBytes} bytes`)
