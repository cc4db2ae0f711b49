import { type Consumer, typeCheck } from './helpers/consumer'

/** A program that uses what the declarations promise; each expected error is one that a user would want to see. */
const program = `
export async function main(): Promise<number> {
  const budget: MemoryBudget = MemoryBudget.forBoard('orin-nano-8gb')
  const weights: Allocation = budget.allocate(2000 * MiB, 'weights').attach({})
  weights[Symbol.dispose]()
  const own = new MemoryBudget({ totalBytes: 8 * GiB, reservedBytes: GiB })
  const lines: [string, number, string][] = own.terms.map((term) => [term.kind, term.bytes, term.description])
  const pool = new StagingPool({ maxHeldBytes: 32 * MiB, zeroed: true, budget })
  const bytes: Uint8Array = pool.get(MiB).keep()
  const manager = new MemoryManager({ board: 'auto', safetyMarginPercent: 15, maxBytes: GiB, isolated: true })
  try {
    const model = manager.open('model.gguf', { headerOnly: false })
    const remote: GgufFile = await GgufFile.open('https://example.org/model.gguf', { headers: { authorization: 'x' } })
    const another: Promise<GgufFile> = manager.openUrl(new URL(remote.path), { timeoutMs: 1000, maxHeaderBytes: MiB })
    // @ts-expect-error: an option of addresses
    manager.open('model.gguf', { headers: {} })
    if ((await another).headerOnly) return remote.sizeBytes
    for await (const chunk of model.stream({ as: 'f32', signal: AbortSignal.timeout(1000) })) {
      const floats: Float32Array = chunk.data
      chunk.release()
      if (floats.length > 0) break
    }
    for await (const chunk of model.stream({ reuse: true })) chunk.keep()
    for await (const part of model.createReadStream('output.weight', { as: 'f16', highWaterMark: MiB })) return part.length
  } catch (error) {
    if (error instanceof InsufficientMemoryError) {
      const code: 'ERR_INSUFFICIENT_MEMORY' = error.code
      return error.requestedBytes - error.availableBytes + code.length
    }
    if (error instanceof PlimsollError) {
      const code: ErrorCode = error.code
      return code.length
    }
  }
  await manager[Symbol.asyncDispose]()
  await devices(manager)
  // @ts-expect-error: a size is a number
  budget.allocate('2000 MiB', 'weights')
  // @ts-expect-error: a guard has a label
  budget.allocate(2000)
  // @ts-expect-error: no such board
  MemoryBudget.forBoard('orin-nano-9gb')
  // @ts-expect-error: a misspelt option
  new StagingPool({ maxHeldByte: 1 })
  // @ts-expect-error: figures are read-only
  budget.totalBytes = 1
  return lines.length + bytes.length
}

async function devices(manager: MemoryManager): Promise<number> {
  const device: Device = await Device.open({ kind: 'cuda', memory: 'pinned', ordinal: 0 })
  const kind: DeviceKind = device.kind
  const largest: number | undefined = device.limits.largestBytes
  const reasons: string[] = device.passedOver.map(({ kind, reason }) => kind + reason)
  const options: MemoryPoolOptions = { device, slabBytes: 64 * MiB, autoDefragment: { abovePercent: 30 } }
  const pool: MemoryPool = await manager.pools.create({ ...options, initialBytes: 64 * MiB })
  const buffer: PoolBuffer = pool.allocate(4 * MiB, { alignBytes: 4096, placement: 'transient', label: 'step' })
  const grown: DeviceBuffer = await pool.allocateAsync(GiB, { signal: AbortSignal.timeout(1000) })
  await buffer.write(new Float32Array(8), { offsetBytes: 64 })
  const part: Uint8Array = await buffer.read({ into: new Float32Array(8), offsetBytes: 64 })
  const sum: number = await buffer.withMapping((view) => view.length, { access: 'read' })
  const later: string = await buffer.withMapping(async (view: Uint8Array<ArrayBuffer>) => String(view[0]))
  await buffer.copyTo(grown, { lengthBytes: 16, targetOffsetBytes: 32 })
  const { fd, offsetBytes } = await buffer.exportFd()
  const report: DefragmentReport = await pool.defragment({ veto: ({ label }) => label === 'step', maxMs: 5 })
  const registered = pool.onReclaim(async (missingBytes) => missingBytes > 0)
  registered[Symbol.dispose]()
  const used: number = pool.stats().usedBytes + (pool.detailedStats().counters['allocated_bytes.all.peak'] ?? 0)
  const first: BlockInfo | undefined = pool.detailedStats().slabs[0]?.blocks[0]
  const scope: PoolScope | undefined = pool.popScope()
  const text: string = pool.stopTrace().text
  const labels = [...manager.pools].map(({ label }) => label)
  const input: DeviceBuffer = await manager.npu.allocate(1024, { kind: 'dma-heap', label: 'input' })
  const stats: FamilyStats = manager.getGPUMemoryStats()
  manager.deallocateNPUMemory(input)
  buffer[Symbol.dispose]()
  await pool[Symbol.asyncDispose]()
  const refusal: unknown = await Device.open('rknpu').catch((error: unknown) => error)
  if (refusal instanceof DeviceUnavailableError) {
    const code: 'ERR_DEVICE_UNAVAILABLE' = refusal.code
    return refusal.reason.length + code.length
  }
  if (refusal instanceof DeviceError) return refusal.errno ?? refusal.meaning.length
  if (refusal instanceof BusyError || refusal instanceof InternalError) return refusal.what.length
  // @ts-expect-error: an option of another kind
  await Device.open({ kind: 'host', ordinal: 1 })
  // @ts-expect-error: no such kind
  await Device.open('gpu')
  // @ts-expect-error: a kind of another family
  await manager.gpu.allocate(1, { kind: 'dma-heap' })
  // @ts-expect-error: a misspelt option
  await MemoryPool.create({ slabByte: 1 })
  // @ts-expect-error: no such placement
  pool.allocate(1, { placement: 'short' })
  // @ts-expect-error: giving up is for requests that wait
  pool.allocate(1, { signal: AbortSignal.timeout(1) })
  // @ts-expect-error: a buffer is made by a pool
  new DeviceBuffer()
  // @ts-expect-error: bytes are a view
  await buffer.write('text')
  // @ts-expect-error: a veto decides at once
  await pool.defragment({ veto: async () => true })
  const page: string = poolsPage([pool.snapshot()])
  await manager.profile.save('profile.html', profilePage)
  const own: ProfileWriter = ({ labels }) => [...labels].map(({ label }) => label)
  const written: string = page + manager.profile.export(own)
  return [written, kind, largest, reasons, part, sum, later, fd + offsetBytes, report, used, first, scope, text, labels, stats].length
}
`

