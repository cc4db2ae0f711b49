import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { GgufFile, InvalidArgumentError, MemoryManager, MiB, ReleasedError } from 'plimsoll'
import { root, startBesideOthers } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { array, gguf, randomTensor, scalar, tensorTypes, text } from './helpers/gguf-writer'
import { ModelServer, rangeOf, sendPart, serving } from './helpers/model-server'
import { sampleBytes, samplePath } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const { F32, Q4_K } = tensorTypes
const sample = sampleBytes()

/** A header with a vocabulary, as large as that of a model with so many tokens. */
function withVocabulary(tokens: number, dataBytes = 0): Buffer {
  const words = Array.from({ length: tokens }, (_, i) => text(`token${i}`))
  const numbers = Array.from({ length: tokens }, (_, i) => scalar('f32', i))
  return gguf({
    metadata: {
      'general.architecture': text('gemma3'),
      'tokenizer.ggml.tokens': array('string', words),
      'tokenizer.ggml.scores': array('f32', numbers),
    },
    tensors: [{ name: 't', type: F32, dims: [dataBytes / 4], data: new Uint8Array(dataBytes) }],
  })
}

describe('a model on a server', () => {
  test('is what it is on a disk, by one request for its beginning', async () => {
    await using server = await serving(sample)
    using local = GgufFile.open(samplePath)
    using model = await GgufFile.open(`${server.origin}/models/sample.gguf`)
    expect(model).toMatchObject({
      path: `${server.origin}/models/sample.gguf`,
      paths: [`${server.origin}/models/sample.gguf`],
      sizeBytes: sample.length,
      headerOnly: true,
      version: 3,
      architecture: 'llama',
      fileType: { id: 15, name: 'Q4_K_M' },
      dataOffsetBytes: local.dataOffsetBytes,
      dataBytes: local.dataBytes,
      gaps: local.gaps,
    })
    expect(model.tensors).toEqual(local.tensors)
    expect([...model.metadata.keys()]).toEqual([...local.metadata.keys()])
    expect(model.metadata.getArray('tokenizer.ggml.tokens')?.slice(0, 9)).toEqual(
      local.metadata.getArray('tokenizer.ggml.tokens')?.slice(0, 9),
    )
    expect(server.ranges).toEqual([`bytes=0-${2 * MiB - 1}`])
    expect(server.asked[0]?.headers['accept-encoding']).toBe('identity')
  })

  test('is opened by text and by URL, by the class and by a manager', async () => {
    await using server = await serving(sample)
    const url: string = `${server.origin}/a.gguf?download=true`
    await using manager = new MemoryManager({ isolated: true })
    const models = await Promise.all([
      GgufFile.open(`${server.origin}/a.gguf`),
      GgufFile.openUrl(url),
      GgufFile.openUrl(new URL(url)),
      GgufFile.open(url.replace('http:', 'HTTP:')),
      manager.open(`${server.origin}/a.gguf`, { timeoutMs: 60_000 }),
      manager.openUrl(new URL(url)),
    ])
    expect(models.map(({ path }) => path)).toEqual(models.map(() => `${server.origin}/a.gguf`))
    for (const model of models) model.close()
    await manager.close()
    await rejectedBy(ReleasedError, manager.openUrl(url))
  })

  test('a file: URL opens the file, with its data', async () => {
    const url = pathToFileURL(samplePath)
    for (const each of [url, url.href]) {
      using model = await GgufFile.openUrl(each, { strict: true })
      expect(model).toMatchObject({ path: samplePath, headerOnly: false })
      expect(await model.load('output_norm.weight', { as: 'f32' })).toHaveLength(256)
    }
  })

  test('has no weights that could be read', async () => {
    await using server = await serving(sample)
    using model = await GgufFile.openUrl(`${server.origin}/a.gguf`)
    const say = 'got one opened by its address, of which the header was fetched; download it first'
    expect(thrownBy(InvalidArgumentError, () => model.stream()).message).toContain(say)
    expect(thrownBy(InvalidArgumentError, () => model.createReadStream('output.weight')).message).toContain(say)
    await rejectedBy(InvalidArgumentError, model.load('output.weight'))
    await rejectedBy(InvalidArgumentError, model.loadAll())
    expect(server.asked).toHaveLength(1)
  })

  test('a size that the server tells bounds the tensors; headerOnly takes that away', async () => {
    const cut = sample.subarray(0, sample.length - 1000)
    await using server = await serving(cut)
    const error = await GgufFile.openUrl(`${server.origin}/cut.gguf`).catch((reason) => reason)
    expect(error).toMatchObject({
      code: 'ERR_INVALID_GGUF',
      rule: 'tensor-past-end',
      path: `${server.origin}/cut.gguf`,
    })
    using model = await GgufFile.openUrl(`${server.origin}/cut.gguf`, { headerOnly: true })
    expect(model.sizeBytes).toBe(cut.length)
  })
})

