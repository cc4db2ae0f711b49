import { writeFileSync } from 'node:fs'
import {
  formatBytes,
  GiB,
  InvalidArgumentError,
  InvalidPlanError,
  IoError,
  MemoryBudget,
  MiB,
  parseMemoryArgs,
} from 'plimsoll'
import { thrownBy } from './helpers/errors'
import { scratch } from './helpers/models'

const file = scratch()

/** A configuration file of that text. */
function written(text: string, name = 'config.yaml'): string {
  const path = file(name)
  writeFileSync(path, text)
  return path
}

describe('limits on a command line', () => {
  test('are taken off it, in both forms, and the rest stays as it was', () => {
    const args = [
      'serve',
      '--max-memory-gb',
      '48.5',
      '--port=80',
      '--max-parallel-tokens=15',
      'x',
      '--',
      '--max-cache-tokens',
      '1',
    ]
    expect(parseMemoryArgs(args)).toEqual({
      maxBytes: 48.5 * GiB,
      maxParallelTokens: 15,
      from: { maxBytes: 'flag', maxParallelTokens: 'flag' },
      file: {},
      rest: ['serve', '--port=80', 'x', '--', '--max-cache-tokens', '1'],
    })
    expect(parseMemoryArgs([])).toEqual({ from: {}, file: {}, rest: [] })
  })

  test('go before those of the file, which may say more', () => {
    const path = written('max_memory_gb: 36.0\nmax_parallel_tokens: 20\nprompt: "Your prompt"\n')
    expect(parseMemoryArgs(['--config', path, '--max-memory-gb', '0.5'])).toEqual({
      maxBytes: 512 * MiB,
      maxParallelTokens: 20,
      from: { maxBytes: 'flag', maxParallelTokens: 'file' },
      file: { prompt: 'Your prompt' },
      rest: [],
    })
    expect(parseMemoryArgs([`--config=${written('{"max_cache_tokens": 4096}', 'config.json')}`]).maxCacheTokens).toBe(
      4096,
    )
    expect(parseMemoryArgs(['--config', written('')]).file).toEqual({})
  })

  test('are as the older tool has them, by default, in its file and by its flags', () => {
    const path = written('max_memory_gb: 36.0\nmax_parallel_tokens: 20\nprompt: "Your prompt"\n')
    expect(parseMemoryArgs(['--config', path])).toMatchObject({ maxBytes: 36 * GiB, maxParallelTokens: 20 })
    expect(parseMemoryArgs(['--prompt', 'Your prompt', '--max-memory-gb', '48.0']).maxBytes).toBe(48 * GiB)
    expect(parseMemoryArgs(['--max-parallel-tokens', '15']).maxParallelTokens).toBe(15)
    // 36 GB were its default; ours is the line of the board.
    expect(parseMemoryArgs([]).maxBytes).toBeUndefined()
  })

  test('hold what a run of the older tool took', () => {
    const machine = new MemoryBudget({ totalBytes: 64 * GiB })
    using _system = machine.allocate(Math.round(15.23 * GiB), 'system')
    expect(machine.utilizationPercent.toFixed(1)).toBe('23.8')
    const run = new MemoryBudget({ totalBytes: 36 * GiB })
    const parts = { 'model weights': 3, 'KV cache, 100 tokens': 0.5, 'parallel batch, 20 tokens': 0.8, overhead: 2 }
    const held = Object.entries(parts).map(([label, gib]) => run.allocate(Math.round(gib * GiB), label))
    expect(formatBytes(run.allocatedBytes)).toBe('6.30 GiB')
    expect(formatBytes(run.availableBytes)).toBe('29.70 GiB')
    for (const each of held) each.release()
    expect(run.canAllocate(Math.round(8.45 * GiB))).toBe(true)
  })

  test.each([
    [['--max-memory-gb'], '--max-memory-gb'],
    [['--max-memory-gb', 'much'], '--max-memory-gb'],
    [['--max-memory-gb', '0'], '--max-memory-gb'],
    [['--max-memory-gb', '-1'], '--max-memory-gb'],
    [['--max-parallel-tokens', '1.5'], '--max-parallel-tokens'],
    [['--max-cache-tokens', '1e9'], '--max-cache-tokens'],
    [['--max-cache-tokens', '0'], '--max-cache-tokens'],
    [['--max-cache-tokens', '1', '--max-cache-tokens=2'], '--max-cache-tokens'],
    [['--max-memory-gb', '0.0000000001'], '--max-memory-gb'],
    [['--max-memory-gib', '4'], 'args'],
    [['--config', '--max-memory-gb', '4'], '--config'],
    [[5 as never], 'args'],
  ])('%j is refused by its name', (args, argument) => {
    expect(thrownBy(InvalidArgumentError, () => parseMemoryArgs(args)).argument).toBe(argument)
  })

  test.each([
    ['a size that is none', 'prompt: a\nmax_memory_gb: lots', 2, 'max_memory_gb'],
    ['tokens below one', '\n\nmax_cache_tokens: -5', 3, 'max_cache_tokens'],
    ['a key that is nearly one', 'max_memory_gib: 5', 1, 'max_memory_gb'],
    ['another way of writing it', 'a: 1\nmaxCacheTokens: 5', 2, 'max_cache_tokens'],
    ['no YAML', 'a: [1\nb: 2', 2, 'YAML'],
    ['a list', '- 1', undefined, 'names with values'],
  ])('%s in the file is told with its line', (_what, text, line, says) => {
    const { issues } = thrownBy(InvalidPlanError, () => parseMemoryArgs(['--config', written(text)]))
    expect(issues[0]?.message).toContain(says)
    if (line !== undefined) expect(issues[0]?.line).toBe(line)
  })

  test('what other programs have in theirs is theirs', () => {
    const theirs = [
      'max_tokens: 5',
      'max_new_tokens: 5',
      'max_memory: 5',
      'max_total_tokens: 5',
      'cache_tokens: 5',
      '"__proto__": { a: 1 }',
    ]
    const { file } = parseMemoryArgs(['--config', written(theirs.join('\n'))])
    expect(Object.keys(file)).toEqual([
      'max_tokens',
      'max_new_tokens',
      'max_memory',
      'max_total_tokens',
      'cache_tokens',
      '__proto__',
    ])
    expect(file.a).toBeUndefined()
  })

  test('a file that is not there, is a folder, or stands for billions', () => {
    for (const path of ['nowhere.yaml', '/tmp']) {
      expect(thrownBy(IoError, () => parseMemoryArgs(['--config', path])).path).toBe(path)
    }
    const bomb = `a: &a [1]\n${Array.from({ length: 120 }, (_, at) => `b${at}: *a`).join('\n')}`
    expect(() => parseMemoryArgs(['--config', written(bomb)])).toThrow(InvalidPlanError)
  })
})
