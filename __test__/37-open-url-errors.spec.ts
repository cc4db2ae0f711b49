import type { ServerResponse } from 'node:http'
import {
  AbortError,
  GgufFile,
  InvalidArgumentError,
  InvalidGgufError,
  IoError,
  MiB,
  type OpenUrlOptions,
} from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { array, gguf, text } from './helpers/gguf-writer'
import { type Asked, ModelServer, rangeOf, sendPart, serving } from './helpers/model-server'
import { pause, sampleBytes, samplePath } from './helpers/models'
import { rejectedBy } from './helpers/rejected-by'

const sample = sampleBytes()
/** Two requests long. */
const large = gguf({
  metadata: {
    'tokenizer.ggml.tokens': array(
      'string',
      Array.from({ length: 150_000 }, (_, i) => text(`token${i}`)),
    ),
  },
})

/** What opening a model of a server fails with, and what the server was asked. */
async function failing<T extends Error>(
  type: abstract new (...args: never[]) => T,
  answer: (asked: Asked, response: ServerResponse, server: ModelServer) => void,
  options: OpenUrlOptions = {},
) {
  await using server = await ModelServer.start(answer)
  const url = `${server.origin}/m.gguf`
  const error = await rejectedBy(type as never, GgufFile.openUrl(`${url}?token=secret`, options))
  expect(`${JSON.stringify(error)} ${(error as Error).message}`).not.toContain('secret')
  return { error: error as unknown as T, url, asked: server.asked }
}

/** The same, when the first answer is sound and the second is this. */
const failingLater = (answer: (asked: Asked, response: ServerResponse, server: ModelServer) => void) =>
  failing(IoError, (asked, response, server) => {
    if (rangeOf(asked)[0] === 0) sendPart(large, asked, response, server, { etag: '"1"', 'last-modified': 'Mon' })
    else answer(asked, response, server)
  })

describe('a server that refuses', () => {
  test.each([
    [400, 'check the address and the headers'],
    [401, "headers: { authorization: 'Bearer TOKEN' }"],
    [403, 'the signed address has expired'],
    [404, '/resolve/'],
    [410, 'no such file'],
    [416, 'check the address'],
    [429, 'wait 7 seconds'],
    [500, 'try again later'],
    [503, 'try again later'],
    [204, 'check the address'],
  ])('by %d is told with what to do', async (status, advice) => {
    const { error, url } = await failing(IoError, (_, response) => {
      response.writeHead(status, { 'retry-after': '7', 'content-type': 'text/html' }).end()
    })
    expect(error).toMatchObject({ code: 'ERR_IO', status, path: url, offset: 0 })
    expect(error.message).toContain(`expected the file, but the server answered ${status}`)
    expect(error.message).toContain(advice)
    expect(error).not.toHaveProperty('errno')
  })

  test('with a page in place of the file is told as one', async () => {
    const page = Buffer.from(`<!doctype html><title>Model card</title>${' '.repeat(2000)}`)
    for (const withRanges of [true, false]) {
      const { error } = await failing(InvalidGgufError, (asked, response, server) => {
        if (withRanges) sendPart(page, asked, response, server)
        else response.end(page)
      })
      expect(error).toMatchObject({ rule: 'bad-magic', offset: 0 })
      expect(error.message).toContain('a web page')
    }
  })

  test('with an empty file', async () => {
    const { error } = await failing(InvalidGgufError, (_, response) => {
      response.writeHead(416, { 'content-range': 'bytes */0' }).end()
    })
    expect(error.rule).toBe('truncated')
    expect((await failing(InvalidGgufError, (_, response) => void response.end())).error.rule).toBe('truncated')
  })
})

