import { writeFileSync } from 'node:fs'
import { GgufArray, GgufFile, InvalidArgumentError } from 'plimsoll'
import { runNode } from './helpers/child'
import { thrownBy } from './helpers/errors'
import { scratch } from './helpers/models'

// Times are compared with one another, generously: what takes the square of a size is far beyond.

const file = scratch()

const u32 = (number: number) => Buffer.from(new Uint32Array([number]).buffer)
const u64 = (number: number) => Buffer.from(new BigUint64Array([BigInt(number)]).buffer)
const string = (text: string | Buffer) => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)])
const [U8, BOOL, STRING, ARRAY] = [0, 7, 8, 9]
const array = (type: number, count: number, elements: Buffer) => Buffer.concat([u32(type), u64(count), elements])
const repeated = (count: number, piece: Buffer) => Buffer.alloc(count * piece.length, piece)
const entry = (key: string, type: number, value: Buffer) => Buffer.concat([string(key), u32(type), value])

function header(entries: Buffer[], tensors: Buffer[] = []): Buffer {
  return Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(entries.length), ...entries, ...tensors])
}

const open = (entries: Buffer[]) => GgufFile.fromBytes(header(entries))
const arrayIn = (model: GgufFile, key = 'a') => model.metadata.get(key) as GgufArray

/** The least time that the work took in a few tries, in milliseconds. */
function leastMs(work: () => unknown, tries = 3): number {
  const times = Array.from({ length: tries }, () => {
    const start = performance.now()
    work()
    return performance.now() - start
  })
  return Math.min(...times)
}

/** How much longer work takes at eight times the size. */
const growth = (work: (size: number) => () => unknown, size: number) => {
  const [small, large] = [work(size), work(8 * size)]
  small()
  return leastMs(large) / leastMs(small, 5)
}

const strings = (count: number) => array(STRING, count, repeated(count, string('ab')))
const nested = (count: number) => array(ARRAY, count, repeated(count, array(U8, 1, Buffer.from([7]))))
const deep = (count: number) => array(ARRAY, count, repeated(count, array(ARRAY, 2, repeated(2, strings(3)))))

function countOf(value: unknown): number {
  if (!(value instanceof GgufArray)) return 1
  let count = 0
  for (const element of value) count += countOf(element)
  return count
}

describe.each([
  ['strings', strings, 1],
  ['nested arrays', nested, 1],
  ['arrays three deep', deep, 6],
] as const)('an array of %s', (_, make, each) => {
  test('is gone over in a time that grows with its length', () => {
    const walk = (size: number) => {
      const found = arrayIn(open([entry('a', ARRAY, make(size))]))
      return () => expect(countOf(found)).toBe(size * each)
    }
    expect(growth(walk, 4000)).toBeLessThan(30)
  })

  test('gives each of its elements in a time that does not grow with its length', () => {
    const every = (size: number) => {
      const found = arrayIn(open([entry('a', ARRAY, make(size))]))
      return () => {
        for (let i = 0; i < 2000; i++) found.at(-1 - i)
      }
    }
    expect(growth(every, 10_000)).toBeLessThan(4)
  })

  test('gives the same by index, by slice and in turn', () => {
    const found = arrayIn(open([entry('a', ARRAY, make(3000))]))
    const shown = (value: unknown): unknown => (value instanceof GgufArray ? Array.from(value, shown) : value)
    const all = Array.from(found, shown)
    expect(all).toHaveLength(3000)
    for (const index of [0, 1, 63, 64, 65, 1023, 1024, 1025, 2998, 2999]) {
      expect(shown(found.at(index))).toEqual(all[index])
      expect(Array.from(found.slice(index, index + 70), shown)).toEqual(all.slice(index, index + 70))
    }
  })
})

test('elements differ where the file has them differ, however they are reached', () => {
  const count = 500
  const inner = (i: number) =>
    array(STRING, i % 200, Buffer.concat(Array.from({ length: i % 200 }, (_, j) => string(`${i}.${j}`))))
  const model = open([
    entry('a', ARRAY, array(ARRAY, count, Buffer.concat(Array.from({ length: count }, (_, i) => inner(i))))),
  ])
  const found = arrayIn(model)
  for (let i = count - 1; i >= 0; i--) {
    const element = found.at(i) as GgufArray
    expect(element.length).toBe(i % 200)
    expect([element.at(0), element.at(-1)]).toEqual(
      i % 200 ? [`${i}.0`, `${i}.${(i % 200) - 1}`] : [undefined, undefined],
    )
  }
  model.close()
  expect(() => found.at(0)).toThrow('released')
})

