import { copyFileSync, readdirSync, rmSync, symlinkSync, truncateSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { GgufFile, InvalidArgumentError, InvalidGgufError, IoError, ReleasedError } from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { array, gguf, randomTensor, scalar, type Tensor, tensorTypes, text } from './helpers/gguf-writer'
import { arrayOf, withMetadata } from './helpers/metadata'
import { bytesRead, joined, sampleBytes, samplePath, scratch, writeSparse, written } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const { F32, I8, Q4_K } = tensorTypes
const file = scratch()

describe('the header', () => {
  test('tells what the sample model is', () => {
    using model = GgufFile.open(samplePath)
    const { length } = sampleBytes()
    expect(model).toMatchObject({
      path: samplePath,
      sizeBytes: length,
      version: 3,
      architecture: 'llama',
      fileType: { id: 15, name: 'Q4_K_M' },
      alignmentBytes: 32,
      split: undefined,
      headerOnly: false,
    })
    expect(model.dataOffsetBytes % 32).toBe(0)
    expect(model.dataOffsetBytes + model.dataBytes).toBeLessThanOrEqual(length)
  })

  test('leaves open what the file does not say', () => {
    using model = GgufFile.fromBytes(gguf({}))
    expect(model).toMatchObject({
      path: '<bytes>',
      sizeBytes: 24,
      architecture: undefined,
      fileType: undefined,
      split: undefined,
      tensors: [],
      dataBytes: 0,
    })
    expect(model.metadata.size).toBe(0)
  })

  test.each([2, 3])('is read in version %d', (version) => {
    using model = GgufFile.fromBytes(gguf({ version, tensors: [randomTensor('a', Q4_K, 2)] }))
    expect(model.version).toBe(version)
    expect(model.tensors).toHaveLength(1)
  })

  test('gives the id of a file type that has no name', () => {
    using model = withMetadata({ 'general.file_type': scalar('u32', 4_000_000_000) })
    expect(model.fileType).toEqual({ id: 4_000_000_000 })
  })

  test('tells which part of a split model it is', () => {
    using model = withMetadata({
      'split.no': scalar('u16', 2),
      'split.count': scalar('u16', 9),
      'split.tensors.count': scalar('i32', 291),
    })
    expect(model.split).toEqual({ number: 2, count: 9, tensorCount: 291 })
  })

  test.each([1, 8, 64, 4096])('may align tensors to %d bytes', (alignment) => {
    const tensors = [randomTensor('a', I8, 5), randomTensor('b', I8, 7)]
    using model = GgufFile.fromBytes(gguf({ alignment, tensors }))
    expect(model.alignmentBytes).toBe(alignment)
    expect(model.dataOffsetBytes % alignment).toBe(0)
    expect(model.tensors.map(({ offsetBytes }) => (offsetBytes - model.dataOffsetBytes) % alignment)).toEqual([0, 0])
  })
})

describe('tensors', () => {
  test('come in the order of the file, with their geometry', () => {
    using model = GgufFile.open(samplePath)
    expect(model.tensors).toHaveLength(39)
    expect(model.tensors[0]).toMatchObject({
      name: 'token_embd.weight',
      type: 'F16',
      typeId: 1,
      dimensions: [256, 768],
    })
    for (const info of model.tensors) {
      expect(info.dimensions.reduce((product, size) => product * size, 1)).toBe(info.elementCount)
      expect((info.elementCount / info.blockElements) * info.blockBytes).toBe(info.sizeBytes)
      expect(info.offsetBytes).toBeGreaterThanOrEqual(model.dataOffsetBytes)
      expect(info.offsetBytes + info.sizeBytes).toBeLessThanOrEqual(model.sizeBytes)
    }
  })

  test('are found by name, and only by their own', () => {
    using model = GgufFile.open(samplePath)
    for (const info of model.tensors) expect(model.tensor(info.name)).toEqual(info)
    for (const name of ['', 'TOKEN_EMBD.WEIGHT', 'token_embd.weight\0', 'token_embd', '__proto__']) {
      expect(model.tensor(name)).toBeUndefined()
    }
    expect(thrownBy(InvalidArgumentError, () => model.tensor(0 as never)).argument).toBe('name')
  })

  test('cannot be changed by whoever reads them', () => {
    using model = GgufFile.open(samplePath)
    expect(Object.isFrozen(model.tensors) && model.tensors.every((info) => Object.isFrozen(info))).toBe(true)
    expect(model.tensors).toBe(model.tensors)
  })

  test('may have no dimensions, and then one element; or a zero one, and then none', () => {
    const tensors: Tensor[] = [
      { name: 'scalar', type: F32, dims: [], data: new Uint8Array(4) },
      { name: 'none', type: F32, dims: [4, 0, 3], data: new Uint8Array(0) },
    ]
    using model = GgufFile.fromBytes(gguf({ tensors }))
    expect(model.tensor('scalar')).toMatchObject({ dimensions: [], elementCount: 1, sizeBytes: 4 })
    expect(model.tensor('none')).toMatchObject({ dimensions: [4, 0, 3], elementCount: 0, sizeBytes: 0 })
  })

  test('may have names of 64 bytes and no more', () => {
    const named = (name: string) => gguf({ tensors: [randomTensor(name, F32, 1)] })
    const name = 'ä'.repeat(32)
    using model = GgufFile.fromBytes(named(name))
    expect(model.tensor(name)?.name).toBe(name)
    expect(thrownBy(InvalidGgufError, () => GgufFile.fromBytes(named(`${name}x`))).rule).toBe('tensor-name-too-long')
  })
})

describe('fromBytes', () => {
  test('of memory that was moved away is refused as such', () => {
    const bytes = new Uint8Array(100)
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    const { message } = thrownBy(InvalidArgumentError, () => GgufFile.fromBytes(bytes))
    expect(message).toContain('of memory that was not moved away')
  })

  test('gives what opening the file gives', async () => {
    using opened = GgufFile.open(samplePath)
    using model = GgufFile.fromBytes(sampleBytes())
    expect(model.tensors).toEqual(opened.tensors)
    expect([...model.metadata.keys()]).toEqual([...opened.metadata.keys()])
    const [fromBytes, fromFile] = [await joined(model.stream()), await joined(opened.stream())]
    expect([...fromBytes.keys()]).toEqual([...fromFile.keys()])
    for (const [name, data] of fromBytes) expect(fromFile.get(name)?.equals(data)).toBe(true)
  })

  test('takes a copy: what happens to the bytes afterwards does not matter', async () => {
    const tensor = randomTensor('a', Q4_K, 3)
    const bytes = gguf({ tensors: [tensor] })
    using model = GgufFile.fromBytes(bytes)
    bytes.fill(0)
    expect(Buffer.from(await model.load('a'))).toEqual(tensor.data)
  })

  test('reads only the part of a buffer that the view shows', () => {
    const bytes = gguf({ tensors: [randomTensor('a', Q4_K, 1)] })
    const wide = Buffer.concat([Buffer.alloc(13, 0xee), bytes, Buffer.alloc(7, 0xee)])
    using model = GgufFile.fromBytes(wide.subarray(13, 13 + bytes.length))
    expect(model.sizeBytes).toBe(bytes.length)
  })

  test.each([undefined, null, 'GGUF', 24, {}, [], new DataView(new ArrayBuffer(24)), new ArrayBuffer(24)])(
    'refuses what is no array of bytes: %p',
    (bytes) => {
      expect(thrownBy(InvalidArgumentError, () => GgufFile.fromBytes(bytes as never)).argument).toBe('bytes')
    },
  )
})

describe('options', () => {
  test('a misspelt one is refused, and the right one named', () => {
    const open = () => GgufFile.open(samplePath, { headeronly: true } as never)
    expect(thrownBy(InvalidArgumentError, open).message).toContain('did you mean "headerOnly"?')
  })

  test.each([
    ['headerOnly', 1],
    ['headerOnly', 'yes'],
    ['strict', null],
  ])('%s must not be %p', (name, value) => {
    const open = () => GgufFile.open(samplePath, { [name]: value })
    expect(thrownBy(InvalidArgumentError, open).argument).toBe(name)
  })

  test('headerOnly opens a file whose data is not there, and such a file cannot be read', async () => {
    const path = file('header.gguf')
    copyFileSync(samplePath, path)
    truncateSync(path, GgufFile.open(samplePath).dataOffsetBytes)
    expect(thrownBy(InvalidGgufError, () => GgufFile.open(path)).path).toBe(path)
    using model = GgufFile.open(path, { headerOnly: true })
    expect(model.headerOnly).toBe(true)
    expect(model.tensors).toHaveLength(39)
    thrownBy(InvalidArgumentError, () => model.stream())
    await rejectedBy(InvalidArgumentError, model.load('output_norm.weight'))
  })

  test('headerOnly still checks every rule that needs no data', () => {
    const bytes = gguf({ tensors: [randomTensor('a', F32, 1), randomTensor('a', F32, 1)] })
    const open = () => GgufFile.fromBytes(bytes, { headerOnly: true })
    expect(thrownBy(InvalidGgufError, open).rule).toBe('duplicate-tensor-name')
  })

  test('strict refuses gaps and other orders, which are accepted otherwise', () => {
    const gap = [randomTensor('a', F32, 8), { ...randomTensor('b', F32, 8), offset: 96 }]
    const order = [
      { ...randomTensor('a', F32, 8), offset: 32 },
      { ...randomTensor('b', F32, 8), offset: 0 },
    ]
    for (const tensors of [gap, order]) {
      const bytes = gguf({ tensors })
      expect(GgufFile.fromBytes(bytes).tensors).toHaveLength(2)
      const open = () => GgufFile.fromBytes(bytes, { strict: true })
      expect(thrownBy(InvalidGgufError, open).rule).toBe('tensors-not-contiguous')
    }
    expect(GgufFile.open(samplePath, { strict: true }).tensors).toHaveLength(39)
  })
})

describe('paths', () => {
  test('may be file: URLs, with spaces and other letters in them', () => {
    const path = file('ein Modell – ünïcode #1.gguf')
    copyFileSync(samplePath, path)
    using model = GgufFile.open(pathToFileURL(path))
    expect(model.path).toBe(path)
  })

  test.each(['http://localhost/a.gguf', 'file://elsewhere/a.gguf', 'file:///a%2Fb.gguf', 'file:///a%00b.gguf'])(
    'must not be the URL %s',
    (url) => {
      expect(thrownBy(InvalidArgumentError, () => GgufFile.open(new URL(url))).argument).toBe('path')
    },
  )

  test.each(['', 'a\0b', '\0', undefined, null, 3, {}, Buffer.from('a'), ['a']])('must not be %p', (path) => {
    expect(thrownBy(InvalidArgumentError, () => GgufFile.open(path as never)).argument).toBe('path')
  })
})

describe('close', () => {
  test('makes every later use an error, whatever was read before', async () => {
    for (const readBefore of [false, true]) {
      const model = GgufFile.open(samplePath)
      const list = arrayOf(model, 'tokenizer.ggml.tokens')
      if (readBefore) expect(model.tensors.length + model.metadata.size).toBeGreaterThan(0)
      model.close()
      thrownBy(ReleasedError, () => model.tensor('output.weight'))
      thrownBy(ReleasedError, () => model.metadata.get('general.name'))
      thrownBy(ReleasedError, () => model.metadata.has('general.name'))
      thrownBy(ReleasedError, () => list.at(0))
      thrownBy(ReleasedError, () => model.stream())
      await rejectedBy(ReleasedError, model.load('output.weight'))
    }
  })

  test('may be called again, and by leaving a block', () => {
    const model = GgufFile.open(samplePath)
    {
      using scoped = model
      expect(scoped.tensors).toHaveLength(39)
    }
    model.close()
    thrownBy(ReleasedError, () => model.stream())
  })

  test('lets the file go: another may take its name, and its descriptor is free', () => {
    const path = file('descriptors.gguf')
    copyFileSync(samplePath, path)
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 100; i++) GgufFile.open(path).close()
    expect(readdirSync('/proc/self/fd')).toHaveLength(before)
    rmSync(path)
    expect(thrownBy(IoError, () => GgufFile.open(path)).code).toBe('ERR_IO')
  })

  test('lets streams and loads that were begun go on', async () => {
    const model = GgufFile.open(samplePath)
    const tensors = ['output_norm.weight', 'output.weight']
    const streamed = joined(model.stream({ tensors }))
    const loaded = model.load('output.weight')
    const unstarted = model.stream({ tensors })
    model.close()
    const results = [await streamed, await joined(unstarted)]
    for (const found of results) {
      expect([...found.keys()]).toEqual(tensors)
      expect(found.get('output.weight')?.equals(await loaded)).toBe(true)
    }
  })
})

describe('opening', () => {
  test('reads no tensor data, however much there is', () => {
    const path = writeSparse(file('8-gib.gguf'), I8, 8 * 2 ** 30)
    const before = bytesRead()
    using model = GgufFile.open(path)
    expect(bytesRead() - before).toBeLessThan(256 * 1024)
    expect(model.tensors[0]?.sizeBytes).toBe(8 * 2 ** 30)
  })

  test('reads no further than the header of a file with a large one', () => {
    const tokens = Array.from({ length: 100_000 }, (_, i) => text(`token ${i}`))
    const tensors = [randomTensor('a', I8, 4 << 20)]
    const path = written(file('large-header.gguf'), { metadata: { tokens: array('string', tokens) }, tensors })
    const before = bytesRead()
    using model = GgufFile.open(path)
    const headerBytes = model.dataOffsetBytes
    expect(headerBytes).toBeGreaterThan(1_000_000)
    expect(bytesRead() - before).toBeLessThan(headerBytes + (1 << 20))
  })

  test('follows a link to the file', () => {
    symlinkSync(written(file('plain.gguf'), {}), file('link.gguf'))
    expect(GgufFile.open(file('link.gguf')).sizeBytes).toBe(24)
  })
})