describe('what is fetched', () => {
  test('of a header of 262,144 tokens each byte comes once, in four requests on one connection', async () => {
    const file = withVocabulary(262_144, 32 * MiB)
    await using server = await serving(file)
    using model = await GgufFile.openUrl(`${server.origin}/gemma.gguf`)
    expect(model.metadata.getArray('tokenizer.ggml.tokens')?.length).toBe(262_144)
    const headerBytes = model.dataOffsetBytes
    expect(headerBytes).toBeGreaterThan(5 * MiB)
    expect(server.ranges).toEqual(
      [
        [0, 2],
        [2, 4],
        [4, 8],
      ].map(([a = 0, b = 0]) => `bytes=${a * MiB}-${b * MiB - 1}`),
    )
    expect(server.asked.slice(1).map(({ headers }) => headers['if-range'])).toEqual(['"1"', '"1"'])
    expect(server.sentBytes).toBeLessThan(2 * headerBytes)
  })

  test.each([true, false])(
    'of a server without ranges little more than the header is read, its size told: %s',
    async (told) => {
      const file = withVocabulary(200_000, 128 * MiB)
      await using server = await ModelServer.start((_, response, self) => {
        response.writeHead(200, told ? { 'content-length': file.length } : {})
        self.send(response, file)
      })
      using model = await GgufFile.openUrl(`${server.origin}/a.gguf`)
      expect(model.sizeBytes).toBe(file.length)
      expect(server.asked).toHaveLength(1)
      // What was read, and what lay in buffers on the way.
      expect(server.sentBytes).toBeLessThan(1.5 * model.dataOffsetBytes + 16 * MiB)
    },
  )

  test('a server may send less than was asked for, or more', async () => {
    const file = withVocabulary(200_000)
    const slices = await ModelServer.start((asked, response, self) => {
      const [start, end] = rangeOf(asked)
      sendPart(file, { ...asked, range: `bytes=${start}-${Math.min(end, start + MiB) - 1}` }, response, self)
    })
    await using _slices = slices
    await using all = await ModelServer.start((asked, response, self) => {
      sendPart(file, { ...asked, range: `bytes=${rangeOf(asked)[0]}-${file.length - 1}` }, response, self)
    })
    for (const { origin } of [slices, all]) {
      using model = await GgufFile.openUrl(`${origin}/a.gguf`)
      expect(model.sizeBytes).toBe(file.length)
    }
    expect([slices.asked.length, all.asked.length]).toEqual([Math.ceil(file.length / MiB), 1])
  })

  test('a file that is shorter than the first request is one request', async () => {
    const file = gguf({ tensors: [randomTensor('a', Q4_K, 2)] })
    await using server = await serving(file)
    using model = await GgufFile.openUrl(`${server.origin}/a.gguf`)
    expect([model.sizeBytes, server.asked.length, server.sentBytes]).toEqual([file.length, 1, file.length])
  })
})

describe('redirects', () => {
  test('are followed, and later requests go where they led to', async () => {
    const file = withVocabulary(200_000)
    const ways: Record<string, [number, string]> = {
      '/a/m.gguf': [302, '../b/m.gguf?x=1'],
      '/b/m.gguf?x=1': [307, '/c/m.gguf'],
      '/c/m.gguf': [308, '//HOST/d/m.gguf#part'],
      '/d/m.gguf': [301, '/e/m.gguf'],
      '/e/m.gguf': [303, '/cdn/blob?signature=secret'],
    }
    await using server = await ModelServer.start((asked, response, self) => {
      const way = ways[asked.path]
      if (!way) return sendPart(file, asked, response, self)
      response.writeHead(way[0], { location: way[1].replace('HOST', asked.headers.host as string) }).end('moved')
    })
    using model = await GgufFile.openUrl(`${server.origin}/a/m.gguf`)
    expect(model.path).toBe(`${server.origin}/a/m.gguf`)
    const paths = server.asked.map(({ path }) => path)
    expect(paths.slice(0, 6)).toEqual([...Object.keys(ways), '/cdn/blob?signature=secret'])
    expect(new Set(paths.slice(6))).toEqual(new Set(['/cdn/blob?signature=secret']))
  })

  test('to another server get none of the fields that were meant for the first', async () => {
    await using other = await serving(sample)
    await using server = await ModelServer.start((_, response) => {
      response.writeHead(302, { location: `${other.origin}/blob` }).end()
    })
    const headers = { Authorization: 'Bearer secret', 'x-api-key': 'secret' }
    using model = await GgufFile.openUrl(`${server.origin}/a.gguf`, { headers })
    expect(model.architecture).toBe('llama')
    expect(server.asked[0]?.headers).toMatchObject({ authorization: 'Bearer secret', 'x-api-key': 'secret' })
    expect(JSON.stringify(other.asked[0])).not.toContain('secret')
  })

  test('user and password of a URL are sent as such a field, and decoded', async () => {
    await using server = await serving(sample)
    const url = new URL(`${server.origin}/a.gguf`)
    Object.assign(url, { username: 'me@home', password: 'pass:word%' })
    using model = await GgufFile.openUrl(url)
    const sent = server.asked[0]?.headers.authorization?.replace('Basic ', '') ?? ''
    expect(Buffer.from(sent, 'base64').toString()).toBe('me@home:pass:word%')
    expect(model.path).toBe(`${server.origin}/a.gguf`)
  })
})

