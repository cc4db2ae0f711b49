import { createHash } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  GgufFile,
  InvalidArgumentError,
  InvalidGgufError,
  InvalidTensorError,
  IoError,
  type IoMode,
  type LoadProgress,
  pageCache,
  StagingPool,
  type TensorChunk,
  type TensorDigest,
} from 'plimsoll'
import { root } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { gguf, randomTensor, scalar, tensorTypes } from './helpers/gguf-writer'
import { joined, sampleBytes, samplePath, scratch, stored, tensorOf, written } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const { F32, Q4_0, Q4_K } = tensorTypes
const file = scratch()
const model = GgufFile.open(samplePath)
afterAll(() => model.close())

/** As a comparison of millions of bytes one by one would not end soon. */
async function expectSame(found: AsyncIterable<TensorChunk>, expected: AsyncIterable<TensorChunk>): Promise<void> {
  const [these, those] = [await joined(found), await joined(expected)]
  expect([...these.keys()]).toEqual([...those.keys()])
  for (const [name, bytes] of these) expect(bytes.equals(those.get(name) as Buffer)).toBe(true)
}

describe('threads', () => {
  test.each([2, 5])('%i of them deliver the same chunks in the same order', async (threads) => {
    for (const as of ['raw', 'f32'] as const) {
      const of = (options: object) => model.stream({ as, chunkBytes: 50_000, ...options })
      await expectSame(of({ threads }), of({}))
    }
  })

  test('are counted from 1 to 64', () => {
    for (const threads of [0, 65, 1.5, '2']) {
      expect(thrownBy(InvalidArgumentError, () => model.stream({ threads: threads as number })).argument).toBe(
        'threads',
      )
    }
  })

  test('are gone when their stream was left, and their buffers are back', async () => {
    const staging = new StagingPool()
    for await (const _ of model.stream({ threads: 4, as: 'f32', staging })) break
    expect(staging.stats().inUseBytes).toBe(0)
    staging.close()
  })

  test('fill one array together', async () => {
    const [one, three] = await Promise.all([1, 3].map((threads) => model.load('output.weight', { as: 'f32', threads })))
    expect(Buffer.compare(Buffer.from(one?.buffer as ArrayBuffer), Buffer.from(three?.buffer as ArrayBuffer))).toBe(0)
  })
})

describe('the calls that a file is read by', () => {
  test.each<IoMode>(['read', 'mmap', 'direct'])('%s give the same bytes', async (io) => {
    let last: LoadProgress | undefined
    const onProgress = (progress: LoadProgress) => {
      last = progress
    }
    await expectSame(model.stream({ io, threads: 2, onProgress }), model.stream())
    // What a file system does not do is done by reads, and the reason is told.
    expect(last?.io === io || last?.ioReason !== undefined).toBe(true)
    expect(Buffer.compare(await model.load('output.weight', { io }), await model.load('output.weight'))).toBe(0)
  })

  test('are plain reads for bytes, and the reason is told', async () => {
    const told: LoadProgress[] = []
    const bytes = GgufFile.fromBytes(sampleBytes())
    for await (const _ of bytes.stream({ io: 'mmap', onProgress: (progress) => told.push(progress) }));
    expect(told.at(-1)).toMatchObject({ io: 'read', ioReason: 'the model came as bytes' })
    bytes.close()
  })
})

test('a stream that drops behind leaves in the page cache what was there, and no more', async () => {
  // In the checkout, for memory is all that a tmpfs has.
  const path = join(root, 'build', `dropped-${process.pid}.gguf`)
  written(path, { tensors: [randomTensor('big', F32, 6_000_000)] })
  try {
    const dropped = GgufFile.open(path)
    for await (const _ of dropped.stream());
    const kept = await pageCache(path)
    if (kept.cachedBytes === undefined) return
    for await (const _ of dropped.stream({ dropBehind: true }));
    // All of it was cached before, so all of it stays.
    expect((await pageCache(path)).cachedBytes).toBe(kept.cachedBytes)
    dropped.close()
  } finally {
    rmSync(path)
  }
})

test('digests are the SHA-256 of the stored bytes, one for each tensor', async () => {
  const digests: TensorDigest[] = []
  for await (const _ of model.stream({ as: 'f16', threads: 2, onDigest: (digest) => digests.push(digest) }));
  expect(digests).toHaveLength(model.tensors.length)
  for (const { tensor, sha256 } of digests) {
    const bytes = stored(sampleBytes(), tensorOf(model, tensor))
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
  }
  const mine = new Error('mine')
  const onDigest = () => {
    throw mine
  }
  await expect(model.load('output.weight', { onDigest })).rejects.toBe(mine)
})

