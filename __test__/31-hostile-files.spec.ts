import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { GgufFile, InvalidGgufError, IoError } from 'plimsoll'
import { root, runChild } from './helpers/child'
import { thrownBy } from './helpers/errors'
import {
  array,
  type BlockType,
  gguf,
  randomTensor,
  scalar,
  type Tensor,
  tensorTypes,
  text,
  u32,
  u64,
} from './helpers/gguf-writer'
import { joined, sampleBytes, samplePath, scratch } from './helpers/models'

const { F32, I8, Q4_K } = tensorTypes
const { errno } = constants
const file = scratch()

/** Files of other people's making, which are no part of the repository. */
const data = resolve(root, '../shared/data/gguf')

function filesIn(folder: 'good' | 'bad'): string[] {
  if (existsSync(resolve(data, folder))) return readdirSync(resolve(data, folder))
  console.warn(`skipped: there is no folder ../shared/data/gguf/${folder} beside the repository`)
  return []
}

const refused = (bytes: Uint8Array): InvalidGgufError => thrownBy(InvalidGgufError, () => GgufFile.fromBytes(bytes))

describe('files of other tools', () => {
  const [good, bad] = [filesIn('good'), filesIn('bad')]
  const testEach = (names: string[]) => (names.length > 0 ? test.each(names) : test.skip.each(['none']))

  testEach(good)('%s opens, and every value and tensor can be read', async (name) => {
    const path = resolve(data, 'good', name)
    using model = GgufFile.open(path)
    const bytes = readFileSync(path)
    for (const [key, value] of model.metadata) {
      expect(model.metadata.type(key)).toBeDefined()
      if (typeof value === 'object') expect(value.toArray()).toHaveLength(value.length)
    }
    for (const [name, streamed] of await joined(model.stream())) {
      const { offsetBytes, sizeBytes } = model.tensor(name) ?? { offsetBytes: 0, sizeBytes: 0 }
      expect(streamed.equals(bytes.subarray(offsetBytes, offsetBytes + sizeBytes))).toBe(true)
    }
  })

  testEach(bad)('%s is refused, with the rule it breaks and the place', (name) => {
    const path = resolve(data, 'bad', name)
    const error = thrownBy(InvalidGgufError, () => GgufFile.open(path))
    expect(error).toMatchObject({
      code: 'ERR_INVALID_GGUF',
      path,
      rule: expect.stringMatching(/^[a-z0-9]+(-[a-z0-9]+)*$/),
    })
    expect(error.offset).toBeGreaterThanOrEqual(0)
    expect(error.message).toContain(path)
  })
})

describe('a file that is cut off', () => {
  test('is refused wherever in its header it is cut', () => {
    const bytes = sampleBytes()
    const header = GgufFile.open(samplePath).dataOffsetBytes
    const accepted: number[] = []
    for (let length = 0; length < header; length++) {
      try {
        GgufFile.fromBytes(bytes.subarray(0, length))
        accepted.push(length)
      } catch (error) {
        const { offset, rule } = error as InvalidGgufError
        const told = typeof rule === 'string' && offset !== undefined && offset <= bytes.length
        if (!(error instanceof InvalidGgufError) || !told) throw error
      }
    }
    expect(accepted).toEqual([])
  })

  test('is refused when one byte of its last tensor is missing, and accepted when only padding is', () => {
    const tensors = [randomTensor('a', I8, 40), randomTensor('b', I8, 33)]
    const bytes = gguf({ tensors })
    expect(GgufFile.fromBytes(bytes).tensors).toHaveLength(2)
    expect(refused(bytes.subarray(0, -1)).rule).toBe('tensor-past-end')
  })
})