test('nothing secret of an address is shown', async () => {
  await using server = await serving(sample)
  const { host } = new URL(server.origin)
  using model = await GgufFile.openUrl(`http://user:secret@${host}/a.gguf?token=secret#secret`)
  expect(`${inspect(model)} ${JSON.stringify(model)} ${model.paths}`).not.toContain('secret')
})

describe('a split model', () => {
  const files = ['a', 'b', 'c'].map((name, number) =>
    gguf({
      metadata: {
        'split.no': scalar('u16', number),
        'split.count': scalar('u16', 3),
        'split.tensors.count': scalar('i32', 3),
      },
      tensors: [randomTensor(name, Q4_K, 2)],
    }),
  )
  const nameOf = (number: number): string => `m-0000${number + 1}-of-00003.gguf`
  const served = () =>
    ModelServer.start((asked, response, self) => {
      const number = [0, 1, 2].findIndex((each) => asked.path === `/dir%20x/${nameOf(each)}?download=true`)
      const file = files[number]
      if (file) sendPart(file, asked, response, self, { etag: `"${number}"` })
      else response.writeHead(404).end()
    })

  test('is opened whole, whichever file is named, with the same query for each', async () => {
    await using server = await served()
    using model = await GgufFile.openUrl(`${server.origin}/dir x/${nameOf(1)}?download=true`)
    expect(model.tensors.map(({ name, fileIndex }) => [name, fileIndex])).toEqual([
      ['a', 0],
      ['b', 1],
      ['c', 2],
    ])
    expect(model.paths).toEqual([0, 1, 2].map((number) => `${server.origin}/dir%20x/${nameOf(number)}`))
    expect(model.sizeBytes).toBe(files.reduce((sum, file) => sum + file.length, 0))
    expect(server.asked).toHaveLength(3)
    expect(server.asked.map(({ headers }) => headers['if-range'])).toEqual([undefined, undefined, undefined])
  })

  test('shardOnly opens the one that is named', async () => {
    await using server = await served()
    using model = await GgufFile.openUrl(`${server.origin}/dir x/${nameOf(2)}?download=true`, { shardOnly: true })
    expect(model.split).toEqual({ number: 2, count: 3, tensorCount: 3 })
    expect([model.tensors.length, server.asked.length]).toEqual([1, 1])
  })
})

test('a process that has opened models, or failed to, ends by itself at once', async () => {
  await using server = await ModelServer.start((asked, response, self) => {
    if (asked.path === '/a.gguf') sendPart(sample, asked, response, self)
    else if (asked.path === '/whole.gguf') response.writeHead(200).write(sample)
    else if (asked.path === '/missing.gguf') response.writeHead(404).end('missing')
  })
  const script = `
    const { GgufFile } = require('./dist/index.js')
    const open = (name, options) => GgufFile.openUrl('${server.origin}/' + name, options).catch(({ code }) => code)
    Promise.all([
      open('a.gguf', { timeoutMs: 2 ** 30 }), open('whole.gguf'), open('missing.gguf'),
      open('silent.gguf', { timeoutMs: 100 }), open('silent.gguf', { signal: AbortSignal.timeout(100) }),
    ]).then((models) => {
      console.log(models.map((model) => model.architecture ?? model).join(' '))
      for (const model of models.slice(0, 2)) model.close()
    })`
  const { status, stdout, stderr } = await startBesideOthers(['-e', script], root, 60_000)
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: 'llama llama ERR_IO ERR_IO ABORT_ERR\n',
    stderr: '',
  })
})