describe('an answer that does not do', () => {
  test.each<[string, Record<string, string>]>([
    ['does not say which', {}],
    ['does not say which', { 'content-range': 'bytes 0-x/5' }],
    ['does not say which', { 'content-range': 'bytes 5-2/50' }],
    ['does not say which', { 'content-type': 'multipart/byteranges; boundary=x' }],
    ['sends bytes 7 to 99', { 'content-range': 'bytes 7-99/1000' }],
    ['encoded them (gzip)', { 'content-range': 'bytes 0-99/1000', 'content-encoding': 'gzip' }],
  ])('%s: %j', async (words, fields) => {
    const { error } = await failing(IoError, (_, response) => void response.writeHead(206, fields).end('x'.repeat(100)))
    expect(error.message).toContain(words)
    expect(error.offset).toBe(0)
  })

  test('is one that ends too early, or whose connection breaks off', async () => {
    const sent = sample.subarray(0, 5000)
    const cut = { 'content-length': sample.length, 'content-range': `bytes 0-${sample.length - 1}/${sample.length}` }
    const breaking = (response: ServerResponse) => void response.write(sent, () => response.destroy())
    for (const answer of [
      (response: ServerResponse) => breaking(response.writeHead(206, cut)),
      (response: ServerResponse) => breaking(response.writeHead(200, { 'content-length': sample.length })),
      (response: ServerResponse) => breaking(response.writeHead(200)),
      (response: ServerResponse) => void response.writeHead(206, { 'content-range': cut['content-range'] }).end(sent),
    ]) {
      const { error, url } = await failing(IoError, (_, response) => answer(response))
      expect(error).toMatchObject({ path: url, offset: 5000 })
      expect(error.message).toMatch(/at byte 5000: expected .*try again/)
    }
  })

  test('is one of a file that changed meanwhile', async () => {
    for (const fields of [{ etag: '"2"' }, { 'last-modified': 'Tue' }] as Record<string, string>[]) {
      const { error, asked } = await failingLater((asked, response, server) => {
        sendPart(large, asked, response, server, fields)
      })
      expect(error.message).toContain('it was changed on the server since; open it again')
      expect(error.offset).toBe(2 * MiB)
      expect(asked[1]?.headers['if-range']).toBe('"1"')
    }
    const changes: ((asked: Asked, response: ServerResponse, server: ModelServer) => void)[] = [
      (asked, response, server) => sendPart(Buffer.concat([large, sample]), asked, response, server, { etag: '"1"' }),
      // What If-Range brings of a changed file.
      (_, response) => void response.writeHead(200, { etag: '"2"', 'content-length': large.length }).end(large),
      (_, response) => void response.writeHead(416, { 'content-range': 'bytes */7' }).end(),
    ]
    for (const change of changes) expect((await failingLater(change)).error.message).toContain('changed on the server')
  })

  test('the whole file again, unchanged, is read from its beginning', async () => {
    await using server = await ModelServer.start((asked, response, self) => {
      if (rangeOf(asked)[0] === 0) sendPart(large, asked, response, self)
      else response.writeHead(200, { etag: '"1"', 'content-length': large.length }).end(large)
    })
    using model = await GgufFile.openUrl(`${server.origin}/a.gguf`)
    expect([model.metadata.getArray('tokenizer.ggml.tokens')?.length, server.asked.length]).toEqual([150_000, 2])
  })

  test('more of a body than it announces is cut', async () => {
    await using server = await ModelServer.start((asked, response) => {
      const [start, end] = rangeOf(asked)
      const last = Math.min(end, large.length) - 1
      response.writeHead(206, { 'content-range': `bytes ${start}-${last}/${large.length}` })
      response.end(Buffer.concat([large.subarray(start, last + 1), Buffer.alloc(MiB, 0xff)]))
    })
    using model = await GgufFile.openUrl(`${server.origin}/a.gguf`)
    expect(model.metadata.getArray('tokenizer.ggml.tokens')?.at(-1)).toBe('token149999')
  })
})

describe('a header beyond the limit', () => {
  test.each([true, false])('is refused, and no more than the limit asked for: ranges %s', async (withRanges) => {
    const options = { maxHeaderBytes: MiB }
    const { error, asked } = await failing(
      InvalidGgufError,
      (each, response, server) => (withRanges ? sendPart(large, each, response, server) : response.end(large)),
      options,
    )
    expect(error.rule).toBe('header-too-large')
    expect(error.message).toContain(`the limit is ${MiB}`)
    expect(asked.map(({ range }) => range)).toEqual([`bytes=0-${MiB - 1}`])
  })
})

describe('redirects that are not followed', () => {
  test('are those in a circle', async () => {
    const { error, asked } = await failing(IoError, ({ path }, response) => {
      response.writeHead(302, { location: path }).end()
    })
    expect(error.message).toContain('expected at most 10 redirects')
    expect(asked).toHaveLength(11)
  })

  test.each(['file:///etc/passwd', 'ftp://example.org/m.gguf', 'data:,GGUF', 'http://'])(
    'lead to %s',
    async (location) => {
      const { error } = await failing(IoError, (_, response) => void response.writeHead(302, { location }).end())
      expect(error.message).toContain('expected a redirect to an address of http: or https:')
      expect(error.message).not.toContain('passwd')
    },
  )

  test('lead from https: to http:', async () => {
    const location = 'http://example.org/m.gguf?token=secret'
    const real = globalThis.fetch
    const asked: string[] = []
    globalThis.fetch = async (url) => {
      asked.push(String(url))
      return new Response(null, { status: 302, headers: { location } })
    }
    try {
      const error = await rejectedBy(IoError, GgufFile.open('https://example.org/m.gguf'))
      expect(error.message).toContain('https: to stay https:, but it redirects to http://example.org/m.gguf;')
      expect(asked).toEqual(['https://example.org/m.gguf'])
    } finally {
      globalThis.fetch = real
    }
  })
})