describe('a header that lies', () => {
  const start = (version: number, tensors: number | bigint, entries: number | bigint): Buffer =>
    Buffer.concat([Buffer.from('GGUF'), u32(version), u64(tensors), u64(entries), Buffer.alloc(76)])

  test.each([
    ['another magic', Buffer.concat([Buffer.from('FUGG'), start(3, 0, 0).subarray(4)]), 'bad-magic', 0],
    ['version 0', start(0, 0, 0), 'unsupported-version', 4],
    ['version 1', start(1, 0, 0), 'version-1', 4],
    ['version 4', start(4, 0, 0), 'unsupported-version', 4],
    ['the other byte order', start(0x03000000, 0, 0), 'big-endian', 4],
  ])('%s is refused', (_name, bytes, rule, offset) => {
    expect(refused(bytes)).toMatchObject({ rule, offset })
  })

  test.each([2n ** 64n - 1n, 2n ** 63n, 2n ** 40n, 2n ** 24n])(
    'counts of %d are refused before they are believed',
    (count) => {
      expect(refused(start(3, count, 0)).offset).toBeDefined()
      expect(refused(start(3, 0, count)).offset).toBeDefined()
    },
  )

  test.each([2n ** 64n - 1n, 2n ** 63n, 2n ** 61n, 2n ** 30n])(
    'lengths of %d are refused before they are believed',
    (length) => {
      const elements = (type: number) => ({ type: 'array' as const, bytes: Buffer.concat([u32(type), u64(length)]) })
      for (const value of [elements(0), elements(10), elements(8), { type: 'string' as const, bytes: u64(length) }]) {
        expect(refused(gguf({ metadata: { value } })).offset).toBeDefined()
      }
    },
  )

  test.each([
    ['the same key twice', 'duplicate-key'],
    ['an empty key', 'empty-key'],
    ['a key with a zero byte', 'key-has-nul'],
  ])('%s is refused', (_name, rule) => {
    const keys = { 'duplicate-key': ['a', 'a'], 'empty-key': [''], 'key-has-nul': ['a\0b'] }[rule] as string[]
    const entry = (key: string) => Buffer.concat([text(key).bytes, u32(0), Buffer.from([1])])
    const bytes = Buffer.concat([start(3, 0, keys.length).subarray(0, 24), ...keys.map(entry), Buffer.alloc(32)])
    expect(refused(bytes)).toMatchObject({ rule, offset: expect.any(Number) })
  })

  test.each([0, 3, 24, 2 ** 31, 2 ** 32 - 1])('an alignment of %d is refused', (alignment) => {
    expect(refused(gguf({ metadata: { 'general.alignment': scalar('u32', alignment) } })).rule).toMatch(/^alignment-/)
  })

  test.each(['i32', 'u64', 'f32'] as const)('an alignment of type %s is refused', (type) => {
    const value = scalar(type, type === 'u64' ? 32n : 32)
    expect(refused(gguf({ metadata: { 'general.alignment': value } })).rule).toBe('alignment-type')
  })
})

