import { InvalidArgumentError, llamaArguments } from 'plimsoll'
import { thrownBy } from './helpers/errors'

type Environment = Record<string, string | undefined>

const server = (args: readonly string[], env?: Environment) => llamaArguments(['llama-server', ...args], env)
const named = (args: readonly string[], env?: Environment) =>
  server(args, env).notUnderstood.map(({ argument }) => argument)
const why = (args: readonly string[], env?: Environment) => server(args, env).notUnderstood.map(({ reason }) => reason)

test('underscores of a long name are hyphens', () => {
  expect(server(['--ctx_size', '4096', '--no_mmap']).options).toMatchObject({ contextLength: 1024, mmap: false })
})

test('the last of several counts, under whichever of its names', () => {
  const { options } = server(['-c', '4096', '--ctx-size', '8192', '-np', '2', '--parallel', '1'])
  expect(options).toMatchObject({ contextLength: 8192, parallel: 1 })
  expect(server(['-kvu', '-no-kvu', '-np', '2']).options.unifiedKv).toBe(false)
  expect(server(['--no-repack', '--repack']).options.repack).toBe(true)
})

test('a number is read as llama.cpp reads it, and what it leaves out is named', () => {
  expect(server(['-np', '1', '-c', '8k']).options.contextLength).toBe(256)
  expect(server(['-c', '8k']).notUnderstood).toEqual([
    { argument: '-c 8k', reason: 'llama.cpp reads 8 and leaves out "k"' },
  ])
  expect(server(['-np', '1', '-c', ' +512']).options.contextLength).toBe(512)
  expect(why(['-ngl', '20x', '-cram', '1GiB'])).toEqual([
    'llama.cpp reads 1 and leaves out "GiB"',
    'llama.cpp reads 20 and leaves out "x"',
  ])
})