const names = [
  'type Allocation',
  'type BlockInfo',
  'StagingPool',
  'BusyError',
  'type DefragmentReport',
  'Device',
  'DeviceBuffer',
  'DeviceError',
  'type DeviceKind',
  'DeviceUnavailableError',
  'type ErrorCode',
  'type FamilyStats',
  'GgufFile',
  'GiB',
  'InsufficientMemoryError',
  'InternalError',
  'MemoryBudget',
  'MemoryManager',
  'MemoryPool',
  'type MemoryPoolOptions',
  'MiB',
  'PlimsollError',
  'type PoolBuffer',
  'type PoolScope',
  'type ProfileWriter',
]

const source = `import { ${names.join(', ')} } from 'plimsoll'
import { poolsPage, profilePage } from 'plimsoll/report'
${program}`

const consumers: [string, Consumer][] = [true, false].flatMap((nodeTypes): [string, Consumer][] => {
  const withTypes = nodeTypes ? 'with @types/node' : 'without @types/node'
  const nodenext = { module: 'nodenext', target: 'es2022' }
  // A compiler without `types` of a platform has those of the browser.
  const lib = { lib: nodeTypes ? ['es2022'] : ['es2022', 'dom'] }
  return [
    [`an ES module, ${withTypes}`, { type: 'module', nodeTypes, compilerOptions: { ...nodenext, ...lib } }],
    [`a CommonJS module, ${withTypes}`, { type: 'commonjs', nodeTypes, compilerOptions: { ...nodenext, ...lib } }],
  ]
})

describe('the declarations pass strict type-checking without skipLibCheck', () => {
  test.each(consumers)('in %s', (_, consumer) => {
    expect(typeCheck(source, consumer)).toBe('')
  })

  test('in a project bundled for another target, with exact optional properties', () => {
    const compilerOptions = {
      module: 'esnext',
      moduleResolution: 'bundler',
      target: 'esnext',
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
    }
    expect(typeCheck(source, { type: 'module', nodeTypes: true, compilerOptions })).toBe('')
  })

  test('in a project that targets ES2020', () => {
    const compilerOptions = { module: 'nodenext', target: 'es2020' }
    expect(typeCheck(source, { type: 'commonjs', nodeTypes: true, compilerOptions })).toBe('')
  })

  test('with a default import, as interoperating CommonJS', () => {
    const compilerOptions = { module: 'nodenext', target: 'es2022', lib: ['es2022'] }
    const text = `import plimsoll from 'plimsoll'\nexport const bytes: number = plimsoll.parseBytes('6 GiB')\n`
    expect(typeCheck(text, { type: 'module', nodeTypes: true, compilerOptions })).toBe('')
  })
})