describe('no connection', () => {
  test('is told with the system’s own word for it', async () => {
    const server = await serving(sample)
    const url = `${server.origin}/m.gguf`
    await server[Symbol.asyncDispose]()
    const error = await rejectedBy(IoError, GgufFile.openUrl(url))
    expect(error).toMatchObject({ path: url, errnoName: 'ECONNREFUSED' })
    expect(error.message).toContain('check the address, its port, and that the server runs')
    expect(error).toHaveProperty('cause.message', 'fetch failed')
  })
})

describe('an end before the end', () => {
  const silent = () => {}
  const trickling = (_: Asked, response: ServerResponse): void => {
    response.writeHead(200)
    const timer = setInterval(() => response.write('G'), 5)
    response.on('close', () => clearInterval(timer))
  }
  const half = (_: Asked, response: ServerResponse) => void response.writeHead(200).write(sample.subarray(0, 5000))

  test.each([
    ['never answers', silent],
    ['sends a byte at a time', trickling],
    ['stops half way', half],
  ])('timeoutMs bounds a server that %s', async (_, answer) => {
    const { error, url } = await failing(IoError, answer, { timeoutMs: 150 })
    expect(error.message).toContain('expected the header within 150 ms')
    expect(error.path).toBe(url)
  })

  test.each([
    ['never answers', silent],
    ['sends a byte at a time', trickling],
    ['stops half way', half],
  ])('a signal ends it where a server %s', async (_, answer) => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const failed = failing(AbortError, answer, { signal: controller.signal })
    await pause(100)
    controller.abort(reason)
    expect((await failed).error.cause).toBe(reason)
  })

  test('a signal that has aborted before asks nobody', async () => {
    const { error, asked } = await failing(AbortError, silent, { signal: AbortSignal.abort('never') })
    expect(error.cause).toBe('never')
    expect(asked).toHaveLength(0)
    await rejectedBy(AbortError, GgufFile.openUrl(new URL(`file://${samplePath}`), { signal: AbortSignal.abort() }))
  })

  test('a signal that was not used keeps no listener', async () => {
    await using server = await serving(sample)
    const { signal } = new AbortController()
    const [added, removed] = [jest.spyOn(signal, 'addEventListener'), jest.spyOn(signal, 'removeEventListener')]
    using _model = await GgufFile.openUrl(`${server.origin}/a.gguf`, { signal })
    expect(added).toHaveBeenCalledTimes(1)
    expect(removed).toHaveBeenCalledTimes(1)
  })
})

describe('arguments', () => {
  test.each<[string, unknown, unknown]>([
    ['url', '/models/m.gguf', {}],
    ['url', 'm.gguf', {}],
    ['url', 'ftp://example.org/m.gguf', {}],
    ['url', 'http://', {}],
    ['url', 5, {}],
    ['headers', 'http://example.org', { headers: 'authorization: x' }],
    ['headers', 'http://example.org', { headers: { authorization: 5 } }],
    ['headers', 'http://example.org', { headers: { Range: 'bytes=0-5' } }],
    ['headers', 'http://example.org', { headers: { 'bad name': 'x' } }],
    ['headers', 'http://example.org', { headers: { authorization: 'secret\nx: y' } }],
    ['maxHeaderBytes', 'http://example.org', { maxHeaderBytes: 100 }],
    ['maxHeaderBytes', 'http://example.org', { maxHeaderBytes: 2 ** 30 }],
    ['timeoutMs', 'http://example.org', { timeoutMs: 0 }],
    ['signal', 'http://example.org', { signal: 'now' }],
    ['options', 'http://example.org', { offsetBytes: 1 }],
    ['options', 'http://example.org', { timeout: 1 }],
  ])('%s is checked: %j %j', async (argument, url, options) => {
    const error = await rejectedBy(InvalidArgumentError, GgufFile.openUrl(url as string, options as OpenUrlOptions))
    expect(error.argument).toBe(argument)
    expect(error.message).not.toContain('secret')
  })

  test('open() takes no URL object that would be a promise, and repeats nothing of it', () => {
    const error = thrownBy(InvalidArgumentError, () =>
      GgufFile.open(new URL('https://example.org/m.gguf?token=secret')),
    )
    expect(error.message).toContain('openUrl')
    expect(error.message).not.toContain('secret')
    const other = thrownBy(InvalidArgumentError, () => GgufFile.open(new URL('ftp://me:secret@example.org/m.gguf')))
    expect(other.message).not.toContain('secret')
  })
})
