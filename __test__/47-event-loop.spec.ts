import { GgufFile } from 'plimsoll'
import { pause, scratch, writeLargeModel } from './helpers/models'

const file = scratch()
const model = GgufFile.open(writeLargeModel(file('255-mib.gguf'), 255))
afterAll(() => model.close())

/** How often a short timer fires while the work goes on. */
async function ticksDuring(work: () => Promise<unknown>): Promise<number> {
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  await work()
  clearInterval(timer)
  return ticks
}

describe('the event loop goes on', () => {
  test.each(['raw', 'f32', 'f16', 'bf16'] as const)('while a model of 267 MB is streamed as %s', async (as) => {
    let chunks = 0
    const ticks = await ticksDuring(async () => {
      // A timer fires between the chunks only if the loop gets a turn there.
      while (chunks < 1000) for await (const _ of model.stream({ as })) chunks++
    })
    expect(ticks).toBeGreaterThan(10)
  })

  test('while a large tensor is loaded', async () => {
    const { name } = model.tensors[0] ?? { name: '' }
    const into = new ArrayBuffer(model.tensors[0] ? model.tensors[0].elementCount * 4 : 0)
    const ticks = await ticksDuring(async () => {
      for (let i = 0; i < 10; i++) await model.load(name, { as: 'f32', into })
    })
    expect(ticks).toBeGreaterThan(10)
  })

  test('while a chunk is in hand, and nothing is read behind the consumer’s back', async () => {
    for await (const { data } of model.stream()) {
      const first = data[0]
      expect(await ticksDuring(() => pause(50))).toBeGreaterThan(5)
      expect(data[0]).toBe(first)
      break
    }
  })
})
