import { copyFileSync, existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { GgufFile } from 'plimsoll'
import { root, runNode, startBesideOthers } from './helpers/child'
import { ModelServer, sendPart } from './helpers/model-server'
import { sampleBytes } from './helpers/models'

const sample = 'examples/models/plimsoll-sample-llama.gguf'
const inspect = (...args: string[]) => runNode(['dist/cli.js', 'inspect', ...args])
const document = (...args: string[]) => JSON.parse(inspect('--json', ...args).stdout)

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('the sample model', () => {
  test('shows overview, metadata, tensors and totals', () => {
    const { status, stdout, stderr } = inspect(sample)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const row of [
      /^ {2}architecture +llama$/m,
      /^ {2}file type +Q4_K_M$/m,
      /^ {2}data +1\.93 MiB, from byte 19,552$/m,
      /^ {2}llama\.context_length +u32 +512$/m,
      /^ {2}llama\.attention\.layer_norm_rms_epsilon +f32 +0\.00001$/m,
      /^ {2}tokenizer\.ggml\.tokens +string\[768\] +"<unk>", "<s>", /m,
      /^ {2}output\.weight +Q8_0 +256 × 768 +204\.00 KiB +1,833,568$/m,
      /^ {2}Q4_K +24 +2,031,616 +1\.09 MiB +4\.50$/m,
      /^ {2}all +39 +2,754,816 /m,
    ]) {
      expect(stdout).toMatch(row)
    }
  })

  test('no line is wider than a page of 120 columns', () => {
    const widths = inspect(sample)
      .stdout.split('\n')
      .map((line) => [...line].length)
    expect(Math.max(...widths)).toBeLessThanOrEqual(120)
  })

  test('--json gives all that the package gives', () => {
    using model = GgufFile.open(join(root, sample))
    const { metadata, tensors, types, gaps, ...overview } = document(sample)
    expect(overview).toEqual({
      path: sample,
      paths: [sample],
      sizeBytes: model.sizeBytes,
      headerOnly: false,
      version: 3,
      architecture: 'llama',
      name: 'Plimsoll sample llama',
      fileType: { id: 15, name: 'Q4_K_M' },
      split: null,
      alignmentBytes: 32,
      dataOffsetBytes: model.dataOffsetBytes,
      dataBytes: model.dataBytes,
      metadataCount: model.metadata.size,
      tensorCount: 39,
    })
    expect(Object.keys(metadata)).toEqual([...model.metadata.keys()])
    expect(metadata['llama.context_length']).toEqual({ type: 'u32', value: 512 })
    expect(gaps).toEqual([])
    expect(tensors).toEqual(model.tensors)
    expect(types.map(({ type }: { type: string }) => type)).toEqual(['Q4_K', 'F16', 'Q6_K', 'Q8_0', 'F32'])
  })

  test('--json sums arrays up in their type, length and first 8 elements', () => {
    const { metadata } = document(sample)
    expect(metadata['tokenizer.ggml.token_type']).toEqual({
      type: 'array',
      value: { elementType: 'i32', length: 768, first: [2, 3, 3, 6, 6, 6, 6, 6] },
    })
    expect(metadata['tokenizer.ggml.tokens'].value.first[0]).toBe('<unk>')
  })
})

describe('values that people or JSON cannot take as they are', () => {
  const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer)
  const u64 = (value: bigint) => Buffer.from(BigUint64Array.of(value).buffer)
  const string = (text: string) => Buffer.concat([u64(BigInt(Buffer.byteLength(text))), Buffer.from(text)])
  const entry = (key: string, type: number, value: Buffer) => Buffer.concat([string(key), u32(type), value])
  const path = join(folder, 'strange.gguf')

  beforeAll(() => {
    const entries = [
      entry('general.name', 8, string('\x1b[31mred\x9b\u202e\nend')),
      entry('__proto__', 4, u32(7)),
      entry('big', 10, u64(2n ** 64n - 1n)),
      entry('not a number', 6, Buffer.from(Float32Array.of(Number.NaN).buffer)),
    ]
    const counts = [u64(0n), u64(BigInt(entries.length))]
    writeFileSync(path, Buffer.concat([Buffer.from('GGUF'), u32(3), ...counts, ...entries]))
  })

  test('commands to the terminal are shown, not obeyed', () => {
    const { stdout } = inspect(path)
    expect(stdout).toContain('\\u001b[31mred\\u009b\\u202e\\nend')
    expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u)
  })

  test('nor are they in --json, which still means the same', () => {
    const { stdout } = inspect(path, '--json')
    expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u)
    expect(JSON.parse(stdout).name).toBe('\x1b[31mred\x9b\u202e\nend')
  })

  test('numbers that JSON has not are strings, and every key is a key', () => {
    const { metadata } = document(path)
    expect(metadata.big).toEqual({ type: 'u64', value: '18446744073709551615' })
    expect(metadata['not a number']).toEqual({ type: 'f32', value: 'NaN' })
    expect(Object.entries(metadata)).toContainEqual(['__proto__', { type: 'u32', value: 7 }])
  })
})

