// The main job, start to end: open a model, reserve its bytes under this machine's line, stream its tensors through a
// few staging buffers, and give everything back.
//
//   npm run demo              the sample model
//   npm run demo -- FILE      another one

import { setImmediate as nextTurn } from 'node:timers/promises'
import { formatBytes, type GgufFile, MemoryManager, PlimsollError, processMemory, type TensorOutput } from 'plimsoll'

const sample = new URL('../../examples/models/plimsoll-sample-llama.gguf', import.meta.url)

const manager = new MemoryManager()
const { budget } = manager

title('The machine and its line')
for (const term of budget.terms) row(term.kind, `${formatBytes(term.bytes).padStart(10)}  ${term.description}`)
row('line', `${formatBytes(budget.lineBytes).padStart(10)}  drawn by ${budget.bindingTerm.kind}`)

const model = opened(process.argv[2] ?? sample)

title('The model')
row('file', `${model.path.split('/').at(-1)}, ${formatBytes(model.sizeBytes)}, GGUF version ${model.version}`)
row('name', `${model.metadata.get('general.name') ?? '(none)'}`)
row('architecture', `${model.architecture ?? '(none)'}, file type ${model.fileType?.name ?? '(none)'}`)
row('holds', `${model.metadata.size} metadata entries, ${model.tensors.length} tensors`)
for (const [type, { count, bytes }] of byType(model)) {
  row(type, `${String(count).padStart(4)} ${count === 1 ? 'tensor ' : 'tensors'} ${formatBytes(bytes).padStart(11)}`)
}

title('Reserve, then stream')
const weights = budget.allocate(model.dataBytes, 'weights')
row('reserved', `${formatBytes(weights.sizeBytes)} as "${weights.label}"; ${formatBytes(budget.availableBytes)} left`)
await stream('raw')
await stream('f32')
row('peak RSS', formatBytes(processMemory().peakRssBytes))

title('Memory comes back')
weights.release()
row('release()', balance())
{
  using cache = budget.allocate(512 * 1024, 'cache')
  row('allocated', `${formatBytes(cache.sizeBytes)} for the length of a block`)
}
row('using', balance())
budget.allocate(256 * 1024, 'forgotten') // Nobody holds the guard: the collector finds it, and warns.
process.on('warning', (warning) => row('warning', `${warning.name}: ${(warning as { label?: string }).label}`))
await collected(() => budget.allocations().every((allocation) => allocation.label !== 'forgotten'))
row('collected', balance())

model.close()
await manager.close()
row('balance', `${budget.allocatedBytes} bytes`)
process.exitCode = budget.allocatedBytes === 0 ? 0 : 1

/** Opens the model, or ends with what is wrong with it. */
function opened(path: string | URL): GgufFile {
  try {
    return manager.open(path)
  } catch (error) {
    if (!(error instanceof PlimsollError)) throw error
    console.error(error.message)
    process.exit(1)
  }
}

/** Streams every tensor that comes in this form, and tells how it went. */
async function stream(as: TensorOutput): Promise<void> {
  const tensors = model.tensors.filter((tensor) => as === 'raw' || tensor.convertible).map((tensor) => tensor.name)
  const skipped = model.tensors.length - tensors.length
  const started = performance.now()
  let chunks = 0
  let bytes = 0
  const onProgress = ({ loadedBytes, totalBytes }: { loadedBytes: number; totalBytes: number }): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r  ${as} ${((loadedBytes / totalBytes) * 100).toFixed(0)} %`)
  }
  // Each chunk is only counted before the next: they may be lent.
  for await (const chunk of model.stream({ as, tensors, onProgress, reuse: true })) {
    chunks += 1
    bytes += chunk.data.byteLength
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  const seconds = (performance.now() - started) / 1000
  const speed = formatBytes(Math.round(bytes / seconds))
  const note = skipped > 0 ? ` (${skipped} tensors do not convert yet)` : ''
  row(`as ${as}`, `${formatBytes(bytes)} in ${chunks} chunks, ${speed}/s${note}`)
}

/** The model's tensors by type: how many, and how large together. */
function byType({ tensors }: GgufFile): Map<string, { count: number; bytes: number }> {
  const totals = new Map<string, { count: number; bytes: number }>()
  for (const { type, sizeBytes } of tensors) {
    const total = totals.get(type) ?? { count: 0, bytes: 0 }
    totals.set(type, { count: total.count + 1, bytes: total.bytes + sizeBytes })
  }
  return totals
}

/** What is still allocated, the pool's idle buffers apart: they go back when the manager closes. */
function balance(): string {
  const live = budget.allocations().filter((allocation) => allocation.label !== 'staging pool')
  const bytes = live.reduce((sum, allocation) => sum + allocation.sizeBytes, 0)
  return `${bytes} bytes allocated`
}

/** Collects garbage, a turn of the event loop at a time, until `done`. */
async function collected(done: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !done(); turn += 1) {
    globalThis.gc?.()
    await nextTurn()
  }
}

function title(text: string): void {
  console.log(`\n${text}`)
}

function row(name: string, text: string): void {
  console.log(`  ${name.padEnd(14)} ${text}`)
}