describe('tensors that lie', () => {
  const tensor = (changes: Partial<Tensor>): Tensor => ({ ...randomTensor('a', F32, 8), ...changes })
  const other = (id: number): BlockType => ({ ...F32, id })

  test.each<[string, Tensor[], string]>([
    ['a removed type', [tensor({ type: other(4) })], 'removed-tensor-type'],
    ['an unknown type', [tensor({ type: other(43) })], 'unknown-tensor-type'],
    ['five dimensions', [tensor({ dims: [1, 1, 1, 1, 8] })], 'too-many-dimensions'],
    ['a row that is no whole number of blocks', [tensor({ type: Q4_K, dims: [128, 2] })], 'partial-block'],
    ['the same name twice', [tensor({}), tensor({})], 'duplicate-tensor-name'],
    ['no name', [tensor({ name: '' })], 'empty-tensor-name'],
    ['an offset off the alignment', [tensor({ offset: 8 })], 'misaligned-tensor'],
    ['data of another', [tensor({}), tensor({ name: 'b', offset: 0 })], 'tensors-overlap'],
    ['more than there is', [tensor({ dims: [9] })], 'tensor-past-end'],
    ['2^31 x 2^31 elements', [tensor({ dims: [2 ** 31, 2 ** 31] })], 'element-count-too-large'],
  ])('%s is refused', (_name, tensors, rule) => {
    expect(refused(gguf({ tensors }))).toMatchObject({ rule, offset: expect.any(Number) })
  })

  test('sizes whose product wraps around are refused', () => {
    for (const dims of [
      [2 ** 31, 2 ** 31, 4],
      [2 ** 32, 2 ** 32],
      [2 ** 53, 2 ** 53, 2 ** 53, 2 ** 53],
    ]) {
      expect(refused(gguf({ tensors: [tensor({ dims })] })).offset).toBeDefined()
    }
  })

  test('a bit flipped anywhere in a header gives a file or a typed error', () => {
    const good = gguf({
      metadata: { name: text('x'), list: array('string', [text('a'), text('b')]), split: scalar('u16', 1) },
      tensors: [randomTensor('a', F32, 4), randomTensor('b', Q4_K, 1)],
    })
    for (let bit = 0; bit < 8 * (good.length - 176); bit++) {
      const bytes = Buffer.from(good)
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      try {
        using model = GgufFile.fromBytes(bytes)
        for (const [, value] of model.metadata) if (typeof value === 'object') value.toArray()
      } catch (error) {
        if (!(error instanceof InvalidGgufError)) throw error
      }
    }
  })
})

describe('a path that leads to no file', () => {
  const opening = (path: string): IoError => thrownBy(IoError, () => GgufFile.open(path))

  test('tells the error number of the system', () => {
    const path = file('missing.gguf')
    expect(opening(path)).toMatchObject({ code: 'ERR_IO', path, errno: errno.ENOENT })
    expect(opening(`${samplePath}/below`).errno).toBe(errno.ENOTDIR)
    expect(opening(file('x'.repeat(300))).errno).toBe(errno.ENAMETOOLONG)
    symlinkSync(file('loop'), file('loop'))
    expect(opening(file('loop')).errno).toBe(errno.ELOOP)
    symlinkSync(file('nowhere'), file('dangling'))
    expect(opening(file('dangling')).errno).toBe(errno.ENOENT)
  })

  test('is refused when it is a directory or a device', () => {
    mkdirSync(file('folder.gguf'))
    expect(opening(file('folder.gguf')).message).toContain('directory')
    for (const device of ['/dev/zero', '/dev/null', '/dev/random']) expect(opening(device).message).toContain('device')
  })

  test('is refused when it is a socket', async () => {
    const server = createServer().listen(file('socket'))
    await once(server, 'listening')
    expect(opening(file('socket')).message).toContain('socket')
    await new Promise((done) => server.close(done))
  })

  test('is refused when it is a named pipe, without waiting for a writer', () => {
    const path = file('pipe.gguf')
    execFileSync('mkfifo', [path])
    const { value } = runChild<string>(
      `try { plimsoll.GgufFile.open(${JSON.stringify(path)}) } catch ({ code, message }) { return code + message }`,
      { timeoutMs: 10_000 },
    )
    expect(value).toMatch(/ERR_IO.*pipe/)
  })

  test('is refused when the file is empty, or says that it is', () => {
    writeFileSync(file('empty.gguf'), '')
    for (const path of [file('empty.gguf'), '/proc/self/status']) {
      expect(thrownBy(InvalidGgufError, () => GgufFile.open(path))).toMatchObject({
        rule: 'truncated',
        offset: 0,
        path,
      })
    }
  })

  const testAsUser = process.getuid?.() === 0 ? test.skip : test
  testAsUser('is refused when the file may not be read', () => {
    const path = file('secret.gguf')
    copyFileSync(samplePath, path)
    chmodSync(path, 0)
    expect(opening(path).errno).toBe(errno.EACCES)
  })
})
