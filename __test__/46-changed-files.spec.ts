import {
  appendFileSync,
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { GgufFile, IoError, MiB, StagingPool, type TensorOutput } from 'plimsoll'
import { randomTensor, tensorTypes } from './helpers/gguf-writer'
import { joined, samplePath, scratch, settled, written } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const file = scratch()
const tensors = [
  randomTensor('first', tensorTypes.Q8_0, Math.floor((8 * MiB) / 34), 1),
  randomTensor('second', tensorTypes.Q8_0, Math.floor((8 * MiB) / 34), 2),
]
const original = readFileSync(written(file('original.gguf'), { tensors }))

/** A fresh copy of the file, last changed long ago, and open. */
function opened(name: string): { path: string; model: GgufFile; pool: StagingPool } {
  const path = file(name)
  copyFileSync(file('original.gguf'), path)
  utimesSync(path, 1, 1)
  return { path, model: GgufFile.open(path), pool: new StagingPool() }
}

/** Streams, does something to the file after the first chunk, and goes on to the end. */
async function streamAfter(model: GgufFile, pool: StagingPool, as: TensorOutput, change: () => void): Promise<number> {
  let count = 0
  for await (const _ of model.stream({ staging: pool, as })) if (count++ === 0) change()
  return count
}

const overwrite = (path: string, offset: number): void => {
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, Buffer.from([1, 2, 3, 4]), 0, 4, offset)
  closeSync(descriptor)
}

describe.each(['raw', 'f32', 'f16', 'bf16'] as const)('while a stream of %s reads it, a file', (as) => {
  test('that is truncated gives an error with the tensor and the place, and the buffers return', async () => {
    const { path, model, pool } = opened('truncated.gguf')
    const error = await rejectedBy(
      IoError,
      streamAfter(model, pool, as, () => truncateSync(path, 100_000)),
    )
    expect(error).toMatchObject({ code: 'ERR_IO', path, tensor: expect.stringMatching(/first|second/) })
    expect(error.offset).toBeGreaterThanOrEqual(model.dataOffsetBytes)
    expect(error.offset).toBeLessThan(original.length)
    await settled(pool)
  })

  test('that is overwritten in place gives an error that says so', async () => {
    const { path, model, pool } = opened('overwritten.gguf')
    const error = await rejectedBy(
      IoError,
      streamAfter(model, pool, as, () => overwrite(path, original.length - 10)),
    )
    expect(error).toMatchObject({ code: 'ERR_IO', path, message: expect.stringContaining('changed') })
    await settled(pool)
  })

  test('that is replaced goes on as it was', async () => {
    const { path, model, pool } = opened('replaced.gguf')
    const replace = () => {
      copyFileSync(samplePath, `${path}.new`)
      renameSync(`${path}.new`, path)
    }
    const whole = await streamAfter(model, pool, as, () => {})
    expect(await streamAfter(model, pool, as, replace)).toBe(whole)
    const found = await joined(model.stream())
    for (const { name, data } of tensors) expect(found.get(name)?.equals(data)).toBe(true)
    expect(GgufFile.open(path).tensors).toHaveLength(39)
  })

  test('that is deleted goes on as it was', async () => {
    const { path, model, pool } = opened('deleted.gguf')
    const whole = await streamAfter(model, pool, as, () => {})
    expect(await streamAfter(model, pool, as, () => rmSync(path))).toBe(whole)
  })
})

describe('a file that changed since it was opened', () => {
  test.each([
    ['truncated to nothing', (path: string) => truncateSync(path, 0)],
    ['truncated by a byte', (path: string) => truncateSync(path, original.length - 1)],
    ['grown', (path: string) => appendFileSync(path, 'more')],
    ['overwritten', (path: string) => overwrite(path, 500_000)],
    ['overwritten by another model', (path: string) => copyFileSync(samplePath, path)],
  ])('is refused when it was %s, by streams and loads alike', async (_name, change) => {
    const { path, model, pool } = opened('changed.gguf')
    change(path)
    for (const as of ['raw', 'f32'] as const) {
      await rejectedBy(IoError, joined(model.stream({ as, staging: pool })))
      expect(await rejectedBy(IoError, model.load('second', { as }))).toMatchObject({ path, tensor: 'second' })
    }
    await settled(pool)
  })

  test('can be opened again as what it is now', async () => {
    const { path, model } = opened('again.gguf')
    overwrite(path, original.length - 10)
    await rejectedBy(IoError, model.load('second'))
    using again = GgufFile.open(path)
    expect(
      Buffer.from(await again.load('second')).equals(readFileSync(path).subarray(-(tensors[1]?.data.length ?? 0))),
    ).toBe(true)
  })

  test('ends a stream once: after the error it is at its end', async () => {
    const { path, model, pool } = opened('once.gguf')
    truncateSync(path, 0)
    const stream = model.stream({ staging: pool })
    await rejectedBy(IoError, stream.next())
    expect(await stream.next()).toEqual({ done: true, value: undefined })
    await settled(pool)
  })

  test('that was only read or linked is read on', async () => {
    const { path, model } = opened('touched.gguf')
    readFileSync(path)
    copyFileSync(path, `${path}.copy`)
    expect((await joined(model.stream())).get('second')?.equals(tensors[1]?.data as Uint8Array)).toBe(true)
  })
})