describe('the environment', () => {
  test('says what the command line does not', () => {
    const env = {
      LLAMA_ARG_MODEL: 'x.gguf',
      LLAMA_ARG_CTX_SIZE: '8192',
      LLAMA_ARG_N_PARALLEL: '2',
      LLAMA_ARG_FLASH_ATTN: 'off',
      LLAMA_ARG_CACHE_TYPE_K: 'q8_0',
      LLAMA_ARG_SWA_FULL: 'true',
      LLAMA_ARG_KV_UNIFIED: 'on',
      LLAMA_ARG_N_GPU_LAYERS: 'all',
      LLAMA_ARG_CACHE_RAM: '0',
      LLAMA_ARG_PORT: '80',
      PATH: '/bin',
    }
    const { modelPath, options, notUnderstood, ignored } = server(['-c', '4096'], env)
    expect(modelPath).toBe('x.gguf')
    expect(options).toMatchObject({
      contextLength: 2048,
      parallel: 2,
      flashAttention: false,
      kvTypeK: 'q8_0',
      swaFull: true,
      unifiedKv: true,
      gpuLayers: 2 ** 31 - 1,
      promptCacheBytes: 0,
    })
    expect([notUnderstood, ignored]).toEqual([[], ['LLAMA_ARG_PORT']])
  })

  test.each([
    [{ LLAMA_ARG_MMAP: '0' }, false],
    [{ LLAMA_ARG_MMAP: 'enabled' }, true],
    [{ LLAMA_ARG_NO_MMAP: '1' }, false],
    // That it is there is enough, and goes before the other.
    [{ LLAMA_ARG_NO_MMAP: '' }, false],
    [{ LLAMA_ARG_NO_MMAP: '0', LLAMA_ARG_MMAP: '1' }, false],
    [{ LLAMA_ARG_LOAD_MODE: 'mmap' }, true],
    [{ LLAMA_ARG_MMAP: undefined }, undefined],
  ])('turns switches on and off: %j', (env, mmap) => {
    expect(server([], env).options.mmap).toBe(mmap)
  })

  test('turns on what has no opposite with a word for yes alone', () => {
    expect(server([], { LLAMA_ARG_SWA_FULL: 'yes' })).toMatchObject({ ignored: ['LLAMA_ARG_SWA_FULL'] })
    expect(server([], { LLAMA_ARG_SWA_FULL: 'yes' }).options).not.toHaveProperty('swaFull')
    expect(named([], { LLAMA_ARG_NO_HOST: '1' })).toEqual(['LLAMA_ARG_NO_HOST=1'])
  })

  test('has older names, which the newer ones go before', () => {
    const env = { LLAMA_ARG_MODEL_DRAFT: 'old' }
    expect(server([], env).options.draftPath).toBe('old')
    expect(server([], { LLAMA_ARG_SPEC_DRAFT_MODEL: 'new', ...env }).options.draftPath).toBe('new')
  })

  test('is named where it is not followed, and only where the command line does not go before it', () => {
    const env = { LLAMA_ARG_TENSOR_SPLIT: '1,2', LLAMA_ARG_RPC: 'host:1' }
    expect(named([], env)).toEqual(['LLAMA_ARG_RPC=host:1', 'LLAMA_ARG_TENSOR_SPLIT=1,2'].sort().reverse())
    expect(named(['-ts', '3,4'], env)).toEqual(['LLAMA_ARG_RPC=host:1', '-ts 3,4'])
    expect(named(['-ot', 'b=GPU'], { LLAMA_ARG_OVERRIDE_TENSOR: 'a=GPU' })).toEqual([
      'LLAMA_ARG_OVERRIDE_TENSOR=a=GPU',
      '-ot b=GPU',
    ])
  })

  test('may have variables that nobody knows', () => {
    expect(server([], { LLAMA_ARG_CTX_SISE: '1', LLAMA_OTHER: '1' }).notUnderstood).toEqual([
      { argument: 'LLAMA_ARG_CTX_SISE', reason: expect.stringContaining('did you mean LLAMA_ARG_CTX_SIZE?') },
    ])
    expect(server([], { LLAMA_ARG_NO_PERF: '1' })).toMatchObject({ notUnderstood: [], ignored: ['LLAMA_ARG_NO_PERF'] })
  })

  test.each([
    [{ LLAMA_ARG_CTX_SIZE: '' }, 'LLAMA_ARG_CTX_SIZE'],
    [{ LLAMA_ARG_MMAP: 'maybe' }, 'LLAMA_ARG_MMAP'],
    [{ LLAMA_ARG_FLASH_ATTN: 'maybe' }, 'LLAMA_ARG_FLASH_ATTN'],
    [{ LLAMA_ARG_CACHE_TYPE_V: 'f8' }, 'LLAMA_ARG_CACHE_TYPE_V'],
  ])('is refused as a command line is: %j', (env, argument) => {
    expect(thrownBy(InvalidArgumentError, () => server([], env))).toMatchObject({ argument })
  })

  test('is none by default: it is the caller who has one', () => {
    process.env.LLAMA_ARG_CTX_SIZE = '4096'
    try {
      expect(server([]).contextFromModel).toBe(true)
      expect(server([], process.env).options.contextLength).toBe(1024)
    } finally {
      delete process.env.LLAMA_ARG_CTX_SIZE
    }
  })
})

describe('an argument that nobody knows', () => {
  test('is named, with the one it may have been meant to be', () => {
    expect(server(['--ctx-sise', '4096']).notUnderstood).toEqual([
      { argument: '--ctx-sise', reason: 'unknown: it may bear on memory (did you mean --ctx-size?)' },
    ])
  })

  test.each([
    [['--new', 'value', '-c', '4096'], ['--new']],
    [['--new', '-c', '4096'], ['--new']],
    [['--new', '-1', '-c', '4096'], ['--new']],
    [['--new', '-.5', '-c', '4096'], ['--new']],
    [
      ['--new', 'value', 'word', '-c', '4096'],
      ['--new', 'word'],
    ],
    [['-c', '4096', '--new'], ['--new']],
    [['--', '-c', '4096'], ['--']],
  ])('has the word behind it for its value, unless that is an argument: %j', (args, expected) => {
    expect(named(args)).toEqual(expected)
    expect(server(args).options.contextLength).toBe(1024)
  })

  test('is one with its value behind "=", which llama.cpp has none of', () => {
    expect(server(['--ctx_size=8192']).notUnderstood).toEqual([
      { argument: '--ctx_size=8192', reason: expect.stringContaining('--ctx-size 8192') },
    ])
    expect(named(['--what=ever', 'value'])).toEqual(['--what=ever'])
  })

  test('shows of its value nothing, which may be a secret', () => {
    const read = server(['--new-token', 'hush', '--api-key', 'hush', '-hft', 'hush'], { LLAMA_ARG_NEW_KEY: 'hush' })
    expect(JSON.stringify(read)).not.toContain('hush')
    expect(read.ignored).toEqual(['--api-key', '-hft'])
  })
})

