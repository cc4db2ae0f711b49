import { GgufFile, MemoryBudget, MiB, StagingPool, type TensorChunk, type TensorOutput } from 'plimsoll'
import { randomTensor, type Tensor, tensorTypes } from './helpers/gguf-writer'
import { collectGarbage, joined, pause, scratch, settled, written } from './helpers/models'

const file = scratch()
const outputs = ['raw', 'f32', 'f16', 'bf16'] as const

const { F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q6_K, IQ3_S } = tensorTypes
const types = { F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q6_K, IQ3_S }

/** Tensors from one block to several units of the reader, in types of all kinds, between gaps. */
let end = 0
const tensors: Tensor[] = Object.entries(types).flatMap(([name, type], i) =>
  [1, 3, 700, 9000].map((blocks) => {
    const tensor = { ...randomTensor(`${name} ${blocks}`, type, blocks, i + 40), offset: end }
    end = Math.ceil((end + tensor.data.length) / 32) * 32 + (i % 3) * 4096
    return tensor
  }),
)
const model = GgufFile.open(written(file('every-type.gguf'), { tensors }))
afterAll(() => model.close())

/** What the tensors come out as, taken by streams that nobody disturbed. */
const expected = {} as Record<TensorOutput, Map<string, Buffer>>
beforeAll(async () => {
  for (const as of outputs) expected[as] = await joined(model.stream({ as, chunkBytes: 64 * MiB }))
  expect(tensors.every(({ name, data }) => expected.raw.get(name)?.equals(data))).toBe(true)
})

const widths = { raw: 1, f32: 4, f16: 2, bf16: 2 }

function isRight(as: TensorOutput, { tensor, elementStart, byteStart, data }: TensorChunk): boolean {
  const start = as === 'raw' ? byteStart : elementStart * widths[as]
  const actual = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return (
    expected[as]
      .get(tensor)
      ?.subarray(start, start + data.byteLength)
      .equals(actual) ?? false
  )
}

/** A generator of whole numbers below a bound, the same each time (Park and Miller's minimal standard). */
function dice(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

/** Consumes a stream as the dice fall: keeps, releases, waits, leaves, aborts. Returns what it kept, and counts wrongs. */
async function consume(
  seed: number,
  pool: StagingPool,
): Promise<{ as: TensorOutput; kept: TensorChunk[]; wrong: number }> {
  const roll = dice(seed)
  const as = outputs[roll(3)] as TensorOutput
  const reuse = roll(2) === 0
  const controller = new AbortController()
  const chunkBytes = 1024 + roll(roll(2) === 0 ? 4096 : 2 * MiB)
  const kept: TensorChunk[] = []
  let wrong = 0
  try {
    for await (const chunk of model.stream({ as, staging: pool, chunkBytes, signal: controller.signal, reuse })) {
      if (!isRight(as, chunk)) wrong++
      const action = roll(400)
      if (action < 20) chunk.release()
      else if (action < 60 && kept.length < 50) {
        chunk.keep()
        kept.push(chunk)
      } else if (action < 80) await pause(roll(3))
      else if (action === 80) break
      else if (action === 81) controller.abort()
      else if (action === 82) throw new Error('mine')
    }
  } catch (error) {
    if ((error as Error).name !== 'AbortError' && (error as Error).message !== 'mine') throw error
  }
  return { as, kept, wrong }
}

/** Twenty consumers at once; whether all they saw and kept was right, after everything else was released. */
async function crowd(round: number, pool: StagingPool): Promise<boolean> {
  const seeds = Array.from({ length: 20 }, (_, i) => 1000 * round + i + 1)
  const outcomes = await Promise.all(seeds.map((seed) => consume(seed, pool)))
  await settled(pool)
  collectGarbage()
  await pause(1)
  return outcomes.every(({ as, kept, wrong }) => wrong === 0 && kept.every((chunk) => isRight(as, chunk)))
}

test('every chunk and every kept array is right, whatever many consumers do at once, and all memory comes back', async () => {
  const budget = new MemoryBudget({ totalBytes: 1024 * MiB })
  const pool = new StagingPool({ budget, maxHeldBytes: 4 * MiB })
  for (let round = 0; round < 5; round++) expect(await crowd(round, pool)).toBe(true)
  pool.close()
  for (let round = 0; round < 500 && budget.allocatedBytes > 0; round++) {
    collectGarbage()
    await pause(1)
  }
  expect(budget.allocatedBytes).toBe(0)
})