describe('a file without its data', () => {
  const path = join(folder, 'header.gguf')

  beforeAll(() => {
    using model = GgufFile.open(join(root, sample))
    copyFileSync(join(root, sample), path)
    truncateSync(path, model.dataOffsetBytes)
  })

  test('is refused with 3 and the broken rule', () => {
    const { status, stdout } = inspect(path, '--json')
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'ERR_INVALID_GGUF', path, rule: expect.any(String) })
  })

  test('opens with --header-only', () => {
    expect(document(path, '--header-only')).toMatchObject({ headerOnly: true, tensorCount: 39 })
  })
})

describe('broken input ends with 3', () => {
  test.each([
    ['missing.gguf', 'ERR_IO'],
    ['examples', 'ERR_IO'],
    ['package.json', 'ERR_INVALID_GGUF'],
  ])('%s', (path, code) => {
    const { status, stdout, stderr } = inspect(path, '--json')
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error).toMatchObject({ code, path })
    expect(stderr).toMatch(/^plimsoll inspect: /)
  })

  const bad = resolve(root, '../shared/data/gguf/bad')
  const known = ['big-endian-v3.gguf', 'crlf-mangled-bert-bge.gguf', 'tensors-without-data.gguf']
  if (!existsSync(bad)) console.warn(`${bad} is missing: its files are not tested`)
  ;(existsSync(bad) ? test.each(known) : test.skip.each(known))('%s', (name) => {
    const { status, stderr } = inspect(join(bad, name))
    expect(status).toBe(3)
    expect(stderr).toContain(name)
  })
})

describe('a URL', () => {
  const served = () =>
    ModelServer.start((asked, response, server) => {
      if (asked.headers.authorization === 'Bearer secret') sendPart(sampleBytes(), asked, response, server)
      else response.writeHead(401).end()
    })
  const beside = (...args: string[]) => startBesideOthers(['dist/cli.js', ...args], root, 60_000)
  const field = ['--header', 'authorization: Bearer secret']

  test('is shown as the file is, by its header alone', async () => {
    await using server = await served()
    const url = `${server.origin}/plimsoll-sample-llama.gguf`
    const { status, stdout, stderr } = await beside('inspect', ...field, `${url}?download=true`)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toBe(inspect(sample).stdout)
    const { tensors, ...shown } = JSON.parse((await beside('inspect', '--json', ...field, url)).stdout)
    expect(shown).toMatchObject({ path: url, paths: [url], headerOnly: true, tensorCount: 39 })
    expect(tensors).toEqual(document(sample).tensors)
  })

  test('that is refused, or not there, ends with 3', async () => {
    await using server = await served()
    const { status, stdout, stderr } = await beside('inspect', '--json', `${server.origin}/a.gguf?token=secret`)
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'ERR_IO', status: 401, path: `${server.origin}/a.gguf` })
    expect(stdout + stderr).not.toContain('secret')
  })

  test.each([
    [['inspect', 'http://127.0.0.1/a.gguf', '--header', 'secret'], "expected --header to be 'NAME: TEXT'"],
    [['inspect', sample, ...field], 'expected a URL with --header, got a FILE'],
    [['load', 'https://127.0.0.1/a.gguf'], 'expected a FILE, got a URL; download it first'],
  ])('%j is wrong use', (args, words) => {
    const { status, stderr } = runNode(['dist/cli.js', ...args])
    expect([status, stderr]).toEqual([2, expect.stringContaining(words)])
    expect(stderr).not.toContain('secret')
  })
})