test('older and newer forms of --color take their value, and nothing else', () => {
  for (const args of [['--color', 'auto'], ['--color']]) {
    expect(server([...args, '-c', '4096']).options.contextLength).toBe(1024)
  }
})

describe('hostile input', () => {
  test.each([[undefined], [null], ['llama-server -c 1'], [{}], [[]], [['']], [['llama-server', 5]], [[undefined]]])(
    'argv %p is refused',
    (argv) => {
      thrownBy(InvalidArgumentError, () => llamaArguments(argv as unknown as string[]))
    },
  )

  test.each([[null], [5], ['LLAMA_ARG_CTX_SIZE=1']])('env %p is refused', (env) => {
    thrownBy(InvalidArgumentError, () => llamaArguments(['llama-server'], env as unknown as Environment))
  })

  test('a variable that is no text is refused', () => {
    const env = { LLAMA_ARG_CTX_SIZE: 4096 } as unknown as Environment
    expect(thrownBy(InvalidArgumentError, () => server([], env))).toMatchObject({ argument: 'LLAMA_ARG_CTX_SIZE' })
  })

  test('more arguments than anybody gives are refused', () => {
    const many = Array<string>(5000).fill('-v')
    expect(thrownBy(InvalidArgumentError, () => server(many))).toMatchObject({ argument: 'argv' })
  })

  test('names are those of arguments, not of an object', () => {
    for (const name of ['__proto__', 'constructor', 'toString', '--__proto__', '--constructor', '--has-own-property']) {
      expect(named([name])).toEqual([name])
    }
    expect(named([], JSON.parse('{"__proto__": "1", "constructor": "1"}'))).toEqual([])
  })

  test('nothing comes in through Object.prototype', () => {
    const prototype = Object.prototype as Record<string, unknown>
    const keys = [
      'LLAMA_ARG_CTX_SIZE',
      'reason',
      'harmless',
      'adds',
      'negatives',
      'variables',
      'on',
      'note',
      'modelPath',
    ]
    for (const key of keys) prototype[key] = '4096'
    try {
      const read = server(['--mmap', '-np', '1', '-cb'], {})
      expect(Object.keys(read).sort()).toEqual(['contextFromModel', 'ignored', 'notUnderstood', 'options', 'program'])
      expect([read.notUnderstood, read.ignored]).toEqual([[], ['-cb']])
      expect(read.options.mmap).toBe(true)
      expect((read as { modelPath?: string }).modelPath).toBeUndefined()
    } finally {
      for (const key of keys) delete prototype[key]
    }
  })

  test('long texts are repeated in part', () => {
    const long = 'x'.repeat(100_000)
    for (const args of [['-ts', long], [`--${long}`, long], [long], [`-c=${long}`], ['-c', `8${long}`]]) {
      expect(JSON.stringify(server(args).notUnderstood).length).toBeLessThan(1000)
    }
    for (const name of ['-c', '-ctk', '-fa', '-ngl', '--pooling', '--lora-scaled']) {
      expect(thrownBy(InvalidArgumentError, () => server([name, long])).message.length).toBeLessThan(1000)
    }
    expect(server(['--spec-type', ','.repeat(500_000)]).options.outputs).toBe(16)
  })

  test('a path with a zero in it is refused', () => {
    expect(thrownBy(InvalidArgumentError, () => server(['-m', 'a\0b']))).toMatchObject({ argument: '-m' })
  })

  test('any line of words ends in options or in a refusal', () => {
    const pool = ['-c', '-np', '-fa', '-m', '--lora', '--lora-scaled', '-ot', '--no-mmap', '--spec-type', '--x', '-1']
    pool.push('auto', '4', '', ',', '"', 'a:1', 'ngram-', 'ngram-mod,none', '=', '--=', '--ctx-size=', '9'.repeat(40))
    let seed = 1
    const next = () => {
      seed = (seed * 48271) % 2147483647
      return pool[seed % pool.length] as string
    }
    let read = 0
    for (let round = 0; round < 1000; round++) {
      const args = Array.from({ length: 1 + (round % 7) }, next)
      try {
        const { options } = server(args)
        expect(options.parallel).toBeGreaterThan(0)
        read++
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidArgumentError)
      }
    }
    expect(read).toBeGreaterThan(100)
  })
})