test('a value that is no number ends a load that looks for it, by tensor and block', async () => {
  const broken = { ...randomTensor('broken', Q4_K, 40), data: Buffer.alloc(40 * Q4_K.bytes) }
  broken.data.writeUInt16LE(0x7e00, 33 * Q4_K.bytes)
  const path = written(file('broken.gguf'), { tensors: [randomTensor('sound', F32, 4), broken] })
  const opened = GgufFile.open(path)
  for (const as of ['raw', 'f32', 'bf16'] as const) {
    await opened.load('broken', { as })
    const error = await rejectedBy(InvalidTensorError, opened.load('broken', { as, checkTensors: true }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_TENSOR', path, tensor: 'broken', block: 33, blockElements: 256 })
  }
  opened.close()
})

test('a callback that rejects at the end ends the load, too', async () => {
  const mine = new Error('mine')
  const rejects = async () => {
    throw mine
  }
  await expect(model.load('output_norm.weight', { onProgress: rejects })).rejects.toBe(mine)
  await expect(model.load('output_norm.weight', { onDigest: rejects })).rejects.toBe(mine)
  const stream = async () => {
    for await (const _ of model.stream({ tensors: ['output_norm.weight'], onDigest: rejects }));
  }
  await expect(stream()).rejects.toBe(mine)
})

test('memory that begins where no number can is filled all the same', async () => {
  const path = written(file('odd.gguf'), {
    tensors: [randomTensor('codes', Q4_0, 200), randomTensor('floats', F32, 64)],
  })
  const odd = GgufFile.open(path)
  let place = 0
  for await (const chunk of odd.stream({ tensors: ['codes'], chunkBytes: 990, reuse: true })) {
    // The second chunk begins at byte 990 of its unit.
    if (place++ !== 1) continue
    for (const threads of [1, 2]) {
      const floats = await odd.load('floats', { as: 'f32', into: chunk.data, threads })
      expect(Buffer.compare(Buffer.from(floats.slice().buffer), Buffer.from(await odd.load('floats')))).toBe(0)
    }
  }
  expect(place).toBe(4)
  odd.close()
})

describe('a model within a larger file', () => {
  test('opens at its offset, and tells places from there', async () => {
    const path = file('bundle.bin')
    writeFileSync(path, Buffer.concat([Buffer.alloc(777, 1), sampleBytes(), Buffer.alloc(99)]))
    const within = GgufFile.open(path, { offsetBytes: 777 })
    expect(within.tensors).toEqual(model.tensors)
    await expectSame(within.stream({ io: 'direct' }), model.stream())
    within.close()
    expect(thrownBy(InvalidArgumentError, () => GgufFile.open(path, { offsetBytes: 1e9 })).argument).toBe('offsetBytes')
  })
})

describe('a split model', () => {
  const shard = (number: number, name: string): Buffer => {
    const metadata = { 'split.no': scalar('u16', number), 'split.count': scalar('u16', 2) }
    return gguf({ metadata, tensors: [randomTensor(name, F32, 1000)] })
  }

  function folder(files: Buffer[]): string[] {
    return files.map((bytes, i) => {
      const path = file(`model-0000${i + 1}-of-0000${files.length}.gguf`)
      writeFileSync(path, bytes)
      return path
    })
  }

  test('opens as one, whichever of its files is named', async () => {
    const paths = folder([shard(0, 'first'), shard(1, 'second')])
    for (const path of paths) {
      const split = GgufFile.open(path)
      expect(split.paths).toEqual(paths)
      expect(split.path).toBe(paths[0])
      expect(split.tensors.map(({ name, fileIndex }) => [name, fileIndex])).toEqual([
        ['first', 0],
        ['second', 1],
      ])
      const loaded = await split.loadAll({ as: 'f32', threads: 2 })
      expect([...loaded.values()].map(({ length }) => length)).toEqual([1000, 1000])
      split.close()
      const alone = GgufFile.open(path, { shardOnly: true })
      expect(alone.tensors).toHaveLength(1)
      alone.close()
    }
  })

  test('is refused by the rule that its files break together', () => {
    const broken = (files: Buffer[]): string => {
      const [path] = folder(files)
      return thrownBy(InvalidGgufError, () => GgufFile.open(path as string)).rule
    }
    expect(broken([shard(0, 'same'), shard(1, 'same')])).toBe('split-repeated-tensor')
    expect(broken([shard(0, 'first'), shard(0, 'second')])).toBe('split-file-number')
    const [first, second] = folder([shard(0, 'first'), shard(1, 'second')]) as [string, string]
    rmSync(second)
    expect(thrownBy(IoError, () => GgufFile.open(first))).toMatchObject({ errnoName: 'ENOENT', path: second })
  })
})