test('more values than JavaScript should hold at once are refused, and can be gone over', () => {
  const count = 2 ** 22 + 1
  const model = open([
    entry('a', ARRAY, array(BOOL, count, Buffer.alloc(count, 1))),
    entry('b', ARRAY, array(U8, count, Buffer.alloc(count))),
  ])
  const error = thrownBy(InvalidArgumentError, () => arrayIn(model).toArray())
  expect(error.message).toContain('go over the array, or take it in parts')
  expect(arrayIn(model).slice(1)).toHaveLength(count - 1)
  expect(arrayIn(model).at(-1)).toBe(true)
  // Numbers come as they lie in the file.
  expect(arrayIn(model, 'b').toArray()).toHaveLength(count)
})

describe('a file of many tensors', () => {
  const tensor = (i: number) => Buffer.concat([string(`blk.${i}.weight`), u32(2), u64(4), u64(2), u32(0), u64(32 * i)])
  const written = (count: number): string => {
    const path = file(`${count}.gguf`)
    const start = header(
      [],
      Array.from({ length: count }, (_, i) => tensor(i)),
    )
    const padding = Buffer.alloc((32 - (start.length % 32)) % 32)
    writeFileSync(path, Buffer.concat([start, padding, Buffer.alloc(32 * count, 'data')]))
    return path
  }
  const [few, many] = [GgufFile.open(written(100)), GgufFile.open(written(100_000))]
  const name = 'blk.77.weight'

  test('loads, finds and streams one of them in a time that does not grow with their number', async () => {
    const times = { few: [] as number[], many: [] as number[] }
    for (let i = 0; i < 5; i++) {
      for (const [of, model] of [
        ['few', few],
        ['many', many],
      ] as const) {
        const start = performance.now()
        expect((await model.load(name)).byteLength).toBe(32)
        expect(model.tensor(name)?.offsetBytes).toBeGreaterThan(0)
        for await (const chunk of model.stream({ tensors: [name] })) expect(chunk.tensor).toBe(name)
        times[of].push(performance.now() - start)
      }
    }
    // To make all of the infos takes a hundred times as long.
    expect(Math.min(...times.many)).toBeLessThan(10 * Math.min(...times.few) + 5)
  })

  test('lists each as it is found by its name', () => {
    expect(few.tensors).toHaveLength(100)
    for (const info of few.tensors) expect(few.tensor(info.name)).toEqual(info)
    expect(many.tensors).toHaveLength(100_000)
    expect(many.tensors[99_999]).toEqual(many.tensor('blk.99999.weight'))
    expect(Object.isFrozen(many.tensors[0])).toBe(true)
  })

  test('names the chunks of all of them, also after it was closed', async () => {
    const model = GgufFile.open(file('100.gguf'))
    const stream = model.stream()
    const first = await stream.next()
    model.close()
    const names = [first.value?.tensor]
    for await (const { tensor } of stream) names.push(tensor)
    expect(names).toEqual(few.tensors.map((info) => info.name))
  })

  test('is shown by its first ten thousand, and told whole as JSON', () => {
    const { stdout, status } = runNode(['dist/cli.js', 'inspect', file('100000.gguf')])
    expect(status).toBe(0)
    expect(stdout).toContain('and 90,000 more; --json has them all')
    expect(stdout.match(/blk\.\d+\.weight/g)).toHaveLength(10_000)
    const json = runNode(['dist/cli.js', 'inspect', '--json', file('100000.gguf')])
    expect(JSON.stringify(JSON.parse(json.stdout).tensors) === JSON.stringify(many.tensors)).toBe(true)
  })
})

test('keys and texts of any length are shown by their beginnings, and told whole as JSON', () => {
  // V8 hashes strings of more than 16,383 characters by their length alone: as properties of one object they all collide.
  const keys = Array.from({ length: 300 }, (_, i) => `${'k'.repeat(30_000)}${i}`)
  const text = `\u001b[2J${'x'.repeat(1_000_000)}`
  const path = file('long.gguf')
  const bytes = header([
    ...keys.map((key) => entry(key, STRING, string('v'))),
    entry('general.name', STRING, string(text)),
  ])
  writeFileSync(path, bytes)
  const shown = runNode(['dist/cli.js', 'inspect', path])
  expect(shown.status).toBe(0)
  expect(shown.stdout.length).toBeLessThan(200_000)
  expect(shown.stdout).not.toContain('\u001b')
  const { metadata, name } = JSON.parse(runNode(['dist/cli.js', 'inspect', '--json', path]).stdout)
  expect(Object.keys(metadata)).toEqual([...keys, 'general.name'])
  expect(name).toBe(text)
  const model = GgufFile.open(path)
  expect(model.metadata.size).toBe(301)
  expect([...model.metadata].map(([key]) => key)).toEqual([...model.metadata.keys()])
})
