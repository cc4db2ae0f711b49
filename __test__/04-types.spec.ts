import { type Consumer, typeCheck } from './helpers/consumer'

/** A program that uses what the declarations promise; each expected error is one that a user would want to see. */
const program = `
export async function main(): Promise<number> {
  const budget: MemoryBudget = MemoryBudget.forBoard('orin-nano-8gb')
  const weights: Allocation = budget.allocate(2000 * MiB, 'weights').attach({})
  weights[Symbol.dispose]()
  const own = new MemoryBudget({ totalBytes: 8 * GiB, reservedBytes: GiB })
  const lines: [string, number, string][] = own.terms.map((term) => [term.kind, term.bytes, term.description])
  const pool = new BufferPool({ maxHeldBytes: 32 * MiB, zeroed: true, budget })
  const bytes: Uint8Array = pool.get(MiB).keep()
  const manager = new MemoryManager({ board: 'auto', safetyMarginPercent: 15, maxBytes: GiB, isolated: true })
  try {
    const model = manager.open('model.gguf', { headerOnly: false })
    for await (const chunk of model.stream({ as: 'f32', signal: AbortSignal.timeout(1000) })) {
      const floats: Float32Array = chunk.data
      chunk.release()
      if (floats.length > 0) break
    }
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
  // @ts-expect-error: a size is a number
  budget.allocate('2000 MiB', 'weights')
  // @ts-expect-error: a guard has a label
  budget.allocate(2000)
  // @ts-expect-error: no such board
  MemoryBudget.forBoard('orin-nano-9gb')
  // @ts-expect-error: a misspelt option
  new BufferPool({ maxHeldByte: 1 })
  // @ts-expect-error: figures are read-only
  budget.totalBytes = 1
  return lines.length + bytes.length
}
`

const names = [
  'type Allocation',
  'BufferPool',
  'type ErrorCode',
  'GiB',
  'InsufficientMemoryError',
  'MemoryBudget',
  'MemoryManager',
  'MiB',
  'PlimsollError',
]

const source = `import { ${names.join(', ')} } from 'plimsoll'\n${program}`

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
