import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { GgufFile, InvalidArgumentError, InvalidGgufError, MemoryManager, type OpenOptions } from 'plimsoll'
import { root, runNode } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { gguf, type Tensor, tensorTypes, text } from './helpers/gguf-writer'

const { F32 } = tensorTypes
const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
afterAll(() => rmSync(folder, { recursive: true }))

const inspect = (...args: string[]) => runNode(['dist/cli.js', 'inspect', ...args])

const write = (name: string, bytes: Uint8Array): string => {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

const refusal = (bytes: Uint8Array, options?: OpenOptions) =>
  thrownBy(InvalidGgufError, () => GgufFile.fromBytes(bytes, options))

describe('names and shapes beyond those of ggml', () => {
  const name = 'model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_q.weight'
  const long = gguf({ tensors: [{ name, type: F32, dims: [8, 2], data: new Uint8Array(64) }] })
  const deep = gguf({
    tensors: [{ name: 'patch', type: F32, dims: [2, 1, 3, 1, 4], data: new Uint8Array(96).fill(7) }],
  })

  test('are refused by default, and opened where they are allowed', async () => {
    expect(refusal(long)).toMatchObject({ rule: 'tensor-name-too-long' })
    expect(refusal(long, { maxNameBytes: 76 })).toMatchObject({ rule: 'tensor-name-too-long' })
    using named = GgufFile.fromBytes(long, { maxNameBytes: 77 })
    expect(named.tensor(name)?.dimensions).toEqual([8, 2])
    expect(refusal(deep)).toMatchObject({ rule: 'too-many-dimensions' })
    using shaped = GgufFile.fromBytes(deep, { maxDimensions: 5 })
    expect(shaped.tensors.map(({ dimensions }) => dimensions)).toEqual([[2, 1, 3, 1, 4]])
    expect((await shaped.load('patch')).every((byte) => byte === 7)).toBe(true)
  })

  test('a manager opens them too', () => {
    using model = new MemoryManager().open(write('long.gguf', long), { maxNameBytes: 100 })
    expect(model.tensors[0]?.name).toBe(name)
  })

  test.each([
    [{ maxNameBytes: 0 }, 'maxNameBytes'],
    [{ maxNameBytes: 65_536 }, 'maxNameBytes'],
    [{ maxDimensions: 9 }, 'maxDimensions'],
    [{ maxDimensions: 0 }, 'maxDimensions'],
    [{ maxDimensions: 4.5 }, 'maxDimensions'],
  ])('%j is refused by its name', (options, argument) => {
    expect(thrownBy(InvalidArgumentError, () => GgufFile.fromBytes(long, options)).argument).toBe(argument)
  })

  test('the command line opens them with --lenient', () => {
    const [named, shaped] = [write('long.gguf', long), write('deep.gguf', deep)]
    expect(inspect(named).status).toBe(3)
    expect(JSON.parse(inspect('--lenient', '--json', named).stdout).tensors[0].name).toBe(name)
    expect(inspect('--lenient', shaped).stdout).toMatch(/patch +F32 +2 × 1 × 3 × 1 × 4/)
    expect(inspect('--lenient', '--strict', shaped).status).toBe(2)
    expect(runNode(['dist/cli.js', 'load', '--lenient', shaped]).status).toBe(0)
  })
})

describe('tensors that are larger than their types say', () => {
  const Q2_0 = { id: 42, elements: 64, bytes: 18 }
  const I2_S = { id: 36, elements: 4, bytes: 1 }
  const forked: Tensor[] = [
    { name: 'weight', type: Q2_0, dims: [2048], data: new Uint8Array((2048 / 128) * 34) },
    { name: 'norm', type: F32, dims: [8], data: new Uint8Array(32) },
  ]

  test("of a fork's type are refused, and the fork is named", () => {
    const file = gguf({ tensors: forked })
    for (const options of [{}, { headerOnly: true }, { strict: true }]) {
      const error = refusal(file, options)
      expect(error).toMatchObject({ rule: 'fork-layout' })
      expect(error.message).toMatch(/Q2_0 to ggml and takes 576 bytes.* 544 further, as with Q2_0 of .*PrismML/)
    }
  })

  test("under a removed type's id are not said to be that", () => {
    const tensors = [{ name: 'down', type: I2_S, dims: [6912, 2], data: new Uint8Array(6912 / 2 + 32) }]
    const metadata = { 'general.architecture': text('bitnet-25') }
    const { message, rule } = refusal(gguf({ metadata, tensors }))
    expect(rule).toBe('removed-tensor-type')
    expect(message).toMatch(/I2_S of bitnet\.cpp \(and not IQ4_NL_4_4/)
  })

  const apart = gguf({ tensors: [forked[1] as Tensor, { ...(forked[1] as Tensor), name: 'far', offset: 4096 }] })

  test('for a reason that nobody knows are told', () => {
    using model = GgufFile.fromBytes(apart)
    expect(model.gaps).toEqual([{ fileIndex: 0, offsetBytes: model.dataOffsetBytes + 32, sizeBytes: 4064, after: 0 }])
    expect(inspect(write('apart.gguf', apart)).stdout).toMatch(
      /Gaps +1\n\n +3\.97 KiB belong to no tensor.*behind tensor "norm"/,
    )
    expect(inspect('--strict', join(folder, 'apart.gguf')).status).toBe(3)
  })
})

test.each([
  ['pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n', /Git LFS pointer: .*git lfs pull/],
  ['page', '<!doctype html><html><title>Sign in</title>', /a web page: .*resolve/],
  ['answer', 'Entry not found', /the error message of a server/],
  ['zip', 'PK\x03\x04 and so on', /a zip archive/],
])('a %s in the place of a file is told with what to do', (name, content, words) => {
  const path = write(name, Buffer.from(content, 'latin1'))
  expect(thrownBy(InvalidGgufError, () => GgufFile.open(path))).toMatchObject({
    rule: 'bad-magic',
    message: expect.stringMatching(words),
  })
  const { status, stderr } = inspect(path)
  expect(status).toBe(3)
  expect(stderr).toMatch(words)
})

describe('the files of public reports', () => {
  const cases = resolve(root, '../shared/data/cases')
  if (!existsSync(cases)) {
    test.skip(`are in no folder beside this checkout`, () => {})
    return
  }
  const of = (kind: string): string[] => {
    const name = readdirSync(cases).find((folder) => folder.startsWith(kind)) as string
    const files = readdirSync(join(cases, name)).filter((file) => /\.(gguf|bin|llamafile|safetensors)$/.test(file))
    return files.sort().map((file) => join(cases, name, file))
  }
  const told = (path: string) => thrownBy(InvalidGgufError, () => GgufFile.open(path))

  test('open, or are refused for what they are', () => {
    expect(GgufFile.open(of('30-')[0] as string, { maxNameBytes: 128 }).tensors).toHaveLength(1)
    expect(told(of('31-')[0] as string).message).toMatch(/I2_S of bitnet\.cpp \(and not/)
    expect(told(of('34-')[0] as string)).toMatchObject({ rule: 'fork-layout' })
    const words = of('36-').map((path) => told(path).message.replace(/.*looks like (.*?):.*/s, '$1'))
    expect(words).toEqual([
      'a ggml file of before August 2023',
      'a web page',
      'a Git LFS pointer',
      'a ggml file of before August 2023',
      'an executable, as a llamafile is',
      'a safetensors file',
      'the error message of a server',
    ])
  })
})
